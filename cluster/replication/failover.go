package replication

import (
	"errors"
	"time"
)

// A failover makes a replica the primary and this server its replica: clients are kept
// from writing, the replica gets all there is, and then it is asked to take over.
// Guarded by Node.mu.
type failover struct {
	state  failoverState
	host   string // the replica that it must be; "" for any
	port   int
	force  bool
	limit  time.Time // zero: none
	chosen bool      // the replica was asked
}

type failoverState uint8

const (
	noFailover failoverState = iota
	failoverWaits
	failoverRuns
)

func (s failoverState) name() string {
	return [...]string{"no-failover", "waiting-for-sync", "failover-in-progress"}[s]
}

// FailoverOptions say what a failover is to do.
type FailoverOptions struct {
	Host    string // "": whichever replica has all first
	Port    int
	Force   bool
	Timeout time.Duration // 0: none
}

// What FAILOVER is answered.
var (
	ErrFailoverNone      = errors.New("ERR No failover in progress.")
	ErrFailoverRuns      = errors.New("ERR FAILOVER already in progress.")
	ErrFailoverReplica   = errors.New("ERR FAILOVER is not valid when server is a replica.")
	ErrFailoverAlone     = errors.New("ERR FAILOVER requires connected replicas.")
	ErrFailoverForce     = errors.New("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
	ErrFailoverTarget    = errors.New("ERR FAILOVER target HOST and PORT is not a replica.")
	ErrFailoverNotOnline = errors.New("ERR FAILOVER target replica is not online.")
	ErrPromotePrimary    = errors.New("ERR PSYNC FAILOVER can't be sent to a master.")
	ErrPromoteHistory    = errors.New("ERR PSYNC FAILOVER replid must match my replid.")
)

// Failover begins one.
func (n *Node) Failover(o FailoverOptions) error {
	replicas := n.all()
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.failover.state != noFailover:
		return ErrFailoverRuns
	case n.primary.host != "":
		return ErrFailoverReplica
	case len(replicas) == 0:
		return ErrFailoverAlone
	case o.Force && (o.Timeout == 0 || o.Host == ""):
		return ErrFailoverForce
	}
	if o.Host != "" {
		r := find(replicas, o.Host, o.Port)
		if r == nil {
			return ErrFailoverTarget
		}
		if s, there := r.is(); !there || s != online {
			return ErrFailoverNotOnline
		}
	}
	n.failover = failover{state: failoverWaits, host: o.Host, port: o.Port, force: o.Force}
	if o.Timeout > 0 {
		n.failover.limit = time.Now().Add(o.Timeout)
	}
	n.o.Host.Pause(true)
	n.log.Warn("failover requested", "to", address(o.Host, o.Port))
	n.post(func() {
		// Writes that were under way are over by then, and count.
		n.o.Host.Exclusive(func() {})
		n.feed.ask()
		n.failoverStep()
	})
	return nil
}

func find(replicas []*Replica, host string, port int) *Replica {
	for _, r := range replicas {
		if r.wishes.Host == host && r.wishes.Port == port {
			return r
		}
	}
	return nil
}

func (n *Node) failingOver() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failover.state != noFailover
}

// AbortFailover ends it where it is.
func (n *Node) AbortFailover() error {
	if !n.endFailover("it was aborted") {
		return ErrFailoverNone
	}
	return nil
}

// endFailover ends a failover that has not succeeded; this server stays the primary.
func (n *Node) endFailover(why string) bool {
	n.mu.Lock()
	was := n.failover.state
	n.failover = failover{}
	if was == failoverRuns {
		n.primary = primary{}
	}
	n.mu.Unlock()
	switch was {
	case noFailover:
		return false
	case failoverRuns:
		n.post(func() {
			n.lead()
			n.o.Host.Pause(false)
		})
	default:
		n.o.Host.Pause(false)
	}
	n.log.Warn("the failover was given up", "why", why)
	return true
}

// failoverStep goes on with a failover, if it can.
func (n *Node) failoverStep() {
	n.mu.Lock()
	f := n.failover
	n.mu.Unlock()
	if f.state == noFailover {
		return
	}
	late := !f.limit.IsZero() && time.Now().After(f.limit)
	if f.state == failoverRuns {
		if late && !f.force {
			n.endFailover("its time is up")
		}
		return
	}
	position := n.feed.Changed()
	for _, r := range n.all() {
		s, there := r.is()
		if !there || s != online || f.host != "" && (r.wishes.Host != f.host || r.wishes.Port != f.port) {
			continue
		}
		if r.acked.Load() >= position || late && f.force {
			n.handOver(r, late)
			return
		}
	}
	if late && f.force {
		n.handOver(&Replica{wishes: Wishes{Host: f.host, Port: f.port}}, true)
		return
	}
	if late {
		n.endFailover("the replica did not get all in time")
	}
}

// handOver asks a replica to take over, by becoming its replica.
func (n *Node) handOver(r *Replica, late bool) {
	n.mu.Lock()
	if n.failover.state != failoverWaits {
		n.mu.Unlock()
		return
	}
	n.failover.state = failoverRuns
	n.primary = primary{host: r.wishes.Host, port: r.wishes.Port}
	n.mu.Unlock()
	n.log.Warn("handing over to a replica", "replica", r.name(), "forced", late)
	n.post(func() { n.follow(true, true) })
}

// refusedFailover says that the replica will not take over.
func (l *link) refusedFailover(err error) bool {
	n := l.node
	n.mu.Lock()
	runs, force := n.failover.state == failoverRuns, n.failover.force
	n.mu.Unlock()
	if !runs {
		l.failover = false
		return false
	}
	if force {
		return false // it goes on until it succeeds or is aborted
	}
	why := "the replica refused"
	if err != nil {
		why = err.Error()
	}
	var refused bool
	if refused = isRefusal(err); refused {
		n.endFailover(why)
	}
	return refused
}

// failedOver is called when the other server is the primary.
func (n *Node) failedOver() {
	n.mu.Lock()
	n.failover = failover{}
	n.mu.Unlock()
	n.o.Host.Pause(false)
	n.log.Warn("the failover is complete: this server is a replica")
}

// Promote makes the server a primary because its own, whose history has the given name,
// asks for that.
func (n *Node) Promote(history string, over func()) error {
	n.feed.mu.Lock()
	same := n.feed.history == history
	n.feed.mu.Unlock()
	host, _, _ := n.follows()
	switch {
	case host == "":
		return ErrPromotePrimary
	case !same:
		return ErrPromoteHistory
	}
	n.log.Warn("this server becomes the primary, because its own asks for it")
	n.Lead(over)
	return nil
}
