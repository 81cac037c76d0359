package netio

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fill makes p a piece of a stream whose bytes depend on their place in it, so that
// a lost, doubled or moved byte shows.
func fill(p []byte, offset int) {
	for i := range p {
		p[i] = byte(uint64(offset+i) * 0x9e3779b97f4a7c15 >> 40)
	}
}

// streamSum is the checksum of the stream's first n bytes.
func streamSum(n int) string {
	h := sha256.New()
	p := make([]byte, 64<<10)
	for at := 0; at < n; at += len(p) {
		p = p[:min(len(p), n-at)]
		fill(p, at)
		h.Write(p)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// readSlowly reads n bytes in small and large gulps with pauses.
func readSlowly(t *testing.T, c net.Conn, n int, h hash.Hash) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, 256<<10)
	for n > 0 {
		size := 1 + r.IntN(4096)
		if r.IntN(2) == 0 {
			size = 1 + r.IntN(len(p))
		}
		m, err := io.ReadFull(c, p[:min(size, n)])
		h.Write(p[:m])
		n -= m
		if err != nil {
			t.Fatalf("%d bytes short: %v", n, err)
		}
		if r.IntN(8) == 0 {
			time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
		}
	}
}

// Replies arrive whole and in order, whatever the kernel takes at a time, however
// they are cut into Writes, and whichever of the three places they wait in.
func TestOrderUnderPartialWrites(t *testing.T) {
	const total = 12 << 20
	want := streamSum(total)
	for _, sndbuf := range []int{1, 16 << 10, 0} {
		t.Run(fmt.Sprint("sndbuf=", sndbuf), func(t *testing.T) {
			backend := &toy{open: func(_ *toyLoop, c *Conn) error {
				if sndbuf == 0 {
					return nil
				}
				return unix.SetsockoptInt(c.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, sndbuf)
			}}
			backend.feed = func(s *toySession, data []byte) {
				// Each request byte asks for a random part of the stream.
				at, _ := s.data.(int)
				r := rand.New(rand.NewPCG(uint64(at), 7))
				for range data {
					for range 1 + r.IntN(20) {
						n := r.IntN(300)
						if r.IntN(10) == 0 {
							n = r.IntN(200 << 10)
						}
						n = min(n, total-at)
						p := make([]byte, n)
						fill(p, at)
						s.c.Write(p)
						clear(p) // it was only borrowed
						at += n
					}
				}
				s.data = at
			}
			c := dial(t, serve(t, backend, Options{}))
			if sndbuf != 0 {
				_ = c.(*net.TCPConn).SetReadBuffer(16 << 10)
			}
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
					time.Sleep(100 * time.Microsecond)
				}
			}()
			h := sha256.New()
			readSlowly(t, c, total, h)
			if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
				t.Fatalf("the stream changed on its way: %s, want %s", got, want)
			}
		})
	}
}

func TestBigWrite(t *testing.T) {
	total := 100 << 20
	if raceEnabled {
		total = 20 << 20 // the detector looks at every byte
	}
	backend := &toy{feed: func(s *toySession, data []byte) {
		p := make([]byte, total)
		fill(p, 0)
		s.c.Write(p)
	}}
	c := dial(t, serve(t, backend, Options{}))
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.CopyN(h, c, int64(total)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", h.Sum(nil)) != streamSum(total) {
		t.Fatal("the stream changed on its way")
	}
	ask(t, dial(t, serve(t, &toy{}, Options{})), "still there", "still there")
}

// A session that watches its output holds a bounded amount for a slow reader, goes
// on when the reader does, and the loop's other clients do not notice.
func TestSlowReaderIsBounded(t *testing.T) {
	const total, limit, piece = 32 << 20, 2 << 20, 32 << 10
	var most atomic.Int64
	backend := &toy{}
	backend.feed = func(s *toySession, data []byte) {
		if data[0] == 'p' {
			s.c.Write([]byte("pong"))
			return
		}
		at := 0
		p := make([]byte, piece)
		var produce func()
		produce = func() {
			for at < total {
				if s.c.Unsent() >= limit {
					s.c.NotifyDrained(limit/2, produce)
					return
				}
				fill(p, at)
				s.c.Write(p)
				at += piece
				most.Store(max(most.Load(), int64(s.c.Unsent())))
			}
		}
		produce()
	}
	s := serve(t, backend, Options{})
	slow := dial(t, s)
	_ = slow.(*net.TCPConn).SetReadBuffer(64 << 10)
	if _, err := slow.Write([]byte("go")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the output reaches its limit", func() bool { return most.Load() >= limit })
	other := dial(t, s)
	for range 200 {
		began := time.Now()
		ask(t, other, "ping", "pong")
		if d := time.Since(began); d > time.Second {
			t.Errorf("a neighbour of the slow reader waited %v", d)
		}
		time.Sleep(time.Millisecond)
	}
	h := sha256.New()
	if _, err := io.CopyN(h, slow, total); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%x", h.Sum(nil)) != streamSum(total) {
		t.Error("the stream changed on its way")
	}
	if m := most.Load(); m > limit+piece {
		t.Errorf("%d bytes were unsent at a time, limit %d", m, limit)
	}
}

// NotifyDrained keeps its promise when there is nothing to wait for, but not before
// the session has returned.
func TestNotifyDrainedAtOnce(t *testing.T) {
	backend := &toy{}
	backend.feed = func(s *toySession, data []byte) {
		rounds := 3
		var f func()
		f = func() {
			if rounds--; rounds > 0 {
				s.c.NotifyDrained(1, f)
				return
			}
			s.c.Write([]byte("second"))
		}
		s.c.NotifyDrained(1, f)
		s.c.Write([]byte("first "))
	}
	ask(t, dial(t, serve(t, backend, Options{})), "x", "first second")
}

// Close in the middle of anything: the reply before it arrives, one after it does
// not, and Closed is told once.
func TestCloseInsideFeed(t *testing.T) {
	backend := &toy{}
	backend.feed = func(s *toySession, data []byte) {
		switch string(data) {
		case "close":
			s.c.Write([]byte("bye"))
			s.c.Close()
			s.c.Write([]byte("never"))
			s.c.Close()
			s.c.CloseNow()
		case "now":
			s.c.Write([]byte("bye"))
			s.c.CloseNow()
			s.c.NotifyDrained(1, func() { t.Error("called after CloseNow") })
		case "big":
			s.c.Write(make([]byte, 20<<20))
			s.c.Close()
			if s.c.Unsent() == 0 {
				t.Error("20 MB were sent at once, nothing lingered")
			}
		}
	}
	s := serve(t, backend, Options{})
	f := func(request string, want int) {
		t.Helper()
		c := dial(t, s)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		if want > 1<<20 {
			time.Sleep(100 * time.Millisecond) // the kernel does not take all of it before somebody reads
		}
		got, err := io.ReadAll(c)
		if err != nil || len(got) != want {
			t.Errorf("%s: %d bytes, %v; want %d", request, len(got), err, want)
		}
		eventually(t, request+" closed", func() bool { return s.Connections() == 0 })
		if r := backend.reason.Load().(closeReason); r.err != nil {
			t.Errorf("%s: closed with %v", request, r.err)
		}
	}
	f("close", 3)
	f("now", 3)
	f("big", 20<<20)
}

// CloseNow drops what a reader that does not read was to get.
func TestCloseNowDropsTheQueue(t *testing.T) {
	backend := &toy{feed: func(s *toySession, data []byte) {
		s.c.Write(make([]byte, 64<<20))
		s.c.CloseNow()
	}}
	s := serve(t, backend, Options{})
	c := dial(t, s)
	ask(t, c, "x", "")
	eventually(t, "closed", func() bool { return backend.closed.Load() == 1 })
	if n, _ := io.Copy(io.Discard, c); n >= 64<<20 {
		t.Errorf("all %d bytes arrived", n)
	}
}

// One client's command closes the others, on the same loop, while they are talking.
func TestCloseOthers(t *testing.T) {
	var all []*Conn // of the one loop
	backend := &toy{open: func(l *toyLoop, c *Conn) error { all = append(all, c); return nil }}
	backend.feed = func(s *toySession, data []byte) {
		if data[0] != 'k' {
			s.c.Write(data)
			return
		}
		for _, c := range all {
			if c != s.c {
				c.Write([]byte("killed"))
				c.CloseNow()
			}
		}
		all = append(all[:0], s.c)
		s.c.Write([]byte("done"))
	}
	s := serve(t, backend, Options{})
	for range 20 {
		var victims []net.Conn
		for range 10 {
			c := dial(t, s)
			ask(t, c, "hello", "hello")
			victims = append(victims, c)
		}
		for _, c := range victims {
			_, _ = c.Write([]byte("more"))
		}
		killer := dial(t, s)
		ask(t, killer, "k", "done")
		for _, c := range victims {
			if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Error(err)
			}
		}
		killer.Close()
		eventually(t, "all closed", func() bool { return s.Connections() == 0 })
		on(t, s, 0, func() { all = all[:0] })
	}
}

// What the client asked before it closed its sending side is answered.
func TestHalfClose(t *testing.T) {
	backend := &toy{feed: func(s *toySession, data []byte) { s.c.Write([]byte("pong")) }}
	s := serve(t, backend, Options{})
	c := dial(t, s)
	_, _ = c.Write([]byte("ping"))
	_ = c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); err != nil || string(got) != "pong" {
		t.Fatalf("%q %v", got, err)
	}
	eventually(t, "closed", func() bool { return backend.closed.Load() == 1 })
	if r := backend.reason.Load().(closeReason); r.err != io.EOF {
		t.Errorf("closed with %v, want EOF", r.err)
	}
}

// A write to a client that is gone ends the session and nothing else.
func TestWriteToLostClient(t *testing.T) {
	backend := &toy{feed: func(s *toySession, data []byte) {
		for range 64 {
			s.c.Write(make([]byte, 1<<20))
		}
	}}
	s := serve(t, backend, Options{})
	for range 20 {
		c := dial(t, s)
		_, _ = c.Write([]byte("x"))
		_, _ = io.ReadFull(c, make([]byte, 100))
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close() // a reset
	}
	eventually(t, "all closed", func() bool { return s.Connections() == 0 && backend.closed.Load() == 20 })
}

func TestRefusedByOpen(t *testing.T) {
	backend := &toy{open: func(*toyLoop, *Conn) error { return errBusy }}
	s := serve(t, backend, Options{})
	for range 10 {
		got, err := io.ReadAll(dial(t, s))
		if err != nil || string(got) != errBusy.Error() {
			t.Fatalf("%q %v", got, err)
		}
	}
	eventually(t, "not counted any more", func() bool { return s.Connections() == 0 })
}

func TestConnFacts(t *testing.T) {
	facts := make(chan *Conn, 1)
	backend := &toy{open: func(_ *toyLoop, c *Conn) error {
		c.SetKeepAlive(77)
		facts <- c
		return nil
	}}
	s := serve(t, backend, Options{KeepAliveSeconds: 300})
	client := dial(t, s)
	c := <-facts
	on(t, s, 0, func() {
		if c.RemoteAddr() != client.LocalAddr().String() || c.LocalAddr() != s.Addr()[0] || c.Unix() {
			t.Errorf("%s -> %s, unix %v", c.RemoteAddr(), c.LocalAddr(), c.Unix())
		}
		f := func(level, option, want int) {
			t.Helper()
			if got, err := unix.GetsockoptInt(c.FD(), level, option); err != nil || got != want {
				t.Errorf("socket option %d: %d %v, want %d", option, got, err, want)
			}
		}
		f(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		f(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		f(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 77)
		f(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 25)
		c.SetKeepAlive(0)
		f(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	})
}
