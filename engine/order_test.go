package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/resp"
)

// model answers the toys for one client, one command after the other: however the
// engine groups, posts and merges, the client must not be able to tell.
type model struct {
	dbs    [2]map[string]string
	db     int
	w      resp.Writer
	off    bool
	skip   bool
	queue  [][]string // nil outside MULTI
	multi  bool
	failed bool
}

func newModel() *model {
	return &model{dbs: [2]map[string]string{{}, {}}, w: resp.Writer{Proto: 2}}
}

func (m *model) bulk(key string) {
	if value, ok := m.dbs[m.db][key]; ok {
		m.w.BulkString(value)
	} else {
		m.w.Null()
	}
}

// do runs a command and appends what the client reads.
func (m *model) do(args []string) {
	mark := len(m.w.Buf)
	muted := m.off || m.skip
	m.skip = false
	if m.multi && args[0] != "EXEC" && args[0] != "DISCARD" && args[0] != "MULTI" {
		if args[0] == "NOSUCH" {
			m.failed = true
			m.run(args)
		} else {
			m.queue = append(m.queue, args)
			m.w.Simple("QUEUED")
		}
	} else if m.run(args); args[0] == "REPLY" {
		muted = muted && args[1] != "on"
	}
	if muted {
		m.w.Buf = m.w.Buf[:mark]
	}
}

func (m *model) run(args []string) {
	db := m.dbs[m.db]
	switch args[0] {
	case "GET", "LGET":
		m.bulk(args[1])
	case "AT":
		m.bulk(args[1])
	case "BOX":
		m.bulk(args[2])
	case "SET":
		db[args[1]] = args[2]
		m.w.OK()
	case "FAIL":
		m.w.Error(resp.ErrWrongType)
	case "ALLFAIL":
		m.w.Error(resp.Error("TOY all parts fail"))
	case "MGET", "COUNTED":
		keys := args[1:]
		if args[0] == "COUNTED" {
			keys = args[2:]
		}
		m.w.Array(len(keys))
		for _, key := range keys {
			m.bulk(key)
		}
	case "MSET":
		for i := 1; i < len(args); i += 2 {
			db[args[i]] = args[i+1]
		}
		m.w.OK()
	case "DEL":
		n := len(db)
		for _, key := range args[1:] {
			delete(db, key)
		}
		m.w.Int(int64(n - len(db)))
	case "RENAME":
		value, ok := db[args[1]]
		if !ok {
			m.w.Error(resp.Error("ERR no such key"))
			return
		}
		delete(db, args[1])
		db[args[2]] = value
		m.w.OK()
	case "DBSIZE":
		m.w.Int(int64(len(db)))
	case "HAS":
		if _, ok := db[args[1]]; ok {
			m.w.BulkStrings(args[1])
		} else {
			m.w.Array(0)
		}
	case "FLUSHDB":
		clear(db)
		m.w.OK()
	case "SWAPDB":
		m.dbs[0], m.dbs[1] = m.dbs[1], m.dbs[0]
		m.w.OK()
	case "SELECT":
		m.db, _ = strconv.Atoi(args[1])
		m.w.OK()
	case "HELLO":
		m.w.Proto, _ = strconv.Atoi(args[1])
		m.w.Null()
	case "ECHO", "HERE":
		m.w.BulkString(args[1])
	case "HEREFAIL":
		m.w.Error(resp.Error("TOY failed here"))
	case "WAIT":
		m.w.Int(0)
	case "WATCH", "UNWATCH":
		m.w.OK()
	case "NOSUCH":
		m.w.Error(resp.UnknownCommand([]byte(args[0]), [][]byte{[]byte(args[1])}))
	case "REPLY":
		switch args[1] {
		case "on":
			m.off = false
			m.w.OK()
		case "off":
			m.off = true
		case "skip":
			m.skip = !m.off
		}
	case "MULTI":
		if m.multi {
			m.w.Error(resp.ErrMultiNested)
			m.failed = true
			return
		}
		m.multi, m.failed, m.queue = true, false, nil
		m.w.OK()
	case "DISCARD":
		m.multi = false
		m.w.OK()
	case "EXEC":
		m.multi = false
		if m.failed {
			m.w.Error(resp.ErrExecAbort)
			return
		}
		m.w.Array(len(m.queue))
		for _, queued := range m.queue {
			m.run(queued)
		}
	}
}

// traffic makes random commands of every kind over few keys.
type traffic struct {
	random *rand.Rand
	multi  bool
}

func (g *traffic) key() string { return "key:" + strconv.Itoa(g.random.IntN(12)) }

func (g *traffic) keys(n int) (keys []string) {
	for range n {
		keys = append(keys, g.key())
	}
	return keys
}

func (g *traffic) value() string {
	return strings.Repeat(string(rune('a'+g.random.IntN(26))), g.random.IntN(40))
}

func (g *traffic) next() []string {
	for {
		switch n := g.random.IntN(64); {
		case n < 14:
			return []string{"GET", g.key()}
		case n < 26:
			return []string{"SET", g.key(), g.value()}
		case n < 28:
			return append([]string{"MGET"}, g.keys(1+g.random.IntN(5))...)
		case n < 29:
			return append([]string{"MGET"}, g.keys(crossKeysMax+g.random.IntN(20))...)
		case n < 31:
			return append([]string{"DEL"}, g.keys(1+g.random.IntN(3))...)
		case n < 33:
			return []string{"MSET", g.key(), g.value(), g.key(), g.value()}
		case n < 35:
			return []string{"RENAME", g.key(), g.key()}
		case n < 36:
			return []string{"COUNTED", "2", g.key(), g.key()}
		case n < 37:
			return []string{"DBSIZE"}
		case n < 38:
			return []string{"HAS", g.key()}
		case n < 39:
			return []string{"LGET", g.key()}
		case n < 40:
			return []string{"FLUSHDB"}
		case n < 41:
			return []string{"SWAPDB", "0", "1"}
		case n < 42:
			return []string{"SELECT", strconv.Itoa(g.random.IntN(2))}
		case n < 43:
			return []string{"HELLO", strconv.Itoa(2 + g.random.IntN(2))}
		case n < 45:
			return []string{"ECHO", g.value()}
		case n < 46:
			return []string{"HERE", g.value()}
		case n < 47:
			return []string{"HEREFAIL"}
		case n < 48:
			return []string{"FAIL", g.key()}
		case n < 49:
			return []string{"ALLFAIL"}
		case n < 50:
			return []string{"BOX", "AT", g.key()}
		case n < 51:
			return []string{"NOSUCH", "x"}
		case n < 53 && !g.multi:
			return []string{"WAIT", "1", "1"}
		case n < 56 && !g.multi:
			return []string{"REPLY", []string{"on", "on", "off", "skip"}[g.random.IntN(4)]}
		case n < 58:
			if g.multi {
				continue
			}
			return []string{"WATCH", "nobody"} // a change would be its own
		case n < 59:
			return []string{"UNWATCH"}
		case n < 62:
			if g.multi = !g.multi; g.multi {
				return []string{"MULTI"}
			}
			if g.random.IntN(5) == 0 {
				return []string{"DISCARD"}
			}
			return []string{"EXEC"}
		case n < 63 && g.multi:
			return []string{"MULTI"}
		}
	}
}

// scene is one client in front of shards that the test holds and lets go.
type scene struct {
	e      *Engine
	p      *peer
	random *rand.Rand
	held   map[int]func()
}

// stir changes who holds what, and sometimes lets the loop look.
func (s *scene) stir() {
	if s.random.IntN(3) == 0 {
		i := s.random.IntN(len(s.e.Shards.Shards))
		if release := s.held[i]; release != nil {
			release()
			delete(s.held, i)
		} else if s.e.Shards.Shards[i].Enter() {
			s.held[i] = s.e.Shards.Shards[i].Exit
		}
	}
	if s.random.IntN(3) == 0 {
		s.p.settle()
	}
}

func (s *scene) release() {
	for _, i := range slices.Sorted(maps.Keys(s.held)) {
		s.held[i]()
	}
	clear(s.held)
}

// inPieces feeds a request in pieces of random sizes.
func (s *scene) inPieces(request []byte) {
	for len(request) > 0 && !s.p.closed {
		n := min(1+s.random.IntN(1+s.random.IntN(600)), len(request))
		piece := slices.Clone(request[:n])
		s.p.session.Feed(piece)
		clear(piece) // it was borrowed
		request = request[n:]
		s.stir()
	}
}

func TestOrderOfReplies(t *testing.T) {
	runs := 120
	if testing.Short() {
		runs = 20
	}
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 1))
		settings := onShards(1 + int(seed%7))
		if seed%9 == 8 {
			settings["shard_inline"] = "no"
		}
		e := newEngine(t, Options{}, settings)
		p := connect(t, e)
		s := &scene{e, p, random, make(map[int]func())}
		m := newModel()
		g := &traffic{random: random}
		var request []byte
		for range 300 {
			args := g.next()
			request = resp.AppendCommandString(request, args...)
			m.do(args)
		}
		for _, args := range [][]string{{"EXEC"}, {"REPLY", "on"}} {
			if args[0] != "EXEC" || g.multi {
				request = resp.AppendCommandString(request, args...)
				m.do(args)
			}
		}
		s.inPieces(request)
		s.release()
		want := string(m.w.Buf)
		p.wait(fmt.Sprintf("seed %d: replies", seed), func() bool {
			return p.session.hold == holdNone && p.session.pipeline.empty() && len(p.session.input) == 0
		})
		if got := p.take(); got != want {
			at := 0
			for at < min(len(got), len(want)) && got[at] == want[at] {
				at++
			}
			t.Fatalf("seed %d: at %d\ngot  %q\nwant %q", seed, at, clip([]byte(got[max(0, at-40):])), clip([]byte(want[max(0, at-40):])))
		}
		p.session.Closed(nil)
		quiet(t, e)
	}
}

// A client may be gone at any moment: whatever is under way for it must come to an
// end, and leave nothing behind.
func TestClosedAnywhere(t *testing.T) {
	runs := 150
	if testing.Short() {
		runs = 30
	}
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 2))
		e := newEngine(t, Options{}, onShards(1+int(seed%7)))
		l, wake := loopOf(e)
		other := connectTo(t, l, wake) // shares the loop, and the batches
		p := connectTo(t, l, wake)
		s := &scene{e, p, random, make(map[int]func())}
		g := &traffic{random: random}
		var request []byte
		for range 20 + random.IntN(150) {
			request = resp.AppendCommandString(request, g.next()...)
		}
		s.inPieces(request)
		switch random.IntN(4) {
		case 0:
			p.session.Kill(nil)
			p.settle()
			if !p.closed {
				t.Fatalf("seed %d: a client that was killed is still connected", seed)
			}
		case 1:
			p.send("QUIT")
		case 2:
			p.feed("*1\r\n!")
		}
		p.session.Closed(nil)
		p.out = nil
		s.p = other
		want := newModel()
		want.dbs = [2]map[string]string{}
		for range 20 {
			other.send("ECHO", "x")
			want.w.BulkString("x")
			s.stir()
		}
		s.release()
		other.expect(string(want.w.Buf))
		other.ask("+OK\r\n", "SET", "a", "b")
		other.ask("$1\r\nb\r\n", "GET", "a")
		if len(p.out) != 0 {
			t.Fatalf("seed %d: %q was sent to a client that is gone", seed, p.out)
		}
		other.session.Closed(nil)
		other.wait("end", func() bool { return l.done.Load() == nil })
		quiet(t, e)
		l.Close()
	}
}

// However the bytes of a request are cut, the replies are the same.
func TestCutAnywhere(t *testing.T) {
	request := ""
	m := newModel()
	for _, args := range [][]string{{"SET", "a", "1"}, {"MGET", "a", "b"}, {"MULTI"}, {"GET", "a"}, {"EXEC"},
		{"ECHO", "x"}, {"NOSUCH", "x"}, {"HERE", "y"}, {"WAIT", "1", "1"}, {"RENAME", "a", "b"}, {"GET", "b"}} {
		request += string(resp.AppendCommandString(nil, args...))
		m.do(args)
	}
	for _, held := range []bool{false, true} {
		e := newEngine(t, Options{}, onShards(3))
		for cut := range len(request) {
			p := connect(t, e)
			p.ask("+OK\r\n", "FLUSHDB")
			var release func()
			if held {
				release = busy(t, e, cut%3)
			}
			p.feed(request[:cut])
			p.feed(request[cut:])
			if held {
				release()
			}
			p.expect(string(m.w.Buf))
		}
	}
}
