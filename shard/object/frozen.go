package object

import (
	"bytes"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// Freeze is the collection at h for one who reads it for longer than a slice: it stays
// valid when the collection's record moves, as long as the collection does not change.
func Freeze(h Home) Home { return freeze(h) }

// FreezeCopy is Freeze for a copy of the collection, whose nodes are in the same arena: it
// stays valid when the collection changes. Release frees it.
func FreezeCopy(h reading, t Type) Home {
	f := freeze(h)
	Copied(t, f.encoding, f.root, f.nodes, f.nodes)
	return f
}

// reading is the part of a Home that changes nothing.
type reading interface {
	Encoding() Encoding
	Root() []byte
	Nodes() *ds.Arena
	MemberDeadline() int64
}

func freeze(h reading) *frozen {
	return &frozen{root: bytes.Clone(h.Root()), encoding: h.Encoding(), nodes: h.Nodes(), deadline: h.MemberDeadline()}
}

// frozen has the root with it, which is all that moves.
type frozen struct {
	root     []byte
	encoding Encoding
	nodes    *ds.Arena
	deadline int64
}

func (f *frozen) Encoding() Encoding    { return f.encoding }
func (f *frozen) Root() []byte          { return f.root }
func (f *frozen) Nodes() *ds.Arena      { return f.nodes }
func (f *frozen) MemberDeadline() int64 { return f.deadline }

func (f *frozen) Change()                 { f.refuse() }
func (f *frozen) SetEncoding(Encoding)    { f.refuse() }
func (f *frozen) SetMemberDeadline(int64) { f.refuse() }
func (f *frozen) Resize(int) []byte       { f.refuse(); return nil }

func (f *frozen) refuse() { invariant.Assert(false, "a frozen collection is changed") }
