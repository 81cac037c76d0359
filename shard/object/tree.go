package object

import (
	"encoding/binary"
	"unsafe"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A Tree is a counted B+ tree: the order in which a large collection keeps its
// elements. It knows leaves, how many elements each has, and a Key that says
// where each begins; what is inside a leaf is the business of the collection.
//
//	state in the record ──► node ──► node ──► leaf, leaf, leaf …
//	                          └────► node ──► leaf, leaf …
//
//	node: count, room │ (key, leaf or node, elements below) × up to fanMax
//
// A key is where the first leaf below it begins. Elements are found by key or by
// rank, both in a few steps whatever the number, and no step is longer than one leaf.
//
// A Tree is a value: what its state in the record says, plus the arena. A change
// is stored back with Save. Owned by the shard's turn.
type Tree struct {
	arena *ds.Arena
	root  ds.Ref // a node; 0 when the tree is empty
	depth int    // levels of nodes
	count int    // elements
	bytes int    // of nodes and leaves, as the arena has them
}

// A Key orders leaves: by Hi, then by Lo.
type Key struct{ Hi, Lo uint64 }

// Less tells whether k comes before other.
func (k Key) Less(other Key) bool {
	return k.Hi < other.Hi || k.Hi == other.Hi && k.Lo < other.Lo
}

const (
	// TreeStateBytes is how long the state of a tree is in a record.
	TreeStateBytes = 24

	fanMax     = 42 // with its header a full node has 1016 bytes
	fanFirst   = 4
	fanLow     = fanMax / 3 // a node with fewer is merged if it fits a neighbour
	fanMerged  = fanMax * 3 / 4
	levelsMax  = 12
	nodeHeader = 8
)

// branch is one entry of a node.
type branch struct {
	key   Key
	child ds.Ref
	count uint32
}

const branchBytes = int(unsafe.Sizeof(branch{}))

// A node is an inner node in the arena.
type node struct{ at unsafe.Pointer }

func (n node) count() int          { return int(*(*uint16)(n.at)) }
func (n node) setCount(c int)      { *(*uint16)(n.at) = uint16(c) }
func (n node) room() int           { return int(*(*uint16)(unsafe.Add(n.at, 2))) }
func (n node) all() []branch       { return n.branches(n.count()) }
func (n node) entry(i int) *branch { return &n.branches(i + 1)[i] }

// branches returns the first c entries, which must be within the node's room.
func (n node) branches(c int) []branch {
	return unsafe.Slice((*branch)(unsafe.Add(n.at, nodeHeader)), c)
}

// LoadTree reads the state of a tree from its record.
func LoadTree(arena *ds.Arena, state []byte) Tree {
	_ = state[TreeStateBytes-1]
	return Tree{
		arena: arena,
		root:  ds.Ref(binary.LittleEndian.Uint32(state)),
		depth: int(binary.LittleEndian.Uint32(state[4:])),
		count: int(binary.LittleEndian.Uint64(state[8:])),
		bytes: int(binary.LittleEndian.Uint64(state[16:])),
	}
}

// Save writes the state of the tree to its record.
func (t *Tree) Save(state []byte) {
	_ = state[TreeStateBytes-1]
	binary.LittleEndian.PutUint32(state, uint32(t.root))
	binary.LittleEndian.PutUint32(state[4:], uint32(t.depth))
	binary.LittleEndian.PutUint64(state[8:], uint64(t.count))
	binary.LittleEndian.PutUint64(state[16:], uint64(t.bytes))
}

// Len is how many elements there are.
func (t *Tree) Len() int { return t.count }

// Bytes is what nodes and leaves occupy.
func (t *Tree) Bytes() int { return t.bytes }

func (t *Tree) node(ref ds.Ref) node { return node{t.arena.Slot(ref)} }

func nodeBytes(room int) int { return nodeHeader + room*branchBytes }

func (t *Tree) newNode(room int) ds.Ref {
	ref := t.arena.Alloc(nodeBytes(room))
	n := t.node(ref)
	n.setCount(0)
	*(*uint16)(unsafe.Add(n.at, 2)) = uint16(room)
	t.bytes += t.arena.Occupied(ref)
	return ref
}

func (t *Tree) freeNode(ref ds.Ref) {
	t.bytes -= t.arena.Occupied(ref)
	t.arena.Free(ref, nodeBytes(t.node(ref).room()))
}

// A Cursor names one leaf of a tree. It is valid until the next change of the
// tree that is not made through it.
type Cursor struct {
	tree *Tree
	path [levelsMax]step // from the root down
}

type step struct {
	node  ds.Ref
	index int
}

// Valid is false for the cursor of an empty tree, and beyond either end.
func (c *Cursor) Valid() bool { return c.tree != nil && c.tree.depth > 0 && c.path[0].node != 0 }

func (c *Cursor) branch() *branch {
	s := &c.path[c.tree.depth-1]
	return c.tree.node(s.node).entry(s.index)
}

// Leaf is the cursor's leaf.
func (c *Cursor) Leaf() ds.Ref { return c.branch().child }

// Count is how many elements the leaf has.
func (c *Cursor) Count() int { return int(c.branch().count) }

// Key is the leaf's key.
func (c *Cursor) Key() Key { return c.branch().key }

// Rank is how many elements there are before the leaf.
func (c *Cursor) Rank() int {
	rank := 0
	for level := range c.tree.depth {
		s := c.path[level]
		for _, b := range c.tree.node(s.node).branches(s.index) {
			rank += int(b.count)
		}
	}
	return rank
}

// First is the cursor of the first leaf.
func (t *Tree) First() Cursor {
	c := Cursor{tree: t}
	c.descend(0, t.root, false)
	return c
}

// Last is the cursor of the last leaf.
func (t *Tree) Last() Cursor {
	c := Cursor{tree: t}
	c.descend(0, t.root, true)
	return c
}

// descend follows the first or last entries from a node at the given level.
func (c *Cursor) descend(level int, ref ds.Ref, last bool) {
	for ; level < c.tree.depth; level++ {
		n := c.tree.node(ref)
		index := 0
		if last {
			index = n.count() - 1
		}
		c.path[level] = step{ref, index}
		ref = n.entry(index).child
	}
}

// Next moves to the next leaf; false leaves the cursor invalid.
func (c *Cursor) Next() bool { return c.move(c.tree.depth-1, 1) }

// Prev moves to the leaf before; false leaves the cursor invalid.
func (c *Cursor) Prev() bool { return c.move(c.tree.depth-1, -1) }

// move steps to the neighbour of the entry at a level.
func (c *Cursor) move(level, by int) bool {
	at := level
	for at >= 0 {
		s := &c.path[at]
		if i := s.index + by; i >= 0 && i < c.tree.node(s.node).count() {
			s.index = i
			break
		}
		at--
	}
	if at < 0 {
		c.path[0].node = 0
		return false
	}
	for ; at < level; at++ {
		s := c.path[at]
		child := c.tree.node(s.node).entry(s.index).child
		index := 0
		if by < 0 {
			index = c.tree.node(child).count() - 1
		}
		c.path[at+1] = step{child, index}
	}
	return true
}

// AtRank is the cursor of the leaf with the element of the given rank, from 0,
// and the element's number in that leaf. The rank must be below Len.
func (t *Tree) AtRank(rank int) (c Cursor, offset int) {
	invariant.Assert(rank >= 0 && rank < t.count, "a rank beyond the tree")
	c.tree = t
	ref := t.root
	for level := range t.depth {
		all := t.node(ref).all()
		i := 0
		for rank >= int(all[i].count) {
			rank -= int(all[i].count)
			i++
		}
		c.path[level] = step{ref, i}
		ref = all[i].child
	}
	return c, rank
}

// Seek is the cursor of the last leaf that begins at or before key, or of the
// first leaf. Where keys alone do not decide, first compares the first element
// of a leaf with what is sought: it returns a number above 0 if that comes
// after. Without first, equal keys count as the same place.
func (t *Tree) Seek(key Key, first func(leaf ds.Ref) int) (c Cursor) {
	c.tree = t
	ref := t.root
	for level := range t.depth {
		all := t.node(ref).all()
		// Find the last entry that begins at or before key; the first one does.
		low, high := 0, len(all)-1
		for low < high {
			middle := (low + high + 1) / 2
			b := &all[middle]
			after := key.Less(b.key)
			if !after && first != nil && b.key == key {
				after = first(t.leftmost(b.child, level+1)) > 0
			}
			if after {
				high = middle - 1
			} else {
				low = middle
			}
		}
		c.path[level] = step{ref, low}
		ref = all[low].child
	}
	return c
}

// leftmost is the first leaf below a child at the given level.
func (t *Tree) leftmost(ref ds.Ref, level int) ds.Ref {
	for ; level < t.depth; level++ {
		ref = t.node(ref).entry(0).child
	}
	return ref
}

// Set says what has become of the cursor's leaf: its place in the arena, its
// key and how many elements it has, at least one.
func (c *Cursor) Set(leaf ds.Ref, key Key, count int) {
	b := c.branch()
	b.child, b.key = leaf, key
	c.add(count - int(b.count))
	c.raise(c.tree.depth - 1)
}

// raise tells the levels above with which key the node at a level begins, if that
// is the cursor's entry.
func (c *Cursor) raise(level int) {
	for ; level > 0 && c.path[level].index == 0; level-- {
		s := c.path[level-1]
		c.tree.node(s.node).entry(s.index).key = c.tree.node(c.path[level].node).entry(0).key
	}
}

// add counts elements of the cursor's leaf.
func (c *Cursor) add(delta int) {
	if delta == 0 {
		return
	}
	for level := range c.tree.depth {
		s := c.path[level]
		b := c.tree.node(s.node).entry(s.index)
		b.count = uint32(int(b.count) + delta)
	}
	c.tree.count += delta
}

// Append adds a leaf behind all others; key is not below any of theirs.
func (t *Tree) Append(leaf ds.Ref, key Key, count int) {
	if t.depth == 0 {
		t.root = t.newNode(fanFirst)
		t.depth = 1
		n := t.node(t.root)
		n.setCount(1)
		*n.entry(0) = branch{key: key, child: leaf, count: uint32(count)}
		t.count = count
		return
	}
	c := t.Last()
	c.InsertAfter(leaf, key, count)
}

// InsertAfter adds a leaf behind the cursor's, and moves the cursor to it.
func (c *Cursor) InsertAfter(leaf ds.Ref, key Key, count int) {
	for level := range c.tree.depth - 1 {
		s := c.path[level]
		c.tree.node(s.node).entry(s.index).count += uint32(count)
	}
	c.tree.count += count
	c.insert(c.tree.depth-1, branch{key: key, child: leaf, count: uint32(count)})
}

// insert puts an entry behind the cursor's at a level, and points the cursor's
// path at it, down to that level. The counts above already include it.
func (c *Cursor) insert(level int, b branch) {
	t, s := c.tree, &c.path[level]
	n := t.node(s.node)
	count := n.count()
	at := s.index + 1
	if count == n.room() && count < fanMax {
		n = c.widen(level)
	}
	if count < fanMax {
		n.setCount(count + 1)
		all := n.all()
		copy(all[at+1:], all[at:count])
		all[at] = b
		s.index = at
		return
	}
	// Split. What is only ever appended to leaves full nodes behind.
	middle := count / 2
	if at == count {
		middle = count
	}
	right := t.newNode(fanMax)
	n = t.node(s.node)
	rn := t.node(right)
	rn.setCount(count - middle)
	copy(rn.all(), n.all()[middle:])
	n.setCount(middle)
	left := s.node
	toRight := at > middle || at == middle && middle == count
	into, place := n, at
	if toRight {
		into, place = rn, at-middle
	}
	into.setCount(into.count() + 1)
	all := into.all()
	copy(all[place+1:], all[place:len(all)-1])
	all[place] = b

	sum := func(n node) (elements int) {
		for _, b := range n.all() {
			elements += int(b.count)
		}
		return elements
	}
	up := branch{key: rn.entry(0).key, child: right, count: uint32(sum(rn))}
	if level == 0 {
		invariant.Assert(t.depth < levelsMax, "a tree is too deep")
		root := t.newNode(fanFirst)
		r := t.node(root)
		r.setCount(2)
		*r.entry(0) = branch{key: t.node(left).entry(0).key, child: left, count: uint32(sum(t.node(left)))}
		*r.entry(1) = up
		copy(c.path[1:], c.path[:t.depth])
		t.root = root
		t.depth++
		index := 0
		if toRight {
			index = 1
		}
		c.path[0] = step{root, index}
		level = 1
	} else {
		above := c.path[level-1]
		t.node(above.node).entry(above.index).count -= up.count
		c.insert(level-1, up)
		// Whether or not the root was split, the level above is the one before the
		// last that insert has pointed to.
		level = t.levelOf(c, left, right)
		if !toRight {
			c.move(level-1, -1)
		}
	}
	if toRight {
		c.path[level] = step{right, place}
	} else {
		c.path[level] = step{left, place}
	}
}

// levelOf is the level at which the cursor's path goes through one of two nodes,
// of which the first may be outdated by a split above.
func (t *Tree) levelOf(c *Cursor, left, right ds.Ref) int {
	for level := range t.depth {
		if n := c.path[level].node; n == left || n == right {
			return level
		}
	}
	panic("invariant violated: a cursor lost its path")
}

// widen gives the node at a level more room.
func (c *Cursor) widen(level int) node {
	t, s := c.tree, &c.path[level]
	old := t.node(s.node)
	ref := t.newNode(min(2*old.room()+2, fanMax))
	n := t.node(ref)
	n.setCount(old.count())
	copy(n.all(), old.all())
	t.freeNode(s.node)
	c.replace(level, ref)
	return n
}

// replace changes the reference to the node at a level.
func (c *Cursor) replace(level int, ref ds.Ref) {
	c.path[level].node = ref
	if level == 0 {
		c.tree.root = ref
		return
	}
	s := c.path[level-1]
	c.tree.node(s.node).entry(s.index).child = ref
}

// Remove takes the cursor's leaf out of the tree; the caller frees it. The
// cursor is no longer valid.
func (c *Cursor) Remove() {
	c.add(-c.Count())
	c.remove(c.tree.depth - 1)
	c.path[0].node = 0
}

// remove takes the cursor's entry at a level out.
func (c *Cursor) remove(level int) {
	t, s := c.tree, &c.path[level]
	n := t.node(s.node)
	all := n.all()
	copy(all[s.index:], all[s.index+1:])
	n.setCount(len(all) - 1)
	switch {
	case n.count() == 0:
		t.freeNode(s.node)
		if level == 0 {
			t.root, t.depth = 0, 0
			return
		}
		c.remove(level - 1)
	case level == 0:
		for t.depth > 1 && t.node(t.root).count() == 1 {
			old := t.root
			t.root = t.node(old).entry(0).child
			t.depth--
			t.freeNode(old)
		}
	default:
		c.raise(level)
		if n.count() < fanLow {
			c.merge(level)
		}
	}
}

// merge joins the node at a level with a neighbour below the same node, if both
// fit into one.
func (c *Cursor) merge(level int) {
	t := c.tree
	up := &c.path[level-1]
	above := t.node(up.node).all()
	for _, i := range [2]int{up.index, up.index - 1} {
		if i < 0 || i+1 >= len(above) {
			continue
		}
		left, right := t.node(above[i].child), t.node(above[i+1].child)
		count := left.count()
		if count+right.count() > fanMerged {
			continue
		}
		moved := right.all()
		if count+len(moved) > left.room() {
			ref := t.newNode(fanMax)
			wide := t.node(ref)
			wide.setCount(count)
			copy(wide.all(), left.all())
			t.freeNode(above[i].child)
			above[i].child, left = ref, wide
		}
		left.setCount(count + len(moved))
		copy(left.all()[count:], moved)
		above[i].count += above[i+1].count
		t.freeNode(above[i+1].child)
		up.index = i + 1
		c.remove(level - 1)
		return
	}
}

// FreeSome frees up to budget leaves from the end, nodes included, and tells
// whether there are more. It is for a tree that nobody uses any more.
func (t *Tree) FreeSome(budget int) (more bool) {
	for ; budget > 0 && t.depth > 0; budget-- {
		c := t.Last()
		t.FreeLeaf(c.Leaf())
		c.Remove()
	}
	return t.depth > 0
}

// check walks the tree and panics on a broken invariant; for tests.
func (t *Tree) check(leaf func(ref ds.Ref, key Key, count int)) {
	bytes := 0
	var walk func(ref ds.Ref, level int, low *Key) int
	walk = func(ref ds.Ref, level int, low *Key) (elements int) {
		bytes += t.arena.Occupied(ref)
		if level == t.depth {
			return 0
		}
		n := t.node(ref)
		invariant.Assert(n.count() > 0 && n.count() <= n.room() && n.room() <= fanMax, "a node without entries or room")
		for i, b := range n.all() {
			if i > 0 {
				invariant.Assert(!b.key.Less(n.entry(i-1).key), "keys out of order")
			} else if low != nil {
				invariant.Assert(b.key == *low, "a branch has another key than what is below it")
			}
			if level == t.depth-1 {
				bytes += t.arena.Occupied(b.child)
				leaf(b.child, b.key, int(b.count))
				elements += int(b.count)
				continue
			}
			below := walk(b.child, level+1, &b.key)
			invariant.Assert(below == int(b.count), "a branch counts wrongly")
			elements += below
		}
		return elements
	}
	if t.depth == 0 {
		invariant.Assert(t.root == 0 && t.count == 0 && t.bytes == 0, "an empty tree that is not empty")
		return
	}
	invariant.Assert(walk(t.root, 0, nil) == t.count, "a tree counts wrongly")
	invariant.Assert(bytes == t.bytes, "a tree measures wrongly")
}
