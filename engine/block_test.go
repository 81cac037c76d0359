package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// slots are commands that treat a string as a slot for one value: PUT fills it,
// TAKE waits until one is full and empties it, PASS moves a value on.
var slots = Family{Name: "slots", Commands: []Command{{
	Name: "PUT", Arity: 3, Keys: OneKey("RW"), Flags: Write, Run: func(c *shard.Call) error {
		if c.DB.LookupWrite(c.Key()).Exists() {
			return c.Reply.Int(0)
		}
		c.DB.SetBytes(c.Key(), c.Args[2], 0)
		return c.Reply.Int(1)
	},
}, {
	Name: "TAKE", Arity: -3, Keys: KeyRange(1, -2, 1, "RW"), Flags: Write | Blocking, Run: func(c *shard.Call) error {
		until, err := c.BlockUntil(c.Args[len(c.Args)-1])
		if err != nil {
			return err
		}
		keys := c.Args[1 : len(c.Args)-1]
		for _, key := range keys {
			if e := c.DB.LookupWrite(key); e.Exists() {
				c.Reply.Array(2)
				c.Reply.Bulk(key)
				c.Reply.Bulk(e.AppendString(nil))
				c.DB.Delete(key, e)
				return nil
			}
		}
		return c.Block(shard.Wait{Keys: keys, Type: object.String, Until: until, TimedOut: (*resp.Writer).NullArray})
	},
}, {
	Name: "PASS", Arity: 4, Keys: KeyRange(1, 2, 1, "RW"), Flags: Write | Blocking, Run: func(c *shard.Call) error {
		until, err := c.BlockUntil(c.Args[3])
		if err != nil {
			return err
		}
		e := c.DB.LookupWrite(c.Args[1])
		if !e.Exists() {
			return c.Block(shard.Wait{Keys: c.Args[1:2], Type: object.String, Until: until, TimedOut: (*resp.Writer).Null})
		}
		value := e.AppendString(nil)
		c.DB.Delete(c.Args[1], e)
		c.DB.SetBytes(c.Args[2], value, 0)
		return c.Reply.Bulk(value)
	},
}}}

func slotEngine(t *testing.T, shards int, inline bool) *Engine {
	settings := onShards(shards)
	settings["shard_inline"] = strconv.FormatBool(inline)
	return newEngine(t, Options{Families: []Family{slots}}, settings)
}

func eachArrangement(t *testing.T, f func(t *testing.T, e *Engine)) {
	for _, shards := range []int{1, 3} {
		for _, inline := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d shards, inline %v", shards, inline), func(t *testing.T) { f(t, slotEngine(t, shards, inline)) })
		}
	}
}

// waitBlocked waits until so many clients are blocked.
func waitBlocked(t *testing.T, e *Engine, p *peer, n int64) {
	t.Helper()
	p.wait(fmt.Sprintf("%d blocked clients", n), func() bool { return e.BlockedCount() == n })
}

// nobodyWaits checks that the shards have forgotten everyone.
func nobodyWaits(t *testing.T, e *Engine, p *peer) {
	t.Helper()
	waitBlocked(t, e, p, 0)
	p.wait("empty queues", func() bool {
		left := 0
		for _, s := range e.Shards.Shards {
			for !s.Enter() {
				time.Sleep(time.Millisecond)
			}
			left += s.WaitingKeys()
			s.Exit()
		}
		return left == 0
	})
}

func TestBlockingIsServedInOrder(t *testing.T) {
	eachArrangement(t, func(t *testing.T, e *Engine) {
		writer := connect(t, e)
		var waiting []*peer
		for i := range 5 {
			p := connect(t, e)
			waiting = append(waiting, p)
			keys := []string{"TAKE", "k", "0"}
			if i%2 == 1 {
				keys = []string{"TAKE", "other", "k", "third", "0"} // on several shards
			}
			p.send(keys...)
			p.send("HERE", "behind")
			waitBlocked(t, e, p, int64(i+1))
			if len(p.out) != 0 {
				t.Fatalf("a reply to one who waits: %q", p.out)
			}
		}
		for i, p := range waiting {
			writer.ask(":1\r\n", "PUT", "k", "v"+strconv.Itoa(i))
			p.expect("*2\r\n$1\r\nk\r\n$2\r\nv" + strconv.Itoa(i) + "\r\n$6\r\nbehind\r\n")
		}
		writer.ask("$-1\r\n", "GET", "k")
		nobodyWaits(t, e, writer)
	})
}

// Who waits is served behind the command that made it possible, and before the
// next one of the same pipeline.
func TestBlockingIsServedBetweenCommands(t *testing.T) {
	e := slotEngine(t, 3, true)
	p, writer := connect(t, e), connect(t, e)
	p.send("TAKE", "k", "0")
	waitBlocked(t, e, p, 1)
	writer.feed("PUT k v\r\nGET k\r\nPUT k w\r\nGET k\r\n")
	writer.expect(":1\r\n$-1\r\n:1\r\n$1\r\nw\r\n")
	p.expect("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")

	// Also one who needs more shards than the writer, whether those are free or not.
	for range 20 {
		for _, busyShard := range []int{-1, 0, 1, 2} {
			writer.ask(":1\r\n", "DEL", "k")
			p.send("TAKE", "other", "k", "third", "fourth", "0")
			waitBlocked(t, e, p, 1)
			release := func() {}
			if busyShard >= 0 {
				release = busy(t, e, busyShard)
			}
			writer.feed("PUT k v\r\nGET k\r\nECHO x\r\nPUT k w\r\nGET k\r\n")
			release()
			writer.expect(":1\r\n$-1\r\n$1\r\nx\r\n:1\r\n$1\r\nw\r\n")
			p.expect("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
		}
	}

	// After a transaction, not inside it.
	writer.ask(":1\r\n", "DEL", "k")
	p.send("TAKE", "k", "0")
	waitBlocked(t, e, p, 1)
	writer.feed("MULTI\r\nPUT k v\r\nDEL k\r\nPUT k w\r\nGET k\r\nEXEC\r\nGET k\r\n")
	writer.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n:1\r\n:1\r\n$1\r\nw\r\n$-1\r\n")
	p.expect("*2\r\n$1\r\nk\r\n$1\r\nw\r\n")
}

// One who is served may make another key ready, over shards and further.
func TestBlockingChain(t *testing.T) {
	eachArrangement(t, func(t *testing.T, e *Engine) {
		var links []*peer
		for i := range 6 {
			p := connect(t, e)
			links = append(links, p)
			p.send("PASS", "k"+strconv.Itoa(i), "k"+strconv.Itoa(i+1), "0")
			waitBlocked(t, e, p, int64(i+1))
		}
		writer := connect(t, e)
		writer.ask(":1\r\n", "PUT", "k0", "v")
		for _, p := range links {
			p.expect("$1\r\nv\r\n")
		}
		writer.ask("$1\r\nv\r\n", "GET", "k6")
		nobodyWaits(t, e, writer)
	})
}

func TestBlockingEnds(t *testing.T) {
	eachArrangement(t, func(t *testing.T, e *Engine) {
		p := connect(t, e)
		began := time.Now()
		p.ask("*-1\r\n", "TAKE", "a", "b", "c", "0.05")
		// Deadlines are whole milliseconds.
		if took := time.Since(began); took < 49*time.Millisecond || took > 2*time.Second {
			t.Errorf("a time-out of 50 ms took %v", took)
		}
		p.ask("-ERR timeout is negative\r\n", "TAKE", "a", "-1")
		p.ask("-ERR timeout is not a float or out of range\r\n", "TAKE", "a", "x")
		p.ask("-ERR timeout is out of range\r\n", "TAKE", "a", "1e20")
		p.ask("+OK\r\n", "MULTI")
		p.ask("+QUEUED\r\n", "TAKE", "a", "b", "0")
		p.ask("*1\r\n*-1\r\n", "EXEC")
		nobodyWaits(t, e, p)

		p.send("TAKE", "a", "b", "0")
		waitBlocked(t, e, p, 1)
		if !p.session.Unblock(true) {
			t.Fatal("not blocked")
		}
		p.expect("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")
		p.send("TAKE", "a", "b", "0")
		waitBlocked(t, e, p, 1)
		if !p.session.Unblock(false) {
			t.Fatal("not blocked")
		}
		p.expect("*-1\r\n")
		if p.session.Unblock(false) {
			t.Fatal("still blocked")
		}
		nobodyWaits(t, e, p)

		// It counts as one command when it is over.
		p.send("TAKE", "a", "b", "0")
		waitBlocked(t, e, p, 1)
		before := p.session.info.commands.Load()
		p.session.Unblock(false)
		p.expect("*-1\r\n")
		if n := p.session.info.commands.Load() - before; n != 1 {
			t.Errorf("a command that waited counts as %d", n)
		}

		// One who leaves is not served.
		gone, writer := connect(t, e), connect(t, e)
		gone.send("TAKE", "a", "b", "c", "0")
		waitBlocked(t, e, gone, 1)
		gone.session.Closed(nil)
		nobodyWaits(t, e, writer)
		writer.ask(":1\r\n", "PUT", "a", "v")
		writer.ask("$1\r\nv\r\n", "GET", "a")
	})
}

// A key that comes by way of another database counts, too.
func TestBlockingAndWholeDatabases(t *testing.T) {
	e := slotEngine(t, 3, true)
	p, writer := connect(t, e), connect(t, e)
	writer.ask("+OK\r\n", "SELECT", "1")
	writer.ask(":1\r\n", "PUT", "k", "v")
	p.send("TAKE", "k", "0")
	waitBlocked(t, e, p, 1)
	writer.ask("+OK\r\n", "SWAPDB", "0", "1")
	p.expect("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
	p.send("TAKE", "k", "0")
	waitBlocked(t, e, p, 1)
	writer.ask("+OK\r\n", "FLUSHDB")
	writer.ask("+OK\r\n", "SELECT", "0")
	writer.ask("+OK\r\n", "MSET", "a", "1", "k", "2")
	p.expect("*2\r\n$1\r\nk\r\n$1\r\n2\r\n")
	nobodyWaits(t, e, writer)
}

// Producers and consumers over keys on all shards, with time-outs, unblocking and
// clients that leave: every value is delivered once or still there.
func TestBlockingUnderLoad(t *testing.T) {
	eachArrangement(t, func(t *testing.T, e *Engine) {
		const producers, consumers, each = 4, 8, 300
		keys := make([]string, 6)
		for i := range keys {
			keys[i] = "slot" + strconv.Itoa(i)
		}
		var mu sync.Mutex
		got := make(map[string]int)
		var making, taking sync.WaitGroup
		stop := make(chan struct{})
		client := func() *Client {
			c, err := e.NewClient()
			if err != nil {
				t.Error(err)
			}
			return c
		}
		for n := range producers {
			making.Add(1)
			go func() {
				defer making.Done()
				r := rand.New(rand.NewPCG(uint64(n), 1))
				c := client()
				defer c.Close()
				for i := range each {
					for {
						v, err := c.Do("PUT", keys[r.IntN(len(keys))], fmt.Sprintf("%d-%d", n, i))
						if err != nil {
							t.Error(err)
							return
						}
						if v.Int == 1 {
							break
						}
						time.Sleep(100 * time.Microsecond)
					}
				}
			}()
		}
		for n := range consumers {
			taking.Add(1)
			go func() {
				defer taking.Done()
				r := rand.New(rand.NewPCG(uint64(n), 2))
				c := client()
				defer func() { c.Close() }()
				for {
					select {
					case <-stop:
						return
					default:
					}
					args := []string{"TAKE"}
					for _, i := range r.Perm(len(keys))[:1+r.IntN(3)] {
						args = append(args, keys[i])
					}
					if r.IntN(4) == 0 {
						args = []string{"PASS", keys[r.IntN(len(keys))], "out" + strconv.Itoa(n)}
					}
					args = append(args, "0.0"+strconv.Itoa(1+r.IntN(9)))
					if r.IntN(3) == 0 {
						session, withError := c.session, r.IntN(2) == 0
						time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, func() { session.Unblock(withError) })
					}
					v, err := c.Do(args...)
					switch {
					case errors.Is(err, ErrClosed):
						return
					case err != nil:
						t.Error(err)
						return
					case v.Kind == resp.KindError || v.Null:
						continue
					}
					value := string(v.Str)
					if args[0] == "TAKE" {
						value = string(v.Elems[1].Str)
					}
					mu.Lock()
					got[value]++
					mu.Unlock()
					if r.IntN(50) == 0 {
						c.Close()
						c = client()
					}
				}
			}()
		}
		making.Wait()
		look := client()
		deadline := time.Now().Add(20 * time.Second)
		for _, key := range keys {
			for {
				v, err := look.Do("GET", key)
				if err != nil || v.Null {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%s is still there", v.Str)
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		close(stop)
		taking.Wait()
		look.Close()
		var wrong []string
		for n := range producers {
			for i := range each {
				if value := fmt.Sprintf("%d-%d", n, i); got[value] != 1 {
					wrong = append(wrong, fmt.Sprintf("%s: %d times", value, got[value]))
				}
			}
		}
		if slices.Sort(wrong); len(wrong) > 0 {
			t.Errorf("%d values went wrong: %.300s", len(wrong), wrong)
		}
		nobodyWaits(t, e, connect(t, e))
	})
}
