package strings

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
	"hyperkv/shard"
)

// handlers is a target that runs the handlers of this family on shards of its
// own, without a server around them. What else a script needs is in scenery.
type handlers struct {
	name  string
	set   *shard.Set
	table *engine.Table
	clock *clock.Manual // nil: the machine's

	events  []string
	effects []string
}

func newHandlers(t *testing.T, shards int, manual *clock.Manual) *handlers {
	t.Helper()
	table, err := engine.NewTable(Family, engine.Family{Name: "scenery", Commands: scenery()})
	if err != nil {
		t.Fatal(err)
	}
	h := &handlers{name: "handlers on " + strconv.Itoa(shards), table: table, clock: manual}
	o := shard.Options{
		Shards: shards, Databases: 16, Commands: 100, Seed: 1, Inline: true,
		Hooks: shard.Hooks{Effects: h.effect, Event: h.event},
	}
	if manual != nil {
		o.Clock = manual
	}
	h.set = shard.NewSet(o)
	t.Cleanup(h.set.Close)
	return h
}

func (h *handlers) event(_ *shard.Shard, _ int, class shard.EventClass, name string, key []byte) {
	if h.clock != nil {
		h.events = append(h.events, fmt.Sprintf("%c %s %s", class, name, key))
	}
}

func (h *handlers) effect(_ []*shard.Shard, effects []shard.Effect) {
	if h.clock == nil {
		return
	}
	for _, e := range effects {
		words := make([]string, len(e.Args))
		for i, arg := range e.Args {
			words[i] = string(arg)
		}
		h.effects = append(h.effects, testkit.Quote(words...))
	}
}

// scenery is as much of the commands on keys as the scripts need.
func scenery() []engine.Command {
	ttl := func(unit int64) shard.Handler {
		return func(c *shard.Call) error {
			e := c.DB.Peek(c.Key())
			switch {
			case !e.Exists():
				return c.Reply.Int(-2)
			case e.Deadline() == 0:
				return c.Reply.Int(-1)
			}
			return c.Reply.Int((e.Deadline() - c.Now + unit/2) / unit)
		}
	}
	return []engine.Command{{
		Name: "DEL", Arity: -2, Keys: engine.KeyRange(1, -1, 1, "RM delete"),
		Run: func(c *shard.Call) error {
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
		Name: "EXISTS", Arity: -2, Keys: engine.KeyRange(1, -1, 1, "RO"),
		Run: func(c *shard.Call) error {
			n := int64(0)
			for _, key := range c.Args[1:] {
				if c.DB.Exists(key) {
					n++
				}
			}
			return c.Reply.Int(n)
		},
	}, {
		Name: "TTL", Arity: 2, Keys: engine.OneKey("RO access"), Run: ttl(1000),
	}, {
		Name: "PTTL", Arity: 2, Keys: engine.OneKey("RO access"), Run: ttl(1),
	}, {
		Name: "PEXPIREAT", Arity: 3, Keys: engine.OneKey("RW update"),
		Run: func(c *shard.Call) error {
			at, _ := resp.ParseInt(c.Args[2])
			c.DB.SetDeadline(c.Key(), c.DB.LookupWrite(c.Key()), at)
			return c.Reply.Int(1)
		},
	}, {
		Name: "PERSIST", Arity: 2, Keys: engine.OneKey("RW update"),
		Run: func(c *shard.Call) error {
			c.DB.SetDeadline(c.Key(), c.DB.LookupWrite(c.Key()), 0)
			return c.Reply.Int(1)
		},
	}, {
		Name: "OBJECT", Arity: -2, Subcommands: []engine.Command{{
			Name: "ENCODING", Arity: 3, Keys: engine.KeyAt(2, "RO"),
			Run: func(c *shard.Call) error {
				e := c.DB.Peek(c.Args[2])
				if !e.Exists() {
					return c.Reply.Null()
				}
				return c.Reply.BulkString(e.Encoding().String())
			},
		}},
	}, {
		Name: "FLUSHALL", Arity: -1, Scope: engine.ScopeAll,
		Run: func(c *shard.Call) error {
			for i := range c.Databases() {
				c.Flush(i, false)
			}
			return c.Reply.OK()
		},
	}}
}

func (h *handlers) Name() string { return h.name }

func (h *handlers) Dial(testing.TB) testkit.Client { return &client{h: h} }

// client is one session with the handlers.
type client struct {
	h        *handlers
	database int
	reply    resp.Writer
}

func (c *client) Close() error { return nil }

func (c *client) Do(args ...string) (resp.Value, error) {
	if err := c.Send(args...); err != nil {
		return resp.Value{}, err
	}
	return c.Receive(0)
}

func (c *client) Receive(time.Duration) (resp.Value, error) {
	if len(c.reply.Buf) == 0 {
		return resp.Value{}, os.ErrDeadlineExceeded
	}
	v, n, err := resp.ReadValue(c.reply.Buf)
	c.reply.Buf = c.reply.Buf[n:]
	return v, err
}

func (c *client) Send(args ...string) error {
	switch args[0] {
	case "SELECT":
		c.database, _ = strconv.Atoi(args[1])
		return c.reply.OK()
	case "HELLO":
		c.reply.Proto, _ = strconv.Atoi(args[1])
		return c.reply.OK()
	}
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	return c.run(words)
}

func (c *client) run(args [][]byte) error {
	cmd := c.h.table.Lookup(args[0])
	if cmd == nil {
		return c.reply.Error(resp.UnknownCommand(args[0], args[1:]))
	}
	if len(cmd.Subcommands) > 0 && len(args) > 1 {
		cmd = cmd.Subcommand(args[1])
	}
	if cmd.Arity > 0 && len(args) != cmd.Arity || len(args) < -cmd.Arity {
		return c.reply.Error(resp.WrongArity(cmd.FullName()))
	}
	shards := c.h.set.Shards
	// A turn may be with a keeper for a moment.
	for !c.h.set.EnterAll(shards) {
		time.Sleep(time.Millisecond)
	}
	defer c.h.set.ExitAll(shards)
	call := shards[0].Call()
	call.Bind(c.h.set, shards...)
	call.Reply = &c.reply
	call.Now = c.h.set.Now()
	call.Command = cmd.ID()
	call.Begin(c.database, args)
	call.Execute(cmd.Run, 0)
	return nil
}
