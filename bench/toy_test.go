package bench

import (
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"

	"hyperkv/resp"
)

// toy is a server whose behaviour a test decides: answer is called for each
// request and returns what to write; close drops the connection.
type toy struct {
	target Target
	answer func(request []byte) (reply string, close bool)
}

func newToy(t *testing.T, answer func([]byte) (string, bool)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &toy{target: Target{Network: "tcp", Address: l.Addr().String()}, answer: answer}
	var group sync.WaitGroup
	var mu sync.Mutex // guards conns: the acceptor adds, the cleanup closes
	var conns []net.Conn
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			group.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		group.Wait()
	})
	return s.target
}

func (s *toy) serve(c net.Conn) {
	defer c.Close()
	var pending []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := c.Read(chunk)
		if err != nil {
			return
		}
		pending = append(pending, chunk[:n]...)
		var out []byte
		for {
			n, err := resp.SkipValue(pending)
			if err != nil {
				return
			}
			if n == 0 {
				break
			}
			reply, drop := s.answer(pending[:n])
			out = append(out, reply...)
			pending = pending[n:]
			if drop {
				c.Write(out)
				return
			}
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// redisServer skips a test on a machine without redis-server.
func redisServer(t *testing.T) Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on PATH")
	}
	return ServerAt(path)
}

// tiny is a workload that ends quickly.
func tiny(name string) Workload {
	return Workload{Ops: []Op{mustOp(name, 1)}, Connections: 4, Pipeline: 4, Requests: 1000, Keys: Keys{Count: 100}, Timeout: 5 * time.Second}
}
