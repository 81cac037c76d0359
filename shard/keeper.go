package shard

import (
	"runtime"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/shard/keyspace"
)

// keeper is the goroutine of one shard. It takes the turn like everyone else,
// for what no event loop should do: deadlines, long commands, compaction, and
// whatever a loop left in the mailbox because it had run enough.
type keeper struct {
	wake    chan struct{}
	stopped chan struct{}
}

func (k *keeper) init() {
	k.wake = make(chan struct{}, 1)
	k.stopped = make(chan struct{})
}

// wakeKeeper makes the keeper look at the mailbox and at its timer. Any
// goroutine may call it; it never blocks.
func (s *Shard) wakeKeeper() {
	select {
	case s.keeper.wake <- struct{}{}:
	default:
	}
}

// ClockChanged tells everybody who waits for a time that the clock was set. Any
// goroutine may call it.
func (set *Set) ClockChanged() {
	for _, s := range set.Shards {
		s.wakeKeeper()
	}
}

// upkeepEvery is how often the keeper looks for memory to give back.
const upkeepEvery = 100 * time.Millisecond

// keep is the keeper's life.
func (s *Shard) keep() {
	defer close(s.keeper.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		if armed := s.expiry.armed.Load(); armed == never {
			timer.Stop()
		} else if wait := armed - s.set.Now(); wait > 0 {
			timer.Reset(min(time.Duration(wait)*time.Millisecond, s.set.expiryInterval))
		} else {
			s.postExpiry()
			giveWay() // there may be more to do at once
		}
		select {
		case <-s.keeper.wake:
			s.sweepMailbox()
			if s.upkeep.rounds.Load() > 0 {
				giveWay()
				s.upkeep.post(s)
			}
		case <-timer.C:
			s.postExpiry()
		case <-tick.C:
			s.upkeep.tick(s)
		case <-s.set.closed:
			return
		}
	}
}

// giveWay lets others run between two slices of the keeper's work: an event loop whose
// client has spoken meanwhile waits for a processor, and would until the scheduler's
// next round of preemption.
func giveWay() { runtime.Gosched() }

// postExpiry runs a slice of expiry now, or leaves it in the mailbox of a busy
// shard; RunOn wakes the keeper again in both cases.
func (s *Shard) postExpiry() {
	if s.expiry.armed.Load() > s.set.Now() || !s.expiry.posted.CompareAndSwap(false, true) {
		return
	}
	s.Post(&s.expiry.Node, &s.expiry)
}

// sweepMailbox runs the mailbox, long jobs included, if nobody else has the turn.
// Whoever has it looks at the mailbox before or after, and hands what is long over
// to the keeper again.
func (s *Shard) sweepMailbox() {
	if !s.turn.CompareAndSwap(turnFree, turnHeld) {
		return
	}
	var left rechecks
	if result := s.drain(&left, true); result != granted {
		s.leave(result, &left)
	}
	left.run()
}

const (
	// compactRecords is how many records one step of compaction moves at most.
	compactRecords = 32
	// sweepLeaves is how many leaves of deleted collections one step frees.
	sweepLeaves = 64
	// upkeepSliceNanos is how long one slice of upkeep holds the turn.
	upkeepSliceNanos = 200_000
	// upkeepRounds is how many slices one tick may run.
	upkeepRounds = 20
)

// upkeep gives back what keys and watches have left behind, in slices. On a busy
// shard a slice waits in the mailbox like everything else, so that memory comes
// back under load as well. Owned by the turn but for its atomics.
type upkeep struct {
	Node
	// posted says that a slice is in the mailbox or running.
	posted atomic.Bool
	// rounds is how many more slices this tick may run; 0 when there is nothing
	// left to do.
	rounds atomic.Int32
}

// tick begins a round of upkeep. Called by the keeper.
func (u *upkeep) tick(s *Shard) {
	u.rounds.Store(upkeepRounds)
	u.post(s)
}

// post runs a slice now, or leaves it in the mailbox of a busy shard.
func (u *upkeep) post(s *Shard) {
	if u.rounds.Load() > 0 && u.posted.CompareAndSwap(false, true) {
		s.Post(&u.Node, u)
	}
}

// RunOn implements Job: one slice.
func (u *upkeep) RunOn(s *Shard) {
	if s.compact() {
		u.rounds.Add(-1)
	} else {
		s.watched.tidy()
		s.sampleTTLs()
		u.rounds.Store(0)
	}
	u.posted.Store(false)
	if u.rounds.Load() > 0 {
		s.wakeKeeper()
	}
}

// ttlSamples is how many keys one look at the times to live takes in.
const ttlSamples = 16

// sampleTTLs keeps a moving average of how long the keys of each database have
// to live, for INFO.
func (s *Shard) sampleTTLs() {
	now := s.set.Now()
	for number, db := range s.databases {
		if db == nil || db.Volatile() == 0 {
			s.stats.averageTTL[number] = 0
			continue
		}
		var sum, count int64
		// Not the generator of the commands, whose numbers a replay must see again.
		db.Sample(uint64(clock.Monotonic())*0x9e3779b97f4a7c15, ttlSamples, func(e keyspace.Entry) {
			if at := e.Deadline(); at > now {
				sum += at - now
				count++
			}
		})
		if count == 0 {
			continue
		}
		average := &s.stats.averageTTL[number]
		if *average == 0 {
			*average = sum / count
		} else {
			*average += (sum/count - *average) / 8
		}
		s.stats.touch(number)
	}
}

// compact runs one slice of freeing and compaction and says whether there is more
// to do.
func (s *Shard) compact() (more bool) {
	start := clock.Monotonic()
	for number, db := range s.databases {
		if db == nil {
			continue
		}
		for db.Unswept() > 0 || db.Compact(compactRecords) {
			if pending := db.Unswept(); pending > 0 {
				db.Sweep(sweepLeaves)
				s.stats.lazyFreed += uint64(pending - db.Unswept())
			}
			if clock.Monotonic()-start > upkeepSliceNanos {
				s.stats.touch(number)
				return true
			}
		}
		s.stats.touch(number)
	}
	return false
}
