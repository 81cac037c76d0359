package server

import (
	"strconv"
	"strings"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

var lifecycle = []engine.Command{{
	Name: "TIME", Arity: 1, Session: timeCommand,
	Flags:   engine.Loading | engine.Stale | engine.Fast,
	Tips:    []string{"nondeterministic_output"},
	Summary: "Answers the time of the server, in seconds and microseconds.",
	Since:   "2.6.0", Complexity: "O(1)",
}, {
	Name: "ROLE", Arity: 1, Session: role,
	Flags:      engine.NoScript | engine.Loading | engine.Stale | engine.Fast,
	Categories: "admin dangerous",
	Summary:    "Answers the part that the server plays in replication.",
	Since:      "2.8.12", Complexity: "O(1)",
}, {
	Name: "MONITOR", Arity: 1, Session: monitor, Flags: ofOperator,
	Summary: "Shows every command that the server runs from now on.",
	Since:   "1.0.0", Complexity: "O(1)",
}, {
	Name: "REPLICAOF", Arity: 3, Session: replicaOf,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.Stale,
	Summary: "Makes the server a copy of another one, or NO ONE's.",
	Since:   "5.0.0", Complexity: "O(1)",
	Syntax: replicaOfSyntax,
}, {
	Name: "SLAVEOF", Arity: 3, Session: replicaOf,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.Stale,
	Summary: "Is the older name of REPLICAOF.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:     replicaOfSyntax,
	Deprecated: "5.0.0", Replacement: "`REPLICAOF`",
}}

const replicaOfSyntax = "args(host-port(host port) | no-one(NO ONE))"

// TIME
func timeCommand(c *engine.Context) error {
	micros := time.Now().UnixMicro()
	c.Reply.Array(2)
	c.Reply.BulkInt(micros / 1e6)
	return c.Reply.BulkInt(micros % 1e6)
}

// ROLE
func role(c *engine.Context) error {
	c.Reply.Array(3)
	c.Reply.BulkString("master")
	c.Reply.Int(0)
	return c.Reply.Array(0)
}

// MONITOR
//
// It is not Immediate: the commands before it in the same burst must have run,
// so that the monitor does not show its own client's past.
func monitor(c *engine.Context) error {
	if c.InTransaction {
		return resp.Error("ERR MONITOR isn't allowed for DENY BLOCKING client")
	}
	c.Engine.Monitors.Add(c.Session)
	return c.Reply.OK()
}

// REPLICAOF host port | NO ONE
func replicaOf(c *engine.Context) error {
	if resp.WordIs(c.Args[1], "NO") && resp.WordIs(c.Args[2], "ONE") {
		return c.Reply.OK()
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(c.Args[2])))
	if err != nil || port < 0 || port > 65535 {
		return resp.Error("ERR Invalid master port")
	}
	return unavailable("replication from another server is")
}
