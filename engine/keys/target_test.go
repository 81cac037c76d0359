package keys

import (
	"os"
	"strconv"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
	"hyperkv/shard"
)

// handlers is a target that runs the handlers of this family on shards of its
// own, without a server around them. What else a script needs is in scenery.
type handlers struct {
	name   string
	shards int
	t      *testing.T
	set    *shard.Set
	table  *engine.Table
}

func newHandlers(t *testing.T, shards int, hooks shard.Hooks) *handlers {
	t.Helper()
	debug := engine.Command{Name: "DEBUG", Arity: -2, Subcommands: []engine.Command{DebugObject}}
	memory := engine.Command{Name: "MEMORY", Arity: -2, Subcommands: []engine.Command{MemoryUsage}}
	table, err := engine.NewTable(Family, engine.Family{Name: "scenery", Commands: append(scenery(), debug, memory)})
	if err != nil {
		t.Fatal(err)
	}
	set := shard.NewSet(shard.Options{Shards: shards, Databases: 16, Commands: len(table.All()), Seed: 1, Hooks: hooks})
	t.Cleanup(set.Close)
	return &handlers{"handlers on " + strconv.Itoa(shards), shards, t, set, table}
}

// scenery is as much of the string commands as the scripts need.
func scenery() []engine.Command {
	return []engine.Command{{
		Name: "SET", Arity: -3, Keys: engine.OneKey("OW update"), Flags: engine.Write,
		Run: func(c *shard.Call) error {
			deadline := int64(0)
			if len(c.Args) == 5 {
				n, _ := resp.ParseInt(c.Args[4])
				switch string(c.Args[3]) {
				case "EX":
					deadline = c.Now + 1000*n
				case "PX":
					deadline = c.Now + n
				}
			}
			c.DB.Set(c.Key(), c.Args[2], deadline)
			return c.Reply.OK()
		},
	}, {
		Name: "GET", Arity: 2, Keys: engine.OneKey("RO access"), Flags: engine.Read,
		Run: func(c *shard.Call) error {
			e := c.DB.Lookup(c.Key())
			if !e.Exists() {
				return c.Reply.Null()
			}
			return c.Reply.Bulk(e.AppendString(nil))
		},
	}, {
		Name: "APPEND", Arity: 3, Keys: engine.OneKey("RW insert"), Flags: engine.Write,
		Run: func(c *shard.Call) error {
			e := c.DB.LookupWrite(c.Key())
			had := e.StringLen()
			b := c.DB.Resize(c.Key(), e, had+len(c.Args[2]))
			copy(b[had:], c.Args[2])
			return c.Reply.Int(int64(len(b)))
		},
	}}
}

func (h *handlers) Name() string { return h.name }

func (h *handlers) Dial(testing.TB) testkit.Client { return &client{h: h} }

// client is one session with the handlers.
type client struct {
	h        *handlers
	database int
	call     shard.Call
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
	if args[0] == "SELECT" {
		c.database, _ = strconv.Atoi(args[1])
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
		container := cmd
		if cmd = cmd.Subcommand(args[1]); cmd == nil {
			return c.reply.Error(resp.UnknownSubcommand(container.Name, args[1]))
		}
	}
	if cmd.Arity > 0 && len(args) != cmd.Arity || len(args) < -cmd.Arity {
		return c.reply.Error(resp.WrongArity(cmd.FullName()))
	}
	shards := c.h.set.Shards
	if cmd.Scope == engine.ScopeCursor {
		cursor, _ := shard.ParseCursor(args[1])
		at := shard.CursorShard(cursor, len(shards))
		shards = shards[at : at+1]
	}
	// A turn may be with a keeper for a moment.
	for !c.h.set.EnterAll(shards) {
		time.Sleep(time.Millisecond)
	}
	defer c.h.set.ExitAll(shards)
	call := &c.call
	call.Bind(c.h.set, shards...)
	call.Reply = &c.reply
	call.Now = c.h.set.Now()
	call.Command = cmd.ID()
	call.Begin(c.database, args)
	call.Execute(cmd.Run, 0)
	return nil
}
