package keyspace

import (
	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// A DB is one numbered database of one shard. Owned by the shard's turn.
type DB struct {
	index     index
	crowd     *index // nil unless hashes collide
	records   ds.Arena
	deadlines deadlines
	members   deadlines // of collections, by their first member to expire
	timed     int       // how many of those are hashes

	nodes   ds.Arena         // what collections keep outside their records
	remains []object.Remains // of deleted collections, for Sweep

	cursor int   // of Compact: which arena is next
	cut    uint8 // the flagCut of records that were made since the last BeginCut
}

// New returns an empty database, which holds no memory.
func New() *DB { return &DB{members: deadlines{members: true}} }

// Len returns the number of keys.
func (d *DB) Len() int {
	if d.crowd != nil {
		return d.index.count + d.crowd.count
	}
	return d.index.count
}

// Expect says that there will be so many keys, in whatever order they come.
func (d *DB) Expect(keys int) { d.index.expected = max(d.index.expected, keys) }

// Volatile returns the number of keys that have a deadline.
func (d *DB) Volatile() int { return d.deadlines.count }

// Close gives back all memory at once. The DB must not be used afterwards. Safe
// to call from another goroutine when the shard cannot reach the DB any more.
func (d *DB) Close() {
	d.check()
	d.checkNodes()
	d.index.close()
	if d.crowd != nil {
		d.crowd.close()
	}
	d.deadlines.close()
	d.members.close()
	d.nodes.Close()
	d.remains = nil
	d.records.Close()
}

// Find returns the entry of a key; hash is Hash(key).
func (d *DB) Find(hash uint64, key []byte) Entry {
	if e := d.findIn(&d.index, hash, key); e.ref != 0 || d.crowd == nil {
		return e
	}
	return d.findInCrowd(key)
}

// findIn looks for a key in one index.
func (d *DB) findIn(x *index, hash uint64, key []byte) Entry {
	if len(x.directory) == 0 {
		return Entry{}
	}
	s := x.at(hash)
	k := s.bucket(s.home(hash & tagMask))
	pattern := hash & 0xff * everyByte
	for m := k.matchLow(pattern); m != 0; m &= m - 1 {
		if ref := k.refs[lowSlot(m)]; ref != 0 {
			if r := (record{d.records.At(ref)}); r.is(key) {
				return Entry{d, r, ref}
			}
		}
	}
	for m := k.matchHigh(pattern); m != 0; m &= m - 1 {
		if ref := k.refs[highSlot(m)]; ref != 0 {
			if r := (record{d.records.At(ref)}); r.is(key) {
				return Entry{d, r, ref}
			}
		}
	}
	if k.meta&(lentFlag|stashFlag) == 0 {
		return Entry{}
	}
	return d.findAway(s, hash, key)
}

// findAway looks where the keys of a full bucket go.
func (d *DB) findAway(s segment, hash uint64, key []byte) Entry {
	home := s.home(hash & tagMask)
	print := uint8(hash)
	flags := s.bucket(home).meta
	if flags&lentFlag != 0 {
		k := s.bucket(s.after(home))
		for i := slotsPerBucket - k.guests(); i < slotsPerBucket; i++ {
			if k.prints[i] == print {
				if r := (record{d.records.At(k.refs[i])}); r.is(key) {
					return Entry{d, r, k.refs[i]}
				}
			}
		}
	}
	if flags&stashFlag != 0 {
		h := s.header()
		for i, ref := range &h.refs {
			if ref != 0 && h.prints[i] == print {
				if r := (record{d.records.At(ref)}); r.is(key) {
					return Entry{d, r, ref}
				}
			}
		}
	}
	return Entry{}
}

// PrefetchBucket touches the bucket of a key, the first stage of a burst: the
// cache misses of a burst overlap when they are started together. Use the
// result, so that the compiler keeps the read.
func (d *DB) PrefetchBucket(hash uint64) uint64 {
	x := &d.index
	if len(x.directory) == 0 {
		return 0
	}
	s := x.at(hash)
	return uint64(s.bucket(s.home(hash & tagMask)).meta)
}

// PrefetchRecord touches the record that Find would most likely look at, the
// second stage of a burst.
func (d *DB) PrefetchRecord(hash uint64) uint64 {
	x := &d.index
	if len(x.directory) == 0 {
		return 0
	}
	s := x.at(hash)
	k := s.bucket(s.home(hash & tagMask))
	pattern := hash & 0xff * everyByte
	ref := ds.Ref(0)
	if m := k.matchLow(pattern); m != 0 {
		ref = k.refs[lowSlot(m)]
	} else if m := k.matchHigh(pattern); m != 0 {
		ref = k.refs[highSlot(m)]
	}
	if ref == 0 {
		return 0
	}
	return record{d.records.At(ref)}.head()
}
