package netio

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// All processors on trial when one is saturated, back when nothing was gained,
// one fewer at a time when the work has fitted for a while.
func TestGovernor(t *testing.T) {
	g := governor{most: 4, procs: 1, loops: 1}
	f := func(load, rate float64, d time.Duration, want int) {
		t.Helper()
		for at := time.Duration(0); at < d; at += procsSampleBusy {
			g.sample(load, rate, procsSampleBusy)
		}
		if g.procs != want {
			t.Fatalf("load %v for %v: %d processors, want %d", load, d, g.procs, want)
		}
	}
	const trial = procsSettle + procsTrial
	f(0.6, 1000, time.Minute, 1)
	f(0.95, 1000, procsSampleBusy, 1) // one sample proves nothing
	f(0.6, 1000, procsSampleBusy, 1)
	f(0.95, 1000, 2*procsSampleBusy, 4)
	f(1.3, 1050, trial, 1)                    // hardly more work: given back
	f(0.95, 1000, procsRetry-trial, 1)        // and not tried again at once
	f(0.95, 1000, trial+2*procsSampleBusy, 4) // but after a while
	f(2.0, 1300, trial, 1)                    // more work, but not worth it: patience doubles
	f(0.95, 1000, procsRetry+procsSampleBusy, 1)
	f(0.95, 1000, procsRetry, 4)
	f(3.9, 3500, trial, 4) // it helps: they stay
	f(3.9, 3500, time.Minute, 4)
	f(1.0, 1000, procsCalm, 3) // that little fits fewer for sure
	f(1.0, 1000, procsCalm, 2)
	f(1.2, 1000, procsCalm/2, 1) // it might fit one
	f(0.99, 700, procsSettle, 2) // it does not
	f(1.2, 1000, procsRetry-procsSampleBusy, 2)
	f(1.2, 1000, 3*procsSampleBusy, 1)
	f(0.98, 1000, trial, 1) // now it does
	f(0.7, 1000, procsCalm, 1)
	g.demand()
	f(0.2, 1000, procsSampleBusy, 4) // something long runs
	f(0.2, 1000, procsNeeded+4*procsCalm, 1)

	g = governor{most: 2, procs: 2, loops: 2}
	f(1.3, 1000, procsCalm/2, 1)
	f(0.98, 900, trial, 1) // less work, but for much less
	g = governor{most: 2, procs: 2, loops: 2}
	f(1.3, 1000, procsCalm/2, 1)
	f(0.98, 800, trial, 2)
}

// Event loops get what their own work needs, and no more for the sake of something long.
func TestGovernorLoops(t *testing.T) {
	g := governor{most: 4, procs: 1, loops: 1}
	f := func(load, rate float64, d time.Duration, procs, loops int) {
		t.Helper()
		for at := time.Duration(0); at < d; at += procsSampleBusy {
			g.sample(load, rate, procsSampleBusy)
		}
		if g.procs != procs || g.loops != loops {
			t.Fatalf("load %v for %v: %d processors for %d loops, want %d for %d", load, d, g.procs, g.loops, procs, loops)
		}
	}
	g.demand()
	f(1.2, 1000, procsNeeded-procsSampleBusy, 4, 1) // something long runs
	f(0.2, 1000, 4*procsCalm, 1, 1)
	g.demand()
	f(3.5, 1000, procsNeeded+procsCalm/2, 4, 1)
	f(3.5, 1000, procsCalm, 4, 4) // it was not only that
	f(0.7, 1000, procsCalm, 3, 3)
	f(0.7, 1000, 3*procsCalm, 1, 1)
	f(0.95, 1000, 2*procsSampleBusy, 4, 4) // a trial is one of loops as well
	f(0.95, 1000, procsSettle+procsTrial, 1, 1)
}

func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var busy atomic.Bool
	var told atomic.Int32
	began := time.Now()
	p := governProcessors(3, func() time.Duration {
		if busy.Load() {
			return 3 * time.Since(began)
		}
		return 0
	}, func() uint64 {
		if busy.Load() {
			return uint64(time.Since(began)) * uint64(runtime.GOMAXPROCS(0))
		}
		return 0
	}, func(procs, _ int) { told.Store(int32(procs)) })
	eventually(t, "one processor for an idle process", func() bool { return runtime.GOMAXPROCS(0) == 1 })
	busy.Store(true)
	eventually(t, "all processors for a busy one", func() bool { return runtime.GOMAXPROCS(0) == 3 })
	p.Stop()
	if n := runtime.GOMAXPROCS(0); n != 3 || told.Load() != 3 {
		t.Errorf("%d processors after Stop, told %d", n, told.Load())
	}
	if cpuTime() <= 0 {
		t.Error("no processor time")
	}
}
