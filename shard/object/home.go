package object

import "hyperkv/shard/ds"

// A Home is where the root of a collection lives: the value part of its key's
// record. The root of a small collection is all of it; that of a large one leads
// to what it has in the arena of nodes.
type Home interface {
	// Change must be called before the collection changes, and before its first
	// change only does something: it is how everybody who has to know is told.
	Change()
	// Encoding is what the root is to be read as.
	Encoding() Encoding
	SetEncoding(e Encoding)
	// Root is borrowed until the next Resize or SetMemberDeadline.
	Root() []byte
	// Resize makes the root n bytes long and returns it: what was there is kept as
	// far as it fits, what is new is zero.
	Resize(n int) []byte
	// Nodes is the arena for what does not fit the root.
	Nodes() *ds.Arena
	// MemberDeadline is when the first member expires, in Unix milliseconds, 0
	// for never.
	MemberDeadline() int64
	SetMemberDeadline(at int64)
}

// A SelectiveHome is a Home that can be told of a change which is nothing to those
// who watch the key, or to those who wait for it, as Redis' streams have them.
type SelectiveHome interface {
	Home
	ChangeFor(watchers, waiters bool)
}

// Limits are the sizes up to which collections are kept packed, and the sizes of
// their nodes: Redis' settings of the same names. A Limits is immutable.
type Limits struct {
	HashListpackEntries, HashListpackValue int
	SetListpackEntries, SetListpackValue   int
	SetIntsetEntries                       int
	ZSetListpackEntries, ZSetListpackValue int
	// ListListpackSize is a number of elements, or, below 0, a size: -1 for 4 KiB,
	// -2 for 8 KiB, up to -5 for 64 KiB.
	ListListpackSize                   int
	StreamNodeBytes, StreamNodeEntries int
	HLLSparseBytes                     int
}

// DefaultLimits are Redis' defaults.
var DefaultLimits = Limits{
	HashListpackEntries: 512, HashListpackValue: 64,
	SetListpackEntries: 128, SetListpackValue: 64, SetIntsetEntries: 512,
	ZSetListpackEntries: 128, ZSetListpackValue: 64,
	ListListpackSize: -2,
	StreamNodeBytes:  4096, StreamNodeEntries: 100,
	HLLSparseBytes: 3000,
}

// packedBytesMax bounds the root of a packed collection whatever the limits say.
const packedBytesMax = 1 << 28

// treesOf is how many tree states the root of a value begins with. All that a
// value keeps in the arena of nodes hangs on these.
func treesOf(t Type, e Encoding) int {
	switch {
	case t == List && e == Quicklist:
		return 1
	case (t == Hash || t == Set) && e == Hashtable:
		return 2 // members, deadlines
	case t == ZSet && e == Skiplist:
		return 2 // by score, by member
	case t == Stream:
		return streamTrees
	}
	return 0
}

// Remains is what is left to free of a collection whose record is gone.
type Remains struct {
	trees [treesMax]Tree
	count int
	nodes *ds.Arena
	kind  Type
}

const treesMax = 2

// Release takes everything that a value keeps in the arena away from its root,
// which is not used any more. any is false when there is nothing.
func Release(t Type, e Encoding, root []byte, nodes *ds.Arena) (r Remains, any bool) {
	r.count, r.nodes, r.kind = treesOf(t, e), nodes, t
	for i := range r.count {
		r.trees[i] = LoadTree(nodes, root[i*TreeStateBytes:])
	}
	return r, r.count > 0
}

// Free frees up to budget leaves and tells whether there are more.
func (r *Remains) Free(budget int) (more bool) {
	for r.count > 0 {
		t := &r.trees[r.count-1]
		if r.kind == Stream && r.count == streamTrees {
			budget = freeGroups(t, budget)
		}
		for t.depth > 0 {
			if budget <= 0 {
				return true
			}
			t.FreeSome(1)
			budget--
		}
		r.count--
	}
	return false
}

// Copied gives the root of a value, which was copied byte by byte from a value
// whose nodes are in another arena or the same, copies of its own of all that.
func Copied(t Type, e Encoding, root []byte, nodes, from *ds.Arena) {
	for i := range treesOf(t, e) {
		state := root[i*TreeStateBytes:]
		old := LoadTree(from, state)
		fresh := Tree{arena: nodes}
		fresh.CopyFrom(&old)
		if t == Stream && i == streamTrees-1 {
			copyGroups(&fresh, &old)
		}
		fresh.Save(state)
	}
}

// NodeBytes is what a value occupies beside its record.
func NodeBytes(t Type, e Encoding, root []byte, nodes *ds.Arena) (bytes int) {
	for i := range treesOf(t, e) {
		tree := LoadTree(nodes, root[i*TreeStateBytes:])
		bytes += tree.Bytes()
		if t == Stream && i == streamTrees-1 {
			bytes += groupsBytes(&tree)
		}
	}
	return bytes
}
