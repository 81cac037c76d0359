package netio

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Connections are spread evenly, and keep being so when some leave.
func TestBalance(t *testing.T) {
	for _, loops := range []int{1, 2, 3, 7} {
		backend := &toy{}
		s := serve(t, backend, Options{Loops: loops})
		var conns []net.Conn
		check := func() {
			t.Helper()
			eventually(t, "all connections open", func() bool {
				return backend.opened.Load()-backend.closed.Load() == int64(len(conns))
			})
			for i, l := range backend.loops {
				on(t, s, i, func() {
					if want := len(conns) / loops; l.sessions < want || l.sessions > want+1 {
						t.Errorf("loop %d of %d has %d of %d sessions", i, loops, l.sessions, len(conns))
					}
				})
			}
		}
		for range 50 {
			conns = append(conns, dial(t, s))
		}
		check()
		rand.Shuffle(50, func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
		for _, c := range conns[20:] {
			c.Close()
		}
		conns = conns[:20]
		eventually(t, "closed", func() bool { return s.Connections() == 20 })
		for range 30 {
			conns = append(conns, dial(t, s))
		}
		check()
	}
}

// Every piece of work that was published before wake is seen by a Woken, whoever
// wakes whom, while connections come and go.
func TestWakeIsNeverLost(t *testing.T) {
	const producers, each = 8, 5000
	type mailbox struct {
		mu   sync.Mutex
		work []chan struct{}
	}
	boxes := make([]mailbox, 3)
	backend := &toy{woken: func(l *toyLoop) {
		b := &boxes[l.index]
		b.mu.Lock()
		work := b.work
		b.work = nil
		b.mu.Unlock()
		for _, done := range work {
			done <- struct{}{}
		}
	}}
	s := serve(t, backend, Options{Loops: len(boxes)})
	stop := make(chan struct{})
	var traffic, wg sync.WaitGroup
	for range 4 {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", s.Addr()[0])
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					ask(t, c, "hello", "hello")
				}
				c.Close()
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(p), 1))
			done := make(chan struct{}, 16)
			for i := 0; i < each; {
				n := 1 + r.IntN(cap(done))
				for range n {
					b := r.IntN(len(boxes))
					boxes[b].mu.Lock()
					boxes[b].work = append(boxes[b].work, done)
					boxes[b].mu.Unlock()
					backend.loops[b].wake()
				}
				for range n {
					select {
					case <-done:
					case <-time.After(10 * time.Second):
						t.Error("a wake-up was lost")
						return
					}
				}
				i += n
			}
		})
	}
	wg.Wait()
	close(stop)
	traffic.Wait()
}

// Many wake-ups at once cost one Woken, and one that is pending costs no memory.
func TestWakeCost(t *testing.T) {
	var woken atomic.Int64
	backend := &toy{woken: func(*toyLoop) { woken.Add(1) }}
	s := serve(t, backend, Options{})
	wake := backend.loops[0].wake
	on(t, s, 0, func() {
		before := woken.Load()
		wake()
		if n := testing.AllocsPerRun(1000, wake); n != 0 {
			t.Errorf("a pending wake-up allocates %v times", n)
		}
		if woken.Load() != before {
			t.Error("Woken ran inside another task of its loop")
		}
	})
	eventually(t, "the wake-up", func() bool { return woken.Load() == 1 })
	time.Sleep(10 * time.Millisecond)
	if n := woken.Load(); n != 1 {
		t.Errorf("1000 wake-ups while one was pending: %d Woken", n)
	}
}

// A thousand clients come, talk and leave at random, some of them rudely, while all
// loops are being woken, ticked and given functions to run.
func TestConnectionsAtRandom(t *testing.T) {
	backend := &toy{}
	live := make([]map[*toySession]bool, 4)
	for i := range live {
		live[i] = map[*toySession]bool{}
	}
	backend.feed = func(s *toySession, data []byte) {
		live[s.index][s] = true
		switch data[len(data)-1] {
		case 'q':
			s.c.Write(data)
			s.c.Close()
		case 'k':
			s.c.CloseNow()
		default:
			s.c.Write(data)
		}
	}
	backend.left = func(l *toyLoop, s *toySession) { delete(live[l.index], s) }
	backend.woken = func(l *toyLoop) {
		for s := range live[l.index] { // push messages, as pub/sub would
			if s.over {
				delete(live[l.index], s)
				continue
			}
			s.c.Write([]byte("!"))
			if rand.IntN(50) == 0 {
				s.c.CloseNow()
			}
			break
		}
	}
	s := serve(t, backend, Options{Loops: len(live)})
	stop := make(chan struct{})
	var noise, clients sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				backend.loops[rand.IntN(len(live))].wake()
				_ = s.Execute(rand.IntN(len(live)), func() {})
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	gate := make(chan struct{}, 200)
	for i := range 1000 {
		clients.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			c, err := net.Dial("tcp", s.Addr()[0])
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			r := rand.New(rand.NewPCG(uint64(i), 3))
			for range r.IntN(30) {
				if _, err := io.WriteString(c, strings.Repeat("x", 1+r.IntN(300))); err != nil {
					return
				}
				if _, err := c.Read(make([]byte, 64)); err != nil {
					return
				}
			}
			switch r.IntN(4) {
			case 0:
				_, _ = io.WriteString(c, "q")
				_, _ = io.Copy(io.Discard, c)
			case 1:
				_, _ = io.WriteString(c, "k")
			case 2:
				_ = c.(*net.TCPConn).SetLinger(0)
			}
		})
	}
	clients.Wait()
	close(stop)
	noise.Wait()
	eventually(t, "all closed", func() bool {
		return s.Connections() == 0 && backend.closed.Load() == backend.opened.Load()
	})
}

// Shutdown delivers what was queued to readers that take it, and waits for no
// longer than it was told to for those that do not.
func TestShutdownFlushes(t *testing.T) {
	const total = 8 << 20
	backend := &toy{feed: func(s *toySession, data []byte) {
		p := make([]byte, total)
		fill(p, 0)
		s.c.Write(p)
	}}
	s := serve(t, backend, Options{Loops: 2})
	want := streamSum(total)
	var readers sync.WaitGroup
	for range 4 {
		c := dial(t, s)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			h := sha256.New()
			first := make([]byte, 1)
			fill(first, 0)
			h.Write(first)
			time.Sleep(50 * time.Millisecond)
			readSlowly(t, c, total-1, h)
			if fmt.Sprintf("%x", h.Sum(nil)) != want {
				t.Error("the stream changed on its way")
			}
			if n, err := c.Read(first); n != 0 || err != io.EOF {
				t.Errorf("after the last reply: %d bytes, %v", n, err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	readers.Wait()
}

func TestShutdownIsBounded(t *testing.T) {
	backend := &toy{feed: func(s *toySession, data []byte) { s.c.Write(make([]byte, 32<<20)) }}
	s := serve(t, backend, Options{})
	c := dial(t, s)
	ask(t, c, "x", "\x00")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("a reader that does not read held the shutdown up for %v", d)
	}
}

// After StopAccepting nobody gets in, and who is in is served.
func TestStopAccepting(t *testing.T) {
	s := serve(t, &toy{}, Options{})
	c := dial(t, s)
	ask(t, c, "in", "in")
	s.StopAccepting()
	s.StopAccepting()
	ask(t, c, "still in", "still in")
	if c, err := net.Dial("tcp", s.Addr()[0]); err == nil {
		c.Close()
		t.Error("let in after StopAccepting")
	}
}

func TestSecondBindIsRefused(t *testing.T) {
	s := serve(t, &toy{}, Options{})
	addr := s.Addr()[0]
	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	_, err := Serve(context.Background(), &toy{}, Options{Port: n, Log: quiet})
	if want := "listen on " + addr + ": address already in use"; err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Error("the error does not wrap EADDRINUSE")
	}
	_, err = Serve(context.Background(), &toy{}, Options{Hosts: []string{"192.0.2.1"}, Port: n, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1:"+port) {
		t.Errorf("an address of somebody else: %v", err)
	}
}

func TestSeveralHosts(t *testing.T) {
	s := serve(t, &toy{}, Options{Port: -1, Hosts: []string{"127.0.0.1", "127.0.0.2", "-192.0.2.1"}})
	if len(s.Addr()) != 2 {
		t.Fatal(s.Addr())
	}
	for _, addr := range s.Addr() {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		ask(t, c, addr, addr)
		c.Close()
	}
}

// The life of a unix socket's file: made with its permissions, refused while
// somebody listens, replaced when nobody does, removed at the end, and never
// replaced when it is something else.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	o := Options{UnixSocket: path, UnixSocketPerm: 0o770, Log: quiet}
	facts := make(chan *Conn, 1)
	s := serve(t, &toy{open: func(_ *toyLoop, c *Conn) error { facts <- c; return nil }}, o)
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o770 || st.Mode()&fs.ModeSocket == 0 {
		t.Fatalf("%v %v", st.Mode(), err)
	}
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ask(t, client, "by file", "by file")
	c := <-facts
	on(t, s, 0, func() {
		if !c.Unix() || c.RemoteAddr() != path+":0" || c.LocalAddr() != path+":0" {
			t.Errorf("%v %s %s", c.Unix(), c.RemoteAddr(), c.LocalAddr())
		}
		c.SetKeepAlive(10)
	})
	if _, err := Serve(context.Background(), &toy{}, o); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("second server: %v", err)
	}
	ask(t, client, "undisturbed", "undisturbed")
	s.StopAccepting()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is left behind: %v", err)
	}

	// One that a killed server left.
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	serve(t, &toy{}, o)
	client, err = net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, client, "again", "again")
	client.Close()

	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.UnixSocket = precious
	if _, err := Serve(context.Background(), &toy{}, o); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	if b, _ := os.ReadFile(precious); string(b) != "data" {
		t.Error("the file is gone")
	}
}

func TestTick(t *testing.T) {
	var ticks [2]atomic.Int64
	serve(t, &toy{tick: func(l *toyLoop) { ticks[l.index].Add(1) }}, Options{Loops: 2})
	eventually(t, "ticks", func() bool { return ticks[0].Load() >= 3 && ticks[1].Load() >= 3 })
}

// children are the programs that tests start this binary as.
var children = map[string]func(){
	"echo": func() {
		if n, _ := strconv.Atoi(os.Getenv("NETIO_TEST_FILES")); n > 0 {
			lim := unix.Rlimit{Cur: uint64(n), Max: uint64(n)}
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
				panic(err)
			}
		}
		s, err := Serve(context.Background(), &toy{}, Options{Port: -1, Loops: 2})
		if err != nil {
			panic(err)
		}
		fmt.Println(s.Addr()[0])
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test is over
		if err := s.Shutdown(context.Background()); err != nil {
			panic(err)
		}
	},
}

type child struct {
	cmd  *exec.Cmd
	addr string
	log  bytes.Buffer // read after stop
	stop func()
}

func startChild(t *testing.T, name string, env ...string) *child {
	t.Helper()
	ch := &child{cmd: exec.Command(os.Args[0])}
	ch.cmd.Env = append(append(os.Environ(), "NETIO_TEST_CHILD="+name), env...)
	ch.cmd.Stderr = &ch.log
	in, err := ch.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := ch.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ch.stop = sync.OnceFunc(func() {
		in.Close()
		if err := ch.cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s", err, &ch.log)
		}
	})
	t.Cleanup(ch.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ch.addr = strings.TrimSpace(line)
	return ch
}

func (ch *child) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", ch.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here")
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	sys, _ := strconv.Atoi(f[12])
	return time.Duration(user+sys) * 10 * time.Millisecond
}

// Out of descriptors, the server serves whom it has, waits without burning a
// processor, says so once a second, and goes on when somebody leaves.
func TestOutOfDescriptors(t *testing.T) {
	ch := startChild(t, "echo", "NETIO_TEST_FILES=40")
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range 100 {
		c, err := net.Dial("tcp", ch.addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	served := func(c net.Conn, wait time.Duration) bool {
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := c.Write([]byte("x")); err != nil {
			return false
		}
		_, err := c.Read(make([]byte, 1))
		return err == nil
	}
	if !served(conns[0], 5*time.Second) {
		t.Fatal("the first client is not served")
	}
	before := ch.cpu(t)
	time.Sleep(1500 * time.Millisecond)
	if used := ch.cpu(t) - before; used > 300*time.Millisecond {
		t.Errorf("%v of processor time in 1.5 s of waiting", used)
	}
	if !served(conns[0], 5*time.Second) {
		t.Fatal("the first client is not served any more")
	}
	for _, c := range conns {
		c.Close()
	}
	conns = nil
	c, err := net.Dial("tcp", ch.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !served(c, 10*time.Second) {
		t.Error("a new client is not served after the others left")
	}
	c.Close()
	ch.stop()
	if n := strings.Count(ch.log.String(), "too many open files"); n < 1 || n > 15 {
		t.Errorf("%d lines about it:\n%s", n, &ch.log)
	}
}

// An idle connection costs at most 8 KiB of resident memory, gnet's part included.
func TestIdleConnectionMemory(t *testing.T) {
	const bytesMax = 8 << 10
	n := 10000
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		n = 2000
	}
	n = min(n, int(lim.Cur)-100)
	ch := startChild(t, "echo")
	rss := func() int {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", ch.cmd.Process.Pid))
		if err != nil {
			t.Skip("no /proc here")
		}
		pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
		return pages * syscall.Getpagesize()
	}
	talk := func(n int) (conns []net.Conn) {
		for range n {
			c, err := net.Dial("tcp", ch.addr)
			if err != nil {
				t.Fatal(err)
			}
			ask(t, c, "hello", "hello") // so that every buffer that will be there is
			conns = append(conns, c)
		}
		return conns
	}
	for _, c := range talk(50) {
		c.Close()
	}
	before := rss()
	conns := talk(n)
	after := rss()
	for _, c := range conns {
		c.Close()
	}
	each := (after - before) / n
	t.Logf("%d idle connections: %d bytes each", n, each)
	if each > bytesMax && !raceEnabled {
		t.Errorf("an idle connection costs %d bytes, allowed are %d", each, bytesMax)
	}
}
