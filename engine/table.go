package engine

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"

	"hyperkv/resp"
)

// A Table holds all commands of a server. Immutable once built.
type Table struct {
	commands []*Command // in the order of their names
	all      []*Command // with subcommands, by id
	byName   map[string]*Command
	// slots is an open-addressed index over the names that fit 16 bytes, which
	// are all that a client sends often.
	slots [tableSlots]tableSlot
}

const tableSlots = 2048 // a power of two, far above the number of commands

type tableSlot struct {
	low, high uint64
	command   *Command
}

// NewTable checks the rows of the families and puts them together. A faulty row
// is a defect of the program and reported as an error with the command's name.
func NewTable(families ...Family) (*Table, error) {
	t := &Table{byName: make(map[string]*Command)}
	for f := range families {
		family := &families[f]
		for i := range family.Commands {
			row := family.Commands[i] // a copy: tables are shared between servers
			c := &row
			if err := t.add(family, c, nil); err != nil {
				return nil, err
			}
			if t.byName[c.fullName] != nil {
				return nil, fmt.Errorf("command %s is declared twice", c.Name)
			}
			t.byName[c.fullName] = c
			t.commands = append(t.commands, c)
			t.insert(c)
		}
	}
	sort.Slice(t.commands, func(i, j int) bool { return t.commands[i].fullName < t.commands[j].fullName })
	return t, nil
}

func (t *Table) add(family *Family, c, parent *Command) error {
	c.family = family.Name
	c.parent = parent
	c.fullName = strings.ToLower(c.Name)
	if c.Group == "" {
		c.Group = family.Group
	}
	if c.Group == "" {
		c.Group = family.Name
	}
	if parent != nil {
		c.fullName = parent.fullName + "|" + c.fullName
		c.Group = parent.Group
	}
	c.id = len(t.all)
	t.all = append(t.all, c)
	docs, err := ParseSyntax(c.Syntax)
	if err != nil {
		return fmt.Errorf("command %s: %w", c.fullName, err)
	}
	c.docs = docs
	if len(c.Keys) == 1 && c.Find == nil {
		k := c.Keys[0]
		if k.Keyword == "" && !k.Counted && k.Last == 0 {
			c.simpleKey = k.First
		}
	}
	switch {
	case len(c.Subcommands) > 0 && (c.Run != nil || c.Session != nil):
		// A container may also run by itself (COMMAND).
	case len(c.Subcommands) > 0:
	case c.Start != nil && c.Run == nil && c.Session == nil && !c.Is(Transparent) && !c.Is(NoMulti):
		return fmt.Errorf("command %s can be queued, but has no body for EXEC", c.fullName)
	case c.Start != nil:
	case (c.Run == nil) == (c.Session == nil):
		return fmt.Errorf("command %s needs exactly one body", c.fullName)
	}
	if c.Run != nil && len(c.Keys) == 0 && c.Find == nil && c.Scope == ScopeKeys {
		return fmt.Errorf("command %s works on data but names neither keys nor a scope", c.fullName)
	}
	if c.simpleKey > 0 && c.Arity > 0 && c.simpleKey >= c.Arity || c.simpleKey > 0 && c.Arity < 0 && c.simpleKey >= -c.Arity {
		return fmt.Errorf("command %s: its arity does not cover its key", c.fullName)
	}
	if len(c.Subcommands) == 0 {
		return nil
	}
	rows := append([]Command(nil), c.Subcommands...)
	hasHelp := false
	for i := range rows {
		hasHelp = hasHelp || rows[i].Name == "HELP"
	}
	if !hasHelp {
		rows = append(rows, helpFor(c))
	}
	c.Subcommands = rows
	c.byName = make(map[string]*Command, len(rows))
	for i := range rows {
		if err := t.add(family, &rows[i], c); err != nil {
			return err
		}
		name := strings.ToLower(rows[i].Name)
		if c.byName[name] != nil {
			return fmt.Errorf("command %s is declared twice", rows[i].fullName)
		}
		c.byName[name] = &rows[i]
	}
	return nil
}

// helpFor is the HELP subcommand of a container, made from its other rows.
func helpFor(container *Command) Command {
	return Command{
		Name: "HELP", Arity: 2, Flags: Loading | Stale | Immediate, Session: help,
		Summary: "Prints the subcommands and what they do.",
		Since:   "5.0.0", Complexity: "O(1)",
	}
}

// CONTAINER HELP
func help(c *Context) error {
	parent := c.Command.parent
	lines := []string{strings.ToUpper(parent.fullName) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	names := make([]string, 0, len(parent.byName))
	for name := range parent.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		sub := parent.byName[name]
		if sub.Name == "HELP" {
			continue
		}
		line := sub.Name
		if sub.Syntax != "" {
			line += " " + sub.Syntax
		}
		lines = append(lines, line, "    "+sub.Summary)
	}
	lines = append(lines, "HELP", "    Print this help.")
	c.Reply.Array(len(lines))
	for _, line := range lines {
		c.Reply.Simple(line)
	}
	return nil
}

// packName folds a name of at most 16 bytes into two words, without case.
func packName(name []byte) (low, high uint64) {
	const fold = 0x2020202020202020
	if len(name) >= 8 {
		low = binary.LittleEndian.Uint64(name) | fold
		if len(name) > 8 {
			high = binary.LittleEndian.Uint64(name[len(name)-8:]) | fold
		}
		return low ^ uint64(len(name))<<56, high
	}
	for i := len(name) - 1; i >= 0; i-- {
		low = low<<8 | uint64(name[i]|0x20)
	}
	return low, 0
}

func slotOf(low, high uint64) uint64 {
	h := (low ^ high*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	return h >> 32 & (tableSlots - 1)
}

func (t *Table) insert(c *Command) {
	if len(c.fullName) > 16 {
		return
	}
	low, high := packName([]byte(c.fullName))
	i := slotOf(low, high)
	for t.slots[i].command != nil {
		i = (i + 1) & (tableSlots - 1)
	}
	t.slots[i] = tableSlot{low, high, c}
}

// Lookup finds a command by its name in any case; nil if there is none.
func (t *Table) Lookup(name []byte) *Command {
	if len(name) > 16 {
		return t.byName[strings.ToLower(string(name))]
	}
	low, high := packName(name)
	for i := slotOf(low, high); ; i = (i + 1) & (tableSlots - 1) {
		slot := &t.slots[i]
		if slot.command == nil {
			return nil
		}
		// Folding maps a few odd bytes onto each other, hence the comparison.
		if slot.low == low && slot.high == high && equalFold(slot.command.fullName, name) {
			return slot.command
		}
	}
}

// equalFold compares a lower-case name with bytes of any case.
func equalFold(lower string, b []byte) bool {
	if len(lower) != len(b) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Subcommand finds a subcommand by its word in any case; nil if there is none.
func (c *Command) Subcommand(word []byte) *Command {
	return c.byName[strings.ToLower(string(word))]
}

// Resolve finds the row of the command or subcommand that a client has sent, or why
// there is none to run.
func (t *Table) Resolve(args [][]byte) (*Command, error) {
	return resolve(t.Lookup(args[0]), args)
}

// resolve is Resolve when c is what the table has under the first word.
func resolve(c *Command, args [][]byte) (*Command, error) {
	if c == nil {
		return nil, resp.UnknownCommand(args[0], args[1:])
	}
	if c.byName != nil && len(args) > 1 {
		sub := c.Subcommand(args[1])
		if sub == nil {
			return c, resp.UnknownSubcommand(c.fullName, args[1])
		}
		c = sub
	}
	if !fits(c, len(args)) || c.Run == nil && c.Session == nil && c.Start == nil {
		return c, resp.WrongArity(c.fullName)
	}
	return c, nil
}

// Commands lists all commands by name, without subcommands.
func (t *Table) Commands() []*Command { return t.commands }

// All lists all commands and subcommands by identifier.
func (t *Table) All() []*Command { return t.all }

// Find finds a command by its full name ("get", "config|set"); nil if there is none.
func (t *Table) Find(fullName string) *Command {
	name, sub, isSub := strings.Cut(strings.ToLower(fullName), "|")
	c := t.byName[name]
	if c == nil || !isSub {
		return c
	}
	return c.byName[sub]
}
