package netio

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// holdReplies makes the loops of serve hold all replies that may be held, whatever
// the rounds are like.
var holdReplies bool

func hold(s *Server) {
	for _, l := range s.loops {
		_ = s.Execute(l.index, func() { l.outbox.on, l.outbox.poor = true, -1<<40 })
	}
}

// What is true of output is so for replies that wait for the end of their round, too.
func TestHeldReplies(t *testing.T) {
	holdReplies = true
	defer func() { holdReplies = false }()
	runAll(t,
		named{"order", TestOrderUnderPartialWrites}, named{"big", TestBigWrite}, named{"slow", TestSlowReaderIsBounded},
		named{"drained", TestNotifyDrainedAtOnce}, named{"close inside", TestCloseInsideFeed},
		named{"close now", TestCloseNowDropsTheQueue}, named{"close others", TestCloseOthers}, named{"half close", TestHalfClose},
		named{"lost", TestWriteToLostClient}, named{"wake", TestWakeIsNeverLost}, named{"random", TestConnectionsAtRandom},
		named{"shutdown", TestShutdownFlushes})
}

// A loop with many ready connections comes to answer them behind each other, and
// one with few answers at once.
func TestHoldingFollowsTheRounds(t *testing.T) {
	const clients = 4 * outboxWorth
	most := 0 // replies held at a time; owned by the loop
	backend := &toy{feed: func(s *toySession, data []byte) {
		s.c.Write(data)
		most = max(most, len(s.c.loop.outbox.held))
	}}
	s := serve(t, backend, Options{Loops: 1})
	var conns []net.Conn
	for range clients {
		conns = append(conns, dial(t, s))
	}
	eventually(t, "all connections open", func() bool { return backend.opened.Load() == clients })

	// round has n clients ask while the loop is held up, and reads all replies.
	round := func(number, n int) {
		t.Helper()
		release := make(chan struct{})
		if err := s.Execute(0, func() { <-release }); err != nil {
			t.Fatal(err)
		}
		for i, c := range conns[:n] {
			if _, err := fmt.Fprintf(c, "%6d/%3d", number, i); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		for i, c := range conns[:n] {
			ask(t, c, "", fmt.Sprintf("%6d/%3d", number, i))
		}
	}
	holding := func() (on bool) {
		t.Helper()
		var held int
		onLoop(t, s, func(l *loop) { on, held = l.outbox.on, len(l.outbox.held)+len(l.outbox.bytes) })
		if held != 0 {
			t.Errorf("%d replies and bytes are held while nothing happens", held)
		}
		return on
	}
	for i := range 4 * outboxRetry / clients {
		round(i, clients)
	}
	if !holding() || most < outboxWorth {
		t.Errorf("holding %v, at most %d replies at a time", holding(), most)
	}
	for i := range 2 * outboxPatience {
		round(i, 1)
	}
	if holding() {
		t.Error("still holding after many rounds of one reply")
	}
}

// A reply does not wait long for a loop that goes on reading.
func TestHeldRepliesAreNotOld(t *testing.T) {
	const clients = 16
	backend := &toy{feed: func(s *toySession, data []byte) {
		for began := time.Now(); time.Since(began) < outboxTimeMax; {
		}
		s.c.Write(data)
		if n := len(s.c.loop.outbox.held); n > 2 {
			t.Errorf("%d replies are held", n)
		}
	}}
	s := serve(t, backend, Options{Loops: 1})
	hold(s)
	var conns []net.Conn
	for range clients {
		conns = append(conns, dial(t, s))
	}
	for _, c := range conns {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns {
		ask(t, c, "", "x")
	}
}

// What cannot be committed does not leave, held or not; what can, leaves after that.
func TestCommit(t *testing.T) {
	for _, held := range []bool{false, true} {
		var commits atomic.Int64
		var fails atomic.Bool
		backend := &toy{commit: func(*toyLoop, bool) Ticket {
			commits.Add(1)
			if fails.Load() {
				return Never
			}
			return Now
		}, feed: func(s *toySession, data []byte) {
			if string(data) == "anyway" {
				s.c.WriteAnyway(data)
			} else {
				s.c.Write(data)
			}
		}}
		s := serve(t, backend, Options{Loops: 1})
		if held {
			hold(s)
		}
		c, other := dial(t, s), dial(t, s)
		ask(t, c, "hello", "hello")
		if commits.Load() == 0 {
			t.Error("a reply has left without a commit")
		}
		fails.Store(true)
		ask(t, other, "anyway", "anyway")
		if _, err := c.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("held %v: read %q, %v after a commit that failed", held, got, err)
		}
		fails.Store(false)
		ask(t, other, "still here", "still here")
	}
}

func onLoop(t *testing.T, s *Server, f func(l *loop)) {
	t.Helper()
	on(t, s, 0, func() { f(s.loops[0]) })
}

// promiseReplies makes backends of serve promise: their replies may leave a little later.
var promiseReplies bool

// promiser gives tickets, whose time comes within a millisecond.
type promiser struct {
	asked, done atomic.Uint64
	stop        chan struct{}
	stopped     chan struct{}
}

func (p *promiser) run(loops []*toyLoop) {
	defer close(p.stopped)
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(300 * time.Microsecond):
		}
		if asked := p.asked.Load(); asked > p.done.Load() {
			p.done.Store(asked)
			for _, l := range loops {
				l.wake()
			}
		}
	}
}

func (p *promiser) commit(_ *toyLoop, wait bool) Ticket {
	t := p.asked.Add(1)
	for wait && p.done.Load() < t {
		time.Sleep(100 * time.Microsecond)
	}
	if wait {
		return Now
	}
	return Ticket(t)
}

func (p *promiser) committed(_ *toyLoop, t Ticket) Ticket {
	if p.done.Load() >= uint64(t) {
		return Now
	}
	return t
}

// What is true of output is so for replies that wait for their promise, too.
func TestPromisedReplies(t *testing.T) {
	promiseReplies = true
	defer func() { promiseReplies = false }()
	for _, held := range []bool{false, true} {
		holdReplies = held
		runAll(t,
			named{"order", TestOrderUnderPartialWrites}, named{"big", TestBigWrite}, named{"close others", TestCloseOthers},
			named{"half close", TestHalfClose}, named{"lost", TestWriteToLostClient}, named{"wake", TestWakeIsNeverLost},
			named{"random", TestConnectionsAtRandom}, named{"shutdown", TestShutdownFlushes}, named{"close", TestCloseAfterPromise})
	}
	holdReplies = false
}

// A connection that is closed behind a reply delivers it first.
func TestCloseAfterPromise(t *testing.T) {
	backend := &toy{feed: func(s *toySession, data []byte) {
		s.c.Write(data)
		s.c.Close()
		s.c.Write([]byte("never"))
	}}
	s := serve(t, backend, Options{})
	for range 20 {
		c := dial(t, s)
		if _, err := c.Write([]byte("bye")); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); string(got) != "bye" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

// A promise that is broken ends the connections, and nothing of it leaves.
func TestBrokenPromise(t *testing.T) {
	var broken atomic.Bool
	backend := &toy{
		commit: func(*toyLoop, bool) Ticket { return 7 },
		committed: func(_ *toyLoop, t Ticket) Ticket {
			if broken.Load() {
				return Never
			}
			return t
		},
	}
	s := serve(t, backend, Options{Loops: 1})
	c := dial(t, s)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	broken.Store(true)
	backend.loops[0].wake()
	if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	eventually(t, "closed", func() bool { return s.Connections() == 0 })
}

// Replies that came behind a promise keep their place when its time has come and they have
// not left yet.
func TestOrderBehindPromise(t *testing.T) {
	var kept atomic.Bool
	backend := &toy{
		commit: func(*toyLoop, bool) Ticket {
			if kept.Load() {
				return Now
			}
			return 7
		},
		committed: func(_ *toyLoop, t Ticket) Ticket {
			if kept.Load() {
				return Now
			}
			return t
		},
		feed: func(s *toySession, _ []byte) {
			s.c.Write([]byte("a"))
			s.c.Write([]byte("b"))
			kept.Store(true)
			s.c.loop.deliver()
			s.c.Write([]byte("c"))
		},
	}
	s := serve(t, backend, Options{Loops: 1})
	ask(t, dial(t, s), "x", "abc")
}
