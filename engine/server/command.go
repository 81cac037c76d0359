package server

import (
	"slices"
	"strings"

	"hyperkv/engine"
	"hyperkv/internal/glob"
	"hyperkv/resp"
)

var command = engine.Command{
	Name: "COMMAND", Arity: -1, Session: commandAll, Categories: "connection",
	Flags:   engine.Loading | engine.Stale,
	Tips:    []string{"nondeterministic_output_order"},
	Summary: "Describes all commands.",
	Since:   "2.8.13", Complexity: "O(N) with the number of commands",
	Subcommands: []engine.Command{{
		Name: "COUNT", Arity: 2, Session: commandCount, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Summary: "Counts the commands.",
		Since:   "2.8.13", Complexity: "O(1)",
	}, {
		Name: "DOCS", Arity: -2, Session: commandDocs, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Answers what the documentation says of commands.",
		Since:   "7.0.0", Complexity: "O(N) with the number of commands asked for",
		Syntax: "[command-name [command-name ...]]",
	}, {
		Name: "GETKEYS", Arity: -3, Session: commandGetKeys, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Summary: "Finds the keys among the arguments of a command.",
		Since:   "2.8.13", Complexity: "O(N) with the number of arguments",
		Syntax: "command [arg [arg ...]]",
	}, {
		Name: "GETKEYSANDFLAGS", Arity: -3, Session: commandGetKeysAndFlags, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Summary: "Finds the keys among the arguments of a command, and what happens to them.",
		Since:   "7.0.0", Complexity: "O(N) with the number of arguments",
		Syntax: "command [arg [arg ...]]",
	}, {
		Name: "INFO", Arity: -2, Session: commandInfo, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Describes commands.",
		Since:   "2.8.13", Complexity: "O(N) with the number of commands asked for",
		Syntax:  "[command-name [command-name ...]]",
		History: []string{"7.0.0: No name stands for all commands."},
	}, {
		Name: "LIST", Arity: -2, Session: commandList, Categories: "connection",
		Flags:   engine.Loading | engine.Stale,
		Tips:    []string{"nondeterministic_output_order"},
		Summary: "Lists the names of commands.",
		Since:   "7.0.0", Complexity: "O(N) with the number of commands",
		Syntax: "[FILTERBY filterby(MODULE module-name | ACLCAT category | PATTERN pattern)]",
	}, helpRow("connection", "5.0.0")},
}

// COMMAND
func commandAll(c *engine.Context) error {
	all := c.Engine.Table.Commands()
	c.Reply.Array(len(all))
	for _, command := range all {
		writeInfo(c.Reply, command)
	}
	return nil
}

// COMMAND COUNT
func commandCount(c *engine.Context) error { return c.Reply.Int(int64(len(c.Engine.Table.Commands()))) }

// COMMAND INFO [command-name ...]
func commandInfo(c *engine.Context) error {
	if len(c.Args) == 2 {
		return commandAll(c)
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, name := range c.Args[2:] {
		if command := c.Engine.Table.Find(string(name)); command != nil {
			writeInfo(c.Reply, command)
		} else {
			c.Reply.Null()
		}
	}
	return nil
}

// flagNames are the flags that COMMAND INFO names, in its order. As in Redis,
// MayReplicate is not among them.
var flagNames = []struct {
	flag engine.Flags
	name string
}{
	{engine.Write, "write"}, {engine.Read, "readonly"}, {engine.DenyOOM, "denyoom"}, {engine.Admin, "admin"},
	{engine.PubSub, "pubsub"}, {engine.NoScript, "noscript"}, {engine.Blocking, "blocking"}, {engine.Loading, "loading"},
	{engine.Stale, "stale"}, {engine.SkipMonitor, "skip_monitor"}, {engine.SkipSlowlog, "skip_slowlog"},
	{engine.Asking, "asking"}, {engine.Fast, "fast"}, {engine.NoAuth, "no_auth"},
	{engine.NoAsyncLoading, "no_async_loading"}, {engine.NoMulti, "no_multi"}, {engine.MovableKeys, "movablekeys"},
	{engine.AllowBusy, "allow_busy"},
}

// Flags returns the flags of a command under the names of Redis.
func Flags(c *engine.Command) []string {
	var names []string
	for _, f := range flagNames {
		if c.Is(f.flag) || f.flag == engine.MovableKeys && movableKeys(c) {
			names = append(names, f.name)
		}
		if f.flag == engine.MayReplicate && keysOptional[c.FullName()] {
			names = append(names, "no_mandatory_keys")
		}
	}
	return names
}

// writeInfo writes the ten elements that describe a command.
func writeInfo(w *resp.Writer, c *engine.Command) {
	first, last, step := legacyKeys(c)
	w.Array(10)
	w.BulkString(c.FullName())
	w.Int(int64(c.Arity))
	simpleSet(w, "", Flags(c))
	w.Int(int64(first))
	w.Int(int64(last))
	w.Int(int64(step))
	simpleSet(w, "@", Categories(c))
	w.Set(len(c.Tips))
	for _, tip := range c.Tips {
		w.BulkString(tip)
	}
	w.Set(len(c.Keys))
	for i := range c.Keys {
		writeKeySpec(w, &c.Keys[i])
	}
	w.Set(len(c.Subcommands))
	for i := range c.Subcommands {
		writeInfo(w, &c.Subcommands[i])
	}
}

// simpleSet writes words as a set of status replies.
func simpleSet(w *resp.Writer, prefix string, words []string) {
	w.Set(len(words))
	for _, word := range words {
		w.Simple(prefix + word)
	}
}

// COMMAND LIST [FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]
func commandList(c *engine.Context) error {
	keep := func(*engine.Command) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) != 5 || !resp.WordIs(c.Args[2], "FILTERBY"):
		return resp.ErrSyntax
	case resp.WordIs(c.Args[3], "MODULE"):
		keep = func(*engine.Command) bool { return false }
	case resp.WordIs(c.Args[3], "ACLCAT"):
		category := strings.ToLower(string(c.Args[4]))
		keep = func(command *engine.Command) bool { return slices.Contains(Categories(command), category) }
	case resp.WordIs(c.Args[3], "PATTERN"):
		pattern := c.Args[4]
		keep = func(command *engine.Command) bool { return glob.MatchFold(pattern, []byte(command.FullName())) }
	default:
		return resp.ErrSyntax
	}
	at, n := c.Reply.Deferred(), 0
	for _, command := range byName(c.Engine.Table) {
		if keep(command) {
			c.Reply.BulkString(command.FullName())
			n++
		}
	}
	c.Reply.SetSet(at, n)
	return nil
}

// COMMAND GETKEYS command [arg ...]
func commandGetKeys(c *engine.Context) error {
	command, args, err := commandOf(c)
	if err != nil {
		return err
	}
	keys, err := keysOf(command, args)
	if err != nil {
		return err
	}
	c.Reply.Array(len(keys))
	for _, k := range keys {
		c.Reply.Bulk(args[k.position])
	}
	return nil
}

// COMMAND GETKEYSANDFLAGS command [arg ...]
func commandGetKeysAndFlags(c *engine.Context) error {
	command, args, err := commandOf(c)
	if err != nil {
		return err
	}
	keys, err := keysOf(command, args)
	if err != nil {
		return err
	}
	c.Reply.Array(len(keys))
	for _, k := range keys {
		c.Reply.Array(2)
		c.Reply.Bulk(args[k.position])
		simpleSet(c.Reply, "", accessWords(k.access))
	}
	return nil
}

// commandOf finds the command that is the argument of another.
func commandOf(c *engine.Context) (*engine.Command, [][]byte, error) {
	args := c.Args[2:]
	command := c.Engine.Table.Lookup(args[0])
	if command != nil && len(command.Subcommands) > 0 && len(args) > 1 {
		command = command.Subcommand(args[1])
	}
	switch {
	case command == nil:
		return nil, nil, resp.Error("ERR Invalid command specified")
	case len(command.Keys) == 0 && command.Find == nil:
		return nil, nil, resp.Error("ERR The command has no key arguments")
	case command.Arity > 0 && command.Arity != len(args) || len(args) < -command.Arity:
		return nil, nil, resp.Error("ERR Invalid number of arguments specified for command")
	}
	return command, args, nil
}
