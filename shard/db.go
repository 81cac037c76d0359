package shard

import (
	"hyperkv/resp"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// A DB is one numbered database as a command sees it, over the shards of its
// call. Keys that have expired are absent: no method ever returns one.
//
// An Entry is a handle to a live record; it is valid until the next mutation of
// a key, and its bytes are borrowed from the arena for as long.
type DB struct {
	call   *Call
	Number int
}

// find returns the live entry of key without any side effect but expiry.
func (d DB) find(key []byte) (s *Shard, hash uint64, e keyspace.Entry) {
	hash = d.call.hashOf(key)
	s = d.call.shardOf(key, hash)
	db := s.databases[d.Number]
	if db == nil {
		return s, hash, keyspace.Entry{}
	}
	e = db.Find(hash, key)
	if e.Exists() {
		if at := e.Deadline(); at != 0 && at <= d.call.Now {
			s.expireFound(d.call, d.Number, hash, e)
			e = keyspace.Entry{}
		}
	}
	return s, hash, e
}

// Lookup finds a key that is read: it counts a hit or a miss and notes the access.
func (d DB) Lookup(key []byte) keyspace.Entry {
	s, _, e := d.find(key)
	if !e.Exists() {
		s.stats.misses++
		return e
	}
	s.stats.hits++
	d.touch(e)
	return e
}

// LookupWrite finds a key that is about to be changed: the access is noted, the
// hit statistics are left alone.
func (d DB) LookupWrite(key []byte) keyspace.Entry {
	_, _, e := d.find(key)
	if e.Exists() {
		d.touch(e)
	}
	return e
}

// Peek finds a key and leaves no trace, for commands about keys (TTL, OBJECT).
func (d DB) Peek(key []byte) keyspace.Entry {
	_, _, e := d.find(key)
	return e
}

// Look finds a key that is asked about (EXISTS, TTL, TYPE): it counts a hit or a
// miss and leaves the access time alone.
func (d DB) Look(key []byte) keyspace.Entry {
	s, _, e := d.find(key)
	if e.Exists() {
		s.stats.hits++
	} else {
		s.stats.misses++
	}
	return e
}

// Exists says whether key is there; it is Look.
func (d DB) Exists(key []byte) bool { return d.Look(key).Exists() }

func (d DB) touch(e keyspace.Entry) {
	if d.call.Client != nil && d.call.Client.NoTouch {
		return
	}
	if now := AccessClock(d.call.Clock); e.Access() != now {
		e.SetAccess(now)
	}
}

// AccessClock is the 24-bit access time kept with every key: seconds, which
// wrap after 194 days as Redis' LRU clock does.
func AccessClock(nowMillis int64) uint32 { return uint32(nowMillis/1000) & 0xffffff }

// String is Lookup for a key that must hold a string if it is there.
func (d DB) String(key []byte) (keyspace.Entry, error) { return typed(d.Lookup(key), object.String) }

// StringForWrite is LookupWrite for a key that must hold a string if it is there.
func (d DB) StringForWrite(key []byte) (keyspace.Entry, error) {
	return typed(d.LookupWrite(key), object.String)
}

func typed(e keyspace.Entry, want object.Type) (keyspace.Entry, error) {
	if e.Exists() && e.Type() != want {
		return keyspace.Entry{}, resp.ErrWrongType
	}
	return e, nil
}

// Set stores value as a string; text that is exactly what an integer prints as
// is kept as that integer. deadline is in milliseconds since the epoch, 0 for none.
func (d DB) Set(key, value []byte, deadline int64) keyspace.Entry {
	if len(value) <= 20 {
		if n, ok := resp.ParseInt(value); ok {
			return d.SetInt(key, n, deadline)
		}
	}
	return d.SetBytes(key, value, deadline)
}

// SetBytes stores value as a string without looking for an integer in it.
func (d DB) SetBytes(key, value []byte, deadline int64) keyspace.Entry {
	return d.mutate(mutation{op: opPutBytes, key: key, value: value, deadline: deadline})
}

// SetInt stores an integer as a string.
func (d DB) SetInt(key []byte, n, deadline int64) keyspace.Entry {
	return d.mutate(mutation{op: opPutInt, key: key, number: n, deadline: deadline})
}

// Resize turns the string e of key, or a key that is absent when e is, into n
// raw bytes and returns them for writing, before anything else is mutated: what was there is kept as far as it
// fits, what is new is zero.
func (d DB) Resize(key []byte, e keyspace.Entry, n int) []byte {
	m := mutation{op: opResize, key: key, entry: e, size: n}
	d.mutateInto(&m)
	return m.bytes
}

// MakeRaw gives the string e of key the encoding that it would have after being
// written into. Watchers are not told, because it reads as before, and it does not count.
func (d DB) MakeRaw(key []byte, e keyspace.Entry) {
	if e.Encoding() != object.Raw {
		d.mutate(mutation{op: opResize, key: key, entry: e, size: e.StringLen(), unseen: true})
		d.call.counted++
	}
}

// SetDeadline sets when e of key expires, in milliseconds since the epoch; 0
// makes it stay for good.
func (d DB) SetDeadline(key []byte, e keyspace.Entry, at int64) keyspace.Entry {
	return d.mutate(mutation{op: opDeadline, key: key, entry: e, deadline: at})
}

// Delete removes e of key.
func (d DB) Delete(key []byte, e keyspace.Entry) {
	d.mutate(mutation{op: opDelete, key: key, entry: e})
}

// Len is how many keys the database has on the shards of the call, those
// included whose time has come and that are not yet gone.
func (d DB) Len() int { return d.sum((*keyspace.DB).Len) }

// Volatile is how many of those have a deadline, and WithFields how many are hashes with
// fields that have one.
func (d DB) Volatile() int   { return d.sum((*keyspace.DB).Volatile) }
func (d DB) WithFields() int { return d.sum((*keyspace.DB).WithFields) }

func (d DB) sum(count func(*keyspace.DB) int) (n int) {
	for _, s := range d.call.shards {
		if db := s.databases[d.Number]; db != nil {
			n += count(db)
		}
	}
	return n
}

// Expect says that shard s will have so many keys, in whatever order they come.
func (d DB) Expect(s *Shard, keys int) { s.databaseForWrite(d.Number).Expect(keys) }

// Each visits every live key of the call's shards. visit must not mutate.
func (d DB) Each(visit func(e keyspace.Entry)) {
	for _, s := range d.call.shards {
		d.EachOf(s, visit)
	}
}

// EachKey visits every live key of the call's shards, which is borrowed. visit must not
// mutate.
func (d DB) EachKey(visit func(key []byte)) {
	d.Each(func(e keyspace.Entry) { visit(e.Key()) })
}

// EachOf visits every live key of one shard of the call.
func (d DB) EachOf(s *Shard, visit func(e keyspace.Entry)) {
	db := s.databases[d.Number]
	if db == nil {
		return
	}
	live := func(e keyspace.Entry) {
		if at := e.Deadline(); at == 0 || at > d.call.Now {
			visit(e)
		}
	}
	for cursor := db.Scan(0, live); cursor != 0; {
		cursor = db.Scan(cursor, live)
	}
}

// Scan visits the live keys of one small group on shard s and returns the
// cursor of the next group, 0 after the last. visit must not mutate.
func (d DB) Scan(s *Shard, cursor uint64, visit func(e keyspace.Entry)) uint64 {
	db := s.databases[d.Number]
	if db == nil {
		return 0
	}
	return db.Scan(cursor, func(e keyspace.Entry) {
		if at := e.Deadline(); at == 0 || at > d.call.Now {
			visit(e)
		}
	})
}

// randomTries bounds how often Random passes over expired keys that have to stay.
const randomTries = 100

// Random returns some live key of the call's shards, each about equally likely, and
// removes the expired ones that it meets; the zero Entry when there is none (or, as in
// Redis, when nearly all have expired and may not be removed).
func (d DB) Random() keyspace.Entry {
	for passed := 0; passed < randomTries; {
		total := d.Len()
		if total == 0 {
			break
		}
		pick := int(d.call.Random() % uint64(total))
		for _, s := range d.call.shards {
			db := s.databases[d.Number]
			if db == nil {
				continue
			}
			if pick >= db.Len() {
				pick -= db.Len()
				continue
			}
			e := db.Random(d.call.Random())
			if at := e.Deadline(); at == 0 || at > d.call.Now {
				return e
			}
			s.expireFound(d.call, d.Number, Hash(e.Key()), e)
			break
		}
		if d.Len() == total {
			passed++
		}
	}
	return keyspace.Entry{}
}
