package bench

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// runTables are the tables of plain runs.
func runTables(results []Result) []table {
	speed := table{
		title:  "Throughput",
		header: []string{"test", "requests", "seconds", "requests/s", "MB/s in", "MB/s out", "errors", "generator"},
	}
	latency := table{
		title:  "Latency, ms",
		header: []string{"test", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"},
	}
	for _, r := range results {
		name := fmt.Sprintf("%s, %d connections, pipeline %d", r.Name, r.Connections, r.Pipeline)
		load := percent(r.Generator.Busy)
		if r.Generator.Saturated {
			load += " (saturated)"
		}
		rate := thousands(r.Rate)
		if r.OfferedRate > 0 {
			rate += " of " + thousands(r.OfferedRate)
		}
		speed.add(name, thousands(float64(r.Requests)), fmt.Sprintf("%.2f", r.Seconds), rate,
			fmt.Sprintf("%.1f", float64(r.BytesIn)/r.Seconds/1e6), fmt.Sprintf("%.1f", float64(r.BytesOut)/r.Seconds/1e6),
			thousands(float64(r.Errors)), load)
		latency.addLatency(name, r.Latency)
		for _, op := range r.Ops {
			latency.addLatency("  "+op.Name, op.Latency)
		}
	}
	return []table{speed, latency}
}

func (t *table) addLatency(name string, l Latency) {
	t.add(name, millis(l.Mean), millis(l.P50), millis(l.P90), millis(l.P95), millis(l.P99), millis(l.P999), millis(l.P9999), millis(l.Max))
}

// runNotes says what a reader of the tables must know.
func runNotes(results []Result) []string {
	var notes []string
	for _, r := range results {
		if r.Generator.Saturated {
			notes = append(notes, fmt.Sprintf("%s: the load generator was saturated (%s of its %d threads busy or waiting for a core); "+
				"the server may be faster than measured. Compare its CPU time per request, or give the generator more threads.",
				r.Name, percent(r.Generator.Wanted), r.Generator.Threads))
		}
		if r.Unsent > 0 {
			notes = append(notes, fmt.Sprintf("%s: the rate was not reached; %s requests were due and never got out. "+
				"Their waiting time is part of the latency.", r.Name, thousands(float64(r.Unsent))))
		}
		for _, e := range r.ErrorTexts {
			notes = append(notes, fmt.Sprintf("%s: %s × error reply %q", r.Name, thousands(float64(e.Count)), e.Text))
		}
	}
	return notes
}

// WriteText writes the tables of plain runs for a terminal.
func WriteText(w io.Writer, results []Result) error {
	return writeTables(w, runTables(results), runNotes(results))
}

func writeTables(w io.Writer, tables []table, notes []string) error {
	var b strings.Builder
	for i, t := range tables {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(t.text())
	}
	for _, note := range notes {
		b.WriteString("\nnote: " + note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteQuiet writes one line per run, as redis-benchmark -q does.
func WriteQuiet(w io.Writer, results []Result) error {
	for _, r := range results {
		if _, err := fmt.Fprintf(w, "%s: %.2f requests per second, p50=%s msec\n", strings.ToUpper(r.Name), r.Rate, millis(r.Latency.P50)); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes one row per run under a header.
func WriteCSV(w io.Writer, results []Result) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"test", "rps", "requests", "errors", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99.9_ms", "p99.99_ms", "max_ms", "generator_busy"}}
	for _, r := range results {
		l := r.Latency
		rows = append(rows, []string{r.Name, strconv.FormatFloat(r.Rate, 'f', 2, 64), strconv.FormatInt(r.Requests, 10), strconv.FormatInt(r.Errors, 10),
			millis(l.Mean), millis(l.P50), millis(l.P90), millis(l.P95), millis(l.P99), millis(l.P999), millis(l.P9999), millis(l.Max),
			strconv.FormatFloat(r.Generator.Busy, 'f', 3, 64)})
	}
	return out.WriteAll(rows)
}

// WritePercentiles writes the merged latency distribution of all runs in
// HdrHistogram's .hgrm format.
func WritePercentiles(w io.Writer, results []Result) error {
	all := newRecorder()
	for _, r := range results {
		all.merge(r.histogram)
	}
	return all.writePercentiles(w)
}

// WriteProfile writes the verdicts of a profile under the hardware line.
func WriteProfile(w io.Writer, e Environment, results []ProfileResult) error {
	t := table{header: []string{"promise", "required/s", "reached/s", "p99 below", "p99", "fastest/s", "verdict"}}
	var runs []Result
	for _, r := range results {
		t.add(r.Promise.Name, thousands(r.Promise.Rate), thousands(r.Offered.Rate), millis(r.P99Micros)+" ms", millis(r.Offered.Latency.P99)+" ms",
			thousands(r.Fastest.Rate), string(r.Verdict))
		runs = append(runs, r.Offered)
	}
	t.title = "Profile seed on " + e.Line()
	t.note = fmt.Sprintf("The required rate is offered in an open loop over %d connections, at most %d requests in flight on each; "+
		"latency counts from the moment a request was due.", results[0].Offered.Connections, profilePipeline)
	return writeTables(w, []table{t}, runNotes(runs))
}

// comparisonTables are the tables of a comparison, bars first.
func comparisonTables(c *Comparison) []table {
	var tables []table
	bars := table{title: "Bars", header: []string{"measure", "target", "measured", "verdict"}}
	for _, b := range c.Bars {
		bars.add(b.Measure, b.Target, b.Measured, string(b.Verdict))
	}
	tables = append(tables, bars)
	if len(c.Speed) > 0 {
		tables = append(tables, speedTable("Speed, latency and server CPU", reference, c.Speed))
	}
	if len(c.Tool) > 0 {
		tables = append(tables, toolTable(c.Tool))
	}
	if len(c.Shards) > 0 {
		tables = append(tables, speedTable("One shard and eight", shardVariant("1"), c.Shards))
	}
	if len(c.Collections) > 0 {
		tables = append(tables, speedTable("Collections", reference, c.Collections))
	}
	if len(c.Deletion) > 0 {
		tables = append(tables, deletionTable(c.Deletion))
	}
	if len(c.Memory) > 0 {
		tables = append(tables, memoryTable(c.Memory))
	}
	if c.Durability != nil {
		tables = append(tables, durabilityTables(c.Durability)...)
	}
	if len(c.Fill) > 0 {
		tables = append(tables, fillTable(c.Fill))
	}
	if len(c.Startup) > 0 {
		t := table{title: "Start to first PONG", header: []string{"server", "median ms", "slowest ms"}}
		for _, f := range c.Startup {
			slowest := 0.0
			for _, v := range f.Starts {
				slowest = max(slowest, v)
			}
			t.add(f.Server, fmt.Sprintf("%.1f", f.Millis), fmt.Sprintf("%.1f", slowest))
		}
		tables = append(tables, t)
	}
	return tables
}

func speedTable(title, base string, cases []SpeedCase) table {
	t := table{
		title:  title,
		note:   "Medians of the rounds. × compares with " + base + ". A saturated generator limits the speed; CPU per request is then the figure to read.",
		header: []string{"case", "server", "requests/s", "×", "CPU µs/request", "×", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "generator"},
	}
	for _, c := range cases {
		baseFigure := c.figure(base)
		if baseFigure == nil {
			baseFigure = &SpeedFigure{}
		}
		for _, f := range c.Figures {
			load := percent(f.Busy)
			if f.Saturated {
				load += " (saturated)"
			}
			t.add(c.Name, f.Server, thousands(f.Rate), ratio(f.Rate, baseFigure.Rate), micros(f.ServerMicros), ratio(f.ServerMicros, baseFigure.ServerMicros),
				millis(f.P50), millis(f.P99), millis(f.P999), millis(f.Max), load)
		}
	}
	return t
}

func toolTable(cases []ToolCase) table {
	t := table{
		title:  "The same by redis-benchmark",
		note:   "Medians of the rounds; server CPU includes the connections' set-up.",
		header: []string{"case", "server", "requests/s", "×", "CPU µs/request", "×", "p50 ms", "p99 ms"},
	}
	for _, c := range cases {
		var base ToolFigure
		for _, f := range c.Figures {
			if f.Server == reference {
				base = f
			}
		}
		name := named([]SpeedCase{{Op: c.Op, Pipeline: c.Pipeline}})[0].Name
		for _, f := range c.Figures {
			t.add(name, f.Server, thousands(f.Rate), ratio(f.Rate, base.Rate), micros(f.ServerMicros), ratio(f.ServerMicros, base.ServerMicros),
				millis(f.P50), millis(f.P99))
		}
	}
	return t
}

func memoryTable(rows []MemoryRow) table {
	t := table{
		title: "Memory: resident bytes over payload per item",
		note: "Growth of the resident set, from a server that was filled and emptied before, divided by the items, minus the bytes that clients sent. " +
			"“Whole process” charges the emptied server's own memory to the items as well.",
		header: []string{"data", "items", "payload", "server", "over payload", "× Redis", "whole process", "resident MiB"},
	}
	for _, r := range rows {
		base := MemoryFigure{}
		if f := r.figure(reference); f != nil {
			base = *f
		}
		for _, f := range r.Figures {
			if !f.Supported {
				t.add(r.Name, count(float64(r.Items)), strconv.FormatFloat(r.Payload, 'f', -1, 64), f.Server, "no such command", "–", "–", "–")
				continue
			}
			t.add(r.Name, count(float64(r.Items)), strconv.FormatFloat(r.Payload, 'f', -1, 64), f.Server, fmt.Sprintf("%.1f", f.Overhead), ratio(f.Overhead, base.Overhead),
				fmt.Sprintf("%.1f", f.Whole), fmt.Sprintf("%.1f", float64(f.After)/(1<<20)))
		}
	}
	return t
}

func fillTable(figures []FillFigure) table {
	t := table{
		title: fmt.Sprintf("Filling %s keys, then a mixed load", count(float64(figures[0].Keys))),
		note: "Closed loop, pipeline 16. The rewrite sends the same load to an index that no longer grows: what is slow there too is not growth. " +
			"Mixed: 70 % GET, 30 % SET over all keys.",
		header: []string{"server", "fill/s", "p99.99 ms", "slowest ms", "rewrite p99.99 ms", "rewrite slowest ms", "mixed/s", "mixed p99 ms", "mixed CPU µs/request", "GC CPU", "heap objects"},
	}
	for _, f := range figures {
		gc, objects := "–", "–"
		if f.Collector != nil {
			gc, objects = fmt.Sprintf("%.2f %%", f.Collector.CPUShare*100), count(f.Collector.ObjectsFull)
		}
		t.add(f.Server, thousands(f.Fill.Rate), millis(f.Fill.Latency.P9999), millis(f.Fill.Latency.Max),
			millis(f.Rewrite.Latency.P9999), millis(f.Rewrite.Latency.Max),
			thousands(f.Mixed.Rate), millis(f.Mixed.Latency.P99), micros(f.Mixed.ServerMicros), gc, objects)
	}
	return t
}

// comparisonNotes are the remarks below the tables of a comparison.
func comparisonNotes(c *Comparison) []string {
	notes := append([]string(nil), c.Notes...)
	if foreign := foreignShare(c); foreign >= foreignNoted {
		notes = append(notes, fmt.Sprintf("The machine was not quiet: other processes and the hypervisor took up to %s of its cores during a run. "+
			"Speeds and the high percentiles suffer from that; CPU per request and memory hardly do.", percent(foreign)))
	}
	for _, cases := range c.speedCases() {
		for _, sc := range cases {
			for _, f := range sc.Figures {
				if f.Saturated {
					notes = append(notes, fmt.Sprintf("%s on %s: the load generator was saturated, so the speed is not comparable and CPU per request is the figure.", sc.Name, f.Server))
				}
			}
		}
	}
	if c.Durability != nil {
		notes = append(notes, snapshotNotes(c.Durability)...)
	}
	return notes
}

// foreignNoted is the foreign share of the cores that a report mentions.
const foreignNoted = 0.05

// foreignShare is the largest foreign share of any speed case.
func foreignShare(c *Comparison) float64 {
	share := 0.0
	for _, cases := range c.speedCases() {
		for _, sc := range cases {
			for _, f := range sc.Figures {
				share = max(share, f.Foreign)
			}
		}
	}
	return share
}

// WriteComparison writes a comparison for a terminal.
func WriteComparison(w io.Writer, c *Comparison) error {
	if _, err := fmt.Fprintf(w, "%s\n%s\n\n", c.Environment.Line(), serverLine(c)); err != nil {
		return err
	}
	return writeTables(w, comparisonTables(c), comparisonNotes(c))
}

func serverLine(c *Comparison) string {
	var names []string
	for _, s := range c.Servers {
		names = append(names, strings.TrimSpace(s.Name+" "+s.Version))
	}
	return strings.Join(names, ", ")
}
