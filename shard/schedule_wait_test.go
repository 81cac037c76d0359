//go:build invariants

package shard

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard/object"
)

// slotWorld is a set whose keys are slots for one token each: some put tokens into
// them, others take tokens and wait for them, on one shard or several.
type slotWorld struct {
	set     *Set
	keys    [][]byte
	put     int            // tokens that found an empty slot
	taken   map[string]int // by token
	waiters []*Waiter
	ended   int // waiters that were cancelled
	err     error
}

func (w *slotWorld) shardOf(key []byte) *Shard { return w.set.Of(RouteHash(key, Hash(key))) }

// run runs a handler with a call that has the turns of its shards, and says what
// it wants to wait for.
func (w *slotWorld) run(c *Call, h Handler, wait *Wait, args ...[]byte) (reply []byte, blocked bool) {
	out := resp.Writer{Proto: 2}
	c.Reply, c.Now = &out, w.set.Now()
	c.Begin(0, args)
	if wait != nil {
		c.LetBlock(wait)
	}
	c.Execute(h, 0)
	return out.Buf, c.Blocked()
}

func slotPut(c *Call) error {
	if c.DB.LookupWrite(c.Args[1]).Exists() {
		return c.Reply.Int(0)
	}
	c.DB.SetBytes(c.Args[1], c.Args[2], 0)
	return c.Reply.Int(1)
}

func slotTake(c *Call) error {
	for _, key := range c.Args[1:] {
		if e := c.DB.LookupWrite(key); e.Exists() {
			c.Reply.Bulk(e.AppendString(nil))
			c.DB.Delete(key, e)
			return nil
		}
	}
	return c.Block(Wait{Keys: c.Args[1:], Type: object.String, TimedOut: (*resp.Writer).Null})
}

// job runs a function under one shard's turn.
type funcJob struct {
	Node
	f func(s *Shard)
}

func (j *funcJob) RunOn(s *Shard) { j.f(s) }

func (w *slotWorld) producer(random *rand.Rand, name string, pieces int, pending *int) func() {
	return func() {
		for i := range pieces {
			key := w.keys[random.IntN(len(w.keys))]
			token := []byte(fmt.Sprintf("%s-%d", name, i))
			s := w.shardOf(key)
			*pending++
			put := func(s *Shard) {
				reply, _ := w.run(s.Call(), slotPut, nil, []byte("PUT"), key, token)
				if string(reply) == ":1\r\n" {
					w.put++
				}
				*pending--
			}
			if s.Enter() {
				put(s)
				s.Exit()
				continue
			}
			j := &funcJob{f: put}
			s.Post(&j.Node, j)
		}
	}
}

func (w *slotWorld) taker(random *rand.Rand, pieces int, pending *int) func() {
	return func() {
		for range pieces {
			args := [][]byte{[]byte("TAKE")}
			in := make([]bool, len(w.set.Shards))
			for _, i := range random.Perm(len(w.keys))[:1+random.IntN(len(w.keys))] {
				args = append(args, w.keys[i])
				in[w.shardOf(w.keys[i]).Index] = true
			}
			var shards []*Shard
			for _, s := range w.set.Shards {
				if in[s.Index] {
					shards = append(shards, s)
				}
			}
			*pending++
			take := func() {
				var c Call
				c.Bind(w.set, shards...)
				var wait Wait
				reply, blocked := w.run(&c, slotTake, &wait, args...)
				*pending--
				if !blocked {
					w.taken[string(reply)]++
					return
				}
				waiter := &Waiter{Run: slotTake, Args: args, Proto: 2, Shards: shards, Served: func(reply []byte) {
					w.taken[string(reply)]++
				}}
				waiter.Register(w.set, wait)
				w.waiters = append(w.waiters, waiter)
			}
			if w.set.EnterAll(shards) {
				take()
				w.set.ExitAll(shards)
				continue
			}
			w.set.Submit(&Transaction{Shards: shards, Body: take, Done: func() {}})
		}
	}
}

// canceller ends some of the waits.
func (w *slotWorld) canceller(random *rand.Rand, pieces int) func() {
	return func() {
		for range pieces {
			if n := len(w.waiters); n > 0 {
				if cancelled, _ := w.waiters[random.IntN(n)].Cancel(); cancelled {
					w.ended++
				}
			}
			invariant.Yield("cancel")
		}
	}
}

func (w *slotWorld) busy() bool {
	for _, waiter := range w.waiters {
		if waiter.state.Load() == waiterServing {
			return true
		}
	}
	for _, s := range w.set.Shards {
		if s.turn.Load() != turnFree || s.mailbox.arrived() || s.mailbox.first != nil {
			return true
		}
	}
	return false
}

// check looks at a world in which nothing moves any more.
func (w *slotWorld) check() error {
	left := 0
	full := make(map[string]bool)
	for _, key := range w.keys {
		s := w.shardOf(key)
		if db := s.databases[0]; db != nil && db.Find(Hash(key), key).Exists() {
			left++
			full[string(key)] = true
		}
		if len(s.waiting.ready) != 0 {
			return fmt.Errorf("ready keys of shard %d were not served", s.Index)
		}
	}
	for token, n := range w.taken {
		if n != 1 {
			return fmt.Errorf("token %q was taken %d times", token, n)
		}
	}
	if len(w.taken)+left != w.put {
		return fmt.Errorf("%d tokens were put, %d taken, %d are left", w.put, len(w.taken), left)
	}
	queued := make(map[*Waiter]bool)
	for _, s := range w.set.Shards {
		for at, q := range s.waiting.queues {
			for i, waiter := range q.waiters {
				if waiter.state.Load() != waiterWaiting {
					return fmt.Errorf("the queue of %q has a waiter that is done", at.key)
				}
				if i > 0 && q.waiters[i-1].order >= waiter.order {
					return fmt.Errorf("the queue of %q is out of order", at.key)
				}
				if full[at.key] {
					return fmt.Errorf("somebody waits for %q, which is there", at.key)
				}
				queued[waiter] = true
			}
		}
	}
	for i, waiter := range w.waiters {
		if waiter.state.Load() == waiterWaiting && !queued[waiter] {
			return fmt.Errorf("waiter %d is in no queue", i)
		}
	}
	return nil
}

func exploreWaiting(seed uint64) error {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &slotWorld{taken: make(map[string]int)}
	w.set = newSet(Options{Shards: 1 + random.IntN(3), Databases: 1, Commands: 1, Inline: random.IntN(4) > 0})
	for i := range 2 + random.IntN(3) {
		w.keys = append(w.keys, []byte(fmt.Sprintf("key%d", i)))
	}
	sch := &schedule{random: random}
	pending, actors := 0, 0
	spawn := func(name string, run func()) {
		sch.spawn(name, run)
		actors++
	}
	for i := range 2 {
		name := fmt.Sprintf("producer %d", i)
		spawn(name, w.producer(rand.New(rand.NewPCG(seed, uint64(10+i))), name, 6, &pending))
	}
	for i := range 2 {
		spawn(fmt.Sprintf("taker %d", i), w.taker(rand.New(rand.NewPCG(seed, uint64(20+i))), 5, &pending))
	}
	spawn("canceller", w.canceller(rand.New(rand.NewPCG(seed, 30)), 4))
	for _, s := range w.set.Shards {
		idle := false
		t := sch.spawn(fmt.Sprintf("keeper %d", s.Index), func() {
			for {
				select {
				case <-s.keeper.wake:
					s.sweepMailbox()
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
		for _, t := range sch.threads[:actors] {
			if !t.done {
				return false
			}
		}
		for _, s := range w.set.Shards {
			if len(s.keeper.wake) > 0 {
				return false
			}
		}
		return pending == 0 && !w.busy()
	})
	if err == nil {
		err = w.err
	}
	if err != nil {
		return err
	}
	return w.check()
}

// TestWaitingInterleavings explores interleavings of those who wait, those who make
// keys ready, and those who end a wait.
func TestWaitingInterleavings(t *testing.T) {
	for seed := range uint64(3000) {
		if err := exploreWaiting(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
