package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/internal/config"
	"hyperkv/resp"
)

func set(t testing.TB, e *Engine, name, value string) {
	t.Helper()
	if err := e.Params.Set([]config.Pair{{Name: name, Value: value}}); err != nil {
		t.Fatal(err)
	}
}

func repeat(n int, args ...string) string {
	return strings.Repeat(string(resp.AppendCommandString(nil, args...)), n)
}

// A client that sends many commands at once gets them run in bursts, and all of
// them answered.
func TestManyAtOnce(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	p := connect(t, e)
	p.feed(repeat(10*burstMax+1, "GET", "a"))
	p.expect(strings.Repeat("$-1\r\n", 10*burstMax+1))
	p.feed(repeat(10*burstMax+1, "MGET", "a", "b", "c"))
	p.expect(strings.Repeat("*3\r\n$-1\r\n$-1\r\n$-1\r\n", 10*burstMax+1))
}

// What a client that reads nothing can make the server hold is bounded, whatever
// kind of command makes the replies.
func TestDeafClient(t *testing.T) {
	const size = 50_000
	value := strings.Repeat("v", size)
	transaction := repeat(1, "MULTI") + repeat(8, "GET", "a") + repeat(1, "EXEC")
	most := map[string]int{"keys": 10, "session": 10, "several": 10, "many keys": 2 * crossKeysMax, "transactions": 10, "long": 10, "mixed": 10}
	for name, request := range map[string]string{
		"keys":         repeat(2000, "GET", "a"),
		"session":      repeat(2000, "BIG", fmt.Sprint(size)),
		"several":      repeat(400, "MGET", "a", "b", "a", "b", "a"),
		"many keys":    repeat(20, append([]string{"MGET"}, slices.Repeat([]string{"a", "b"}, crossKeysMax)...)...),
		"transactions": strings.Repeat(transaction, 250),
		"long":         repeat(2000, "LGET", "a"),
		"mixed":        strings.Repeat(repeat(1, "GET", "a")+repeat(1, "BIG", fmt.Sprint(size))+repeat(1, "ECHO", "x"), 1000),
	} {
		for _, held := range []bool{false, true} {
			e := newEngine(t, Options{}, onShards(3))
			set(t, e, "client-output-buffer-limit", "normal 0 0 0")
			p := connect(t, e)
			p.ask("+OK\r\n", "SET", "a", value)
			p.ask("+OK\r\n", "SET", "b", value)
			p.deaf = true
			var release []func()
			if held {
				for i := range 3 {
					release = append(release, busy(t, e, i))
				}
			}
			p.feed(request)
			for _, f := range release {
				f()
			}
			p.wait(name+": a hold", func() bool { return p.session.hold == holdOutput })
			if over := p.unread - outputHoldBytes; over > 10*most[name]*size+4<<20 {
				t.Errorf("%s, held %v: %d bytes are unread", name, held, p.unread)
			}
			input := len(p.session.input)
			if input == 0 {
				t.Errorf("%s, held %v: everything ran", name, held)
			}
			p.read()
			p.wait(name+": going on", func() bool { return len(p.session.input) < input })
		}
	}
}

// One who asks for much gets it in turns: others of the loop are served in between.
func TestLargeRepliesInTurns(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	p.feed(repeat(100, "BIG", "100000"))
	if got := len(p.out); got > 2*outputBurstBytes {
		t.Errorf("%d bytes of replies in one turn of the loop", got)
	}
	for before := 0; before < len(p.out); {
		before = len(p.out)
		p.settle()
		if got := len(p.out) - before; got > 2*outputBurstBytes {
			t.Errorf("%d bytes of replies in one turn of the loop", got)
		}
	}
	if got := len(p.out); got < 100*100000 {
		t.Errorf("%d bytes of replies in all", got)
	}
}

// A client may not send without end what it does not let run.
func TestHeldInputIsBounded(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	set(t, e, "client-output-buffer-limit", "normal 0 0 0")
	p := connect(t, e)
	p.deaf = true
	p.feed(repeat(200, "BIG", "100000"))
	p.wait("a hold", func() bool { return p.session.hold == holdOutput })
	chunk := strings.Repeat("x", 1<<20)
	for range inputHeldBytes/len(chunk) + 1 {
		p.feed(chunk)
	}
	if !p.closed || e.Totals.InputLimitClosed.Load() != 1 {
		t.Errorf("closed %v, counted %d", p.closed, e.Totals.InputLimitClosed.Load())
	}
}

// The limit on input holds for a client that waits as well, and its connection
// does not outlive it.
func TestInputLimitWhileBlocked(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	set(t, e, "client-query-buffer-limit", "1mb")
	p := connect(t, e)
	p.send("WAIT", "1", "0")
	p.feed(strings.Repeat("x", 1<<20))
	if p.closed {
		t.Fatal("closed at the limit")
	}
	p.feed("x")
	if !p.closed {
		t.Fatal("not closed beyond the limit")
	}
	p.session.Closed(nil)
	quiet(t, e)
}

func TestOutputLimits(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	set(t, e, "client-output-buffer-limit", "normal 2mb 1mb 1")
	hard := connect(t, e)
	hard.deaf = true
	hard.feed(repeat(30, "BIG", "100000"))
	hard.wait("the hard limit to close", func() bool { return hard.closed })
	soft := connect(t, e)
	soft.deaf = true
	soft.feed(repeat(12, "BIG", "100000"))
	now := time.Now()
	soft.session.loop.Tick(now)
	soft.session.loop.Tick(now.Add(900 * time.Millisecond))
	if soft.closed {
		t.Error("the soft limit closes too early")
	}
	soft.session.loop.Tick(now.Add(2 * time.Second))
	if !soft.closed {
		t.Error("the soft limit does not close")
	}
	again := connect(t, e)
	again.deaf = true
	again.feed(repeat(12, "BIG", "100000"))
	again.session.loop.Tick(now)
	again.unread = 0
	again.session.loop.Tick(now.Add(time.Second))
	again.unread = 1 << 20
	again.session.loop.Tick(now.Add(2 * time.Second))
	if again.closed {
		t.Error("a client that has read in between is closed")
	}
}

// Slots that have left make room also while others wait for ever.
func TestPipelineThatNeverRunsDry(t *testing.T) {
	var p pipeline
	var waiting []*pending
	s := &Session{}
	for i := range 100_000 {
		work := &pending{session: s, reply: []byte{byte(i)}}
		waiting = append(waiting, work)
		p.wait(work, 0, false)
		if len(waiting) > 5 {
			waiting[0].done = true
			waiting = waiting[1:]
			if out := p.advance(nil); !bytes.Equal(out, []byte{byte(i - 5)}) {
				t.Fatalf("%d: %v", i, out)
			}
		}
	}
	if cap(p.slots) > 8*compactSlots {
		t.Errorf("room for %d slots", cap(p.slots))
	}
}

// QUIT answers, and nothing behind it runs.
func TestQuit(t *testing.T) {
	for _, held := range []bool{false, true} {
		e := newEngine(t, Options{}, onShards(2))
		p := connect(t, e)
		key := keyOn(e, 0, 0)
		if held {
			release := busy(t, e, 0)
			p.feed(repeat(1, "GET", key) + repeat(1, "QUIT") + repeat(1, "SET", key, "x"))
			if p.closed {
				t.Fatal("closed before a reply that is under way")
			}
			release()
			p.expect("$-1\r\n+OK\r\n")
		} else {
			p.feed(repeat(1, "QUIT") + repeat(1, "SET", key, "x"))
			p.expect("+OK\r\n")
		}
		if !p.closed {
			t.Error("QUIT does not close")
		}
		connect(t, e).ask("$-1\r\n", "GET", key)
	}
}

func TestProtocolErrorComesLast(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	release := busy(t, e, 0)
	p.feed(repeat(2, "GET", "a") + "*1\r\n!\r\n")
	release()
	p.expect("$-1\r\n$-1\r\n-ERR Protocol error: expected '$', got '!'\r\n")
	if !p.closed {
		t.Error("a protocol error does not close")
	}
}

func TestIdleClientsAreClosed(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	set(t, e, "timeout", "1")
	later := time.Now().Add(3 * time.Second)
	idle, blocked, under := connect(t, e), connect(t, e), connect(t, e)
	blocked.send("WAIT", "1", "0")
	release := busy(t, e, 0)
	under.send("GET", "a")
	for _, p := range []*peer{idle, blocked, under} {
		p.session.loop.Tick(later)
	}
	if !idle.closed || blocked.closed || under.closed {
		t.Errorf("closed: idle %v, blocked %v, with a command under way %v", idle.closed, blocked.closed, under.closed)
	}
	release()
	under.expect("$-1\r\n")
}

func TestBlockAndUnblock(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	s := p.session
	if s.Unblock(true) {
		t.Error("a client that does not wait was unblocked")
	}
	p.feed(repeat(1, "WAIT", "1", "0") + repeat(1, "ECHO", "x"))
	if e.BlockedCount() != 1 || !s.Info().Blocked || len(p.out) != 0 {
		t.Fatalf("%d blocked, output %q", e.BlockedCount(), p.out)
	}
	if !s.Unblock(true) || s.Unblock(true) {
		t.Error("Unblock does not say once that the client waited")
	}
	p.expect("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n$1\r\nx\r\n")
	p.send("WAIT", "1", "0")
	s.Unblock(false)
	p.expect(":0\r\n")
	p.ask(":0\r\n", "WAIT", "1", "10")
	p.ask(":0\r\n", "WAIT", "0", "0")
	p.ask("-ERR timeout is negative\r\n", "WAIT", "1", "-1")
	p.ask("-ERR timeout is not an integer or out of range\r\n", "WAIT", "1", "9223372036854775808")
	p.ask("-ERR timeout is out of range\r\n", "WAIT", "1", "9223372036854775807")
	for _, long := range []string{"9223372036855", "18446744073710", "9000000000000000000"} { // as nanoseconds, none of them is an int64
		p.send("WAIT", "1", long)
		time.Sleep(20 * time.Millisecond)
		if e.BlockedCount() != 1 {
			t.Errorf("WAIT 1 %s does not wait", long)
		}
		s.Unblock(false)
		p.expect(":0\r\n")
	}
	p.ask("-ERR value is not an integer or out of range\r\n", "WAIT", "x", "0")
	// In a transaction it does not wait.
	p.feed(repeat(1, "MULTI") + repeat(1, "WAIT", "1", "0") + repeat(1, "EXEC"))
	p.expect("+OK\r\n+QUEUED\r\n*1\r\n:0\r\n")
	p.send("WAIT", "1", "0")
	s.Closed(nil)
	quiet(t, e)
}

// An Unblock that comes too late for one wait must not end the next.
func TestLateUnblock(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	p.feed(repeat(2, "WAIT", "1", "0"))
	first := p.session.blocked
	p.session.loop.post(func() { p.session.unblock(first, nil) }) // its time is up
	p.session.Unblock(true)
	p.expect(":0\r\n")
	if p.session.blocked == nil || p.session.blocked == first {
		t.Error("the second wait is over as well")
	}
}

func TestPause(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	other := connect(t, e)
	e.Pause(time.Hour, false)
	p.ask("$-1\r\n", "GET", "a")
	p.feed(repeat(1, "MULTI") + repeat(1, "GET", "a") + repeat(1, "EXEC"))
	p.expect("+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n")
	p.feed(repeat(1, "GET", "a") + repeat(1, "SET", "a", "1") + repeat(1, "GET", "a"))
	p.expect("$-1\r\n")
	other.feed(repeat(1, "MULTI") + repeat(1, "SET", "b", "1") + repeat(1, "EXEC"))
	if e.BlockedCount() != 2 || e.Shards.ExpiryHeld.Load() != 1 {
		t.Fatalf("%d blocked, expiry held %d", e.BlockedCount(), e.Shards.ExpiryHeld.Load())
	}
	if actions, left := e.PauseInfo(); actions != "write" || left < time.Minute {
		t.Errorf("%s for %v", actions, left)
	}
	e.Pause(time.Minute, true) // stricter, not shorter
	if actions, left := e.PauseInfo(); actions != "all" || left < time.Minute {
		t.Errorf("%s for %v", actions, left)
	}
	third := connect(t, e)
	third.send("GET", "a")
	third.session.Closed(nil)
	if e.BlockedCount() != 2 {
		t.Errorf("%d blocked after one has gone", e.BlockedCount())
	}
	other.out = nil
	e.Unpause()
	e.Unpause()
	p.expect("+OK\r\n$1\r\n1\r\n")
	other.expect("+QUEUED\r\n*1\r\n+OK\r\n") // a write waits before it is queued, as in Redis
	if e.BlockedCount() != 0 || e.Shards.ExpiryHeld.Load() != 0 {
		t.Errorf("%d blocked, expiry held %d", e.BlockedCount(), e.Shards.ExpiryHeld.Load())
	}
	e.Pause(5*time.Millisecond, false)
	p.send("SET", "a", "2")
	p.expect("+OK\r\n")
	if actions, _ := e.PauseInfo(); actions != "none" {
		t.Errorf("paused: %s", actions)
	}
}

// Pauses that begin and end while clients meet them strand nobody.
func TestPauseRaces(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	stop := make(chan struct{})
	var pausers sync.WaitGroup
	for range 2 {
		pausers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				e.Pause(time.Duration(i%3)*time.Millisecond, i%2 == 0)
				if i%4 == 0 {
					e.Unpause()
				}
			}
		})
	}
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			c, err := e.NewClient()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range 50 {
				if v, err := c.Do("SET", "a", "1"); err != nil || v.Text() != "OK" {
					t.Error(v, err)
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	pausers.Wait()
	e.Unpause()
	if e.BlockedCount() != 0 || e.Shards.ExpiryHeld.Load() != 0 {
		t.Errorf("%d blocked, expiry held %d", e.BlockedCount(), e.Shards.ExpiryHeld.Load())
	}
}
