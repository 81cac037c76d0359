package shard

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
)

// start is where the manual clocks of these tests stand at first.
const start = 1_700_000_000_000

// tester runs commands on the shards of a set, as a session would.
type tester struct {
	*Set
	t      testing.TB
	clock  *clock.Manual
	client Client
}

// newTester builds a set; without keepers nothing happens by itself.
func newTester(t testing.TB, shards int, keepers bool, hooks Hooks) *tester {
	t.Helper()
	now := clock.NewManual(start)
	o := Options{Shards: shards, Databases: 70, Commands: 4, Seed: 1, Inline: true, Clock: now, Hooks: hooks}
	s := &tester{t: t, clock: now, client: Client{ID: 1}}
	if keepers {
		s.Set = NewSet(o)
		t.Cleanup(s.Close)
	} else {
		s.Set = newSet(o)
		t.Cleanup(func() {
			for _, sh := range s.Shards {
				close(sh.keeper.stopped)
			}
			s.Close()
		})
	}
	return s
}

// run runs a body with all shards and returns the reply.
func (s *tester) run(database int, h Handler) string {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !s.EnterAll(s.Shards); {
		if time.Now().After(deadline) {
			s.t.Fatal("the shards do not become free")
		}
		for _, sh := range s.Shards { // as a transaction would
			sh.kick()
		}
	}
	var call Call
	call.Bind(s.Set, s.Shards...)
	reply := s.execute(&call, database, h)
	s.ExitAll(s.Shards)
	return reply
}

func (s *tester) execute(call *Call, database int, h Handler) string {
	w := resp.Writer{Proto: 2}
	call.BeginClient(&s.client, &w)
	call.Begin(database, [][]byte{[]byte("TOY"), []byte("arg")})
	call.Execute(h, clock.Monotonic())
	return string(w.Buf)
}

func (s *tester) set(database int, key, value string, deadline int64) {
	s.t.Helper()
	s.run(database, func(c *Call) error {
		c.DB.Set([]byte(key), []byte(value), deadline)
		return c.Reply.OK()
	})
}

func (s *tester) has(database int, key string) (found bool) {
	s.t.Helper()
	s.run(database, func(c *Call) error {
		found = c.DB.Peek([]byte(key)).Exists()
		return c.Reply.OK()
	})
	return found
}

func (s *tester) keys(database int) int {
	n := 0
	s.run(database, func(c *Call) error { n = c.DB.Len(); return c.Reply.OK() })
	return n
}

func (s *tester) stats() (sum Stats) {
	for _, sh := range s.Shards {
		sh.Stats(&sum)
	}
	return sum
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// Keys go when their time has come: not before, and in the order of their times.
func TestExpiryIsExact(t *testing.T) {
	var gone []string
	s := newTester(t, 1, false, Hooks{Event: func(_ *Shard, database int, class EventClass, name string, key []byte) {
		if class == EventExpired && name == "expired" {
			gone = append(gone, fmt.Sprint(database, ":", string(key)))
		}
	}})
	sh := s.Shards[0]
	for i := range 50 {
		s.set(i%3, fmt.Sprint("k", i), "v", start+int64(100*(50-i)))
	}
	s.set(0, "stays", "v", 0)
	if at := sh.expiry.armed.Load(); at != start+100 {
		t.Fatalf("armed for %d", at-start)
	}
	for i := 49; i >= 0; i-- {
		at := int64(start + 100*(50-i))
		s.clock.Set(at - 1)
		sh.postExpiry()
		if n := len(gone); n != 49-i {
			t.Fatalf("%d keys are gone a millisecond before the next is due", n)
		}
		s.clock.Set(at)
		sh.postExpiry()
		if n := len(gone); n != 50-i || gone[n-1] != fmt.Sprintf("%d:k%d", i%3, i) {
			t.Fatalf("gone: %v", gone)
		}
	}
	if at := sh.expiry.armed.Load(); at != never {
		t.Errorf("armed for %d with nothing to expire", at)
	}
	if st := s.stats(); st.Expired != 50 || st.LagSumMillis != 0 || st.Lag[0] != 50 || st.Databases[0].Keys != 1 || st.Databases[0].Volatile != 0 {
		t.Errorf("%+v", st)
	}
}

// A slice of expiry is short, however much is due; the rest follows.
func TestExpirySlices(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	sh := s.Shards[0]
	const keys = 100_000
	s.run(0, func(c *Call) error {
		for i := range keys {
			c.DB.SetInt(fmt.Append(nil, "k", i), 1, start+1)
		}
		return c.Reply.OK()
	})
	s.clock.Set(start + 5)
	slices, longest := 0, time.Duration(0)
	for sh.expiry.armed.Load() <= s.Now() {
		before := time.Now()
		sh.postExpiry()
		longest = max(longest, time.Since(before))
		slices++
	}
	if slices < 5 || s.keys(0) != 0 {
		t.Errorf("%d slices left %d keys", slices, s.keys(0))
	}
	t.Logf("%d slices, the longest %v", slices, longest)
	if st := s.stats(); st.Expired != keys || st.LagSumMillis != 4*keys || st.Lag[3] != keys {
		t.Errorf("%d expired, lag %d, %v", st.Expired, st.LagSumMillis, st.Lag)
	}
}

func TestExpirySwitchedOff(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	sh := s.Shards[0]
	s.set(0, "a", "v", start+1)
	s.set(0, "b", "v", start+1)
	s.clock.Set(start + 10)
	s.ActiveExpiry.Store(false)
	sh.postExpiry()
	if at := sh.expiry.armed.Load(); at != start+10+expireRetryMillis || s.keys(0) != 2 {
		t.Errorf("armed for %d, %d keys", at-start, s.keys(0))
	}
	s.ExpiryHeld.Add(1)
	if s.has(0, "a") || s.keys(0) != 2 {
		t.Error("while expiry is held, an expired key must be absent and in place")
	}
	s.ExpiryHeld.Add(-1)
	if s.has(0, "a") || s.keys(0) != 1 {
		t.Error("who finds an expired key removes it")
	}
	s.ActiveExpiry.Store(true)
	s.ExpiryHeld.Add(1)
	s.clock.Set(start + 200)
	sh.postExpiry()
	if s.keys(0) != 1 {
		t.Error("expired while held")
	}
	s.ExpiryHeld.Add(-1)
	s.clock.Set(start + 400)
	sh.postExpiry()
	if s.keys(0) != 0 {
		t.Error("not expired afterwards")
	}
}

// The keeper wakes for what is due, also when deadlines are set all the time, the
// shard is busy, or the clock jumps.
func TestKeeperExpires(t *testing.T) {
	s := newTester(t, 2, true, Hooks{})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for _, sh := range s.Shards {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if sh.Enter() {
					sh.Exit()
				}
			}
		})
	}
	for i := range 500 {
		s.set(i%5, fmt.Sprint("k", i), "v", start+1+int64(i))
		if i%7 == 0 {
			s.clock.Advance(3 * time.Millisecond)
		}
	}
	s.clock.Set(start + 1000)
	eventually(t, "expiry", func() bool {
		st := s.stats()
		return st.Expired == 500
	})
	close(stop)
	busy.Wait()
	for i := range 5 {
		if n := s.keys(i); n != 0 {
			t.Errorf("database %d has %d keys", i, n)
		}
	}
}

// longJob notes on which goroutine it ran.
type longJob struct {
	Node
	run func(s *Shard)
}

func (j *longJob) RunOn(s *Shard) { j.run(s) }

// A long job is never run by whoever comes by, and what is behind it waits.
func TestLongJobsAreTheKeepers(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	sh := s.Shards[0]
	var order []string
	job := func(name string) *longJob {
		return &longJob{run: func(*Shard) { order = append(order, name) }}
	}
	first, long, last := job("first"), job("long"), job("last")
	if !sh.Enter() {
		t.Fatal("not free")
	}
	sh.Post(&first.Node, first)
	sh.PostLong(&long.Node, long)
	sh.Post(&last.Node, last)
	sh.Exit()
	if sh.Enter() {
		t.Fatal("entered past a long job")
	}
	if !slices.Equal(order, []string{"first"}) || len(sh.keeper.wake) != 1 {
		t.Fatalf("ran %v, keeper woken %d", order, len(sh.keeper.wake))
	}
	sh.sweepMailbox()
	if !slices.Equal(order, []string{"first", "long", "last"}) {
		t.Fatalf("ran %v", order)
	}
	if !sh.Enter() {
		t.Fatal("not free afterwards")
	}
	sh.Exit()
}

// One that gives the turn back is not kept by those who go on posting.
func TestExitIsBounded(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	sh := s.Shards[0]
	ran := 0
	var again *longJob
	again = &longJob{run: func(sh *Shard) {
		if ran++; ran < 1_000_000 {
			next := *again
			sh.Post(&next.Node, &next) // the turn is held: it goes into the mailbox
		}
	}}
	sh.Post(&again.Node, again)
	if ran > (leaveRoundsMax+2)*(drainMax+1) {
		t.Errorf("one Post ran %d jobs", ran)
	}
	if len(sh.keeper.wake) != 1 {
		t.Error("nobody was told of the rest")
	}
	ran = 1_000_000
	sh.sweepMailbox()
}

func TestWithoutInline(t *testing.T) {
	set := NewSet(Options{Shards: 3, Databases: 1, Commands: 1, Seed: 1})
	defer set.Close()
	var ran atomic.Int32
	for i := range 3000 {
		j := &longJob{run: func(*Shard) { ran.Add(1) }}
		set.Shards[i%3].Post(&j.Node, j)
		if i%100 == 0 {
			set.Submit(&Transaction{Shards: set.Shards, Body: func() { ran.Add(1) }, Done: func() { ran.Add(1) }})
		}
	}
	eventually(t, "all jobs", func() bool { return ran.Load() == 3060 })
}

func TestFlushAndSwap(t *testing.T) {
	s := newTester(t, 3, true, Hooks{})
	for _, async := range []bool{false, true} {
		for _, database := range []int{0, 62, 63, 64, 69} {
			for i := range 30 {
				s.set(database, fmt.Sprint("k", i), strings.Repeat("v", 100), start+1_000_000)
			}
			st := s.stats()
			if d := st.Databases[database]; d.Keys != 30 || d.Volatile != 30 || d.Bytes == 0 {
				t.Errorf("database %d: %+v", database, d)
			}
			dirty := st.Dirty
			s.run(0, func(c *Call) error { c.SwapDB(database, 1); return c.Reply.OK() })
			st = s.stats()
			if st.Databases[database].Keys != 0 || st.Databases[1].Keys != 30 || st.Dirty != dirty+1 {
				t.Errorf("after the swap: %+v %+v, dirty %d", st.Databases[database], st.Databases[1], st.Dirty-dirty)
			}
			s.run(0, func(c *Call) error { c.Flush(1, async); return c.Reply.OK() })
			if d := s.stats().Databases[1]; d.Keys != 0 || d.Volatile != 0 || d.Bytes != 0 {
				t.Errorf("after the flush: %+v", d)
			}
			if s.Bytes() != 0 {
				t.Errorf("%d bytes are left", s.Bytes())
			}
		}
	}
}

// Effects come in the order of the changes, those of a unit together, and nothing
// of a command that failed.
func TestEffects(t *testing.T) {
	var log []string
	s := newTester(t, 2, false, Hooks{Effects: func(_ []*Shard, effects []Effect) {
		var unit []string
		for _, e := range effects {
			var words []string
			for _, arg := range e.Args {
				words = append(words, string(arg))
			}
			unit = append(unit, fmt.Sprint(e.Database, ":", strings.Join(words, " ")))
		}
		log = append(log, strings.Join(unit, "; "))
	}})
	change := func(c *Call) error {
		c.DB.Set([]byte("a"), []byte("v"), 0)
		return c.Reply.OK()
	}
	spoken := func(c *Call) error {
		c.DB.Set([]byte("b"), []byte("v"), start+10)
		c.Effect([]byte("SET"), []byte("b"), []byte("PXAT"), c.Int(start+10))
		c.EffectIn(3, []byte("DEL"), c.Int(7))
		return c.Reply.OK()
	}
	nothing := func(c *Call) error { return c.Reply.OK() }
	fails := func(c *Call) error {
		c.Effect([]byte("NEVER"))
		return resp.ErrSyntax
	}
	s.run(1, change)
	s.run(1, nothing)
	s.run(1, spoken)
	s.run(1, fails)
	s.run(1, nothing)
	s.clock.Set(start + 20)
	s.run(1, func(c *Call) error { c.DB.Peek([]byte("b")); return c.Reply.OK() })
	want := []string{"1:TOY arg", "1:SET b PXAT 1700000000010; 3:DEL 7", "1:DEL b"}
	if !slices.Equal(log, want) {
		t.Errorf("got  %q\nwant %q", log, want)
	}
	log = nil
	s.set(0, "old", "v", start+30)
	log = nil
	s.clock.Set(start + 40)
	if !s.EnterAll(s.Shards) {
		t.Fatal("busy")
	}
	var call Call
	call.Bind(s.Set, s.Shards...)
	call.BeginUnit()
	for _, h := range []Handler{change, fails, nothing, func(c *Call) error {
		c.DBAt(0).Peek([]byte("old"))
		c.DB.Set([]byte("c"), []byte("v"), 0)
		return c.Reply.OK()
	}} {
		s.execute(&call, 2, h)
	}
	call.EndUnit()
	s.ExitAll(s.Shards)
	if want := []string{"2:TOY arg; 0:DEL old; 2:TOY arg"}; !slices.Equal(log, want) {
		t.Errorf("got  %q\nwant %q", log, want)
	}
}

// A parallel transaction that has a Whole is one moment for all shards while the set is
// undivided.
func TestUndivided(t *testing.T) {
	s := newTester(t, 2, true, Hooks{})
	run := func(undivided bool) (parts, wholes int) {
		s.SetUndivided(undivided)
		var mu sync.Mutex
		over := make(chan bool)
		txn := &Transaction{
			Shards: s.Shards,
			Part: func(int, *Shard) {
				mu.Lock()
				parts++
				mu.Unlock()
			},
			Whole: func() { wholes++ },
			Done:  func() { close(over) },
		}
		s.Submit(txn)
		<-over
		return parts, wholes
	}
	if parts, wholes := run(false); parts != 2 || wholes != 0 {
		t.Errorf("divided: %d parts and %d wholes", parts, wholes)
	}
	if parts, wholes := run(true); parts != 0 || wholes != 1 {
		t.Errorf("undivided: %d parts and %d wholes", parts, wholes)
	}
}
