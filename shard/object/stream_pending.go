package object

import (
	"encoding/binary"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A StreamPending is an entry that was delivered to a consumer and not acknowledged.
type StreamPending struct {
	ID       StreamID
	Consumer uint32 // its number
	Time     int64  // of the delivery, in Unix milliseconds
	Count    int64  // of deliveries
}

// What is pending is in two trees: that of the group, in detail, and that of the
// consumer, with the IDs only. Leaves have records in the order of IDs, relative
// to the ID that is the key of the leaf, which is not above any of them:
//
//	last 2 │ record, record, …
//
//	record: ID                             see block
//	        ID │ consumer │ time │ count   the time relative to the key, zigzag
//
// Records are looked for one after the other, in a leaf of pendingLeafMax bytes;
// but last, where the last one begins, tells at once what is to come behind it, as
// nearly everything does that is delivered.
const (
	pendingFirst   = 2
	pendingLeafMax = 512 - leafHeader
	pendingLeafLow = pendingLeafMax / 4
	pendingMerged  = pendingLeafMax * 3 / 4

	pendingRecordMax = 60 // more than any record takes
)

// appendPending writes a record.
func appendPending(dst []byte, p *StreamPending, base StreamID, detailed bool) []byte {
	dst = appendDelta(dst, p.ID, base)
	if detailed {
		dst = binary.AppendUvarint(dst, uint64(p.Consumer))
		dst = binary.AppendVarint(dst, p.Time-int64(base.Ms))
		dst = binary.AppendUvarint(dst, uint64(p.Count))
	}
	return dst
}

// readPending reads a record.
func readPending(b []byte, base StreamID, detailed bool) (p StreamPending, size int) {
	p.ID, size = readDelta(b, base)
	if detailed {
		consumer, n := binary.Uvarint(b[size:])
		size += n
		time, n := binary.Varint(b[size:])
		size += n
		count, n := binary.Uvarint(b[size:])
		size += n
		p.Consumer, p.Time, p.Count = uint32(consumer), int64(base.Ms)+time, int64(count)
	}
	return p, size
}

// seekPending is the leaf in which an ID is or would be, the place in it, and
// where the record ends if it is there.
func seekPending(t *Tree, detailed bool, id StreamID) (c Cursor, at, end int, p StreamPending, found bool) {
	if t.depth == 0 {
		return c, 0, 0, p, false
	}
	c = t.Seek(id.key(), nil)
	leaf, base := t.Leaf(c.Leaf()), c.Key().streamID()
	if last, _ := readDelta(leaf[lastRecord(leaf):], base); last.Less(id) {
		return c, len(leaf), len(leaf), StreamPending{}, false
	}
	for at = pendingFirst; ; at = end {
		var n int
		p, n = readPending(leaf[at:], base, detailed)
		if end = at + n; !p.ID.Less(id) {
			return c, at, end, p, p.ID == id
		}
	}
}

// lastRecord is where the last record of a leaf begins.
func lastRecord(leaf []byte) int { return int(binary.LittleEndian.Uint16(leaf)) }

func setLastRecord(leaf []byte, at int) { binary.LittleEndian.PutUint16(leaf, uint16(at)) }

// putPending adds or replaces a record.
func putPending(t *Tree, detailed bool, p *StreamPending) {
	if t.depth == 0 {
		t.Append(newPending(t, detailed, p), p.ID.key(), 1)
		return
	}
	c, at, end, _, found := seekPending(t, detailed, p.ID)
	base := c.Key().streamID()
	if p.ID.Less(base) {
		// Only the first leaf is sought for an ID below its key.
		rebase(t, &c, p.ID, detailed)
		base, at = p.ID, pendingFirst
	}
	count := c.Count()
	if !found {
		count++
		end = at
	}
	var space [pendingRecordMax]byte
	record := appendPending(space[:0], p, base, detailed)
	used, last := len(t.Leaf(c.Leaf())), lastRecord(t.Leaf(c.Leaf()))
	switch {
	case at == used && used+len(record) > pendingLeafMax:
		// What grows at its end has full leaves.
		if behind := t.Last(); behind.Leaf() == c.Leaf() {
			c.InsertAfter(newPending(t, detailed, p), p.ID.key(), 1)
			return
		}
		last = at
	case at == used:
		last = at
	case at < last || !found:
		last += len(record) - (end - at)
	}
	ref, fresh := t.Splice(c.Leaf(), at, end-at, len(record))
	copy(fresh, record)
	setLastRecord(t.Leaf(ref), last)
	c.Set(ref, base.key(), count)
	if len(t.Leaf(ref)) > pendingLeafMax {
		splitPending(t, &c, detailed)
	}
}

// newPending makes a leaf of one record, whose ID is to be the key.
func newPending(t *Tree, detailed bool, p *StreamPending) ds.Ref {
	var space [pendingFirst + pendingRecordMax]byte
	bytes := appendPending(space[:pendingFirst], p, p.ID, detailed)
	setLastRecord(bytes, pendingFirst)
	ref := t.NewLeaf(len(bytes), 2*len(bytes))
	copy(t.Leaf(ref), bytes)
	return ref
}

// records reads all of a leaf.
func records(leaf []byte, base StreamID, detailed bool, to []StreamPending) []StreamPending {
	for at := pendingFirst; at < len(leaf); {
		p, n := readPending(leaf[at:], base, detailed)
		to = append(to, p)
		at += n
	}
	return to
}

// rebase rewrites the cursor's leaf for a smaller key.
func rebase(t *Tree, c *Cursor, base StreamID, detailed bool) {
	var space [pendingLeafMax / 2]StreamPending
	all := records(t.Leaf(c.Leaf()), c.Key().streamID(), detailed, space[:0])
	ref := rewrite(t, c.Leaf(), all, base, detailed)
	c.Set(ref, base.key(), c.Count())
}

// rewrite makes a leaf have the given records.
func rewrite(t *Tree, ref ds.Ref, all []StreamPending, base StreamID, detailed bool) ds.Ref {
	var space [2 * pendingLeafMax]byte
	bytes := space[:pendingFirst]
	for i := range all {
		setLastRecord(bytes, len(bytes))
		bytes = appendPending(bytes, &all[i], base, detailed)
	}
	ref, fresh := t.Splice(ref, 0, len(t.Leaf(ref)), len(bytes))
	copy(fresh, bytes)
	return ref
}

// splitPending makes two leaves of the cursor's.
func splitPending(t *Tree, c *Cursor, detailed bool) {
	var space [pendingLeafMax / 2]StreamPending
	all := records(t.Leaf(c.Leaf()), c.Key().streamID(), detailed, space[:0])
	if len(all) < 2 {
		return
	}
	middle := len(all) / 2
	ref := rewrite(t, c.Leaf(), all[:middle], c.Key().streamID(), detailed)
	c.Set(ref, c.Key(), middle)
	base := all[middle].ID
	right := rewrite(t, newPending(t, detailed, &all[middle]), all[middle:], base, detailed)
	c.InsertAfter(right, base.key(), len(all)-middle)
}

// removePending removes the record of an ID and tells whether it was there.
func removePending(t *Tree, detailed bool, id StreamID) bool {
	c, at, end, _, found := seekPending(t, detailed, id)
	if !found {
		return false
	}
	if c.Count() == 1 {
		t.FreeLeaf(c.Leaf())
		c.Remove()
		return true
	}
	base := c.Key().streamID()
	last := lastRecord(t.Leaf(c.Leaf()))
	if at < last {
		last -= end - at
	} else {
		for leaf, next := t.Leaf(c.Leaf()), pendingFirst; next < at; {
			last = next
			_, n := readPending(leaf[next:], base, detailed)
			next += n
		}
	}
	ref, _ := t.Splice(c.Leaf(), at, end-at, 0)
	setLastRecord(t.Leaf(ref), last)
	c.Set(ref, c.Key(), c.Count()-1)
	next := c
	used := len(t.Leaf(ref))
	if used > pendingLeafLow || !next.Next() || used+len(t.Leaf(next.Leaf())) > pendingMerged {
		return true
	}
	// A neighbour's records may be longer behind the smaller key.
	var space [pendingLeafMax / 2]StreamPending
	all := records(t.Leaf(ref), base, detailed, space[:0])
	all = records(t.Leaf(next.Leaf()), next.Key().streamID(), detailed, all)
	size := pendingFirst
	for i := range all {
		var one [pendingRecordMax]byte
		size += len(appendPending(one[:0], &all[i], base, detailed))
	}
	if size > pendingLeafMax {
		return true
	}
	c.Set(rewrite(t, ref, all, base, detailed), c.Key(), len(all))
	t.FreeLeaf(next.Leaf())
	next.Remove()
	return true
}

// eachPending calls f with the records from an ID on, until it returns false.
func eachPending(t *Tree, detailed bool, from StreamID, f func(p *StreamPending) bool) {
	if t.depth == 0 {
		return
	}
	var p StreamPending // one for all, since f makes it escape
	for c := t.Seek(from.key(), nil); ; {
		leaf, base := t.Leaf(c.Leaf()), c.Key().streamID()
		for at, n := pendingFirst, 0; at < len(leaf); {
			p, n = readPending(leaf[at:], base, detailed)
			if at += n; !p.ID.Less(from) && !f(&p) {
				return
			}
		}
		if !c.Next() {
			return
		}
	}
}

// Pending is how much is pending in the group.
func (g *StreamGroup) Pending() int { return g.pending.Len() }

// FindPending finds what is pending under an ID.
func (g *StreamGroup) FindPending(id StreamID) (p StreamPending, found bool) {
	_, _, _, p, found = seekPending(&g.pending, true, id)
	return p, found
}

// EachPending calls f with what is pending from an ID on, until it returns false.
func (g *StreamGroup) EachPending(from StreamID, f func(p *StreamPending) bool) {
	eachPending(&g.pending, true, from, f)
}

// NextPending is the first that is pending from an ID on. Unlike EachPending it
// allows changes from one to the next.
func (g *StreamGroup) NextPending(from StreamID) (next StreamPending, found bool) {
	g.EachPending(from, func(p *StreamPending) bool {
		next, found = *p, true
		return false
	})
	return next, found
}

// LastPending is the last ID that is pending; there is one.
func (g *StreamGroup) LastPending() StreamID {
	c := g.pending.Last()
	leaf := g.pending.Leaf(c.Leaf())
	id, _ := readDelta(leaf[lastRecord(leaf):], c.Key().streamID())
	return id
}

// AddPending makes an entry pending, for its consumer and no other any more.
func (g *StreamGroup) AddPending(p *StreamPending) {
	g.stream.changeGroups(false)
	was, found := g.FindPending(p.ID)
	putPending(&g.pending, true, p)
	g.save()
	if found && was.Consumer == p.Consumer {
		return
	}
	if found {
		g.dropID(&was)
	}
	c := g.ConsumerOf(p)
	own := c.tree()
	putPending(&own, false, p)
	c.setTree(&own)
}

// RemovePending removes what is pending under an ID, and tells whether it was.
func (g *StreamGroup) RemovePending(id StreamID) bool {
	was, found := g.FindPending(id)
	if !found {
		return false
	}
	g.stream.changeGroups(false)
	removePending(&g.pending, true, id)
	g.dropID(&was)
	g.save()
	return true
}

// dropID takes an ID from the list of its consumer.
func (g *StreamGroup) dropID(p *StreamPending) {
	c := g.ConsumerOf(p)
	own := c.tree()
	removePending(&own, false, p.ID)
	c.setTree(&own)
}

// Pending is how much is pending for the consumer.
func (c StreamConsumer) Pending() int {
	own := c.tree()
	return own.Len()
}

// EachPending calls f with what is pending for the consumer from an ID on, until
// it returns false. What f changes of it in the group keeps its place.
func (c StreamConsumer) EachPending(from StreamID, f func(p *StreamPending) bool) {
	own := c.tree()
	eachPending(&own, false, from, func(p *StreamPending) bool {
		all, found := c.group.FindPending(p.ID)
		invariant.Assert(found, "something is pending for a consumer and not in its group")
		return f(&all)
	})
}

// checkPending checks a tree of what is pending.
func checkPending(t *Tree, detailed bool) {
	before := StreamID{}
	some := false
	t.check(func(ref ds.Ref, key Key, count int) {
		all := records(t.Leaf(ref), key.streamID(), detailed, nil)
		invariant.Assert(len(all) == count && count > 0, "a leaf counts wrongly")
		invariant.Assert(count == 1 || len(t.Leaf(ref)) <= pendingLeafMax, "a leaf is too long")
		last, _ := readDelta(t.Leaf(ref)[lastRecord(t.Leaf(ref)):], key.streamID())
		invariant.Assert(last == all[count-1].ID, "a leaf does not know its last record")
		for _, p := range all {
			invariant.Assert(!p.ID.Less(key.streamID()), "a leaf has another key than its first ID")
			invariant.Assert(!some || before.Less(p.ID), "IDs out of order")
			before, some = p.ID, true
		}
	})
}

// checkGroup checks a group and its consumers.
func checkGroup(groups *Tree, ref ds.Ref, key Key, count int) {
	g := loadGroup(groups, ref)
	invariant.Assert(count == 1 && key == nameKey(groups.Leaf(ref)[groupNameAt:]), "a group is in the wrong place")
	checkPending(&g.pending, true)
	invariant.Assert(g.numbers.Len() == g.consumers.Len(), "consumers are in one tree only")
	pending := 0
	g.consumers.check(func(ref ds.Ref, key Key, count int) {
		leaf := g.consumers.Leaf(ref)
		invariant.Assert(count == 1 && key == nameKey(leaf[consumerNameAt:]), "a consumer is in the wrong place")
		number := binary.LittleEndian.Uint32(leaf[consumerNumberAt:])
		c := g.numbers.Seek(Key{Hi: uint64(number)}, nil)
		invariant.Assert(c.Leaf() == ref && c.Key().Hi == uint64(number), "a consumer is not found by its number")
		own := LoadTree(groups.arena, leaf[consumerPendingAt:])
		checkPending(&own, false)
		pending += own.Len()
		eachPending(&own, false, StreamID{}, func(p *StreamPending) bool {
			all, found := g.FindPending(p.ID)
			invariant.Assert(found && all.Consumer == number, "something is pending for another consumer")
			return true
		})
	})
	invariant.Assert(pending == g.pending.Len(), "something is pending for nobody")
}
