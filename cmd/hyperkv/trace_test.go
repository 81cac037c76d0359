package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// traced is a system call as strace tells it.
type traced struct {
	name  string
	files []string // what strace says of its descriptors: paths, or socket:[number]
	text  []string // the strings among its arguments
	// begin and end are the lines that tell of them. strace writes the one before the
	// kernel is asked, and the other before the thread goes on: so if the end of one call
	// makes another possible, it stands above the other's beginning.
	begin, end int
	result     int // -1 for an error, and for what has not ended
}

// readTrace reads what strace has written with -f and -y.
func readTrace(r io.Reader) (calls []*traced, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	underWay := map[string]*traced{} // by thread
	for number := 1; ; number++ {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return calls, nil
		}
		thread, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		rest = strings.TrimLeft(rest, " ")
		var c *traced
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(rest, "+++ "), strings.HasPrefix(rest, "--- "):
			continue
		case strings.HasPrefix(rest, "<... "):
			if c = underWay[thread]; c == nil {
				return nil, fmt.Errorf("line %d: what has not begun ends: %.100q", number, line)
			}
			delete(underWay, thread)
			_, rest, _ = strings.Cut(rest, " resumed>")
		default:
			c = &traced{begin: number, end: math.MaxInt, result: -1}
			c.name, rest, _ = strings.Cut(rest, "(")
			calls = append(calls, c)
		}
		ended, err := c.read(rest)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w: %.100q", number, err, line)
		case ended:
			c.end = number
		default:
			underWay[thread] = c
		}
	}
}

// read takes in arguments, and the result if it is there.
func (c *traced) read(p string) (ended bool, err error) {
	for i := 0; i < len(p); i++ {
		switch p[i] {
		case '"':
			text, length, err := unquote(p[i+1:])
			if err != nil {
				return false, err
			}
			i += length
			c.text = append(c.text, text)
		case '<':
			word, _, found := strings.Cut(p[i+1:], ">")
			if !found {
				return false, fmt.Errorf("no end of <%.20s", word)
			}
			if word == "unfinished ..." {
				return false, nil
			}
			c.files = append(c.files, word)
			i += len(word) + 1
		case ')':
			_, result, found := strings.Cut(p[i:], "= ")
			result, _, _ = strings.Cut(result, " ")
			if !found || result == "" {
				return false, fmt.Errorf("no result")
			}
			if c.result, err = strconv.Atoi(result); err != nil {
				c.result = -1 // "?": the process has ended meanwhile
			}
			return true, nil
		}
	}
	return false, fmt.Errorf("no end")
}

// unquote reads a string of C up to its closing quote, and says how long that was.
func unquote(p string) (text string, length int, err error) {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '"':
			return b.String(), i + 1, nil
		case p[i] != '\\' || i+1 == len(p):
			b.WriteByte(p[i])
			continue
		}
		i++
		if at := strings.IndexByte(`nrtvf"\`, p[i]); at >= 0 {
			b.WriteByte("\n\r\t\v\f\"\\"[at])
			continue
		}
		digits := i
		for i < len(p) && i < digits+3 && p[i] >= '0' && p[i] <= '7' {
			i++
		}
		value, err := strconv.ParseUint(p[digits:i], 8, 8)
		if err != nil {
			return "", 0, fmt.Errorf("\\%.3s in a string", p[digits:])
		}
		b.WriteByte(byte(value))
		i--
	}
	return "", 0, fmt.Errorf("no end of a string")
}

// sent is how much of its strings a call has handed over.
func (c *traced) sent() (string, error) {
	all := strings.Join(c.text, "")
	if n := max(c.result, 0); n <= len(all) {
		return all[:n], nil
	}
	return "", fmt.Errorf("line %d: strace has cut off what %s wrote", c.begin, c.name)
}
