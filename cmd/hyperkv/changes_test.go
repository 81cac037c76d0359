package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// A change is a line of testdata/changes.txt: a command, and what it counts as.
type change struct {
	line   int
	title  bool // of a section, whose command empties the server
	args   []string
	client string   // who sends it, and waits; "" is nobody in particular
	serves []string // whose waiting it ends
	ours   int
	redis  int // unknownToRedis for a command that Redis 7.0 does not have
}

const unknownToRedis = -1

func readChanges(t *testing.T, name string) (all []change) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		c := change{line: i + 1}
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "=="):
			c.title, c.args = true, []string{"FLUSHALL"}
		default:
			numbers, command, _ := strings.Cut(line, " ")
			c.parseNumbers(t, numbers)
			command, serves, _ := strings.Cut(command, " -> ")
			if client, rest, waits := strings.Cut(command, ": "); waits {
				c.client, command = client, rest
			}
			c.args, c.serves = strings.Split(command, " "), strings.Fields(serves)
		}
		all = append(all, c)
	}
	return all
}

func (c *change) parseNumbers(t *testing.T, text string) {
	t.Helper()
	ours, redis, differs := strings.Cut(text, "|")
	if !differs {
		redis = ours
	}
	var err error
	if c.ours, err = strconv.Atoi(ours); err != nil {
		t.Fatalf("line %d: %v", c.line, err)
	}
	if c.redis = unknownToRedis; redis != "-" {
		if c.redis, err = strconv.Atoi(redis); err != nil {
			t.Fatalf("line %d: %v", c.line, err)
		}
	}
}

// Commands add to rdb_changes_since_last_save what they add in Redis, on however many
// shards they run.
func TestChanges(t *testing.T) {
	all := readChanges(t, "testdata/changes.txt")
	judge := testkit.Redis(t)
	t.Run(judge.Name(), func(t *testing.T) {
		s := counted{t: t, target: judge, clients: map[string]testkit.Client{}}
		if !strings.Contains(s.info("server"), "redis_version:7.0.") {
			t.Skip("the numbers are those of Redis 7.0")
		}
		s.play(all, func(c *change) int { return c.redis })
	})
	for _, target := range testkit.Matrix(t, inProcess) {
		t.Run(target.Name(), func(t *testing.T) {
			s := counted{t: t, target: target, clients: map[string]testkit.Client{}}
			s.play(all, func(c *change) int { return c.ours })
		})
	}
}

// counted is a server whose changes are counted.
type counted struct {
	t       *testing.T
	target  testkit.Target
	clients map[string]testkit.Client
	changes int    // so far
	waiting int    // clients
	dump    string // what the last DUMP answered
}

// play runs commands, and compares what the server counts for each with what want says.
func (s *counted) play(all []change, want func(c *change) int) {
	for i := range all {
		c := &all[i]
		n := want(c)
		if n == unknownToRedis {
			continue
		}
		s.run(c)
		if c.title {
			s.changes = s.number("persistence", "rdb_changes_since_last_save")
			continue
		}
		now := s.settled("persistence", "rdb_changes_since_last_save", s.changes+n)
		if now != s.changes+n {
			s.t.Errorf("line %d: %q counts as %d, want %d", c.line, c.args, now-s.changes, n)
		}
		s.changes = now
	}
}

// run runs a command, and waits until it is over or its client waits.
func (s *counted) run(c *change) {
	args := slices.Clone(c.args)
	if i := slices.Index(args, "$"); i >= 0 && args[0] == "RESTORE" {
		args[i] = s.dump
	}
	client := s.client(c.client)
	if err := client.Send(args...); err != nil {
		s.t.Fatalf("line %d: %q: %v", c.line, c.args, err)
	}
	if c.client != "" {
		s.waiting++
		if n := s.settled("clients", "blocked_clients", s.waiting); n != s.waiting {
			s.t.Fatalf("line %d: %q: %d clients wait, want %d", c.line, c.args, n, s.waiting)
		}
		return
	}
	v, err := client.Receive(patience)
	if err != nil {
		s.t.Fatalf("line %d: %q: %v", c.line, c.args, err)
	}
	if args[0] == "DUMP" {
		s.dump = v.Text()
	}
	for _, name := range c.serves {
		if _, err := s.client(name).Receive(patience); err != nil {
			s.t.Fatalf("line %d: %q: client %s: %v", c.line, c.args, name, err)
		}
		s.waiting--
	}
}

const patience = 10 * time.Second

func (s *counted) client(name string) testkit.Client {
	c := s.clients[name]
	if c == nil {
		c = s.target.Dial(s.t)
		s.t.Cleanup(func() { c.Close() })
		s.clients[name] = c
	}
	return c
}

// info is a section of INFO, asked by a client of its own, as MULTI would queue it.
func (s *counted) info(section string) string {
	v, err := s.client("info").Do("INFO", section)
	if err != nil {
		s.t.Fatal(err)
	}
	return v.Text()
}

func (s *counted) number(section, field string) int {
	_, rest, _ := strings.Cut(s.info(section), field+":")
	text, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("%s: %v", field, err)
	}
	return n
}

// settled is number, once it is what it should be, or does not become that.
func (s *counted) settled(section, field string, want int) (n int) {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		if n = s.number(section, field); n == want || time.Now().After(deadline) {
			return n
		}
	}
}
