package server_test

import (
	"net"
	"sync"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
)

// served puts an engine behind a real socket, with a loop for every connection.
func served(t testing.TB, name string, settings map[string]string) (testkit.Target, *engine.Engine) {
	t.Helper()
	e := newEngine(t, settings)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serve(e, c) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		for _, s := range e.Clients() {
			s.Kill(nil)
		}
		conns.Wait()
	})
	return testkit.Address(name, "tcp", listener.Addr().String()), e
}

func serve(e *engine.Engine, c net.Conn) {
	wake := make(chan struct{}, 1)
	loop := e.NewLoop(0, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer loop.Close()
	defer c.Close()
	session, err := loop.Open(outlet{c}, engine.ConnInfo{RemoteAddr: c.RemoteAddr().String(), LocalAddr: c.LocalAddr().String()})
	if err != nil {
		return
	}
	arrived := make(chan []byte)
	go func() {
		defer close(arrived)
		for {
			b := make([]byte, 4096)
			n, err := c.Read(b)
			if n > 0 {
				arrived <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case b, open := <-arrived:
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
func (o outlet) Close()                    { o.Conn.Close() }

func TestTranscripts(t *testing.T) {
	one, _ := served(t, "one shard", map[string]string{"worker_threads": "1", "enable_debug_command": "yes"})
	three, _ := served(t, "three shards", map[string]string{"worker_threads": "3", "enable_debug_command": "local"})
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t, "--enable-module-command", "yes"), one, three)
}
