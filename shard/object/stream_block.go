package object

import (
	"encoding/binary"
	"math"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A block is a leaf of entries. Its key is the ID that its first entry had, and
// its names those of that entry: what later entries have in common with it they
// leave out.
//
//	removed 4 │ size 4 │ last 4 │ names │ entry, entry, …
//
//	names: how many │ name …                         packed elements
//	entry: 0 │ ID │ value …                          the names of the block
//	       how many │ ID │ name, value, …            names of its own
//	ID:    milliseconds since the key's │ number since the key's, zigzag
//
// removed counts entries that are gone from the block, size is what the block
// would measure in Redis, where they stay until all of them are gone: by both,
// Redis decides when a block is full, and trimming with ~ shows whole blocks to
// clients. last is where the last entry begins.
type block struct {
	bytes []byte
	base  StreamID
	count int    // names
	names []byte // packed
	first int    // where the first entry begins
}

const (
	blockRemovedAt = 0
	blockSizeAt    = 4
	blockLastAt    = 8
	blockNamesAt   = 12

	// blockBytesMax bounds a block of more than one entry, whatever the limits say.
	blockBytesMax = 256 << 10
)

// openBlock reads what stands before the entries of a leaf.
func openBlock(leaf []byte, base StreamID) block {
	count, n := binary.Uvarint(leaf[blockNamesAt:])
	b := block{bytes: leaf, base: base, count: int(count)}
	at := blockNamesAt + n
	b.first = at
	for range b.count {
		b.first += PackedLen(leaf[b.first:])
	}
	b.names = leaf[at:b.first]
	return b
}

func (b *block) number(at int) int { return int(binary.LittleEndian.Uint32(b.bytes[at:])) }

func (b *block) setNumber(at, n int) { binary.LittleEndian.PutUint32(b.bytes[at:], uint32(n)) }

// A StreamEntry is one entry of a stream, borrowed until the stream's next change.
type StreamEntry struct {
	ID     StreamID
	count  int
	names  []byte // packed; nil when they stand among the values
	values []byte // packed
}

// Len is how many pairs the entry has.
func (e *StreamEntry) Len() int { return e.count }

// Each goes through the pairs.
func (e *StreamEntry) Each(f func(field, value Element)) {
	names, values := e.names, e.values
	for range e.count {
		var field Element
		var n int
		if e.names != nil {
			field, n = Unpack(names)
			names = names[n:]
		} else {
			field, n = Unpack(values)
			values = values[n:]
		}
		value, n := Unpack(values)
		values = values[n:]
		f(field, value)
	}
}

// entry reads the entry at an offset and returns where the next one begins.
func (b *block) entry(at int) (e StreamEntry, next int) {
	own, n := binary.Uvarint(b.bytes[at:])
	at += n
	e.ID, n = readDelta(b.bytes[at:], b.base)
	at += n
	elements := b.count
	if own > 0 {
		e.count, elements = int(own), 2*int(own)
	} else {
		e.count, e.names = b.count, b.names
	}
	next = at
	for range elements {
		next += PackedLen(b.bytes[next:])
	}
	e.values = b.bytes[at:next:next]
	return e, next
}

// seek is where the first entry from an offset on is whose ID is not below the given
// one, or the end.
func (b *block) seek(at int, id StreamID) int {
	p := b.bytes
	for at < len(p) {
		own, n := uvarint(p[at:])
		entry, m := readDelta(p[at+n:], b.base)
		if !entry.Less(id) {
			return at
		}
		elements := b.count
		if own > 0 {
			elements = 2 * int(own)
		}
		for at += n + m; elements > 0; elements-- {
			at += packedLen(p[at:])
		}
	}
	return at
}

// uvarint is binary.Uvarint with a short way for what has one byte.
func uvarint(p []byte) (n uint64, size int) {
	if p[0] < 0x80 {
		return uint64(p[0]), 1
	}
	return binary.Uvarint(p)
}

// idAt reads the ID of the entry at an offset.
func (b *block) idAt(at int) StreamID {
	_, n := binary.Uvarint(b.bytes[at:])
	id, _ := readDelta(b.bytes[at+n:], b.base)
	return id
}

// readDelta reads an ID that is written relative to base.
func readDelta(p []byte, base StreamID) (id StreamID, size int) {
	ms, n := uvarint(p)
	zigzag, m := uvarint(p[n:])
	return StreamID{base.Ms + ms, base.Seq + (zigzag>>1 ^ -(zigzag & 1))}, n + m
}

// appendDelta writes an ID relative to base, which is not above it.
func appendDelta(dst []byte, id, base StreamID) []byte {
	dst = binary.AppendUvarint(dst, id.Ms-base.Ms)
	return binary.AppendVarint(dst, int64(id.Seq-base.Seq))
}

// listpackBytes is what a packed element of n bytes measures in a listpack of
// Redis, which has its length behind it.
func listpackBytes(n int) int {
	switch {
	case n < 1<<7:
		return n + 1
	case n < 1<<14:
		return n + 2
	case n < 1<<21:
		return n + 3
	case n < 1<<28:
		return n + 4
	}
	return n + 5
}

func listpackInt(n int64) int { return listpackBytes(IntElement(n).PackedSize()) }

// listpackFrame is what a listpack measures without any element.
const listpackFrame = 7

// full tells whether Redis would begin another block for an entry of so many
// bytes: b has count entries.
func (s *StreamView) full(b *block, count, bytes int) bool {
	removed := b.number(blockRemovedAt)
	size := b.number(blockSizeAt) + listpackInt(int64(count)) + listpackInt(int64(removed))
	most := s.limits.StreamNodeBytes
	if most <= 0 || most > blockBytesMax {
		most = blockBytesMax
	}
	entries := s.limits.StreamNodeEntries
	return size+bytes >= most || entries > 0 && count+removed >= entries
}

// Append adds an entry of field, value, ... behind all others: its ID is above
// LastID, which it becomes.
func (s *StreamView) Append(id StreamID, pairs [][]byte) {
	invariant.Assert(s.LastID().Less(id), "an entry is added before the end of a stream")
	s.changeEntries(true)
	var space [512]byte
	packed := space[:0]
	bytes := 0
	for _, text := range pairs {
		bytes += len(text)
	}
	t := &s.entries
	c := t.Last()
	if t.depth > 0 {
		b := openBlock(t.Leaf(c.Leaf()), c.Key().streamID())
		if !s.full(&b, c.Count(), bytes) {
			packed, size := b.pack(packed, id, pairs)
			at := len(b.bytes)
			ref, fresh := t.Splice(c.Leaf(), at, 0, len(packed))
			copy(fresh, packed)
			b.bytes = t.Leaf(ref)
			b.setNumber(blockLastAt, at)
			b.setNumber(blockSizeAt, b.number(blockSizeAt)+size)
			c.Set(ref, c.Key(), c.Count()+1)
			s.added(id)
			return
		}
		s.close(&c)
	}
	b := block{base: id, count: len(pairs) / 2}
	size := listpackFrame + listpackInt(int64(b.count)) + listpackInt(0)
	packed = append(packed, make([]byte, blockNamesAt)...)
	packed = binary.AppendUvarint(packed, uint64(b.count))
	names := len(packed)
	for i := 0; i < len(pairs); i += 2 {
		field := ElementOf(pairs[i])
		packed = field.AppendPacked(packed)
		size += listpackBytes(field.PackedSize())
	}
	b.names = packed[names:]
	first := len(packed)
	packed, more := b.pack(packed, id, pairs)
	ref := t.NewLeaf(len(packed), len(packed)/8)
	b.bytes = t.Leaf(ref)
	copy(b.bytes, packed)
	b.setNumber(blockLastAt, first)
	b.setNumber(blockSizeAt, size+more)
	t.Append(ref, id.key(), 1)
	s.addBlocks(1)
	s.added(id)
}

// pack appends an entry as the block writes it, and returns what it adds to the
// size of the block.
func (b *block) pack(dst []byte, id StreamID, pairs [][]byte) (packed []byte, size int) {
	count := len(pairs) / 2
	same := b.hasNames(pairs)
	own, elements := count, 3+2*count+1
	if same {
		own, elements = 0, 3+count
	}
	dst = binary.AppendUvarint(dst, uint64(own))
	dst = appendDelta(dst, id, b.base)
	size = listpackInt(0) + listpackInt(int64(id.Ms-b.base.Ms)) + listpackInt(int64(id.Seq-b.base.Seq)) + listpackInt(int64(elements))
	if !same {
		size += listpackInt(int64(count))
	}
	for i, text := range pairs {
		if same && i%2 == 0 {
			continue
		}
		e := ElementOf(text)
		dst = e.AppendPacked(dst)
		size += listpackBytes(e.PackedSize())
	}
	return dst, size
}

// hasNames tells whether the fields of pairs are the names of the block.
func (b *block) hasNames(pairs [][]byte) bool {
	if len(pairs) != 2*b.count {
		return false
	}
	names := b.names
	for i := 0; i < len(pairs); i += 2 {
		if !ElementOf(pairs[i]).PackedIs(names) {
			return false
		}
		names = names[PackedLen(names):]
	}
	return true
}

// added notes the entry that was added last.
func (s *StreamView) added(id StreamID) {
	root := s.home.Root()
	writeID(root[streamLastAt:], id)
	if added := s.Added(); added < math.MaxInt64 { // clients may set it
		binary.LittleEndian.PutUint64(root[streamAddedAt:], uint64(added+1))
	}
	s.save()
}

// close takes the room to spare from a block that will not grow any more.
func (s *StreamView) close(c *Cursor) {
	t, ref := &s.entries, c.Leaf()
	leaf := t.Leaf(ref)
	if ds.IsLarge(ref) || ds.SlotBytes(leafHeader+len(leaf)) >= t.arena.Room(ref) {
		return
	}
	fresh := t.copyLeaf(t, ref)
	t.FreeLeaf(ref)
	c.Set(fresh, c.Key(), c.Count())
}

// FirstID is the ID of the first entry, 0-0 without any.
func (s *StreamView) FirstID() StreamID {
	if s.Len() == 0 {
		return StreamID{}
	}
	c := s.entries.First()
	b := s.block(&c)
	return b.idAt(b.first)
}

// LastEntryID is the ID of the last entry, 0-0 without any.
func (s *StreamView) LastEntryID() StreamID {
	if s.Len() == 0 {
		return StreamID{}
	}
	c := s.entries.Last()
	b := s.block(&c)
	return b.idAt(b.number(blockLastAt))
}

func (s *StreamView) block(c *Cursor) block {
	return openBlock(s.entries.Leaf(c.Leaf()), c.Key().streamID())
}

// find is the place of an entry, and of the one behind it.
func (s *StreamView) find(id StreamID) (c Cursor, at, next int, found bool) {
	if s.Len() == 0 {
		return c, 0, 0, false
	}
	c = s.entries.Seek(id.key(), nil)
	b := s.block(&c)
	if at = b.seek(b.first, id); at == len(b.bytes) {
		return c, 0, 0, false
	}
	e, next := b.entry(at)
	return c, at, next, e.ID == id
}

// Has tells whether there is an entry with the ID.
func (s *StreamView) Has(id StreamID) bool {
	_, _, _, found := s.find(id)
	return found
}

// EachEntry calls f with the entries in their order, until it returns false.
func (s *StreamView) EachEntry(f func(e *StreamEntry) bool) {
	s.Range(StreamID{}, MaxStreamID, f)
}

// Range calls f with the entries between two IDs, both included, until it
// returns false.
func (s *StreamView) Range(from, to StreamID, f func(e *StreamEntry) bool) {
	if s.Len() == 0 || to.Less(from) {
		return
	}
	var e StreamEntry // one for all, since f makes it escape
	for c := s.entries.Seek(from.key(), nil); ; {
		b := s.block(&c)
		for at := b.seek(b.first, from); at < len(b.bytes); {
			e, at = b.entry(at)
			if to.Less(e.ID) || !f(&e) {
				return
			}
		}
		if !c.Next() {
			return
		}
	}
}

// RevRange is Range in the other direction, from the greater ID to the smaller.
func (s *StreamView) RevRange(from, to StreamID, f func(e *StreamEntry) bool) {
	if s.Len() == 0 || from.Less(to) {
		return
	}
	var e StreamEntry
	var space [128]int
	for c := s.entries.Seek(from.key(), nil); ; {
		b := s.block(&c)
		places := space[:0] // entries can only be told apart from the front
		for at, next := b.first, 0; at < len(b.bytes); at = next {
			if e, next = b.entry(at); from.Less(e.ID) {
				break
			}
			places = append(places, at)
		}
		for i := len(places) - 1; i >= 0; i-- {
			if e, _ = b.entry(places[i]); e.ID.Less(to) || !f(&e) {
				return
			}
		}
		if !c.Prev() {
			return
		}
	}
}

// Delete removes an entry, and tells whether it was there.
func (s *StreamView) Delete(id StreamID) bool {
	c, at, next, found := s.find(id)
	if !found {
		return false
	}
	s.changeEntries(false)
	s.cut(&c, at, next, 1)
	if root := s.home.Root(); s.MaxDeletedID().Less(id) {
		writeID(root[streamDeletedAt:], id)
	}
	s.save()
	return true
}

// cut removes a number of entries that follow one another from a block, and the
// block if they were all. Without that the cursor stays valid.
func (s *StreamView) cut(c *Cursor, at, end, entries int) {
	t, count := &s.entries, c.Count()-entries
	if count == 0 {
		t.FreeLeaf(c.Leaf())
		c.Remove()
		s.addBlocks(-1)
		return
	}
	b := s.block(c)
	last := b.number(blockLastAt) - (end - at)
	if end == len(b.bytes) {
		for next := b.first; next < at; {
			last = next
			_, next = b.entry(next)
		}
	}
	ref, _ := t.Splice(c.Leaf(), at, end-at, 0)
	c.Set(ref, c.Key(), count)
	b.bytes = t.Leaf(ref)
	b.setNumber(blockLastAt, last)
	b.setNumber(blockRemovedAt, b.number(blockRemovedAt)+entries)
}

// checkBlock checks a block of so many entries.
func checkBlock(leaf []byte, base StreamID, count int) {
	b := openBlock(leaf, base)
	before, last := StreamID{}, 0
	entries := 0
	for at := b.first; at < len(leaf); entries++ {
		e, next := b.entry(at)
		invariant.Assert(before.Less(e.ID) && !e.ID.Less(base), "entries out of order")
		before, last, at = e.ID, at, next
	}
	invariant.Assert(entries == count, "a block counts wrongly")
	invariant.Assert(last == b.number(blockLastAt), "a block does not know its last entry")
}
