package object

import (
	"math"
	"strconv"
)

// A StreamID names an entry of a stream: a time in milliseconds, and a number
// among the entries of that millisecond. The order of IDs is that of entries.
type StreamID struct{ Ms, Seq uint64 }

// MaxStreamID is the last ID there can be; the zero StreamID is before the first.
var MaxStreamID = StreamID{math.MaxUint64, math.MaxUint64}

// Less tells whether id comes before other.
func (id StreamID) Less(other StreamID) bool {
	return id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq
}

// IsZero tells whether id is 0-0, which names no entry.
func (id StreamID) IsZero() bool { return id == StreamID{} }

// Next is the ID behind id; behind the last one there is none.
func (id StreamID) Next() (next StreamID, ok bool) {
	switch {
	case id == MaxStreamID:
		return StreamID{}, false
	case id.Seq == math.MaxUint64:
		return StreamID{id.Ms + 1, 0}, true
	}
	return StreamID{id.Ms, id.Seq + 1}, true
}

// Prev is the ID before id; before 0-0 there is none.
func (id StreamID) Prev() (prev StreamID, ok bool) {
	switch {
	case id.IsZero():
		return MaxStreamID, false
	case id.Seq == 0:
		return StreamID{id.Ms - 1, math.MaxUint64}, true
	}
	return StreamID{id.Ms, id.Seq - 1}, true
}

// Append appends the text of the ID to dst.
func (id StreamID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.Ms, 10)
	return strconv.AppendUint(append(dst, '-'), id.Seq, 10)
}

func (id StreamID) key() Key { return Key{id.Ms, id.Seq} }

func (k Key) streamID() StreamID { return StreamID{k.Hi, k.Lo} }
