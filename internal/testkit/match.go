package testkit

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	// waitingLine stands for the reply of a client that blocks.
	waitingLine = "(waiting)"

	// closedLine says that the server ended the session.
	closedLine = "(closed)"

	// blankLine stands for a line of a reply that is empty, because a line that
	// is really empty ends the block.
	blankLine = "(empty line)"
)

var (
	// typedPattern is an index if any, a type, and an expression for the value.
	typedPattern = regexp.MustCompile(`^(.*\((?:integer|double|error|big number)\)) /(.*)/$`)

	// freePattern is an index if any, and an expression for the rest of the line.
	freePattern = regexp.MustCompile(`^((?:\s*\d+[)#~] )*)~~(.*)$`)
)

// isPlaceholder reports whether an expected line stands for more than itself.
func isPlaceholder(want string) bool {
	return want == "..." || freePattern.MatchString(want) || typedPattern.MatchString(want)
}

// matchLine reports whether got is what the expected line allows.
func matchLine(want, got string) (bool, error) {
	if want == got {
		return true, nil
	}
	for _, form := range []*regexp.Regexp{freePattern, typedPattern} {
		m := form.FindStringSubmatch(want)
		if m == nil {
			continue
		}
		lead := m[1]
		if form == typedPattern {
			lead += " "
		}
		rest, ok := strings.CutPrefix(got, lead)
		if !ok {
			return false, nil
		}
		re, err := regexp.Compile(`^(?:` + m[2] + `)$`)
		if err != nil {
			return false, fmt.Errorf("expected line %q: %w", want, err)
		}
		return re.MatchString(rest), nil
	}
	return false, nil
}

// matchLines reports whether got is what the expected lines allow.
func matchLines(want, got []string) (bool, error) {
	for len(want) > 0 {
		if want[0] == "..." {
			for skip := 0; skip <= len(got); skip++ {
				ok, err := matchLines(want[1:], got[skip:])
				if ok || err != nil {
					return ok, err
				}
			}
			return false, nil
		}
		if len(got) == 0 {
			return false, nil
		}
		ok, err := matchLine(want[0], got[0])
		if !ok || err != nil {
			return false, err
		}
		want, got = want[1:], got[1:]
	}
	return len(got) == 0, nil
}

// merge returns the lines to write down for got, keeping the placeholders of want
// that still fit: all of want when it matches, line by line when the lengths agree.
func merge(want, got []string) []string {
	if ok, err := matchLines(want, got); ok && err == nil {
		return want
	}
	merged := append([]string(nil), got...)
	if len(want) != len(got) {
		return merged
	}
	for i := range got {
		if ok, err := matchLine(want[i], got[i]); ok && err == nil && isPlaceholder(want[i]) {
			merged[i] = want[i]
		}
	}
	return merged
}
