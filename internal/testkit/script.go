package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A script is a story in blocks. A block is a few lines that act, a line "----",
// and what the clients saw, as redis-cli shows it; a blank line ends it.
//
//	# A comment. These keys have no time to live.
//	client=a
//	SET key "a\x00b"
//	TTL key
//	----
//	OK
//	(integer) -1
//
// Lines that act, in the order in which they stand:
//
//	client=NAME   go on as this client; it connects when first named
//	proto=3       HELLO 3 for this client and for those that connect later
//	db=5          SELECT 5 for this client
//	sleep=50ms    let time pass
//	order=any     this block's replies are shown with their elements sorted
//	anything else is a command, quoted as redis-cli quotes
//
// A block without commands shows what has arrived since for a client that waited.
// What is expected may hold, besides replies and in place of lines that differ from
// run to run:
//
//	(waiting)           the client has no reply yet, because it blocks
//	(closed)            the server ended the session; the next command reconnects
//	(empty line)        an empty line within a reply
//	(integer) /\d+/     the type is known, the value matches the expression
//	~~expression        the whole line matches; also after an index: 1) ~~"\d+"
//	...                 any number of lines
//
// Comments of two forms are marks, and hold for the block they stand in:
//
//	# differs: REASON   Redis answers otherwise, on purpose; the judge runs the
//	                    block, and nobody compares its answer. See Differences.
//	# redis: >=7.4      an older judge does not know this; it skips the block.
//
// The form stays close to cockroachdb/datadriven's, which could not be used: there
// the first line of a block is a directive of bare words and key=value pairs, while
// here it may be a command of arbitrary quoted bytes, and there a block has one
// output, while here each client's output has its time.
type script struct {
	file   string
	lines  []string // the whole file; -update rewrites parts of it
	blocks []block
}

// A block is one act of a script and what it must show.
type block struct {
	line     int // number of its first line, from 1
	steps    []step
	want     []string
	wantFrom int // index into script.lines of the first expected line
	order    bool
	differs  string
	since    version // of Redis; zero means always
}

// A step is one line that acts.
type step struct {
	line int
	text string
	kind stepKind
	arg  string        // client name
	n    int           // protocol, database
	wait time.Duration // sleep
	args []string      // command
}

type stepKind int

const (
	stepCommand stepKind = iota
	stepClient
	stepProto
	stepDB
	stepSleep
)

const separator = "----"

func readScript(file string) (*script, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseScript(file, string(text))
}

func parseScript(file, text string) (*script, error) {
	s := &script{file: file, lines: strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	b, inWant := block{}, false
	finish := func() error {
		switch {
		case inWant:
			s.blocks = append(s.blocks, b)
		case len(b.steps) > 0:
			return fmt.Errorf("%s:%d: block without %q", file, b.line, separator)
		}
		b, inWant = block{}, false
		return nil
	}
	for i, line := range s.lines {
		number := i + 1
		switch {
		case strings.TrimSpace(line) == "":
			if err := finish(); err != nil {
				return nil, err
			}
		case inWant:
			b.want = append(b.want, line)
		case line == separator:
			if b.line == 0 {
				b.line = number
			}
			inWant, b.wantFrom = true, i+1
		case strings.HasPrefix(line, "#"):
			if err := b.mark(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, number, err)
			}
		default:
			if b.line == 0 {
				b.line = number
			}
			if err := b.act(number, line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, number, err)
			}
		}
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if len(s.blocks) == 0 {
		return nil, fmt.Errorf("%s: no blocks", file)
	}
	return s, nil
}

// mark reads the comments that mean something to the runner.
func (b *block) mark(line string) error {
	comment := strings.TrimSpace(strings.TrimPrefix(line, "#"))
	if reason, ok := strings.CutPrefix(comment, "differs:"); ok {
		b.differs = strings.TrimSpace(reason)
		if b.differs == "" {
			return fmt.Errorf("differs: without a reason")
		}
	}
	if since, ok := strings.CutPrefix(comment, "redis:"); ok {
		since, ok = strings.CutPrefix(strings.TrimSpace(since), ">=")
		v, err := parseVersion(strings.TrimSpace(since))
		if !ok || err != nil {
			return fmt.Errorf("want # redis: >=MAJOR.MINOR, have %q", line)
		}
		b.since = v
	}
	return nil
}

// act reads one line that acts.
func (b *block) act(number int, line string) error {
	st := step{line: number, text: line}
	name, value, _ := strings.Cut(line, "=")
	var err error
	switch name {
	case "client":
		st.kind, st.arg = stepClient, value
	case "proto":
		st.kind = stepProto
		st.n, err = strconv.Atoi(value)
	case "db":
		st.kind = stepDB
		st.n, err = strconv.Atoi(value)
	case "sleep":
		st.kind = stepSleep
		st.wait, err = time.ParseDuration(value)
	case "order":
		if value != "any" {
			return fmt.Errorf("want order=any, have %q", line)
		}
		b.order = true
		return nil
	default:
		st.args, err = Split(line)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	b.steps = append(b.steps, st)
	return nil
}

// A Difference is one place where HyperKV answers otherwise than Redis.
type Difference struct {
	File     string
	Line     int
	Commands []string
	Reason   string
}

// Differences lists the blocks of the matching scripts that are marked as
// differing from Redis. docs/compatibility.md is checked against it.
func Differences(globs ...string) ([]Difference, error) {
	var all []Difference
	for _, glob := range globs {
		files, err := filepath.Glob(glob)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			s, err := readScript(file)
			if err != nil {
				return nil, err
			}
			for _, b := range s.blocks {
				if b.differs == "" {
					continue
				}
				d := Difference{File: file, Line: b.line, Reason: b.differs}
				for _, st := range b.steps {
					if st.kind == stepCommand {
						d.Commands = append(d.Commands, st.text)
					}
				}
				all = append(all, d)
			}
		}
	}
	return all, nil
}

// A version is a release of Redis: major, minor.
type version [2]int

func parseVersion(s string) (version, error) {
	parts := strings.SplitN(s, ".", 3)
	var v version
	for i := 0; i < len(v) && i < len(parts); i++ {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return v, fmt.Errorf("version %q: %w", s, err)
		}
		v[i] = n
	}
	return v, nil
}

func (v version) before(w version) bool {
	return v[0] < w[0] || v[0] == w[0] && v[1] < w[1]
}
