package testkit

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/resp"
)

var update = flag.Bool("update", false, "rewrite what transcripts expect from the reference redis-server")

const (
	// replyPatience bounds the wait for a reply that the script expects.
	replyPatience = 5 * time.Second

	// waitingPatience is how long a client must be silent to count as waiting.
	waitingPatience = 60 * time.Millisecond

	// updatePatience is the same where nobody has said yet what to expect.
	updatePatience = 300 * time.Millisecond

	// straggleFor is how long a block that is complete looks for replies too many.
	straggleFor = time.Millisecond

	// mismatchesMax ends a script whose state no longer means anything.
	mismatchesMax = 5
)

// RunTranscripts plays every script that matches the glob on every target, as
// subtests named target/script. Each script starts with an empty dataset and with
// fresh clients. With -update it first rewrites the scripts' expectations from the
// judge among the targets; see Redis.
func RunTranscripts(t *testing.T, glob string, targets ...Target) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no script matches %s", glob)
	}
	if *update {
		updateScripts(t, files, targets)
	}
	for _, target := range targets {
		t.Run(target.Name(), func(t *testing.T) {
			for _, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
					s, err := readScript(file)
					if err != nil {
						t.Fatal(err)
					}
					for _, mismatch := range play(t, s, target) {
						t.Error(mismatch)
					}
				})
			}
		})
	}
}

func updateScripts(t *testing.T, files []string, targets []Target) {
	for _, target := range targets {
		if _, ok := judgeVersion(target); !ok {
			continue
		}
		for _, file := range files {
			s, err := readScript(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(learn(t, s, target)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Fatal("-update needs a redis-server among the targets")
}

// A player plays one script on one target.
type player struct {
	t       *testing.T
	target  Target
	update  bool
	clients map[string]*actor
	current string
	proto   int // of clients that connect from now on; 0 says nothing
	got     []string
	b       *block
}

// An actor is one client of a script.
type actor struct {
	Client
	due int // replies that have not come yet
}

func newPlayer(t *testing.T, target Target, update bool) *player {
	t.Helper()
	p := &player{t: t, target: target, update: update, clients: map[string]*actor{}}
	t.Cleanup(p.close)
	p.flush()
	return p
}

func (p *player) close() {
	for _, a := range p.clients {
		a.Close()
	}
}

// play plays a script and returns what was not as expected.
func play(t *testing.T, s *script, target Target) (mismatches []string) {
	t.Helper()
	p := newPlayer(t, target, false)
	judge, isJudge := judgeVersion(target)
	for i := range s.blocks {
		b := &s.blocks[i]
		if isJudge && judge.before(b.since) {
			continue
		}
		p.play(b)
		if isJudge && b.differs != "" {
			continue
		}
		ok, err := matchLines(b.want, p.got)
		if err != nil {
			t.Fatalf("%s:%d: %v", s.file, b.line, err)
		}
		if ok {
			continue
		}
		mismatches = append(mismatches, fmt.Sprintf("%s:%d: on %s\n%s\nwant:\n%s\ngot:\n%s", s.file, b.line,
			target.Name(), indent(b.commands()), indent(b.want), indent(p.got)))
		if len(mismatches) == mismatchesMax {
			return append(mismatches, "too many mismatches, the rest means nothing")
		}
	}
	return mismatches
}

// learn plays a script on the judge and returns its text with what was seen as
// what is expected.
func learn(t *testing.T, s *script, judge Target) string {
	t.Helper()
	p := newPlayer(t, judge, true)
	known, _ := judgeVersion(judge)
	lines := append([]string(nil), s.lines...)
	shift := 0 // lines that earlier blocks have grown by
	for i := range s.blocks {
		b := &s.blocks[i]
		if known.before(b.since) {
			continue
		}
		p.play(b)
		if b.differs != "" {
			continue
		}
		fresh := merge(b.want, p.got)
		at := b.wantFrom + shift
		lines = slices.Replace(lines, at, at+len(b.want), fresh...)
		shift += len(fresh) - len(b.want)
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b *block) commands() []string {
	var lines []string
	for _, st := range b.steps {
		lines = append(lines, st.text)
	}
	return lines
}

func indent(lines []string) string {
	return "\t" + strings.Join(lines, "\n\t")
}

// flush empties the dataset before a script.
func (p *player) flush() {
	p.t.Helper()
	c := p.target.Dial(p.t)
	defer c.Close()
	v, err := c.Do("FLUSHALL")
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		p.t.Fatalf("FLUSHALL on %s: %v", p.target.Name(), err)
	}
}

// play plays one block and leaves what the clients saw in p.got.
func (p *player) play(b *block) {
	p.t.Helper()
	p.b, p.got = b, nil
	burst := isBurst(p.target)
	for i, st := range b.steps {
		switch st.kind {
		case stepClient:
			p.current = st.arg
			p.actor()
		case stepProto:
			p.proto = st.n
			p.silently("HELLO", strconv.Itoa(st.n))
		case stepDB:
			p.silently("SELECT", strconv.Itoa(st.n))
		case stepSleep:
			time.Sleep(st.wait)
		case stepCommand:
			a := p.actor()
			if err := a.Send(st.args...); err != nil && !isClosed(err) {
				p.t.Fatalf("line %d: %v", st.line, err)
			}
			a.due++
			more := i+1 < len(b.steps) && b.steps[i+1].kind == stepCommand
			if !burst || !more {
				p.collect()
			}
		}
	}
	// A block that ends by naming a client, or by letting time pass, looks at what
	// came for a client that waited.
	if len(b.steps) == 0 || b.steps[len(b.steps)-1].kind != stepCommand {
		p.collect()
	}
	p.collectMore()
}

// actor returns the current client, connected.
func (p *player) actor() *actor {
	p.t.Helper()
	if a := p.clients[p.current]; a != nil {
		return a
	}
	a := &actor{Client: p.target.Dial(p.t)}
	p.clients[p.current] = a
	if p.proto != 0 {
		p.silently("HELLO", strconv.Itoa(p.proto))
	}
	return a
}

// silently runs a command that is part of the scenery, not of the story.
func (p *player) silently(args ...string) {
	p.t.Helper()
	a := p.actor()
	if a.due > 0 {
		p.t.Fatalf("%s as client %q, which waits for a reply", Quote(args...), p.current)
	}
	v, err := a.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		p.t.Fatalf("%s: %v", Quote(args...), err)
	}
}

// collect takes the replies that the current client is due, and notes that it
// waits when they do not come.
func (p *player) collect() {
	p.t.Helper()
	a := p.clients[p.current]
	if a == nil {
		return
	}
	for a.due > 0 {
		reply, ok := p.receive(a, p.patience())
		if a.due == 0 {
			return // the connection was closed
		}
		if !ok {
			for range a.due {
				p.got = append(p.got, waitingLine)
			}
			return
		}
		if reply {
			a.due--
		}
	}
}

// collectMore takes what arrives without having been asked for, as long as the
// script expects more lines, and then looks once for what it does not expect.
func (p *player) collectMore() {
	p.t.Helper()
	a := p.clients[p.current]
	if a == nil || a.due > 0 {
		return
	}
	for !p.update && len(p.got) < len(p.b.want) && !p.wantsAnyLines() {
		if _, ok := p.receive(a, replyPatience); !ok {
			return
		}
	}
	patience := straggleFor
	if p.update {
		patience = waitingPatience
	}
	for p.clients[p.current] == a {
		if _, ok := p.receive(a, patience); !ok {
			return
		}
	}
}

// receive notes the next thing that the client sees. It reports whether that was
// the reply to a command, and whether there was anything.
func (p *player) receive(a *actor, patience time.Duration) (reply, ok bool) {
	p.t.Helper()
	v, err := a.Receive(patience)
	switch {
	case err == nil:
		p.note(v)
		return answersCommand(v), true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, false
	case isClosed(err):
		// The next command of this client connects anew, as redis-cli does.
		p.got = append(p.got, closedLine)
		a.due = 0
		a.Close()
		delete(p.clients, p.current)
		return true, false
	default:
		p.t.Fatalf("client %q on %s: %v", p.current, p.target.Name(), err)
		return false, false
	}
}

func (p *player) note(v resp.Value) {
	if p.b.order {
		v = sorted(v)
	}
	for _, line := range strings.Split(strings.TrimSuffix(v.String(), "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r") // inside a verbatim string
		if strings.TrimSpace(line) == "" {
			line = blankLine
		}
		p.got = append(p.got, line)
	}
}

// patience is how long the next reply may take before the client counts as
// waiting: short where the script says that it will wait.
func (p *player) patience() time.Duration {
	switch {
	case p.wantsAnyLines():
		return replyPatience
	case len(p.got) < len(p.b.want) && p.b.want[len(p.got)] == waitingLine:
		return waitingPatience
	case p.update:
		return updatePatience
	default:
		return replyPatience
	}
}

func (p *player) wantsAnyLines() bool {
	for _, line := range p.b.want {
		if line == "..." {
			return true
		}
	}
	return false
}

// isClosed reports whether an error says that the server ended the connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err)
}
