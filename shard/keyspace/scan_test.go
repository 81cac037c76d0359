package keyspace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestScanUnderChurn checks the promise of SCAN: what is there from the first
// call to the last is seen, whatever else comes and goes between the calls.
func TestScanUnderChurn(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newWorld(t)
		name := func(i int) string { return fmt.Sprint("key", i) }
		stay := 1 + r.IntN(3000)
		for i := range stay {
			w.put(name(i), "x", 0, 0)
		}
		// Grow to a multiple and shrink again, over and over, while scanning.
		next, gone := stay, stay
		if seed%2 == 0 { // begin large, so that segments merge
			for limit := effort(40_000); next < limit; next++ {
				w.put(name(next), "x", 0, 0)
			}
		}
		growing := seed%2 != 0
		seen := map[string]bool{}
		calls := 0
		for cursor := uint64(0); ; calls++ {
			cursor = w.db.Scan(cursor, func(e Entry) { seen[string(e.Key())] = true })
			if cursor == 0 {
				break
			}
			if cursor>>48 != 0 {
				t.Fatalf("cursor %x takes more than 48 bits", cursor)
			}
			for range r.IntN(200) {
				if growing {
					w.put(name(next), "x", 0, 0)
					next++
				} else if gone < next {
					w.delete(name(gone))
					gone++
				}
			}
			if r.IntN(200) == 0 {
				growing = !growing
			}
			if r.IntN(20) == 0 {
				w.db.Compact(r.IntN(500))
			}
			if calls > 200_000 {
				t.Fatal("the scan does not end")
			}
		}
		for i := range stay {
			if !seen[name(i)] {
				t.Fatalf("seed %d: %s was there all the time and not seen (%d calls)", seed, name(i), calls)
			}
		}
		w.db.checkAlways()
		w.db.Close()
	}
}

// Any number is accepted as a cursor: clients send what they like.
func TestScanWithArbitraryCursors(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 3))
	for _, keys := range []int{0, 1, 100, 30_000} {
		d := filled(keys, nil)
		for range effort(20_000) {
			d.Scan(r.Uint64()>>r.IntN(64), func(e Entry) { e.Key() })
		}
		d.Scan(math.MaxUint64, func(Entry) {})
		d.Close()
	}
}

// TestRandomIsFair draws from databases in different states of fill.
func TestRandomIsFair(t *testing.T) {
	for _, keys := range []int{1, 2, 10, 300, 700, effort(3000)} {
		d := filled(2*keys, nil)
		var buf [16]byte
		for i := range keys {
			key := benchKey(&buf, uint64(i))
			d.Delete(Hash(key), d.Find(Hash(key), key))
		}
		r := rand.New(rand.NewPCG(uint64(keys), 3))
		const draws = 200
		counts := map[string]int{}
		for range draws * keys {
			counts[string(d.Random(r.Uint64()).Key())]++
		}
		if len(counts) != keys {
			t.Errorf("%d of %d keys were drawn", len(counts), keys)
		}
		for key, n := range counts {
			if n < draws/4 || n > draws*5/2 {
				t.Errorf("%d keys: %s was drawn %d times, fair would be %d", keys, key, n, draws)
			}
		}
		for _, n := range []int{0, 1, 5, keys, keys + 10} {
			seen := map[string]bool{}
			d.Sample(r.Uint64(), n, func(e Entry) { seen[string(e.Key())] = true })
			if len(seen) != min(n, keys) {
				t.Errorf("a sample of %d from %d keys had %d", n, keys, len(seen))
			}
		}
		d.Close()
	}
	if New().Random(1).Exists() {
		t.Error("an empty database has a random key")
	}
}
