package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"hyperkv/resp"
	"hyperkv/shard/keyspace"
)

func TestLookups(t *testing.T) {
	s := newTester(t, 3, false, Hooks{})
	s.set(0, "n", "12", 0)
	s.set(0, "s", "012", 0)
	s.clock.Advance(5 * time.Second)
	access := func(key string) (at uint32) {
		s.run(0, func(c *Call) error { at = c.DB.Peek([]byte(key)).Access(); return c.Reply.OK() })
		return at
	}
	f := func(name string, touches bool, hits, misses uint64, h Handler) {
		t.Helper()
		before, st := access("n"), s.stats()
		s.clock.Advance(time.Second)
		if reply := s.run(0, h); reply != "+OK\r\n" {
			t.Errorf("%s: %q", name, reply)
		}
		after := s.stats()
		if after.Hits-st.Hits != hits || after.Misses-st.Misses != misses || (access("n") != before) != touches {
			t.Errorf("%s: %d hits, %d misses, touched %v", name, after.Hits-st.Hits, after.Misses-st.Misses, access("n") != before)
		}
	}
	n, no := []byte("n"), []byte("no")
	f("Lookup", true, 1, 1, func(c *Call) error { c.DB.Lookup(n); c.DB.Lookup(no); return c.Reply.OK() })
	f("LookupWrite", true, 0, 0, func(c *Call) error { c.DB.LookupWrite(n); c.DB.LookupWrite(no); return c.Reply.OK() })
	f("Peek", false, 0, 0, func(c *Call) error { c.DB.Peek(n); c.DB.Peek(no); return c.Reply.OK() })
	f("Look", false, 1, 1, func(c *Call) error { c.DB.Look(n); c.DB.Exists(no); return c.Reply.OK() })
	s.client.NoTouch = true
	f("no touch", false, 1, 0, func(c *Call) error { c.DB.Lookup(n); return c.Reply.OK() })
	s.run(0, func(c *Call) error {
		if e, err := c.DB.String(n); err != nil || string(e.AppendString(nil)) != "12" {
			t.Error(err)
		}
		if i, ok := c.DB.Peek(n).Int(); !ok || i != 12 {
			t.Error("an integer is not kept as one")
		}
		if e, err := c.DB.StringForWrite([]byte("s")); err != nil || string(e.AppendString(nil)) != "012" {
			t.Error(err)
		}
		if _, ok := c.DB.Peek([]byte("s")).Int(); ok {
			t.Error("012 is kept as an integer")
		}
		return c.Reply.OK()
	})
}

func TestMutations(t *testing.T) {
	s := newTester(t, 2, false, Hooks{})
	k := []byte("k")
	s.run(0, func(c *Call) error {
		copy(c.DB.Resize(k, c.DB.LookupWrite(k), 3), "abc")
		b := c.DB.Resize(k, c.DB.LookupWrite(k), 5)
		if string(b) != "abc\x00\x00" {
			t.Errorf("grown to %q", b)
		}
		if b := c.DB.Resize(k, c.DB.LookupWrite(k), 2); string(b) != "ab" {
			t.Errorf("cut to %q", b)
		}
		if !c.Changed() {
			t.Error("nothing has changed")
		}
		c.DB.SetDeadline(k, c.DB.LookupWrite(k), start+10)
		return c.Reply.OK()
	})
	armed := false
	for _, sh := range s.Shards {
		armed = armed || sh.expiry.armed.Load() == start+10
	}
	if d := s.stats().Databases[0]; !armed || d.Keys != 1 || d.Volatile != 1 {
		t.Errorf("armed %v, %+v", armed, d)
	}
	s.run(0, func(c *Call) error {
		c.DB.SetDeadline(k, c.DB.LookupWrite(k), 0)
		return c.Reply.OK()
	})
	s.clock.Set(start + 20)
	if !s.has(0, "k") {
		t.Error("a key whose deadline was taken away is gone")
	}
	s.run(0, func(c *Call) error {
		c.DB.Delete(k, c.DB.LookupWrite(k))
		return c.Reply.OK()
	})
	if st := s.stats(); s.has(0, "k") || st.Databases[0].Volatile != 0 || s.client.Watch != nil {
		t.Errorf("%+v", st.Databases[0])
	}
}

// A scan over all shards meets every live key, and so do Each and Random.
func TestVisiting(t *testing.T) {
	s := newTester(t, 4, false, Hooks{})
	s.ActiveExpiry.Store(false)
	for i := range 500 {
		deadline := int64(0)
		if i%5 == 0 {
			deadline = start + 1
		}
		s.set(2, fmt.Sprint("k", i), "v", deadline)
	}
	s.clock.Set(start + 10)
	s.run(2, func(c *Call) error {
		each, scanned, expired, random := map[string]bool{}, map[string]bool{}, 0, map[string]bool{}
		c.DB.Each(func(e keyspace.Entry) { each[string(e.Key())] = true })
		for cursor := uint64(0); ; {
			at, inner := DecodeCursor(cursor)
			sh := c.Shards()[CursorShard(cursor, 4)]
			if sh.Index != at {
				t.Fatalf("cursor %d is of shard %d, not %d", cursor, at, sh.Index)
			}
			c.DB.Scan(sh, inner, func(e keyspace.Entry) { scanned[string(e.Key())] = true })
			next := c.DB.ScanAll(sh, inner, func(_ keyspace.Entry, gone bool) {
				if gone {
					expired++
				}
			})
			parsed, ok := ParseCursor(fmt.Append(nil, NextCursor(at, next, 4)))
			if !ok {
				t.Fatal("a cursor does not parse")
			}
			if cursor = parsed; cursor == 0 {
				break
			}
		}
		if usage := c.DatabaseUsage(2); usage.Records == 0 || usage.Expiry == 0 {
			t.Errorf("%+v", usage)
		}
		for range 5000 { // which removes what it meets that has expired
			random[string(c.DB.Random().Key())] = true
		}
		if len(each) != 400 || len(scanned) != 400 || expired != 100 || len(random) < 390 || len(random) > 400 {
			t.Errorf("each %d, scanned %d, expired %d, random %d", len(each), len(scanned), expired, len(random))
		}
		if c.DBAt(3).Random().Exists() || c.DBAt(3).Scan(c.Shards()[0], 0, nil) != 0 {
			t.Error("an empty database has keys")
		}
		return c.Reply.OK()
	})
}

// A failed command leaves nothing in the reply but its error.
func TestExecuteError(t *testing.T) {
	s := newTester(t, 1, false, Hooks{})
	slow := 0
	s.hooks.Slow = func(c *Call, nanos int64) { slow++ }
	s.SlowNanos.Store(0)
	if got := s.run(0, func(c *Call) error {
		c.Reply.Array(9)
		return errors.New("odd\r\nthing")
	}); got != "-ERR odd  thing\r\n" {
		t.Errorf("%q", got)
	}
	s.SlowNanos.Store(-1)
	s.run(0, func(c *Call) error { return resp.ErrSyntax })
	if slow != 1 {
		t.Errorf("%d commands were slow", slow)
	}
}

// The generators of shards differ, and those of equal sets do not.
func TestRandom(t *testing.T) {
	seen := make(map[uint64]bool)
	for range 2 {
		s := newTester(t, 2, false, Hooks{})
		for _, sh := range s.Shards {
			sh.Enter()
			seen[sh.Call().Random()] = true
			sh.Exit()
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d numbers", len(seen))
	}
}
