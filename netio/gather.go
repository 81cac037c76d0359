package netio

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Busy connections are spread evenly over the loops. While replies have to wait for what
// they promise, they are gathered on as many loops as there are processors in use: each
// sync of a log wakes every loop, and on many loops each finds little to do then. Half as
// many find twice as much, sync half as often, and leave the same replies. While replies
// wait for nothing it is better to have more loops than processors: those who read what
// one loop has answered are busy while the next one works.
//
// So what comes is placed on the loops in use, and what speaks often on another loop moves,
// as does what speaks on a loop that has much more to do than the rest.
//
// A connection moves when it has sent something and nothing of what it had sent before is
// under way. gnet cannot hand over a connection: its socket is duplicated, and goes to the
// other loop like a new one, with the session, and with what has been read already. The
// kernel keeps what comes meanwhile.
const (
	// gatherMax is how many connections a loop gives away between two ticks.
	gatherMax = 256
	// gatherPatience is how many ticks in a row a loop must have too many of the
	// connections, after that number of loops has been in use for a while.
	gatherPatience = 5
	// gatherCalm is for how many ticks no reply must have waited for all loops to be used.
	gatherCalm = 20
	// A loop has too many if it has a gatherSlack-th more than its share, and gatherLeast
	// more.
	gatherSlack = 4
	gatherLeast = 2
)

// gathering is a loop's part in it. Owned by the loop, but for what is atomic.
type gathering struct {
	window uint32 // number of the time between two ticks
	spoke  int32  // connections that have spoken in it
	waited bool   // replies had to wait in it

	active atomic.Int32 // of the window before, with those that have moved since
	waits  atomic.Bool  // waited, of the window before
	give   atomic.Int32 // how many may go
	much   int          // ticks in a row with too many; owned by Server.gather
}

// speaks notes that a connection has sent something, and says whether it does so often.
func (l *loop) speaks(c *Conn) bool {
	before := c.spoke
	if before != l.window {
		c.spoke = l.window
		l.spoke++
	}
	return l.window-before <= 1
}

// turn begins the next window.
func (g *gathering) turn() {
	g.active.Store(g.spoke)
	g.waits.Store(g.waited)
	g.window++
	g.spoke, g.waited = 0, false
}

// worthy says how many loops are worth a processor.
func (s *Server) worthy(loops int) {
	s.gathering.Lock()
	defer s.gathering.Unlock()
	s.worth = min(max(loops, 1), len(s.loops))
	s.gather()
}

// gather decides how many loops are used, and how many connections each is to give away.
// gathering is held.
func (s *Server) gather() {
	used, total := len(s.loops), int32(0)
	for _, l := range s.loops {
		total += l.active.Load()
		if l.waits.Load() {
			s.calm = 0
		}
	}
	if s.calm < gatherCalm {
		used = s.worth
	}
	if changed := int(s.used.Swap(int32(used))) != used; changed {
		for _, l := range s.loops {
			l.much = gatherPatience
		}
	}
	share := (total + int32(used) - 1) / int32(used)
	for i, l := range s.loops {
		surplus := l.active.Load() - share
		switch {
		case i >= used:
			l.give.Store(gatherMax)
		case surplus < max(share/gatherSlack, gatherLeast):
			l.much = 0
			l.give.Store(0)
		default:
			if l.much++; l.much < gatherPatience {
				surplus = 0
			}
			l.give.Store(min(surplus, gatherMax))
		}
	}
}

// idlest is that of the loops in use which has the fewest active connections.
func (s *Server) idlest() *loop {
	best := s.loops[0]
	for _, l := range s.loops[1:s.used.Load()] {
		if l.active.Load() < best.active.Load() {
			best = l
		}
	}
	return best
}

// move gives a connection, which has sent data, to another loop, and says whether it did.
func (l *loop) move(c *Conn, data []byte) bool {
	s := l.server
	to := s.idlest()
	l.give.Add(-1)
	if to == l || s.stopping.Load() || c.held > 0 || c.onSlow || c.drained != nil || c.queued && c.Unsent() > 0 {
		return false
	}
	nc, err := s.duplicate(c)
	if err != nil {
		l.give.Store(0)
		return false
	}
	if !l.detach(c, to) {
		nc.Close()
		return false
	}
	t := &transit{c: c, read: slices.Clone(data)}
	result, err := to.el.Enroll(gnet.NewContext(context.Background(), t), nc)
	if err != nil {
		nc.Close()
		refused := make(chan gnet.RegisteredResult, 1)
		refused <- gnet.RegisteredResult{Err: err}
		result = refused
	}
	go to.expect(t, result)
	return true
}

// detach lets go of a connection that is going to another loop, and of its descriptor, if the
// session can leave.
func (l *loop) detach(c *Conn, to *loop) bool {
	l.busy = true
	left := l.backend.Leave(c.session, to.backend)
	l.busy = false
	if !left {
		return false
	}
	to.count.Add(1)
	to.active.Add(1)
	l.active.Add(-1)
	l.spoke--
	c.moving = true
	_ = l.el.Close(c.gc) // calls OnClose
	c.moving = false
	l.unlink(c)
	c.loop, c.gc, c.queued = to, nil, false
	return true
}

// transit is a connection on its way from one loop to another.
type transit struct {
	c       *Conn
	read    []byte // what it has sent and the session has not seen
	arrived atomic.Bool
}

// errNoDescriptors is why a connection stays where it is.
var errNoDescriptors = errors.New("there are few descriptors left")

// duplicate makes another descriptor of a connection's socket.
func (s *Server) duplicate(c *Conn) (net.Conn, error) {
	fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if s.fewAbove(fd) {
		return nil, errNoDescriptors
	}
	nc, err := net.FileConn(f)
	if err == nil {
		dropZones(nc)
	}
	return nc, err
}

// expect sees to it that a connection which does not arrive ends.
func (l *loop) expect(t *transit, result <-chan gnet.RegisteredResult) {
	r := <-result
	if r.Err == nil && t.arrived.Load() {
		return
	}
	if r.Err == nil {
		r.Err = errors.New("the event loop could not watch the socket")
	}
	l.server.acceptLog.warn(l.server.log, "connection lost while it moved", r.Err)
	_ = l.post(funcRun{l, func() {
		l.link(t.c)
		t.c.err, t.c.gone, t.c.closing = r.Err, true, true
		l.backend.Arrive(t.c.session, t.c)
		l.end(t.c)
	}})
}

// arrive takes up a connection that has moved here.
func (l *loop) arrive(gc gnet.Conn, t *transit) {
	c := t.c
	t.arrived.Store(true)
	gc.SetContext(c)
	c.gc, c.fd, c.spoke = gc, gc.Fd(), l.window
	l.spoke++
	l.link(c)
	l.busy = true
	l.backend.Arrive(c.session, c)
	if !c.closing {
		c.session.Feed(t.read)
	}
	if l.server.stopping.Load() {
		c.Close()
	}
	l.busy = false
	l.settle()
}

// dropZones takes away the names of IPv6 zones, which gnet frees into its pool of byte
// slices when the connection closes, as if it had allocated them.
func dropZones(nc net.Conn) {
	for _, a := range []net.Addr{nc.RemoteAddr(), nc.LocalAddr()} {
		if tcp, ok := a.(*net.TCPAddr); ok {
			tcp.Zone = ""
		}
	}
}
