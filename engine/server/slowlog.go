package server

import (
	"hyperkv/engine"
	"hyperkv/resp"
)

var slowlog = engine.Command{
	Name: "SLOWLOG", Arity: -2,
	Summary: "Shows which commands took long.",
	Since:   "2.2.12", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "GET", Arity: -2, Session: slowlogGet,
		Flags:   engine.Admin | engine.Loading | engine.Stale,
		Tips:    []string{"request_policy:all_nodes", "nondeterministic_output"},
		Summary: "Answers entries of the slow log, the latest first.",
		Since:   "2.2.12", Complexity: "O(N) with the number of entries",
		Syntax:  "[count]",
		History: []string{"4.0.0: Entries hold the address and the name of the client."},
	}, {
		Name: "LEN", Arity: 2, Session: slowlogLen,
		Flags:   engine.Admin | engine.Loading | engine.Stale,
		Tips:    []string{"request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"},
		Summary: "Answers how many entries the slow log has.",
		Since:   "2.2.12", Complexity: "O(1)",
	}, {
		Name: "RESET", Arity: 2, Session: slowlogReset,
		Flags:   engine.Admin | engine.Loading | engine.Stale,
		Tips:    everyNode,
		Summary: "Empties the slow log.",
		Since:   "2.2.12", Complexity: "O(N) with the number of entries",
	}, helpRow("", "6.2.0")},
}

// slowlogCount is how many entries SLOWLOG GET answers unless told otherwise.
const slowlogCount = 10

// SLOWLOG GET [count]
//
// A count of -1 stands for all.
func slowlogGet(c *engine.Context) error {
	count := int64(slowlogCount)
	switch len(c.Args) {
	case 2:
	case 3:
		n, ok := resp.ParseInt(c.Args[2])
		if !ok || n < -1 {
			return resp.Error("ERR count should be greater than or equal to -1")
		}
		count = n
	default:
		return subcommandSyntax(c)
	}
	entries := c.Engine.Slowlog.Get(int(min(count, 1<<31)))
	w := c.Reply
	w.Array(len(entries))
	for i := range entries {
		e := &entries[i]
		w.Array(6)
		w.Int(e.ID)
		w.Int(e.Time.Unix())
		w.Int(e.Took.Microseconds())
		w.Bulks(e.Args...)
		w.BulkString(e.Addr)
		w.BulkString(e.Name)
	}
	return nil
}

// SLOWLOG LEN
func slowlogLen(c *engine.Context) error { return c.Reply.Int(int64(c.Engine.Slowlog.Len())) }

// SLOWLOG RESET
func slowlogReset(c *engine.Context) error {
	c.Engine.Slowlog.Reset()
	return c.Reply.OK()
}
