package engine

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

// The tests of this package run an engine with a family of toys, and sessions
// whose loop is the test itself, so that it decides what happens when.

// toys are commands of every kind that the engine tells apart.
var toys = Family{Name: "toy", Commands: []Command{{
	Name: "GET", Arity: 2, Keys: OneKey("RO"), Flags: Read | Fast, Run: toyGet,
}, {
	Name: "SET", Arity: 3, Keys: OneKey("OW"), Flags: Write | DenyOOM, Run: func(c *shard.Call) error {
		c.DB.SetBytes(c.Key(), c.Args[2], 0)
		return c.Reply.OK()
	},
}, {
	Name: "PEXPIREAT", Arity: 3, Keys: OneKey("RW"), Flags: Write, Run: func(c *shard.Call) error {
		at, ok := resp.ParseInt(c.Args[2])
		if !ok {
			return resp.ErrNotInteger
		}
		e := c.DB.LookupWrite(c.Key())
		if !e.Exists() {
			return c.Reply.Int(0)
		}
		c.DB.SetDeadline(c.Key(), e, at)
		return c.Reply.Int(1)
	},
}, {
	Name: "FAIL", Arity: 2, Keys: OneKey("RO"), Flags: Read, Run: func(c *shard.Call) error {
		c.Reply.BulkString("dropped")
		return resp.ErrWrongType
	},
}, {
	Name: "LGET", Arity: 2, Keys: OneKey("RO"), Flags: Read | Long, Run: toyGet,
}, {
	Name: "MGET", Arity: -2, Keys: KeyRange(1, -1, 1, "RO"), Flags: Read, Merge: MergeOrder, Run: func(c *shard.Call) error {
		c.Reply.Array(len(c.Args) - 1)
		for _, key := range c.Args[1:] {
			toyBulk(c, c.DB.Lookup(key))
		}
		return nil
	},
}, {
	Name: "MSET", Arity: -3, Keys: KeyRange(1, -1, 2, "OW"), Flags: Write | DenyOOM, Merge: MergeFirst, Check: toyPairs, Run: func(c *shard.Call) error {
		if err := toyPairs(c.Args); err != nil {
			return err
		}
		for i := 1; i < len(c.Args); i += 2 {
			c.DB.SetBytes(c.Args[i], c.Args[i+1], 0)
		}
		return c.Reply.OK()
	},
}, {
	Name: "DEL", Arity: -2, Keys: KeyRange(1, -1, 1, "RM"), Flags: Write, Merge: MergeSum, Run: func(c *shard.Call) error {
		n := int64(0)
		for _, key := range c.Args[1:] {
			if e := c.DB.LookupWrite(key); e.Exists() {
				c.DB.Delete(key, e)
				n++
			}
		}
		return c.Reply.Int(n)
	},
}, {
	Name: "RENAME", Arity: 3, Keys: KeyRange(1, 2, 1, "RW"), Flags: Write, Run: func(c *shard.Call) error {
		e := c.DB.LookupWrite(c.Args[1])
		if !e.Exists() {
			return resp.Error("ERR no such key")
		}
		value := e.AppendString(nil)
		c.DB.Delete(c.Args[1], e)
		c.DB.SetBytes(c.Args[2], value, 0)
		return c.Reply.OK()
	},
}, {
	Name: "COUNTED", Arity: -2, Flags: Read, Keys: []KeySpec{{Access: "RO", First: 1, Counted: true, FirstKey: 1}}, Run: func(c *shard.Call) error {
		n, ok := parseCount(c.Args[1])
		if !ok || n < 1 || n > len(c.Args)-2 {
			return resp.ErrSyntax
		}
		c.Reply.Array(n)
		for _, key := range c.Args[2 : 2+n] {
			toyBulk(c, c.DB.Lookup(key))
		}
		return nil
	},
}, {
	Name: "DBSIZE", Arity: 1, Scope: ScopeAll, Merge: MergeSum, Flags: Read, Run: func(c *shard.Call) error {
		return c.Reply.Int(int64(c.DB.Len()))
	},
}, {
	Name: "HAS", Arity: 2, Scope: ScopeAll, Merge: MergeConcat, Flags: Read | Long, Run: func(c *shard.Call) error {
		at, n := c.Reply.Deferred(), 0
		c.DB.Each(func(e keyspace.Entry) {
			if bytes.Equal(e.Key(), c.Args[1]) {
				c.Reply.Bulk(e.Key())
				n++
			}
		})
		c.Reply.SetArray(at, n)
		return nil
	},
}, {
	Name: "ALLFAIL", Arity: 1, Scope: ScopeAll, Merge: MergeSum, Flags: Read | Long, Run: func(c *shard.Call) error {
		return resp.Error("TOY all parts fail")
	},
}, {
	Name: "FLUSHDB", Arity: 1, Scope: ScopeAll, Merge: MergeFirst, Flags: Write, Run: func(c *shard.Call) error {
		c.Flush(c.DB.Number, false)
		return c.Reply.OK()
	},
}, {
	Name: "SWAPDB", Arity: 3, Scope: ScopeAll, Flags: Write, Run: func(c *shard.Call) error {
		a, _ := parseCount(c.Args[1])
		b, _ := parseCount(c.Args[2])
		if a >= c.Databases() || b >= c.Databases() {
			return resp.Error("ERR out of range")
		}
		c.SwapDB(a, b)
		return c.Reply.OK()
	},
}, {
	Name: "SCAN", Arity: -2, Scope: ScopeCursor, Flags: Read, Run: func(c *shard.Call) error {
		if _, ok := shard.ParseCursor(c.Args[1]); !ok {
			return resp.ErrInvalidCursor
		}
		return c.Reply.Int(int64(c.Shards()[0].Index))
	},
}, {
	Name: "RESETSTAT", Arity: 1, Scope: ScopeAll, Flags: Admin, Run: func(c *shard.Call) error {
		c.Client.Session.(*Session).Engine().ResetStats(c)
		return c.Reply.OK()
	},
}, {
	Name: "ECHO", Arity: 2, Flags: Immediate | Fast, Session: func(c *Context) error { return c.Reply.Bulk(c.Args[1]) },
}, {
	Name: "HERE", Arity: 2, Session: func(c *Context) error { return c.Reply.Bulk(c.Args[1]) },
}, {
	Name: "BIG", Arity: 2, Session: func(c *Context) error {
		n, _ := parseCount(c.Args[1])
		return c.Reply.Bulk(make([]byte, min(n, 1<<17)))
	},
}, {
	Name: "HEREFAIL", Arity: 1, Session: func(c *Context) error {
		c.Reply.Array(3)
		return resp.Error("TOY failed here")
	},
}, {
	Name: "SELECT", Arity: 2, Session: func(c *Context) error {
		n, ok := parseCount(c.Args[1])
		if !ok || n > 1 {
			return resp.Error("ERR DB index is out of range")
		}
		c.Session.Select(n)
		return c.Reply.OK()
	},
}, {
	Name: "HELLO", Arity: 2, Flags: NoAuth, Session: func(c *Context) error {
		n, _ := parseCount(c.Args[1])
		c.Session.SetProto(n)
		c.Reply.Proto = n
		return c.Reply.Null()
	},
}, {
	Name: "NAME", Arity: 2, Flags: Immediate, Session: func(c *Context) error {
		c.Session.SetName(string(c.Args[1]))
		return c.Reply.OK()
	},
}, {
	Name: "REPLY", Arity: 2, Flags: Immediate, Session: func(c *Context) error {
		switch string(c.Args[1]) {
		case "on":
			c.Session.SetReply(true, false)
			return c.Reply.OK()
		case "off":
			c.Session.SetReply(false, false)
		case "skip":
			c.Session.SetReply(false, true)
		}
		return nil
	},
}, {
	Name: "QUIT", Arity: 1, Flags: Immediate | Transparent | NoAuth, Session: func(c *Context) error {
		c.Session.CloseAfterReply()
		return c.Reply.OK()
	},
}, {
	Name: "SUICIDE", Arity: 1, Session: func(c *Context) error {
		c.Session.Kill(c.Session)
		return c.Reply.OK()
	},
}, {
	Name: "MONITOR", Arity: 1, Flags: Admin, Session: func(c *Context) error {
		c.Engine.Monitors.Add(c.Session)
		return c.Reply.OK()
	},
}, {
	Name: "BOX", Arity: -2, Subcommands: []Command{
		{Name: "OPEN", Arity: 3, Session: func(c *Context) error { return c.Reply.Bulk(c.Args[2]) }},
		{Name: "AT", Arity: 3, Keys: KeyAt(2, "RO"), Flags: Read, Run: func(c *shard.Call) error {
			toyBulk(c, c.DB.Lookup(c.Args[2]))
			return nil
		}},
	},
}}}

func toyPairs(args [][]byte) error {
	if len(args)%2 == 0 {
		return resp.WrongArity("mset")
	}
	return nil
}

func toyGet(c *shard.Call) error {
	toyBulk(c, c.DB.Lookup(c.Key()))
	return nil
}

func toyBulk(c *shard.Call, e keyspace.Entry) {
	if e.Exists() {
		c.Reply.Bulk(e.AppendString(nil))
	} else {
		c.Reply.Null()
	}
}

func newEngine(t testing.TB, o Options, settings map[string]string) *Engine {
	t.Helper()
	cfg, err := config.FromMap(settings)
	if err != nil {
		t.Fatal(err)
	}
	o.Config, o.Families, o.Seed = cfg, append(o.Families, toys, Transactions), 1
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func onShards(n int) map[string]string { return map[string]string{"worker_threads": strconv.Itoa(n)} }

// peer is a client with its connection; the goroutine of the test is its loop.
type peer struct {
	t       testing.TB
	session *Session
	wake    chan struct{}
	out     []byte
	// deaf keeps what is sent unread; unread counts it.
	deaf    bool
	unread  int
	drained func()
	closed  bool // the session has closed the connection
	free    int  // bytes that promised nothing
}

// loopOf is a loop whose wake-ups arrive in the channel.
func loopOf(e *Engine) (*Loop, chan struct{}) {
	wake := make(chan struct{}, 1)
	return e.NewLoop(0, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}), wake
}

func connect(t testing.TB, e *Engine) *peer {
	t.Helper()
	l, wake := loopOf(e)
	p := connectTo(t, l, wake)
	t.Cleanup(func() {
		p.session.Closed(nil)
		l.Close()
	})
	return p
}

func connectTo(t testing.TB, l *Loop, wake chan struct{}) *peer {
	t.Helper()
	p := &peer{t: t, wake: wake}
	s, err := l.Open(p, ConnInfo{RemoteAddr: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	p.session = s
	return p
}

func (p *peer) Write(b []byte) {
	if p.closed && p.session.closed {
		p.t.Error("a write after the connection was closed")
	}
	p.out = append(p.out, b...)
	if p.deaf {
		p.unread += len(b)
	}
}
func (p *peer) WriteAnyway(b []byte) {
	p.free += len(b)
	p.Write(b)
}
func (p *peer) Unsent() int                       { return p.unread }
func (p *peer) NotifyDrained(below int, f func()) { p.drained = f }
func (p *peer) Close()                            { p.closed = true }
func (p *peer) feed(s string)                     { p.session.Feed([]byte(s)) }
func (p *peer) send(args ...string)               { p.feed(string(resp.AppendCommandString(nil, args...))) }
func (p *peer) take() (out string)                { out, p.out = string(p.out), nil; return out }

// read lets the client read what it has left.
func (p *peer) read() {
	p.unread = 0
	if f := p.drained; f != nil {
		p.drained = nil
		f()
	}
}

// settle runs what has come back to the loop.
func (p *peer) settle() { p.session.loop.Woken() }

// wait runs the loop until the condition holds.
func (p *peer) wait(what string, done func() bool) {
	p.t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		p.settle()
		if done() {
			return
		}
		select {
		case <-p.wake:
		case <-time.After(time.Millisecond):
		case <-deadline:
			p.t.Fatalf("%s: did not happen; output %q", what, clip(p.out))
		}
	}
}

// expect runs the loop until the client has been sent exactly want.
func (p *peer) expect(want string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("reply %q", clip([]byte(want))), func() bool { return len(p.out) >= len(want) })
	if got := p.take(); got != want {
		p.t.Fatalf("got  %q\nwant %q", clip([]byte(got)), clip([]byte(want)))
	}
}

// ask sends a command and expects the reply.
func (p *peer) ask(want string, args ...string) {
	p.t.Helper()
	p.send(args...)
	p.expect(want)
}

func clip(b []byte) string {
	if len(b) > 400 {
		return string(b[:200]) + "..." + string(b[len(b)-200:])
	}
	return string(b)
}

// busy holds the turn of a shard, so that whatever comes for it has to wait.
func busy(t testing.TB, e *Engine, index int) (release func()) {
	t.Helper()
	sh := e.Shards.Shards[index]
	for deadline := time.Now().Add(5 * time.Second); !sh.Enter(); {
		if time.Now().After(deadline) {
			t.Fatalf("shard %d does not become free", index)
		}
	}
	return sh.Exit
}

// keyOn is a key that lives on a shard.
func keyOn(e *Engine, index, n int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("k%d:%d", n, i)
		if e.Shards.IndexOf(shard.RouteHash([]byte(key), shard.Hash([]byte(key)))) == index {
			return key
		}
	}
}

// quiet checks that nothing is left of clients that are gone.
func quiet(t testing.TB, e *Engine) {
	t.Helper()
	if n := e.ClientCount(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
	if n := e.BlockedCount(); n != 0 {
		t.Errorf("%d clients are blocked", n)
	}
	if e.Monitors.any() {
		t.Error("a monitor is left")
	}
	for i := range e.Shards.Shards {
		busy(t, e, i)()
	}
}
