package keyspace

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// The crowd is a second index for the keys that the first one has no place for:
// those of an attacker who makes hashes collide. They are filed under a hash
// whose seed is secret, so they are found as fast as all others. A DB without
// such keys has no crowd. One with a crowd looks there when a key is not in the
// first index.
//
// A key never returns from the crowd, so that a scan, which comes to it last,
// cannot miss one.

// enter files a new record in the first index that has a place for it.
func (d *DB) enter(hash uint64, e Entry) {
	if !d.index.insert(hash, e.ref, &d.records) {
		d.join(e.ref)
	}
	d.settle()
}

// settle finds places for what the indexes have rejected.
func (d *DB) settle() {
	for len(d.index.rejected) != 0 {
		rejected := d.index.rejected
		d.index.rejected = nil
		for _, ref := range rejected {
			// One more split may part them.
			if r := (record{d.records.At(ref)}); !d.index.insert(r.hash(), ref, &d.records) {
				d.join(ref)
			}
		}
	}
	if d.crowd != nil && len(d.crowd.rejected) != 0 {
		d.settleCrowd()
	}
}

// join files a record in the crowd.
func (d *DB) join(ref ds.Ref) {
	if d.crowd == nil {
		d.crowd = &index{secret: true}
	}
	d.fileInCrowd(ref)
	d.settleCrowd()
	d.Expect(d.Len())
}

func (d *DB) fileInCrowd(ref ds.Ref) {
	placed := d.crowd.insert(secretHash(d.entry(ref).Key()), ref, &d.records)
	invariant.Assert(placed, "secret hashes collide")
}

// crowdRounds bounds how often what a rebuilt segment of the crowd has no place
// for, which happens by chance, is filed again; each time the segment is larger.
const crowdRounds = 64

// settleCrowd files again what the crowd has rejected when it grew or shrank.
func (d *DB) settleCrowd() {
	for range crowdRounds {
		rejected := d.crowd.rejected
		if len(rejected) == 0 {
			return
		}
		d.crowd.rejected = nil
		for _, ref := range rejected {
			d.fileInCrowd(ref)
		}
	}
	invariant.Assert(len(d.crowd.rejected) == 0, "secret hashes collide again and again")
}

// substitute changes the Ref of a filed record.
func (d *DB) substitute(hash uint64, from, to Entry) {
	if d.index.count > 0 && d.index.replace(hash, from.ref, to.ref) {
		return
	}
	found := d.crowd != nil && d.crowd.replace(secretHash(from.Key()), from.ref, to.ref)
	invariant.Assert(found, "the index has no entry for a live record")
}

// leave removes a record from the index.
func (d *DB) leave(hash uint64, e Entry) {
	if d.index.count > 0 && d.index.remove(hash, e.ref, &d.records) {
		d.settle()
		return
	}
	found := d.crowd != nil && d.crowd.remove(secretHash(e.Key()), e.ref, &d.records)
	invariant.Assert(found, "the index has no entry for a live record")
	d.settle()
	if d.crowd.count == 0 {
		d.crowd = nil
	}
}

// findInCrowd is Find for a key that the first index does not have.
func (d *DB) findInCrowd(key []byte) Entry {
	if d.crowd == nil {
		return Entry{}
	}
	return d.findIn(d.crowd, secretHash(key), key)
}
