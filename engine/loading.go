package engine

import (
	"sync/atomic"
	"time"

	"hyperkv/resp"
)

// closed says to which commands the server is closed at present: one word, so that
// the way of a command that nobody stops asks for it once. Safe for concurrent use.
type closed struct{ word atomic.Uint32 }

// A closure is one reason, or several.
type closure uint32

const (
	// closedLoading: the dataset is being loaded.
	closedLoading closure = 1 << iota
	// closedWrites: the server is a replica, and nobody else may write.
	closedWrites
	// closedStale: the link to the primary is down, and what is known is not to be shown.
	closedStale
)

func (c *closed) load() closure { return closure(c.word.Load()) }

func (c *closed) set(why closure, on bool) {
	if on {
		c.word.Or(uint32(why))
	} else {
		c.word.And(^uint32(why))
	}
}

// closedTo is what a command with these flags may pass.
func closedTo(f Flags) (passes closure) {
	if f&Write == 0 {
		passes |= closedWrites
	}
	return passes
}

// refuse says why a command may not run. Those that have Stale or Loading among the
// exemptions may run in spite of it.
func (c closure) refuse(flags, exempt Flags) error {
	switch {
	case c&closedWrites != 0 && flags&Write != 0:
		return resp.ErrReadOnly
	case c&closedStale != 0 && exempt&Stale == 0:
		return resp.ErrMasterDown
	case c&closedLoading != 0 && exempt&Loading == 0:
		return resp.ErrLoading
	}
	return nil
}

// loading is the progress of loading a dataset. Safe for concurrent use.
type loading struct {
	since, total, loaded atomic.Int64 // since in Unix seconds
}

// LoadingState is how far loading a dataset has come.
type LoadingState struct {
	Since         time.Time
	Total, Loaded int64 // bytes
}

// Left is how long it will take at the rate so far.
func (s LoadingState) Left(now time.Time) time.Duration {
	took := max(now.Sub(s.Since), time.Second)
	if s.Loaded <= 0 {
		return took
	}
	return max(0, time.Duration(float64(took)*(float64(s.Total)/float64(s.Loaded)-1)).Round(time.Second))
}

// BeginLoading closes the server to commands on data while a dataset of about so many
// bytes is loaded. Only one is at a time.
func (e *Engine) BeginLoading(total int64) {
	e.loading.since.Store(time.Now().Unix())
	e.loading.loaded.Store(0)
	e.loading.total.Store(total)
	e.closed.set(closedLoading, true)
}

// Loaded notes that so many bytes have been loaded, and that there is more to do.
func (e *Engine) Loaded(bytes int64) {
	e.loading.loaded.Store(bytes)
	e.Shards.LongAhead()
}

// EndLoading opens the server again.
func (e *Engine) EndLoading() { e.closed.set(closedLoading, false) }

// Loading says whether a dataset is being loaded, and how far that has come.
func (e *Engine) Loading() (s LoadingState, yes bool) {
	if e.closed.load()&closedLoading == 0 {
		return s, false
	}
	return LoadingState{
		Since: time.Unix(e.loading.since.Load(), 0), Total: e.loading.total.Load(), Loaded: e.loading.loaded.Load(),
	}, true
}
