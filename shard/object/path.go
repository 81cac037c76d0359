package object

import (
	"unsafe"

	"hyperkv/shard/ds"
)

// A Path leads to where a member is in a large hash, set or sorted set, and brings
// the memory on the way near, one level at a time. A member costs a cache miss or two
// at each of the lower levels; when many are looked for, the misses of all of them
// overlap if each level is touched for all before the next: see shard.Paths.
//
// It is valid until the next change of the arena. Owned by the shard's turn.
type Path struct {
	nodes  *ds.Arena
	ref    ds.Ref // a node, or at depth 0 the leaf
	depth  int    // levels of nodes still to go
	target uint64
	span   span
}

// pathWorth is how many bytes a tree must have for its members not to be near anyway.
const pathWorth = 128 << 10

// PathIn is where the paths to all members of a value begin; ok is false if there
// are none, or the value is so small that nobody needs one.
func PathIn(t Type, e Encoding, root []byte, nodes *ds.Arena) (p Path, ok bool) {
	switch {
	case e == Hashtable && (t == Hash || t == Set):
	case e == Skiplist && t == ZSet:
		root = root[TreeStateBytes:]
	default:
		return p, false
	}
	tree := LoadTree(nodes, root)
	return Path{nodes: nodes, ref: tree.root, depth: tree.depth, span: everyHash}, tree.bytes >= pathWorth
}

// To is the path to a member that begins where p does.
func (p Path) To(member []byte) Path {
	p.target = uint64(memberHash(member))
	return p
}

// Depth is how many steps there are to go.
func (p *Path) Depth() int { return p.depth }

// Touch brings near what the next Step will look at, or at the end of the path the
// leaf. The beginning of it has to be near already.
func (p *Path) Touch() {
	if p.depth > 0 {
		all := node{p.nodes.Slot(p.ref)}.all()
		ds.Prefetch(unsafe.Pointer(&all[p.span.guess(p.target, len(all))]), branchBytes)
		return
	}
	leaf := leafBytes(p.nodes, p.ref)
	ds.Prefetch(unsafe.Pointer(unsafe.SliceData(leaf)), min(len(leaf), dictLeafMax))
}

// Step goes one level down, and asks for the beginning of what is there.
func (p *Path) Step() {
	all := node{p.nodes.Slot(p.ref)}.all()
	i := p.span.place(all, p.target)
	p.span.narrow(all, i)
	p.ref = all[i].child
	p.depth--
	ds.Prefetch(p.nodes.At(p.ref), 1)
}

// A span is the hashes below a node: from low to before high. They are spread
// evenly, so the place of one in the node is guessed from that, and is at most a few
// entries away: it saves most of the cache misses of a binary search.
type span struct{ low, high uint64 }

var everyHash = span{0, 1 << 32}

// guess is about where among n entries of the span a hash is.
func (s span) guess(hash uint64, n int) int {
	if hash <= s.low {
		return 0
	}
	return min(int((hash-s.low)*uint64(n)/(s.high-s.low)), n-1)
}

// place finds the last entry that begins at or before a hash, or the first.
func (s span) place(all []branch, hash uint64) int {
	i := s.guess(hash, len(all))
	for i+1 < len(all) && all[i+1].key.Hi <= hash {
		i++
	}
	for i > 0 && all[i].key.Hi > hash {
		i--
	}
	return i
}

// narrow makes it the span of an entry.
func (s *span) narrow(all []branch, i int) {
	s.low = all[i].key.Hi
	if i+1 < len(all) {
		s.high = max(all[i+1].key.Hi, s.low+1)
	}
}

// seekHash is the cursor of the last leaf that begins below a hash, or of the first:
// the keys of the tree are hashes and something behind them. The tree is not empty.
func (t *Tree) seekHash(hash uint64) (c Cursor) {
	c.tree = t
	within := everyHash
	ref := t.root
	for level := range t.depth {
		all := t.node(ref).all()
		i := within.place(all, hash)
		for i > 0 && all[i].key.Hi == hash {
			i--
		}
		within.narrow(all, i)
		c.path[level] = step{ref, i}
		ref = all[i].child
	}
	return c
}
