package server

import (
	"bufio"
	"fmt"
	"io"
	"sort"
	"strings"

	"hyperkv/engine"
)

// groupTitles are the headings of the documentation's groups, in its order;
// other groups follow by name.
var groupTitles = []struct{ group, title string }{
	{"generic", "Keys"}, {"string", "Strings"}, {"bitmap", "Bitmaps"}, {"list", "Lists"}, {"set", "Sets"},
	{"hash", "Hashes"}, {"sorted-set", "Sorted sets"}, {"stream", "Streams"}, {"hyperloglog", "HyperLogLog"},
	{"geo", "Geo"}, {"pubsub", "Publish and subscribe"}, {"transactions", "Transactions"},
	{"scripting", "Scripts and functions"}, {"connection", "Connections"}, {"server", "Server"}, {"cluster", "Cluster"},
}

// WriteReference writes the command reference of the documentation, in
// Markdown: every command and subcommand of the table, by group.
func WriteReference(w io.Writer, t *engine.Table) error {
	b := bufio.NewWriter(w)
	groups := make(map[string][]*engine.Command)
	for _, c := range t.Commands() {
		groups[c.Group] = append(groups[c.Group], c)
	}
	titles := make(map[string]string)
	var order []string
	for _, g := range groupTitles {
		titles[g.group] = g.title
		if len(groups[g.group]) > 0 {
			order = append(order, g.group)
		}
	}
	var others []string
	for group := range groups {
		if titles[group] == "" {
			titles[group] = group
			others = append(others, group)
		}
	}
	sort.Strings(others)
	order = append(order, others...)

	fmt.Fprintf(b, referenceHead, len(t.Commands()), len(t.All())-len(t.Commands()))
	for _, group := range order {
		links := make([]string, 0, len(groups[group]))
		for _, c := range groups[group] {
			links = append(links, fmt.Sprintf("[`%s`](#%s)", c.Name, strings.ReplaceAll(c.FullName(), ".", "")))
		}
		fmt.Fprintf(b, "- **%s**: %s\n", titles[group], strings.Join(links, " "))
	}
	for _, group := range order {
		fmt.Fprintf(b, "\n## %s\n", titles[group])
		for _, c := range groups[group] {
			describe(b, c)
		}
	}
	return b.Flush()
}

const referenceHead = `# Commands

This page is generated from the command table: %d commands and %d subcommands. What is said to be since a version without a
name is since that version of Redis.

`

func describe(b *bufio.Writer, c *engine.Command) {
	if c.Parent() == nil {
		fmt.Fprintf(b, "\n### %s\n", c.Name)
	} else {
		fmt.Fprintf(b, "\n#### %s\n", displayName(c))
	}
	usage := strings.TrimSpace(displayName(c) + " " + engine.Usage(c.Arguments()))
	if len(c.Subcommands) > 0 && c.Session == nil && c.Run == nil {
		usage += " subcommand [argument ...]"
	}
	fmt.Fprintf(b, "\n`%s`\n\n%s\n\n", usage, c.Summary)
	item := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "- %s: %s\n", name, text)
		}
	}
	item("since", c.Since)
	if c.Deprecated != "" {
		text := c.Deprecated
		if c.Replacement != "" {
			text += ", use " + c.Replacement
		}
		item("deprecated", text)
	}
	item("complexity", c.Complexity)
	item("flags", strings.Join(Flags(c), ", "))
	item("categories", "@"+strings.Join(Categories(c), ", @"))
	for _, entry := range c.History {
		version, what, _ := strings.Cut(entry, ":")
		item("changed in "+version, strings.TrimSpace(what))
	}
	for i := range c.Subcommands {
		describe(b, &c.Subcommands[i])
	}
}

// displayName is a command's name as it is sent.
func displayName(c *engine.Command) string {
	return strings.ToUpper(strings.ReplaceAll(c.FullName(), "|", " "))
}
