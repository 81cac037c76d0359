package netio

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// toy is a Backend made of functions. A nil function does nothing.
type toy struct {
	open  func(l *toyLoop, c *Conn) error
	feed  func(s *toySession, data []byte)
	woken func(l *toyLoop)
	// commit is called from inside the others.
	commit    func(l *toyLoop, wait bool) Ticket
	committed func(l *toyLoop, t Ticket) Ticket
	tick      func(l *toyLoop)
	stay      func(s *toySession) bool // it does not leave
	left      func(l *toyLoop, s *toySession)

	loops  []*toyLoop
	opened atomic.Int64
	closed atomic.Int64
	twice  atomic.Int64 // sessions that were told twice, or after the end
	reason atomic.Value // the last closeReason
	moved  atomic.Int64
}

type toyLoop struct {
	*toy
	index    int
	wake     func()
	sessions int
	inside   bool // the backend is being called: calls must not nest
}

type toySession struct {
	*toyLoop
	c    *Conn
	over bool
	data any
}

type closeReason struct{ err error }

func (t *toy) NewLoop(index int, wake func()) Loop {
	l := &toyLoop{toy: t, index: index, wake: wake}
	t.loops = append(t.loops, l)
	return l
}

// enter and leave assert that netio never calls into a running backend.
func (l *toyLoop) enter() {
	if l.inside {
		panic("the backend was called from inside itself")
	}
	l.inside = true
}
func (l *toyLoop) leave() { l.inside = false }

func (l *toyLoop) Open(c *Conn) (Session, error) {
	l.enter()
	defer l.leave()
	if l.open != nil {
		if err := l.open(l, c); err != nil {
			return nil, err
		}
	}
	l.opened.Add(1)
	l.sessions++
	return &toySession{toyLoop: l, c: c}, nil
}

func (l *toyLoop) Commit(wait bool) Ticket {
	if l.commit == nil {
		return Now
	}
	return l.commit(l, wait)
}

func (l *toyLoop) Committed(t Ticket) Ticket { return l.committed(l, t) }

func (l *toyLoop) Woken() {
	l.enter()
	defer l.leave()
	if l.woken != nil {
		l.woken(l)
	}
}

func (l *toyLoop) Leave(session Session, to Loop) bool {
	l.enter()
	defer l.leave()
	s := session.(*toySession)
	if s.toyLoop != l || s.over {
		panic("a session leaves a loop that is not its own, or after its end")
	}
	if l.stay != nil && l.stay(s) {
		return false
	}
	if l.left != nil {
		l.left(l, s)
	}
	l.sessions--
	s.toyLoop = nil
	return true
}

func (l *toyLoop) Arrive(session Session, c *Conn) {
	l.enter()
	defer l.leave()
	s := session.(*toySession)
	if s.toyLoop != nil || s.c != c {
		panic("a session arrives that has not left")
	}
	l.sessions++
	l.moved.Add(1)
	s.toyLoop = l
}

func (l *toyLoop) Tick(time.Time) {
	l.enter()
	defer l.leave()
	if l.tick != nil {
		l.tick(l)
	}
}

func (s *toySession) Feed(data []byte) {
	s.enter()
	defer s.leave()
	if s.over {
		s.twice.Add(1)
	}
	if s.feed == nil {
		s.c.Write(data) // echo
		return
	}
	s.feed(s, data)
}

func (s *toySession) Closed(err error) {
	s.enter()
	defer s.leave()
	if s.over {
		s.twice.Add(1)
	}
	s.over = true
	s.sessions--
	s.reason.Store(closeReason{err})
	s.closed.Add(1)
}

// named is a test that others run again, in other circumstances.
type named struct {
	name string
	test func(t *testing.T)
}

func runAll(t *testing.T, tests ...named) {
	t.Helper()
	for _, c := range tests {
		t.Run(c.name, c.test)
	}
}

var quiet = slog.New(slog.DiscardHandler)

// serve starts a server for the length of the test, after which every session must
// have been closed once and every goroutine be gone.
func serve(t testing.TB, backend *toy, o Options) *Server {
	t.Helper()
	if o.Port == 0 && o.UnixSocket == "" {
		o.Port = -1
	}
	if o.Log == nil {
		o.Log = quiet
	}
	var p *promiser
	if promiseReplies {
		p = &promiser{stop: make(chan struct{}), stopped: make(chan struct{})}
		backend.commit, backend.committed = p.commit, p.committed
	}
	s, err := Serve(context.Background(), backend, o)
	if err != nil {
		t.Fatal(err)
	}
	if p != nil {
		go p.run(backend.loops)
		t.Cleanup(func() { close(p.stop); <-p.stopped })
	}
	if holdReplies {
		hold(s)
	}
	if scatterConns {
		stop := scatter(s)
		t.Cleanup(stop)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for range 2 { // idempotent
			if err := s.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		}
		if o, c := backend.opened.Load(), backend.closed.Load(); o != c {
			t.Errorf("%d sessions opened, %d closed", o, c)
		}
		if n := backend.twice.Load(); n != 0 {
			t.Errorf("%d calls to sessions that were closed", n)
		}
		if err := s.Execute(0, func() {}); err == nil {
			t.Error("Execute after Shutdown gave no error")
		}
		for _, l := range backend.loops {
			l.wake() // must not touch a descriptor that is somebody else's by now
		}
	})
	return s
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	return c
}

// ask sends request and reads as many bytes as want has, which they must equal.
func ask(t testing.TB, c net.Conn, request, want string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(want)) {
		t.Fatalf("asked %q: got %q, %v; want %q", request, got, err, want)
	}
}

// eventually waits for ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for: %s", what)
		}
	}
}

// on runs f on a loop and waits for it.
func on(t testing.TB, s *Server, loop int, f func()) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Add(1)
	if err := s.Execute(loop, func() { defer wg.Done(); f() }); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

func TestMain(m *testing.M) {
	if child := os.Getenv("NETIO_TEST_CHILD"); child != "" {
		children[child]()
		return
	}
	// gnet registers connections through a pool of goroutines that outlives it.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

var errBusy = errors.New("-ERR max number of clients reached\r\n")
