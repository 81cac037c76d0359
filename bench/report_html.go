package bench

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// WriteHTML writes plain runs as one self-contained page.
func WriteHTML(w io.Writer, e Environment, results []Result) error {
	var b strings.Builder
	openPage(&b, "HyperKV bench")
	writeRows(&b, environmentRows(&Comparison{Environment: e}))
	var rates, slowest, curves []line
	for _, r := range results {
		rate, worst := line{name: r.Name}, line{name: r.Name}
		for _, s := range r.Series {
			rate.points = append(rate.points, point{s.Second, s.Rate})
			worst.points = append(worst.points, point{s.Second, s.MaxMicros / 1000})
		}
		rates, slowest = append(rates, rate), append(slowest, worst)
		curves = append(curves, curve(r.Name, r.Latency))
	}
	b.WriteString(lineChart("Throughput over time", "seconds", "requests/s", rates, nil, false))
	b.WriteString(lineChart("Slowest reply over time", "seconds", "ms", slowest, nil, true))
	b.WriteString(percentileChart("Latency by percentile", curves))
	for _, t := range runTables(results) {
		b.WriteString(t.html())
	}
	writeNotes(&b, runNotes(results))
	return closePage(w, &b)
}

// WriteComparisonHTML writes a comparison as one self-contained page.
func WriteComparisonHTML(w io.Writer, c *Comparison) error {
	var b strings.Builder
	openPage(&b, "HyperKV in comparison")
	writeRows(&b, append(environmentRows(c), [2]string{"Date", c.Date}))
	tables := comparisonTables(c)
	b.WriteString(tables[0].html())

	servers := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		servers[i] = s.Name
	}
	var rates, cpu []bars
	for _, sc := range c.Speed {
		rate, used := bars{name: sc.Name}, bars{name: sc.Name}
		for _, f := range sc.Figures {
			rate.values = append(rate.values, f.Rate)
			used.values = append(used.values, f.ServerMicros)
		}
		rates, cpu = append(rates, rate), append(cpu, used)
	}
	b.WriteString(barChart("Speed", "requests/s", servers, rates, thousands))
	b.WriteString(barChart("Server CPU", "µs per request", servers, cpu, micros))
	var memory []bars
	for _, row := range c.Memory {
		m := bars{name: row.Name + ", " + count(float64(row.Items))}
		for _, f := range row.Figures {
			m.values = append(m.values, f.Overhead)
		}
		memory = append(memory, m)
	}
	b.WriteString(barChart("Memory over payload", "bytes per key", servers, memory, func(v float64) string { return fmt.Sprintf("%.1f", v) }))
	for _, sc := range c.Speed {
		var curves []line
		for _, f := range sc.Figures {
			if len(f.Rounds) > 0 {
				curves = append(curves, curve(f.Server, f.Rounds[len(f.Rounds)/2].Latency))
			}
		}
		b.WriteString(percentileChart("Latency by percentile: "+sc.Name, curves))
	}
	var fills []line
	for _, f := range c.Fill {
		l := line{name: f.Server}
		for _, s := range f.Fill.Series {
			l.points = append(l.points, point{s.Second, s.MaxMicros / 1000})
		}
		fills = append(fills, l)
	}
	b.WriteString(lineChart("Slowest reply while filling", "seconds", "ms", fills, nil, true))
	for _, t := range tables[1:] {
		b.WriteString(t.html())
	}
	b.WriteString("<h3>Method</h3>\n")
	writeNotes(&b, methodLines(c))
	writeNotes(&b, comparisonNotes(c))
	return closePage(w, &b)
}

// nines spreads percentiles so that each further nine takes the same room.
func nines(percentile float64) float64 {
	return -math.Log10(math.Max(1-percentile/100, 1e-6))
}

func curve(name string, l Latency) line {
	c := line{name: name}
	for _, p := range l.Curve {
		if p.Percentile <= 99.999 {
			c.points = append(c.points, point{nines(p.Percentile), p.Micros / 1000})
		}
	}
	return c
}

func percentileChart(title string, curves []line) string {
	marks := []mark{{0, "0"}}
	for _, p := range []struct {
		at    float64
		label string
	}{{50, "50 %"}, {90, "90 %"}, {99, "99 %"}, {99.9, "99.9 %"}, {99.99, "99.99 %"}, {99.999, "99.999 %"}} {
		marks = append(marks, mark{nines(p.at), p.label})
	}
	return lineChart(title, "share of requests", "ms", curves, marks, true)
}

const pageStyle = `body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem;color:#1f2937;background:#fff}
h1{font-size:1.5rem}h3{margin:1.6rem 0 .4rem}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
th,td{padding:.25rem .7rem;border-bottom:1px solid #e5e7eb;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
.wide{overflow-x:auto}.pass{color:#047857;font-weight:600}.fail{color:#b91c1c;font-weight:600}
figure{margin:1.6rem 0}figcaption{font-weight:600;margin-bottom:.3rem}
svg{width:100%;height:auto;background:#fafafa;border:1px solid #e5e7eb}
svg text{font-size:11px;fill:#4b5563}svg .x{text-anchor:middle}svg .y{text-anchor:end}svg .grid{stroke:#e5e7eb}
.legend{margin:.3rem 0}.legend span{margin-right:1rem;font-size:13px}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#6b7280}dd{margin:0}
@media(prefers-color-scheme:dark){body{background:#111827;color:#e5e7eb}th,td,svg{border-color:#374151}
svg{background:#1f2937}svg text{fill:#9ca3af}svg .grid{stroke:#374151}.pass{color:#34d399}.fail{color:#f87171}}`

func openPage(b *strings.Builder, title string) {
	fmt.Fprintf(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n"+
		"<title>%s</title>\n<style>%s</style></head><body>\n<h1>%s</h1>\n", html.EscapeString(title), pageStyle, html.EscapeString(title))
}

func closePage(w io.Writer, b *strings.Builder) error {
	b.WriteString("</body></html>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRows(b *strings.Builder, rows [][2]string) {
	b.WriteString("<dl>")
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(b, "<dt>%s</dt><dd>%s</dd>", html.EscapeString(row[0]), html.EscapeString(row[1]))
		}
	}
	b.WriteString("</dl>\n")
}

func writeNotes(b *strings.Builder, notes []string) {
	if len(notes) == 0 {
		return
	}
	b.WriteString("<ul>")
	for _, note := range notes {
		fmt.Fprintf(b, "<li>%s</li>", html.EscapeString(note))
	}
	b.WriteString("</ul>\n")
}
