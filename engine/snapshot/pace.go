package snapshot

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
)

// pace makes a snapshot give way to clients: as long as there are commands, one shard at a
// time works on it, and rests as long as it has worked. So it takes half a processor at
// most; while nobody wants anything, it takes all that there are. Safe for concurrent use.
type pace struct {
	calls func() uint64 // how many commands have run so far

	one    sync.Mutex // held by who works while there are commands
	busy   atomic.Bool
	looked atomic.Int64  // when that was last found out
	seen   atomic.Uint64 // calls, then
}

const (
	// lookNanos is how often it is found out whether there are commands.
	lookNanos = int64(10 * time.Millisecond)
	// restMax bounds a rest, after a block that was long in being written.
	restMax = 5 * time.Millisecond
)

// begin waits until it is our turn to work, and returns when that was, and whether it is
// ours alone, so that others wait for its end.
func (p *pace) begin() (start int64, alone bool) {
	now := clock.Monotonic()
	if last := p.looked.Load(); now-last > lookNanos && p.looked.CompareAndSwap(last, now) {
		calls := p.calls()
		p.busy.Store(calls != p.seen.Swap(calls))
	}
	if !p.busy.Load() {
		return now, false
	}
	p.one.Lock()
	return clock.Monotonic(), true
}

// end ends the work that begin has let begin.
func (p *pace) end(start int64, alone bool) {
	if !alone {
		runtime.Gosched()
		return
	}
	p.one.Unlock()
	time.Sleep(min(time.Duration(clock.Monotonic()-start), restMax))
}
