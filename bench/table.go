package bench

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is a result in rows; every report draws the same tables its own way.
// The first column is text, the others are aligned to the right.
type table struct {
	title  string
	note   string
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text draws the table with aligned columns.
func (t table) text() string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "%s\n", t.title)
	}
	for _, row := range append([][]string{t.header}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString("  " + cell + gap)
			} else {
				line.WriteString("  " + gap + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	if t.note != "" {
		fmt.Fprintf(&b, "  %s\n", t.note)
	}
	return b.String()
}

// markdown draws the table for RESULTS.md.
func (t table) markdown() string {
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "### %s\n\n", t.title)
	}
	line := func(cells []string) {
		escaped := make([]string, len(cells))
		for i, cell := range cells {
			escaped[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(escaped, " | "))
	}
	line(t.header)
	b.WriteString("|---|" + strings.Repeat("---:|", len(t.header)-1) + "\n")
	for _, row := range t.rows {
		line(row)
	}
	if t.note != "" {
		fmt.Fprintf(&b, "\n%s\n", t.note)
	}
	return b.String()
}

// html draws the table for the HTML report.
func (t table) html() string {
	var b strings.Builder
	if t.title != "" {
		fmt.Fprintf(&b, "<h3>%s</h3>\n", html.EscapeString(t.title))
	}
	b.WriteString("<div class=\"wide\"><table>\n")
	for i, row := range append([][]string{t.header}, t.rows...) {
		b.WriteString("<tr>")
		tag := "td"
		if i == 0 {
			tag = "th"
		}
		for _, cell := range row {
			class := ""
			if v := Verdict(cell); v == Pass || v == Fail {
				class = ` class="` + cell + `"`
			}
			fmt.Fprintf(&b, "<%s%s>%s</%s>", tag, class, html.EscapeString(cell), tag)
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table></div>\n")
	if t.note != "" {
		fmt.Fprintf(&b, "<p>%s</p>\n", html.EscapeString(t.note))
	}
	return b.String()
}

// count shortens a number: 950, 12.3 K, 1.5 M, 10 M.
func count(n float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e3, " K"}} {
		if n >= unit.size {
			return trimZero(n/unit.size, 1) + unit.name
		}
	}
	return trimZero(n, 0)
}

func trimZero(v float64, digits int) string {
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// thousands writes a whole number with its thousands set apart.
func thousands(v float64) string {
	s := strconv.FormatInt(int64(math.Round(v)), 10)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// millis writes microseconds as milliseconds.
func millis(us float64) string { return strconv.FormatFloat(us/1000, 'f', 3, 64) }

func micros(us float64) string {
	if us == 0 {
		return "–"
	}
	return strconv.FormatFloat(us, 'f', 2, 64)
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + " %" }

// ratio writes a as a multiple of b.
func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f ×", a/b)
}
