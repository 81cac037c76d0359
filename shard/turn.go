package shard

import (
	"hyperkv/internal/invariant"
)

// The states of a shard's turn.
const (
	turnFree    uint32 = iota
	turnHeld           // one goroutine runs the shard
	turnGranted        // an exclusive transaction has the shard and waits for others
)

// drainMax bounds how many nodes one drain runs before the keeper takes over,
// so that a busy mailbox cannot keep an event loop from its sockets.
const drainMax = 64

// leaveRoundsMax bounds how often one who gives the turn back comes back for what
// has arrived meanwhile; then, too, the keeper takes over.
const leaveRoundsMax = 16

// drainResult says how a drain ended.
type drainResult uint8

const (
	drained    drainResult = iota // the mailbox is empty
	blocked                       // the first node is a transaction not yet published
	handedOver                    // what is left is for the keeper
	granted                       // the turn now belongs to an exclusive transaction
)

// Enter takes the turn if nobody has it, and runs whatever reached the mailbox
// before. It returns true when the caller may now use the shard, and must then
// call Exit. False means: post to the mailbox instead. It never waits. Any
// goroutine may call it.
func (s *Shard) Enter() bool {
	invariant.Yield("turn.enter")
	if !s.turn.CompareAndSwap(turnFree, turnHeld) {
		return false
	}
	if !s.mailbox.arrived() && s.mailbox.first == nil {
		return true
	}
	var left rechecks
	result := s.drain(&left, false)
	if result == drained {
		left.run()
		return true
	}
	if result != granted {
		s.leave(result, &left)
	}
	left.run()
	return false
}

// Exit gives the turn back and runs what arrived meanwhile.
func (s *Shard) Exit() {
	var left rechecks
	s.exit(&left)
	left.run()
}

func (s *Shard) exit(left *rechecks) {
	invariant.Assert(s.turn.Load() == turnHeld, "turn given back by one who did not hold it")
	s.leave(drained, left)
}

// leave frees the turn, given how the last drain ended. What was posted while
// the turn was held is nobody else's business, so it looks again after freeing
// it: a poster either finds the turn free, or its node is seen here.
func (s *Shard) leave(last drainResult, left *rechecks) {
	for rounds := 0; ; rounds++ {
		var waitFor *Transaction
		if last == blocked {
			waitFor = s.mailbox.first.txn
		}
		s.publish()
		s.turn.Store(turnFree)
		invariant.Yield("turn.freed")
		switch {
		case last == handedOver:
			s.wakeKeeper()
			return
		case waitFor != nil:
			// The publisher of waitFor comes back to this shard, unless it
			// looked before the turn was free; then it has published by now.
			if !waitFor.published.Load() {
				return
			}
		case !s.mailbox.arrived():
			return
		}
		if rounds == leaveRoundsMax {
			s.wakeKeeper()
			return
		}
		if !s.turn.CompareAndSwap(turnFree, turnHeld) {
			return
		}
		last = s.drain(left, false)
		if last == granted {
			return
		}
	}
}

// drain runs the nodes of the mailbox in order. keeper says that the caller is
// the shard's keeper, who alone runs long jobs. Owned by the turn; after granted
// the caller no longer holds it.
func (s *Shard) drain(left *rechecks, keeper bool) drainResult {
	if s.stranded.Load() {
		s.stranded.Store(false)
	}
	for ran := 0; ; ran++ {
		if s.mailbox.first == nil {
			s.mailbox.collect()
			if s.mailbox.first == nil {
				return drained
			}
		}
		invariant.Yield("turn.drain")
		n := s.mailbox.first
		if n.txn != nil && !n.txn.published.Load() {
			return blocked
		}
		if !keeper && (n.long || ran >= drainMax) {
			return handedOver
		}
		s.mailbox.pop()
		if n.long {
			s.set.LongAhead()
		}
		if n.txn == nil {
			n.job.RunOn(s)
			continue
		}
		if n.txn.reach(s, left) {
			return granted
		}
	}
}

// Post puts a job into the mailbox and runs the mailbox if the shard is idle.
// n must be embedded in job and be free. Any goroutine may call it.
func (s *Shard) Post(n *Node, job Job) {
	n.job, n.txn, n.long = job, nil, false
	s.mailbox.post(n)
	s.kick()
}

// kick sees to it that the mailbox is looked at.
func (s *Shard) kick() {
	if !s.set.inline {
		s.wakeKeeper()
		return
	}
	if s.Enter() {
		s.Exit()
	}
}

// PostLong puts a job into the mailbox that only the shard's keeper may run,
// because it takes too long for an event loop.
func (s *Shard) PostLong(n *Node, job Job) {
	n.job, n.txn, n.long = job, nil, true
	s.mailbox.post(n)
	s.wakeKeeper()
}

// rechecks is the list of shards that an exclusive transaction set free and
// whose mailboxes may have filled meanwhile. It is worked off by the outermost
// caller, so that a chain of transactions does not become a chain of stack frames.
type rechecks struct {
	shards [16]*Shard
	count  int
}

func (r *rechecks) add(s *Shard) {
	if r.count == len(r.shards) {
		s.wakeKeeper()
		return
	}
	r.shards[r.count] = s
	r.count++
}

// rechecksMax bounds how many freed shards one caller looks after.
const rechecksMax = 256

func (r *rechecks) run() {
	for ran := 0; r.count > 0; ran++ {
		r.count--
		s := r.shards[r.count]
		if ran >= rechecksMax {
			s.wakeKeeper()
			continue
		}
		invariant.Yield("turn.recheck")
		if !s.mailbox.arrived() && !s.stranded.Load() {
			continue
		}
		if !s.turn.CompareAndSwap(turnFree, turnHeld) {
			continue
		}
		if result := s.drain(r, false); result != granted {
			s.leave(result, r)
		}
	}
}
