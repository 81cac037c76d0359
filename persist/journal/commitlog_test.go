package journal

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"hyperkv/persist/disk/frail"
	"hyperkv/persist/wal"
)

// commitSegments are the segments of the commit log of the first generation.
func commitSegments(t *testing.T, d *frail.Disk) []string {
	t.Helper()
	names, err := d.List("journal/000001")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !wal.IsSegment(name) || !strings.HasPrefix(name, wal.FilePrefix(commitShard))
	})
}

// commitUnits records units on all of some shards and commits each of them.
func commitUnits(t *testing.T, j *Journal, shards, from, to int) (units []unit) {
	t.Helper()
	for n := from; n < to; n++ {
		all := make([]int, shards)
		for s := range shards {
			all[s] = s
			if own := uint64(100*n + s + 1); n%2 == 0 { // and sometimes one of each shard's own
				record(j, own, []int{s})
				units = append(units, unit{own, []int{s}})
			}
		}
		u := unit{uint64(100*n + 99), all}
		record(j, u.number, all)
		units = append(units, u)
		if _, err := j.Commit(true); err != nil {
			t.Fatal(err)
		}
	}
	return units
}

// What several logs have recorded takes one sync, and is there after a loss of power, whatever
// that leaves of the logs themselves; then the commit log goes.
func TestOneSyncForAllLogs(t *testing.T) {
	const shards, commits = 7, 30
	restored := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 11))
		d := frail.New()
		j, _, _ := open(t, d, shards)
		j.halt() // the sync of every second
		j.stop, j.done = make(chan struct{}), make(chan struct{})
		go func() { defer close(j.done); j.sync() }()
		units := commitUnits(t, j, shards, 0, 1) // begins the commit log
		before := d.Syncs()
		units = append(units, commitUnits(t, j, shards, 1, commits)...)
		// A segment that begins costs one more, for its name.
		segments := len(commitSegments(t, d))
		if n := d.Syncs() - before; n > commits+3*segments {
			t.Fatalf("%d commits of %d logs took %d syncs", commits, shards, n)
		}
		if segments == 0 || !j.Synced() {
			t.Fatalf("%d segments, synced %v", segments, j.Synced())
		}
		j.halt()
		d.Crash(r)
		for life := range 2 {
			j, found, w := open(t, d, shards)
			check(t, "after the loss", units, w)
			if life == 0 {
				restored += found.Restored
			} else if found.Restored > 0 {
				t.Fatalf("%d records were restored once more", found.Restored)
			}
			if names := commitSegments(t, d); len(names) > 0 {
				t.Fatalf("left behind: %v", names)
			}
			j.halt()
			d.Crash(r)
		}
	}
	if restored < 1000 {
		t.Errorf("%d records were restored", restored)
	}
}

// Logs are not copied for ever: what each of them holds by itself is deleted.
func TestCommitLogIsDropped(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 3)
	commitUnits(t, j, 3, 0, 40)
	long := len(commitSegments(t, d))
	j.upkeep()
	if n := len(commitSegments(t, d)); n != 1 || long < 3 {
		t.Errorf("of %d segments %d are left", long, n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if names := commitSegments(t, d); len(names) > 0 {
		t.Errorf("after the end there is %v", names)
	}
}

// What is long is written once, and what somebody else has written meanwhile is synced
// where it is.
func TestWhatIsNotCopied(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 2)
	defer j.Close()
	long := make([]byte, copyMax)
	for s := range 2 {
		j.Record([]int{s}, 1, func(int) (int, [][]byte) { return 0, [][]byte{long} })
	}
	if _, err := j.Commit(true); err != nil {
		t.Fatal(err)
	}
	for i, l := range j.logs {
		if l.Durable() < l.Appended() {
			t.Errorf("log %d is not durable", i)
		}
	}
	record(j, 1, []int{0})
	record(j, 2, []int{1})
	if err := j.logs[0].Write(); err != nil {
		t.Fatal(err)
	}
	record(j, 3, []int{0})
	if _, err := j.Commit(true); err != nil {
		t.Fatal(err)
	}
	if l := j.logs[0]; l.Durable() < l.Appended() {
		t.Error("what was written before is in no copy, and not durable")
	}
	if l := j.logs[1]; l.safe() < l.Appended() {
		t.Error("the other log is not safe")
	}
}

// Without room for the commit log each log is synced by itself, and it is tried again.
func TestNoRoomForTheCommitLog(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 13))
		d := frail.New()
		j, _, _ := open(t, d, 3)
		var full atomic.Bool
		full.Store(r.IntN(2) == 0) // from the beginning, or later
		d.Fault = func(op, name string) error {
			if full.Load() && strings.Contains(name, wal.FilePrefix(commitShard)) && op != "sync" {
				return syscall.ENOSPC
			}
			return nil
		}
		units := commitUnits(t, j, 3, 0, 10)
		full.Store(true)
		units = append(units, commitUnits(t, j, 3, 10, 30)...)
		if !j.commits.off.Load() {
			t.Fatal("there was room")
		}
		full.Store(false)
		j.upkeep()
		before := d.Syncs()
		units = append(units, commitUnits(t, j, 3, 30, 50)...)
		if n := d.Syncs() - before; n > 2*20 {
			t.Errorf("there is room again, and 20 commits took %d syncs", n)
		}
		j.halt()
		d.Crash(r)
		_, _, w := open(t, d, 3)
		check(t, "after the loss", units, w)
	}
}

// A damaged commit log is refused and repaired as the others are; one that belongs to
// nothing, too.
func TestDamagedCommitLog(t *testing.T) {
	const shards = 3
	refused := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 12))
		d := frail.New()
		j, _, _ := open(t, d, shards)
		units := commitUnits(t, j, shards, 0, 30)
		j.halt()
		d.Crash(r)
		names := commitSegments(t, d)
		d.Flip(filepath.Join("journal/000001", names[r.IntN(len(names))]), r.Int64N(4096), uint(r.IntN(8)))
		w := &world{seen: map[int][]uint64{}}
		j, _, err := Open(options(d, shards, w))
		var damage *wal.DamageError
		if err == nil { // behind the end, or in what nobody was promised
			check(t, "the flip did no harm", maybeAll(units), w)
			j.halt()
			continue
		}
		if !errors.As(err, &damage) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		refused++
		o := options(d, shards, nil)
		for _, repair := range []bool{false, true} {
			reports, err := Check(o, repair)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			wrong := slices.DeleteFunc(reports, func(r LogReport) bool { return r.Damage == nil })
			if len(wrong) == 0 || wrong[0].Repaired != repair {
				t.Fatalf("seed %d: %v, and a check with repair %v finds %+v", seed, err, repair, wrong)
			}
		}
		j, _, w = open(t, d, shards)
		check(t, "after the repair", maybeAll(units), w)
		j.halt()
	}
	if refused < 100 {
		t.Errorf("%d were refused", refused)
	}
}

func maybeAll(units []unit) (all []unit) {
	for _, u := range units {
		all = append(all, unit{u.number | maybe, u.shards})
	}
	return all
}

func TestForeignRecordsInTheCommitLog(t *testing.T) {
	for _, c := range []struct {
		kind    wal.Kind
		group   uint16
		payload string
	}{{kindUnit, 0, "x"}, {kindCopy, 2, "x"}, {kindCopy, 1, "not a record"}} {
		d := frail.New()
		j, _, _ := open(t, d, 2)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		l, _, err := wal.Open(j.options(j.meta.Load().last(), commitShard), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Append(c.kind, c.group, []byte(c.payload))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		w := &world{seen: map[int][]uint64{}}
		if _, _, err := Open(options(d, 2, w)); err == nil {
			t.Errorf("kind %d of log %d: %q was accepted", c.kind, c.group, c.payload)
		}
		if _, err := Check(options(d, 2, w), false); err == nil {
			reports, _ := Check(options(d, 2, w), false)
			if !slices.ContainsFunc(reports, func(r LogReport) bool { return r.Damage != nil }) {
				t.Errorf("kind %d of log %d: %q passes the check", c.kind, c.group, c.payload)
			}
		}
	}
}
