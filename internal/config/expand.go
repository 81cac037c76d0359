package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces ${VAR} and ${VAR:-default}. A default is used when the
// variable is unset or empty, as in a shell; without one an unset variable is a
// mistake. $${ stands for ${ itself.
func expand(text string, lookup func(string) (string, bool)) (string, error) {
	var out strings.Builder
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		inside, rest, closed := strings.Cut(text[at+2:], "}")
		if !closed {
			return "", errors.New("${ without a closing } (write $${ for the characters themselves)")
		}
		name, fallback, hasFallback := strings.Cut(inside, ":-")
		if !isVariable(name) {
			return "", fmt.Errorf("%q is not the name of a variable", name)
		}
		value, ok := lookup(name)
		switch {
		case hasFallback && value == "":
			value = fallback
		case !ok && !hasFallback:
			return "", fmt.Errorf("the variable %s is not set (${%s:-value} gives a default)", name, name)
		}
		out.WriteString(value)
		text = rest
	}
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		if !(c >= 'a' && c <= 'z' || name[i] == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != ""
}

// environment looks variables up in a list such as os.Environ gives.
func environment(list []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := len(list) - 1; i >= 0; i-- {
			if k, v, ok := strings.Cut(list[i], "="); ok && k == name {
				return v, true
			}
		}
		return "", false
	}
}
