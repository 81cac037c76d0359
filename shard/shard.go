package shard

import (
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// A Shard is one partition of the keyspace. Except for the fields that say
// otherwise it is owned by its turn.
type Shard struct {
	// Index is the shard's number, from 0. Immutable.
	Index int
	set   *Set

	// turn is one of the turn states; it guards everything below it.
	turn atomic.Uint32
	// stranded says that the turn was freed with nodes left in mailbox.first.
	stranded atomic.Bool
	mailbox  mailbox

	databases []*keyspace.DB // by number; nil until first written
	watched   watchTable
	waiting   waitTable
	expiry    expiry
	stats     stats
	random    uint64 // state of the generator behind Call.Random
	keeper    keeper
	upkeep    upkeep
	cut       *cut // nil unless a snapshot is taken
	call      Call
	paths     paths // of the burst that is about to run
}

// Options says how a Set is built.
type Options struct {
	Shards    int // at least 1
	Databases int // at least 1
	Commands  int // how many command identifiers the statistics count
	Seed      uint64
	// Inline lets any goroutine run an idle shard; without it only the shard's
	// keeper does, and everyone else posts.
	Inline bool
	// ExpiryInterval is the longest time between two looks for expired keys, and
	// ExpiryBatch how many of them are removed between two looks at the clock; 0
	// for the defaults.
	ExpiryInterval time.Duration
	ExpiryBatch    int
	Clock          clock.Clock
	Hooks          Hooks
}

// Hooks is what a shard tells its surroundings. Every function may be nil and
// is called under the shard's turn, so it must not block.
type Hooks struct {
	// Effects receives what was changed, in the form that reproduces it.
	Effects EffectSink
	// Event receives a keyspace event in the sense of Redis' notifications.
	Event func(s *Shard, database int, class EventClass, name string, key []byte)
	// Slow receives a command that took longer than the slow log allows.
	Slow func(c *Call, nanos int64)
}

// A Set is all shards of one process. It is immutable apart from what its
// fields say, and safe for concurrent use.
type Set struct {
	Shards []*Shard
	clock  clock.Clock
	hooks  Hooks
	// effects is nil when nobody listens. It is read under some turn and written under all.
	effects EffectSink
	order   sequencer
	// arrivals numbers those who wait, in the order in which they began to.
	arrivals atomic.Uint64

	// SlowNanos is the duration from which a command is reported to Hooks.Slow;
	// negative for never.
	SlowNanos atomic.Int64
	// ActiveExpiry says whether keys are deleted when their time has come, or
	// only when somebody asks for them (DEBUG SET-ACTIVE-EXPIRE).
	ActiveExpiry atomic.Bool
	// ExpiryHeld keeps expired keys in place, absent to readers, while it is
	// above zero (CLIENT PAUSE WRITE: nothing may change).
	ExpiryHeld atomic.Int32

	// LazyExpiry and LazyRemoval say that the effect of a key whose time was up, and of one
	// that a command has removed without having been asked for that, is UNLINK and not DEL.
	LazyExpiry, LazyRemoval atomic.Bool

	// limits are the sizes up to which collections are packed.
	limits atomic.Pointer[object.Limits]

	inline bool

	expiryInterval time.Duration
	expiryBatch    int
	// onLong is called before something long runs, if it is set.
	onLong atomic.Pointer[func()]
	closed chan struct{}
}

// OnLong has f called whenever a keeper is about to run a long job, or has more
// keys to expire than fit a slice, and by LongAhead, so that the process can make
// room for it beside the event loops. f must not block.
func (set *Set) OnLong(f func()) { set.onLong.Store(&f) }

// LongAhead says that something long is about to run beside the event loops, or goes
// on. Any goroutine may call it, often.
func (set *Set) LongAhead() {
	if f := set.onLong.Load(); f != nil {
		(*f)()
	}
}

// NewSet builds the shards and starts their keepers.
func NewSet(o Options) *Set {
	set := newSet(o)
	for _, s := range set.Shards {
		go s.keep()
	}
	return set
}

// newSet builds the shards without anyone to keep them.
func newSet(o Options) *Set {
	invariant.Assert(o.Shards > 0 && o.Databases > 0, "a set needs shards and databases")
	set := &Set{clock: o.Clock, hooks: o.Hooks, effects: o.Hooks.Effects, inline: o.Inline, closed: make(chan struct{})}
	if set.clock == nil {
		set.clock = clock.System{}
	}
	set.expiryInterval, set.expiryBatch = o.ExpiryInterval, o.ExpiryBatch
	if set.expiryInterval <= 0 {
		set.expiryInterval = expiryIntervalDefault
	}
	if set.expiryBatch <= 0 {
		set.expiryBatch = expiryBatchDefault
	}
	set.SetLimits(object.DefaultLimits)
	set.SlowNanos.Store(-1)
	set.ActiveExpiry.Store(true)
	for i := range o.Shards {
		s := &Shard{
			Index:     i,
			set:       set,
			databases: make([]*keyspace.DB, o.Databases),
			random:    o.Seed + uint64(i)*0x9e3779b97f4a7c15,
		}
		s.stats.init(o.Commands)
		s.stats.public.databases = make([]publicDatabase, o.Databases)
		s.stats.averageTTL = make([]int64, o.Databases)
		s.keeper.init()
		s.expiry.init()
		set.Shards = append(set.Shards, s)
	}
	for i, s := range set.Shards {
		s.call.Bind(set, set.Shards[i:i+1]...)
	}
	return set
}

// Close stops the keepers and gives the memory of all databases back. Nobody
// may use the set any more.
func (set *Set) Close() {
	close(set.closed)
	for _, s := range set.Shards {
		<-s.keeper.stopped
	}
	for _, s := range set.Shards {
		for i, db := range s.databases {
			if db != nil {
				db.Close()
				s.databases[i] = nil
			}
		}
	}
}

// Of returns the shard that a route hash belongs to.
func (set *Set) Of(routeHash uint64) *Shard {
	return set.Shards[set.IndexOf(routeHash)]
}

// IndexOf returns the number of the shard that a route hash belongs to. It uses
// the upper bits of the hash's lower word; the index of a database uses others.
func (set *Set) IndexOf(routeHash uint64) int { return IndexAmong(routeHash, len(set.Shards)) }

// IndexAmong is which of a number of shards owns the keys with a RouteHash.
func IndexAmong(routeHash uint64, shards int) int {
	return int(uint64(uint32(routeHash)) * uint64(shards) >> 32)
}

// Set is the set the shard belongs to.
func (s *Shard) Set() *Set { return s.set }

// Now is the time of the set's clock in milliseconds since the epoch.
func (set *Set) Now() int64 { return set.clock.NowMillis() }

// Submit hands a transaction over; it runs when its shards come to it, maybe
// before Submit returns.
func (set *Set) Submit(t *Transaction) { set.order.submit(t) }

// EnterAll takes the turns of all the given shards, or none of them. It never
// waits; false means: Submit a transaction over the same shards. The caller must:
// it may have kept from a shard somebody who had to look at its mailbox, and it is
// the transaction that sees to that.
//
// The mailboxes must all be empty once all turns are held. To drain one of them
// while holding another would run, on this shard only, a part of a transaction
// that the other still has in front of it, and the two shards would disagree on
// who was first.
func (set *Set) EnterAll(shards []*Shard) bool {
	for i, s := range shards {
		invariant.Yield("set.enter")
		if !s.turn.CompareAndSwap(turnFree, turnHeld) {
			set.ExitAll(shards[:i])
			return false
		}
	}
	for _, s := range shards {
		invariant.Yield("set.check")
		if s.mailbox.arrived() || s.mailbox.first != nil {
			set.ExitAll(shards)
			return false
		}
	}
	return true
}

// ExitAll gives back what EnterAll took.
func (set *Set) ExitAll(shards []*Shard) {
	for i := len(shards) - 1; i >= 0; i-- {
		shards[i].Exit()
	}
}

// databaseForWrite returns database number n and creates it if need be. Owned by the turn.
func (s *Shard) databaseForWrite(n int) *keyspace.DB {
	if s.databases[n] == nil {
		s.databases[n] = keyspace.New()
	}
	return s.databases[n]
}

// nextRandom advances the shard's generator (splitmix64, Steele et al. 2014).
func (s *Shard) nextRandom() uint64 {
	s.random += 0x9e3779b97f4a7c15
	z := s.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
