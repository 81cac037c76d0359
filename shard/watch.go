package shard

import (
	"bytes"
	"sync/atomic"

	"hyperkv/shard/keyspace"
)

// A WatchSet is the keys that one client watches between WATCH and EXEC. The
// shards mark it; the session reads it once it holds the turns of all of them.
type WatchSet struct {
	dirty atomic.Bool
	// dead says that the client no longer looks; shards then forget it.
	dead atomic.Bool
	// keys is what is watched. Appended to by Watch, whose call holds all the
	// shards concerned, and read by the session when it has them again.
	keys []*watchedKey
}

// A watchedKey is one key of a WatchSet.
type watchedKey struct {
	shard    *Shard
	database int
	key      []byte
	// expired says that a record is there, but its time had come when the watch
	// began: that it goes away is then no change (Redis 6.2). Owned by the turn
	// of shard.
	expired bool
}

// AddShards adds the shards that know of the set to shards, each once.
func (w *WatchSet) AddShards(add func(*Shard)) {
	for _, k := range w.keys {
		add(k.shard)
	}
}

// Keys is how many keys are watched.
func (w *WatchSet) Keys() int { return len(w.keys) }

// Dirty says whether any watched key has changed since it was watched.
func (w *WatchSet) Dirty() bool { return w.dirty.Load() }

// Drop ends the watch. Safe for concurrent use.
func (w *WatchSet) Drop() { w.dead.Store(true) }

type watchKey struct {
	database int
	key      string
}

// watcher is one client's watch of one key.
type watcher struct {
	set *WatchSet
	key *watchedKey
}

// watchTable finds the watchers of a key. The map exists only while it is used.
// Owned by the turn.
type watchTable struct {
	keys map[watchKey][]watcher
	// count is how many watchers there are, sweepAt the count at which the dead
	// ones among them are looked for.
	count, sweepAt int
}

func (t *watchTable) any() bool { return len(t.keys) != 0 }

const watchSweepMin = 64

// add registers w unless its set already watches key, and says whether it did.
func (t *watchTable) add(database int, key []byte, w watcher) bool {
	if t.keys == nil {
		t.keys = make(map[watchKey][]watcher)
		t.sweepAt = watchSweepMin
	}
	at := watchKey{database, string(key)}
	for _, other := range t.keys[at] {
		if other.set == w.set {
			return false
		}
	}
	t.keys[at] = append(t.keys[at], w)
	t.count++
	if t.count >= t.sweepAt {
		t.sweep()
		t.sweepAt = max(2*t.count, watchSweepMin)
	}
	return true
}

// watchTidyMax is the largest table that the keeper tidies.
const watchTidyMax = 1024

// tidy forgets the watches of clients that no longer look while that is cheap. add
// does so in proportion to what is added, but when nobody watches any more, every
// write would go on asking.
func (t *watchTable) tidy() {
	if t.any() && t.count <= watchTidyMax {
		t.sweep()
	}
}

// sweep forgets the watches of clients that no longer look.
func (t *watchTable) sweep() {
	t.count = 0
	for at, watchers := range t.keys {
		alive := watchers[:0]
		for _, w := range watchers {
			if !w.set.dead.Load() {
				alive = append(alive, w)
			}
		}
		if len(alive) == 0 {
			delete(t.keys, at)
			continue
		}
		clear(watchers[len(alive):])
		t.keys[at] = alive
		t.count += len(alive)
	}
}

// touch marks everyone who watches key, and forgets them: once dirty, always dirty.
func (t *watchTable) touch(database int, key []byte) {
	watchers, ok := t.keys[watchKey{database, string(key)}]
	if !ok {
		return
	}
	for _, w := range watchers {
		w.set.dirty.Store(true)
	}
	t.count -= len(watchers)
	delete(t.keys, watchKey{database, string(key)})
}

// expired marks those who saw key alive when they began to watch it.
func (t *watchTable) expired(database int, key []byte) {
	at := watchKey{database, string(key)}
	watchers, ok := t.keys[at]
	if !ok {
		return
	}
	rest := watchers[:0]
	for _, w := range watchers {
		if w.key.expired {
			w.key.expired = false // a later key of that name counts again
			rest = append(rest, w)
			continue
		}
		w.set.dirty.Store(true)
		t.count--
	}
	clear(watchers[len(rest):])
	if len(rest) == 0 {
		delete(t.keys, at)
		return
	}
	t.keys[at] = rest
}

// presence is what a database has under a key.
type presence uint8

const (
	absent presence = iota
	stale           // a record whose time has come
	alive
)

func presenceIn(db *keyspace.DB, key string, now int64) presence {
	if db == nil {
		return absent
	}
	e := db.Find(Hash([]byte(key)), []byte(key))
	switch {
	case !e.Exists():
		return absent
	case e.Deadline() != 0 && e.Deadline() <= now:
		return stale
	}
	return alive
}

// replaced marks those whose keys change when the contents of a database become
// those of next, nil for none. Between no key and one that has expired there is
// no difference to see.
func (t *watchTable) replaced(database int, old, next *keyspace.DB, now int64) {
	for at, watchers := range t.keys {
		if at.database != database {
			continue
		}
		was, will := presenceIn(old, at.key, now), presenceIn(next, at.key, now)
		if was == absent && will == absent {
			continue
		}
		rest := watchers[:0]
		for _, w := range watchers {
			if will == alive || was != absent && !w.key.expired {
				w.set.dirty.Store(true)
				t.count--
				continue
			}
			w.key.expired = will == stale
			rest = append(rest, w)
		}
		clear(watchers[len(rest):])
		if len(rest) == 0 {
			delete(t.keys, at)
			continue
		}
		t.keys[at] = rest
	}
}

// Watch makes the client's WatchSet learn of every change of key from now on.
func (d DB) Watch(key []byte) {
	w := d.call.Client.Watch
	if w.Dirty() {
		return // EXEC will fail whatever happens
	}
	hash := d.call.hashOf(key)
	s := d.call.shardOf(key, hash)
	k := &watchedKey{shard: s, database: d.Number, key: bytes.Clone(key)}
	if db := s.databases[d.Number]; db != nil {
		e := db.Find(hash, key)
		k.expired = e.Exists() && e.Deadline() != 0 && e.Deadline() <= d.call.Now
	}
	if s.watched.add(d.Number, key, watcher{set: w, key: k}) {
		w.keys = append(w.keys, k)
	}
}

// Signal tells those who watch key that it has changed, though it has not: for a
// command of which Redis says so.
func (d DB) Signal(key []byte) {
	if s := d.call.shardOf(key, d.call.hashOf(key)); s.watched.any() {
		s.watched.touch(d.Number, key)
	}
}

// Expired says whether a watched key on shard s has run out of time since it was
// watched, though nobody has removed it yet: EXEC must fail then, too. The
// caller holds the turn of s.
func (w *WatchSet) Expired(s *Shard, now int64) bool {
	for _, k := range w.keys {
		if k.shard != s || k.expired {
			continue
		}
		db := s.databases[k.database]
		if db == nil {
			continue
		}
		e := db.Find(Hash(k.key), k.key)
		if e.Exists() && e.Deadline() != 0 && e.Deadline() <= now {
			return true
		}
	}
	return false
}
