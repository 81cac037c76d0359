package shard

import (
	"math"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/shard/keyspace"
)

// expiry deletes the keys of one shard when their time has come: exactly then,
// not when somebody happens to pass by. The databases keep their deadlines in
// order; the keeper sleeps until the first of them and then runs slices, each
// short enough that no client notices. Owned by the turn but for armed.
type expiry struct {
	Node
	// armed is the time the keeper will act at, in milliseconds since the
	// epoch. Written under the turn, read by the keeper.
	armed atomic.Int64
	// posted says that a slice is in the mailbox or running.
	posted atomic.Bool
	// longest is how long the longest slice held the turn, in nanoseconds. Written
	// under the turn, read by anyone.
	longest atomic.Int64
}

const (
	never = math.MaxInt64
	// expireSliceNanos is how long one slice may hold the turn.
	expireSliceNanos = 200_000
	// Defaults of Options.
	expiryIntervalDefault = time.Second
	expiryBatchDefault    = 100
	// expireRetryMillis is when to look again while expiry is switched off.
	expireRetryMillis = 100
)

func (x *expiry) init() { x.armed.Store(never) }

// arm makes sure that the keeper acts at the given time or earlier.
func (x *expiry) arm(s *Shard, at int64) {
	if at < x.armed.Load() {
		x.armed.Store(at)
		s.wakeKeeper()
	}
}

// RunOn implements Job: one slice.
func (x *expiry) RunOn(s *Shard) {
	start := clock.Monotonic()
	next := s.expireSlice()
	serveReady(s.set.Shards[s.Index : s.Index+1])
	if took := clock.Monotonic() - start; took > x.longest.Load() {
		x.longest.Store(took)
	}
	x.posted.Store(false)
	x.armed.Store(next)
	s.wakeKeeper()
}

// expireSlice removes keys and members whose time has come for about expireSliceNanos and
// returns when to go on.
func (s *Shard) expireSlice() (next int64) {
	now := s.set.Now()
	if !s.set.ActiveExpiry.Load() || s.set.ExpiryHeld.Load() > 0 {
		return now + expireRetryMillis
	}
	next = never
	start := clock.Monotonic()
	removed := 0
	for number, db := range s.databases {
		if db == nil || db.Volatile() == 0 && db.WithMembers() == 0 {
			continue
		}
		for db.Volatile() != 0 {
			e := db.NextDue(now)
			if !e.Exists() {
				break
			}
			s.expire(number, Hash(e.Key()), e, now, nil)
			if removed++; removed%s.set.expiryBatch == 0 && clock.Monotonic()-start > expireSliceNanos {
				s.set.LongAhead()
				return now
			}
		}
		if at, ok := db.NextDeadline(); ok && at < next {
			next = at
		}
		if db.WithMembers() == 0 {
			continue
		}
		if s.expireDueMembers(number, db, now, start) {
			s.set.LongAhead()
			return now
		}
		if at, ok := db.NextMemberDeadline(); ok && at < next {
			next = at
		}
	}
	return next
}

// expireFound removes a key that a command has found past its deadline.
func (s *Shard) expireFound(c *Call, database int, hash uint64, e keyspace.Entry) {
	if s.set.ExpiryHeld.Load() > 0 {
		return
	}
	s.expire(database, hash, e, s.set.Now(), c)
}

// expire removes a key; c is the call that met it, nil for the keeper.
func (s *Shard) expire(database int, hash uint64, e keyspace.Entry, now int64, c *Call) {
	s.stats.expired(now - e.Deadline())
	key := e.Key()
	s.emitDelete(c, database, key)
	if hook := s.set.hooks.Event; hook != nil {
		hook(s, database, EventExpired, "expired", key)
	}
	s.apply(database, hash, &mutation{op: opExpire, key: key, entry: e}, 0)
}

// LongestExpirySlice is how many nanoseconds expiry has held a shard at most. Safe
// for concurrent use.
func (set *Set) LongestExpirySlice() (nanos int64) {
	for _, s := range set.Shards {
		nanos = max(nanos, s.expiry.longest.Load())
	}
	return nanos
}
