package server

import (
	"sort"
	"strconv"
	"sync"
	"time"

	"hyperkv/engine"
	"hyperkv/shard"
)

// The events that the latency monitor knows.
const (
	eventCommand     = "command"
	eventFastCommand = "fast-command"
	eventExpireCycle = "expire-cycle"
)

const (
	// samplesMax is how many samples of an event are kept, as in Redis.
	samplesMax = 160
	// watchEvery is how often the monitor looks.
	watchEvery = 100 * time.Millisecond
)

// latencySample is the longest that an event took within a second.
type latencySample struct{ second, millis int64 }

type latencyEvent struct {
	name    string
	samples []latencySample // oldest first, at least one
	max     int64
}

// latencyMonitor notes events that took at least latency-monitor-threshold. It
// does not stand in anybody's way: it compares what shards and loops publish
// about commands and expiry with what they had published a moment before. The
// counters tell when something slow has run and how long it took, to within a
// quarter when several commands of one name ran since the last look.
//
// Safe for concurrent use.
type latencyMonitor struct {
	engine *engine.Engine

	mu        sync.Mutex // guards what follows
	noted     map[string]*latencyEvent
	active    bool  // a goroutine is watching
	threshold int64 // in milliseconds, 0 when there is nothing to watch

	// What the last look saw.
	commands map[int]shard.CommandStats
	lag      [shard.LagBuckets]uint64
	lagSum   uint64
}

// attach makes the monitor of a server, which follows latency-monitor-threshold.
func attach(e *engine.Engine) any {
	m := &latencyMonitor{engine: e, noted: make(map[string]*latencyEvent)}
	if err := m.follow(e.Params.String("latency-monitor-threshold")); err != nil {
		panic("server: setting latency-monitor-threshold: " + err.Error())
	}
	e.Params.OnChange("latency-monitor-threshold", m.follow)
	return m
}

// monitorOf returns the monitor of a server.
func monitorOf(e *engine.Engine) *latencyMonitor { return e.State(familyName).(*latencyMonitor) }

// follow changes the threshold, once what has run so far is judged by the old
// one, and starts watching when there is one.
func (m *latencyMonitor) follow(value string) error {
	threshold, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.catchUp()
	m.threshold = threshold
	if threshold != 0 && !m.active {
		m.active = true
		m.look(0) // what was before does not count
		go m.watch()
	}
	return nil
}

// watch looks until there is no threshold or the server stops.
func (m *latencyMonitor) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.engine.ShutdownRequested():
			return
		}
		m.mu.Lock()
		m.catchUp()
		m.active = m.threshold != 0
		active := m.active
		m.mu.Unlock()
		if !active {
			return
		}
	}
}

// catchUp notes what has run until now. m.mu is held.
func (m *latencyMonitor) catchUp() {
	if m.active {
		m.look(m.threshold)
	}
}

// look compares the counters with the last time; events from threshold
// milliseconds on are noted, none when it is 0. m.mu is held.
func (m *latencyMonitor) look(threshold int64) {
	e := m.engine
	now := e.NowMillis() / 1000
	if m.commands == nil {
		m.commands = make(map[int]shard.CommandStats)
	}
	for _, c := range e.Table.All() {
		s := e.CommandStats(c.ID())
		before := m.commands[c.ID()]
		if s.Latency == before.Latency {
			continue
		}
		m.commands[c.ID()] = s
		if s.Calls < before.Calls { // CONFIG RESETSTAT
			before = shard.CommandStats{}
		}
		millis := slowest(&s, &before) / int64(time.Millisecond)
		if threshold > 0 && millis >= threshold {
			name := eventCommand
			if c.Is(engine.Fast) {
				name = eventFastCommand
			}
			m.note(name, now, millis)
		}
	}
	stats := e.Stats()
	before, sum := m.lag, m.lagSum
	m.lag, m.lagSum = stats.Lag, stats.LagSumMillis
	if millis := latest(stats.Lag, before, int64(stats.LagSumMillis-sum)); threshold > 0 && millis >= threshold && e.Shards.ActiveExpiry.Load() {
		m.note(eventExpireCycle, now, millis)
	}
}

// slowest is how many nanoseconds the longest of the calls took that are in s
// and not in before.
func slowest(s, before *shard.CommandStats) int64 {
	left := int64(s.Nanos - before.Nanos)
	top := -1
	for b := range s.Latency {
		n := int64(s.Latency[b] - before.Latency[b])
		if n == 0 {
			continue
		}
		if top >= 0 {
			left -= bucketStart(top) // of one that is not the longest
		}
		left -= (n - 1) * bucketStart(b)
		top = b
	}
	if top < 0 {
		return 0
	}
	return max(bucketStart(top), min(left, shard.LatencyBucketEnd(top)))
}

func bucketStart(b int) int64 {
	if b == 0 {
		return 0
	}
	return shard.LatencyBucketEnd(b - 1)
}

// latest is by how many milliseconds the latest of the keys was late that have
// expired since before was read; total is the sum of their lags.
func latest(lag, before [shard.LagBuckets]uint64, total int64) int64 {
	top, count := -1, uint64(0)
	for b := range lag {
		if lag[b] > before[b] {
			top = b
			count += lag[b] - before[b]
		}
	}
	switch {
	case top < 0:
		return 0
	case count == 1:
		return total
	}
	return min(total, 1<<top-1)
}

// note adds a sample. m.mu is held.
func (m *latencyMonitor) note(name string, second, millis int64) {
	e := m.noted[name]
	if e == nil {
		e = &latencyEvent{name: name}
		m.noted[name] = e
	}
	e.max = max(e.max, millis)
	if last := len(e.samples) - 1; last >= 0 && e.samples[last].second == second {
		e.samples[last].millis = max(e.samples[last].millis, millis)
		return
	}
	if len(e.samples) == samplesMax {
		e.samples = append(e.samples[:0], e.samples[1:]...)
	}
	e.samples = append(e.samples, latencySample{second, millis})
}

// events are copies of all events by name.
func (m *latencyMonitor) events() []latencyEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.catchUp()
	all := make([]latencyEvent, 0, len(m.noted))
	for _, e := range m.noted {
		all = append(all, e.clone())
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

func (m *latencyMonitor) event(name string) (e latencyEvent, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.catchUp()
	if found := m.noted[name]; found != nil {
		return found.clone(), true
	}
	return latencyEvent{}, false
}

func (e *latencyEvent) clone() latencyEvent {
	c := *e
	c.samples = append([]latencySample(nil), e.samples...)
	return c
}

// reset forgets the named events, or all, and says how many there were.
func (m *latencyMonitor) reset(names []string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.catchUp()
	if len(names) == 0 {
		n = len(m.noted)
		clear(m.noted)
		return n
	}
	for _, name := range names {
		if m.noted[name] != nil {
			delete(m.noted, name)
			n++
		}
	}
	return n
}
