package shard

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// op is one of the ways in which a key can change.
type op uint8

const (
	opPutBytes op = iota
	opPutInt
	opResize
	opDeadline
	opPutValue
	opEdit      // a collection is about to change inside
	opCopyValue // a collection is copied to another key
	opMoveValue // the same, for one whose old key goes
	opDelete
	opExpire // opDelete because the key's time has come
)

// A mutation is one change of one key.
type mutation struct {
	op       op
	key      []byte
	entry    keyspace.Entry  // of opResize, opDeadline, opDelete, opExpire
	value    []byte          // of opPutBytes, opPutValue
	number   int64           // of opPutInt
	size     int             // of opResize
	deadline int64           // of all that put, and opDeadline
	bytes    []byte          // result of opResize
	typ      object.Type     // of opPutValue, with value as its root
	encoding object.Encoding // of opPutValue
	from     *keyspace.Value // of opCopyValue and opMoveValue
	// unseen says that the key reads as it did: only its encoding is another. A
	// replay has to see it, a watcher has not.
	unseen bool
	// unwatched says that those who watch the key are not told, unawaited that it
	// cannot end a wait.
	unwatched, unawaited bool
}

func (d DB) mutate(m mutation) keyspace.Entry { return d.mutateInto(&m) }

// mutateInto changes a key on behalf of a command.
func (d DB) mutateInto(m *mutation) keyspace.Entry {
	hash := d.call.hashOf(m.key)
	s := d.call.shardOf(m.key, hash)
	d.call.changes++
	return s.apply(d.Number, hash, m, AccessClock(d.call.Clock))
}

// apply is the one path on which a key changes, whoever wants it: a command,
// expiry, replay. What must happen with every change happens here: a snapshot takes the
// key as it was, the size is accounted (by the database itself), deadlines are
// ordered and the keeper's timer set, watchers are told, keys that somebody waits
// for are noted, and the size is to be published. Eviction, client tracking and CRDT
// bookkeeping belong here as well. Owned by the turn.
func (s *Shard) apply(database int, hash uint64, m *mutation, access uint32) (e keyspace.Entry) {
	if invariant.Enabled {
		invariant.Assert(s.turn.Load() != turnFree, "a key changed without its shard's turn")
	}
	db := s.databaseForWrite(database)
	if s.cut != nil {
		s.cut.takeBefore(s, db, hash, m)
	}
	if s.watched.any() && !m.unseen && !m.unwatched {
		// Before the change, because m.key may be borrowed from the record.
		if m.op == opExpire {
			s.watched.expired(database, m.key)
		} else {
			s.watched.touch(database, m.key)
		}
	}
	if s.waiting.any() && !m.unawaited {
		s.waiting.note(database, m.key)
	}
	switch m.op {
	case opPutBytes:
		e = db.PutBytes(hash, m.key, m.value, m.deadline, access)
	case opPutInt:
		e = db.PutInt(hash, m.key, m.number, m.deadline, access)
	case opResize:
		if !m.entry.Exists() {
			m.entry = db.PutBytes(hash, m.key, nil, 0, access)
		}
		e, m.bytes = db.Resize(hash, m.entry, m.size)
	case opDeadline:
		e = db.SetDeadline(hash, m.entry, m.deadline)
	case opPutValue:
		v := db.PutValue(hash, m.key, m.typ, m.encoding, m.value, m.deadline, access)
		e = v.Entry()
	case opEdit:
		e = m.entry
	case opCopyValue:
		v := db.CopyValue(hash, m.key, *m.from, m.deadline, access)
		s.armMembers(&v)
		e = v.Entry()
	case opMoveValue:
		v := db.MoveValue(hash, m.key, m.from, m.deadline, access)
		s.armMembers(&v)
		e = v.Entry()
	case opDelete, opExpire:
		db.Delete(hash, m.entry)
	}
	if m.deadline != 0 {
		s.expiry.arm(s, m.deadline)
	}
	s.stats.touch(database)
	return e
}

// armMembers makes sure that the keeper acts when the first member expires.
func (s *Shard) armMembers(v *keyspace.Value) {
	if at := v.MemberDeadline(); at != 0 {
		s.expiry.arm(s, at)
	}
}
