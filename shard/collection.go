package shard

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// A Collection is a key's list, set, sorted set, hash or stream, in a handler's
// hands. It is the object.Home that the types of package object work on, and it
// leads their changes through the mutation path: before its first change it tells
// the shard, as every other mutation does.
//
// It is valid until the handler returns, or deletes or overwrites the key; a call
// has collectionsMax of them at a time.
type Collection struct {
	keyspace.Value
	call     *Call
	shard    *Shard
	database int
	hash     uint64
	key      []byte
	changed  told
}

// told says who was told that a collection changes.
type told uint8

const (
	toldWatchers told = 1 << iota
	toldWaiters
	toldOthers // everybody else, who is always told
	toldAll    = toldWatchers | toldWaiters | toldOthers
)

// collectionsMax is how many collections a call keeps open; the next one reuses
// the memory of the one opened first.
const collectionsMax = 4

// Key is the collection's key, borrowed from the call.
func (v *Collection) Key() []byte { return v.key }

// Change implements object.Home: the mutation path of whatever happens to the
// collection from here on.
func (v *Collection) Change() { v.tell(toldAll) }

// ChangeFor implements object.SelectiveHome: Change for what may be nothing to
// those who watch the key, or to those who wait for it.
func (v *Collection) ChangeFor(watchers, waiters bool) {
	whom := toldOthers
	if watchers {
		whom |= toldWatchers
	}
	if waiters {
		whom |= toldWaiters
	}
	v.tell(whom)
}

func (v *Collection) tell(whom told) {
	fresh := whom &^ v.changed
	if fresh == 0 {
		return
	}
	v.changed |= fresh
	if v.call != nil {
		v.call.changes++
	}
	v.shard.apply(v.database, v.hash, &mutation{
		op: opEdit, key: v.key, entry: v.Entry(),
		unwatched: fresh&toldWatchers == 0, unawaited: fresh&toldWaiters == 0,
	}, 0)
}

// SetMemberDeadline implements object.Home.
func (v *Collection) SetMemberDeadline(at int64) {
	v.Value.SetMemberDeadline(at)
	if at != 0 {
		v.shard.expiry.arm(v.shard, at)
	}
}

// collection makes the next of the call's collections that of an entry.
func (d DB) collection(s *Shard, hash uint64, key []byte, e keyspace.Entry) *Collection {
	c := d.call
	v := &c.collections[c.nextCollection%collectionsMax]
	c.nextCollection++
	*v = Collection{Value: s.databases[d.Number].Value(hash, e), call: c, shard: s, database: d.Number, hash: hash, key: key}
	return v
}

// Open finds the collection of the given type under a key that is read: it counts
// a hit or a miss and notes the access. It is nil when there is no such key.
func (d DB) Open(key []byte, t object.Type) (*Collection, error) {
	s, hash, e := d.find(key)
	if !e.Exists() {
		s.stats.misses++
		return nil, nil
	}
	s.stats.hits++
	d.touch(e)
	if _, err := typed(e, t); err != nil {
		return nil, err
	}
	return d.collection(s, hash, key, e), nil
}

// OpenForWrite is Open for a key that is about to be changed: the hit statistics
// are left alone.
func (d DB) OpenForWrite(key []byte, t object.Type) (*Collection, error) {
	s, hash, e := d.find(key)
	if !e.Exists() {
		return nil, nil
	}
	d.touch(e)
	if _, err := typed(e, t); err != nil {
		return nil, err
	}
	return d.collection(s, hash, key, e), nil
}

// OpenEntry is the collection that an entry of this database, found by another
// method, holds; key is its key.
func (d DB) OpenEntry(key []byte, e keyspace.Entry) *Collection {
	hash := d.call.hashOf(key)
	return d.collection(d.call.shardOf(key, hash), hash, key, e)
}

// OpenCollection is OpenEntry for an entry of any type: nil for a string.
func (d DB) OpenCollection(key []byte, e keyspace.Entry) *Collection {
	if e.IsString() {
		return nil
	}
	return d.OpenEntry(key, e)
}

// Create makes key a collection with the given root, whatever it was before. Its
// first change has happened.
func (d DB) Create(key []byte, t object.Type, e object.Encoding, root []byte, deadline int64) *Collection {
	invariant.Assert(t != object.String && t != object.None, "a collection that is none")
	entry := d.mutate(mutation{op: opPutValue, key: key, typ: t, encoding: e, value: root, deadline: deadline})
	v := d.OpenEntry(key, entry)
	v.changed = toldAll
	return v
}

// Drop removes the key of a collection, which is what becomes of one that has
// lost its last element.
func (d DB) Drop(v *Collection) { d.Delete(v.key, v.Entry()) }

// CopyTo makes newKey of database to a copy of the collection, with the given
// deadline; it replaces what newKey was, and is not the same key.
func (d DB) CopyTo(v *Collection, to DB, newKey []byte, deadline int64) keyspace.Entry {
	return to.mutate(mutation{op: opCopyValue, key: newKey, from: &v.Value, deadline: deadline})
}

// MoveTo is CopyTo for a collection whose old key goes: within one database of
// one shard nothing but its root is copied.
func (d DB) MoveTo(v *Collection, to DB, newKey []byte, deadline int64) {
	hash := d.call.hashOf(newKey)
	op := opCopyValue
	if d.call.shardOf(newKey, hash) == v.shard && to.Number == v.database {
		op = opMoveValue
	}
	to.mutate(mutation{op: op, key: newKey, from: &v.Value, deadline: deadline})
	// Not v.Entry(): the new key may have made room by moving things about.
	d.Delete(v.key, v.Entry())
}

// Limits are the sizes up to which collections are packed.
func (c *Call) Limits() *object.Limits { return c.set.limits.Load() }

// SetLimits changes the sizes up to which collections are packed; what is there
// stays as it is until it changes. Safe for concurrent use.
func (set *Set) SetLimits(l object.Limits) { set.limits.Store(&l) }

// Limits are the limits in force. Safe for concurrent use.
func (set *Set) Limits() object.Limits { return *set.limits.Load() }

// CollectionLimits are object.Limits, for those above who do not know that package.
type CollectionLimits = object.Limits
