package keyspace

import (
	"math"
	"slices"
	"unsafe"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// deadlines orders the volatile keys of a database by (deadline, Ref).
//
//	top                 nodes                      leaves: Refs, in no order
//	┌─────────────┐     ┌───────────────────┐     ┌───────────────────────┐
//	│ fence, node │───► │ fence, leaf       │───► │ count │ Ref Ref Ref … │
//	│ fence, node │     │ fence, leaf       │──┐  └───────────────────────┘
//	│      …      │     │        …          │  └► …
//	└─────────────┘     └───────────────────┘
//
// A fence is the lowest (deadline, Ref) that belongs behind it. An entry is a
// Ref alone, four bytes: the deadline itself stands in the record, and is read
// when a leaf is divided. A leaf is put in order when it has become the first
// and its time has come. So nothing cascades, a key is in exactly one place,
// and the longest step handles one leaf or one node, however many keys share a
// deadline.
//
// Owned by the shard's turn.
type deadlines struct {
	arena ds.Arena
	top   []fence
	count int

	// lowest is at most the earliest deadline. It is exact unless the key that
	// had it was deleted or given another deadline.
	lowest int64

	// highest is at least the latest (deadline, Ref): what lies beyond goes to
	// the end without a search. Keys that all live equally long arrive so, and
	// fill their leaves completely.
	highest fence

	// members says that the deadlines are those of the first member of a
	// collection to expire, not those of keys.
	members bool

	// sorted: the first leaf is in descending order, the next to expire last.
	sorted bool
}

// A fence is a point in the order, with what lies behind it.
type fence struct {
	at    int64
	tie   ds.Ref
	below ds.Ref // leaf or node
}

func (f fence) less(g fence) bool { return f.at < g.at || f.at == g.at && f.tie < g.tie }

const (
	blockHeader = 8
	leafMax     = 126
	nodeMax     = 127

	// Neighbours are merged when one falls below a quarter of the maximum and
	// both together leave a quarter free.
	sparseLeaf, mergedLeaf = leafMax / 4, leafMax * 3 / 4
	sparseNode, mergedNode = nodeMax / 4, nodeMax * 3 / 4
)

// block is the header of a leaf or a node.
type block struct {
	count uint32
	node  uint32 // 1 for a node
}

// leafSizes and nodeSizes are the capacities that blocks grow through; with
// the header they fill size classes.
var (
	leafSizes = [...]int{2, 6, 14, 30, 46, 62, 78, 94, 110, leafMax}
	nodeSizes = [...]int{1, 3, 7, 15, 31, 63, nodeMax}
)

func sizeAtLeast(sizes []int, n int) int {
	for _, size := range sizes {
		if size >= n {
			return size
		}
	}
	panic("invariant violated: a block of the deadlines is too full")
}

func leafBytes(capacity int) int { return blockHeader + 4*capacity }
func nodeBytes(capacity int) int { return blockHeader + 16*capacity }

func (t *deadlines) block(ref ds.Ref) *block { return (*block)(t.arena.At(ref)) }

// leaf returns the entries of a leaf; its capacity is that of its block.
func (t *deadlines) leaf(ref ds.Ref) []ds.Ref {
	p := t.arena.At(ref)
	room := (t.arena.Room(ref) - blockHeader) / 4
	return unsafe.Slice((*ds.Ref)(unsafe.Add(p, blockHeader)), min(room, leafMax))[:(*block)(p).count]
}

func (t *deadlines) node(ref ds.Ref) []fence {
	p := t.arena.At(ref)
	room := (t.arena.Room(ref) - blockHeader) / 16
	return unsafe.Slice((*fence)(unsafe.Add(p, blockHeader)), min(room, nodeMax))[:(*block)(p).count]
}

// newLeaf returns a leaf that holds copies of entries and has room for extra
// more.
func (t *deadlines) newLeaf(entries []ds.Ref, extra int) ds.Ref {
	capacity := sizeAtLeast(leafSizes[:], len(entries)+extra)
	ref := t.arena.Alloc(leafBytes(capacity))
	*t.block(ref) = block{count: uint32(len(entries))}
	copy(t.leaf(ref), entries)
	return ref
}

func (t *deadlines) newNode(fences []fence, extra int) ds.Ref {
	capacity := sizeAtLeast(nodeSizes[:], len(fences)+extra)
	ref := t.arena.Alloc(nodeBytes(capacity))
	*t.block(ref) = block{count: uint32(len(fences)), node: 1}
	copy(t.node(ref), fences)
	return ref
}

// free gives back a block; its requested size was that of its class, or less
// by a rounding that the sizes avoid.
func (t *deadlines) free(ref ds.Ref) {
	n := t.arena.Room(ref)
	if t.block(ref).node != 0 {
		n = nodeBytes((n - blockHeader) / 16)
	} else {
		n = leafBytes((n - blockHeader) / 4)
	}
	t.arena.Free(ref, n)
}

func (t *deadlines) bytes() int64 { return t.arena.Bytes() + int64(cap(t.top))*16 }

// search returns the index of the last fence that is not above key, or 0: the
// first of a level stands for everything below it.
func search(fences []fence, key fence) int {
	last := len(fences) - 1
	if last <= 0 || !key.less(fences[last]) {
		return max(last, 0)
	}
	low, high := 0, last // fences[low] <= key < fences[high], or low is 0
	for high-low > 1 {
		middle := int(uint(low+high) / 2)
		if key.less(fences[middle]) {
			high = middle
		} else {
			low = middle
		}
	}
	return low
}

// A position names a leaf by its place in the top and in its node.
type position struct{ top, node int }

func (t *deadlines) find(key fence) position {
	i := search(t.top, key)
	return position{i, search(t.node(t.top[i].below), key)}
}

func (t *deadlines) at(p position) *fence { return &t.node(t.top[p.top].below)[p.node] }

func (t *deadlines) isFirst(p position) bool { return p.top == 0 && p.node == 0 }

func (t *deadlines) isLast(p position) bool {
	return p.top == len(t.top)-1 && p.node == len(t.node(t.top[p.top].below))-1
}

// insert adds a record. Its deadline must be written in it already.
func (t *deadlines) insert(at int64, ref ds.Ref, records *ds.Arena) {
	key := fence{at: at, tie: ref}
	if t.count == 0 || at < t.lowest {
		t.lowest = at
	}
	t.count++
	if len(t.top) == 0 {
		leaf := t.newLeaf([]ds.Ref{ref}, 0)
		first := fence{at: math.MinInt64, below: leaf}
		first.below = t.newNode([]fence{first}, 0)
		t.top = append(t.top, first)
		t.highest, t.sorted = key, true
		return
	}
	beyond := t.highest.less(key)
	if beyond {
		t.highest = key
	}
	p := t.find(key)
	f := t.at(p)
	leaf := t.leaf(f.below)
	if len(leaf) == leafMax {
		if beyond && t.isLast(p) {
			key.below = t.newLeaf([]ds.Ref{ref}, leafSizes[4]-1)
			t.insertFence(p, key)
			return
		}
		p = t.divide(p, key, records)
		f = t.at(p)
		leaf = t.leaf(f.below)
	}
	if len(leaf) == cap(leaf) {
		grown := t.newLeaf(leaf, 1)
		t.free(f.below)
		f.below = grown
		leaf = t.leaf(grown)
	}
	t.block(f.below).count++
	leaf = leaf[:len(leaf)+1]
	leaf[len(leaf)-1] = ref
	if t.isFirst(p) && len(leaf) > 1 {
		t.sorted = false
	}
}

// of is the deadline of a record that is in the order.
func (t *deadlines) of(r record) int64 {
	if t.members {
		return r.memberDeadline()
	}
	return r.deadline()
}

// order returns the entries of a leaf with their deadlines.
func (t *deadlines) order(leaf []ds.Ref, keys []fence, records *ds.Arena) []fence {
	var sink uint64
	for _, ref := range leaf {
		sink += record{records.At(ref)}.head() // so that the cache misses overlap
	}
	for _, ref := range leaf {
		keys = append(keys, fence{at: t.of(record{records.At(ref)}), tie: ref, below: ds.Ref(sink & 0)})
	}
	return keys
}

// divide splits a full leaf and returns where key belongs now.
func (t *deadlines) divide(p position, key fence, records *ds.Arena) position {
	var room [leafMax]fence
	f := t.at(p)
	leaf := t.leaf(f.below)
	keys := t.order(leaf, room[:0], records)
	middle := len(keys) / 2
	selectMiddle(keys, middle)
	var refs [leafMax]ds.Ref
	for i, k := range keys {
		refs[i] = k.tie
	}
	right := keys[middle]
	right.below = t.newLeaf(refs[middle:len(keys)], 1)
	left := t.newLeaf(refs[:middle], 1)
	t.free(f.below)
	f.below = left
	if t.isFirst(p) {
		t.sorted = false
	}
	t.insertFence(p, right)
	return t.find(key)
}

// selectMiddle puts the element of rank n into its place, and lower ones before
// it.
func selectMiddle(keys []fence, n int) {
	low, high := 0, len(keys)-1
	for low < high {
		pivot := keys[int(uint(low+high)/2)]
		i, j := low, high
		for i <= j {
			for keys[i].less(pivot) {
				i++
			}
			for pivot.less(keys[j]) {
				j--
			}
			if i <= j {
				keys[i], keys[j] = keys[j], keys[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			high = j
		case n >= i:
			low = i
		default:
			return
		}
	}
}

// insertFence puts f behind position p, dividing the node if it is full.
func (t *deadlines) insertFence(p position, f fence) {
	fences := t.node(t.top[p.top].below)
	at := p.node + 1
	if len(fences) == nodeMax {
		middle := nodeMax / 2
		if p.top == len(t.top)-1 && at == nodeMax {
			middle = nodeMax - 1 // keys arrive in order: leave the node full
		}
		right := fences[middle]
		right.below = t.newNode(fences[middle:], 1)
		t.block(t.top[p.top].below).count = uint32(middle)
		t.top = slices.Insert(t.top, p.top+1, right)
		if at > middle {
			p.top++
			at -= middle
		}
		fences = t.node(t.top[p.top].below)
	}
	if len(fences) == cap(fences) {
		grown := t.newNode(fences, 1)
		t.free(t.top[p.top].below)
		t.top[p.top].below = grown
		fences = t.node(grown)
	}
	t.block(t.top[p.top].below).count++
	fences = fences[:len(fences)+1]
	copy(fences[at+1:], fences[at:])
	fences[at] = f
}

// remove takes out a record that was inserted with this deadline.
func (t *deadlines) remove(at int64, ref ds.Ref) {
	p := t.find(fence{at: at, tie: ref})
	f := t.at(p)
	leaf := t.leaf(f.below)
	first := t.isFirst(p)
	last := len(leaf) - 1
	i := last // where it is when the next key to expire is removed
	for i >= 0 && leaf[i] != ref {
		i--
	}
	invariant.Assert(i >= 0, "a volatile record is not where its deadline is")
	if first && t.sorted {
		copy(leaf[i:], leaf[i+1:])
	} else {
		leaf[i] = leaf[last]
	}
	t.block(f.below).count--
	t.count--
	switch {
	case t.count == 0:
		t.close()
	case last == 0:
		t.free(f.below)
		t.removeFence(p)
		if first {
			t.sorted = false
		}
	case last < sparseLeaf:
		t.reduceLeaf(p)
	}
}

// reduceLeaf shrinks a leaf with few entries, or merges it with a neighbour
// in the same node.
func (t *deadlines) reduceLeaf(p position) {
	fences := t.node(t.top[p.top].below)
	for _, left := range [2]int{p.node, p.node - 1} {
		if left < 0 || left+1 >= len(fences) || t.isFirst(position{p.top, left}) {
			continue
		}
		a, b := t.leaf(fences[left].below), t.leaf(fences[left+1].below)
		if len(a)+len(b) > mergedLeaf {
			continue
		}
		var room [leafMax]ds.Ref
		merged := t.newLeaf(append(append(room[:0], a...), b...), 1)
		t.free(fences[left].below)
		t.free(fences[left+1].below)
		fences[left].below = merged
		t.removeFence(position{p.top, left + 1})
		return
	}
	f := &fences[p.node]
	if leaf := t.leaf(f.below); len(leaf)*3 <= cap(leaf) {
		small := t.newLeaf(leaf, 1)
		t.free(f.below)
		f.below = small
	}
}

// removeFence takes out the fence at p, whose leaf is gone.
func (t *deadlines) removeFence(p position) {
	node := t.top[p.top].below
	fences := t.node(node)
	copy(fences[p.node:], fences[p.node+1:])
	t.block(node).count--
	n := len(fences) - 1
	if n == 0 {
		t.free(node)
		t.removeTop(p.top)
		return
	}
	if n >= sparseNode {
		return
	}
	for _, left := range [2]int{p.top, p.top - 1} {
		if left < 0 || left+1 >= len(t.top) {
			continue
		}
		a, b := t.node(t.top[left].below), t.node(t.top[left+1].below)
		if len(a)+len(b) > mergedNode {
			continue
		}
		var room [nodeMax]fence
		merged := t.newNode(append(append(room[:0], a...), b...), 1)
		t.free(t.top[left].below)
		t.free(t.top[left+1].below)
		t.top[left].below = merged
		t.removeTop(left + 1)
		return
	}
	if fences = t.node(node); n*3 <= cap(fences) {
		small := t.newNode(fences, 1)
		t.free(node)
		t.top[p.top].below = small
	}
}

func (t *deadlines) removeTop(i int) {
	t.top = slices.Delete(t.top, i, i+1)
	if n := len(t.top); n*4 < cap(t.top) && cap(t.top) > 16 {
		t.top = append(make([]fence, 0, 2*n), t.top...)
	}
}

// due returns a record whose deadline is not after now, or 0.
func (t *deadlines) due(now int64, records *ds.Arena) ds.Ref {
	if t.count == 0 || now < t.lowest {
		return 0
	}
	leaf := t.leaf(t.at(position{}).below)
	if !t.sorted {
		var room [leafMax]fence
		keys := t.order(leaf, room[:0], records)
		slices.SortFunc(keys, func(a, b fence) int {
			if a.less(b) {
				return 1
			}
			return -1
		})
		for i, k := range keys {
			leaf[i] = k.tie
		}
		t.sorted = true
	}
	ref := leaf[len(leaf)-1]
	t.lowest = t.of(record{records.At(ref)})
	if t.lowest > now {
		return 0
	}
	return ref
}

func (t *deadlines) close() {
	t.arena.Close()
	*t = deadlines{members: t.members}
}

// move gives a leaf or a node another place in the arena.
func (t *deadlines) move(ref ds.Ref, records *ds.Arena) {
	// A record below the block leads to it from the top.
	leaf := ref
	isNode := t.block(ref).node != 0
	if isNode {
		leaf = t.node(ref)[0].below
	}
	sample := t.leaf(leaf)[0]
	p := t.find(fence{at: t.of(record{records.At(sample)}), tie: sample})
	if isNode {
		invariant.Assert(t.top[p.top].below == ref, "a node is not where its first key is")
		t.top[p.top].below = t.newNode(t.node(ref), 0)
	} else {
		invariant.Assert(t.at(p).below == ref, "a leaf is not where its first key is")
		t.at(p).below = t.newLeaf(t.leaf(ref), 0)
	}
	t.free(ref)
}
