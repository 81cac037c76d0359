package streams

import (
	"bytes"
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// idTextMax is the length of the longest argument that is looked at as an ID.
const idTextMax = 127

// text is arg up to the first zero byte, where C ends a text.
func text(arg []byte) []byte {
	if at := bytes.IndexByte(arg, 0); at >= 0 {
		return arg[:at]
	}
	return arg
}

// parseID reads "milliseconds-number", or the milliseconds alone with the number
// to take then.
func parseID(arg []byte, missing uint64) (id object.StreamID, err error) {
	if len(arg) > idTextMax {
		return id, resp.ErrStreamID
	}
	arg = text(arg)
	ms, seq, both := bytes.Cut(arg, []byte{'-'})
	ok := true
	if id.Ms, ok = parseUint(ms); !ok {
		return id, resp.ErrStreamID
	}
	if id.Seq = missing; both {
		if id.Seq, ok = parseUint(seq); !ok {
			return id, resp.ErrStreamID
		}
	}
	return id, nil
}

// parseNewID is parseID for an entry to be added: of "milliseconds-*" the number
// is to be made, and not given.
func parseNewID(arg []byte) (id object.StreamID, given bool, err error) {
	if end := len(arg) - 2; end > 0 && len(arg) <= idTextMax && string(arg[end:]) == "-*" && bytes.IndexByte(arg, '-') == end {
		var ok bool
		if id.Ms, ok = parseUint(arg[:end]); !ok {
			return id, false, resp.ErrStreamID
		}
		return id, false, nil
	}
	id, err = parseID(arg, 0)
	return id, true, err
}

// parseUint reads a number as Redis does, who asks strtoull when it is not
// written the way numbers are.
func parseUint(b []byte) (uint64, bool) {
	if n, ok := resp.ParseInt(b); ok {
		return uint64(n), n >= 0
	}
	for len(b) > 0 && (b[0] == ' ' || '\t' <= b[0] && b[0] <= '\r') {
		b = b[1:]
	}
	negative := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b {
		digit := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxUint64-digit)/10 {
			return 0, false
		}
		n = 10*n + digit
	}
	if negative {
		n = -n
	}
	return n, true
}

const (
	errIntervalStart resp.Error = "ERR invalid start ID for the interval"
	errIntervalEnd   resp.Error = "ERR invalid end ID for the interval"
)

// parseBound reads an end of an interval, "-" and "+" for the ends of the stream,
// and whether it is an open one.
func parseBound(arg []byte, missing uint64) (id object.StreamID, open bool, err error) {
	if len(arg) > 1 && arg[0] == '(' {
		id, err = parseID(arg[1:], missing)
		return id, true, err
	}
	id, err = parseAnyID(arg, missing)
	return id, false, err
}

// parseAnyID is parseID that also knows "-" and "+".
func parseAnyID(arg []byte, missing uint64) (id object.StreamID, err error) {
	switch string(text(arg)) {
	case "-":
		return object.StreamID{}, nil
	case "+":
		return object.MaxStreamID, nil
	}
	return parseID(arg, missing)
}

// parseStart reads the lower end of an interval: the first ID that is in it.
func parseStart(arg []byte) (id object.StreamID, err error) {
	id, open, err := parseBound(arg, 0)
	if err == nil && open {
		next, ok := id.Next()
		if !ok {
			return id, errIntervalStart
		}
		return next, nil
	}
	return id, err
}

// parseEnd reads the upper end of an interval: the last ID that is in it.
func parseEnd(arg []byte) (id object.StreamID, err error) {
	id, open, err := parseBound(arg, math.MaxUint64)
	if err == nil && open {
		prev, ok := id.Prev()
		if !ok {
			return id, errIntervalEnd
		}
		return prev, nil
	}
	return id, err
}

// parseIDs reads several IDs, into the given ones if they have room.
func parseIDs(args [][]byte, ids []object.StreamID) ([]object.StreamID, error) {
	for _, arg := range args {
		id, err := parseID(arg, 0)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// idsSpace is for how many IDs or streams most commands need no memory.
const idsSpace = 8

// idTextBytes is the room for the text of any ID.
const idTextBytes = 41

// replyID answers an ID.
func replyID(w *resp.Writer, id object.StreamID) error {
	var space [idTextBytes]byte
	return w.Bulk(id.Append(space[:0]))
}

// replyEntry answers an entry.
func replyEntry(w *resp.Writer, e *object.StreamEntry) {
	w.Array(2)
	replyID(w, e.ID)
	w.Array(2 * e.Len())
	e.Each(func(field, value object.Element) {
		field.Reply(w)
		value.Reply(w)
	})
}

// idText is the text of an ID, for an argument of an effect.
func idText(c *shard.Call, id object.StreamID) []byte { return c.Word(id.Append) }
