package engine

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// What the server is closed to is refused in Redis' order, and inside MULTI for what
// EXEC would do.
func TestClosed(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	refused := func(err resp.Error) string { return "-" + err.Error() + "\r\n" }
	p.ask("+OK\r\n", "SET", "a", "b")
	e.CloseToWrites(true)
	p.ask(refused(resp.ErrReadOnly), "SET", "a", "c")
	p.ask(refused(resp.ErrReadOnly), "MSET", "a", "c", "b", "c")
	p.ask("$1\r\nb\r\n", "GET", "a")
	e.CloseStale(true)
	p.ask(refused(resp.ErrMasterDown), "GET", "a")
	p.ask(refused(resp.ErrReadOnly), "SET", "a", "c")
	p.ask("+OK\r\n", "UNWATCH") // may see old data
	e.BeginLoading(1000)
	p.ask(refused(resp.ErrMasterDown), "GET", "a")
	e.CloseStale(false)
	p.ask(refused(resp.ErrLoading), "GET", "a")
	p.ask("+OK\r\n", "UNWATCH")
	e.CloseToWrites(false)
	p.ask(refused(resp.ErrLoading), "SET", "a", "c")
	told := 0
	e.Shards.OnLong(func() { told++ })
	e.Loaded(250)
	if told == 0 {
		t.Error("nobody was told that something long goes on, which all processors are needed for")
	}
	s, loading := e.Loading()
	if !loading || s.Total != 1000 || s.Loaded != 250 || s.Left(s.Since.Add(10*time.Second)) != 30*time.Second {
		t.Errorf("it is at %+v, %v left", s, s.Left(s.Since.Add(10*time.Second)))
	}
	e.EndLoading()
	p.ask("$1\r\nb\r\n", "GET", "a")
	if _, loading := e.Loading(); loading {
		t.Error("it still loads")
	}
	// A transaction that was queued before.
	p.ask("+OK\r\n", "MULTI")
	p.ask("+QUEUED\r\n", "GET", "a")
	e.BeginLoading(1)
	p.send("EXEC")
	if out := p.take(); !strings.HasPrefix(out, "-EXECABORT ") || !strings.Contains(out, "LOADING") {
		t.Errorf("EXEC while loading: %q", out)
	}
	e.EndLoading()
}

// An Applier does what a primary did: several things at one moment, and with keys that have
// expired here.
func TestApplier(t *testing.T) {
	now := clock.NewManual(1000)
	var mu sync.Mutex
	var units []string
	e := newEngine(t, Options{Clock: now, Effects: func(shards []*shard.Shard, effects []shard.Effect) {
		mu.Lock()
		defer mu.Unlock()
		unit := fmt.Sprint(len(shards))
		for _, effect := range effects {
			unit += fmt.Sprintf(" %d%s", effect.Database, bytes.Join(effect.Args, []byte(" ")))
		}
		units = append(units, unit)
	}}, onShards(3))
	e.Shards.ExpiryHeld.Add(1)
	a := e.NewApplier()
	apply := func(want string, lines ...string) {
		t.Helper()
		var changes []Change
		for _, line := range lines {
			var args [][]byte
			for _, word := range strings.Fields(line) {
				args = append(args, []byte(word))
			}
			changes = append(changes, Change{Args: args})
		}
		settled := 0
		err := a.Apply(changes, func() {
			settled++
			if e.Shards.EnterAll(e.Shards.Shards) {
				t.Errorf("%q: settled while others may do something", lines)
				e.Shards.ExitAll(e.Shards.Shards)
			}
		})
		if got := fmt.Sprint(err); settled != 1 || !strings.Contains(got, want) || want == "" && err != nil {
			t.Errorf("%q: settled %d times, %v, want %q", lines, settled, err, want)
		}
	}
	x, y := keyOn(e, 0, 1), keyOn(e, 2, 2)
	apply("", "SET "+x+" 1")
	apply("", "MSET "+x+" 2 "+y+" 2")
	apply("", "SET "+x+" 3", "SET "+y+" 3")
	apply("", "SET "+x+" 4", "DEL "+x, "SET "+x+" 5")
	apply("WRONGTYPE", "FAIL "+x)
	apply("WRONGTYPE", "SET "+x+" 6", "FAIL "+x, "SET "+y+" 6")
	apply("", "PEXPIREAT "+x+" 500") // in the past of this server
	p := connect(t, e)
	p.ask("$-1\r\n", "GET", x)
	apply("", "RENAME "+x+" "+y) // there it was still there
	p.ask("$1\r\n6\r\n", "GET", y)
	want := []string{
		"1 0SET x 1", "3 0MSET x 2 y 2", "3 0SET x 3 0SET y 3", "1 0SET x 4 0DEL x 0SET x 5", "3 0SET x 6 0SET y 6", "1 0PEXPIREAT x 500", "3 0RENAME x y",
	}
	for i := range want {
		want[i] = strings.ReplaceAll(strings.ReplaceAll(want[i], "x", x), "y", y)
	}
	if !slices.Equal(units, want) {
		t.Errorf("recorded\n%q, want\n%q", units, want)
	}
	for _, change := range []Change{{}, {Args: [][]byte{[]byte("UNWATCH")}}} {
		if err := a.Apply([]Change{change}, func() {}); !errors.Is(err, ErrNotApplied) {
			t.Errorf("%q: %v", change.Args, err)
		}
	}
	set := [][]byte{[]byte("SET"), []byte("a"), []byte("b")}
	for _, change := range []Change{{Database: 16, Args: set}, {Database: -1, Args: set}, {Args: set[:2]}, {Args: [][]byte{[]byte("NONESUCH")}}} {
		if err := a.Apply([]Change{change}, func() {}); err == nil {
			t.Errorf("%d %q was applied", change.Database, change.Args)
		}
	}
}

// faucet is a Replica with so many bytes to give.
type faucet struct {
	left, asked int
	ended       bool
	gone        atomic.Int32
	behind      int64
}

func (f *faucet) Next(n int) ([]byte, bool) {
	f.asked++
	n = min(n, f.left)
	f.left -= n
	return make([]byte, n), f.ended && n == 0
}
func (f *faucet) Behind() int64             { return f.behind }
func (f *faucet) Acknowledged(int64, int64) {}
func (f *faucet) Alive()                    {}
func (f *faucet) Started() bool             { return true }
func (f *faucet) Gone()                     { f.gone.Add(1) }

// A session that is a replica's takes no more than the connection does, promises all of it,
// and is ended when its replica answers or falls too far behind.
func TestSendFrom(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	p.deaf = true
	f := &faucet{left: 10 << 20}
	p.session.SendFrom(f)
	p.settle()
	if p.unread < sourceAheadBytes || p.unread > sourceAheadBytes+sourcePieceBytes || p.free > 0 {
		t.Errorf("%d bytes are unread, %d promised nothing", p.unread, p.free)
	}
	asked := f.asked
	p.session.Wake()
	p.settle()
	if f.asked != asked {
		t.Error("it was asked for more while nothing was read")
	}
	if e.ReplicaCount() != 1 || !p.session.Info().Replica {
		t.Error("it does not count as a replica")
	}
	for f.left > 0 {
		left := f.left
		p.read()
		p.settle()
		if f.left == left {
			t.Fatal("nothing more was sent")
		}
	}
	p.read()
	f.ended = true
	p.session.Wake()
	p.settle()
	if !p.closed {
		t.Error("it goes on after its end")
	}

	q := connect(t, e)
	g := &faucet{}
	q.session.SendFrom(g)
	q.send("GET", "a")
	if !q.closed || len(q.out) > 0 {
		t.Errorf("a reply among the stream: %q", q.out)
	}

	r := connect(t, e)
	h := &faucet{behind: 100 << 20, left: 1000}
	r.deaf = true
	set(t, e, "client-output-buffer-limit", "replica 64mb 0 0")
	r.session.SendFrom(h)
	r.settle()
	if !r.closed || h.gone.Load() == 0 || e.Totals.OutputLimitClosed.Load() != 1 {
		t.Error("it may be as far behind as it likes")
	}
}
