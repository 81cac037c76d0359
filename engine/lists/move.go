package lists

import (
	"bytes"
	"slices"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var (
	wordLMove     = []byte("LMOVE")
	wordLMoveM    = []byte("LMOVEM")
	wordRPopLPush = []byte("RPOPLPUSH")
	wordExactly   = []byte("EXACTLY")
	wordOBO       = []byte("OBO")
	wordBulk      = []byte("BULK")
)

// A move is what LMOVE and its relatives are asked for.
type move struct {
	from, to side
	// count is how many elements are moved; with exactly, fewer are none.
	count   int64
	exactly bool
	// bulk keeps the elements in the order of the source. Otherwise they stand as
	// if they had been pushed one by one.
	bulk bool
}

// parseSides reads where a move goes from and to.
func (m *move) parseSides(from, to []byte) (err error) {
	m.count = 1
	if m.from, err = parseSide(from); err != nil {
		return err
	}
	m.to, err = parseSide(to)
	return err
}

// parseCount reads [<COUNT count | EXACTLY exactly> <OBO | BULK>].
func (m *move) parseCount(args [][]byte) error {
	m.bulk = true
	if len(args) == 0 {
		return nil
	}
	if len(args) != 3 {
		return resp.ErrSyntax
	}
	m.exactly = resp.WordIs(args[0], "EXACTLY")
	m.bulk = resp.WordIs(args[2], "BULK")
	if !m.exactly && !resp.WordIs(args[0], "COUNT") || !m.bulk && !resp.WordIs(args[2], "OBO") {
		return resp.ErrSyntax
	}
	n, ok := resp.ParseInt(args[1])
	if !ok || n < 1 {
		return errCount
	}
	m.count = n
	return nil
}

// source opens the list that a move takes from. It is nil if there is not enough.
func (m *move) source(c *shard.Call) (*shard.Collection, error) {
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	if v == nil || err != nil {
		return nil, err
	}
	if m.exactly {
		if l := object.ListOf(v, c.Limits()); int64(l.Len()) < m.count {
			return nil, nil
		}
	}
	return v, nil
}

// moveRoom is the bytes of text that a move keeps without the help of the heap.
const moveRoom = 256

// run moves elements from an open source to the key behind it. It returns them in
// the order in which the destination has them now, in the memory that it is given.
//
// As in Redis the destination hears of it before the source, and each element counts as
// one change.
func (m *move) run(c *shard.Call, v *shard.Collection, moved []object.Element, texts []byte) ([]object.Element, error) {
	source, destination := c.Args[1], c.Args[2]
	from := object.ListOf(v, c.Limits())
	n := int(min(m.count, int64(from.Len())))
	at, end := m.from.ends(n, from.Len())
	from.Each(at, end, func(e object.Element) bool {
		e, texts = e.Keep(texts)
		moved = append(moved, e)
		return true
	})
	if !m.bulk && m.from == m.to {
		slices.Reverse(moved)
	}
	if bytes.Equal(source, destination) {
		from.Remove(at, n)
		m.give(&from, moved)
		c.CountChanges(n)
		c.Event(shard.EventList, m.to.pushEvent(), destination)
		c.Event(shard.EventList, m.from.popEvent(), source)
		return moved, nil
	}
	w, err := openOrCreate(c, destination)
	if err != nil {
		return nil, err
	}
	to := object.ListOf(w, c.Limits())
	m.give(&to, moved)
	c.Event(shard.EventList, m.to.pushEvent(), destination)
	taken(c, v, &from, m.from, n)
	return moved, nil
}

// give pushes elements so that they stand in the order in which they are given.
func (m *move) give(to *object.ListView, moved []object.Element) {
	if m.to == right {
		for _, e := range moved {
			to.PushBack(e)
		}
		return
	}
	for i := len(moved) - 1; i >= 0; i-- {
		to.PushFront(moved[i])
	}
}

// one moves a single element and answers it.
func (m *move) one(c *shard.Call, v *shard.Collection) error {
	var room [1]object.Element
	var texts [moveRoom]byte
	moved, err := m.run(c, v, room[:0], texts[:0])
	if err != nil {
		return err
	}
	return moved[0].Reply(c.Reply)
}

// many moves elements and answers them.
func (m *move) many(c *shard.Call, v *shard.Collection) (n int, err error) {
	moved, err := m.run(c, v, nil, nil)
	if err != nil {
		return 0, err
	}
	c.Reply.Array(len(moved))
	for _, e := range moved {
		e.Reply(c.Reply)
	}
	return len(moved), nil
}

// LMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT>
func lmove(c *shard.Call) error {
	var m move
	if err := m.parseSides(c.Args[3], c.Args[4]); err != nil {
		return err
	}
	return m.now(c)
}

// RPOPLPUSH source destination
func rpoplpush(c *shard.Call) error {
	m := move{from: right, to: left, count: 1}
	return m.now(c)
}

func (m *move) now(c *shard.Call) error {
	v, err := m.source(c)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Null()
	}
	return m.one(c, v)
}

// BLMOVE source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout
func blmove(c *shard.Call) error {
	var m move
	if err := m.parseSides(c.Args[3], c.Args[4]); err != nil {
		return err
	}
	return m.later(c, c.Args[5], wordLMove, c.Args[1], c.Args[2], c.Args[3], c.Args[4])
}

// BRPOPLPUSH source destination timeout
func brpoplpush(c *shard.Call) error {
	m := move{from: right, to: left, count: 1}
	return m.later(c, c.Args[3], wordRPopLPush, c.Args[1], c.Args[2])
}

// later moves a single element, or waits for one; the effect is the given command.
func (m *move) later(c *shard.Call, timeout []byte, effect ...[]byte) error {
	until, err := c.BlockUntil(timeout)
	if err != nil {
		return err
	}
	v, err := m.source(c)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Block(shard.Wait{
			Keys: c.Args[1:2], Type: object.List, Until: until,
			TimedOut: (*resp.Writer).NullArray,
			Refused:  (*resp.Writer).Null,
		})
	}
	c.Effect(effect...)
	return m.one(c, v)
}

// LMOVEM source destination <LEFT | RIGHT> <LEFT | RIGHT> [<COUNT count | EXACTLY exactly> <OBO | BULK>]
//
// All elements are taken before the first is pushed, which shows when source and
// destination are the same.
func lmovem(c *shard.Call) error {
	var m move
	if err := m.parseSides(c.Args[3], c.Args[4]); err != nil {
		return err
	}
	if err := m.parseCount(c.Args[5:]); err != nil {
		return err
	}
	v, err := m.source(c)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.NullArray()
	}
	_, err = m.many(c, v)
	return err
}

// BLMOVEM source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout [<COUNT count | EXACTLY exactly> <OBO | BULK>]
//
// With COUNT it waits for any element, with EXACTLY for as many. What is there
// meanwhile is not reserved.
func blmovem(c *shard.Call) error {
	var m move
	if err := m.parseSides(c.Args[3], c.Args[4]); err != nil {
		return err
	}
	until, err := c.BlockUntil(c.Args[5])
	if err != nil {
		return err
	}
	if err := m.parseCount(c.Args[6:]); err != nil {
		return err
	}
	v, err := m.source(c)
	switch {
	case err != nil:
		return err
	case v == nil:
		return wait(c, c.Args[1:2], until)
	}
	n, err := m.many(c, v)
	if err != nil {
		return err
	}
	order := wordBulk
	if !m.bulk {
		order = wordOBO
	}
	c.Effect(wordLMoveM, c.Args[1], c.Args[2], c.Args[3], c.Args[4], wordExactly, c.Int(int64(n)), order)
	return nil
}
