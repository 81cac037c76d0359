package engine

import (
	"time"

	"hyperkv/resp"
)

// Replication copies the dataset to other servers, and theirs to this one: what the
// engine's commands ask of it. Safe for concurrent use; nothing of it blocks.
type Replication interface {
	State() ReplicationState
	// Follow makes the server a copy of another one, and Lead nobody's. over is called
	// when that is so.
	Follow(host string, port int, over func())
	Lead(over func())
	// Serve begins to send the dataset, and what happens to it, to a session.
	Serve(s *Session, want ReplicaWishes) (Replica, error)
	// Failover makes a replica the primary and this server its replica.
	Failover(FailoverOptions) error
	AbortFailover() error
	// Promote makes the server a primary because its own, whose history has the given
	// name, asks for that.
	Promote(history string, over func()) error
	// Acknowledge asks the primary's link to say how far the server has come.
	Acknowledge()
	// Changed is the position of a replica that knows of every change so far, and Reached
	// how many have come to one, and how many have synced what was before it.
	Changed() int64
	Reached(position int64) (applied, durable int)
	// Await asks the replicas how far they have come, and calls look whenever one says so,
	// on any goroutine; forget ends that.
	Await(look func()) (forget func())
	// ResetStats forgets what was counted.
	ResetStats()
	// NewHistory gives the dataset a new name, as if it were another one.
	NewHistory()
}

// ReplicaWishes are what a replica has said of itself before it asks for the dataset.
type ReplicaWishes struct {
	Host string // "": where it connects from
	Port int
	// EOF: it understands snapshots whose length is not known before. PSYNC2: it knows
	// that a history may change its name. Native: it is a HyperKV.
	EOF, PSYNC2, Native bool
	// SnapshotOnly: it wants nothing of what comes after. WithoutKeys: not even keys.
	SnapshotOnly, WithoutKeys bool

	// Continue: it has what History had up to Position; without it, it wants all.
	// Named: it understands a reply that names the history.
	Continue, Named bool
	History         string
	Position        int64
}

// A Replica is a session that is sent the dataset.
type Replica interface {
	// Next returns what to send next, about n bytes at most, borrowed until it is called
	// again; nothing if there is nothing yet. end says that nothing comes behind it.
	// Called on the session's loop.
	Next(n int) (p []byte, end bool)
	// Behind is how many bytes wait for it.
	Behind() int64
	// Acknowledged notes how far it has come and what of that it has synced, which is
	// negative if it has not said so; Alive notes that it has said anything.
	Acknowledged(position, durable int64)
	Alive()
	// Started says that bytes of the stream may have been sent: a reply would be taken
	// for some of them.
	Started() bool
	// Gone tells that the connection is over.
	Gone()
}

// FailoverOptions are those of FAILOVER.
type FailoverOptions struct {
	Host    string // "": whichever replica has all first
	Port    int
	Force   bool
	Timeout time.Duration // 0: none
}

// ReplicationState is the part that the server plays.
type ReplicationState struct {
	Replica        bool
	Host           string // of the primary
	Port           int
	Link           string // of a replica: "connect", "connecting", "handshake", "sync", "connected"
	LastHeard      time.Duration
	DownSince      time.Time // zero: never was up
	LinkPosition   int64     // of a replica: how far it has come, -1 without a link
	SyncTotal      int64     // bytes of the snapshot that comes, -1 if that is not known
	SyncRead       int64
	Replicas       []ReplicaState
	Failover       string // "no-failover", "waiting-for-sync", "failover-in-progress"
	History        string
	OldHistory     string
	Position       int64
	OldPosition    int64 // up to which OldHistory is ours
	Backlog        bool
	BacklogFirst   int64
	BacklogLength  int64
	FullSyncs      uint64
	PartialSyncs   uint64
	RefusedPartial uint64
	BytesIn        uint64
	BytesOut       uint64
	BufferBytes    int64  // that wait for replicas
	LeftOut        uint64 // commands of the primary that could not be done
}

// ReplicaState is one of the server's replicas.
type ReplicaState struct {
	Host     string
	Port     int
	State    string // "wait_bgsave", "send_bulk", "online"
	Position int64
	Lag      time.Duration
}

// SetReplication says what copies the dataset.
func (e *Engine) SetReplication(r Replication) { e.replication.Store(&r) }

// Replication is what copies the dataset, nil if nothing can.
func (e *Engine) Replication() Replication {
	if r := e.replication.Load(); r != nil {
		return *r
	}
	return nil
}

// ReplicationState is the part that the server plays, also where it can play no other.
func (e *Engine) ReplicationState() ReplicationState {
	if r := e.Replication(); r != nil {
		return r.State()
	}
	return ReplicationState{Failover: "no-failover", History: e.runID, OldPosition: -1}
}

// CloseToWrites refuses the writes of clients, because the dataset is a copy of
// another server's: nothing of it expires by itself either.
func (e *Engine) CloseToWrites(on bool) { e.closed.set(closedWrites, on) }

// CloseStale refuses commands on data that may be out of date.
func (e *Engine) CloseStale(on bool) { e.closed.set(closedStale, on) }

// GoodReplicas is how many replicas are there, and not too far behind.
func (e *Engine) GoodReplicas() int64 { return e.limits.replicasGood.Load() }

// SetGoodReplicas says how many replicas are there, and not too far behind.
func (e *Engine) SetGoodReplicas(n int) { e.limits.replicasGood.Store(int64(n)) }

// ReleaseBlocked ends the waits of clients in commands that may write, and those for
// replicas, whose positions are of another stream from now on: the server is a replica.
func (e *Engine) ReleaseBlocked() {
	for _, s := range e.Clients() {
		b := s.info.blocking.Load()
		if c := s.info.command.Load(); c != nil && c.Is(Write) || b != nil && b.timedOut != nil {
			s.unblockWith(resp.ErrUnblockedRole)
		}
	}
}
