package shard

import (
	"fmt"
	"testing"
	"time"
)

func (s *tester) watch(database int, keys ...string) *WatchSet {
	set := new(WatchSet)
	s.watchMore(set, database, keys...)
	return set
}

func (s *tester) watchMore(set *WatchSet, database int, keys ...string) {
	s.client.Watch = set
	s.run(database, func(c *Call) error {
		for _, key := range keys {
			c.DB.Watch([]byte(key))
		}
		return c.Reply.OK()
	})
	s.client.Watch = nil
}

// failed is what EXEC would find.
func (s *tester) failed(set *WatchSet) (failed bool) {
	s.run(0, func(c *Call) error {
		failed = set.Dirty()
		for _, sh := range c.Shards() {
			failed = failed || set.Expired(sh, s.Now())
		}
		return c.Reply.OK()
	})
	return failed
}

func TestWatchedChanges(t *testing.T) {
	s := newTester(t, 3, false, Hooks{})
	f := func(name string, want bool, before, change func()) {
		t.Helper()
		for _, other := range []int{0, 1, 5} {
			s.run(0, func(c *Call) error { c.Flush(other, false); return c.Reply.OK() })
		}
		before()
		set := s.watch(0, "k")
		change()
		if got := s.failed(set); got != want {
			t.Errorf("%s: %v", name, got)
		}
		set.Drop()
	}
	alive := func() { s.set(0, "k", "v", 0) }
	mortal := func() { s.set(0, "k", "v", s.Now()+10) }
	stale := func() { mortal(); s.ExpiryHeld.Add(1); s.clock.Advance(20 * time.Millisecond) }
	free := func() { s.ExpiryHeld.Add(-1) }
	later := func() { s.clock.Advance(20 * time.Millisecond) }
	flush := func() { s.run(0, func(c *Call) error { c.Flush(0, false); return c.Reply.OK() }) }
	swap := func() { s.run(0, func(c *Call) error { c.SwapDB(0, 5); return c.Reply.OK() }) }
	none := func() {}
	f("nothing", false, alive, none)
	f("set", true, alive, alive)
	f("created", true, none, alive)
	f("elsewhere", false, alive, func() { s.set(1, "k", "v", 0) })
	f("deadline passes, still there", true, mortal, later)
	f("deadline passes and somebody looks", true, mortal, func() { later(); s.has(0, "k") })
	f("stale goes away", false, stale, func() { free(); s.has(0, "k") })
	f("stale stays", false, stale, free)
	f("stale goes away and a new one comes", true, stale, func() { free(); s.has(0, "k"); alive() })
	f("stale is overwritten", true, stale, func() { free(); alive() })
	f("flushed", true, alive, flush)
	f("flushed when absent", false, none, flush)
	f("flushed when stale", false, stale, func() { free(); flush() })
	f("swapped away", true, alive, swap)
	f("swapped in", true, func() { s.set(5, "k", "v", 0) }, swap)
	f("swapped, absent in both", false, none, swap)
	f("flushed, then set", true, none, func() { flush(); alive() })
}

// The table keeps what live clients watch and little else.
func TestWatchTableIsSwept(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	table := &s.Shards[0].watched
	kept := s.watch(0, "kept")
	for i := range 5000 {
		s.watch(0, fmt.Sprint("k", i)).Drop()
		if len(table.keys) > 2*watchSweepMin {
			t.Fatalf("%d keys after %d", len(table.keys), i)
		}
	}
	for range 5000 {
		s.watch(0, "same").Drop()
	}
	if n := len(table.keys[watchKey{0, "same"}]); n > 2*watchSweepMin {
		t.Errorf("%d watchers of one key", n)
	}
	s.Shards[0].upkeep.tick(s.Shards[0])
	if table.count != 1 || len(table.keys) != 1 {
		t.Errorf("after upkeep: %d watchers of %d keys", table.count, len(table.keys))
	}
	s.set(0, "kept", "v", 0)
	if !kept.Dirty() || table.any() || table.count != 0 {
		t.Errorf("dirty %v, %d watchers", kept.Dirty(), table.count)
	}
	// Once dirty, nothing more is noted.
	for range 10 {
		s.watchMore(kept, 0, "kept", "more")
	}
	if kept.Keys() != 1 || table.any() {
		t.Errorf("%d keys", kept.Keys())
	}
	twice := s.watch(0, "x", "x", "y")
	s.watchMore(twice, 0, "x")
	if twice.Keys() != 2 || table.count != 2 {
		t.Errorf("%d keys, %d watchers", twice.Keys(), table.count)
	}
}

// The count of watchers stays true whatever happens to them.
func TestWatchCount(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	table := &s.Shards[0].watched
	for i := range 300 {
		key := fmt.Sprint("k", i%7)
		set := s.watch(i%2, key, "other")
		switch i % 6 {
		case 0:
			s.set(i%2, key, "v", s.Now()+5)
		case 1:
			s.clock.Advance(10 * time.Millisecond)
			s.has(0, key)
		case 2:
			set.Drop()
		case 3:
			s.run(0, func(c *Call) error { c.SwapDB(0, 1); return c.Reply.OK() })
		case 4:
			s.run(0, func(c *Call) error { c.Flush(i%2, false); return c.Reply.OK() })
		}
		n := 0
		for _, watchers := range table.keys {
			n += len(watchers)
			if len(watchers) == 0 {
				t.Fatal("a key without watchers is kept")
			}
		}
		if n != table.count {
			t.Fatalf("step %d: %d watchers, counted %d", i, n, table.count)
		}
	}
}
