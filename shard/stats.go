package shard

import (
	"math/bits"
	"strings"
	"sync/atomic"
)

// LatencyBuckets is how many buckets a latency histogram has: four per octave
// of nanoseconds, from 2^LatencyMinBits up; the last takes everything longer.
const (
	LatencyMinBits = 8
	LatencyBuckets = 4 * 30
)

// LatencyBucket is the bucket a duration in nanoseconds falls into.
func LatencyBucket(nanos int64) int {
	if nanos < 1<<LatencyMinBits {
		return 0
	}
	log := bits.Len64(uint64(nanos)) - 1
	quarter := int(uint64(nanos)>>(log-2)) & 3
	return min((log-LatencyMinBits)*4+quarter+1, LatencyBuckets-1)
}

// LatencyBucketEnd is the duration in nanoseconds up to which a bucket reaches.
func LatencyBucketEnd(bucket int) int64 {
	if bucket == 0 {
		return 1 << LatencyMinBits
	}
	bucket--
	log, quarter := bucket/4+LatencyMinBits, int64(bucket%4)
	return (4 + quarter + 1) << (log - 2)
}

// LagBuckets is how many buckets the expiry lag has: bucket i holds lags below
// 2^i milliseconds, the last everything longer.
const LagBuckets = 20

// CommandStats counts one command. Nanos is the time spent in it.
type CommandStats struct {
	Calls, Failed, Rejected, Nanos uint64
	Latency                        [LatencyBuckets]uint64
}

// Subtract takes away what was counted earlier.
func (s *CommandStats) Subtract(earlier *CommandStats) {
	s.Calls -= earlier.Calls
	s.Failed -= earlier.Failed
	s.Rejected -= earlier.Rejected
	s.Nanos -= earlier.Nanos
	for b := range s.Latency {
		s.Latency[b] -= earlier.Latency[b]
	}
}

// A CommandCounter counts commands for one owner and publishes the counts for
// others. Counting costs plain additions; Publish costs a few atomic stores for
// the commands that ran since, so it is done once per turn and not per command.
type CommandCounter struct {
	local  []CommandStats
	low    []uint8 // the range of latency buckets touched since Publish
	high   []uint8
	active []bool
	dirty  []int
	public []publicCommandStats
}

type publicCommandStats struct {
	calls, failed, rejected, nanos atomic.Uint64
	latency                        [LatencyBuckets]atomic.Uint64
}

// NewCommandCounter counts commands with identifiers below n.
func NewCommandCounter(n int) *CommandCounter {
	return &CommandCounter{
		local:  make([]CommandStats, n),
		low:    make([]uint8, n),
		high:   make([]uint8, n),
		active: make([]bool, n),
		public: make([]publicCommandStats, n),
	}
}

func (c *CommandCounter) touch(id int) *CommandStats {
	if !c.active[id] {
		c.active[id] = true
		c.low[id], c.high[id] = LatencyBuckets, 0
		c.dirty = append(c.dirty, id)
	}
	return &c.local[id]
}

// Ran counts a call. Owner only.
func (c *CommandCounter) Ran(id int, nanos int64) {
	st := c.touch(id)
	st.Calls++
	st.Nanos += uint64(nanos)
	b := LatencyBucket(nanos)
	st.Latency[b]++
	c.low[id], c.high[id] = min(c.low[id], uint8(b)), max(c.high[id], uint8(b))
}

// Failed counts a call that ended in an error. Owner only.
func (c *CommandCounter) Failed(id int) { c.touch(id).Failed++ }

// Rejected counts a command that was refused before it ran. Owner only.
func (c *CommandCounter) Rejected(id int) { c.touch(id).Rejected++ }

// Publish makes the counts visible to Read. Owner only.
//
// Read goes through them the other way round: who sees a call in the histogram
// sees its time as well, and who sees it counted sees it in the histogram.
func (c *CommandCounter) Publish() {
	for _, id := range c.dirty {
		from, to := &c.local[id], &c.public[id]
		to.nanos.Store(from.Nanos)
		for b := int(c.low[id]); b <= int(c.high[id]); b++ {
			to.latency[b].Store(from.Latency[b])
		}
		to.failed.Store(from.Failed)
		to.rejected.Store(from.Rejected)
		to.calls.Store(from.Calls)
		c.active[id] = false
	}
	c.dirty = c.dirty[:0]
}

// Read adds the published counts of command id to sum. Safe for concurrent use.
func (c *CommandCounter) Read(id int, sum *CommandStats) {
	from := &c.public[id]
	calls := from.calls.Load()
	sum.Failed += from.failed.Load()
	sum.Rejected += from.rejected.Load()
	if calls == 0 {
		return
	}
	sum.Calls += calls
	for b := range from.latency {
		sum.Latency[b] += from.latency[b].Load()
	}
	sum.Nanos += from.nanos.Load()
}

// Reset forgets all counts. Owner only.
func (c *CommandCounter) Reset() {
	c.Publish()
	for id := range c.local {
		from, to := &c.local[id], &c.public[id]
		if from.Calls == 0 && from.Failed == 0 && from.Rejected == 0 {
			continue
		}
		*from = CommandStats{}
		to.calls.Store(0)
		to.failed.Store(0)
		to.rejected.Store(0)
		to.nanos.Store(0)
		for b := range to.latency {
			to.latency[b].Store(0)
		}
	}
}

// Calls is the published number of calls over all commands.
func (c *CommandCounter) Calls() (n uint64) {
	for i := range c.public {
		n += c.public[i].calls.Load()
	}
	return n
}

// stats is what a shard counts. Owned by the turn but for public.
type stats struct {
	commands *CommandCounter
	errors   map[string]uint64 // by prefix; copied to public when it changes

	hits, misses uint64
	expiredKeys  uint64
	// expiredMembers counts members of collections.
	expiredMembers uint64
	lazyFreed      uint64 // large collections that were freed after their keys
	dirty          uint64 // changes by commands, see Call.CountChanges
	lag            [LagBuckets]uint64
	lagSumMillis   uint64
	errorsChanged  bool
	lagChanged     bool
	averageTTL     []int64 // in milliseconds, by database
	touched        uint64  // databases changed since the last publish, as bits

	public publicStats
}

type publicStats struct {
	hits, misses, expired, dirty, lagSum atomic.Uint64
	lazyFreed                            atomic.Uint64
	waitingKeys, waitingOnDeletion       atomic.Int64
	expiredMembers                       atomic.Uint64
	lag                                  [LagBuckets]atomic.Uint64
	errors                               atomic.Pointer[map[string]uint64]
	databases                            []publicDatabase
}

type publicDatabase struct {
	keys, volatile, bytes, averageTTL, unswept atomic.Int64
	withMembers                                atomic.Int64
}

// databasesTracked is how many databases have a bit of their own in touched;
// the others share the last.
const databasesTracked = 63

func (st *stats) init(commands int) { st.commands = NewCommandCounter(commands) }

func (st *stats) ran(id int, nanos int64) { st.commands.Ran(id, nanos) }

func (st *stats) failed(id int, err error) {
	st.commands.Failed(id)
	if st.errors == nil {
		st.errors = make(map[string]uint64)
	}
	st.errors[ErrorPrefix(err)]++
	st.errorsChanged = true
}

// ErrorPrefix is the first word of an error reply, by which INFO counts errors.
func ErrorPrefix(err error) string {
	prefix, _, _ := strings.Cut(err.Error(), " ")
	if prefix == "" || strings.ToUpper(prefix) != prefix {
		return "ERR"
	}
	return prefix
}

func (st *stats) touch(database int) { st.touched |= 1 << min(database, databasesTracked) }

func (st *stats) expired(lagMillis int64) {
	st.expiredKeys++
	st.lagChanged = true
	lagMillis = max(lagMillis, 0)
	st.lagSumMillis += uint64(lagMillis)
	st.lag[min(bits.Len64(uint64(lagMillis)), LagBuckets-1)]++
}

func (st *stats) membersExpired(n int) { st.expiredMembers += uint64(n) }

// Publish makes what was counted since the last time visible to Stats. It is done
// whenever the turn is given back. Who answers a client before that publishes
// first, because the client may ask next what it has just done. The caller holds
// the turn.
func (s *Shard) Publish() { s.publish() }

func (s *Shard) publish() {
	st := &s.stats
	if len(st.commands.dirty) != 0 {
		st.commands.Publish()
	}
	if st.hits != st.public.hits.Load() {
		st.public.hits.Store(st.hits)
	}
	if st.misses != st.public.misses.Load() {
		st.public.misses.Store(st.misses)
	}
	if st.errorsChanged {
		st.errorsChanged = false
		errors := make(map[string]uint64, len(st.errors))
		for prefix, n := range st.errors {
			errors[prefix] = n
		}
		st.public.errors.Store(&errors)
	}
	if n := int64(len(s.waiting.queues)); n != st.public.waitingKeys.Load() {
		st.public.waitingKeys.Store(n)
	}
	if n := int64(s.waiting.onDeletion); n != st.public.waitingOnDeletion.Load() {
		st.public.waitingOnDeletion.Store(n)
	}
	if st.touched == 0 {
		return
	}
	st.public.dirty.Store(st.dirty)
	st.public.lazyFreed.Store(st.lazyFreed)
	st.public.expiredMembers.Store(st.expiredMembers)
	if st.lagChanged {
		st.lagChanged = false
		st.public.expired.Store(st.expiredKeys)
		st.public.lagSum.Store(st.lagSumMillis)
		for i, n := range st.lag {
			st.public.lag[i].Store(n)
		}
	}
	for touched := st.touched; touched != 0; touched &= touched - 1 {
		first := bits.TrailingZeros64(touched)
		last := first
		if first == databasesTracked {
			last = len(s.databases) - 1
		}
		for n := first; n <= last; n++ {
			s.publishDatabase(n)
		}
	}
	st.touched = 0
}

func (s *Shard) publishDatabase(n int) {
	to := &s.stats.public.databases[n]
	db := s.databases[n]
	if db == nil {
		to.keys.Store(0)
		to.volatile.Store(0)
		to.withMembers.Store(0)
		to.bytes.Store(0)
		to.unswept.Store(0)
		return
	}
	to.keys.Store(int64(db.Len()))
	to.volatile.Store(int64(db.Volatile()))
	to.withMembers.Store(int64(db.WithMembers()))
	to.bytes.Store(db.Bytes())
	to.averageTTL.Store(s.stats.averageTTL[n])
	to.unswept.Store(int64(db.Unswept()))
}

// Stats is what a shard has counted, as of the end of its last turn.
type Stats struct {
	Hits, Misses, Expired, Dirty uint64
	// ExpiredMembers counts members of collections, as Expired does keys.
	ExpiredMembers uint64
	// LazyFreed counts large collections that were freed after their keys were
	// gone; LazyPending is how many are still to be freed.
	LazyFreed, LazyPending uint64
	// WaitingKeys is how many keys blocking commands wait for, WaitingOnDeletion
	// how many of those also end a wait by being deleted.
	WaitingKeys, WaitingOnDeletion int64
	LagSumMillis                   uint64
	Lag                            [LagBuckets]uint64
	Errors                         map[string]uint64
	Databases                      []DatabaseStats
}

// DatabaseStats is the size of one database on one shard.
type DatabaseStats struct {
	Keys, Volatile, Bytes int64
	// WithMembers is how many collections have members that expire.
	WithMembers int64
	// TTLSum is the average time to live in milliseconds times Volatile, so that
	// shards can be added up.
	TTLSum int64
}

// AverageTTL is roughly how long a volatile key has to live, in milliseconds.
func (d DatabaseStats) AverageTTL() int64 {
	if d.Volatile == 0 {
		return 0
	}
	return d.TTLSum / d.Volatile
}

// Stats adds what the shard has published to sum. Safe for concurrent use.
func (s *Shard) Stats(sum *Stats) {
	p := &s.stats.public
	sum.Hits += p.hits.Load()
	sum.Misses += p.misses.Load()
	sum.Expired += p.expired.Load()
	sum.ExpiredMembers += p.expiredMembers.Load()
	sum.Dirty += p.dirty.Load()
	sum.LazyFreed += p.lazyFreed.Load()
	sum.WaitingKeys += p.waitingKeys.Load()
	sum.WaitingOnDeletion += p.waitingOnDeletion.Load()
	sum.LagSumMillis += p.lagSum.Load()
	for i := range p.lag {
		sum.Lag[i] += p.lag[i].Load()
	}
	if errors := p.errors.Load(); errors != nil {
		if sum.Errors == nil {
			sum.Errors = make(map[string]uint64)
		}
		for prefix, n := range *errors {
			sum.Errors[prefix] += n
		}
	}
	if sum.Databases == nil {
		sum.Databases = make([]DatabaseStats, len(p.databases))
	}
	for i := range p.databases {
		sum.Databases[i].Keys += p.databases[i].keys.Load()
		volatile := p.databases[i].volatile.Load()
		sum.Databases[i].Volatile += volatile
		sum.Databases[i].TTLSum += volatile * p.databases[i].averageTTL.Load()
		sum.Databases[i].WithMembers += p.databases[i].withMembers.Load()
		sum.Databases[i].Bytes += p.databases[i].bytes.Load()
		sum.LazyPending += uint64(p.databases[i].unswept.Load())
	}
}

// Bytes is what the data of all shards occupies. Safe for concurrent use.
func (set *Set) Bytes() (n int64) {
	for _, s := range set.Shards {
		for i := range s.stats.public.databases {
			n += s.stats.public.databases[i].bytes.Load()
		}
	}
	return n
}

// CommandCounter is what the shard has counted per command; only Read and Calls
// may be used by others than the holder of the turn.
func (s *Shard) CommandCounter() *CommandCounter { return s.stats.commands }

// CountChanges says that what the command has changed since it began, or since the last
// such call, counts as n changes, and not as one for each mutation. Commands call it of
// which Redis counts the elements, or two keys as one, and so does whoever changes keys
// without a command. It is only about the number in INFO that the points of `save` go by.
func (c *Call) CountChanges(n int) {
	c.counted = c.changes
	s := c.shards[0]
	s.stats.dirty += uint64(n)
	s.stats.touch(c.DB.Number)
}

// countRest counts the changes that CountChanges has not counted. Both do so on one shard
// of several, and only ever add: the sum over shards, as others see it, never goes down.
func (c *Call) countRest() {
	s := c.only
	if s == nil {
		s = c.shards[0]
		s.stats.touch(c.DB.Number)
	}
	s.stats.dirty += uint64(c.changes - c.counted)
}

// Dirty is how many changes the call's shards have counted so far.
func (c *Call) Dirty() (n uint64) {
	for _, s := range c.shards {
		n += s.stats.dirty
	}
	return n
}

// KeyCount is how many keys the call's shards have, in all databases.
func (c *Call) KeyCount() (n uint64) {
	for _, s := range c.shards {
		for _, db := range s.databases {
			if db != nil {
				n += uint64(db.Len())
			}
		}
	}
	return n
}

// ResetStats forgets what was counted (CONFIG RESETSTAT). The caller holds the turn.
func (s *Shard) ResetStats() {
	st := &s.stats
	st.commands.Reset()
	st.errors, st.errorsChanged = nil, false
	st.hits, st.misses, st.expiredKeys, st.lagSumMillis, st.lazyFreed = 0, 0, 0, 0, 0
	st.hits, st.misses, st.expiredKeys, st.lagSumMillis = 0, 0, 0, 0
	st.expiredMembers = 0
	st.lag = [LagBuckets]uint64{}
	p := &st.public
	p.hits.Store(0)
	p.misses.Store(0)
	p.expired.Store(0)
	p.lazyFreed.Store(0)
	p.expiredMembers.Store(0)
	p.lagSum.Store(0)
	for i := range p.lag {
		p.lag[i].Store(0)
	}
	p.errors.Store(nil)
}

// Merge adds the published counts of another counter, which nobody uses any
// more. Owner only.
func (c *CommandCounter) Merge(other *CommandCounter) {
	for id := range c.local {
		st := c.touch(id)
		other.Read(id, st)
		c.low[id], c.high[id] = 0, LatencyBuckets-1
	}
	c.Publish()
}
