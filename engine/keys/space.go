package keys

import (
	"math"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

var flushHistory = []string{"4.0.0: The modifier ASYNC.", "6.2.0: The modifier SYNC."}

var spaces = []engine.Command{{
	Name: "DBSIZE", Arity: 1, Run: dbSize, Group: "server",
	Scope: engine.ScopeAll, Merge: engine.MergeSum, Flags: engine.Read | engine.Fast,
	Tips:    []string{"request_policy:all_shards", "response_policy:agg_sum"},
	Summary: "Counts the keys of the database.",
	Since:   "1.0.0", Complexity: "O(1)",
}, {
	Name: "FLUSHDB", Arity: -1, Run: flushDB, Group: "server",
	Scope: engine.ScopeAll, Merge: engine.MergeFirst,
	Flags:   engine.Write | engine.Dangerous | engine.Long,
	Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
	Summary: "Removes all keys of the database.",
	Since:   "1.0.0", Complexity: "O(M) with the memory of the database, which goes back in large pieces",
	Syntax: "flush-type[ASYNC | SYNC]", History: flushHistory,
}, {
	Name: "FLUSHALL", Arity: -1, Run: flushAll, Group: "server",
	Scope: engine.ScopeAll, Merge: engine.MergeFirst,
	Flags:   engine.Write | engine.Dangerous | engine.Long,
	Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
	Summary: "Removes all keys of all databases.",
	Since:   "1.0.0", Complexity: "O(M) with the memory of all databases, which goes back in large pieces",
	Syntax: "flush-type[ASYNC | SYNC]", History: flushHistory,
}, {
	Name: "SWAPDB", Arity: 3, Run: swapDB, Group: "server",
	Scope: engine.ScopeAll, Flags: engine.Write | engine.Fast | engine.Dangerous,
	Summary: "Exchanges two databases, for all clients at once.",
	Since:   "4.0.0", Complexity: "O(N) with the number of clients that watch keys of the two",
	Syntax: "index1 index2",
}}

// DBSIZE
func dbSize(c *shard.Call) error { return c.Reply.Int(int64(c.DB.Len())) }

// parseFlush reads the modifier of FLUSHDB and FLUSHALL.
func parseFlush(c *shard.Call) (async bool, err error) {
	switch {
	case len(c.Args) == 1 || len(c.Args) == 2 && resp.WordIs(c.Args[1], "SYNC"):
		return false, nil
	case len(c.Args) == 2 && resp.WordIs(c.Args[1], "ASYNC"):
		return true, nil
	}
	return false, resp.ErrSyntax
}

// FLUSHDB [ASYNC | SYNC]
//
// The effect is recorded even when the database was empty: a replica's might
// hold keys whose time has come and that are gone here.
func flushDB(c *shard.Call) error {
	async, err := parseFlush(c)
	if err != nil {
		return err
	}
	c.Effect(c.Args...)
	c.Flush(c.DB.Number, async)
	return c.Reply.OK()
}

// FLUSHALL [ASYNC | SYNC]
func flushAll(c *shard.Call) error {
	async, err := parseFlush(c)
	if err != nil {
		return err
	}
	c.Effect(c.Args...)
	c.FlushAll(async)
	return c.Reply.OK()
}

const (
	errFirstDB  resp.Error = "ERR invalid first DB index"
	errSecondDB resp.Error = "ERR invalid second DB index"
)

// SWAPDB index1 index2
func swapDB(c *shard.Call) error {
	a, ok := parseInt32(c.Args[1])
	if !ok {
		return errFirstDB
	}
	b, ok := parseInt32(c.Args[2])
	if !ok {
		return errSecondDB
	}
	if n := c.Databases(); a < 0 || a >= n || b < 0 || b >= n {
		return resp.ErrDBIndex
	}
	c.SwapDB(a, b)
	return c.Reply.OK()
}

func parseInt32(arg []byte) (int, bool) {
	n, ok := resp.ParseInt(arg)
	return int(n), ok && n >= math.MinInt32 && n <= math.MaxInt32
}
