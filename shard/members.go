package shard

import (
	"bytes"

	"hyperkv/internal/clock"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// Members of collections expire like keys: the databases keep the collections in
// the order in which their first member does, and the keeper removes members when
// their time has come, or a command that meets one before. What is left of it is
// an HDEL or SREM in the record, and an event.

// memberBatch is how many members of one collection the keeper removes before it
// looks at the clock; one takes about a microsecond.
const memberBatch = 64

// removals are the words in which members that expired are recorded and told.
type removals struct {
	effect []byte
	class  EventClass
	event  string
}

var (
	hashRemovals = removals{effect: []byte("HDEL"), class: EventHash, event: "hexpired"}
	setRemovals  = removals{effect: []byte("SREM"), class: EventSet, event: "sexpired"}
)

func removalsOf(t object.Type) removals {
	if t == object.Set {
		return setRemovals
	}
	return hashRemovals
}

// expireDueMembers removes members of a database's collections whose time has
// come; start is when the slice began. more is true when there was no time for all.
func (s *Shard) expireDueMembers(number int, db *keyspace.DB, now, start int64) (more bool) {
	for {
		e := db.NextMemberDue(now)
		if !e.Exists() {
			return false
		}
		key := bytes.Clone(e.Key())
		hash := Hash(key)
		v := Collection{Value: db.Value(hash, e), shard: s, database: number, hash: hash, key: key}
		s.expireMembers(nil, &v, now, memberBatch)
		if clock.Monotonic()-start > expireSliceNanos {
			return db.NextMemberDue(now).Exists()
		}
	}
}

// expireMembers removes up to budget members whose time has come; c is the call
// that met them, nil for the keeper. It tells whether the key went with the last.
func (s *Shard) expireMembers(c *Call, v *Collection, now int64, budget int) (dropped bool) {
	var gone [][]byte
	left := object.ExpireMembers(v, v.Type(), now, budget, func(member object.Element) {
		gone = append(gone, member.Append(nil))
	})
	return s.membersExpired(c, v, gone, left)
}

// membersExpired tells everybody that members of a collection have been removed
// because their time had come, and removes the key if none is left.
func (s *Shard) membersExpired(c *Call, v *Collection, gone [][]byte, left int) (dropped bool) {
	if len(gone) == 0 {
		return false
	}
	s.stats.membersExpired(len(gone))
	words := removalsOf(v.Type())
	if s.set.effects != nil {
		s.emit(c, v.database, append([][]byte{words.effect, v.key}, gone...))
	}
	if left == 0 {
		s.apply(v.database, v.hash, &mutation{op: opDelete, key: v.key, entry: v.Entry()}, 0)
	}
	if hook := s.set.hooks.Event; hook != nil {
		hook(s, v.database, words.class, words.event, v.key)
		if left == 0 {
			hook(s, v.database, EventGeneric, "del", v.key)
		}
	}
	return left == 0
}

// ExpireMembers removes members that a command has found past their deadline, as
// far as they are there, and tells whether the key went with the last of them. It
// is not the command that changes the collection by it. Views of the collection
// are no longer valid.
func (d DB) ExpireMembers(v *Collection, members ...[]byte) (dropped bool) {
	return d.asExpiry(v, func(s *Shard) bool {
		var gone [][]byte
		left := 1
		for _, member := range members {
			there := false
			if there, left = object.RemoveMember(v, v.Type(), member); there {
				gone = append(gone, member)
			}
			if left == 0 {
				break
			}
		}
		return s.membersExpired(d.call, v, gone, left)
	})
}

// ExpireDueMembers is ExpireMembers for all members that are past their deadline.
func (d DB) ExpireDueMembers(v *Collection) (dropped bool) {
	if at := v.MemberDeadline(); at == 0 || at > d.call.Now {
		return false
	}
	return d.asExpiry(v, func(s *Shard) bool {
		for at := v.MemberDeadline(); at != 0 && at <= d.call.Now; at = v.MemberDeadline() {
			if s.expireMembers(d.call, v, d.call.Now, memberBatch) {
				return true
			}
		}
		return false
	})
}

// asExpiry lets remove change a collection though it is not the command's doing,
// unless expiry is held.
func (d DB) asExpiry(v *Collection, remove func(s *Shard) bool) (dropped bool) {
	if v.shard.set.ExpiryHeld.Load() > 0 {
		return false
	}
	call, changed := v.call, v.changed
	v.call, v.changed = nil, 0
	dropped = remove(v.shard)
	v.call, v.changed = call, changed
	return dropped
}
