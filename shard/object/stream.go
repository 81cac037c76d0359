package object

import (
	"encoding/binary"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// A StreamView is a stream: a log of entries, each with an ID and pairs of texts, and the
// groups of consumers that read it together. It is never packed:
//
//	root: entries 24 │ groups 24 │ last ID 16 │ last deleted ID 16 │ added 8 │ blocks 8
//	           │          └──► one leaf per group, by name: see stream_group.go
//	           └──► blocks of entries, by ID: see stream_block.go
//
// A view holds the states of its trees; there is one at a time for a key.
// Owned by the shard's turn.
type StreamView struct {
	home    Home
	limits  *Limits
	entries Tree
	groups  Tree
}

// streamTrees is how many trees a stream has: its entries, and its groups.
const streamTrees = 2

// Where things are in the root.
const (
	streamEntriesAt = 0
	streamGroupsAt  = TreeStateBytes
	streamLastAt    = 2 * TreeStateBytes
	streamDeletedAt = streamLastAt + idBytes
	streamAddedAt   = streamDeletedAt + idBytes
	streamBlocksAt  = streamAddedAt + 8
	streamRootBytes = streamBlocksAt + 8

	idBytes = 16
)

// EmptyStream is the root of a stream without entries and groups. It is not
// changed by anybody.
var EmptyStream = make([]byte, streamRootBytes)

// StreamOf is the stream at home.
func StreamOf(h Home, l *Limits) StreamView {
	root, nodes := h.Root(), h.Nodes()
	return StreamView{
		home: h, limits: l,
		entries: LoadTree(nodes, root[streamEntriesAt:]),
		groups:  LoadTree(nodes, root[streamGroupsAt:]),
	}
}

// Whom a change of a stream concerns. New entries are what clients wait for, and
// those who watch the key see that there are more or less of them. Groups, and what
// is pending in them, change all the time while they are read: that is nobody's
// affair, except that those who wait in a group have to learn that it is gone.
func (s *StreamView) changeEntries(more bool) { s.changeFor(true, more) }
func (s *StreamView) changeGroups(less bool)  { s.changeFor(false, less) }

func (s *StreamView) changeFor(watchers, waiters bool) {
	if h, ok := s.home.(SelectiveHome); ok {
		h.ChangeFor(watchers, waiters)
		return
	}
	s.home.Change()
}

// save stores the states of the trees after a change.
func (s *StreamView) save() {
	root := s.home.Root()
	s.entries.Save(root[streamEntriesAt:])
	s.groups.Save(root[streamGroupsAt:])
}

// Len is how many entries there are.
func (s *StreamView) Len() int { return s.entries.Len() }

// LastID is the ID that the next entry's has to exceed: as a rule that of the
// entry added last, whether or not it is still there.
func (s *StreamView) LastID() StreamID { return readID(s.home.Root()[streamLastAt:]) }

// MaxDeletedID is the greatest ID that was deleted, other than by trimming.
func (s *StreamView) MaxDeletedID() StreamID { return readID(s.home.Root()[streamDeletedAt:]) }

// Added is how many entries were ever added.
func (s *StreamView) Added() int64 {
	return int64(binary.LittleEndian.Uint64(s.home.Root()[streamAddedAt:]))
}

// Blocks is how many blocks the entries are kept in.
func (s *StreamView) Blocks() int {
	return int(binary.LittleEndian.Uint64(s.home.Root()[streamBlocksAt:]))
}

func (s *StreamView) addBlocks(n int) {
	binary.LittleEndian.PutUint64(s.home.Root()[streamBlocksAt:], uint64(s.Blocks()+n))
}

// SetMeta changes what LastID, MaxDeletedID and Added answer. The last ID must
// not be below that of an entry.
func (s *StreamView) SetMeta(last, maxDeleted StreamID, added int64) {
	s.changeGroups(false) // which read on from there
	root := s.home.Root()
	writeID(root[streamLastAt:], last)
	writeID(root[streamDeletedAt:], maxDeleted)
	binary.LittleEndian.PutUint64(root[streamAddedAt:], uint64(added))
}

func readID(p []byte) StreamID {
	return StreamID{binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])}
}

func writeID(p []byte, id StreamID) {
	binary.LittleEndian.PutUint64(p, id.Ms)
	binary.LittleEndian.PutUint64(p[8:], id.Seq)
}

// unknownRead is a count of entries read that nobody knows, as Redis has it.
const unknownRead = -1

// ReadUpTo is how many entries were added up to and including id, if what the
// stream remembers of deleted ones is enough to tell; otherwise it is below 0.
func (s *StreamView) ReadUpTo(id StreamID) int64 {
	added, last := s.Added(), s.LastID()
	switch {
	case added == 0:
		return 0
	case s.Len() == 0 && !last.Less(id), id == last:
		return added
	case last.Less(id):
		return unknownRead
	}
	first, deleted := s.FirstID(), s.MaxDeletedID()
	if deleted.IsZero() || deleted.Less(first) {
		switch {
		case id.Less(first):
			return max(added-int64(s.Len()), 0) // files may count too few
		case id == first:
			return max(added-int64(s.Len()), 0) + 1
		}
	}
	return unknownRead
}

// DeletedBehind tells whether an entry behind id, or id itself, may have been
// deleted while entries before it are still there.
func (s *StreamView) DeletedBehind(id StreamID) bool {
	deleted := s.MaxDeletedID()
	if s.Len() == 0 || deleted.IsZero() || deleted.Less(s.FirstID()) {
		return false
	}
	return !deleted.Less(id)
}

// check walks the stream and panics on a broken invariant; for tests.
func (s *StreamView) check() {
	blocks := 0
	s.entries.check(func(ref ds.Ref, key Key, count int) {
		blocks++
		checkBlock(s.entries.Leaf(ref), key.streamID(), count)
	})
	invariant.Assert(blocks == s.Blocks(), "a stream counts its blocks wrongly")
	s.groups.check(func(ref ds.Ref, key Key, count int) {
		checkGroup(&s.groups, ref, key, count)
	})
}
