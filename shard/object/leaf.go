package object

import (
	"encoding/binary"
	"unsafe"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A leaf is a run of packed elements in the arena:
//
//	used 4 │ bytes … │ room to spare
//
// What the bytes are is up to the collection. A leaf that grows gets a little
// more room than it needs, so that not every element moves it.
const leafHeader = 4

// Leaf returns the bytes of a leaf, borrowed until the next change of the tree.
func (t *Tree) Leaf(ref ds.Ref) []byte { return leafBytes(t.arena, ref) }

func leafBytes(arena *ds.Arena, ref ds.Ref) []byte {
	var at unsafe.Pointer
	if ds.IsLarge(ref) {
		at = arena.At(ref)
	} else {
		at = arena.Slot(ref)
	}
	used := binary.LittleEndian.Uint32((*[leafHeader]byte)(at)[:])
	return unsafe.Slice((*byte)(unsafe.Add(at, leafHeader)), used)
}

// NewLeaf makes a leaf of n bytes, whose contents are arbitrary, with room for
// spare more.
func (t *Tree) NewLeaf(n, spare int) ds.Ref {
	size := ds.SlotBytes(leafHeader + n + spare)
	ref := t.arena.Alloc(size)
	t.bytes += t.arena.Occupied(ref)
	t.setUsed(ref, n)
	return ref
}

func (t *Tree) setUsed(ref ds.Ref, n int) {
	binary.LittleEndian.PutUint32((*[leafHeader]byte)(t.arena.At(ref))[:], uint32(n))
}

// FreeLeaf frees a leaf that the tree no longer refers to.
func (t *Tree) FreeLeaf(ref ds.Ref) {
	t.bytes -= t.arena.Occupied(ref)
	t.arena.Free(ref, t.arena.Room(ref))
}

// Splice replaces old bytes at an offset of a leaf by as many as fresh says, and
// returns the leaf, which may have moved, and the place of the fresh bytes, to be
// written by the caller. Whoever holds the leaf's place in the tree must Set it.
func (t *Tree) Splice(ref ds.Ref, at, old, fresh int) (ds.Ref, []byte) {
	bytes := t.Leaf(ref)
	used := len(bytes)
	need := used - old + fresh
	invariant.Assert(at >= 0 && old >= 0 && at+old <= used, "a change beyond a leaf")
	room := t.arena.Room(ref)
	total := leafHeader + need
	stays := total <= room && (total*2 >= room || room <= 64)
	if ds.IsLarge(ref) {
		stays = total > ds.SlotBytesMax
		if stays && total > room {
			before := t.arena.Occupied(ref)
			t.arena.Resize(ref, leafHeader+used, total)
			t.bytes += t.arena.Occupied(ref) - before
		}
	}
	if stays {
		if need > used {
			t.setUsed(ref, need)
		}
		all := unsafe.Slice((*byte)(unsafe.Add(t.arena.At(ref), leafHeader)), max(need, used))
		copy(all[at+fresh:need], all[at+old:used])
		t.setUsed(ref, need)
		return ref, all[at : at+fresh : at+fresh]
	}
	moved := t.NewLeaf(need, max(need/8, min(fresh, 64)))
	to, from := t.Leaf(moved), t.Leaf(ref)
	copy(to, from[:at])
	copy(to[at+fresh:], from[at+old:])
	t.FreeLeaf(ref)
	return moved, to[at : at+fresh : at+fresh]
}

// copyLeaf makes a copy of a leaf of another tree.
func (t *Tree) copyLeaf(from *Tree, ref ds.Ref) ds.Ref {
	bytes := from.Leaf(ref)
	fresh := t.NewLeaf(len(bytes), 0)
	copy(t.Leaf(fresh), bytes)
	return fresh
}

// CopyFrom makes an empty tree a copy of another, maybe in another arena.
func (t *Tree) CopyFrom(from *Tree) {
	if from.depth == 0 {
		return
	}
	for c := from.First(); ; {
		t.Append(t.copyLeaf(from, c.Leaf()), c.Key(), c.Count())
		if !c.Next() {
			return
		}
	}
}
