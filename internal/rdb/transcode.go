package rdb

import "bytes"

// Value writes a value that was read by Body.Raw: as it is, if whoever reads this knows its
// type, and else in a form that they know. A hash whose fields have deadlines has none
// before that of version 12, and is written in it. When members of a set expire is left out.
func (w *Writer) Value(t Type, raw []byte) error {
	if t.Version() <= w.newest && t != TypeHashValkey && t != TypeSetMetadata {
		w.Raw(t, raw)
		return nil
	}
	p := Payload{Type: t, body: raw}
	switch t.Kind() {
	case Set:
		return w.transcode(p, &countingVisitor{}, &setVisitor{w: w})
	case Hash:
		return w.transcode(p, &countingVisitor{}, &hashVisitor{w: w})
	case Stream:
		c := &countingVisitor{stream: w.Stream()}
		return w.transcode(p, c, &streamVisitor{w: c.stream})
	}
	return unsupported("type %d for readers of version %d", t, w.newest)
}

// Raw writes a value that was read by Body.Raw as it is, whoever may know its type.
func (w *Writer) Raw(t Type, raw []byte) {
	w.Type(t)
	w.buf = append(w.buf, raw...)
	w.more()
}

// A transcoder is a Visitor that writes what it is shown, once it was told what there is.
type transcoder interface {
	Visitor
	begin(*countingVisitor)
	end()
}

func (w *Writer) transcode(p Payload, c *countingVisitor, t transcoder) error {
	if err := p.Visit(c); err != nil {
		return err
	}
	t.begin(c)
	if err := p.Visit(t); err != nil {
		return err
	}
	t.end()
	return nil
}

// A Nothing is a Visitor that lets everything pass, for those who want some of it.
type Nothing struct{}

func (Nothing) String([]byte) error                  { return nil }
func (Nothing) ListElement([]byte) error             { return nil }
func (Nothing) SetMember([]byte, int64) error        { return nil }
func (Nothing) ZSetMember([]byte, float64) error     { return nil }
func (Nothing) HashField(_, _ []byte, _ int64) error { return nil }
func (Nothing) StreamEntry(StreamID, [][]byte) error { return nil }
func (Nothing) StreamState(StreamState) error        { return nil }
func (Nothing) StreamGroup(StreamGroup) error        { return nil }
func (Nothing) StreamConsumer(StreamConsumer) error  { return nil }
func (Nothing) StreamPending(StreamPending) error    { return nil }

// countingVisitor counts what has to be known before the first of it is written.
type countingVisitor struct {
	Nothing
	count  int
	first  int64 // of all deadlines, 0 for none
	stream *StreamWriter
	groups int
}

func (c *countingVisitor) SetMember([]byte, int64) error {
	c.count++
	return nil
}

func (c *countingVisitor) HashField(_, _ []byte, deadline int64) error {
	c.count++
	if deadline != 0 && (c.first == 0 || deadline < c.first) {
		c.first = deadline
	}
	return nil
}

func (c *countingVisitor) StreamEntry(_ StreamID, fields [][]byte) error {
	c.stream.Count(fields)
	return nil
}

func (c *countingVisitor) StreamGroup(StreamGroup) error {
	c.groups++
	return nil
}

// setVisitor leaves out when members expire: no other reader knows of that.
type setVisitor struct {
	Nothing
	w *Writer
}

func (s *setVisitor) begin(c *countingVisitor) {
	s.w.Type(TypeSet)
	s.w.Length(uint64(c.count))
}

func (s *setVisitor) SetMember(member []byte, _ int64) error {
	s.w.Text(member)
	return nil
}

func (s *setVisitor) end() {}

type hashVisitor struct {
	Nothing
	w     *Writer
	first int64
}

func (h *hashVisitor) begin(c *countingVisitor) {
	if h.first = c.first; h.first == 0 {
		h.w.Type(TypeHash)
	} else {
		h.w.Type(TypeHashMetadata)
		h.w.Millis(h.first)
	}
	h.w.Length(uint64(c.count))
}

func (h *hashVisitor) HashField(field, value []byte, deadline int64) error {
	if h.first != 0 {
		h.w.FieldDeadline(h.first, deadline)
	}
	h.w.Text(field)
	h.w.Text(value)
	return nil
}

func (h *hashVisitor) end() {}

// streamVisitor writes a group when all of it was shown.
type streamVisitor struct {
	Nothing
	w         *StreamWriter
	groups    int
	open      bool
	group     StreamGroup
	consumers []StreamConsumer
	pending   []StreamPending
}

func (s *streamVisitor) begin(c *countingVisitor) { s.groups = c.groups }

func (s *streamVisitor) StreamEntry(id StreamID, fields [][]byte) error {
	s.w.Entry(id, fields)
	return nil
}

func (s *streamVisitor) StreamState(state StreamState) error {
	s.w.State(state, s.groups)
	return nil
}

func (s *streamVisitor) StreamGroup(g StreamGroup) error {
	s.end()
	g.Name = bytes.Clone(g.Name)
	s.group, s.open = g, true
	return nil
}

func (s *streamVisitor) StreamConsumer(c StreamConsumer) error {
	c.Name = bytes.Clone(c.Name)
	s.consumers = append(s.consumers, c)
	return nil
}

func (s *streamVisitor) StreamPending(p StreamPending) error {
	s.pending = append(s.pending, p)
	return nil
}

func (s *streamVisitor) end() {
	if s.open {
		s.w.Group(s.group, s.consumers, s.pending)
	}
	s.open, s.consumers, s.pending = false, s.consumers[:0], s.pending[:0]
}
