// Package clock hands time in, so that nothing that decides about data asks
// the machine for it.
//
// A Clock tells wall time in milliseconds, the unit of expiry. Monotonic is for
// durations that are only measured (statistics, the slow log) and never decide
// what a command answers.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock tells the wall time. Implementations are safe for concurrent use.
type Clock interface {
	// NowMillis is the time in milliseconds since the Unix epoch.
	NowMillis() int64
}

// System is the machine's clock.
type System struct{}

// NowMillis implements Clock.
func (System) NowMillis() int64 { return time.Now().UnixMilli() }

// Manual is a clock that moves only when it is told to, for tests and replay.
type Manual struct{ millis atomic.Int64 }

// NewManual returns a clock that stands at the given time.
func NewManual(millis int64) *Manual {
	m := new(Manual)
	m.millis.Store(millis)
	return m
}

// NowMillis implements Clock.
func (m *Manual) NowMillis() int64 { return m.millis.Load() }

// Set moves the clock to the given time, which may lie in the past.
func (m *Manual) Set(millis int64) { m.millis.Store(millis) }

// Advance moves the clock forward by d.
func (m *Manual) Advance(d time.Duration) { m.millis.Add(d.Milliseconds()) }

var start = time.Now()

// Monotonic is a reading in nanoseconds that never goes back; only differences
// between two readings mean anything.
func Monotonic() int64 { return int64(time.Since(start)) }
