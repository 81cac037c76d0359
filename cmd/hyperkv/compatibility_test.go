package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	"hyperkv/internal/testkit"
)

// docs/compatibility.md is made of three sources, so that none of it has to be
// remembered: the command table against the list of Redis' commands, the
// transcripts' "# differs:" lines, and notes written by hand.
const compatibilityPage = "../../docs/compatibility.md"

var writePage = flag.Bool("write", false, "write docs/compatibility.md instead of comparing with it")

func TestCompatibilityPage(t *testing.T) {
	page, err := compatibility("testdata/compatibility", families(t))
	if err != nil {
		t.Fatal(err)
	}
	if *writePage {
		if err := os.WriteFile(compatibilityPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(compatibilityPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, page) {
		t.Errorf("docs/compatibility.md is not what its sources say (%s): run \"make docs\"", firstDifference(have, page))
	}
}

// A redisCommand is a line of the list of Redis' commands.
type redisCommand struct {
	group, name, since string
	mark               mark
	note               string
}

// mark is what the list says of HyperKV's side.
type mark string

const (
	unmarked mark = ""
	never    mark = "no"      // will not come
	partly   mark = "partly"  // is there, within a limit that the note names
	later    mark = "planned" // is in the table, but only to say that it does not work yet
)

// status is what the page answers to "does HyperKV have it?".
func (c *redisCommand) status(have bool) (string, error) {
	switch {
	case have && c.mark == never:
		return "", fmt.Errorf("%s is marked as never to come, but it is there", c.name)
	case !have && (c.mark == partly || c.mark == later):
		return "", fmt.Errorf("%s is marked as %s, but it is not in the table", c.name, c.mark)
	case c.mark != unmarked:
		return string(c.mark), nil
	case have:
		return "yes", nil
	}
	return "planned", nil
}

func readRedisCommands(file string) ([]redisCommand, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []redisCommand
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 && len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d columns", file, i+1, len(f))
		}
		c := redisCommand{group: f[0], name: f[1], since: f[2]}
		if len(f) == 4 {
			c.note = f[3]
			for _, m := range []mark{never, partly, later} {
				if rest, found := strings.CutPrefix(c.note, string(m)+": "); found {
					c.mark, c.note = m, rest
				}
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// ownCommands are the rows of HyperKV's table under the names that a client sends.
func ownCommands() (map[string]*engine.Command, error) {
	table, err := engine.NewTable(embedded.Families()...)
	if err != nil {
		return nil, err
	}
	own := make(map[string]*engine.Command)
	for _, c := range table.All() {
		own[strings.ToUpper(strings.ReplaceAll(c.FullName(), "|", " "))] = c
	}
	return own, nil
}

// compatibility makes the page out of the sources in a folder and the folders
// of the families' transcripts.
func compatibility(sources string, transcripts []string) ([]byte, error) {
	list, err := readRedisCommands(filepath.Join(sources, "redis-7.4.tsv"))
	if err != nil {
		return nil, err
	}
	notes, err := os.ReadFile(filepath.Join(sources, "notes.md"))
	if err != nil {
		return nil, err
	}
	own, err := ownCommands()
	if err != nil {
		return nil, err
	}
	differences, err := readDifferences(transcripts)
	if err != nil {
		return nil, err
	}
	before, after, found := strings.Cut(string(notes), "<!-- generated tables -->\n")
	if !found {
		return nil, fmt.Errorf("notes.md does not say where the tables belong")
	}
	p := new(bytes.Buffer)
	p.WriteString(before)
	if err := writeCommands(p, list, own); err != nil {
		return nil, err
	}
	writeDifferences(p, differences)
	p.WriteString(after)
	return p.Bytes(), nil
}

// groupNames are the headings of Redis' documentation groups.
var groupNames = map[string]string{
	"string": "Strings", "bitmap": "Bitmaps", "generic": "Keys", "connection": "Connection", "transactions": "Transactions",
	"server": "Server", "list": "Lists", "hash": "Hashes", "set": "Sets", "sorted_set": "Sorted sets", "stream": "Streams",
	"hyperloglog": "HyperLogLog", "geo": "Geo", "pubsub": "Publish and subscribe", "scripting": "Scripts and functions",
	"cluster": "Cluster", "sentinel": "Sentinel",
}

// writeCommands sets Redis' commands, group by group, against the table, and
// lists what the table has beyond them.
func writeCommands(p *bytes.Buffer, list []redisCommand, own map[string]*engine.Command) error {
	type group struct {
		name     string
		commands []redisCommand
		count    map[string]int // by status
	}
	var groups []*group
	known := make(map[string]bool)
	for _, c := range list {
		if len(groups) == 0 || groups[len(groups)-1].name != c.group {
			groups = append(groups, &group{name: c.group, count: make(map[string]int)})
		}
		status, err := c.status(own[c.name] != nil)
		if err != nil {
			return err
		}
		if known[c.name] || groupNames[c.group] == "" {
			return fmt.Errorf("%s: listed twice, or in a group without a heading", c.name)
		}
		known[c.name] = true
		g := groups[len(groups)-1]
		g.commands = append(g.commands, c)
		g.count[status]++
	}

	fmt.Fprint(p, "## Commands of Redis 7.4\n\n| group | commands | yes | partly | planned | no |\n|---|---|---|---|---|---|\n")
	total := make(map[string]int)
	for _, g := range groups {
		fmt.Fprintf(p, "| %s | %d |%s\n", groupNames[g.name], len(g.commands), counts(g.count))
		for status, n := range g.count {
			total[status] += n
		}
	}
	fmt.Fprintf(p, "| **all** | %d |%s\n\n", len(list), counts(total))

	for _, g := range groups {
		fmt.Fprintf(p, "### %s\n\n", groupNames[g.name])
		if g.count["yes"]+g.count["partly"] == 0 {
			writeMissing(p, g.commands, own)
			continue
		}
		fmt.Fprint(p, "| command | since Redis | in HyperKV | note |\n|---|---|---|---|\n")
		for _, c := range g.commands {
			status, _ := c.status(own[c.name] != nil)
			fmt.Fprintf(p, "| %s | %s | %s | %s |\n", c.name, c.since, status, c.note)
		}
		p.WriteString("\n")
	}

	fmt.Fprint(p, "## Commands beyond Redis 7.4\n\nOptions that came later to commands of Redis 7.4 are named in [commands.md](commands.md), "+
		"under \"changed in\".\n\n| command | from | what it does |\n|---|---|---|\n")
	var more []string
	for name, c := range own {
		// Containers and their HELP are not listed, nor is DEBUG taken apart.
		container, _, _ := strings.Cut(name, " ")
		if !known[name] && len(c.Subcommands) == 0 && !strings.HasSuffix(name, " HELP") && !known[container] {
			more = append(more, name)
		}
	}
	slices.Sort(more)
	for _, name := range more {
		fmt.Fprintf(p, "| %s | %s | %s |\n", name, origin(own[name].Since), cell(own[name].Summary))
	}
	p.WriteString("\n")
	return nil
}

func counts(by map[string]int) string {
	row := ""
	for _, status := range []string{"yes", "partly", "planned", "no"} {
		row += fmt.Sprintf(" %d |", by[status])
	}
	return row
}

// writeMissing writes a group of which nothing is there in a few lines.
func writeMissing(p *bytes.Buffer, commands []redisCommand, own map[string]*engine.Command) {
	var order []string
	by := make(map[string][]string)
	for _, c := range commands {
		status, _ := c.status(own[c.name] != nil)
		intro := strings.ToUpper(status[:1]) + status[1:]
		if c.note != "" {
			intro += " (" + strings.TrimSuffix(c.note, ".") + ")"
		}
		if by[intro] == nil {
			order = append(order, intro)
		}
		by[intro] = append(by[intro], c.name)
	}
	for _, intro := range order {
		fmt.Fprintf(p, "%s: %s.\n\n", intro, strings.Join(by[intro], ", "))
	}
}

// origin names the system of a version, which is Redis unless it says otherwise.
func origin(since string) string {
	if since != "" && since[0] >= '0' && since[0] <= '9' {
		return "Redis " + since
	}
	return since
}

// A difference is one reason in one transcript.
type difference struct {
	script   string // its path in the repository
	commands []string
	reason   string
}

func readDifferences(folders []string) ([]difference, error) {
	var all []difference
	for _, folder := range folders {
		marked, err := testkit.Differences(filepath.Join(folder, "*.txt"))
		if err != nil {
			return nil, err
		}
		for _, m := range marked {
			file, err := filepath.Rel("../..", m.File)
			if err != nil {
				return nil, err
			}
			all = append(all, difference{script: filepath.ToSlash(file), commands: m.Commands, reason: m.Reason})
		}
	}
	slices.SortStableFunc(all, func(a, b difference) int { return cmp.Compare(a.script, b.script) })
	return all, nil
}

// examplesMax is how many commands of a transcript's block the page shows.
const examplesMax = 2

func writeDifferences(p *bytes.Buffer, all []difference) {
	fmt.Fprint(p, "## Replies that differ\n\n"+
		"Every transcript is also played to a real redis-server (7.0 at present). These are the places where its\n"+
		"answer is another one, and why HyperKV's stays as it is.\n\n| for example | what differs | transcript |\n|---|---|---|\n")
	for _, d := range all {
		var examples []string
		for _, command := range d.commands {
			if len(examples) < examplesMax && !slices.Contains(examples, code(command)) {
				examples = append(examples, code(command))
			}
		}
		reason := strings.ToUpper(d.reason[:1]) + strings.TrimSuffix(d.reason[1:], ".") + "."
		fmt.Fprintf(p, "| %s | %s | [%s](../%s) |\n", strings.Join(examples, "<br>"), cell(reason),
			filepath.Base(d.script), d.script)
	}
	p.WriteString("\n")
}

// exampleBytes is how much of a command the page shows.
const exampleBytes = 60

func code(command string) string {
	if len(command) > exampleBytes {
		command = command[:exampleBytes] + "…"
	}
	return "`" + cell(strings.ReplaceAll(command, "`", "'")) + "`"
}

// cell makes text fit to stand in a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// firstDifference names the first line that two texts do not share.
func firstDifference(a, b []byte) string {
	was, is := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i := range max(len(was), len(is)) {
		switch {
		case i >= len(was):
			return fmt.Sprintf("line %d is missing: %q", i+1, is[i])
		case i >= len(is):
			return fmt.Sprintf("line %d is too many: %q", i+1, was[i])
		case was[i] != is[i]:
			return fmt.Sprintf("line %d is %q, should be %q", i+1, was[i], is[i])
		}
	}
	return "none"
}
