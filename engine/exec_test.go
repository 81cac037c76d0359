package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
)

func transaction(commands ...[]string) (request string) {
	request = repeat(1, "MULTI")
	for _, args := range commands {
		request += repeat(1, args...)
	}
	return request + repeat(1, "EXEC")
}

// What belongs to the session changes in the middle of EXEC, here or elsewhere.
func TestSessionCommandsInExec(t *testing.T) {
	for _, held := range []bool{false, true} {
		e := newEngine(t, Options{}, onShards(3))
		p := connect(t, e)
		p.ask("+OK\r\n", "SET", "a", "zero")
		request := transaction([]string{"SELECT", "1"}, []string{"GET", "a"}, []string{"SET", "a", "one"}, []string{"NAME", "fred"},
			[]string{"HELLO", "3"}, []string{"GET", "b"}, []string{"HEREFAIL"}, []string{"FAIL", "a"}, []string{"BOX", "AT", "a"},
			[]string{"MSET", "a", "1", "b"}, []string{"BOX", "OPEN", "x"})
		var release []func()
		if held {
			for i := range 3 {
				release = append(release, busy(t, e, i))
			}
		}
		p.feed(request + repeat(1, "GET", "a"))
		for _, f := range release {
			f()
		}
		p.expect("+OK\r\n" + strings.Repeat("+QUEUED\r\n", 11) + "*11\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n_\r\n_\r\n-TOY failed here\r\n" +
			"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n$3\r\none\r\n" +
			"-ERR wrong number of arguments for 'mset' command\r\n$1\r\nx\r\n$3\r\none\r\n")
		if s := p.session; s.Name() != "fred" || s.DB() != 1 || s.Proto() != 3 || s.multi != nil || s.Info().Multi != -1 {
			t.Errorf("held %v: %+v", held, s.Info())
		}
		for name, want := range map[string]uint64{"exec": 1, "hello": 1, "name": 1, "herefail": 1, "select": 1, "get": 3, "multi": 1} {
			if st := e.CommandStats(e.Table.Find(name).id); st.Calls != want {
				t.Errorf("held %v: %s was counted %d times", held, name, st.Calls)
			}
		}
		if st := e.CommandStats(e.Table.Find("herefail").id); st.Failed != 1 {
			t.Errorf("held %v: the failure was counted %d times", held, st.Failed)
		}
		if stats := e.Stats(); stats.Errors["TOY"] != 1 || stats.Errors["WRONGTYPE"] != 1 || stats.Errors["ERR"] != 1 {
			t.Errorf("held %v: errors %v", held, stats.Errors)
		}
	}
}

// A body without keys where some belong still has a shard to run on.
func TestExecWithoutKeys(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	for _, held := range []bool{false, true} {
		p := connect(t, e)
		release := func() {}
		if held {
			release = busy(t, e, 0)
		}
		p.feed(transaction([]string{"SCAN", "x"}))
		release()
		p.expect("+OK\r\n+QUEUED\r\n*1\r\n-ERR invalid cursor\r\n")
		p.feed(transaction([]string{"COUNTED", "0"}, []string{"COUNTED", "9", "a"}))
		p.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR syntax error\r\n-ERR syntax error\r\n")
		p.feed(transaction())
		p.expect("+OK\r\n*0\r\n")
	}
}

// A cursor is sent to the shard that its body will read, however it is written.
func TestCursorsAreRouted(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	p := connect(t, e)
	for text, want := range map[string]int{"0": 0, "281474976710656": 1, "+562949953421312": 2, "844424930131968": 0} {
		p.ask(fmt.Sprintf(":%d\r\n", want), "SCAN", text)
	}
}

func TestWatch(t *testing.T) {
	now := clock.NewManual(1_000_000)
	e := newEngine(t, Options{Clock: now}, onShards(3))
	p, other := connect(t, e), connect(t, e)
	var a, b string
	try := func(name string, change func(), fails bool) {
		t.Helper()
		other.ask("+OK\r\n", "FLUSHDB")
		other.ask("+OK\r\n", "MSET", a, "1", b, "1")
		p.ask("+OK\r\n", "WATCH", a, b, "nobody")
		change()
		p.feed(transaction([]string{"GET", "x"}))
		if fails {
			p.expect("+OK\r\n+QUEUED\r\n*-1\r\n")
		} else {
			p.expect("+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n")
		}
		if n := p.session.Info().Watching; n != 0 {
			t.Errorf("%s: %d keys are still watched", name, n)
		}
		p.feed(transaction([]string{"GET", "x"}))
		p.expect("+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n")
	}
	for shards := range 2 {
		a, b = keyOn(e, 0, 1), keyOn(e, 2*shards, 2)
		try("nothing", func() {}, false)
		try("another key", func() { other.ask("+OK\r\n", "SET", "y", "1") }, false)
		try("another database", func() {
			other.feed(repeat(1, "SELECT", "1") + repeat(1, "SET", b, "2") + repeat(1, "SELECT", "0"))
			other.expect("+OK\r\n+OK\r\n+OK\r\n")
		}, false)
		try("a change", func() { other.ask("+OK\r\n", "SET", b, "2") }, true)
		try("its own change", func() { p.ask("+OK\r\n", "SET", b, "2") }, true)
		try("a deletion", func() { other.ask(":1\r\n", "DEL", b) }, true)
		try("FLUSHDB", func() { other.ask("+OK\r\n", "FLUSHDB") }, true)
		try("SWAPDB", func() { other.ask("+OK\r\n", "SWAPDB", "0", "1") }, true)
		try("expiry", func() {
			e.Shards.ActiveExpiry.Store(false)
			other.ask(":1\r\n", "PEXPIREAT", b, fmt.Sprint(now.NowMillis()+10))
			p.ask("+OK\r\n", "UNWATCH")
			p.ask("+OK\r\n", "WATCH", b)
			now.Advance(time.Second)
			e.Shards.ActiveExpiry.Store(true)
		}, true)
		try("UNWATCH", func() {
			other.ask("+OK\r\n", "SET", b, "2")
			p.ask("+OK\r\n", "UNWATCH")
		}, false)
		try("DISCARD", func() {
			other.ask("+OK\r\n", "SET", b, "2")
			p.feed(repeat(1, "MULTI") + repeat(1, "DISCARD"))
			p.expect("+OK\r\n+OK\r\n")
		}, false)
	}
}

// Whoever is gone while the shards still have its transaction leaves nothing.
func TestClosedDuringExec(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	l, wake := loopOf(e)
	p := connectTo(t, l, wake)
	release := busy(t, e, 1)
	p.ask("+OK\r\n", "WATCH", keyOn(e, 0, 0))
	p.feed(transaction([]string{"SET", keyOn(e, 0, 1), "v"}, []string{"SET", keyOn(e, 1, 1), "v"}, []string{"NAME", "x"}))
	p.take()
	if p.session.hold != holdExec {
		t.Fatalf("hold %d", p.session.hold)
	}
	p.session.Closed(nil)
	release()
	p.wait("the end of the transaction", func() bool { return p.session.hold == holdNone })
	if len(p.out) != 0 || p.session.client.Watch != nil {
		t.Errorf("output %q, watch %v", p.out, p.session.client.Watch)
	}
	connect(t, e).ask("$1\r\nv\r\n", "GET", keyOn(e, 1, 1)) // it had been accepted
	l.Close()
}

// A client that ends itself in a transaction reads the reply first, and nothing
// behind it runs.
func TestKilledByItself(t *testing.T) {
	for _, held := range []bool{false, true} {
		e := newEngine(t, Options{}, onShards(2))
		p := connect(t, e)
		release := func() {}
		if held {
			release = busy(t, e, 0)
		}
		p.feed(transaction([]string{"SET", keyOn(e, 0, 0), "v"}, []string{"SUICIDE"}) + repeat(1, "ECHO", "no"))
		release()
		p.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n")
		p.wait("the end", func() bool { return p.closed })
		if len(p.out) != 0 {
			t.Errorf("held %v: %q", held, p.out)
		}
	}
}

// While a transaction runs with the session, its loop goes on with what concerns
// the connection; under the race detector this shows who owns what.
func TestLoopDuringExec(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	for range 200 {
		l, wake := loopOf(e)
		p := connectTo(t, l, wake)
		release := busy(t, e, 0)
		p.feed(transaction([]string{"SET", keyOn(e, 0, 0), "v"}, []string{"NAME", "x"}, []string{"SUICIDE"}, []string{"HELLO", "3"}, []string{"MONITOR"}))
		done := make(chan struct{})
		go func() { release(); close(done) }()
		p.feed("more")
		l.Tick(time.Now())
		p.session.setFlag(flagCloseAfterReply, true)
		p.session.Info()
		p.session.Kill(nil)
		p.session.Closed(nil)
		<-done
		p.wait("the end", func() bool { return p.session.hold == holdNone })
		if e.Monitors.any() {
			t.Fatal("a monitor is left")
		}
		l.Close()
	}
	quiet(t, e)
}

func TestRefusedExec(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	p.ask("-ERR EXEC without MULTI\r\n", "EXEC")
	p.ask("-ERR DISCARD without MULTI\r\n", "DISCARD")
	p.feed(transaction([]string{"GET"}))
	p.expect("+OK\r\n-ERR wrong number of arguments for 'get' command\r\n-EXECABORT Transaction discarded because of previous errors.\r\n")
	p.feed(repeat(1, "MULTI") + repeat(1, "WATCH", "a") + repeat(1, "EXEC"))
	p.expect("+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n")
}

// max_memory refuses what needs memory, once some is in use.
func TestMaxMemory(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	p.ask("+OK\r\n", "SET", "a", strings.Repeat("v", 100_000))
	set(t, e, "maxmemory", "1")
	oom := "-" + resp.ErrOOM.Error() + "\r\n"
	p.ask(oom, "SET", "b", "1")
	p.ask(oom, "MSET", "b", "1", "c", "2")
	p.feed(transaction([]string{"SET", "b", "1"}))
	p.expect("+OK\r\n" + oom + "-EXECABORT Transaction discarded because of previous errors.\r\n")
	p.ask("$-1\r\n", "GET", "b")
	p.ask(":1\r\n", "DEL", "a")
	set(t, e, "maxmemory", "0")
	p.ask("+OK\r\n", "SET", "b", "1")
}

// Watches of clients that no longer look do not pile up.
func TestWatchesDoNotPileUp(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p, other := connect(t, e), connect(t, e)
	for i := range 3000 {
		p.ask("+OK\r\n", "WATCH", fmt.Sprint("k", i))
		p.ask("+OK\r\n", "UNWATCH")
	}
	p.ask("+OK\r\n", "WATCH", "k")
	for range 200 {
		other.ask("+OK\r\n", "SET", "k", "v")
		p.ask("+OK\r\n", "WATCH", "k")
	}
	if n := p.session.client.Watch.Keys(); n != 1 {
		t.Errorf("one key is watched %d times", n)
	}
}
