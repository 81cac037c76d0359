package difftest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

const (
	// replyPatience bounds the wait for one reply. A server that needs longer for
	// one of these commands has a bug of another kind.
	replyPatience = 5 * time.Second

	// drainPatience bounds the wait for a reply that nobody looks at.
	drainPatience = 100 * time.Millisecond

	// scanRoundsMax bounds following a SCAN; no episode has that many keys.
	scanRoundsMax = 10_000
)

// An Endpoint is where a server listens.
type Endpoint struct{ Network, Addr string }

func (e Endpoint) dial() (*testkit.Conn, error) { return testkit.Dial(e.Network, e.Addr) }

// A pair plays one episode on both servers. Owned by one goroutine.
type pair struct {
	book  rulebook
	dbs   int
	sides [2]side // HyperKV, Redis
	conns [connections]session
	// sorted are the keys that SORT was about: Redis never packs a sorted set again that it
	// has sorted.
	sorted map[string]bool

	replies []string // with record: what Redis answered to each step
	record  bool
	stats   *Report
}

// A side is one of the two servers, and a connection of our own to it.
type side struct {
	name  string
	conns [connections]*testkit.Conn
	own   *testkit.Conn
}

const (
	hyperkv = 0
	redis   = 1
)

// A session is what the executor knows about a connection, going by what Redis
// answered.
type session struct {
	queued [][]string    // commands of an open transaction
	fuse   time.Duration // the longest of those
}

// A mismatch is a place where the servers disagree.
type mismatch struct {
	step    int
	command string // what disagreed, for telling divergences apart
	got     [2]string
}

// connect opens fresh connections to empty servers.
func connect(cfg *Config, book rulebook, stats *Report) (*pair, error) {
	p := &pair{book: book, dbs: databases, stats: stats}
	for i, e := range []Endpoint{cfg.HyperKV, cfg.Redis} {
		s := &p.sides[i]
		s.name = []string{"HyperKV", "Redis"}[i]
		var err error
		if s.own, err = e.dial(); err != nil {
			p.close()
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		for c := range s.conns {
			if s.conns[c], err = e.dial(); err != nil {
				p.close()
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		v, err := s.own.Do("FLUSHALL")
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			p.close()
			return nil, fmt.Errorf("FLUSHALL on %s: %w", s.name, err)
		}
	}
	return p, nil
}

func (p *pair) close() {
	for i := range p.sides {
		if s := &p.sides[i]; s.own != nil {
			s.own.Close()
		}
		for _, c := range p.sides[i].conns {
			if c != nil {
				c.Close()
			}
		}
	}
}

// play plays the steps, and compares the datasets after every datasetEvery steps
// and at the end. It returns the first disagreement.
func (p *pair) play(steps []Step, depth, datasetEvery int) (*mismatch, error) {
	last := 0
	p.sorted = map[string]bool{}
	for i := 0; i < len(steps); {
		n := burstLen(steps[i:], depth)
		m, err := p.burst(steps, i, i+n)
		if m != nil || err != nil {
			return m, err
		}
		i += n
		if i-last >= datasetEvery || i == len(steps) {
			last = i
			m, err := p.compareDatasets()
			if m != nil {
				m.step = i - 1
			}
			if m != nil || err != nil {
				return m, err
			}
		}
	}
	return nil, nil
}

// burstLen says how many of the next steps may be sent together: those of one
// connection up to one after which something is to be done.
func burstLen(steps []Step, depth int) int {
	n := 1
	for ; n < len(steps) && n < depth; n++ {
		before, next := steps[n-1], steps[n]
		if next.Conn != before.Conn || before.Fuse > 0 {
			break
		}
		// EXEC may light a fuse, SCAN is followed, DBSIZE wants a sweep before it.
		switch strings.ToUpper(before.Args[0]) {
		case "EXEC", "SCAN", "HSCAN", "SSCAN", "ZSCAN":
			return n
		}
		if strings.EqualFold(next.Args[0], "DBSIZE") {
			break
		}
	}
	return n
}

// burst sends steps[from:to], which belong to one connection, and compares what
// comes back.
func (p *pair) burst(steps []Step, from, to int) (*mismatch, error) {
	conn := steps[from].Conn
	if p.book.rule(steps[from].Args).Mode == Swept {
		if m, err := p.sweep(); m != nil || err != nil {
			if m != nil {
				m.step = from
			}
			return m, err
		}
	}
	var wire []byte
	for _, st := range steps[from:to] {
		if len(st.Args) > 1 && strings.EqualFold(st.Args[0], "SORT") {
			p.sorted[st.Args[1]] = true
		}
		wire = resp.AppendCommandString(wire, st.Args...)
	}
	for i := range p.sides {
		// An error shows again, and better, when the reply is missing.
		_ = p.sides[i].conns[conn].Write(wire)
	}
	for i := from; i < to; i++ {
		m, err := p.reply(conn, &steps[i])
		if m != nil {
			m.step = i
			p.drain(conn, to-i-1)
		}
		if m != nil || err != nil {
			return m, err
		}
	}
	return nil, nil
}

// drain waits for what is left of a burst, so that none of it runs when the next
// episode has begun.
func (p *pair) drain(conn, replies int) {
	for i := range p.sides {
		for range replies {
			if _, _, err := p.sides[i].conns[conn].Frame(drainPatience); err != nil {
				break
			}
		}
	}
}

// reply takes the replies to one step.
func (p *pair) reply(conn int, st *Step) (*mismatch, error) {
	var values [2]resp.Value
	var frames [2][]byte
	var failed [2]error
	for i := range p.sides {
		values[i], frames[i], failed[i] = p.sides[i].conns[conn].Frame(replyPatience)
	}
	if err := failed[redis]; err != nil && failed[hyperkv] == nil {
		return nil, fmt.Errorf("the reference server: %s: %w", testkit.Quote(st.Args...), err)
	}
	s := &p.conns[conn]
	agree := failed[hyperkv] == nil && failed[redis] == nil
	if agree {
		p.stats.Commands++
		if values[redis].Err() != nil {
			p.stats.Errors++
		}
		agree = bytes.Equal(frames[hyperkv], frames[redis]) || p.agree(s, st.Args, values)
	}
	if p.record {
		p.replies = append(p.replies, render(values[redis], failed[redis]))
	}
	if !agree {
		return &mismatch{
			command: strings.ToUpper(st.Args[0]),
			got:     [2]string{render(values[hyperkv], failed[hyperkv]), render(values[redis], failed[redis])},
		}, nil
	}
	if fuse := s.follow(st, values[redis]); fuse > 0 {
		time.Sleep(fuse)
	}
	if p.book.rule(st.Args).Mode == Cursor && isScanReply(values[redis]) && !newer(st.Args, values[hyperkv], values[redis]) {
		return p.scan(conn, st, values)
	}
	return nil, nil
}

// agree compares replies by the rules; those in the reply of EXEC by the rules of
// the commands that were queued.
func (p *pair) agree(s *session, args []string, values [2]resp.Value) bool {
	a, b := values[hyperkv], values[redis]
	if !strings.EqualFold(args[0], "EXEC") || len(b.Elems) != len(s.queued) || !sameHead(a, b) {
		return newer(args, a, b) || p.book.rule(args).agree(a, b)
	}
	for i, queued := range s.queued {
		rule := p.book.rule(queued)
		if rule.Mode == Swept { // nobody can sweep within a transaction
			rule.Mode = Shape
		}
		if !newer(queued, a.Elems[i], b.Elems[i]) && !rule.agree(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}

// follow keeps the session up to date and returns how long to wait for deadlines
// that the step has set.
func (s *session) follow(st *Step, reply resp.Value) time.Duration {
	if reply.Kind == resp.KindSimple && string(reply.Str) == "QUEUED" {
		s.queued = append(s.queued, st.Args)
		s.fuse = max(s.fuse, st.Fuse)
		return 0
	}
	fuse := st.Fuse
	switch strings.ToUpper(st.Args[0]) {
	case "EXEC":
		fuse = s.fuse
		*s = session{}
	case "DISCARD", "RESET":
		*s = session{}
	}
	return fuse
}

// scan follows a SCAN to its end on both servers and compares what was seen.
func (p *pair) scan(conn int, st *Step, first [2]resp.Value) (*mismatch, error) {
	var seen [2][]string
	place := cursorPlace(st.Args)
	for i := range p.sides {
		v := first[i]
		for round := 0; ; round++ {
			for _, key := range v.Elems[1].Elems {
				if strings.EqualFold(st.Args[0], "ZSCAN") {
					shortenScore(&key)
				}
				seen[i] = append(seen[i], testkit.Quote(key.Text()))
			}
			cursor := v.Elems[0].Text()
			if cursor == "0" {
				break
			}
			args := slices.Clone(st.Args)
			args[place] = cursor
			var err error
			v, err = p.sides[i].conns[conn].Do(args...)
			if err == nil && round == scanRoundsMax {
				err = errors.New("does not come to an end")
			}
			if err != nil || !isScanReply(v) {
				got := [2]string{render(v, err), "a cursor and keys"}
				if i == redis {
					return nil, fmt.Errorf("the reference server: %s: %s", testkit.Quote(args...), got[0])
				}
				return &mismatch{command: "SCAN", got: got}, nil
			}
		}
		slices.Sort(seen[i])
		seen[i] = slices.Compact(seen[i])
	}
	// A scan that began in the middle promises nothing about what it sees.
	if st.Args[place] == "0" && !slices.Equal(seen[hyperkv], seen[redis]) {
		return &mismatch{command: "SCAN", got: [2]string{
			"in all: " + strings.Join(seen[hyperkv], " "), "in all: " + strings.Join(seen[redis], " "),
		}}, nil
	}
	return nil, nil
}

// cursorPlace is where the cursor of a command stands: behind the key, if it has one.
func cursorPlace(args []string) int {
	if strings.EqualFold(args[0], "SCAN") {
		return 1
	}
	return 2
}

// sweep makes both servers meet every key, so that they forget the expired ones.
func (p *pair) sweep() (*mismatch, error) {
	var wire []byte
	for db := range p.dbs {
		wire = resp.AppendCommandString(wire, "SELECT", fmt.Sprint(db))
		wire = resp.AppendCommandString(wire, append([]string{"EXISTS"}, keys...)...)
	}
	for i := range p.sides {
		if _, err := exchange(p.sides[i].own, wire, 2*p.dbs); err != nil {
			return p.unreadable(i, "sweep", err)
		}
	}
	return nil, nil
}

// exchange sends commands and takes n replies, which it copies. None may be an error.
func exchange(c *testkit.Conn, wire []byte, n int) ([]resp.Value, error) {
	if err := c.Write(wire); err != nil {
		return nil, err
	}
	values := make([]resp.Value, 0, n)
	for range n {
		_, frame, err := c.Frame(replyPatience)
		if err != nil {
			return nil, err
		}
		v, _, err := resp.ReadValue(bytes.Clone(frame))
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func render(v resp.Value, err error) string {
	switch {
	case err == nil && v.Kind == resp.KindSimple:
		return "+" + testkit.Quote(v.Text()) // a status is no string
	case err == nil:
		return v.String()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "(waiting)"
	case errors.Is(err, io.EOF):
		return "(closed)"
	default:
		return "(" + err.Error() + ")"
	}
}
