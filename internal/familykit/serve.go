package familykit

import (
	"net"
	"strconv"
	"sync"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/internal/testkit"
)

// NewEngine builds an engine that ends with the test. The settings are named as in
// the configuration file; nil means the defaults.
func NewEngine(t testing.TB, settings map[string]string, families ...engine.Family) *engine.Engine {
	t.Helper()
	cfg, err := config.FromMap(settings)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{Config: cfg, Families: families})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// A Server is an engine behind a real socket, for what is about addresses, about
// clients beside each other, or about how a session ends. Every connection has a
// loop of its own, so that no two clients live on the same. As a testkit.Target it
// opens connections. Safe for concurrent use.
type Server struct {
	*engine.Engine
	Addr string // where it listens, "127.0.0.1:port"

	conns sync.WaitGroup
}

// Serve builds an engine as NewEngine does and serves it until the test ends.
func Serve(t testing.TB, settings map[string]string, families ...engine.Family) *Server {
	t.Helper()
	e := NewEngine(t, settings, families...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Engine: e, Addr: listener.Addr().String()}
	s.conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		for _, session := range s.Clients() {
			session.Kill(nil)
		}
		s.conns.Wait()
	})
	return s
}

// Name implements testkit.Target.
func (s *Server) Name() string { return "server on " + strconv.Itoa(len(s.Shards.Shards)) }

// Dial implements testkit.Target. The connection ends with the test if not before.
func (s *Server) Dial(t testing.TB) testkit.Client {
	t.Helper()
	c, err := testkit.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// serve is the event loop of one connection.
func (s *Server) serve(conn net.Conn) {
	wake := make(chan struct{}, 1)
	loop := s.NewLoop(0, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer loop.Close()
	defer conn.Close()
	session, err := loop.Open(outlet{conn}, engine.ConnInfo{
		RemoteAddr: conn.RemoteAddr().String(), LocalAddr: conn.LocalAddr().String(), FD: 9,
	})
	if err != nil {
		return
	}
	input := make(chan []byte)
	go read(conn, input)
	for {
		select {
		case b, open := <-input:
			if !open {
				session.Closed(nil)
				return
			}
			session.Feed(b)
		case <-wake:
			loop.Woken()
		}
	}
}

// read hands on what arrives until the connection is closed by either side.
func read(conn net.Conn, input chan<- []byte) {
	defer close(input)
	for {
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if n > 0 {
			input <- b[:n]
		}
		if err != nil {
			return
		}
	}
}

// outlet sends what a session says, and waits where the peer does not read. Closing
// it ends the reading as well, by which the loop notices.
type outlet struct{ net.Conn }

func (o outlet) Write(p []byte)            { o.Conn.Write(p) }
func (o outlet) WriteAnyway(p []byte)      { o.Write(p) }
func (o outlet) Unsent() int               { return 0 }
func (o outlet) NotifyDrained(int, func()) {}
func (o outlet) Close()                    { o.Conn.Close() }
