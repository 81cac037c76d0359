package replication

import (
	"context"
	"math"
	"time"
)

// A Standing is where a dataset stands: it is what the stream with the name History makes
// of a dataset up to Position. Database is the one that the stream is in there, -1 when
// nobody knows, and Changed the position behind the last thing that has changed anything.
type Standing struct {
	History  string
	Position int64
	Database int
	Changed  int64
}

// Standing is where the dataset stands. It is not ok if nobody else can have that history.
// It belongs to the dataset of a moment if it is asked while the turns of all shards are
// held, or when nothing happens any more.
func (n *Node) Standing() (s Standing, ok bool) {
	f := n.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	return Standing{f.history, f.position, f.database, f.changed}, f.last != nil
}

// TakeUp says where the dataset stands that a server has begun with, before anything
// happens to it and before Follow. A server that leads goes on under a name of its own, for
// somebody else may go on from there as well; one that follows asks its primary for the
// rest.
func (n *Node) TakeUp(s Standing, leads bool) {
	f := n.feed
	n.o.Host.Undivided(leads)
	n.o.Host.Exclusive(func() {
		f.begin(s.History, s.Position, s.Database)
		if !leads {
			return
		}
		f.mu.Lock()
		f.rename(newHistory())
		f.mu.Unlock()
		f.on.Store(true)
		n.o.Host.Record(true)
	})
	n.mu.Lock()
	n.alone = time.Now()
	n.mu.Unlock()
}

const (
	// drainPoll is how often it is looked whether the replicas have everything.
	drainPoll = 2 * time.Millisecond
	// drainPatience is how long a replica may say nothing that is waited for: they speak
	// every second.
	drainPatience = 3 * time.Second
)

// Drain lets the replicas come to where the server is about to stop. Nothing is written from
// then on, nor applied. It returns when all have come there that are alive, or ctx ends.
func (n *Node) Drain(ctx context.Context) {
	if n.failingOver() || !n.lags(math.MaxInt64) {
		return
	}
	n.stopping.Store(true) // no more pings
	n.o.Host.Pause(true)
	n.o.Host.Exclusive(func() {}) // writes that were under way are over by then
	over := make(chan struct{})
	n.post(func() {
		defer close(over)
		if n.link != nil {
			n.link.stop()
			n.link = nil
		}
	})
	select {
	case <-over:
	case <-ctx.Done():
		return
	}
	f := n.feed
	position := f.end()
	f.mu.Lock()
	f.asked = -1
	f.mu.Unlock()
	f.ask() // who answers that is at the end; a replica's replicas answer when their second is over
	t := time.NewTicker(drainPoll)
	defer t.Stop()
	for n.lags(position) {
		select {
		case <-t.C:
		case <-ctx.Done():
			n.log.Warn("replicas that are behind are not waited for any longer")
			return
		}
	}
}

// lags says whether there is a replica that is online and has not come to a position yet.
// Who has not said where it listens is a tool, which may never acknowledge anything, and is
// not waited for.
func (n *Node) lags(position int64) bool {
	now := time.Now()
	for _, r := range n.all() {
		if s, there := r.is(); there && s == online && r.wishes.Port != 0 && r.lag(now) < drainPatience && r.acked.Load() < position {
			return true
		}
	}
	return false
}
