package replication

import "slices"

// wait is somebody who waits for replicas. Guarded by Node.mu.
type wait struct {
	position int64
	count    int
	reached  func()
}

// Changed is the position of a replica that knows of every change so far.
func (n *Node) Changed() int64 { return n.feed.Changed() }

// Reached is how many replicas have come to a position.
func (n *Node) Reached(position int64) (count int) {
	for _, r := range n.all() {
		if s, there := r.is(); there && s == online && r.acked.Load() >= position {
			count++
		}
	}
	return count
}

// Await calls reached when so many replicas have come to a position, until forget is
// called.
func (n *Node) Await(position int64, count int, reached func()) (forget func()) {
	w := &wait{position, count, reached}
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

// acknowledged looks whether somebody who waits need not any more.
func (n *Node) acknowledged() {
	n.mu.Lock()
	waits := slices.Clone(n.waits)
	failing := n.failover.state != noFailover
	n.mu.Unlock()
	for _, w := range waits {
		if n.Reached(w.position) >= w.count {
			w.reached()
		}
	}
	if failing {
		n.failoverStep()
	}
}
