package replication

import "slices"

// wait is somebody who waits for replicas. Guarded by Node.mu.
type wait struct{ look func() }

// Changed is the position of a replica that knows of every change so far.
func (n *Node) Changed() int64 { return n.feed.Changed() }

// Reached is how many replicas have come to a position, and of how many the log has: what
// was said before it is durable there.
func (n *Node) Reached(position int64) (applied, durable int) {
	for _, r := range n.all() {
		if s, there := r.is(); !there || s != online {
			continue
		}
		if r.acked.Load() >= position {
			applied++
		}
		if r.durable.Load() >= position {
			durable++
		}
	}
	return applied, durable
}

// Await asks the replicas how far they have come, and calls look whenever one says so,
// until forget is called. look must not block; several goroutines call it.
func (n *Node) Await(look func()) (forget func()) {
	w := &wait{look}
	n.mu.Lock()
	n.waits = append(n.waits, w)
	n.mu.Unlock()
	n.feed.ask()
	n.acknowledged()
	return func() {
		n.mu.Lock()
		n.waits = slices.DeleteFunc(n.waits, func(other *wait) bool { return other == w })
		n.mu.Unlock()
	}
}

// acknowledged lets those who wait look whether they need not any more.
func (n *Node) acknowledged() {
	n.mu.Lock()
	waits := slices.Clone(n.waits)
	failing := n.failover.state != noFailover
	n.mu.Unlock()
	for _, w := range waits {
		w.look()
	}
	if failing {
		n.failoverStep()
	}
}
