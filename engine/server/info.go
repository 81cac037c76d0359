package server

import (
	"strings"

	"hyperkv/engine"
)

var info = engine.Command{
	Name: "INFO", Arity: -1, Session: infoCommand,
	Flags:      engine.Loading | engine.Stale,
	Categories: "dangerous",
	Tips:       []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
	Summary:    "Reports about the server, in sections.",
	Since:      "1.0.0", Complexity: "O(1)",
	Syntax:  "[section [section ...]]",
	History: []string{"7.0.0: Several sections may be named."},
}

// section is a part of INFO. They are answered in the order of sections, each
// once, however often and in whatever order they are asked for.
type section struct {
	name   string // in lower case
	title  string
	preset bool // part of "default"
	write  func(r *report)
}

var sections = []section{
	{"server", "Server", true, (*report).server},
	{"clients", "Clients", true, (*report).clients},
	{"memory", "Memory", true, (*report).memory},
	{"persistence", "Persistence", true, (*report).persistence},
	{"threads", "Threads", false, (*report).threads},
	{"stats", "Stats", true, (*report).stats},
	{"replication", "Replication", true, (*report).replication},
	{"cpu", "CPU", true, (*report).cpu},
	{"modules", "Modules", true, (*report).modules},
	{"commandstats", "Commandstats", false, (*report).commandStats},
	{"errorstats", "Errorstats", true, (*report).errorStats},
	{"latencystats", "Latencystats", false, (*report).latencyStats},
	{"cluster", "Cluster", true, (*report).cluster},
	{"keyspace", "Keyspace", true, (*report).keyspace},
	{"hyperkv", "HyperKV", true, (*report).hyperKV},
}

// INFO [section [section ...]]
func infoCommand(c *engine.Context) error {
	return c.Reply.Verbatim("txt", infoText(c.Engine, wordsOf(c.Args[1:])))
}

// infoBytes is room for the default sections.
const infoBytes = 6 << 10

// infoText writes the named sections; none means the default ones. Names that
// there are not are left out.
func infoText(e *engine.Engine, names []string) string {
	if len(names) == 0 {
		names = []string{"default"}
	}
	all, preset := false, false
	for _, name := range names {
		all = all || name == "all" || name == "everything"
		preset = preset || name == "default"
	}
	r := newReport(e)
	r.Grow(infoBytes)
	for i := range sections {
		s := &sections[i]
		wanted := all || preset && s.preset
		for _, name := range names {
			wanted = wanted || name == s.name
		}
		if !wanted {
			continue
		}
		if r.Len() > 0 {
			r.WriteString("\r\n")
		}
		r.WriteString("# " + s.title + "\r\n")
		s.write(r)
	}
	return r.String()
}

// report is an INFO under way.
type report struct {
	strings.Builder
	e      *engine.Engine
	gather gathered
}
