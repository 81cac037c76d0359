package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/durable"
	"hyperkv/engine/embedded"
	"hyperkv/internal/config"
	"hyperkv/netio"
	"hyperkv/netio/admin"
	"hyperkv/persist/datadir"
)

// server is the engine with its sockets: here, and only here, they meet.
type server struct {
	engine *engine.Engine
	net    *netio.Server
	admin  *admin.Server           // nil when there is no admin port
	loops  atomic.Pointer[[]*loop] // see eventLoops
	ready  atomic.Bool
	// loaded is told when the data has been recovered, or why it could not be;
	// stopLoading ends that, and loading waits for its end.
	loaded      chan error
	stopLoading context.CancelFunc
	loading     sync.WaitGroup
	// processors fits GOMAXPROCS to the load.
	processors  *netio.Processors
	resting     chan struct{} // closed to end rest
	data        *durable.Data
	replication *replicating
}

// startServer brings everything up and returns once clients can connect. Until Loaded says
// that the data is there, they are told to wait for it.
func startServer(ctx context.Context, cfg *config.Config, params *config.Params, log *slog.Logger) (*server, error) {
	e, err := engine.New(engine.Options{Config: cfg, Params: params, Families: embedded.Families(), Log: log})
	if err != nil {
		return nil, err
	}
	s := &server{engine: e, loaded: make(chan error, 1)}
	s.data = durable.New(e, durable.Options{Config: cfg, Families: embedded.Families(), Log: log, By: "serve",
		Lost: stopAtOnce(log), Committed: s.wakeLoops, Rounds: s.rounds})
	if err := s.data.Prepare(); err != nil {
		e.Close()
		return nil, err
	}
	s.replication = startReplication(e, s.data, cfg, log)
	e.BeginLoading(s.data.Size())
	var loading context.Context
	loading, s.stopLoading = context.WithCancel(context.Background())
	s.net, err = netio.Serve(ctx, s, netio.Options{
		Loops:            engine.ShardCount(cfg),
		Hosts:            strings.Fields(cfg.Host),
		Port:             cfg.Port,
		UnixSocket:       cfg.UnixSocket,
		UnixSocketPerm:   fs.FileMode(cfg.UnixSocketPerm),
		Backlog:          cfg.TCPBacklog,
		KeepAliveSeconds: int(cfg.TCPKeepalive / time.Second),
		Log:              log,
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.data.Reached(whereReached(s.net.Listeners())); err != nil {
		log.Warn("the data directory does not say where the server is reached", "err", err)
	}
	if cfg.EnableMetrics && cfg.MetricsPort > 0 {
		s.admin, err = admin.Serve(ctx, s, admin.Options{
			Host: cfg.MetricsHost, Port: cfg.MetricsPort, Profiling: cfg.EnableProfiling, Log: log,
		})
		if err != nil {
			return nil, errors.Join(err, s.Shutdown(ctx))
		}
	}
	s.processors = netio.GovernProcessors(runtime.GOMAXPROCS(0), e.Calls, s.net.ShareProcessors)
	e.Shards.OnLong(s.processors.Need)
	s.resting = make(chan struct{})
	go rest(s.resting, e.Calls, heapCollections, freeHeap)
	s.loading.Go(func() { s.load(loading) })
	return s, nil
}

// load recovers the data, and opens the server to everybody.
func (s *server) load(ctx context.Context) {
	// Nothing expires before its history goes on: what it does is a part of that, or, on a
	// replica, the business of its primary.
	held := &s.engine.Shards.ExpiryHeld
	held.Add(1)
	standing := s.replication.takeStanding()
	err := s.data.Start(ctx)
	if err == nil {
		s.replication.takeUp(standing)
		if _, _, follows := s.replication.primary(); follows {
			host{s.replication}.SetReplica(true)
		}
	}
	held.Add(-1)
	s.engine.Shards.ClockChanged()
	if err == nil {
		s.engine.EndLoading()
		s.ready.Store(true)
		s.replication.begin()
	}
	s.loaded <- err
}

// Loaded implements running.
func (s *server) Loaded() <-chan error { return s.loaded }

// Addresses implements running.
func (s *server) Addresses() []string {
	addresses := s.net.Addr()
	if s.admin != nil {
		addresses = append(addresses, "http://"+s.admin.Addr())
	}
	return addresses
}

// whereReached is where listeners are reached by processes of this machine.
func whereReached(listeners []net.Addr) (addresses []datadir.Address) {
	for _, a := range listeners {
		where := datadir.Address{Network: a.Network(), Address: a.String()}
		if path, err := filepath.Abs(where.Address); err == nil && where.Network == "unix" {
			where.Address = path // the working directory of who reads it is another
		}
		addresses = append(addresses, where)
	}
	return addresses
}

// Shards implements running.
func (s *server) Shards() int { return len(s.engine.Shards.Shards) }

// Done implements running.
func (s *server) Done() <-chan struct{} { return s.engine.ShutdownRequested() }

// Shutdown implements running.
func (s *server) Shutdown(ctx context.Context) error {
	s.stopLoading()
	s.loading.Wait()
	s.ready.Store(false)
	if s.processors != nil {
		s.processors.Stop()
		close(s.resting)
	}
	s.replication.drain(ctx)
	err := s.net.Shutdown(ctx)
	if s.admin != nil {
		err = errors.Join(err, s.admin.Shutdown(ctx))
	}
	return errors.Join(err, s.close())
}

// close ends what is behind the sockets.
func (s *server) close() error {
	s.replication.close()
	err := s.data.Settle()
	s.engine.Close()
	err = errors.Join(err, s.replication.leave())
	return errors.Join(err, s.data.Close())
}

// loop is an event loop of the network as the engine's loop.
type loop struct {
	*engine.Loop
	data    *durable.Data
	wake    func()
	waiting atomic.Bool  // it holds a ticket of the data's
	turns   atomic.Int64 // of Tick: proof that the loop is alive
}

// NewLoop implements netio.Backend.
func (s *server) NewLoop(index int, wake func()) netio.Loop {
	l := &loop{Loop: s.engine.NewLoop(index, wake), data: s.data, wake: wake}
	l.turns.Store(time.Now().UnixNano())
	loops := append(slices.Clone(s.eventLoops()), l)
	s.loops.Store(&loops)
	return l
}

// Open implements netio.Loop.
func (l *loop) Open(c *netio.Conn) (netio.Session, error) {
	session, err := l.Loop.Open(c, engine.ConnInfo{
		RemoteAddr: c.RemoteAddr(), LocalAddr: c.LocalAddr(), FD: c.FD(), Unix: c.Unix(),
	})
	if err != nil {
		return nil, fmt.Errorf("-%s\r\n", err.Error())
	}
	return session, nil
}

// Commit implements netio.Loop.
func (l *loop) Commit(wait bool) netio.Ticket {
	t := netio.Ticket(l.data.Commit(wait))
	if t == netio.Now || t == netio.Never {
		return t
	}
	l.waiting.Store(true)
	return l.committed(t) // its time may have come before that was known
}

// Committed implements netio.Loop.
func (l *loop) Committed(t netio.Ticket) netio.Ticket {
	if t = l.committed(t); t != netio.Now && t != netio.Never {
		l.waiting.Store(true)
		t = l.committed(t)
	}
	return t
}

func (l *loop) committed(t netio.Ticket) netio.Ticket {
	return netio.Ticket(l.data.Committed(durable.Ticket(t)))
}

// Both kinds of tickets are the same numbers: this does not compile otherwise.
const (
	_ = uint64(netio.Now - netio.Ticket(durable.Now))
	_ = uint64(netio.Never - netio.Ticket(durable.Never))
	_ = uint64(netio.Ticket(durable.Never) - netio.Never)
)

// eventLoops are those that there are so far; they are not changed. Any goroutine may call it.
func (s *server) eventLoops() []*loop {
	if loops := s.loops.Load(); loops != nil {
		return *loops
	}
	return nil
}

// wakeLoops wakes the loops that hold tickets. Any goroutine may call it.
func (s *server) wakeLoops() {
	for _, l := range s.eventLoops() {
		if l.waiting.Swap(false) {
			l.wake()
		}
	}
}

// rounds returns when no event loop still does what it was doing, or when stop is closed: the
// loops may be gone then.
func (s *server) rounds(stop <-chan struct{}) {
	var wg sync.WaitGroup
	for _, l := range s.eventLoops() {
		wg.Add(1)
		l.Post(wg.Done)
	}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	select {
	case <-over:
	case <-stop:
	}
}

// stopAtOnce ends the process when what was to be kept may be lost: those who wait for a reply
// learn that there is none, and nobody reads what may not be there after the next start.
func stopAtOnce(log *slog.Logger) func(error) {
	return func(err error) {
		log.Error("stopping at once: aof_fsync_policy is always, and the log cannot be written", "err", err)
		os.Exit(1)
	}
}

// Leave implements netio.Loop.
func (l *loop) Leave(s netio.Session, to netio.Loop) bool {
	return s.(*engine.Session).Leave(to.(*loop).Loop)
}

// Arrive implements netio.Loop.
func (l *loop) Arrive(s netio.Session, c *netio.Conn) { l.Loop.Arrive(s.(*engine.Session), c.FD()) }

// Tick implements netio.Loop.
func (l *loop) Tick(now time.Time) {
	l.turns.Store(now.UnixNano())
	l.Loop.Tick(now)
}

// loopStalledAfter is how long a loop may go without a tick before the process
// counts as dead.
const loopStalledAfter = 10 * time.Second

// Live implements admin.Source: every event loop turns.
func (s *server) Live() error {
	for i, l := range s.eventLoops() {
		if quiet := time.Since(time.Unix(0, l.turns.Load())); quiet > loopStalledAfter {
			return fmt.Errorf("event loop %d has not turned for %s", i, quiet.Round(time.Second))
		}
	}
	return nil
}

// Ready implements admin.Source.
func (s *server) Ready() error { return s.Started() }

// Started implements admin.Source.
func (s *server) Started() error {
	if !s.ready.Load() {
		return errors.New("loading or stopping")
	}
	if _, loading := s.engine.Loading(); loading {
		return errors.New("loading a dataset")
	}
	return nil
}

// WriteMetrics implements admin.Source.
func (s *server) WriteMetrics(w io.Writer) { s.engine.WriteMetrics(w) }
