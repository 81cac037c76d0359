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
	Name: "LASTSAVE", Arity: 1, Session: lastSave,
	Flags:      engine.Loading | engine.Stale | engine.Fast,
	Categories: "admin dangerous",
	Tips:       []string{"nondeterministic_output"},
	Summary:    "Answers when the dataset was last the same as on disk.",
	Since:      "1.0.0", Complexity: "O(1)",
}, {
	Name: "MONITOR", Arity: 1, Session: monitor, Flags: ofOperator,
	Summary: "Shows every command that the server runs from now on.",
	Since:   "1.0.0", Complexity: "O(1)",
}, {
	Name: "SHUTDOWN", Arity: -1, Session: shutdown, Flags: ofOperator | engine.NoMulti | engine.AllowBusy,
	Summary: "Stops the server.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:  "[save-selector(NOSAVE | SAVE)] [NOW] [FORCE] [ABORT]",
	History: []string{"7.0.0: Added the options NOW, FORCE and ABORT."},
}, {
	Name: "SAVE", Arity: 1, Session: save,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript | engine.NoMulti,
	Summary: "Writes the dataset to disk while everybody waits.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys",
}, {
	Name: "BGSAVE", Arity: -1, Session: bgSave,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript,
	Summary: "Writes the dataset to disk in the background.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:  "[SCHEDULE]",
	History: []string{"3.2.2: Added the option SCHEDULE."},
}, {
	Name: "BGREWRITEAOF", Arity: 1, Session: bgRewriteAOF,
	Flags:   engine.NoAsyncLoading | engine.Admin | engine.NoScript,
	Summary: "Writes the log anew, as short as it can be.",
	Since:   "1.0.0", Complexity: "O(1)",
}}

// TIME
func timeCommand(c *engine.Context) error {
	micros := time.Now().UnixMicro()
	c.Reply.Array(2)
	c.Reply.BulkInt(micros / 1e6)
	return c.Reply.BulkInt(micros % 1e6)
}

// LASTSAVE
//
// That was at the start, when there was nothing.
func lastSave(c *engine.Context) error { return c.Reply.Int(c.Engine.Started().Unix()) }

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

// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
//
// There is no reply: the connection closes with the server.
func shutdown(c *engine.Context) error {
	var save, nosave, force, now, abort bool
	for _, arg := range c.Args[1:] {
		switch {
		case resp.WordIs(arg, "NOSAVE"):
			nosave = true
		case resp.WordIs(arg, "SAVE"):
			save = true
		case resp.WordIs(arg, "NOW"):
			now = true
		case resp.WordIs(arg, "FORCE"):
			force = true
		case resp.WordIs(arg, "ABORT"):
			abort = true
		default:
			return resp.ErrSyntax
		}
	}
	switch {
	case abort && (save || nosave || force || now), save && nosave:
		return resp.ErrSyntax
	case abort:
		return resp.Error("ERR No shutdown in progress.")
	case save && !force:
		return unavailable("SHUTDOWN SAVE needs snapshots, which are")
	}
	remote, _ := c.Session.Addresses()
	c.Engine.Log.Warn("SHUTDOWN requested", "client", c.Session.ID(), "address", remote)
	c.Engine.RequestShutdown()
	return nil
}

// SAVE
func save(*engine.Context) error { return unavailable("snapshots are") }

// BGSAVE [SCHEDULE]
func bgSave(c *engine.Context) error {
	if len(c.Args) > 2 || len(c.Args) == 2 && !resp.WordIs(c.Args[1], "SCHEDULE") {
		return resp.ErrSyntax
	}
	return unavailable("snapshots are")
}

// BGREWRITEAOF
func bgRewriteAOF(*engine.Context) error { return unavailable("the append-only log is") }
