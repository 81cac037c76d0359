package rdb

import (
	"encoding/binary"
	"slices"
)

// streamScratch is what reading streams reuses.
type streamScratch struct {
	master  [][]byte // field names of a node
	fields  [][]byte // an entry: fields and values in turn
	digits  []byte   // backs the integers among them
	node    []element
	pending []StreamPending
}

// Entries of a stream are kept in nodes, packed lists with this at the start:
//
//	count │ deleted │ number of fields │ field … │ 0
//
// and then for each entry, relative to the ID and the fields of the node:
//
//	flags │ millis │ seq │ [ number of fields, field, value … ] or value … │ elements of the entry
const (
	streamDeleted    = 1
	streamSameFields = 2
)

// streamValue reads a stream.
func (r *Reader) streamValue(t Type, v Visitor) error {
	nodes, err := r.Length()
	if err != nil {
		return err
	}
	var last StreamID // no entry has the ID zero
	for ; nodes > 0; nodes-- {
		if err := r.streamNode(&last, v); err != nil {
			return err
		}
	}
	length, err := r.Length()
	if err != nil {
		return err
	}
	var state StreamState
	if err := r.streamID(&state.Last); err != nil {
		return err
	}
	if state.Last.less(last) {
		return corrupt("a stream with an entry behind its last")
	}
	if t != TypeStream {
		var first StreamID // the first entry shows it
		if err := r.streamID(&first); err != nil {
			return err
		}
		if err := r.streamID(&state.MaxDeleted); err != nil {
			return err
		}
		if length, err = r.Length(); err != nil {
			return err
		}
	}
	// Redis 5 did not say how many entries there were ever: take those that are.
	if state.Added = int64(length); state.Added < 0 {
		return corrupt("a stream that had too many entries")
	}
	if err := v.StreamState(state); err != nil {
		return err
	}
	groups, err := r.Length()
	for ; err == nil && groups > 0; groups-- {
		err = r.streamGroup(t, v)
	}
	return err
}

func (r *Reader) streamID(id *StreamID) (err error) {
	if id.Ms, err = r.Length(); err != nil {
		return err
	}
	id.Seq, err = r.Length()
	return err
}

const rawIDBytes = 16

func rawID(b []byte) StreamID {
	return StreamID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// A nodeCursor goes through the elements of a node.
type nodeCursor struct {
	elements []element
	failed   bool
}

func (c *nodeCursor) next() element {
	if len(c.elements) == 0 {
		c.failed = true
		return element{isInt: true}
	}
	e := c.elements[0]
	c.elements = c.elements[1:]
	return e
}

// integer is the next element, which has to be one.
func (c *nodeCursor) integer() int64 {
	e := c.next()
	c.failed = c.failed || !e.isInt
	return e.n
}

// count is the next element, which has to be the number of things of which each
// takes at least so many of the elements behind it.
func (c *nodeCursor) count(elements int) int {
	n := c.integer()
	if n < 0 || n > int64(len(c.elements)/elements) {
		c.failed = true
		return 0
	}
	return int(n)
}

// streamNode reads a node and shows its entries. last is the ID of the entry
// before.
func (r *Reader) streamNode(last *StreamID, v Visitor) error {
	key, err := r.Text()
	if err != nil {
		return err
	}
	if len(key) != rawIDBytes {
		return corrupt("a stream node with an ID of %d bytes", len(key))
	}
	base := rawID(key)
	blob, err := r.Text()
	if err != nil {
		return err
	}
	list, err := openListpack(blob)
	if err != nil {
		return err
	}
	s := &r.stream
	s.node, s.digits = s.node[:0], s.digits[:0]
	for {
		e, more, err := list.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		s.node = append(s.node, e)
	}
	c := nodeCursor{elements: s.node}
	count, deleted := c.integer(), c.integer()
	s.master = s.master[:0]
	for range c.count(1) {
		s.master = append(s.master, s.text(c.next()))
	}
	if c.integer() != 0 || c.failed {
		return errStreamNode
	}
	digits := len(s.digits)
	for len(c.elements) > 0 {
		before := len(c.elements)
		flags := c.integer()
		id := StreamID{base.Ms + uint64(c.integer()), base.Seq + uint64(c.integer())}
		s.fields, s.digits = s.fields[:0], s.digits[:digits]
		if flags&streamSameFields != 0 {
			for _, name := range s.master {
				s.fields = append(s.fields, name, s.text(c.next()))
			}
		} else {
			for range 2 * c.count(2) {
				s.fields = append(s.fields, s.text(c.next()))
			}
		}
		// The count stands for walking backwards, and does not count itself.
		took := int64(before - len(c.elements))
		if c.integer() != took || c.failed || flags&^(streamDeleted|streamSameFields) != 0 {
			return errStreamNode
		}
		if flags&streamDeleted != 0 {
			deleted--
			continue
		}
		count--
		if !last.less(id) {
			return corrupt("a stream whose IDs do not ascend")
		}
		if len(s.fields) == 0 {
			return errStreamNode
		}
		*last = id
		if err := v.StreamEntry(id, s.fields); err != nil {
			return err
		}
	}
	if count != 0 || deleted != 0 {
		return corrupt("a stream node that counts its entries wrongly")
	}
	return nil
}

var errStreamNode = corrupt("a stream node that is not made of entries")

// text is the text of an element; it stays until digits are taken back.
func (s *streamScratch) text(e element) []byte {
	from := len(s.digits)
	if !e.isInt {
		return e.text
	}
	s.digits = e.bytes(s.digits)
	return s.digits[from:len(s.digits):len(s.digits)]
}

// streamGroup reads a group with its consumers and what is pending, which the
// file has twice: for the group with all that is known, and for each consumer.
func (r *Reader) streamGroup(t Type, v Visitor) error {
	name, err := r.firstText()
	if err != nil {
		return err
	}
	group := StreamGroup{Name: name, Read: -1}
	if err := r.streamID(&group.Last); err != nil {
		return err
	}
	if t != TypeStream {
		read, err := r.Length()
		if err != nil {
			return err
		}
		if group.Read = int64(read); group.Read < -1 {
			return corrupt("a group that has read too much")
		}
	}
	if err := v.StreamGroup(group); err != nil {
		return err
	}
	if err := r.pending(); err != nil {
		return err
	}
	consumers, err := r.Length()
	if err != nil {
		return err
	}
	for i := 0; consumers > 0; consumers-- {
		if err := r.streamConsumer(t, i, v); err != nil {
			return err
		}
		i++
	}
	for _, p := range r.stream.pending {
		if p.Consumer < 0 {
			return corrupt("a pending entry without a consumer")
		}
		if err := v.StreamPending(p); err != nil {
			return err
		}
	}
	return nil
}

// pending reads what is pending in a group, without the consumers.
func (r *Reader) pending() error {
	n, err := r.Length()
	if err != nil {
		return err
	}
	all := r.stream.pending[:0]
	for ; n > 0; n-- {
		raw, err := r.take(rawIDBytes)
		if err != nil {
			return err
		}
		p := StreamPending{ID: rawID(raw), Consumer: -1}
		if p.Delivered, err = r.Millis(); err != nil {
			return err
		}
		count, err := r.Length()
		if err != nil {
			return err
		}
		if p.Count = int64(count); p.Count < 0 {
			return corrupt("an entry that was delivered too often")
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b StreamPending) int { return compareIDs(a.ID, b.ID) })
	for i := 1; i < len(all); i++ {
		if all[i].ID == all[i-1].ID {
			return corrupt("an entry that is pending twice")
		}
	}
	r.stream.pending = all
	return nil
}

func compareIDs(a, b StreamID) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}

// streamConsumer reads the consumer with that index in its group.
func (r *Reader) streamConsumer(t Type, index int, v Visitor) error {
	name, err := r.firstText()
	if err != nil {
		return err
	}
	consumer := StreamConsumer{Name: name}
	if consumer.Seen, err = r.Millis(); err != nil {
		return err
	}
	consumer.Active = consumer.Seen // the best guess
	if t == TypeStream3 {
		if consumer.Active, err = r.Millis(); err != nil {
			return err
		}
	}
	if err := v.StreamConsumer(consumer); err != nil {
		return err
	}
	n, err := r.Length()
	if err != nil {
		return err
	}
	all := r.stream.pending
	for ; n > 0; n-- {
		raw, err := r.take(rawIDBytes)
		if err != nil {
			return err
		}
		at, found := slices.BinarySearchFunc(all, rawID(raw), func(p StreamPending, id StreamID) int {
			return compareIDs(p.ID, id)
		})
		if !found || all[at].Consumer >= 0 {
			return corrupt("a consumer with an entry that its group does not know, or another has")
		}
		all[at].Consumer = index
	}
	return nil
}
