//go:build invariants

package shard

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"hyperkv/internal/invariant"
)

// The deterministic scheduler runs the code of turns, mailboxes and transactions
// with many goroutines of which only one moves at a time; at every Yield it
// decides from one seed who goes on. A failure is reported as that seed.

// schedule is one run.
type schedule struct {
	random  *rand.Rand
	threads []*thread
	current *thread
	step    int
}

type thread struct {
	name string
	run  func()
	// resume gets the baton; yielded gives it back, true when the thread is done.
	resume  chan struct{}
	yielded chan bool
	done    bool
	// idle says that the thread has nothing to do until ready says otherwise.
	ready func() bool
}

func (s *schedule) spawn(name string, run func()) *thread {
	t := &thread{name: name, run: run, resume: make(chan struct{}), yielded: make(chan bool)}
	s.threads = append(s.threads, t)
	return t
}

// yield is called by the running thread.
func (s *schedule) yield(string) {
	t := s.current
	t.yielded <- false
	<-t.resume
}

// stepsMax bounds a run; reaching it means that somebody spins or starves.
const stepsMax = 200_000

func (s *schedule) play(finished func() bool) error {
	for _, t := range s.threads {
		go func() {
			<-t.resume
			t.run()
			t.yielded <- true
		}()
	}
	for !finished() {
		var able []*thread
		for _, t := range s.threads {
			if !t.done && (t.ready == nil || t.ready()) {
				able = append(able, t)
			}
		}
		if len(able) == 0 {
			return fmt.Errorf("stranded: nobody can move after %d steps", s.step)
		}
		if s.step++; s.step > stepsMax {
			return fmt.Errorf("no end after %d steps", s.step)
		}
		s.current = able[s.random.IntN(len(able))]
		s.current.resume <- struct{}{}
		s.current.done = <-s.current.yielded
	}
	return nil
}

// history is what the work of one run saw, in terms of a version per shard that
// every piece of work increments.
type history struct {
	clock int
	works []*work
}

type work struct {
	id            int
	invoked, done int // times of the history's clock; done 0 while under way
	saw           map[int]int
	ran           int
}

// world is the set under test with its observers.
type world struct {
	set      *Set
	versions []int
	inside   []bool
	history  history
	err      error
}

func (w *world) visit(k *work, shards ...*Shard) {
	for _, s := range shards {
		if w.inside[s.Index] {
			w.err = fmt.Errorf("two at once in shard %d", s.Index)
		}
		w.inside[s.Index] = true
	}
	invariant.Yield("visit")
	for _, s := range shards {
		k.saw[s.Index] = w.versions[s.Index]
		w.versions[s.Index]++
		w.inside[s.Index] = false
	}
	k.ran++
}

func (w *world) invoke() *work {
	w.history.clock++
	k := &work{id: len(w.history.works), invoked: w.history.clock, saw: make(map[int]int)}
	w.history.works = append(w.history.works, k)
	return k
}

func (w *world) finish(k *work) {
	w.history.clock++
	k.done = w.history.clock
}

// job is a batch of one client on one shard.
type job struct {
	Node
	w *world
	k *work
}

func (j *job) RunOn(s *Shard) {
	j.w.visit(j.k, s)
	j.w.finish(j.k)
}

// client does some random pieces of work, several of them under way at a time.
func (w *world) client(random *rand.Rand, pieces int) func() {
	return func() {
		for range pieces {
			k := w.invoke()
			if random.IntN(2) == 0 {
				s := w.set.Shards[random.IntN(len(w.set.Shards))]
				j := &job{w: w, k: k}
				switch {
				case random.IntN(4) == 0:
					s.PostLong(&j.Node, j)
				case s.Enter():
					j.RunOn(s)
					s.Exit()
				default:
					s.Post(&j.Node, j)
				}
				continue
			}
			var shards []*Shard
			for len(shards) < 2 {
				shards = shards[:0]
				for _, s := range w.set.Shards {
					if random.IntN(3) > 0 {
						shards = append(shards, s)
					}
				}
			}
			if random.IntN(2) == 0 && w.set.EnterAll(shards) {
				w.visit(k, shards...)
				w.finish(k)
				w.set.ExitAll(shards)
				continue
			}
			t := &Transaction{Shards: shards, Done: func() { w.finish(k) }, Long: random.IntN(8) == 0}
			if random.IntN(2) == 0 {
				t.Body = func() { w.visit(k, shards...) }
			} else {
				t.Part = func(_ int, s *Shard) { w.visit(k, s) }
			}
			w.set.Submit(t)
		}
	}
}

// check verifies that every piece of work ran once per shard and that there is
// one order of all work that explains what each saw and respects real time:
// then the whole is strictly serializable.
func (h *history) check() error {
	after := make(map[int][]int)
	byShard := make(map[int]map[int]int) // shard → version seen → work
	for _, k := range h.works {
		if k.done == 0 {
			return fmt.Errorf("work %d never finished", k.id)
		}
		for s, version := range k.saw {
			if byShard[s] == nil {
				byShard[s] = make(map[int]int)
			}
			if other, twice := byShard[s][version]; twice {
				return fmt.Errorf("works %d and %d saw the same version of shard %d", other, k.id, s)
			}
			byShard[s][version] = k.id
		}
	}
	for _, versions := range byShard {
		for version, id := range versions {
			if next, ok := versions[version+1]; ok {
				after[id] = append(after[id], next)
			}
		}
	}
	for _, a := range h.works {
		for _, b := range h.works {
			if a.done < b.invoked {
				after[a.id] = append(after[a.id], b.id)
			}
		}
	}
	const (
		unseen = iota
		open
		closed
	)
	state := make([]int, len(h.works))
	var visit func(id int) error
	visit = func(id int) error {
		state[id] = open
		for _, next := range after[id] {
			switch state[next] {
			case open:
				return fmt.Errorf("no order explains works %d and %d", id, next)
			case unseen:
				if err := visit(next); err != nil {
					return err
				}
			}
		}
		state[id] = closed
		return nil
	}
	for id := range h.works {
		if state[id] == unseen {
			if err := visit(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func explore(seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &world{set: newSet(Options{Shards: 2 + random.IntN(2), Databases: 1, Inline: random.IntN(4) > 0})}
	w.versions = make([]int, len(w.set.Shards))
	w.inside = make([]bool, len(w.set.Shards))
	sch := &schedule{random: random}
	const clients, pieces = 3, 5
	for i := range clients {
		sch.spawn(fmt.Sprintf("client %d", i), w.client(rand.New(rand.NewPCG(seed, uint64(i+1))), pieces))
	}
	// What keepers do by the clock comes at any moment.
	sch.spawn("clock", func() {
		random := rand.New(rand.NewPCG(seed, clients+1))
		for range pieces {
			s := w.set.Shards[random.IntN(len(w.set.Shards))]
			if random.IntN(2) == 0 {
				s.upkeep.tick(s)
			} else if s.expiry.posted.CompareAndSwap(false, true) {
				s.Post(&s.expiry.Node, &s.expiry)
			}
			invariant.Yield("clock")
		}
	})
	for _, s := range w.set.Shards {
		idle := false
		t := sch.spawn(fmt.Sprintf("keeper %d", s.Index), func() {
			for {
				select {
				case <-s.keeper.wake:
					s.sweepMailbox()
					s.upkeep.post(s)
				default:
				}
				idle = true
				invariant.Yield("keeper")
				idle = false
			}
		})
		t.ready = func() bool { return !idle || len(s.keeper.wake) > 0 }
	}
	invariant.SetYield(sch.yield)
	defer invariant.SetYield(nil)
	err := sch.play(func() bool {
		if w.err != nil {
			return true
		}
		if len(w.history.works) < clients*pieces {
			return false
		}
		for _, k := range w.history.works {
			if k.done == 0 {
				return false
			}
		}
		for _, t := range sch.threads[:clients+1] {
			if !t.done {
				return false
			}
		}
		return true
	})
	if err == nil {
		err = w.err
	}
	if err != nil {
		return err
	}
	return w.history.check()
}

// TestInterleavings explores interleavings from consecutive seeds. More of them
// with HYPERKV_SCHEDULES; one alone with HYPERKV_SCHEDULE_SEED.
func TestInterleavings(t *testing.T) {
	if text := os.Getenv("HYPERKV_SCHEDULE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := explore(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return
	}
	runs := 3000
	if text := os.Getenv("HYPERKV_SCHEDULES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		runs = n
	}
	for seed := range uint64(runs) {
		if err := explore(seed); err != nil {
			t.Fatalf("seed %d: %v (HYPERKV_SCHEDULE_SEED=%d repeats it)", seed, err, seed)
		}
	}
}
