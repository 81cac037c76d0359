package shard

import (
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"hyperkv/resp"
)

func TestLatencyBuckets(t *testing.T) {
	last := int64(0)
	for b := range LatencyBuckets {
		end := LatencyBucketEnd(b)
		if end <= last {
			t.Fatalf("bucket %d ends at %d, the one before at %d", b, end, last)
		}
		if got := LatencyBucket(last); got != b {
			t.Errorf("%d falls into bucket %d, not %d", last, got, b)
		}
		if got := LatencyBucket(end - 1); got != b {
			t.Errorf("%d falls into bucket %d, not %d", end-1, got, b)
		}
		last = end
	}
	for _, nanos := range []int64{math.MinInt64, -1, 0, 255} {
		if got := LatencyBucket(nanos); got != 0 {
			t.Errorf("%d falls into bucket %d", nanos, got)
		}
	}
	if got := LatencyBucket(math.MaxInt64); got != LatencyBuckets-1 {
		t.Errorf("the longest falls into bucket %d", got)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		a, b := random.Int64()>>random.IntN(63), random.Int64()>>random.IntN(63)
		if a <= b && LatencyBucket(a) > LatencyBucket(b) {
			t.Fatalf("%d and %d", a, b)
		}
	}
}

func TestCommandCounter(t *testing.T) {
	c := NewCommandCounter(3)
	read := func(id int) (sum CommandStats) { c.Read(id, &sum); return sum }
	c.Ran(1, 300)
	c.Ran(1, 1000)
	c.Failed(1)
	c.Rejected(2)
	if got := read(1); got.Calls != 0 {
		t.Errorf("visible before Publish: %+v", got)
	}
	c.Publish()
	if got := read(1); got.Calls != 2 || got.Failed != 1 || got.Nanos != 1300 ||
		got.Latency[LatencyBucket(300)] != 1 || got.Latency[LatencyBucket(1000)] != 1 {
		t.Errorf("%+v", got)
	}
	if got := read(2); got.Rejected != 1 || got.Calls != 0 || c.Calls() != 2 {
		t.Errorf("%+v, %d calls", got, c.Calls())
	}
	other := NewCommandCounter(3)
	other.Ran(1, 100)
	other.Ran(0, 1<<40)
	other.Publish()
	c.Merge(other)
	if got := read(1); got.Calls != 3 || got.Latency[0] != 1 || read(0).Calls != 1 {
		t.Errorf("after Merge: %+v", got)
	}
	c.Ran(1, 100)
	c.Reset()
	for id := range 3 {
		if got := read(id); got != (CommandStats{}) {
			t.Errorf("after Reset, %d: %+v", id, got)
		}
	}
	c.Ran(1, 300)
	c.Publish()
	if got := read(1); got.Calls != 1 || got.Latency[LatencyBucket(300)] != 1 || got.Latency[0] != 0 {
		t.Errorf("%+v", got)
	}
	earlier := read(1)
	now := read(1)
	now.Subtract(&earlier)
	if now != (CommandStats{}) {
		t.Errorf("the difference is %+v", now)
	}
}

// Others read while the owner counts; nothing they see ever goes back.
func TestCounterIsReadConcurrently(t *testing.T) {
	c := NewCommandCounter(2)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := uint64(0)
			for {
				var sum CommandStats
				c.Read(1, &sum)
				if sum.Calls < last {
					t.Errorf("%d calls after %d", sum.Calls, last)
				}
				last = sum.Calls
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 20_000 {
		c.Ran(1, int64(i))
		if i%10 == 0 {
			c.Publish()
		}
	}
	close(done)
	readers.Wait()
}

func TestErrorPrefix(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := ErrorPrefix(resp.Error(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	f("WRONGTYPE Operation", "WRONGTYPE")
	f("ERR x", "ERR")
	f("NOAUTH", "NOAUTH")
	f("", "ERR")
	f(" x", "ERR")
	f("Lower case", "ERR")
	if got := ErrorPrefix(errors.New("some text")); got != "ERR" {
		t.Errorf("got %s", got)
	}
}

// What a command counts on a shard is visible once the turn is over, on every
// shard it had.
func TestStatsArePublished(t *testing.T) {
	s := newTester(t, 3, false, Hooks{})
	for i := range 30 {
		s.set(0, string(rune('a'+i)), "v", 0)
	}
	s.run(0, func(c *Call) error {
		for i := range 40 {
			c.DB.Lookup([]byte{byte('a' + i)})
		}
		return resp.ErrWrongType
	})
	st := s.stats()
	if st.Hits+st.Misses != 40 || st.Errors["WRONGTYPE"] != 1 || st.Databases[0].Keys != 30 || st.Dirty != 30 {
		t.Errorf("%d hits, %d misses, %v, %d keys, %d changes", st.Hits, st.Misses, st.Errors, st.Databases[0].Keys, st.Dirty)
	}
	var sum CommandStats
	for _, sh := range s.Shards {
		sh.CommandCounter().Read(0, &sum)
	}
	if sum.Calls != 31 || sum.Failed != 1 {
		t.Errorf("%d calls, %d failed", sum.Calls, sum.Failed)
	}
	s.run(0, func(c *Call) error {
		for _, sh := range c.Shards() {
			sh.ResetStats()
		}
		return c.Reply.OK()
	})
	if st := s.stats(); st.Hits != 0 || st.Misses != 0 || len(st.Errors) != 0 || st.Databases[0].Keys != 30 {
		t.Errorf("after the reset: %+v", st)
	}
}

// A mutation counts as one change unless the command says what its mutations count as;
// that is published with whatever else its shards have counted.
func TestCountChanges(t *testing.T) {
	for _, shards := range []int{1, 3} {
		s := newTester(t, shards, false, Hooks{})
		set := func(c *Call, keys ...string) {
			for _, key := range keys {
				c.DB.Set([]byte(key), []byte("v"), 0)
			}
		}
		for _, test := range []struct {
			name string
			want uint64
			run  func(c *Call)
		}{
			{"mutations", 4, func(c *Call) { set(c, "a", "b", "c", "d") }},
			{"two as one", 1, func(c *Call) { set(c, "a", "b"); c.CountChanges(1) }},
			{"one as many", 9, func(c *Call) { set(c, "a"); c.CountChanges(9) }},
			{"as none", 0, func(c *Call) { set(c, "a", "b"); c.CountChanges(0) }},
			{"several times", 7, func(c *Call) {
				set(c, "a")
				c.CountChanges(2)
				set(c, "b", "c")
				c.CountChanges(5)
			}},
			{"the rest as ever", 4, func(c *Call) { set(c, "a", "b"); c.CountChanges(1); set(c, "c", "d", "e") }},
			{"unseen", 1, func(c *Call) { c.DB.MakeRaw([]byte("a"), c.DB.Peek([]byte("a"))); set(c, "b") }},
			{"no mutation", 3, func(c *Call) {
				if c.CountChanges(3); c.Changed() {
					t.Error("what was counted is taken for a change")
				}
			}},
			{"emptied", 5, func(c *Call) { c.FlushAll(false) }},
			{"exchanged", 1, func(c *Call) { c.SwapDB(0, 1) }},
			{"exchanged with itself", 1, func(c *Call) { c.SwapDB(0, 0) }},
		} {
			before := s.stats().Dirty
			s.run(0, func(c *Call) error { test.run(c); return c.Reply.OK() })
			if n := s.stats().Dirty - before; n != test.want {
				t.Errorf("%d shards, %s: %d changes, want %d", shards, test.name, n, test.want)
			}
		}
	}
}

// What expires is no change that a command has made.
func TestExpiryIsNotCounted(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	s.set(0, "k", "v", start+10)
	s.set(0, "l", "v", start+10)
	s.clock.Set(start + 10)
	if s.has(0, "k") {
		t.Fatal("the key has not expired")
	}
	s.set(0, "l", "w", 0)
	if st := s.stats(); st.Expired != 1 || st.Dirty != 3 {
		t.Errorf("%d expired, %d changes", st.Expired, st.Dirty)
	}
}
