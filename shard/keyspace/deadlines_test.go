package keyspace

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// popDue deletes what is due and returns how many that were.
func (w *world) popDue(now int64) (n int) {
	for {
		e := w.db.NextDue(now)
		if !e.Exists() {
			break
		}
		key := string(e.Key())
		m, ok := w.model[key]
		if !ok || m.deadline == 0 || m.deadline > now {
			w.t.Fatalf("%q expired at %d, its deadline is %d", key, now, m.deadline)
		}
		w.delete(key)
		n++
	}
	return n
}

func TestDeadlinesAgreeWithAModel(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 9))
		w := newWorld(t)
		now := int64(1_700_000_000_000)
		spans := []int64{3, 1000, 100_000, 50_000_000}
		at := func() int64 {
			switch r.IntN(10) {
			case 0:
				return now - 1 - r.Int64N(now-1) // in the past
			case 1:
				return now + r.Int64N(1<<62)
			}
			return now + r.Int64N(spans[seed%4])
		}
		for range effort(40_000) {
			key := fmt.Sprint("key", r.IntN(8000))
			_, exists := w.model[key]
			switch op := r.IntN(10); {
			case op < 5:
				w.put(key, "value", at(), 0)
			case op < 6 && exists:
				w.setDeadline(key, at())
			case op < 7 && exists:
				w.setDeadline(key, 0)
			case op < 8:
				w.delete(key)
			case r.IntN(50) == 0:
				w.db.Compact(r.IntN(300))
			case r.IntN(20) == 0:
				now += r.Int64N(spans[seed%4])/100 + 1
				w.popDue(now)
				for key, m := range w.model {
					if m.deadline != 0 && m.deadline <= now {
						t.Fatalf("%q is overdue by %d ms", key, now-m.deadline)
					}
				}
				if next, ok := w.db.NextDeadline(); ok != (w.db.Volatile() > 0) || ok && next > now+1<<62 {
					t.Fatalf("next deadline %d, %v", next, ok)
				}
			}
		}
		w.verify()
		for w.db.Volatile() > 0 { // sleep from deadline to deadline
			next, _ := w.db.NextDeadline()
			w.popDue(next)
		}
		w.verify()
		w.empty()
		w.db.Close()
	}
}

// TestManyKeysWithOneDeadline is the stampede: all keys of a database expire in
// the same millisecond. No step may take long, in whatever order they came.
func TestManyKeysWithOneDeadline(t *testing.T) {
	keys := effort(300_000)
	d := filled(keys, func(int) int64 { return 1000 })
	defer d.Close()
	if d.NextDue(999).Exists() {
		t.Fatal("a key expired early")
	}
	slow := 0
	for i := range keys {
		start := time.Now()
		e := d.NextDue(1000)
		if !e.Exists() {
			t.Fatalf("%d keys expired of %d", i, keys)
		}
		d.Delete(e.Hash(), e)
		if time.Since(start) > time.Millisecond {
			slow++
		}
	}
	if slow > keys/1000 { // the scheduler of a busy machine accounts for some
		t.Errorf("%d of %d steps took more than a millisecond", slow, keys)
	}
	if d.Len() != 0 || d.Volatile() != 0 || d.Bytes() != 0 {
		t.Errorf("left behind: %d keys, %d volatile, %d bytes", d.Len(), d.Volatile(), d.Bytes())
	}
}

// TestTTLsThatMove gives the same keys new deadlines again and again, as
// sessions do: the order must not grow with the number of changes.
func TestTTLsThatMove(t *testing.T) {
	const keys = 10_000
	d := filled(keys, func(i int) int64 { return int64(1000 + i) })
	defer d.Close()
	var buf [16]byte
	for round := range int64(30) {
		for i := range keys {
			key := benchKey(&buf, uint64(i))
			hash := Hash(key)
			d.SetDeadline(hash, d.Find(hash, key), 1_000_000*(1+round)+int64(i*7919%keys))
		}
	}
	if perKey := float64(d.Usage().Expiry) / keys; perKey > 8 {
		t.Errorf("the order takes %.1f bytes per key", perKey)
	}
	d.checkAlways()
}
