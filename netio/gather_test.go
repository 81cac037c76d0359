package netio

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// scatterConns makes the servers of serve move connections all the time, anywhere.
var scatterConns bool

func scatter(s *Server) (end func()) {
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
			for _, l := range s.loops {
				l.active.Store(rand.Int32N(1000))
				l.give.Store(gatherMax)
			}
		}
	}()
	return func() { close(stop); <-done }
}

// What is true of connections is so when they move all the time, too.
func TestMovingConnections(t *testing.T) {
	scatterConns = true
	defer func() { scatterConns, promiseReplies = false, false }()
	for _, promise := range []bool{false, true} {
		promiseReplies = promise
		runAll(t,
			named{"order", TestOrderUnderPartialWrites}, named{"big", TestBigWrite}, named{"half close", TestHalfClose},
			named{"lost", TestWriteToLostClient}, named{"random", TestConnectionsAtRandom}, named{"shutdown", TestShutdownFlushes},
			named{"echo", testEcho})
	}
}

// testEcho has clients of both kinds send pieces of one long text, and read it back.
func testEcho(t *testing.T) {
	backend := &toy{}
	path := filepath.Join(t.TempDir(), "socket")
	s := serve(t, backend, Options{Loops: 5, Port: -1, UnixSocket: path})
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			network, addr := "tcp", s.Addr()[0]
			if i%4 == 0 {
				network, addr = "unix", path
			}
			c, err := net.Dial(network, addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			r := rand.New(rand.NewPCG(uint64(i), 9))
			sent, read := rand.NewChaCha8([32]byte{byte(i)}), rand.NewChaCha8([32]byte{byte(i)})
			for range 200 {
				p := make([]byte, 1+r.IntN(2000))
				_, _ = sent.Read(p)
				for rest := p; len(rest) > 0; {
					n := 1 + r.IntN(len(rest))
					if _, err := c.Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
				got, want := make([]byte, len(p)), make([]byte, len(p))
				_, _ = read.Read(want)
				if _, err := io.ReadFull(c, got); err != nil || string(got) != string(want) {
					t.Errorf("client %d got something else back: %v", i, err)
					return
				}
			}
		})
	}
	clients.Wait()
	if moved := backend.moved.Load(); scatterConns && moved < 100 {
		t.Errorf("only %d connections moved, which proves little", moved)
	}
}

// talkers are clients that keep asking until they are stopped.
func talkers(t *testing.T, s *Server, n int) (stop func()) {
	t.Helper()
	var over atomic.Bool
	var all sync.WaitGroup
	for range n {
		c := dial(t, s)
		all.Go(func() {
			reply := make([]byte, 5)
			for !over.Load() {
				if _, err := io.WriteString(c, "hello"); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(c, reply); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return sync.OnceFunc(func() { over.Store(true); all.Wait() })
}

// While replies wait, the connections that are busy are on as many loops as are worth a
// processor, and evenly; idle ones stay where they are. When no reply waits any more, all
// loops are used.
func TestGather(t *testing.T) {
	var waits atomic.Bool
	p := &promiser{stop: make(chan struct{}), stopped: make(chan struct{})}
	backend := &toy{}
	backend.commit = func(l *toyLoop, wait bool) Ticket {
		if !waits.Load() {
			return Now
		}
		return p.commit(l, wait)
	}
	backend.committed = p.committed
	s := serve(t, backend, Options{Loops: 4})
	go p.run(backend.loops)
	defer func() { close(p.stop); <-p.stopped }()
	const idle, busy = 20, 24
	for range idle {
		ask(t, dial(t, s), "hello", "hello")
	}
	stop := talkers(t, s, busy)
	defer stop()
	// so says that loops have about so many active connections each.
	so := func(what string, want ...int) {
		t.Helper()
		eventually(t, what, func() bool {
			for i, l := range s.loops {
				if n := int(l.count.Load()) - idle/len(s.loops); n < want[i]-2 || n > want[i]+2 || want[i] == 0 && n != 0 {
					return false
				}
			}
			return true
		})
	}
	so("all loops are used", 6, 6, 6, 6)
	s.ShareProcessors(1, 1)
	time.Sleep(5 * tickInterval)
	so("nothing waits, so that all still are", 6, 6, 6, 6)
	waits.Store(true)
	so("one loop is used", 24, 0, 0, 0)
	ask(t, dial(t, s), "hello", "hello")
	if n := s.loops[0].count.Load(); n != 24+idle/4+1 {
		t.Errorf("a new connection went to a loop that is not used: the first has %d", n)
	}
	s.ShareProcessors(4, 3) // of four processors, one is for something else
	so("three loops are used", 8, 8, 8, 0)
	s.ShareProcessors(9, 9)
	so("all are used again", 6, 6, 6, 6)
	s.ShareProcessors(2, 2)
	so("two loops are used", 12, 12, 0, 0)
	waits.Store(false)
	so("all are used when nothing waits any more", 6, 6, 6, 6)
	stop()
	moved := backend.moved.Load()
	time.Sleep(3 * tickInterval)
	if n := backend.moved.Load(); n != moved {
		t.Errorf("%d idle connections moved", n-moved)
	}
}

// A loop that has more busy connections than the others shares them, with some patience.
func TestUnevenLoops(t *testing.T) {
	backend := &toy{}
	s := serve(t, backend, Options{Loops: 2})
	var idle []net.Conn
	for range 20 { // every other one will be busy: those of one loop
		idle = append(idle, dial(t, s))
	}
	eventually(t, "all connections open", func() bool { return backend.opened.Load() == 20 })
	var over atomic.Bool
	var all sync.WaitGroup
	for i := 0; i < len(idle); i += 2 {
		all.Go(func() {
			for !over.Load() {
				ask(t, idle[i], "hello", "hello")
				time.Sleep(time.Millisecond)
			}
		})
	}
	eventually(t, "they are even", func() bool { return min(s.loops[0].active.Load(), s.loops[1].active.Load()) >= 4 })
	over.Store(true)
	all.Wait()
	if moved := backend.moved.Load(); moved < 3 || moved > 7 {
		t.Errorf("%d connections moved", moved)
	}
}

// What cannot leave stays, and goes on: a session with something under way, or one whose
// client does not read.
func TestWhoStays(t *testing.T) {
	scatterConns = true
	defer func() { scatterConns = false }()
	backend := &toy{stay: func(s *toySession) bool { return true }}
	s := serve(t, backend, Options{Loops: 3})
	c := dial(t, s)
	for range 100 {
		ask(t, c, "hello", "hello")
	}
	if n := backend.moved.Load(); n != 0 {
		t.Errorf("%d sessions moved that had to stay", n)
	}

	large := strings.Repeat("x", 8<<20)
	backend = &toy{feed: func(s *toySession, data []byte) {
		if s.data == nil {
			s.c.Write([]byte(large))
			s.data = true
		}
		s.c.Write(data)
	}}
	s = serve(t, backend, Options{Loops: 3})
	c = dial(t, s)
	const pieces = 50
	for range pieces {
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if n := backend.moved.Load(); n > 1 {
		t.Errorf("a session moved %d times with output that its client does not read", n)
	}
	want := large + strings.Repeat("hello", pieces)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("what was read late is not what was sent: %v", err)
	}
}

// Without descriptors to spare nobody moves, and nobody is lost.
func TestNoDescriptorsToMove(t *testing.T) {
	scatterConns = true
	defer func() { scatterConns = false }()
	backend := &toy{}
	s := serve(t, backend, Options{Loops: 3})
	c := dial(t, s)
	ask(t, c, "hello", "hello")
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	few := lim
	few.Cur = 4 * openingMax
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			t.Error(err)
		}
	}()
	s.filesMax.Store(0) // what is remembered is older
	moved := backend.moved.Load()
	for range 100 {
		ask(t, c, "hello", "hello")
	}
	if n := backend.moved.Load(); n > moved+1 { // one may have been on its way
		t.Errorf("%d connections moved", n-moved)
	}
}

// A connection that is lost on its way ends, and its session hears of it.
func TestLostOnTheWay(t *testing.T) {
	backend := &toy{}
	s := serve(t, backend, Options{Loops: 2})
	c := dial(t, s)
	ask(t, c, "hello", "hello")
	why := errors.New("no descriptor")
	results := make(chan gnet.RegisteredResult, 1)
	results <- gnet.RegisteredResult{Err: why}
	var lost *transit
	on(t, s, 0, func() {
		l := s.loops[0]
		if len(l.conns) == 0 {
			return
		}
		lost = &transit{c: l.conns[0]}
		if !l.detach(lost.c, s.loops[1]) {
			lost = nil
		}
	})
	if lost == nil {
		t.Fatal("the connection did not leave")
	}
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections are counted while one is on its way", n)
	}
	s.loops[1].expect(lost, results)
	eventually(t, "the end of the session", func() bool { return backend.closed.Load() == 1 })
	if r, _ := backend.reason.Load().(closeReason); r.err != why {
		t.Errorf("it was told %v", r.err)
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}
