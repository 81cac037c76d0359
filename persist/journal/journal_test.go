package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/persist/disk"
	"hyperkv/persist/disk/frail"
	"hyperkv/persist/wal"
)

// world is what plays journals in these tests: it keeps which units each shard has
// seen, in their order. Safe for concurrent use.
type world struct {
	mu   sync.Mutex
	seen map[int][]uint64 // by shard
	bad  error
}

type worldPlayer struct {
	w   *world
	log int
}

func (w *world) player(log, shards int) Player { return &worldPlayer{w, log} }

// A unit of these tests has one effect for each of its shards, with its number, the
// shard and how many shards there are.
func (p *worldPlayer) Play(effects []Effect, shared bool) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	for _, e := range effects {
		number := binary.LittleEndian.Uint64(e.Args[0])
		shard := int(e.Args[1][0])
		if string(e.Args[2]) != text(number) || len(effects) != int(e.Args[1][1]) || shared != (len(effects) > 1) ||
			e.Database != int(number%16) || !shared && shard != p.log {
			p.w.bad = fmt.Errorf("unit %d on log %d reads as %v", number, p.log, effects)
		}
		p.w.seen[shard] = append(p.w.seen[shard], number)
	}
	return nil
}

func text(number uint64) string { return strings.Repeat("x", int(number*number%300)) }

// record records a unit on some shards.
func record(j *Journal, number uint64, shards []int) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], number)
	j.Record(shards, len(shards), func(i int) (int, [][]byte) {
		return int(number % 16), [][]byte{n[:], {byte(shards[i]), byte(len(shards))}, []byte(text(number))}
	})
}

func options(d disk.Disk, shards int, w *world) Options {
	return Options{Disk: d, Dir: "journal", Shards: shards, Policy: Always, SegmentBytes: 4096, Player: w.player}
}

func open(t testing.TB, d disk.Disk, shards int) (*Journal, Recovery, *world) {
	t.Helper()
	return openBehind(t, d, shards, nil)
}

// snapshot is what a snapshot would hold: what each shard had seen at a position.
type snapshot struct {
	at   Position
	seen map[int][]uint64
}

func cloneSeen(seen map[int][]uint64) map[int][]uint64 {
	c := map[int][]uint64{}
	for shard, numbers := range seen {
		c[shard] = slices.Clone(numbers)
	}
	return c
}

// openBehind opens a journal from a snapshot on, if there is one.
func openBehind(t testing.TB, d disk.Disk, shards int, s *snapshot) (*Journal, Recovery, *world) {
	t.Helper()
	w := &world{seen: map[int][]uint64{}}
	o := options(d, shards, w)
	if s != nil {
		w.seen, o.From = cloneSeen(s.seen), &s.at
	}
	j, found, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if w.bad != nil {
		t.Fatal(w.bad)
	}
	return j, found, w
}

// unit is what the model knows of one that was recorded.
type unit struct {
	number uint64
	shards []int
}

// Whatever happens between lives, and from whichever snapshot the journal is played, as long
// as what lies before an older one is all that was deleted: what was committed is there, units of several shards
// are there on all of them or on none, every shard has seen its units in their order,
// without holes but for units of several shards, and what has once been left out never
// comes back.
func TestLives(t *testing.T) {
	seeds := 1500
	if testing.Short() {
		seeds = 200
	}
	completed, leftOut, generations, taken, restored := 0, 0, 0, 0, 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 9))
		d := frail.New()
		var history []unit // of what is known to be there
		number := uint64(0)
		shards := 1 + r.IntN(4)
		var snapshots []snapshot // the newest last
		for life := range 6 {
			if r.IntN(6) == 0 {
				shards = 1 + r.IntN(4)
			}
			var from *snapshot
			if n := len(snapshots); n > 0 {
				from = &snapshots[r.IntN(n)]
			}
			j, found, w := openBehind(t, d, shards, from)
			now := cloneSeen(w.seen)
			completed += found.Completed
			leftOut += found.LeftOut
			restored += found.Restored
			generations = max(generations, found.Generations)
			settled := check(t, fmt.Sprintf("seed %d, life %d", seed, life), history, w)
			// What is there now, and nothing else, is there for ever.
			history = nil
			for _, u := range settled {
				history = append(history, u)
			}
			var open []unit
			for range r.IntN(40) {
				switch r.IntN(9) {
				case 8:
					if r.IntN(3) > 0 {
						continue
					}
					s := snapshot{j.Position(), cloneSeen(now)}
					if err := j.Sync(); err != nil {
						t.Fatal(err)
					}
					history, open = append(history, open...), nil
					snapshots = append(snapshots, s)
					snapshots = snapshots[max(len(snapshots)-2, 0):]
					if err := j.DropBefore(snapshots[0].at); err != nil {
						t.Fatal(err)
					}
					taken++
				case 0:
					if _, err := j.Commit(true); err != nil {
						t.Fatal(err)
					}
					history = append(history, open...)
					open = nil
				case 1:
					if err := j.logs[r.IntN(shards)].Write(); err != nil {
						t.Fatal(err)
					}
				case 2:
					if err := j.logs[r.IntN(shards)].Sync(); err != nil {
						t.Fatal(err)
					}
				default:
					number++
					u := unit{number, r.Perm(shards)[:1+r.IntN(shards)*r.IntN(2)]}
					record(j, u.number, u.shards)
					open = append(open, u)
					for _, s := range u.shards {
						now[s] = append(now[s], u.number)
					}
				}
			}
			j.halt()
			switch r.IntN(5) {
			case 0:
				for _, l := range j.logs {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
				history, open = append(history, open...), nil
			case 1: // killed
			default:
				d.Crash(r)
			}
			// The rest may be there or not.
			for _, u := range open {
				u.number |= maybe
				history = append(history, u)
			}
		}
	}
	if taken < seeds || completed < seeds/20 || leftOut < seeds/200 || generations < 4 || restored < seeds {
		t.Errorf("%d units completed, %d left out, %d generations, %d snapshots, %d records restored", completed, leftOut, generations, taken, restored)
	}
}

// maybe marks units that nobody was promised.
const maybe = 1 << 63

// check holds what was played against the history, and returns what of it is there.
func check(t *testing.T, where string, history []unit, w *world) (there []unit) {
	t.Helper()
	seen := map[uint64]int{}
	for shard, numbers := range w.seen {
		if !slices.IsSorted(numbers) || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
			t.Fatalf("%s: shard %d has seen %d", where, shard, numbers)
		}
		for _, n := range numbers {
			seen[n]++
		}
	}
	lost := map[int]bool{} // shards that have lost a unit of their own
	for _, u := range history {
		number := u.number &^ maybe
		switch n := seen[number]; {
		case n == len(u.shards):
			if len(u.shards) == 1 && lost[u.shards[0]] {
				t.Fatalf("%s: shard %d has lost a unit before %d", where, u.shards[0], number)
			}
			there = append(there, unit{number, u.shards})
			delete(seen, number)
		case n != 0:
			t.Fatalf("%s: unit %d is there on %d of shards %d", where, number, n, u.shards)
		case u.number&maybe == 0:
			t.Fatalf("%s: unit %d on shards %d was committed and is gone", where, number, u.shards)
		case len(u.shards) == 1:
			lost[u.shards[0]] = true
		}
	}
	if len(seen) > 0 {
		t.Fatalf("%s: units have come back, or were never there: %v", where, seen)
	}
	return there
}

// What a journal that is closed has recorded is dropped behind a snapshot, whatever loss of
// power comes between, and what is recorded later has its place behind that snapshot.
func TestDropClosed(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range 200 {
		d := frail.New()
		shards := 1 + r.IntN(3)
		j, _, _ := open(t, d, shards)
		units := commitUnits(t, j, shards, 0, 5)
		before := j.Position()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if err := DropClosed(d, "journal", before); err != nil {
			t.Fatal(err)
		}
		j, _, w := open(t, d, shards)
		check(t, "after nothing was dropped", units, w)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		behind, err := After(d, "journal")
		if err != nil {
			t.Fatal(err)
		}
		if err := DropClosed(d, "journal", *behind); err != nil {
			t.Fatal(err)
		}
		d.Crash(r)
		if again, err := After(d, "journal"); err != nil || again == nil || again.Generation != behind.Generation || again.Next != nil {
			t.Fatalf("behind it is %+v, %v, want %+v", again, err, behind)
		}
		if err := DropClosed(d, "journal", *behind); err != nil { // whatever has come back
			t.Fatal(err)
		}
		if names, err := d.List("journal"); err != nil || len(names) != 1 {
			t.Fatalf("left is %q, %v", names, err)
		}
		none := &snapshot{at: *behind, seen: map[int][]uint64{}}
		j, _, _ = openBehind(t, d, shards, none)
		units = commitUnits(t, j, shards, 5, 10)
		j.halt()
		d.Crash(r)
		_, _, w = openBehind(t, d, shards, none)
		check(t, "what was recorded later", units, w)
	}
}

// While the disk is full nothing is promised; when there is room again, all of it is there.
func TestFullDisk(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 2)
	var mu sync.Mutex
	full := false
	d.Fault = func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if full && op == "write" {
			return syscall.ENOSPC
		}
		return nil
	}
	set := func(to bool) { mu.Lock(); full = to; mu.Unlock() }
	record(j, 1, []int{0})
	if _, err := j.Commit(true); err != nil {
		t.Fatal(err)
	}
	set(true)
	record(j, 2, []int{0, 1})
	if _, err := j.Commit(true); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Commit on a full disk: %v", err)
	}
	// Others may wait for the same unit, and for what was recorded meanwhile.
	for range 2 {
		if _, err := j.Commit(true); !errors.Is(err, syscall.ENOSPC) || !errors.Is(j.Failed(), syscall.ENOSPC) {
			t.Errorf("another Commit: %v, failed %v", err, j.Failed())
		}
	}
	record(j, 3, []int{1})
	j.upkeep() // which finds no room, and tells nobody
	if _, err := j.Commit(true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Commit of something new: %v", err)
	}
	set(false)
	for deadline := time.Now().Add(10 * time.Second); j.Failed() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still failed, and there is room")
		}
	}
	if _, err := j.Commit(true); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, found, w := open(t, d, 2)
	if fmt.Sprint(w.seen) != "map[0:[1 2] 1:[2 3]]" || found.Units != 3 || found.Generations != 1 {
		t.Errorf("%v, %+v", w.seen, found)
	}
}

// A sync that has failed ends the journal's promises for good.
func TestFailedSync(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 1)
	record(j, 1, []int{0})
	d.Fault = func(op, name string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	}
	if _, err := j.Commit(true); !errors.Is(err, wal.ErrBroken) {
		t.Fatalf("Commit: %v", err)
	}
	j.SetPolicy(Never)
	j.upkeep()
	if _, err := j.Commit(true); !errors.Is(err, wal.ErrBroken) {
		t.Errorf("it was forgotten: %v", err)
	}
	if err := j.Close(); !errors.Is(err, wal.ErrBroken) {
		t.Errorf("Close: %v", err)
	}
}

// Who runs beside the journal is told before it waits for the medium, if it has to.
func TestBlocks(t *testing.T) {
	d := frail.New()
	told, synced := 0, 0
	o := options(d, 2, &world{})
	o.Policy = EverySecond
	o.Blocks = func() { told++ }
	j, _, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	j.halt() // what it does by itself is done here
	d.Fault = func(op, name string) error {
		if op == "sync" {
			if synced++; told == 0 {
				t.Errorf("%s is synced, and nobody was told", name)
			}
		}
		return nil
	}
	record(j, 1, []int{0, 1})
	j.upkeep()
	if told != 1 || synced == 0 {
		t.Errorf("told %d times of %d syncs", told, synced)
	}
	j.upkeep()
	if told != 1 {
		t.Error("told again, although nothing was recorded")
	}
}

// A sync that fails while the disk is full is not forgotten when there is room again.
func TestFailedSyncOfFullDisk(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 2)
	defer j.halt()
	record(j, 1, []int{0})
	_ = j.fail(syscall.ENOSPC)
	d.Fault = func(op, name string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	}
	j.upkeep()
	d.Fault = nil
	j.SetPolicy(Never)
	j.upkeep()
	if _, err := j.Commit(true); !errors.Is(err, wal.ErrBroken) {
		t.Errorf("it was forgotten: %v", err)
	}
}

// A log that is damaged stops the others, and the error says where.
func TestDamage(t *testing.T) {
	d := frail.New()
	j, _, _ := open(t, d, 3)
	for i := range uint64(60) {
		record(j, i+1, [][]int{{0}, {1, 2}, {0, 1, 2}, {2}}[i%4])
		if _, err := j.Commit(true); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	path := "journal/000001/wal-0001-00000000000000000001.log"
	d.Flip(path, 300, 3)
	var damage *wal.DamageError
	w := &world{seen: map[int][]uint64{}}
	if _, _, err := Open(options(d, 3, w)); !errors.As(err, &damage) || damage.Path != path {
		t.Errorf("opened: %v", err)
	}
	if err := d.Remove("journal/journal.json"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create("journal/000001"); err != nil { // frail does not list folders
		t.Fatal(err)
	}
	want := "journal/journal.json is missing, and journal/000001 is there: the journal cannot be read without it"
	if _, _, err := Open(options(d, 3, w)); err == nil || err.Error() != want {
		t.Errorf("without its meta: %v, want %q", err, want)
	}
}

// A log that is gone, or something else, is missed, also when nothing was promised of it but
// what it held: no snapshot says how much there was.
func TestMissingLog(t *testing.T) {
	for _, remove := range []bool{true, false} {
		d := frail.New()
		j, _, _ := open(t, d, 2)
		record(j, 1, []int{0})
		record(j, 2, []int{1})
		if _, err := j.Commit(true); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		path := "journal/000001/wal-0001-00000000000000000001.log"
		if remove {
			if err := d.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			f, err := d.Open(path)
			if err == nil {
				_, err = f.WriteAt(make([]byte, 4096), 0)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var damage *wal.DamageError
		w := &world{seen: map[int][]uint64{}}
		if _, _, err := Open(options(d, 2, w)); !errors.As(err, &damage) || damage.Path != path {
			t.Errorf("opened: %v", err)
		}
		if _, err := Replay(options(d, 2, w)); !errors.As(err, &damage) || damage.Path != path {
			t.Errorf("replayed: %v", err)
		}
		reports, err := Check(options(d, 2, w), true)
		if err != nil || len(reports) != 2 || reports[1].Damage == nil || !reports[1].Repaired || reports[0].Damage != nil {
			t.Errorf("checked: %+v, %v", reports, err)
		}
		if _, _, w := open(t, d, 2); len(w.seen[0]) != 1 || len(w.seen[1]) != 0 {
			t.Errorf("after the repair: %v", w.seen)
		}
	}
}

// On a real disk, with many at once.
func TestConcurrent(t *testing.T) {
	const shards, each = 3, 300
	dir := filepath.Join(t.TempDir(), "journal")
	o := options(disk.OS{}, shards, nil)
	o.Dir = dir
	for life := range 3 {
		w := &world{seen: map[int][]uint64{}}
		o.Player, o.Policy = w.player, Policy(life)
		j, found, err := Open(o)
		if err != nil || w.bad != nil {
			t.Fatal(err, w.bad)
		}
		total := 0
		for _, numbers := range w.seen {
			total += len(numbers)
		}
		if want := life * shards * each * 2; total != want || found.Generations != min(life, 1) {
			t.Fatalf("life %d: %d units were played, want %d; %+v", life, total, want, found)
		}
		var turns [shards]sync.Mutex
		var numbers sync.Mutex
		next := uint64(life * 1_000_000)
		var wg sync.WaitGroup
		for s := range shards {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range each {
					with := []int{s, (s + 1) % shards}
					if i%2 == 0 {
						with = with[:1]
					}
					held := slices.Sorted(slices.Values(with))
					for _, h := range held {
						turns[h].Lock()
					}
					for range 2 / len(with) {
						numbers.Lock()
						next++
						n := next
						numbers.Unlock()
						record(j, n, with)
					}
					for _, h := range held {
						turns[h].Unlock()
					}
					if _, err := j.Commit(true); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		wg.Wait()
		if life == 1 { // killed: what was committed is in the kernel's hands
			j.halt()
			for _, l := range j.logs {
				l.Abandon()
			}
		} else if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, metaName)); err != nil {
		t.Error(err)
	}
}

// No payload makes the decoder panic or take much memory.
func FuzzDecode(f *testing.F) {
	p := appendShared(nil, 7, []place{{0, 1}, {2, 99}})
	p = binary.AppendUvarint(p, 1)
	f.Add(appendEffect(p, 3, [][]byte{[]byte("SET"), []byte("k"), []byte("v")}))
	f.Fuzz(func(t *testing.T, p []byte) {
		d := decoder{p: p}
		if _, _, err := d.shared(nil); err == nil {
			_, _ = d.effects(nil)
		}
		d = decoder{p: p}
		effects, err := d.effects(nil)
		if err != nil {
			return
		}
		again := binary.AppendUvarint(nil, uint64(len(effects)))
		for _, e := range effects {
			again = appendEffect(again, e.Database, e.Args)
		}
		d = decoder{p: again}
		if twice, err := d.effects(nil); err != nil || fmt.Sprint(twice) != fmt.Sprint(effects) {
			t.Errorf("%v reads as %v, %v", effects, twice, err)
		}
	})
}
