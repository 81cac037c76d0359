package netio

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
)

var errStopped = errors.New("the event loop has stopped")

// loop is one event loop: gnet's, the backend's side of it, and its connections.
//
// Owned by the loop's goroutine, but for the fields that say otherwise.
type loop struct {
	server  *Server
	index   int
	el      gnet.EventLoop // safe for concurrent use
	backend Loop

	// conns are the open connections. Invariant: conns[i].slot == i.
	conns []*Conn

	outbox outbox
	gathering
	reads uint64 // so far; counted while the server is crowded

	// busy is set while the backend is running: it must not be called again until
	// it returns. What it has to hear about waits in ending and due.
	busy   bool
	ending []*Conn // to be closed, or closed by gnet: Session.Closed is due
	due    []*Conn // Conn.NotifyDrained had nothing to wait for

	slow      []*Conn
	slowEvery time.Duration
	slowTimer *time.Timer // posts slowRun

	// closed keeps what was closed until the next tick. gnet, when built with
	// poll_opt, finds a connection by a pointer that the kernel keeps for it; an
	// event that was fetched before the connection was closed may still arrive in
	// the same round, and must not find freed memory. A tick ends the round.
	closed []gnet.Conn

	count       atomic.Int32 // connections given to this loop; counted up by acceptors
	wakePending atomic.Bool  // a wakeRun is on its way
	tickPending atomic.Bool  // a tickRun is on its way
	posting     atomic.Int32 // calls to post under way
	stopped     atomic.Bool  // post must not reach gnet any more
}

func newLoop(s *Server, index int) *loop {
	l := &loop{server: s, index: index}
	l.slowTimer = time.AfterFunc(time.Hour, func() { _ = l.post(slowRun{l}) })
	l.slowTimer.Stop()
	return l
}

// post runs r on the loop. It may be called from any goroutine.
//
// Once gnet has stopped, its wake-up descriptor is closed, and the number may
// already belong to somebody's file: stop waits for the calls under way, and later
// ones see stopped.
func (l *loop) post(r gnet.Runnable) error {
	l.posting.Add(1)
	defer l.posting.Add(-1)
	if l.stopped.Load() {
		return errStopped
	}
	return l.el.Execute(context.Background(), r)
}

// stop makes post fail from now on.
func (l *loop) stop() {
	l.stopped.Store(true)
	l.slowTimer.Stop()
	for l.posting.Load() != 0 {
		time.Sleep(100 * time.Microsecond)
	}
}

// wake results in one Woken. It may be called from any goroutine.
//
// No wake-up is lost: the flag falls before Woken runs, so a caller that finds it
// set has published its work before a Woken that is yet to come; and gnet writes
// its eventfd again when a round leaves tasks behind.
func (l *loop) wake() {
	if l.wakePending.Load() || !l.wakePending.CompareAndSwap(false, true) {
		return
	}
	_ = l.post((*wakeRun)(l))
}

// wakeRun, tickRun are the loop itself as gnet.Runnable, so that posting them
// allocates no object of ours.
type (
	wakeRun loop
	tickRun loop
)

func (r *wakeRun) Run(context.Context) error {
	l := (*loop)(r)
	l.wakePending.Store(false)
	l.busy = true
	l.deliver()
	l.backend.Woken()
	l.busy = false
	l.settle()
	return nil
}

func (r *tickRun) Run(context.Context) error {
	l := (*loop)(r)
	l.tickPending.Store(false)
	l.busy = true
	l.backend.Tick(time.Now())
	l.busy = false
	l.settle()
	l.turn()
	clear(l.closed)
	l.closed = l.closed[:0]
	if cap(l.closed) > 1024 {
		l.closed = nil
	}
	return nil
}

// funcRun runs a function that was given to Server.Execute.
type funcRun struct {
	l *loop
	f func()
}

func (r funcRun) Run(context.Context) error {
	r.l.busy = true
	r.f()
	r.l.busy = false
	r.l.settle()
	return nil
}

// end notes that c is to be closed, or was closed by gnet.
func (l *loop) end(c *Conn) {
	if c.ending {
		return
	}
	c.ending = true
	l.ending = append(l.ending, c)
}

// settle does what could not be done while the backend was running: it closes
// connections, tells their sessions, and calls those that wait for output which is
// gone already. Each of these may add more.
func (l *loop) settle() {
	if l.busy {
		return
	}
	for len(l.ending) > 0 || len(l.due) > 0 {
		l.busy = true
		for i := 0; i < len(l.ending); i++ {
			c := l.ending[i]
			if !c.gone {
				_ = l.el.Close(c.gc) // calls OnClose
				c.gone = true
			}
			l.forget(c)
		}
		clear(l.ending)
		l.ending = l.ending[:0]
		due := l.due
		l.due = nil
		for _, c := range due {
			if !c.callDrained() && c.drained != nil && !c.gone && !c.closing {
				l.watch(c) // the session wrote again after it asked
			}
		}
		l.busy = false
	}
}

// forget takes a closed connection out of the loop and tells its session.
func (l *loop) forget(c *Conn) {
	c.staged.drop()
	c.drained = nil
	l.unlink(c)
	if s := c.session; s != nil {
		c.session = nil
		s.Closed(c.err)
	}
}

// link makes an open connection one of the loop's.
func (l *loop) link(c *Conn) {
	c.slot = len(l.conns)
	l.conns = append(l.conns, c)
}

// unlink undoes link, and stops counting the connection.
func (l *loop) unlink(c *Conn) {
	if last := len(l.conns) - 1; c.slot <= last && l.conns[c.slot] == c {
		l.conns[c.slot] = l.conns[last]
		l.conns[c.slot].slot = c.slot
		l.conns[last] = nil
		l.conns = l.conns[:last]
		l.count.Add(-1)
	}
}

// closeAll ends every connection: gracefully, or dropping what is unsent.
func (l *loop) closeAll(now bool) {
	for _, c := range l.conns {
		if now {
			c.CloseNow()
		} else {
			c.Close()
		}
	}
}
