package netio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Server is a running set of loops and listeners. Its methods are safe for
// concurrent use.
type Server struct {
	log       *slog.Logger
	client    *gnet.Client // gnet's loops without gnet's listeners
	loops     []*loop      // immutable once Serve returned
	listeners []net.Listener
	acceptLog onceASecond
	filesMax  atomic.Int64 // RLIMIT_NOFILE as last seen
	crowded   atomic.Bool  // there are fewer processors than loops

	placing  sync.Mutex // guards nextLoop, and the choice of a loop
	nextLoop int

	gathering sync.Mutex   // held by gather; guards worth and calm
	worth     int          // how many loops are worth a processor
	calm      int          // ticks since replies had to wait
	used      atomic.Int32 // how many loops are in use: the first ones
	stopping  atomic.Bool  // no connection moves any more

	accepting     sync.WaitGroup // the acceptors
	stopAccepting chan struct{}
	stopOnce      sync.Once
	openings      chan opening
	collected     chan struct{} // closed when collect returned
	stopTicks     chan struct{}
	ticking       sync.WaitGroup

	shutdownOnce sync.Once
	done         chan struct{} // closed when the loops have stopped
	shutdownErr  error         // written before done is closed
}

// Serve listens where o says and serves backend on o.Loops event loops. It returns
// once clients can connect, or with an error that names the address. ctx bounds the
// start only; the server runs until Shutdown.
func Serve(ctx context.Context, backend Backend, o Options) (*Server, error) {
	o = o.withDefaults()
	s := &Server{
		log:           o.Log,
		stopAccepting: make(chan struct{}),
		openings:      make(chan opening, openingMax),
		collected:     make(chan struct{}),
		stopTicks:     make(chan struct{}),
		done:          make(chan struct{}),
	}
	lns, err := listen(ctx, o)
	if err != nil {
		return nil, err
	}
	s.listeners = lns
	fail := func(err error) (*Server, error) {
		for _, ln := range lns {
			ln.Close()
		}
		return nil, err
	}
	s.client, err = gnet.NewClient(&events{},
		gnet.WithNumEventLoop(o.Loops),
		gnet.WithLockOSThread(false),
		gnet.WithReadBufferCap(o.ReadBufferBytes),
		gnet.WithLogger(gnetLog{o.Log}))
	if err != nil {
		return fail(fmt.Errorf("event loops: %w", err))
	}
	if err := s.client.Start(); err != nil {
		return fail(fmt.Errorf("event loops: %w", err))
	}
	if err := s.learnLoops(o.Loops); err != nil {
		_ = s.client.Stop()
		return fail(fmt.Errorf("event loops: %w", err))
	}
	s.worth, s.calm = len(s.loops), gatherCalm
	s.used.Store(int32(len(s.loops)))
	for _, l := range s.loops {
		l.backend = backend.NewLoop(l.index, l.wake)
	}
	s.ticking.Add(1)
	go s.tick()
	go s.collect()
	s.accepting.Add(len(lns))
	for _, ln := range lns {
		go (&acceptor{server: s, ln: ln, spare: -1}).run()
	}
	return s, nil
}

// learnLoops finds the n event loops. gnet tells a loop only to those who have a
// connection on it, so each gets one end of a socket pair, one after the other:
// gnet gives a connection to the loop with the fewest, so no loop gets two.
func (s *Server) learnLoops(n int) error {
	seen := make(map[gnet.EventLoop]bool, n)
	var hearts []gnet.Conn
	defer func() {
		for _, h := range hearts {
			_ = h.Close()
		}
	}()
	for i := range n {
		ours, theirs, err := socketPair()
		if err != nil {
			return err
		}
		defer ours.Close()
		gc, err := s.client.EnrollContext(theirs, heart{})
		if err != nil {
			return err
		}
		hearts = append(hearts, gc)
		l := newLoop(s, i)
		l.el = gc.EventLoop()
		if seen[l.el] {
			return errors.New("gnet put two connections on one of the idle loops")
		}
		seen[l.el] = true
		s.loops = append(s.loops, l)
	}
	return nil
}

func socketPair() (ours, theirs net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "socketpair")
		c, cerr := net.FileConn(f)
		f.Close()
		if cerr != nil {
			err = cerr
			continue
		}
		conns[i] = c
	}
	if err != nil {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}

// tick posts the ticks. A loop that has not come to its last one gets no other.
func (s *Server) tick() {
	defer s.ticking.Done()
	t := time.NewTicker(tickInterval)
	defer t.Stop()
	for {
		select {
		case <-s.stopTicks:
			return
		case <-t.C:
			s.gathering.Lock()
			s.calm++
			s.gather()
			s.gathering.Unlock()
			for _, l := range s.loops {
				if l.tickPending.CompareAndSwap(false, true) {
					_ = l.post((*tickRun)(l))
				}
			}
		}
	}
}

// Addr lists the addresses the server listens on, as the kernel knows them.
func (s *Server) Addr() []string {
	addrs := make([]string, len(s.listeners))
	for i, a := range s.Listeners() {
		addrs[i] = a.String()
	}
	return addrs
}

// Listeners lists the addresses the server listens on, with their networks.
func (s *Server) Listeners() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, ln := range s.listeners {
		addrs[i] = ln.Addr()
	}
	return addrs
}

// ShareProcessors tells the loops how many processors there are, and how many loops are
// worth one. Loops that outnumber the processors give way to each other after a few
// connections, and do not wait for the scheduler to part them, which takes ten
// milliseconds. While replies have to wait, busy connections move to loops that are worth it.
func (s *Server) ShareProcessors(procs, loops int) {
	s.crowded.Store(procs < len(s.loops))
	s.worthy(loops)
}

// Loops is the number of event loops.
func (s *Server) Loops() int { return len(s.loops) }

// Connections is the number of connections open or being opened.
func (s *Server) Connections() int {
	n := 0
	for _, l := range s.loops {
		n += int(l.count.Load())
	}
	return n
}

// Execute runs f on a loop, soon. An error means that it will not run.
func (s *Server) Execute(index int, f func()) error {
	if index < 0 || index >= len(s.loops) {
		return fmt.Errorf("there is no event loop %d", index)
	}
	l := s.loops[index]
	return l.post(funcRun{l, f})
}

// StopAccepting closes the listeners, and the unix socket's file with them.
// Connections that were accepted before are served on.
func (s *Server) StopAccepting() {
	s.stopOnce.Do(func() {
		close(s.stopAccepting)
		for _, ln := range s.listeners {
			if err := ln.Close(); err != nil {
				s.log.Warn("closing the listener on "+ln.Addr().String(), "err", err)
			}
		}
	})
	s.accepting.Wait()
}

// Shutdown stops accepting, lets every connection deliver what is queued, closes
// them and stops the loops. When ctx ends first, what is still unsent is dropped;
// when a loop does not react to that either, the error says so. Shutdown may be
// called again: each call waits for the same end.
func (s *Server) Shutdown(ctx context.Context) error {
	s.shutdownOnce.Do(func() {
		go func() {
			defer close(s.done)
			s.shutdownErr = s.shutdown(ctx)
		}()
	})
	select {
	case <-s.done:
		return s.shutdownErr
	case <-ctx.Done():
	}
	select {
	case <-s.done:
		return s.shutdownErr
	case <-time.After(shutdownGrace):
		return fmt.Errorf("event loops still running: %w", ctx.Err())
	}
}

// shutdownGrace is what Shutdown allows for the forced part after its context ended.
const shutdownGrace = time.Second

func (s *Server) shutdown(ctx context.Context) error {
	s.StopAccepting()
	s.stopping.Store(true)
	close(s.openings)
	<-s.collected
	for _, l := range s.loops {
		_ = s.Execute(l.index, func() { l.closeAll(false) })
	}
	forced := false
	for s.Connections() > 0 {
		if !forced && ctx.Err() != nil {
			forced = true
			for _, l := range s.loops {
				_ = s.Execute(l.index, func() { l.closeAll(true) })
			}
		}
		time.Sleep(time.Millisecond)
	}
	close(s.stopTicks)
	s.ticking.Wait()
	for _, l := range s.loops {
		l.stop()
	}
	return s.client.Stop()
}
