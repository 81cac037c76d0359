package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hyperkv/persist/disk/frail"
	"hyperkv/persist/wal"
)

// Wherever a log is damaged, and from whichever snapshot the journal is played: after a
// repair it can be, what a repair loses was said before, and it is no more than what
// stands behind damage that the snapshot does not hold.
func TestRepair(t *testing.T) {
	seeds := 2500
	if testing.Short() {
		seeds = 300
	}
	older, lossy := 0, 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 10))
		d := frail.New()
		shards := 1 + r.IntN(3)
		j, _, w := open(t, d, shards)
		now := cloneSeen(w.seen)
		var from *snapshot
		for n := range 30 + r.Uint64N(100) {
			with := r.Perm(shards)[:1+r.IntN(shards)*r.IntN(2)]
			record(j, n+1, with)
			for _, s := range with {
				now[s] = append(now[s], n+1)
			}
			if _, err := j.Commit(true); err != nil {
				t.Fatal(err)
			}
			if r.IntN(60) == 0 {
				from = &snapshot{j.Position(), cloneSeen(now)}
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		names, err := d.List("journal/000001")
		if err != nil {
			t.Fatal(err)
		}
		segments := slices.DeleteFunc(names, func(name string) bool { return !wal.IsSegment(name) })
		play := func() (Recovery, *world, error) {
			w := &world{seen: map[int][]uint64{}}
			o := options(d, shards, w)
			if from != nil {
				w.seen, o.From = cloneSeen(from.seen), &from.at
			}
			found, err := Replay(o)
			return found, w, err
		}
		before, _, err := play()
		if err != nil {
			t.Fatal(err)
		}
		d.Flip("journal/000001/"+segments[r.IntN(len(segments))], r.Int64N(4096), uint(r.IntN(8)))

		o := options(d, shards, nil)
		if from != nil {
			o.From = &from.at
		}
		said, err := Check(o, false)
		if err != nil {
			t.Fatal(err)
		}
		_, _, refused := play()
		bad := slices.IndexFunc(said, func(l LogReport) bool { return l.Damage != nil })
		if (refused == nil) != (bad < 0) {
			t.Fatalf("seed %d: playing it says %v, checking it %+v", seed, refused, said)
		}
		done, err := Check(o, true)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range done {
			if done[i].Lost != said[i].Lost || done[i].Repaired != (i == bad) {
				t.Fatalf("seed %d: it was to be %+v, and is %+v", seed, said[i], done[i])
			}
		}
		after, w, err := play()
		if err != nil || w.bad != nil {
			t.Fatalf("seed %d: after the repair: %v %v", seed, err, w.bad)
		}
		for s, numbers := range w.seen {
			if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
				t.Fatalf("seed %d: shard %d has seen %d", seed, s, numbers)
			}
		}
		if bad < 0 {
			continue
		}
		if shards == 1 {
			// But for the record that is damaged itself.
			if gone := before.Effects - after.Effects; gone != said[bad].Lost.Effects && gone != said[bad].Lost.Effects+1 {
				t.Fatalf("seed %d: %d effects were played, and are %d: %+v", seed, before.Effects, after.Effects, said[bad])
			}
		}
		if said[bad].Anew {
			older++
			if said[bad].Lost != (Loss{}) {
				t.Fatalf("seed %d: the snapshot holds what is damaged, and this is lost: %+v", seed, said[bad])
			}
		} else if said[bad].Lost.Effects > 0 {
			lossy++
		}
		j, _, _ = openBehind(t, d, shards, from)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if older < seeds/20 || lossy < seeds/20 {
		t.Errorf("of %d journals %d had damage that a snapshot held, and %d lost something", seeds, older, lossy)
	}
}

// A log that ends before the snapshot was taken has lost its end, and is begun anew where
// the snapshot ends; so is one that is known to have ended later, because it was closed there.
func TestRepairOfMissingEnd(t *testing.T) {
	for _, closed := range []bool{false, true} {
		d := frail.New()
		j, _, _ := open(t, d, 2)
		j.SetPolicy(EverySecond) // with always there are copies, which miss what is before them
		for n := range uint64(200) {
			record(j, n+1, []int{int(n % 2)})
			if _, err := j.Commit(true); err != nil {
				t.Fatal(err)
			}
		}
		at := j.Position()
		record(j, 201, []int{0})
		record(j, 202, []int{1})
		if closed {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			killed(t, j)
		}
		names, err := d.List("journal/000001")
		if err != nil {
			t.Fatal(err)
		}
		removed := 0
		for _, name := range names[1:] {
			if strings.HasPrefix(name, "wal-0000-") {
				if err := d.Remove("journal/000001/" + name); err != nil {
					t.Fatal(err)
				}
				removed++
			}
		}
		if removed == 0 {
			t.Fatalf("there is only %q", names)
		}
		w := &world{seen: map[int][]uint64{}}
		o := options(d, 2, w)
		o.From = &at
		var missing *MissingError
		var damage *wal.DamageError
		if _, err := Replay(o); !closed && !errors.As(err, &missing) || closed && !errors.As(err, &damage) {
			t.Fatalf("without its end, closed %v: %v", closed, err)
		}
		reports, err := Check(o, true)
		if err != nil || !reports[0].Anew || (reports[0].Damage != nil) != closed || !reports[0].Repaired || reports[1].Anew || reports[1].Repaired {
			t.Fatalf("closed %v: %+v, %v", closed, reports, err)
		}
		w.seen = map[int][]uint64{}
		if found, err := Replay(o); err != nil || fmt.Sprint(w.seen) != "map[1:[202]]" {
			t.Errorf("closed %v: %+v, %v, %v", closed, found, w.seen, err)
		}
	}
}

// killed ends a journal as kill -9 does.
func killed(t *testing.T, j *Journal) {
	t.Helper()
	if _, err := j.Commit(true); err != nil {
		t.Fatal(err)
	}
	j.halt()
	j.abandon()
}

// A journal that was begun for a snapshot which did not come about is not listed by its end.
func TestCloseOfUnlisted(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 2)
	record(j, 1, []int{0})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := readMeta(d, "journal")
	if err != nil {
		t.Fatal(err)
	}
	if j, err = Begin(options(d, 2, nil), 7); err != nil {
		t.Fatal(err)
	}
	record(j, 2, []int{1})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := readMeta(d, "journal"); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v was %+v, %v", after, before, err)
	}
	if j, err = Begin(options(d, 2, nil), 7); err != nil {
		t.Fatal(err)
	}
	record(j, 2, []int{1})
	if err := errors.Join(j.Enlist(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if after, err := readMeta(d, "journal"); err != nil || len(after.Generations) != 2 || after.last().Ends == nil {
		t.Errorf("%+v, %v", after, err)
	}
}

// A log that ends before it was closed, or opened, is damaged wherever it ends.
func TestKnownEnds(t *testing.T) {
	for _, closed := range []bool{true, false} {
		for cut := range int64(40) {
			d := frail.New()
			j, _, _ := open(t, d, 2)
			for n := range uint64(20) {
				record(j, n+1, []int{int(n % 2)})
			}
			if closed {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
			} else { // what comes behind was promised, and what is known ends before it
				killed(t, j)
				j, _, _ = open(t, d, 2)
				record(j, 21, []int{0})
				killed(t, j)
			}
			path := "journal/000001/wal-0000-00000000000000000001.log"
			f, err := d.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			size, _ := f.Size()
			if err := f.Truncate(64 + cut*32); err != nil {
				t.Fatal(err)
			}
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
			w := &world{seen: map[int][]uint64{}}
			_, err = Replay(options(d, 2, w))
			var damage *wal.DamageError
			switch {
			case errors.As(err, &damage) && damage.Path == path:
			case err == nil && len(w.seen[0]) >= 10:
				continue // nothing that is known is gone
			default:
				t.Fatalf("closed %v, cut %d: %v %v", closed, cut, w.seen, err)
			}
			reports, err := Check(options(d, 2, nil), true)
			if err != nil || !reports[0].Repaired {
				t.Fatalf("closed %v, cut %d: %+v %v", closed, cut, reports, err)
			}
			j, _, w = open(t, d, 2)
			if len(w.seen[1]) != 10 || len(w.seen[0]) >= 10 {
				t.Errorf("closed %v, cut %d, repaired: %v", closed, cut, w.seen)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Who only looks at a journal does not begin one.
func TestLookingChangesNothing(t *testing.T) {
	d := frail.New()
	o := options(d, 2, nil)
	if found, err := Replay(o); err != nil || found.Generations != 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if reports, err := Check(o, true); err != nil || len(reports) > 0 {
		t.Errorf("%+v, %v", reports, err)
	}
	if folders, files, err := Files(d, "journal"); err != nil || len(folders)+len(files) > 0 {
		t.Errorf("%q %q %v", folders, files, err)
	}
	if names, _ := d.List("journal"); len(names) > 0 {
		t.Errorf("now there is %q", names)
	}
	j, _, _ := open(t, d, 1)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	folders, files, err := Files(d, "journal")
	if want := "[000001] [000001/wal-0000-00000000000000000001.log journal.json]"; err != nil || fmt.Sprint(folders, " ", files) != want {
		t.Errorf("%v %v, %v", folders, files, err)
	}
}
