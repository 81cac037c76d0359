package connection

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// server is this family and as little as the scripts need besides, behind real
// sockets, because much of it is about addresses. Every connection has a loop of
// its own, so that the clients of a test live on different ones.
type server struct {
	*engine.Engine
	addr  string
	conns sync.WaitGroup
}

func startServer(t testing.TB, settings map[string]string) *server {
	t.Helper()
	cfg, err := config.FromMap(settings)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{Config: cfg, Families: []engine.Family{Family, engine.Transactions,
		{Name: "scenery", Commands: scenery()}}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Engine: e, addr: listener.Addr().String()}
	s.conns.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		for _, session := range e.Clients() {
			session.Kill(nil)
		}
		s.conns.Wait()
		e.Close()
	})
	return s
}

func (s *server) target() testkit.Target {
	return testkit.Address("in process with "+strconv.Itoa(len(s.Shards.Shards)), "tcp", s.addr)
}

// serve is the event loop of one connection.
func (s *server) serve(nc net.Conn) {
	wake := make(chan struct{}, 1)
	loop := s.NewLoop(0, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer loop.Close()
	defer nc.Close()
	session, err := loop.Open(outlet{nc}, engine.ConnInfo{
		RemoteAddr: nc.RemoteAddr().String(), LocalAddr: nc.LocalAddr().String(), FD: 9,
	})
	if err != nil {
		return
	}
	input := make(chan []byte)
	go func() {
		defer close(input)
		for {
			b := make([]byte, 4096)
			n, err := nc.Read(b)
			if n > 0 {
				input <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
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

type outlet struct{ net.Conn }

func (o outlet) Write(p []byte)            { o.Conn.Write(p) }
func (o outlet) Unsent() int               { return 0 }
func (o outlet) NotifyDrained(int, func()) {}

// Close ends what this side sends; reading notices.
func (o outlet) Close() { o.Conn.Close() }

// scenery is as much of the other families as the scripts need.
func scenery() []engine.Command {
	return []engine.Command{{
		Name: "SET", Arity: 3, Keys: engine.OneKey("OW update"), Flags: engine.Write,
		Run: func(c *shard.Call) error {
			c.DB.Set(c.Key(), c.Args[2], 0)
			return c.Reply.OK()
		},
	}, {
		Name: "GET", Arity: 2, Keys: engine.OneKey("RO access"), Flags: engine.Read,
		Run: func(c *shard.Call) error {
			e := c.DB.Lookup(c.Key())
			if !e.Exists() {
				return c.Reply.Null()
			}
			return c.Reply.Bulk(e.AppendString(nil))
		},
	}, {
		Name: "FLUSHALL", Arity: 1, Scope: engine.ScopeAll, Flags: engine.Write,
		Run: func(c *shard.Call) error {
			for number := range c.Databases() {
				c.Flush(number, false)
			}
			return c.Reply.OK()
		},
	}}
}

func (s *server) dial(t testing.TB) *testkit.Conn {
	t.Helper()
	c, err := testkit.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask runs a command and returns its reply as text.
func ask(t testing.TB, c testkit.Client, args ...string) string {
	t.Helper()
	v, err := c.Do(args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v.Text()
}

func expect(t testing.TB, want string, c testkit.Client, args ...string) {
	t.Helper()
	if got := ask(t, c, args...); got != want {
		t.Fatalf("%v: got %q, want %q", args, got, want)
	}
}

// gone waits until the server has closed the connection.
func gone(t testing.TB, c testkit.Client) {
	t.Helper()
	if v, err := c.Receive(5 * time.Second); err == nil {
		t.Fatalf("got %q from a connection that should be closed", v.Text())
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Fatal("the connection is still open")
	}
}
