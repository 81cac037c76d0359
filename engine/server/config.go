package server

import (
	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/resp"
	"hyperkv/shard"
)

// ofOperator are the flags of commands for whoever runs the server.
const ofOperator = engine.Admin | engine.NoScript | engine.Loading | engine.Stale

var everyNode = []string{"request_policy:all_nodes", "response_policy:all_succeeded"}

var configure = engine.Command{
	Name: "CONFIG", Arity: -2,
	Summary: "Reads and changes the settings of the server.",
	Since:   "2.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "GET", Arity: -3, Session: configGet, Flags: ofOperator,
		Summary: "Answers settings whose names fit the given patterns.",
		Since:   "2.0.0", Complexity: "O(N) with the number of settings",
		Syntax:  "parameter [parameter ...]",
		History: []string{"7.0.0: Several patterns may be given."},
	}, {
		Name: "RESETSTAT", Arity: 2, Run: configResetStat, Scope: engine.ScopeAll, Flags: ofOperator,
		Tips:    everyNode,
		Summary: "Sets what INFO counts back to zero.",
		Since:   "2.0.0", Complexity: "O(1)",
	}, {
		Name: "REWRITE", Arity: 2, Session: configRewrite, Flags: ofOperator,
		Tips:    everyNode,
		Summary: "Writes changed settings into the configuration file.",
		Since:   "2.8.0", Complexity: "O(1)",
	}, {
		Name: "SET", Arity: -4, Session: configSet, Flags: ofOperator, Redact: redactConfigSet,
		Tips:    everyNode,
		Summary: "Changes settings, all of the given ones or none.",
		Since:   "2.0.0", Complexity: "O(N) with the number of settings given",
		Syntax:  "data(parameter value) [(parameter value) ...]",
		History: []string{"7.0.0: Several settings may be given."},
	}},
}

// CONFIG GET parameter [parameter ...]
func configGet(c *engine.Context) error {
	patterns := make([]string, 0, len(c.Args)-2)
	for _, arg := range c.Args[2:] {
		patterns = append(patterns, string(arg))
	}
	pairs := c.Engine.Params.Get(patterns...)
	c.Reply.Map(len(pairs))
	for _, pair := range pairs {
		c.Reply.BulkString(pair.Name)
		c.Reply.BulkString(pair.Value)
	}
	return nil
}

// CONFIG SET parameter value [parameter value ...]
func configSet(c *engine.Context) error {
	args := c.Args[2:]
	if len(args)%2 != 0 {
		return resp.ErrSyntax
	}
	pairs := make([]config.Pair, 0, len(args)/2)
	for i := 0; i < len(args); i += 2 {
		pairs = append(pairs, config.Pair{Name: string(args[i]), Value: string(args[i+1])})
	}
	_, loading := c.Engine.Loading()
	if err := c.Engine.Params.SetFrom(config.Caller{Local: c.Session.Local(), Loading: loading}, pairs); err != nil {
		return resp.Error(err.Error())
	}
	return c.Reply.OK()
}

// redactConfigSet hides the values of settings that are secrets.
func redactConfigSet(args [][]byte) [][]byte {
	shown := args
	for i := 2; i+1 < len(args); i += 2 {
		k := config.Lookup(string(args[i]))
		if k == nil || !k.Sensitive {
			continue
		}
		if len(shown) == len(args) && &shown[0] == &args[0] {
			shown = append([][]byte(nil), args...)
		}
		shown[i+1] = engine.RedactFrom(i + 1)(args)[i+1]
	}
	return shown
}

// CONFIG REWRITE
func configRewrite(c *engine.Context) error {
	if err := c.Engine.Params.Rewrite(); err != nil {
		return resp.Error(err.Error())
	}
	return c.Reply.OK()
}

// CONFIG RESETSTAT
//
// It holds all shards, so that no counter is half reset to anybody.
func configResetStat(c *shard.Call) error {
	if c.Client != nil {
		if session, ok := c.Client.Session.(*engine.Session); ok {
			session.Engine().ResetStats(c)
		}
	}
	return c.Reply.OK()
}
