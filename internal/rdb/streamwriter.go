package rdb

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The size of a stream's nodes, as by default in Redis.
const (
	streamNodeBytesMost   = 4096
	streamNodeEntriesMost = 100
)

// A StreamWriter writes a stream: first all entries are shown to Count, then to
// Entry, and then come State, and Group for each group.
type StreamWriter struct {
	w       *Writer
	form    Type
	counted nodes
	written nodes
	length  uint64
	first   StreamID

	// The node that is being collected.
	base    StreamID
	master  [][]byte // names of fields, copied into names
	names   []byte
	entries Listpack // without the head of the node
	open    int      // how many entries
}

// Stream begins a stream.
func (w *Writer) Stream() *StreamWriter {
	s := &StreamWriter{w: w, form: TypeStream2}
	if w.newest >= TypeStream3.Version() {
		s.form = TypeStream3
	}
	s.counted = nodes{elementsMost: streamNodeEntriesMost, bytesMost: streamNodeBytesMost}
	s.written = s.counted
	return s
}

// Count is shown an entry: its fields and values in turn.
func (s *StreamWriter) Count(fields [][]byte) { s.counted.add(entrySize(fields)) }

func entrySize(fields [][]byte) (size int) {
	for _, text := range fields {
		size += len(text) + elementOverhead
	}
	return size
}

// begin writes what stands before the entries.
func (s *StreamWriter) begin() {
	if s.written.total == 0 {
		s.w.Type(s.form)
		s.w.Length(s.counted.total)
	}
}

// Entry writes an entry; IDs ascend.
func (s *StreamWriter) Entry(id StreamID, fields [][]byte) {
	s.begin()
	if s.length == 0 {
		s.first = id
	}
	s.length++
	if s.written.add(entrySize(fields)) {
		s.endNode()
		s.base = id
		s.setMaster(fields)
		s.entries.Reset()
	}
	s.open++
	same := s.isMaster(fields)
	before := s.entries.count
	flags := int64(0)
	if same {
		flags = streamSameFields
	}
	s.entries.Int(flags)
	s.entries.Int(int64(id.Ms - s.base.Ms))
	s.entries.Int(int64(id.Seq - s.base.Seq))
	if !same {
		s.entries.Int(int64(len(fields) / 2))
	}
	for i, text := range fields {
		if i%2 == 1 || !same {
			s.entries.Text(text)
		}
	}
	s.entries.Int(int64(s.entries.count - before))
}

// setMaster makes the fields of an entry those of the node.
func (s *StreamWriter) setMaster(fields [][]byte) {
	s.master, s.names = s.master[:0], s.names[:0]
	for i := 0; i < len(fields); i += 2 {
		s.names = append(s.names, fields[i]...)
	}
	at := 0
	for i := 0; i < len(fields); i += 2 {
		s.master = append(s.master, s.names[at:at+len(fields[i])])
		at += len(fields[i])
	}
}

func (s *StreamWriter) isMaster(fields [][]byte) bool {
	if len(fields) != 2*len(s.master) {
		return false
	}
	for i, name := range s.master {
		if !bytes.Equal(name, fields[2*i]) {
			return false
		}
	}
	return true
}

// endNode writes the node that was being collected.
func (s *StreamWriter) endNode() {
	if s.open == 0 {
		return
	}
	w := s.w
	w.blob(appendRawID(nil, s.base))
	head := &w.pack
	head.Reset()
	head.Int(int64(s.open))
	head.Int(0) // deleted
	head.Int(int64(len(s.master)))
	for _, name := range s.master {
		head.Text(name)
	}
	head.Int(0)
	head.b = append(head.b, s.entries.b[listpackHeader:]...)
	head.count += s.entries.count
	w.Packed(head)
	s.open = 0
}

func appendRawID(dst []byte, id StreamID) []byte {
	dst = binary.BigEndian.AppendUint64(dst, id.Ms)
	return binary.BigEndian.AppendUint64(dst, id.Seq)
}

func (w *Writer) streamID(id StreamID) {
	w.Length(id.Ms)
	w.Length(id.Seq)
}

// State writes what the stream knows beside its entries, and how many groups
// follow.
func (s *StreamWriter) State(state StreamState, groups int) {
	s.begin()
	s.endNode()
	w := s.w
	w.Length(s.length)
	w.streamID(state.Last)
	w.streamID(s.first)
	w.streamID(state.MaxDeleted)
	w.Length(uint64(state.Added))
	w.Length(uint64(groups))
}

// Group writes a group; pending is in the order of IDs.
func (s *StreamWriter) Group(group StreamGroup, consumers []StreamConsumer, pending []StreamPending) {
	w := s.w
	w.Text(group.Name)
	w.streamID(group.Last)
	w.Length(uint64(group.Read))
	w.Length(uint64(len(pending)))
	for _, p := range pending {
		w.rawID(p.ID)
		w.Millis(p.Delivered)
		w.Length(uint64(p.Count))
	}
	// By consumer, each still in the order of IDs.
	owned := slices.Clone(pending)
	slices.SortStableFunc(owned, func(a, b StreamPending) int { return a.Consumer - b.Consumer })
	w.Length(uint64(len(consumers)))
	for i, consumer := range consumers {
		w.Text(consumer.Name)
		w.Millis(consumer.Seen)
		if s.form == TypeStream3 {
			w.Millis(consumer.Active)
		}
		n := 0
		for n < len(owned) && owned[n].Consumer == i {
			n++
		}
		w.Length(uint64(n))
		for _, p := range owned[:n] {
			w.rawID(p.ID)
		}
		owned = owned[n:]
	}
}

func (w *Writer) rawID(id StreamID) {
	w.buf = appendRawID(w.buf, id)
	w.more()
}
