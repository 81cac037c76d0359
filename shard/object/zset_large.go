package object

import (
	"encoding/binary"
	"math"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

const (
	scoreBytes = 8
	// memberItem is the length of an item of the tree by member.
	memberItem = 4 + scoreBytes
	// zsetLeafMax is how many bytes of items a leaf may have, unless it has only
	// one item: with its header it is in the largest of the finest size classes.
	zsetLeafMax = 512 - leafHeader
	zsetLeafLow = zsetLeafMax / 4 // a leaf with less is merged if it fits a neighbour
	zsetMerged  = zsetLeafMax * 3 / 4
)

// leafItems says how a tree reads its leaves.
type leafItems struct {
	size func(p []byte) int // of the item at the start of p
	key  func(p []byte) Key
}

var (
	zsetByScore = leafItems{scoredLen, func(p []byte) Key {
		var scratch [20]byte
		member, _ := Unpack(p[scoreBytes:])
		return Key{scoredBits(p), prefixOf(member.Bytes(scratch[:0]))}
	}}
	zsetByMember = leafItems{func([]byte) int { return memberItem }, memberKey}
)

// scoredBits are the ordered bits of the score of the item by score at the start of p.
func scoredBits(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

func scoredLen(p []byte) int { return scoreBytes + PackedLen(p[scoreBytes:]) }

// scoredAt reads the item by score at the start of p.
func scoredAt(p []byte) (member Element, score float64, size int) {
	member, size = Unpack(p[scoreBytes:])
	return member, scoreOfBits(scoredBits(p)), scoreBytes + size
}

// prefixOf are the first bytes of a text as a number with the same order.
func prefixOf(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.BigEndian.Uint64(text)
	}
	var padded [8]byte
	copy(padded[:], text)
	return binary.BigEndian.Uint64(padded[:])
}

// memberKey is the key of the item by member at the start of p.
func memberKey(p []byte) Key {
	return Key{uint64(binary.LittleEndian.Uint32(p)), binary.LittleEndian.Uint64(p[4:])}
}

func putMember(p []byte, hash uint32, bits uint64) {
	binary.LittleEndian.PutUint32(p, hash)
	binary.LittleEndian.PutUint64(p[4:], bits)
}

// A scoredPlace is where a member stands in the tree by score, or belongs; of one
// that was looked for, also where its item by member is, or belongs if lone says so:
// if no other member has its hash.
type scoredPlace struct {
	bits            uint64
	leaf            Cursor
	at, size, index int

	hash    uint32
	entry   Cursor
	entryAt int
	lone    bool
}

func (p *scoredPlace) score() float64 { return scoreOfBits(p.bits) }

// find finds a member.
func (z *ZSetView) find(text []byte) (p scoredPlace, ok bool) {
	hash := memberHash(text)
	if z.byMember.Len() == 0 {
		return p, false
	}
	e := ElementOf(text)
	c := z.byMember.seekHash(uint64(hash))
	leaf := z.byMember.Leaf(c.Leaf())
	at := searchMember(leaf, Key{Hi: uint64(hash)})
	first, firstAt := c, at
	for ; ; at += memberItem {
		if at == len(leaf) {
			if !c.Next() {
				break
			}
			leaf, at = z.byMember.Leaf(c.Leaf()), 0
		}
		k := memberKey(leaf[at:])
		if k.Hi != uint64(hash) {
			break
		}
		if p, ok = z.locate(k.Lo, text, e); ok {
			p.hash, p.entry, p.entryAt = hash, c, at
			return p, true
		}
		firstAt = -1
	}
	if firstAt >= 0 {
		p.entry, p.entryAt, p.lone = first, firstAt, true
	}
	p.hash = hash
	return p, false
}

// locate finds the place of a member with a score in the tree by score, which is
// not empty, and tells whether it is there.
func (z *ZSetView) locate(bits uint64, text []byte, e Element) (p scoredPlace, ok bool) {
	t := &z.byScore
	p.bits = bits
	p.leaf = t.Seek(Key{bits, prefixOf(text)}, func(leaf ds.Ref) int {
		first, _ := Unpack(t.Leaf(leaf)[scoreBytes:])
		return first.Compare(e)
	})
	for leaf := t.Leaf(p.leaf.Leaf()); p.at < len(leaf); p.index++ {
		item := leaf[p.at:]
		size := scoredLen(item)
		if other := scoredBits(item); other >= bits {
			if other > bits {
				break
			}
			member, _ := Unpack(item[scoreBytes:])
			if order := member.Compare(e); order >= 0 {
				p.size = size
				return p, order == 0
			}
		}
		p.at += size
	}
	return p, false
}

// seekScore finds the first member whose score is not below the given one: its
// leaf, and its place and its number there, which are the end of the leaf when
// that member is in the next one or nowhere. The tree by score is not empty.
func (z *ZSetView) seekScore(bits uint64) (c Cursor, at, index int) {
	c = z.byScore.Seek(Key{Hi: bits}, func(ds.Ref) int { return 1 })
	leaf := z.byScore.Leaf(c.Leaf())
	for at < len(leaf) && scoredBits(leaf[at:]) < bits {
		at += scoredLen(leaf[at:])
		index++
	}
	return c, at, index
}

// add is Add to a large sorted set.
func (z *ZSetView) add(member []byte, score float64) (was float64, existed bool) {
	bits, e := orderedBits(score), ElementOf(member)
	p, existed := z.find(member)
	if existed {
		if p.bits == bits {
			return score, true
		}
		was = p.score()
		z.home.Change()
		if !z.byMember.rescore(&p, bits) {
			z.byMember.cut(&p.entry, p.entryAt, memberItem, 1, &zsetByMember)
			z.byMember.remember(p.hash, bits)
		}
		if z.byScore.shift(&p, bits, e) {
			z.save()
			return was, true
		}
		z.byScore.cut(&p.leaf, p.at, p.size, 1, &zsetByScore)
	} else {
		z.home.Change()
		if p.lone {
			z.byMember.rememberAt(&p.entry, p.entryAt, p.hash, bits)
		} else {
			z.byMember.remember(memberHash(member), bits)
		}
	}
	size := scoreBytes + e.PackedSize()
	var item []byte
	var c Cursor
	if z.byScore.Len() == 0 {
		c, item = z.byScore.begin(size)
	} else {
		at, _ := z.locate(bits, member, e)
		c = at.leaf
		item = z.byScore.open(&c, at.at, size)
	}
	binary.LittleEndian.PutUint64(item, bits)
	e.Pack(item[scoreBytes:])
	z.byScore.settle(&c, &zsetByScore)
	z.save()
	return was, existed
}

// enlarge makes a packed sorted set a large one.
func (z *ZSetView) enlarge() {
	var b ZSetBuilder
	z.eachPacked(func(member Element, score float64) bool {
		b.Add(member, score)
		return true
	})
	z.home.SetEncoding(Skiplist)
	clear(z.home.Resize(2 * TreeStateBytes))
	*z = ZSetOf(z.home, z.limits)
	z.fill(&b)
}

// searchMember is the place of the first item by member that is not before key.
func searchMember(leaf []byte, key Key) int {
	low, high := 0, len(leaf)/memberItem
	for low < high {
		middle := (low + high) / 2
		if memberKey(leaf[middle*memberItem:]).Less(key) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low * memberItem
}

// remember adds an item to the tree by member.
func (t *Tree) remember(hash uint32, bits uint64) {
	if t.Len() == 0 {
		c, item := t.begin(memberItem)
		putMember(item, hash, bits)
		t.settle(&c, &zsetByMember)
		return
	}
	key := Key{uint64(hash), bits}
	c := t.Seek(key, nil)
	t.rememberAt(&c, searchMember(t.Leaf(c.Leaf()), key), hash, bits)
}

// rememberAt is remember where the place of the item is known.
func (t *Tree) rememberAt(c *Cursor, at int, hash uint32, bits uint64) {
	putMember(t.open(c, at, memberItem), hash, bits)
	t.settle(c, &zsetByMember)
}

// forget removes an item, which is there, from the tree by member.
func (t *Tree) forget(hash uint32, bits uint64) {
	key := Key{uint64(hash), bits}
	c := t.seekHash(key.Hi)
	leaf := t.Leaf(c.Leaf())
	at := searchMember(leaf, key)
	for at == len(leaf) { // others with the hash come before
		more := c.Next()
		invariant.Assert(more, "a member's score is not in the tree by member")
		leaf = t.Leaf(c.Leaf())
		at = searchMember(leaf, key)
	}
	t.cut(&c, at, memberItem, 1, &zsetByMember)
}

// rescore changes the score of a found member's item in the tree by member where
// it stands, if its neighbours show that it may stay there.
func (t *Tree) rescore(p *scoredPlace, bits uint64) bool {
	leaf, at := t.Leaf(p.entry.Leaf()), p.entryAt
	if at == 0 || at+memberItem == len(leaf) {
		return false
	}
	hash := uint64(p.hash)
	if memberKey(leaf[at-memberItem:]).Hi == hash || memberKey(leaf[at+memberItem:]).Hi == hash {
		return false
	}
	putMember(leaf[at:], p.hash, bits)
	return true
}

// shift changes the score of a found member in the tree by score, if it keeps its
// leaf and neither is at an end of that nor comes to be there.
func (t *Tree) shift(p *scoredPlace, bits uint64, e Element) bool {
	leaf := t.Leaf(p.leaf.Leaf())
	end := p.at + p.size
	if p.at == 0 || end == len(leaf) {
		return false
	}
	to := 0
	for to < len(leaf) {
		other := scoredBits(leaf[to:])
		member, size := Unpack(leaf[to+scoreBytes:])
		if to != p.at && (other > bits || other == bits && member.Compare(e) > 0) {
			break
		}
		to += scoreBytes + size
	}
	if to == 0 || to == len(leaf) {
		return false
	}
	var space [zsetLeafMax]byte
	item := space[:copy(space[:], leaf[p.at:end])]
	binary.LittleEndian.PutUint64(item, bits)
	if to > p.at {
		copy(leaf[p.at:], leaf[end:to])
		to -= len(item)
	} else {
		copy(leaf[to+len(item):], leaf[to:p.at])
	}
	copy(leaf[to:], item)
	return true
}

// Leaves of items. An item is inserted in two steps: open or begin makes the gap,
// which the caller fills, and settle puts the leaf in order again.

// begin makes the first leaf of an empty tree, with a gap for one item.
func (t *Tree) begin(size int) (c Cursor, gap []byte) {
	leaf := t.NewLeaf(size, 0)
	t.Append(leaf, Key{}, 1)
	return t.First(), t.Leaf(leaf)
}

// open makes a gap for one item in the cursor's leaf. What comes behind the last
// item of the last leaf, when that is full, begins a leaf of its own, so that
// what is inserted in order leaves full leaves behind.
func (t *Tree) open(c *Cursor, at, size int) (gap []byte) {
	leaf := c.Leaf()
	if used := len(t.Leaf(leaf)); at == used && used+size > zsetLeafMax {
		if next := *c; !next.Next() {
			leaf = t.NewLeaf(size, 0)
			c.InsertAfter(leaf, Key{math.MaxUint64, math.MaxUint64}, 1)
			return t.Leaf(leaf)
		}
	}
	leaf, gap = t.Splice(leaf, at, 0, size)
	c.Set(leaf, c.Key(), c.Count()+1)
	return gap
}

// settle gives the cursor's leaf its key, and splits it if it is too large.
func (t *Tree) settle(c *Cursor, items *leafItems) {
	leaf := t.Leaf(c.Leaf())
	if key := items.key(leaf); key != c.Key() {
		c.Set(c.Leaf(), key, c.Count())
	}
	for len(leaf) > zsetLeafMax && c.Count() > 1 {
		// The left part is half of the leaf, but neither too large nor empty.
		cut, count := items.size(leaf), 1
		for cut < len(leaf)/2 {
			size := items.size(leaf[cut:])
			if cut+size > zsetLeafMax || cut+size == len(leaf) {
				break
			}
			cut += size
			count++
		}
		behind := c.Count() - count
		right := t.NewLeaf(len(leaf)-cut, 0)
		copy(t.Leaf(right), leaf[cut:])
		left, _ := t.Splice(c.Leaf(), cut, len(leaf)-cut, 0)
		c.Set(left, c.Key(), count)
		leaf = t.Leaf(right)
		c.InsertAfter(right, items.key(leaf), behind)
	}
}

// cut takes a number of items out of the cursor's leaf, which is merged with a
// neighbour when little is left. The cursor is no longer valid.
func (t *Tree) cut(c *Cursor, at, size, count int, items *leafItems) {
	if count == c.Count() {
		t.FreeLeaf(c.Leaf())
		c.Remove()
		return
	}
	ref, _ := t.Splice(c.Leaf(), at, size, 0)
	leaf := t.Leaf(ref)
	key := c.Key()
	if at == 0 {
		key = items.key(leaf)
	}
	c.Set(ref, key, c.Count()-count)
	if len(leaf) >= zsetLeafLow {
		return
	}
	if next := *c; next.Next() && len(leaf)+len(t.Leaf(next.Leaf())) <= zsetMerged {
		t.join(c, &next)
	} else if before := *c; before.Prev() && len(leaf)+len(t.Leaf(before.Leaf())) <= zsetMerged {
		t.join(&before, c)
	}
}

// join moves the items of a leaf to the end of the leaf before it.
func (t *Tree) join(left, right *Cursor) {
	from := right.Leaf()
	used, size := len(t.Leaf(left.Leaf())), len(t.Leaf(from))
	leaf, gap := t.Splice(left.Leaf(), used, 0, size)
	copy(gap, t.Leaf(from))
	left.Set(leaf, left.Key(), left.Count()+right.Count())
	t.FreeLeaf(from)
	right.Remove()
}
