package server

import (
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

// COMMAND DOCS [command-name ...]
//
// Names that there are not are left out.
func commandDocs(c *engine.Context) error {
	if len(c.Args) == 2 {
		all := c.Engine.Table.Commands()
		c.Reply.Map(len(all))
		for _, command := range all {
			writeDocs(c.Reply, command)
		}
		return nil
	}
	at, n := c.Reply.Deferred(), 0
	for _, name := range c.Args[2:] {
		if command := c.Engine.Table.Find(string(name)); command != nil {
			writeDocs(c.Reply, command)
			n++
		}
	}
	c.Reply.SetMap(at, n)
	return nil
}

// writeDocs writes a command's name and its documentation.
func writeDocs(w *resp.Writer, c *engine.Command) {
	w.BulkString(c.FullName())
	at, n := w.Deferred(), 0
	field := func(name, value string) {
		if value != "" {
			w.BulkString(name)
			w.BulkString(value)
			n++
		}
	}
	field("summary", c.Summary)
	field("since", c.Since)
	field("group", c.Group)
	field("complexity", c.Complexity)
	if flags := docFlags(c); len(flags) > 0 {
		w.BulkString("doc_flags")
		simpleSet(w, "", flags)
		n++
	}
	field("deprecated_since", c.Deprecated)
	field("replaced_by", c.Replacement)
	if len(c.History) > 0 {
		w.BulkString("history")
		w.Set(len(c.History))
		for _, entry := range c.History {
			version, what, _ := strings.Cut(entry, ":")
			w.BulkStrings(version, strings.TrimSpace(what))
		}
		n++
	}
	if args := c.Arguments(); len(args) > 0 {
		w.BulkString("arguments")
		writeArguments(w, args, len(c.Keys))
		n++
	}
	if len(c.Subcommands) > 0 {
		w.BulkString("subcommands")
		w.Map(len(c.Subcommands))
		for i := range c.Subcommands {
			writeDocs(w, &c.Subcommands[i])
		}
		n++
	}
	w.SetMap(at, n)
}

// systemCommands are not for clients.
var systemCommands = map[string]bool{
	"debug": true, "pfdebug": true, "pfselftest": true, "replconf": true, "restore-asking": true,
}

func docFlags(c *engine.Command) (flags []string) {
	if c.Deprecated != "" {
		flags = append(flags, "deprecated")
	}
	if systemCommands[c.FullName()] {
		flags = append(flags, "syscmd")
	}
	return flags
}

// writeArguments writes a list of arguments, each a map, of a command with so
// many key specifications.
func writeArguments(w *resp.Writer, args []engine.Argument, keySpecs int) {
	w.Array(len(args))
	for i := range args {
		a := &args[i]
		at, n := w.Deferred(), 0
		field := func(name, value string) {
			w.BulkString(name)
			w.BulkString(value)
			n++
		}
		field("name", a.Name)
		field("type", a.Type)
		if a.Display != "" {
			field("display_text", a.Display)
		}
		if a.Type == "key" || a.KeySpec > 0 {
			w.BulkString("key_spec_index")
			w.Int(int64(max(min(a.KeySpec, keySpecs-1), 0)))
			n++
		}
		if a.Token != "" {
			field("token", a.Token)
		}
		var flags []string
		if a.Optional {
			flags = append(flags, "optional")
		}
		if a.Multiple {
			flags = append(flags, "multiple")
		}
		if a.MultipleToken {
			flags = append(flags, "multiple_token")
		}
		if len(flags) > 0 {
			w.BulkString("flags")
			simpleSet(w, "", flags)
			n++
		}
		if len(a.Arguments) > 0 {
			w.BulkString("arguments")
			writeArguments(w, a.Arguments, keySpecs)
			n++
		}
		w.SetMap(at, n)
	}
}
