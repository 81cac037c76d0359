package wal

import (
	"errors"
	"math/rand/v2"
	"testing"

	"hyperkv/persist/disk/frail"
)

// Whatever is damaged before the record with which a log is made to begin does no harm any
// more, and all that is whole from there on is kept. Interrupted at any step, also by a
// loss of power, it may be done again.
func TestRebase(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 300
	}
	saved, lost := 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 9))
		d := frail.New()
		l, _, _ := open(t, options(d))
		for range 5 + r.IntN(80) {
			add(l)
			if r.IntN(8) == 0 {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		// A bit changes, in a header too, or a file goes missing.
		victim := l.segments[r.IntN(len(l.segments))].path
		if r.IntN(8) == 0 && len(l.segments) > 1 {
			if err := errors.Join(d.Remove(victim), d.SyncDir("log")); err != nil {
				t.Fatal(err)
			}
		} else {
			d.Flip(victim, r.Int64N(segmentBytesMin), uint(r.IntN(8)))
		}
		whole := map[uint64]bool{} // the numbers of all records that can be read, marks included
		found, err := Check(options(d), nil, func(rec Record) { whole[rec.LSN] = true })
		for lsn := found.First; lsn <= found.Last; lsn++ {
			whole[lsn] = true
		}
		gap := found.Last + 1 // where it cannot be read on, although the next record may be whole
		damaged := err != nil

		first := 1 + r.Uint64N(l.next)
		for interruptions := r.IntN(3); ; interruptions-- {
			steps := r.IntN(12)
			d.Fault = func(string, string) error {
				if steps--; steps < 0 && interruptions > 0 {
					return errors.New("interrupted")
				}
				return nil
			}
			err := Rebase(options(d), first)
			d.Fault = nil
			if r.IntN(2) == 0 {
				d.Crash(r)
			}
			if err == nil {
				break
			}
			if interruptions <= 0 {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		var after reader
		got, err := Check(options(d), after.replay, nil)
		var damage *DamageError
		if after.err != nil || err != nil && !errors.As(err, &damage) {
			t.Fatalf("seed %d: %v %v", seed, after.err, err)
		}
		last := first - 1
		for whole[last+1] && (last+1 != gap || last+1 == first) {
			last++
		}
		if got.First != first || got.Last != last {
			t.Fatalf("seed %d: of records %d to %d, which cannot be read at %d, those from %d to %d are left, and not from %d to %d",
				seed, found.First, l.next-1, gap, got.First, got.Last, first, last)
		}
		switch {
		case damaged && err == nil && last == l.next-1:
			saved++
		case last < l.next-1:
			lost++
		}
	}
	if saved < int(seeds)/10 || lost < int(seeds)/10 {
		t.Errorf("of %d logs %d were saved, and %d lost something", seeds, saved, lost)
	}
}
