package connection

import (
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
)

// Family is the table of all commands of this package.
var Family = engine.Family{
	Name:     "connection",
	Commands: slices.Concat(basic, handshake, []engine.Command{client}),
}

// What is Immediate here has no effect on commands that were sent before it and
// wait in the same burst. HELLO, RESET and CLIENT NO-TOUCH are not, because those
// commands run with the protocol and the modes of the session.
var basic = []engine.Command{{
	Name: "PING", Arity: -1, Session: ping,
	Flags:   engine.Fast | engine.Immediate,
	Tips:    []string{"request_policy:all_shards", "response_policy:all_succeeded"},
	Summary: "Answers PONG, or the given message.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "[message]",
}, {
	Name: "ECHO", Arity: 2, Session: echo,
	Flags:   engine.Loading | engine.Stale | engine.Fast | engine.Immediate,
	Summary: "Answers what it was given.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "message",
}, {
	Name: "SELECT", Arity: 2, Session: selectDB,
	Flags:   engine.Loading | engine.Stale | engine.Fast | engine.Immediate,
	Summary: "Makes the connection work on another database.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "index",
}, {
	Name: "QUIT", Arity: -1, Session: quit,
	Flags: engine.AllowBusy | engine.NoScript | engine.Loading | engine.Stale | engine.Fast | engine.NoAuth |
		engine.Immediate | engine.Transparent,
	Summary: "Ends the connection once its replies have left.",
	Since:   "1.0.0", Complexity: "O(1)",
	Deprecated: "7.2.0", Replacement: "just closing the connection",
}, {
	Name: "RESET", Arity: 1, Session: reset,
	Flags: engine.NoScript | engine.Loading | engine.Stale | engine.Fast | engine.NoAuth | engine.AllowBusy |
		engine.Transparent,
	Summary: "Brings the connection back to the state of a new one.",
	Since:   "6.2.0", Complexity: "O(1)",
}}

// PING [message]
func ping(c *engine.Context) error {
	switch len(c.Args) {
	case 1:
		return c.Reply.Simple("PONG")
	case 2:
		return c.Reply.Bulk(c.Args[1])
	}
	return resp.WrongArity("ping")
}

// ECHO message
func echo(c *engine.Context) error { return c.Reply.Bulk(c.Args[1]) }

// SELECT index
func selectDB(c *engine.Context) error {
	index, err := int32Of(c.Args[1])
	if err != nil {
		return err
	}
	if index < 0 || index >= databases(c) {
		return resp.ErrDBIndex
	}
	c.Session.Select(index)
	return c.Reply.OK()
}

func databases(c *engine.Context) int { return int(c.Engine.Params.Int("databases")) }

// QUIT
func quit(c *engine.Context) error {
	c.Session.CloseAfterReply()
	return c.Reply.OK()
}

// RESET
func reset(c *engine.Context) error {
	c.Session.Reset()
	return c.Reply.Simple("RESET")
}
