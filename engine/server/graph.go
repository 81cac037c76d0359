package server

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	graphColumns = 80
	graphRows    = 4
)

// drawEvent draws the samples of an event as columns, the latest on the right.
// Below each stands how long ago it was, from top to bottom.
//
//	_#
//	||  o
//	|| _|_
//	||#|||
//
//	321975
//	mmmmss
func drawEvent(e *latencyEvent, now int64) string {
	samples := e.samples[max(0, len(e.samples)-graphColumns):]
	low, high := samples[0].millis, samples[0].millis
	for _, s := range samples {
		low, high = min(low, s.millis), max(high, s.millis)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n", e.name, high, low, e.max)
	b.WriteString(strings.Repeat("-", graphColumns) + "\n")

	// A column is filled up to its level, in steps of a third of a row.
	const tips = "_o#"
	level := func(millis int64) int {
		if high == low {
			return 0
		}
		return int((millis - low) * (graphRows*int64(len(tips)) - 1) / (high - low))
	}
	lines := make([][]byte, graphRows)
	for row := range lines {
		for _, s := range samples {
			l, c := level(s.millis), byte(' ')
			switch from := (graphRows - 1 - row) * len(tips); {
			case l >= from+len(tips):
				c = '|'
			case l >= from:
				c = tips[l-from]
			}
			lines[row] = append(lines[row], c)
		}
	}
	for _, line := range lines {
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')

	ages := make([]string, len(samples))
	longest := 0
	for i, s := range samples {
		ages[i] = shortAge(now - s.second)
		longest = max(longest, len(ages[i]))
	}
	for i := range longest {
		for _, age := range ages {
			if i < len(age) {
				b.WriteByte(age[i])
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// shortAge is a span of time in its largest whole unit.
func shortAge(seconds int64) string {
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{24 * 3600, "d"}, {3600, "h"}, {60, "m"}} {
		if seconds >= unit.seconds {
			return strconv.FormatInt(seconds/unit.seconds, 10) + unit.name
		}
	}
	return strconv.FormatInt(max(seconds, 0), 10) + "s"
}
