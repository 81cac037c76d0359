package server

import (
	"hyperkv/engine"
	"hyperkv/resp"
)

// There is no scripting in this version. What stands here is what clients and
// test suites send without wanting to run anything: an empty store of scripts,
// functions and modules answers as Redis' does when it is empty.
var scripting = []engine.Command{{
	Name: "FUNCTION", Arity: -2, Group: "scripting",
	Summary: "Governs the functions that are stored in the server.",
	Since:   "7.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "FLUSH", Arity: -2, Session: functionFlush, Categories: "scripting",
		Flags:   engine.NoScript | engine.Write,
		Tips:    everyNodeOf("all_shards"),
		Summary: "Deletes all functions.",
		Since:   "7.0.0", Complexity: "O(N) with the number of functions",
		Syntax: "flush-type[ASYNC | SYNC]",
	}, {
		Name: "KILL", Arity: 2, Session: notBusy, Categories: "scripting",
		Flags:   engine.NoScript | engine.AllowBusy,
		Tips:    []string{"request_policy:all_shards", "response_policy:one_succeeded"},
		Summary: "Ends the function that is running.",
		Since:   "7.0.0", Complexity: "O(1)",
	}, {
		Name: "LIST", Arity: -2, Session: functionList, Categories: "scripting",
		Flags:   engine.NoScript,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Lists the libraries of functions.",
		Since:   "7.0.0", Complexity: "O(N) with the number of functions",
		Syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
	}, {
		Name: "STATS", Arity: 2, Session: functionStats, Categories: "scripting",
		Flags:   engine.NoScript | engine.AllowBusy,
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Answers which function is running, and how many there are.",
		Since:   "7.0.0", Complexity: "O(1)",
	}, helpRow("scripting", "7.0.0")},
}, {
	Name: "SCRIPT", Arity: -2, Group: "scripting",
	Summary: "Governs the scripts that are stored in the server.",
	Since:   "2.6.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "EXISTS", Arity: -3, Session: scriptExists, Categories: "scripting",
		Flags:   engine.NoScript,
		Tips:    []string{"request_policy:all_shards", "response_policy:agg_logical_and"},
		Summary: "Answers which of the given scripts are there.",
		Since:   "2.6.0", Complexity: "O(N) with the number of scripts asked for",
		Syntax: "sha1 [sha1 ...]",
	}, {
		Name: "FLUSH", Arity: -2, Session: scriptFlush, Categories: "scripting",
		Flags:   engine.NoScript,
		Tips:    everyNode,
		Summary: "Forgets all scripts.",
		Since:   "2.6.0", Complexity: "O(N) with the number of scripts",
		Syntax:  "flush-type[ASYNC | SYNC]",
		History: []string{"6.2.0: Added the options ASYNC and SYNC."},
	}, {
		Name: "KILL", Arity: 2, Session: notBusy, Categories: "scripting",
		Flags:   engine.NoScript | engine.AllowBusy,
		Tips:    []string{"request_policy:all_shards", "response_policy:one_succeeded"},
		Summary: "Ends the script that is running.",
		Since:   "2.6.0", Complexity: "O(1)",
	}, helpRow("scripting", "5.0.0")},
}, {
	Name: "MODULE", Arity: -2,
	Summary: "Governs loadable modules, of which HyperKV has none.",
	Since:   "4.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "LIST", Arity: 2, Session: moduleList,
		Flags:   engine.Admin | engine.NoScript,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Lists the modules.",
		Since:   "4.0.0", Complexity: "O(N) with the number of modules",
	}},
}}

// FUNCTION FLUSH [ASYNC | SYNC]
func functionFlush(c *engine.Context) error {
	if len(c.Args) > 3 {
		return subcommandSyntax(c)
	}
	if len(c.Args) == 3 && !resp.WordIs(c.Args[2], "SYNC") && !resp.WordIs(c.Args[2], "ASYNC") {
		return resp.Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
	}
	return c.Reply.OK()
}

// FUNCTION KILL, SCRIPT KILL
func notBusy(*engine.Context) error { return resp.ErrNotBusy }

// FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]
func functionList(c *engine.Context) error {
	named, withCode := false, false
	for i := 2; i < len(c.Args); i++ {
		switch arg := c.Args[i]; {
		case !withCode && resp.WordIs(arg, "WITHCODE"):
			withCode = true
		case !named && resp.WordIs(arg, "LIBRARYNAME"):
			if i == len(c.Args)-1 {
				return resp.Error("ERR library name argument was not given")
			}
			named = true
			i++
		default:
			return resp.Error("ERR Unknown argument " + string(arg))
		}
	}
	return c.Reply.Array(0)
}

// FUNCTION STATS
func functionStats(c *engine.Context) error {
	w := c.Reply
	w.Map(2)
	w.BulkString("running_script")
	w.Null()
	w.BulkString("engines")
	w.Map(1)
	w.BulkString("LUA")
	w.Map(2)
	w.BulkString("libraries_count")
	w.Int(0)
	w.BulkString("functions_count")
	return w.Int(0)
}

// SCRIPT EXISTS sha1 [sha1 ...]
func scriptExists(c *engine.Context) error {
	c.Reply.Array(len(c.Args) - 2)
	for range c.Args[2:] {
		c.Reply.Int(0)
	}
	return nil
}

// SCRIPT FLUSH [ASYNC | SYNC]
func scriptFlush(c *engine.Context) error {
	if len(c.Args) > 3 || len(c.Args) == 3 && !resp.WordIs(c.Args[2], "SYNC") && !resp.WordIs(c.Args[2], "ASYNC") {
		return resp.Error("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
	}
	return c.Reply.OK()
}

// MODULE LIST
func moduleList(c *engine.Context) error { return c.Reply.Array(0) }
