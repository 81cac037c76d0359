package replication

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Wishes are what a replica has said of itself before it asks for the dataset.
type Wishes struct {
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

// The states of a replica.
type replicaState uint8

const (
	waiting  replicaState = iota // for a snapshot to begin
	copying                      // it is sent one
	online                       // it is sent the stream
	finished                     // it wanted no more than a snapshot
)

// name is what INFO calls the state.
func (s replicaState) name() string {
	switch s {
	case waiting:
		return "wait_bgsave"
	case copying:
		return "send_bulk"
	}
	return "online"
}

// A Replica is sent the dataset, and then the stream. What it is sent first is in words,
// then comes the snapshot, and then what the feed has behind the cursor.
//
// Next belongs to the loop of the connection; all else is safe for concurrent use.
type Replica struct {
	node   *Node
	link   Link
	wishes Wishes
	since  time.Time

	roused  atomic.Bool  // Next will be called
	heard   atomic.Int64 // when it last said something, in Unix nanoseconds
	moved   atomic.Int64 // when it was last sent something, in Unix nanoseconds
	acked   atomic.Int64 // up to where it has applied the stream
	durable atomic.Int64 // up to where that survives a loss of power there, NotDurable at first

	cursor cursor // guarded by the feed's mu

	mu        sync.Mutex
	state     replicaState
	words     []byte
	pieces    [][]byte // of the snapshot
	held      int      // bytes of pieces
	room      *sync.Cond
	uncertain bool // it says when it has seen the end of the snapshot; until then, no stream
	gone      bool
}

const (
	// piecesBytesMax is how much of a snapshot waits for a replica; more makes the
	// snapshot wait.
	piecesBytesMax = 2 << 20
)

func newReplica(n *Node, link Link, w Wishes) *Replica {
	if w.Host == "" {
		remote, _ := link.Addresses()
		w.Host = remote
		if host, _, err := net.SplitHostPort(remote); err == nil {
			w.Host = host
		}
	}
	r := &Replica{node: n, link: link, wishes: w, since: time.Now()}
	r.room = sync.NewCond(&r.mu)
	r.heard.Store(time.Now().UnixNano())
	r.durable.Store(NotDurable)
	return r
}

// wake has Next called, if there may be something.
func (r *Replica) wake() {
	if !r.roused.Load() && !r.roused.Swap(true) {
		r.link.Wake()
	}
}

// Next returns what to send next, about n bytes at most, borrowed until it is called
// again; nothing if there is nothing yet. end says that nothing comes behind it.
func (r *Replica) Next(n int) (p []byte, end bool) {
	r.roused.Store(false)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.words) > 0:
		p, r.words = r.words, nil
	case len(r.pieces) > 0:
		p = r.pieces[0]
		r.pieces[0] = nil
		r.pieces = r.pieces[1:]
		r.held -= len(p)
		r.room.Broadcast()
	case r.gone:
	case r.state == finished:
		return nil, true
	case r.state == online && !r.uncertain:
		p = r.node.feed.next(&r.cursor, n)
	}
	if len(p) > 0 {
		r.moved.Store(time.Now().UnixNano())
		r.node.bytesOut.Add(uint64(len(p)))
	}
	return p, false
}

// say sends words before anything else.
func (r *Replica) say(words string) {
	r.mu.Lock()
	r.words = append(r.words, words...)
	r.mu.Unlock()
	r.wake()
}

// send sends a piece of a snapshot, which must not change, when there is room for it.
func (r *Replica) send(p []byte) (ok bool) {
	r.mu.Lock()
	for r.held > 0 && r.held+len(p) > piecesBytesMax && !r.gone {
		r.room.Wait()
	}
	if ok = !r.gone; ok && len(p) > 0 {
		r.pieces = append(r.pieces, p)
		r.held += len(p)
	}
	r.mu.Unlock()
	if ok {
		r.wake()
	}
	return ok
}

// Behind is how many bytes wait for the replica.
func (r *Replica) Behind() int64 {
	f := r.node.feed
	f.mu.Lock()
	behind := int64(0)
	if r.cursor.block != nil {
		behind = f.position - r.cursor.position
	}
	f.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	return behind + int64(r.held)
}

// Started says that what the connection is sent is the replica's stream.
func (r *Replica) Started() bool { return true }

// Alive notes that the replica has said something.
func (r *Replica) Alive() { r.heard.Store(time.Now().UnixNano()) }

// NotDurable is what a replica has synced that has not said anything of it.
const NotDurable = -1

// Acknowledged notes how far the replica has come, and up to where that is durable with it,
// NotDurable if it has not said so. Called on the loop of the connection.
func (r *Replica) Acknowledged(position, durable int64) {
	r.Alive()
	if position > r.acked.Load() {
		r.acked.Store(position)
	}
	if durable > r.durable.Load() {
		r.durable.Store(durable)
	}
	r.mu.Lock()
	sure := r.uncertain && r.state == online
	if sure {
		r.uncertain = false
	}
	r.mu.Unlock()
	if sure {
		r.follow()
	}
	r.node.acknowledged()
}

// begin puts the replica, whose cursor was set, into a state, with words to begin with.
func (r *Replica) begin(s replicaState, words string) {
	r.mu.Lock()
	r.state = s
	r.moved.Store(time.Now().UnixNano())
	r.words = append(r.words, words...)
	r.mu.Unlock()
}

// copied is called when all of its snapshot was sent.
func (r *Replica) copied(uncertain bool) {
	r.mu.Lock()
	r.uncertain = uncertain
	r.state = online
	if r.wishes.SnapshotOnly {
		r.state = finished
	}
	r.mu.Unlock()
	r.Alive()
	if r.wishes.SnapshotOnly {
		r.wake()
		return
	}
	if !uncertain {
		r.follow()
	}
	r.node.countGood()
}

// follow lets the replica know of what is added to the stream.
func (r *Replica) follow() {
	f := r.node.feed
	r.mu.Lock()
	gone := r.gone
	r.mu.Unlock()
	f.mu.Lock()
	if !gone {
		f.readers = append(f.readers, r)
	}
	f.mu.Unlock()
	r.wake()
}

// Gone tells that the connection is over.
func (r *Replica) Gone() {
	r.mu.Lock()
	r.gone = true
	r.words, r.pieces, r.held = nil, nil, 0
	r.room.Broadcast()
	r.mu.Unlock()
	r.node.forget(r)
}

// stuck says for how long nothing was taken of the snapshot that waits for the replica.
func (r *Replica) stuck(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == 0 {
		return 0
	}
	return now.Sub(time.Unix(0, r.moved.Load()))
}

// is says in which state the replica is, unless it has gone.
func (r *Replica) is() (s replicaState, there bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state, !r.gone
}

// lag is for how long nothing was heard of the replica.
func (r *Replica) lag(now time.Time) time.Duration {
	return max(0, now.Sub(time.Unix(0, r.heard.Load())))
}
