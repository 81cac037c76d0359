package object

import "hyperkv/shard/ds"

// A StreamTrim says which entries to remove from the front of a stream.
type StreamTrim struct {
	// ByID removes entries with IDs below MinID; otherwise all but the last MaxLen go.
	ByID   bool
	MinID  StreamID
	MaxLen int64
	// Approx removes whole blocks only.
	Approx bool
	// Limit is how many entries may go at most, 0 for any number.
	Limit int64
	// References is what becomes of entries that groups refer to.
	References References
}

// References says what happens to what groups refer to when entries are deleted.
type References uint8

const (
	// KeepReferences leaves what is pending as it is: it is then about an entry
	// that is gone.
	KeepReferences References = iota
	// DeleteReferences takes deleted entries off the lists of what is pending.
	DeleteReferences
	// KeepReferenced deletes no entry that a group has yet to read, or that is
	// pending in one.
	KeepReferenced
)

// Trim removes entries from the front and returns how many.
func (s *StreamView) Trim(t *StreamTrim) (removed int) {
	if s.groups.Len() > 0 && t.References != KeepReferences {
		return s.trimReferenced(t)
	}
	for s.Len() > 0 && !s.trimmed(t) {
		c := s.entries.First()
		entries := c.Count()
		if t.Limit > 0 && int64(removed+entries) > t.Limit {
			break
		}
		if s.trimsAll(t, &c) {
			s.changeEntries(false)
			s.cut(&c, 0, 0, entries)
			removed += entries
			continue
		}
		if t.Approx {
			break
		}
		b := s.block(&c)
		at, gone := b.first, 0
		for {
			e, next := b.entry(at)
			if t.ByID && !e.ID.Less(t.MinID) || !t.ByID && int64(s.Len()-gone) <= t.MaxLen {
				break
			}
			at = next
			gone++
		}
		if gone > 0 {
			s.changeEntries(false)
			s.cut(&c, b.first, at, gone)
			removed += gone
		}
		break
	}
	if removed > 0 {
		s.save()
	}
	return removed
}

// trimmed tells whether the stream is as short as it is to become.
func (s *StreamView) trimmed(t *StreamTrim) bool { return !t.ByID && int64(s.Len()) <= t.MaxLen }

// trimsAll tells whether all entries of a block are to go.
func (s *StreamView) trimsAll(t *StreamTrim, c *Cursor) bool {
	if !t.ByID {
		return int64(s.Len()-c.Count()) >= t.MaxLen
	}
	b := s.block(c)
	return b.idAt(b.number(blockLastAt)).Less(t.MinID)
}

// trimReferenced is Trim for a stream with groups, whose references are looked
// at entry by entry.
func (s *StreamView) trimReferenced(t *StreamTrim) (removed int) {
	var space [128]StreamID
	for from, passed := (StreamID{}), 0; s.Len() > passed && !s.trimmed(t); {
		// The block behind those that are done with, and the IDs in it.
		c := s.entries.Seek(from.key(), nil)
		b := s.block(&c)
		ids := space[:0]
		for at := b.first; at < len(b.bytes); {
			var e StreamEntry
			if e, at = b.entry(at); !e.ID.Less(from) {
				ids = append(ids, e.ID)
			}
		}
		if len(ids) == 0 {
			if !c.Next() {
				return removed
			}
			from = c.Key().streamID()
			continue
		}
		all := s.trimsAll(t, &c)
		if t.Limit > 0 && int64(removed+c.Count()) > t.Limit || t.Approx && !all {
			return removed
		}
		for _, id := range ids {
			if t.ByID && !id.Less(t.MinID) || s.trimmed(t) {
				return removed
			}
			if s.deleteTrimmed(id, t.References) {
				removed++
			} else {
				passed++
			}
		}
		from, _ = ids[len(ids)-1].Next()
	}
	return removed
}

// deleteTrimmed removes an entry unless references forbid it. Trimming, other
// than deletion, does not count for MaxDeletedID.
func (s *StreamView) deleteTrimmed(id StreamID, references References) bool {
	switch references {
	case KeepReferenced:
		if s.Referenced(id) {
			return false
		}
	case DeleteReferences:
		s.Unreference(id)
	}
	c, at, next, found := s.find(id)
	if !found {
		return false
	}
	s.changeEntries(false)
	s.cut(&c, at, next, 1)
	s.save()
	return true
}

// Referenced tells whether a group has yet to read the entry, or to acknowledge it.
func (s *StreamView) Referenced(id StreamID) (yes bool) {
	s.EachGroup(func(g *StreamGroup) bool {
		if yes = g.LastID().Less(id); !yes {
			_, yes = g.FindPending(id)
		}
		return !yes
	})
	return yes
}

// Unreference takes an ID off what is pending in all groups, and tells whether
// it was pending in any.
func (s *StreamView) Unreference(id StreamID) (any bool) {
	s.EachGroup(func(g *StreamGroup) bool {
		any = g.RemovePending(id) || any
		return true
	})
	return any
}

// groupsBytes is what all groups refer to.
func groupsBytes(t *Tree) (bytes int) {
	eachLeaf(t, func(ref ds.Ref) {
		g := loadGroup(t, ref)
		bytes += g.pending.Bytes() + g.consumers.Bytes() + g.numbers.Bytes()
		eachLeaf(&g.consumers, func(ref ds.Ref) {
			own := LoadTree(t.arena, g.consumers.Leaf(ref)[consumerPendingAt:])
			bytes += own.Bytes()
		})
	})
	return bytes
}

// eachLeaf calls f with the leaves of a tree.
func eachLeaf(t *Tree, f func(ref ds.Ref)) {
	if t.depth == 0 {
		return
	}
	for c := t.First(); ; {
		f(c.Leaf())
		if !c.Next() {
			return
		}
	}
}
