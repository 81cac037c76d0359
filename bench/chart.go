package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Charts are plain SVG, drawn here: the report is one file that needs neither
// a network nor a script.

// line is one curve of a chart.
type line struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

const (
	chartWidth, chartHeight   = 860.0, 300.0
	marginLeft, marginRight   = 70.0, 34.0
	marginTop, marginBottom   = 14.0, 40.0
	plotWidth                 = chartWidth - marginLeft - marginRight
	plotHeight                = chartHeight - marginTop - marginBottom
	barThickness, barDistance = 15.0, 4.0
)

// palette holds as many colours as differ at a glance; longer lists repeat.
var palette = []string{"#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f"}

func colour(i int) string { return palette[i%len(palette)] }

// mark is a labelled position on an axis.
type mark struct {
	at    float64
	label string
}

// lineChart draws lines over [0, xMax] × [0, yMax]; the y axis marks itself.
func lineChart(title, xLabel, yLabel string, lines []line, xMarks []mark, logY bool) string {
	xMax, yMax, yMin := 0.0, 0.0, math.Inf(1)
	for _, l := range lines {
		for _, p := range l.points {
			xMax, yMax = math.Max(xMax, p.x), math.Max(yMax, p.y)
			if p.y > 0 {
				yMin = math.Min(yMin, p.y)
			}
		}
	}
	if len(xMarks) > 0 {
		xMax = math.Max(xMax, xMarks[len(xMarks)-1].at)
	} else {
		xMarks = marksTo(xMax)
	}
	if xMax == 0 || yMax == 0 {
		return ""
	}
	yMarks := marksTo(yMax)
	low, high := 0.0, yMarks[len(yMarks)-1].at
	scaleY := func(y float64) float64 { return (y - low) / (high - low) }
	if logY {
		low, high = math.Floor(math.Log10(yMin)), math.Ceil(math.Log10(yMax))
		if low == high {
			high++
		}
		yMarks = nil
		for e := low; e <= high; e++ {
			yMarks = append(yMarks, mark{math.Pow(10, e), number(math.Pow(10, e))})
		}
		scaleY = func(y float64) float64 {
			return (math.Log10(math.Max(y, math.Pow(10, low))) - low) / (high - low)
		}
	}
	px := func(x float64) float64 { return marginLeft + x/xMax*plotWidth }
	py := func(y float64) float64 { return marginTop + (1-scaleY(y))*plotHeight }

	var b strings.Builder
	openFigure(&b, title, chartHeight)
	for _, m := range yMarks {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/><text class="y" x="%.1f" y="%.1f">%s</text>`,
			marginLeft, py(m.at), chartWidth-marginRight, py(m.at), marginLeft-6, py(m.at)+4, html.EscapeString(m.label))
	}
	for _, m := range xMarks {
		fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%.1f">%s</text>`, px(m.at), chartHeight-marginBottom+16, html.EscapeString(m.label))
	}
	fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%.1f">%s</text>`, marginLeft+plotWidth/2, chartHeight-6, html.EscapeString(xLabel))
	fmt.Fprintf(&b, `<text class="x" transform="translate(12 %.1f) rotate(-90)">%s</text>`, marginTop+plotHeight/2, html.EscapeString(yLabel))
	for i, l := range lines {
		var path strings.Builder
		for _, p := range l.points {
			fmt.Fprintf(&path, "%.1f,%.1f ", px(p.x), py(p.y))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.8"/>`, strings.TrimSpace(path.String()), colour(i))
	}
	names := make([]string, len(lines))
	for i, l := range lines {
		names[i] = l.name
	}
	closeFigure(&b, names)
	return b.String()
}

// bars is one group of a bar chart.
type bars struct {
	name   string
	values []float64 // one per legend entry; 0 draws nothing
}

// barChart draws horizontal bars, grouped.
func barChart(title, unit string, legend []string, groups []bars, format func(float64) string) string {
	top := 0.0
	rows := 0
	for _, g := range groups {
		rows += len(g.values)
		for _, v := range g.values {
			top = math.Max(top, v)
		}
	}
	if top <= 0 {
		return ""
	}
	height := float64(rows)*(barThickness+barDistance) + float64(len(groups))*12 + 10
	const labels = 240.0
	const values = 90.0
	var b strings.Builder
	openFigure(&b, title+", "+unit, height)
	y := 6.0
	for _, g := range groups {
		middle := y + float64(len(g.values))*(barThickness+barDistance)/2
		fmt.Fprintf(&b, `<text class="y" x="%.1f" y="%.1f">%s</text>`, labels-8, middle+3, html.EscapeString(g.name))
		for i, v := range g.values {
			width := math.Max(v, 0) / top * (chartWidth - labels - values)
			text := "–"
			if v != 0 {
				text = format(v)
			}
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/><text x="%.1f" y="%.1f">%s</text>`,
				labels, y, width, barThickness, colour(i), labels+width+5, y+barThickness-3, html.EscapeString(text))
			y += barThickness + barDistance
		}
		y += 12
	}
	closeFigure(&b, legend)
	return b.String()
}

func openFigure(b *strings.Builder, title string, height float64) {
	fmt.Fprintf(b, "<figure><figcaption>%s</figcaption>\n<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">",
		html.EscapeString(title), chartWidth, height, html.EscapeString(title))
}

func closeFigure(b *strings.Builder, legend []string) {
	b.WriteString("</svg>\n<p class=\"legend\">")
	for i, name := range legend {
		fmt.Fprintf(b, `<span><i style="background:%s"></i>%s</span> `, colour(i), html.EscapeString(name))
	}
	b.WriteString("</p></figure>\n")
}

// marksTo returns about five round positions from 0 to at least top.
func marksTo(top float64) []mark {
	if top <= 0 {
		return []mark{{0, "0"}}
	}
	step := math.Pow(10, math.Floor(math.Log10(top/5)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if step*factor*6 >= top {
			step *= factor
			break
		}
	}
	var marks []mark
	for i := 0.0; ; i++ {
		marks = append(marks, mark{i * step, number(i * step)})
		if i*step >= top {
			return marks
		}
	}
}

// number writes an axis label.
func number(v float64) string {
	if v >= 1000 {
		return count(v)
	}
	return fmt.Sprintf("%.4g", v)
}
