package keyspace

import (
	"encoding/binary"
	"math/bits"
	"testing"
	"time"
)

// keyFor returns the key of eight bytes whose Hash is hash. For such keys xxhash
// is a chain of invertible steps, which is why nobody may rely on it to scatter
// keys that an attacker chose.
func keyFor(hash uint64) []byte {
	const p1, p2, p3, p4, p5 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
	inverse := func(a uint64) uint64 {
		x := a
		for range 6 {
			x *= 2 - a*x
		}
		return x
	}
	h := hash
	h ^= h >> 32
	h *= inverse(p3)
	h ^= h>>29 ^ h>>58
	h *= inverse(p2)
	h ^= h >> 33
	h = bits.RotateLeft64((h-p4)*inverse(p1), -27)
	h ^= p5 + 8
	h = bits.RotateLeft64(h*inverse(p1), -31) * inverse(p2)
	return binary.LittleEndian.AppendUint64(nil, h)
}

// TestCollidingHashes fills a database with keys that an attacker chose to fall
// into one bucket, and with others.
func TestCollidingHashes(t *testing.T) {
	key := func(i int) []byte { return keyFor(0xdeadbeef_00000077 | uint64(i)<<12&0xffffffff) }
	if got := Hash(key(1)); got != 0xdeadbeef_00001077 {
		t.Fatalf("the inverse of xxhash is wrong: %x", got)
	}
	w := newWorld(t)
	defer w.db.Close()
	for i := range 400 {
		w.put(string(key(i)), "value", int64(i%2), 0)
		if i%50 == 0 {
			w.verify()
		}
	}
	if n := len(w.db.index.directory); n > 4096 {
		t.Errorf("the attack made a directory of %d", n)
	}
	if w.db.crowd == nil {
		t.Fatal("the keys did not collide")
	}
	for i := range 3000 { // other keys push the segment on
		w.put(string(binary.BigEndian.AppendUint64(nil, uint64(i))), "value", 0, 0)
	}
	w.verify()
	for i := range 200 {
		w.delete(string(key(2 * i)))
		w.resize(string(key(2*i+1)), 100+i, 'x')
		w.setDeadline(string(key(2*i+1)), int64(i))
	}
	for w.db.Compact(10) {
	}
	w.verify()
	seen := map[string]bool{}
	for i := range 200_000 {
		seen[string(w.db.Random(uint64(i)).Key())] = true
	}
	if len(seen) != w.db.Len() {
		t.Errorf("%d of %d keys were drawn", len(seen), w.db.Len())
	}
	n := 0
	w.db.Sample(1, 1<<20, func(Entry) { n++ })
	if n != w.db.Len() {
		t.Errorf("a sample of everything had %d of %d", n, w.db.Len())
	}
	w.empty()

	// A great many of them must not take longer than others.
	start := time.Now()
	for i := range effort(200_000) {
		k := key(i)
		w.db.PutBytes(Hash(k), k, nil, 0, 0)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the attack succeeded: %v", took)
	}
}

// TestKeysInOrderOfHash inserts keys as a scan of another database visits them: they
// belong into the first index, whatever the order.
func TestKeysInOrderOfHash(t *testing.T) {
	n := effort(1_000_000)
	other := New()
	defer other.Close()
	var buf [16]byte
	for i := range n {
		key := benchKey(&buf, uint64(i))
		other.PutBytes(Hash(key), key, nil, 0, 0)
	}
	copied := func(expected int) *DB {
		d := New()
		d.Expect(expected)
		for cursor := other.Scan(0, func(e Entry) { d.PutBytes(Hash(e.Key()), e.Key(), nil, 0, 0) }); cursor != 0; {
			cursor = other.Scan(cursor, func(e Entry) { d.PutBytes(Hash(e.Key()), e.Key(), nil, 0, 0) })
		}
		d.checkAlways()
		if d.Len() != n {
			t.Errorf("%d of %d keys are there", d.Len(), n)
		}
		return d
	}
	told := copied(n)
	defer told.Close()
	if told.crowd != nil {
		t.Errorf("%d of %d keys that were expected are taken for an attack", told.crowd.count, n)
	}
	if there, before := told.index.bytes(), other.index.bytes(); there > before*11/10 {
		t.Errorf("the index takes %d bytes, and %d with keys at random", there, before)
	}
	untold := copied(0)
	defer untold.Close()
	if untold.crowd != nil && untold.crowd.count > n>>slackBits*2 {
		t.Errorf("%d of %d keys are taken for an attack", untold.crowd.count, n)
	}
}
