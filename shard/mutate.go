package shard

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
)

// op is one of the ways in which a key can change.
type op uint8

const (
	opPutBytes op = iota
	opPutInt
	opResize
	opDeadline
	opDelete
	opExpire // opDelete because the key's time has come
)

// A mutation is one change of one key.
type mutation struct {
	op       op
	key      []byte
	entry    keyspace.Entry // of opResize, opDeadline, opDelete, opExpire
	value    []byte         // of opPutBytes
	number   int64          // of opPutInt
	size     int            // of opResize
	deadline int64          // of opPutBytes, opPutInt, opDeadline
	bytes    []byte         // result of opResize
	// unseen says that the key reads as it did: only its encoding is another. A
	// replay has to see it, a watcher has not.
	unseen bool
}

func (d DB) mutate(m mutation) keyspace.Entry { return d.mutateInto(&m) }

// mutateInto changes a key on behalf of a command.
func (d DB) mutateInto(m *mutation) keyspace.Entry {
	hash := d.call.hashOf(m.key)
	s := d.call.shardOf(m.key, hash)
	d.call.changes++
	return s.apply(d.Number, hash, m, AccessClock(d.call.Now))
}

// apply is the one path on which a key changes, whoever wants it: a command,
// expiry, replay. What must happen with every change happens here: the size is
// accounted (by the database itself), deadlines are ordered and the keeper's
// timer set, watchers are told, and the change is counted. Snapshots, eviction,
// client tracking and CRDT bookkeeping belong here as well. Owned by the turn.
func (s *Shard) apply(database int, hash uint64, m *mutation, access uint32) (e keyspace.Entry) {
	if invariant.Enabled {
		invariant.Assert(s.turn.Load() != turnFree, "a key changed without its shard's turn")
	}
	db := s.databaseForWrite(database)
	if s.watched.any() && !m.unseen {
		// Before the change, because m.key may be borrowed from the record.
		if m.op == opExpire {
			s.watched.expired(database, m.key)
		} else {
			s.watched.touch(database, m.key)
		}
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
	case opDelete, opExpire:
		db.Delete(hash, m.entry)
	}
	if m.deadline != 0 {
		s.expiry.arm(s, m.deadline)
	}
	if m.unseen {
		s.stats.touch(database)
	} else {
		s.stats.changed(database)
	}
	return e
}
