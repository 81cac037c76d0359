package object

import (
	"encoding/binary"
	"math"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A StreamGroup is a group of consumers that share the entries of a stream. It is a
// leaf of its own in the tree of groups, which has them by name:
//
//	pending 24 │ consumers 24 │ numbers 24 │ last ID 16 │ read 8 │ next number 4 │ name
//	     │            │              └──► the same leaves, by number
//	     │            └──► one leaf per consumer, by name
//	     └──► what is pending, by ID: see stream_pending.go
//
// A consumer's leaf, which never moves, has its part of what is pending:
//
//	pending 24 │ number 4 │ seen 8 │ active 8 │ name
//
// A StreamGroup holds the states of its trees; there is one at a time for a group.
type StreamGroup struct {
	stream    *StreamView
	ref       ds.Ref
	pending   Tree
	consumers Tree
	numbers   Tree
}

const (
	groupPendingAt   = 0
	groupConsumersAt = TreeStateBytes
	groupNumbersAt   = 2 * TreeStateBytes
	groupLastAt      = 3 * TreeStateBytes
	groupReadAt      = groupLastAt + idBytes
	groupNextAt      = groupReadAt + 8
	groupNameAt      = groupNextAt + 4

	consumerPendingAt = 0
	consumerNumberAt  = TreeStateBytes
	consumerSeenAt    = consumerNumberAt + 4
	consumerActiveAt  = consumerSeenAt + 8
	consumerNameAt    = consumerActiveAt + 8
)

// nameKey orders leaves by the beginning of their names.
func nameKey(name []byte) Key {
	var p [16]byte
	copy(p[:], name)
	return Key{binary.BigEndian.Uint64(p[:]), binary.BigEndian.Uint64(p[8:])}
}

// seekName is the cursor of the last leaf whose name, which begins at an offset,
// is not behind the given one, or of the first.
func seekName(t *Tree, name []byte, at int) (c Cursor, found bool) {
	if t.depth == 0 {
		return c, false
	}
	c = t.Seek(nameKey(name), func(leaf ds.Ref) int { return compareBytes(t.Leaf(leaf)[at:], name) })
	return c, string(t.Leaf(c.Leaf())[at:]) == string(name)
}

// insertLeaf puts a leaf of one element behind the cursor's, which comes from a
// Seek of its place; before says that it belongs before it, at the front.
func insertLeaf(t *Tree, c *Cursor, ref ds.Ref, key Key, before bool) {
	switch {
	case t.depth == 0:
		t.Append(ref, key, 1)
	case before:
		first, at, count := c.Leaf(), c.Key(), c.Count()
		c.Set(ref, key, 1)
		c.InsertAfter(first, at, count)
	default:
		c.InsertAfter(ref, key, 1)
	}
}

// insertName puts the leaf of a name where seekName has looked for it.
func insertName(t *Tree, c *Cursor, ref ds.Ref, name []byte, at int) {
	before := t.depth > 0 && compareBytes(t.Leaf(c.Leaf())[at:], name) > 0
	insertLeaf(t, c, ref, nameKey(name), before)
}

func loadGroup(groups *Tree, ref ds.Ref) StreamGroup {
	leaf := groups.Leaf(ref)
	return StreamGroup{
		ref:       ref,
		pending:   LoadTree(groups.arena, leaf[groupPendingAt:]),
		consumers: LoadTree(groups.arena, leaf[groupConsumersAt:]),
		numbers:   LoadTree(groups.arena, leaf[groupNumbersAt:]),
	}
}

// saveGroup stores the states of a group's trees in its leaf.
func saveGroup(groups *Tree, g *StreamGroup) {
	leaf := groups.Leaf(g.ref)
	g.pending.Save(leaf[groupPendingAt:])
	g.consumers.Save(leaf[groupConsumersAt:])
	g.numbers.Save(leaf[groupNumbersAt:])
}

func (g *StreamGroup) save() { saveGroup(&g.stream.groups, g) }

func (g *StreamGroup) leaf() []byte { return g.stream.groups.Leaf(g.ref) }

// Groups is how many groups there are.
func (s *StreamView) Groups() int { return s.groups.Len() }

// Group finds a group by its name.
func (s *StreamView) Group(name []byte) (g StreamGroup, found bool) {
	c, found := seekName(&s.groups, name, groupNameAt)
	if !found {
		return StreamGroup{}, false
	}
	g = loadGroup(&s.groups, c.Leaf())
	g.stream = s
	return g, true
}

// EachGroup calls f with the groups in the order of their names, until it returns
// false.
func (s *StreamView) EachGroup(f func(g *StreamGroup) bool) {
	if s.groups.depth == 0 {
		return
	}
	for c := s.groups.First(); ; {
		g := loadGroup(&s.groups, c.Leaf())
		g.stream = s
		if !f(&g) || !c.Next() {
			return
		}
	}
}

// AddGroup makes a group that is not there. read is how many entries it has read,
// below 0 when nobody knows.
func (s *StreamView) AddGroup(name []byte, last StreamID, read int64) StreamGroup {
	s.changeGroups(false)
	c, found := seekName(&s.groups, name, groupNameAt)
	invariant.Assert(!found, "a group is added twice")
	ref := s.groups.NewLeaf(groupNameAt+len(name), 0)
	leaf := s.groups.Leaf(ref)
	clear(leaf[:groupNameAt])
	copy(leaf[groupNameAt:], name)
	insertName(&s.groups, &c, ref, name, groupNameAt)
	s.save()
	g := loadGroup(&s.groups, ref)
	g.stream = s
	g.SetRead(last, read)
	return g
}

// RemoveGroup removes a group and all that is pending in it.
func (s *StreamView) RemoveGroup(name []byte) bool {
	c, found := seekName(&s.groups, name, groupNameAt)
	if !found {
		return false
	}
	s.changeGroups(true)
	freeGroup(&s.groups, c.Leaf(), int(^uint(0)>>1))
	s.groups.FreeLeaf(c.Leaf())
	c.Remove()
	s.save()
	return true
}

// Name is borrowed until the group is removed.
func (g *StreamGroup) Name() []byte { return g.leaf()[groupNameAt:] }

// LastID is the ID up to which the group has read.
func (g *StreamGroup) LastID() StreamID { return readID(g.leaf()[groupLastAt:]) }

// Read is how many entries the group has read, below 0 when nobody knows.
func (g *StreamGroup) Read() int64 { return int64(binary.LittleEndian.Uint64(g.leaf()[groupReadAt:])) }

// SetRead says up to which ID the group has read, and how many entries that were.
func (g *StreamGroup) SetRead(last StreamID, read int64) {
	g.stream.changeGroups(false)
	leaf := g.leaf()
	writeID(leaf[groupLastAt:], last)
	binary.LittleEndian.PutUint64(leaf[groupReadAt:], uint64(read))
}

// Deliver moves the group on to an entry that it reads, one behind the last.
func (g *StreamGroup) Deliver(id StreamID) {
	s, read := g.stream, g.Read()
	switch {
	case read != unknownRead && !s.DeletedBehind(id):
		if read < math.MaxInt64 { // clients may set it
			read++
		}
	case s.Added() != 0:
		read = s.ReadUpTo(id)
	}
	g.SetRead(id, read)
}

// Lag is how many entries the group has yet to read; known is false when deleted
// entries do not let it be told.
func (g *StreamGroup) Lag() (lag int64, known bool) {
	s := g.stream
	if s.Added() == 0 {
		return 0, true
	}
	read := g.Read()
	if read == unknownRead || s.DeletedBehind(g.LastID()) {
		read = s.ReadUpTo(g.LastID())
	}
	if read == unknownRead {
		return 0, false
	}
	return s.Added() - read, true
}

// A StreamConsumer is one of a group, with its part of what is pending.
type StreamConsumer struct {
	group *StreamGroup
	ref   ds.Ref
}

// Consumers is how many there are.
func (g *StreamGroup) Consumers() int { return g.consumers.Len() }

// Consumer finds a consumer by its name.
func (g *StreamGroup) Consumer(name []byte) (c StreamConsumer, found bool) {
	at, found := seekName(&g.consumers, name, consumerNameAt)
	if !found {
		return StreamConsumer{}, false
	}
	return StreamConsumer{g, at.Leaf()}, true
}

// ConsumerOf is the consumer of something that is pending.
func (g *StreamGroup) ConsumerOf(p *StreamPending) StreamConsumer {
	c := g.numbers.Seek(Key{Hi: uint64(p.Consumer)}, nil)
	invariant.Assert(c.Key().Hi == uint64(p.Consumer), "something is pending for nobody")
	return StreamConsumer{g, c.Leaf()}
}

// EachConsumer calls f with the consumers in the order of their names, until it
// returns false.
func (g *StreamGroup) EachConsumer(f func(c StreamConsumer) bool) {
	if g.consumers.depth == 0 {
		return
	}
	for c := g.consumers.First(); f(StreamConsumer{g, c.Leaf()}) && c.Next(); {
	}
}

// AddConsumer makes a consumer that is not there; the times are those of SetSeen
// and SetActive.
func (g *StreamGroup) AddConsumer(name []byte, seen, active int64) StreamConsumer {
	g.stream.changeGroups(false)
	at, found := seekName(&g.consumers, name, consumerNameAt)
	invariant.Assert(!found, "a consumer is added twice")
	number := g.nextNumber()
	ref := g.consumers.NewLeaf(consumerNameAt+len(name), 0)
	leaf := g.consumers.Leaf(ref)
	clear(leaf[:consumerNameAt])
	binary.LittleEndian.PutUint32(leaf[consumerNumberAt:], number)
	copy(leaf[consumerNameAt:], name)
	insertName(&g.consumers, &at, ref, name, consumerNameAt)
	insertNumber(&g.numbers, ref, number)
	g.save()
	c := StreamConsumer{g, ref}
	c.SetSeen(seen)
	c.SetActive(active)
	return c
}

// nextNumber is a number that no consumer has: the next one, until all have been
// given once.
func (g *StreamGroup) nextNumber() (number uint32) {
	p := g.leaf()[groupNextAt:]
	if number = binary.LittleEndian.Uint32(p); number < math.MaxUint32 {
		binary.LittleEndian.PutUint32(p, number+1)
		return number
	}
	number = 0
	for c := g.numbers.First(); c.Valid() && c.Key().Hi == uint64(number); c.Next() {
		number++
	}
	return number
}

// RemoveConsumer removes a consumer with all that is pending for it, and returns
// how much that was.
func (g *StreamGroup) RemoveConsumer(name []byte) (pending int, found bool) {
	at, found := seekName(&g.consumers, name, consumerNameAt)
	if !found {
		return 0, false
	}
	g.stream.changeGroups(false)
	c := StreamConsumer{g, at.Leaf()}
	own := c.tree()
	pending = own.Len()
	eachPending(&own, false, StreamID{}, func(p *StreamPending) bool {
		removePending(&g.pending, true, p.ID)
		return true
	})
	freeTree(&own)
	n := g.numbers.Seek(Key{Hi: uint64(c.Number())}, nil)
	n.Remove()
	g.consumers.FreeLeaf(c.ref)
	at.Remove()
	g.save()
	return pending, true
}

func (c StreamConsumer) leaf() []byte { return c.group.consumers.Leaf(c.ref) }

// tree is the IDs of what is pending for the consumer; a change of it is stored
// with setTree.
func (c StreamConsumer) tree() Tree {
	return LoadTree(c.group.consumers.arena, c.leaf()[consumerPendingAt:])
}

func (c StreamConsumer) setTree(t *Tree) { t.Save(c.leaf()[consumerPendingAt:]) }

// Number tells the consumer apart from the others of the group.
func (c StreamConsumer) Number() uint32 {
	return binary.LittleEndian.Uint32(c.leaf()[consumerNumberAt:])
}

// Name is borrowed until the consumer is removed.
func (c StreamConsumer) Name() []byte { return c.leaf()[consumerNameAt:] }

// Seen is when the consumer last tried something, in Unix milliseconds. As little as
// the access time of a key is it part of what the stream holds: to set it, or when
// the consumer was active, is no change.
func (c StreamConsumer) Seen() int64 { return c.time(consumerSeenAt) }

// Active is when it last got something, below 0 for never.
func (c StreamConsumer) Active() int64 { return c.time(consumerActiveAt) }

// SetSeen changes what Seen answers.
func (c StreamConsumer) SetSeen(at int64) { c.setTime(consumerSeenAt, at) }

// SetActive changes what Active answers.
func (c StreamConsumer) SetActive(at int64) { c.setTime(consumerActiveAt, at) }

func (c StreamConsumer) time(at int) int64 { return int64(binary.LittleEndian.Uint64(c.leaf()[at:])) }

func (c StreamConsumer) setTime(at int, t int64) {
	binary.LittleEndian.PutUint64(c.leaf()[at:], uint64(t))
}

// freeTree frees a tree at once.
func freeTree(t *Tree) {
	for t.FreeSome(1 << 10) {
	}
}

// freeGroup frees up to budget leaves of what a group refers to, and returns what
// is left of the budget: above 0 when nothing is left of the group but its leaf.
func freeGroup(groups *Tree, ref ds.Ref, budget int) int {
	g := loadGroup(groups, ref)
	free := func(t *Tree) {
		for t.depth > 0 && budget > 0 {
			t.FreeSome(1)
			budget--
		}
	}
	free(&g.pending)
	for g.numbers.depth > 0 && budget > 0 {
		c := g.numbers.Last()
		c.Remove() // its leaf belongs to the tree of names
		budget--
	}
	for g.consumers.depth > 0 && budget > 0 {
		c := g.consumers.Last()
		leaf := g.consumers.Leaf(c.Leaf())
		own := LoadTree(groups.arena, leaf[consumerPendingAt:])
		free(&own)
		own.Save(leaf[consumerPendingAt:])
		if own.depth == 0 {
			g.consumers.FreeSome(1)
			budget--
		}
	}
	saveGroup(groups, &g)
	if g.consumers.depth == 0 {
		return max(budget, 1)
	}
	return 0
}

// freeGroups frees up to budget leaves of a tree of groups and of what they refer
// to, and returns what is left of the budget.
func freeGroups(t *Tree, budget int) int {
	for t.depth > 0 && budget > 0 {
		c := t.Last()
		budget = freeGroup(t, c.Leaf(), budget)
		if budget > 0 {
			t.FreeSome(1)
			budget--
		}
	}
	return budget
}

// copyGroups gives the groups of a tree, which were copied from those of another,
// copies of their own of what they refer to.
func copyGroups(fresh, old *Tree) {
	eachLeaf(fresh, func(ref ds.Ref) {
		// The states in the copied leaves are those of the old trees.
		g := loadGroup(fresh, ref)
		was := loadGroup(&Tree{arena: fresh.arena}, ref)
		was.pending.arena, was.consumers.arena = old.arena, old.arena
		g.pending = Tree{arena: fresh.arena}
		g.pending.CopyFrom(&was.pending)
		g.consumers = Tree{arena: fresh.arena}
		g.consumers.CopyFrom(&was.consumers)
		g.numbers = Tree{arena: fresh.arena}
		eachLeaf(&g.consumers, func(ref ds.Ref) {
			leaf := g.consumers.Leaf(ref)
			had := LoadTree(old.arena, leaf[consumerPendingAt:])
			own := Tree{arena: fresh.arena}
			own.CopyFrom(&had)
			own.Save(g.consumers.Leaf(ref)[consumerPendingAt:])
			insertNumber(&g.numbers, ref, binary.LittleEndian.Uint32(leaf[consumerNumberAt:]))
		})
		saveGroup(fresh, &g)
	})
}

// insertNumber puts the leaf of a consumer into the tree by number.
func insertNumber(t *Tree, ref ds.Ref, number uint32) {
	key := Key{Hi: uint64(number)}
	if t.depth == 0 {
		t.Append(ref, key, 1)
		return
	}
	c := t.Seek(key, nil)
	insertLeaf(t, &c, ref, key, key.Less(c.Key()))
}
