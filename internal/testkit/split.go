package testkit

import (
	"errors"
	"strconv"
)

var (
	errUnbalanced = errors.New("unbalanced quotes")
	errGlued      = errors.New("a closing quote must be followed by a space")
)

// Split cuts a command line into arguments as redis-cli does: double quotes with
// \n \r \t \a \b \xHH and \<any>, single quotes with \' only, anything else up to
// the next white space.
func Split(line string) ([]string, error) {
	var args []string
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) {
			return args, nil
		}
		arg, next, err := splitOne(line, i)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
		i = next
	}
}

// splitOne reads the argument that starts at i and returns where it ends.
func splitOne(line string, i int) (string, int, error) {
	var arg []byte
	for i < len(line) && !endsWord(line[i]) {
		quote := line[i]
		if quote != '"' && quote != '\'' {
			arg = append(arg, quote)
			i++
			continue
		}
		i++
		for {
			if i >= len(line) {
				return "", 0, errUnbalanced
			}
			if line[i] == quote {
				break
			}
			if line[i] != '\\' || i+1 >= len(line) {
				arg = append(arg, line[i])
				i++
				continue
			}
			b, n := unescape(line[i:], quote)
			arg = append(arg, b)
			i += n
		}
		i++
		if i < len(line) && !isSpace(line[i]) {
			return "", 0, errGlued
		}
		break
	}
	return string(arg), i, nil
}

// unescape reads what a backslash starts, and returns its byte and its length.
func unescape(s string, quote byte) (b byte, n int) {
	if quote == '\'' {
		if s[1] == '\'' {
			return '\'', 2
		}
		return '\\', 1
	}
	switch s[1] {
	case 'x':
		if len(s) >= 4 {
			if v, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
				return byte(v), 4
			}
		}
		return 'x', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'a':
		return '\a', 2
	case 'b':
		return '\b', 2
	default:
		return s[1], 2
	}
}

// isSpace is what may stand between words, which is a little more than what ends
// a plain one.
func isSpace(b byte) bool { return endsWord(b) || b == '\v' || b == '\f' }

func endsWord(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// Quote writes arguments as a line that Split reads back: plain where that is
// unambiguous, otherwise in double quotes with redis-cli's escapes.
func Quote(args ...string) string {
	var line []byte
	for i, arg := range args {
		if i > 0 {
			line = append(line, ' ')
		}
		line = appendQuoted(line, arg)
	}
	return string(line)
}

func appendQuoted(line []byte, arg string) []byte {
	plain := arg != ""
	for i := 0; i < len(arg) && plain; i++ {
		b := arg[i]
		plain = b > ' ' && b < 0x7f && b != '"' && b != '\'' && b != '\\'
	}
	if plain {
		return append(line, arg...)
	}
	const hex = "0123456789abcdef"
	line = append(line, '"')
	for i := 0; i < len(arg); i++ {
		switch b := arg[i]; {
		case b == '"' || b == '\\':
			line = append(line, '\\', b)
		case b == '\n':
			line = append(line, `\n`...)
		case b == '\r':
			line = append(line, `\r`...)
		case b == '\t':
			line = append(line, `\t`...)
		case b < ' ' || b >= 0x7f:
			line = append(line, '\\', 'x', hex[b>>4], hex[b&15])
		default:
			line = append(line, b)
		}
	}
	return append(line, '"')
}
