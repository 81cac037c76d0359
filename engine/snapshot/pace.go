package snapshot

import (
	"runtime"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
)

// pace makes a snapshot give way to clients: as long as there are commands, one shard in
// four works on it at a time, and rests as long as it has worked before the next one may.
// So it takes an eighth of the processors, or half of one; while nobody wants anything, it
// takes all that there are. Safe for concurrent use.
type pace struct {
	calls func() uint64 // how many commands have run so far

	turns  chan struct{} // as many as may work while there are commands
	busy   atomic.Bool
	looked atomic.Int64  // when that was last found out
	seen   atomic.Uint64 // calls, then
}

const (
	// lookNanos is how often it is found out whether there are commands.
	lookNanos = int64(10 * time.Millisecond)
	// restMax bounds a rest, after a block that was long in being written.
	restMax = 5 * time.Millisecond
	// shardsPerTurn is how many shards share one turn to work.
	shardsPerTurn = 4
)

func newPace(shards int, calls func() uint64) *pace {
	return &pace{calls: calls, turns: make(chan struct{}, max(shards/shardsPerTurn, 1))}
}

// begin waits until it is our turn to work, and returns when that was, and whether others
// may be waiting for its end.
func (p *pace) begin() (start int64, turn bool) {
	now := clock.Monotonic()
	if last := p.looked.Load(); now-last > lookNanos && p.looked.CompareAndSwap(last, now) {
		calls := p.calls()
		p.busy.Store(calls != p.seen.Swap(calls))
	}
	if !p.busy.Load() {
		return now, false
	}
	p.turns <- struct{}{}
	return clock.Monotonic(), true
}

// end ends the work that begin has let begin.
func (p *pace) end(start int64, turn bool) {
	if !turn {
		runtime.Gosched()
		return
	}
	time.Sleep(min(time.Duration(clock.Monotonic()-start), restMax))
	<-p.turns
}
