package netio

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// acceptPause is how long an acceptor rests when the system refuses it another
// descriptor. The connections wait in the backlog meanwhile.
const acceptPause = 100 * time.Millisecond

// openingMax bounds the connections that were accepted and not yet taken over by
// their loop. At the bound the acceptors wait, and the kernel's backlog fills.
const openingMax = 64

// opening is a connection on its way to its loop.
type opening struct {
	c      *Conn
	result <-chan gnet.RegisteredResult
}

// acceptor takes connections from one listener, on a goroutine of its own.
//
// gnet's own acceptor is not used because it stops the engine at the first error
// other than a vanished client, and being out of descriptors is one.
//
// gnet duplicates the socket it is given, and closes the client's if it cannot. So
// that a client is never let in only to be dropped, the acceptor keeps a spare
// descriptor, accepts only while it has it, and when few are left gives it up for
// the duplicate and waits until the connection has moved.
type acceptor struct {
	server *Server
	ln     net.Listener
	spare  int // -1: none
}

// run accepts until the listener is closed.
func (a *acceptor) run() {
	s := a.server
	defer s.accepting.Done()
	defer a.giveSpare()
	for {
		if err := a.takeSpare(); err != nil {
			if !a.rest(err) {
				return
			}
			continue
		}
		nc, err := a.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !a.rest(err) {
				return
			}
			continue
		}
		few := a.few(nc)
		if few {
			a.giveSpare()
		}
		if o, ok := s.place(nc, a.ln); ok && few {
			s.opened(o)
		} else if ok {
			s.openings <- o
		}
	}
}

// rest logs err, waits, and reports whether to go on.
func (a *acceptor) rest(err error) bool {
	if errors.Is(err, unix.ECONNABORTED) {
		return true
	}
	a.server.acceptLog.warn(a.server.log, "accept on "+a.ln.Addr().String()+" failed; clients wait", err)
	select {
	case <-a.server.stopAccepting:
		return false
	case <-time.After(acceptPause):
		return true
	}
}

func (a *acceptor) takeSpare() (err error) {
	if a.spare < 0 {
		if a.spare, err = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			a.spare = -1
		}
	}
	return err
}

func (a *acceptor) giveSpare() {
	if a.spare >= 0 {
		unix.Close(a.spare)
		a.spare = -1
	}
}

// few says that the duplicates of the connections under way could use up what is
// left of the descriptors.
func (a *acceptor) few(nc net.Conn) bool {
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	number := 0
	if err := rc.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		return true
	}
	return a.server.fewAbove(number)
}

// fewAbove says that a descriptor's number leaves few below the limit: new descriptors get
// the lowest free number, so that it says how many are in use at least.
func (s *Server) fewAbove(number int) bool {
	const margin = 4 * openingMax
	if number+margin < int(s.filesMax.Load()) {
		return false
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return true
	}
	s.filesMax.Store(int64(min(lim.Cur, 1<<30)))
	return number+margin >= int(s.filesMax.Load())
}

// place gives nc to the loop with the fewest connections of those in use, the next one
// in turn among equals.
func (s *Server) place(nc net.Conn, ln net.Listener) (opening, bool) {
	s.placing.Lock()
	used := s.loops[:s.used.Load()]
	best := used[s.nextLoop%len(used)]
	for i := range used {
		if l := used[(s.nextLoop+i)%len(used)]; l.count.Load() < best.count.Load() {
			best = l
		}
	}
	s.nextLoop = best.index + 1
	best.count.Add(1)
	s.placing.Unlock()

	c := &Conn{loop: best}
	if _, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote, c.local = nc.RemoteAddr().String(), nc.LocalAddr().String()
		dropZones(nc)
	} else {
		c.unix = true
		c.remote = strings.TrimPrefix(ln.Addr().String(), "unix:") + ":0"
		c.local = c.remote
	}
	result, err := best.el.Enroll(gnet.NewContext(context.Background(), c), nc)
	if err != nil {
		nc.Close()
		best.count.Add(-1)
		s.acceptLog.warn(s.log, "connection not taken over", err)
		return opening{}, false
	}
	return opening{c, result}, true
}

// collect learns what became of the connections on their way.
func (s *Server) collect() {
	defer close(s.collected)
	for o := range s.openings {
		s.opened(o)
	}
}

// opened waits until o is open, or logs why it is not and stops counting it.
func (s *Server) opened(o opening) {
	r := <-o.result
	if r.Err == nil && o.c.opened {
		return
	}
	o.c.loop.count.Add(-1)
	if r.Err == nil {
		r.Err = errors.New("the event loop could not watch the socket")
	}
	s.acceptLog.warn(s.log, "connection lost while it was taken over", r.Err)
}
