package replication

import "time"

// State is the part that the server plays.
type State struct {
	Host           string // of the primary; "" for a primary
	Port           int
	Link           string // of a replica: "connect", "connecting", "handshake", "sync", "connected"
	LastHeard      time.Duration
	DownSince      time.Time // zero: never was up
	LinkPosition   int64     // what was applied, -1 without a link
	SyncTotal      int64     // -1: not known
	SyncRead       int64
	Replicas       []ReplicaState
	Failover       string
	History        string
	OldHistory     string
	Position       int64
	OldPosition    int64 // up to which OldHistory is ours, -1
	Backlog        bool
	BacklogFirst   int64
	BacklogLength  int64
	FullSyncs      uint64
	PartialSyncs   uint64
	RefusedPartial uint64
	BytesIn        uint64
	BytesOut       uint64
	BufferBytes    int64
	LeftOut        uint64 // commands of the primary
}

// ReplicaState is one of the server's replicas.
type ReplicaState struct {
	Host     string
	Port     int
	State    string
	Position int64
	Lag      time.Duration
}

// State is how things are.
func (n *Node) State() State {
	now := time.Now()
	n.mu.Lock()
	p := n.primary
	s := State{
		Host: p.host, Port: p.port, Link: p.state.name(), LastHeard: now.Sub(p.heard), DownSince: p.down,
		SyncTotal: p.sync.total, SyncRead: p.sync.read, Failover: n.failover.state.name(), LinkPosition: -1,
	}
	n.mu.Unlock()
	if p.heard.IsZero() {
		s.LastHeard = -1
	}
	f := n.feed
	f.mu.Lock()
	s.History, s.OldHistory, s.Position, s.OldPosition = f.history, f.old, f.position, f.oldEnd
	if f.last != nil {
		s.Backlog, s.BacklogFirst, s.BacklogLength = true, f.first.start+1, f.position-f.first.start
	}
	f.mu.Unlock()
	if p.host != "" && p.state == linkConnected {
		s.LinkPosition = s.Position
	}
	for _, r := range n.all() {
		state, there := r.is()
		if !there || state == finished {
			continue
		}
		s.BufferBytes += r.Behind()
		s.Replicas = append(s.Replicas, ReplicaState{
			Host: r.wishes.Host, Port: r.wishes.Port, State: state.name(), Position: r.acked.Load(), Lag: r.lag(now),
		})
	}
	s.FullSyncs, s.PartialSyncs, s.RefusedPartial = n.fullSyncs.Load(), n.partialSyncs.Load(), n.refusedPartial.Load()
	s.BytesIn, s.BytesOut, s.LeftOut = n.bytesIn.Load(), n.bytesOut.Load(), n.leftOut.Load()
	return s
}

// ResetStats forgets what was counted.
func (n *Node) ResetStats() {
	n.fullSyncs.Store(0)
	n.partialSyncs.Store(0)
	n.refusedPartial.Store(0)
	n.bytesIn.Store(0)
	n.bytesOut.Store(0)
}

// Acknowledge tells the primary how far this server has come.
func (n *Node) Acknowledge() {
	n.post(func() {
		if n.link != nil {
			n.link.acknowledge()
		}
	})
}
