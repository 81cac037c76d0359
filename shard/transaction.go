package shard

import (
	"runtime"
	"sync"
	"sync/atomic"

	"hyperkv/internal/invariant"
)

// A Transaction is one piece of work over several shards. It takes effect at
// one point of the order that all shards agree on.
//
// A parallel one runs Part on each shard as that shard reaches it. An exclusive
// one keeps each shard that reaches it until the last has come, whose goroutine
// then runs Body with all of them in hand.
//
// It is built by one goroutine, then handed to Set.Submit, and belongs to the
// shards from then on until Done has been called and Submit has returned; then
// it may be used again.
type Transaction struct {
	Shards []*Shard // in ascending order, at least one

	// Part runs once per shard; index is the shard's place in Shards.
	Part func(index int, s *Shard)
	// Body runs once with the turns of all Shards; nil for a parallel transaction.
	Body func()
	// Whole, if set, is the body that a parallel one gets while the set is Undivided.
	Whole func()
	// Done runs once after the last part or the body, on the goroutine that ran
	// it. It must not block and must not touch a shard.
	Done func()
	// Long keeps the body and the parts off event loops.
	Long bool

	nodes     []Node
	published atomic.Bool
	pending   atomic.Int32
}

// sequencer makes the pushes of one transaction into its mailboxes one instant.
type sequencer struct {
	mu        sync.Mutex
	undivided bool // guarded by mu
}

// SetUndivided says whether parallel transactions that have a Whole are to take effect
// at one moment on all shards: those that emptied one shard and not yet the next would
// otherwise be seen by whoever follows the effects of all. It holds for all that are
// submitted from now on.
func (set *Set) SetUndivided(on bool) {
	set.order.lock()
	set.order.undivided = on
	set.order.mu.Unlock()
}

// lock takes the mutex. Under the deterministic scheduler the holder may be
// stopped, so that waiting must let others run.
func (q *sequencer) lock() {
	if !invariant.Enabled {
		q.mu.Lock()
		return
	}
	for !q.mu.TryLock() {
		invariant.Yield("sequencer.wait")
		runtime.Gosched()
	}
}

// submit pushes t into all its mailboxes and sees to it that they are looked at.
func (q *sequencer) submit(t *Transaction) {
	q.push(t)
	for _, s := range t.Shards {
		if t.Long {
			s.wakeKeeper()
			continue
		}
		s.kick()
	}
}

// push puts t into all its mailboxes. Between the first push and the last a
// shard that meets t stops there; otherwise it could run its part before another
// shard knows of t, and a client that saw the first half could read around the second.
func (q *sequencer) push(t *Transaction) {
	if cap(t.nodes) < len(t.Shards) {
		t.nodes = make([]Node, len(t.Shards))
	}
	t.nodes = t.nodes[:len(t.Shards)]
	t.published.Store(false)
	t.pending.Store(int32(len(t.Shards)))
	q.lock()
	if q.undivided && t.Whole != nil {
		t.Body = t.Whole
	}
	for i, s := range t.Shards {
		t.nodes[i] = Node{txn: t, long: t.Long}
		s.mailbox.post(&t.nodes[i])
		invariant.Yield("transaction.push")
	}
	t.published.Store(true)
	q.mu.Unlock()
}

// reach is called by the holder of s when t comes to the head of its mailbox.
// It returns true when s stays with t and the caller has lost the turn.
func (t *Transaction) reach(s *Shard, left *rechecks) bool {
	if t.Body == nil {
		index := t.indexOf(s)
		t.Part(index, s)
		s.publish()
		if t.pending.Add(-1) == 0 {
			t.Done()
		}
		return false
	}
	s.turn.Store(turnGranted)
	invariant.Yield("transaction.granted")
	if t.pending.Add(-1) > 0 {
		return true
	}
	// From here on this goroutine runs all shards of t.
	t.Body()
	for _, other := range t.Shards {
		if other == s {
			continue
		}
		other.publish()
		other.stranded.Store(other.mailbox.first != nil)
		other.turn.Store(turnFree)
		left.add(other)
	}
	s.turn.Store(turnHeld)
	s.publish()
	t.Done()
	return false
}

func (t *Transaction) indexOf(s *Shard) int {
	for i, other := range t.Shards {
		if other == s {
			return i
		}
	}
	panic("shard: transaction reached a shard it was not sent to")
}
