package keyspace

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"testing"

	"hyperkv/shard/ds"
)

// TestOverheadPerKey holds the memory bar: what a key costs beyond its payload,
// at sizes where structures that double would be at their worst.
func TestOverheadPerKey(t *testing.T) {
	for _, keys := range []int{100_000, 140_000, 200_000, 280_000} {
		d := filled(keys, nil)
		if got := float64(d.Bytes())/float64(keys) - 48; got > 16 {
			t.Errorf("%d keys: %.1f bytes per key beyond the payload", keys, got)
		}
		if got := float64(d.Usage().Resident)/float64(keys) - 48; got > 20 {
			t.Errorf("%d keys: %.1f resident bytes per key beyond the payload", keys, got)
		}
		d.Close()

		d = filled(keys, func(i int) int64 { return 1 + int64(i*7919%keys) })
		if got := float64(d.Bytes())/float64(keys) - 48; got > 29 {
			t.Errorf("%d volatile keys: %.1f bytes per key beyond the payload", keys, got)
		}
		d.Close()

		d = New()
		payload := 0
		var buf [16]byte
		for i := range keys {
			key := benchKey(&buf, uint64(i))
			d.PutInt(Hash(key), key, int64(i), 0, 0)
			payload += len(key) + len(strconv.Itoa(i))
		}
		if got := float64(d.Bytes()-int64(payload)) / float64(keys); got > 18 {
			t.Errorf("%d integers: %.1f bytes per key beyond the payload", keys, got)
		}
		d.Close()
	}
}

// TestMemoryComesBack deletes nine keys of ten at random and compacts: what is
// left fits into little more than a tenth.
func TestMemoryComesBack(t *testing.T) {
	keys := effort(300_000)
	debug.FreeOSMemory()
	mapped, resident := ds.MappedBytes(), residentBytes()
	d := filled(keys, func(i int) int64 { return int64(i%2) * int64(i) })
	full := residentBytes() - resident
	r := rand.New(rand.NewPCG(1, 4))
	var buf [16]byte
	left := 0
	for i := range keys {
		if r.IntN(10) == 0 {
			left++
			continue
		}
		key := benchKey(&buf, uint64(i))
		d.Delete(Hash(key), d.Find(Hash(key), key))
	}
	steps := 0
	for d.Compact(64) {
		if steps++; steps > keys {
			t.Fatal("compaction does not end")
		}
	}
	d.checkAlways()
	if d.Len() != left {
		t.Fatalf("%d keys are left, want %d", d.Len(), left)
	}
	u := d.Usage()
	if u.Resident > u.Total()*14/10+256<<10 {
		t.Errorf("after compaction %d keys hold %+v", left, u)
	}
	if now := residentBytes() - resident; !underRace && now > full/5 {
		t.Errorf("the process holds %d bytes, and held %d with ten times the keys", now, full)
	}
	if d.Compact(64) {
		t.Error("compaction found more to do after it was done")
	}
	d.Close()
	// What an earlier test left may have gone back meanwhile as well.
	eventually(t, func() bool { return ds.MappedBytes() <= mapped })
}

// TestCloseLeavesNothing drops full databases, also from other goroutines.
func TestCloseLeavesNothing(t *testing.T) {
	debug.FreeOSMemory()
	mapped, resident := ds.MappedBytes(), residentBytes()
	done := make(chan bool)
	for i := range 4 {
		d := filled(100_000, func(i int) int64 { return int64(i % 3) })
		key := fmt.Append(nil, "large", i)
		d.PutBytes(Hash(key), key, make([]byte, 6<<20), 0, 0)
		go func() {
			d.Close()
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
	eventually(t, func() bool { return ds.MappedBytes() <= mapped })
	debug.FreeOSMemory()
	if now := residentBytes(); !underRace && now > resident+8<<20 {
		t.Errorf("%d bytes more are resident than before", now-resident)
	}
}

// TestSmallDatabasesAreCheap: a server has sixteen per shard.
func TestSmallDatabasesAreCheap(t *testing.T) {
	if n := New().Usage(); n != (Usage{}) {
		t.Errorf("a new database holds %+v", n)
	}
	d := filled(1, func(int) int64 { return 1 })
	defer d.Close()
	if u := d.Usage(); u.Total() > 700 || u.Resident > 6000 {
		t.Errorf("one key costs %+v", u)
	}
}

// TestAppendIsAmortised grows a value byte by byte and block by block; the time
// would show quadratic copying.
func TestAppendIsAmortised(t *testing.T) {
	w := newWorld(t)
	defer w.db.Close()
	key := []byte("k")
	hash := Hash(key)
	e := w.db.PutBytes(hash, key, nil, 0, 0)
	moves, size := 0, 0
	for size < 1<<20 {
		was := e.ref
		e, _ = w.db.Resize(hash, e, size+1)
		size++
		if e.ref != was {
			moves++
		}
	}
	if moves > 150 {
		t.Errorf("appending a million bytes moved the record %d times", moves)
	}
	for size < 64<<20 {
		size += 256 << 10
		e, _ = w.db.Resize(hash, e, size)
	}
	if u := w.db.Usage(); u.Large > int64(size)+16<<10 {
		t.Errorf("a value of %d bytes is charged as %d", size, u.Large)
	}
	e, _ = w.db.Resize(hash, e, 100_000)
	if u := w.db.Usage(); u.Large > 120_000 {
		t.Errorf("a value cut to 100000 bytes is charged as %d", u.Large)
	}
	w.db.checkAlways()
	w.db.Delete(hash, e)
	if w.db.Bytes() != 0 {
		t.Errorf("left: %+v", w.db.Usage())
	}
}

// TestLongDirectory grows a database beyond the point from where the directory
// doubles by and by, and empties it again.
func TestLongDirectory(t *testing.T) {
	keys := 1_600_000
	if underRace || testing.Short() {
		t.Skip("needs many keys")
	}
	d := New()
	defer d.Close()
	var buf [16]byte
	doublings := 0
	r := rand.New(rand.NewPCG(1, 6))
	for i := range keys {
		key := benchKey(&buf, uint64(i))
		before := len(d.index.directory)
		d.PutBytes(Hash(key), key, nil, 0, 0)
		if len(d.index.directory) != before {
			doublings++
		}
		key = benchKey(&buf, r.Uint64N(uint64(i+1)))
		if !d.Find(Hash(key), key).Exists() {
			t.Fatalf("a key is lost after %d", i)
		}
		if d.index.former != nil && i%40_000 == 0 {
			d.checkIndex(&d.index, new(int), new(int), new(int64))
		}
	}
	if len(d.index.directory) <= 2*directoryAtOnce {
		t.Fatalf("the directory has only %d entries", len(d.index.directory))
	}
	seen := 0
	for cursor := uint64(0); ; {
		if cursor = d.Scan(cursor, func(Entry) { seen++ }); cursor == 0 {
			break
		}
	}
	if seen != keys {
		t.Errorf("a scan at rest saw %d of %d keys", seen, keys)
	}
	for i := range keys {
		key := benchKey(&buf, uint64(i))
		d.Delete(Hash(key), d.Find(Hash(key), key))
	}
	if d.Bytes() != 0 {
		t.Errorf("left: %+v", d.Usage())
	}
}
