package server

import (
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
	Name: "MONITOR", Arity: 1, Session: monitor, Flags: ofOperator,
	Summary: "Shows every command that the server runs from now on.",
	Since:   "1.0.0", Complexity: "O(1)",
}}

// TIME
func timeCommand(c *engine.Context) error {
	micros := time.Now().UnixMicro()
	c.Reply.Array(2)
	c.Reply.BulkInt(micros / 1e6)
	return c.Reply.BulkInt(micros % 1e6)
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
