package object

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A ZSetBuilder collects the members of a sorted set that is then made as a
// whole, without a search for each. It has copies of what it is given, so what
// that came from may change or go meanwhile.
type ZSetBuilder struct {
	entries []zsetEntry
	members []byte // packed
	longest int
	// disorder says that the entries are not known to be in order.
	disorder bool
	// table finds entries by hash, if Merge is used: their numbers from 1 on, 0 for
	// an empty place. Its length is a power of two, at least twice that of entries.
	table []uint32
}

type zsetEntry struct {
	bits   uint64
	member int // where in members
	hash   uint32
}

// Len is how many members there are.
func (b *ZSetBuilder) Len() int { return len(b.entries) }

// Add adds a member that is not there yet. A builder that is given its members in
// order need not sort them.
func (b *ZSetBuilder) Add(member Element, score float64) {
	var scratch [20]byte
	b.add(member, score+0, memberHash(member.Bytes(scratch[:0])))
}

func (b *ZSetBuilder) add(member Element, score float64, hash uint32) {
	e := zsetEntry{bits: orderedBits(score), member: len(b.members), hash: hash}
	b.members = member.AppendPacked(b.members)
	b.longest = max(b.longest, member.Len())
	b.entries = append(b.entries, e)
	if n := len(b.entries); !b.disorder && n > 1 && b.compare(b.entries[n-2], e) > 0 {
		b.disorder = true
	}
}

// Merge adds a member, or, if it is there, makes its score what combine makes of
// both.
func (b *ZSetBuilder) Merge(member Element, score float64, combine func(was, score float64) float64) {
	if 2*len(b.entries) >= len(b.table) {
		b.rehash(max(64, 4*len(b.entries)))
	}
	var scratch [20]byte
	hash := memberHash(member.Bytes(scratch[:0]))
	mask := uint32(len(b.table) - 1)
	place := hash & mask
	for ; b.table[place] != 0; place = (place + 1) & mask {
		e := &b.entries[b.table[place]-1]
		if e.hash == hash && member.PackedIs(b.members[e.member:]) {
			e.bits = orderedBits(combine(scoreOfBits(e.bits), score) + 0)
			b.disorder = true
			return
		}
	}
	b.add(member, score+0, hash)
	b.table[place] = uint32(len(b.entries))
}

// rehash gives the table room for twice as many entries as there are, or more.
func (b *ZSetBuilder) rehash(room int) {
	size := 64
	for size < room {
		size *= 2
	}
	b.table = make([]uint32, size)
	mask := uint32(size - 1)
	for i, e := range b.entries {
		place := e.hash & mask
		for b.table[place] != 0 {
			place = (place + 1) & mask
		}
		b.table[place] = uint32(i + 1)
	}
}

func (b *ZSetBuilder) compare(x, y zsetEntry) int {
	if x.bits != y.bits {
		return cmp.Compare(x.bits, y.bits)
	}
	m, _ := Unpack(b.members[x.member:])
	n, _ := Unpack(b.members[y.member:])
	return m.Compare(n)
}

func (b *ZSetBuilder) sort() {
	if b.disorder {
		slices.SortFunc(b.entries, b.compare)
		b.disorder, b.table = false, nil
	}
}

// Each visits the members in order.
func (b *ZSetBuilder) Each(visit func(member Element, score float64)) {
	b.sort()
	for _, e := range b.entries {
		member, _ := Unpack(b.members[e.member:])
		visit(member, scoreOfBits(e.bits))
	}
}

// Root is the root of a sorted set with these members, at least one; Fill has to
// follow when it is in place.
func (b *ZSetBuilder) Root(l *Limits) (e Encoding, root []byte) {
	e, root = ZSetFor(l, len(b.entries), b.longest)
	if e == Listpack {
		binary.LittleEndian.PutUint16(root, uint16(len(b.entries)))
		b.Each(func(member Element, score float64) {
			root = appendScore(member.AppendPacked(root), score)
		})
	}
	return e, root
}

// Fill completes the sorted set whose root is from Root and is now in h. It has
// been created for that: nothing is told to anybody.
func (b *ZSetBuilder) Fill(h Home, l *Limits) {
	if z := ZSetOf(h, l); z.large() {
		z.fill(b)
	}
}

// fill gives the members to a large sorted set that is empty, leaf by full leaf.
func (z *ZSetView) fill(b *ZSetBuilder) {
	b.sort()
	var leaf []byte
	count := 0
	for _, e := range b.entries {
		packed := b.members[e.member:]
		size := PackedLen(packed)
		if len(leaf) > 0 && len(leaf)+scoreBytes+size > zsetLeafMax {
			z.byScore.appendItems(leaf, count, &zsetByScore)
			leaf, count = leaf[:0], 0
		}
		leaf = append(binary.LittleEndian.AppendUint64(leaf, e.bits), packed[:size]...)
		count++
	}
	z.byScore.appendItems(leaf, count, &zsetByScore)

	slices.SortFunc(b.entries, func(x, y zsetEntry) int {
		if x.hash != y.hash {
			return cmp.Compare(x.hash, y.hash)
		}
		return cmp.Compare(x.bits, y.bits)
	})
	b.disorder = true
	leaf, count = leaf[:0], 0
	for _, e := range b.entries {
		if len(leaf)+memberItem > zsetLeafMax {
			z.byMember.appendItems(leaf, count, &zsetByMember)
			leaf, count = leaf[:0], 0
		}
		leaf = append(leaf, make([]byte, memberItem)...)
		putMember(leaf[len(leaf)-memberItem:], e.hash, e.bits)
		count++
	}
	z.byMember.appendItems(leaf, count, &zsetByMember)
	z.save()
}

// appendItems adds a leaf of count items behind all others.
func (t *Tree) appendItems(bytes []byte, count int, items *leafItems) {
	if count == 0 {
		return
	}
	leaf := t.NewLeaf(len(bytes), 0)
	copy(t.Leaf(leaf), bytes)
	t.Append(leaf, items.key(bytes), count)
}
