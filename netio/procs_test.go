package netio

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// All processors when one is saturated, one fewer at a time when the work has
// fitted for a while, and more patience after having been wrong.
func TestGovernor(t *testing.T) {
	g := governor{most: 4, procs: 1, calm: procsCalm}
	samples := func(load float64, d time.Duration) {
		for at := time.Duration(0); at < d; at += procsSampleBusy {
			g.sample(load, procsSampleBusy)
		}
	}
	f := func(load float64, d time.Duration, want int) {
		t.Helper()
		if samples(load, d); g.procs != want {
			t.Fatalf("load %v for %v: %d processors, want %d", load, d, g.procs, want)
		}
	}
	f(0.6, time.Minute, 1)
	f(0.95, procsSampleBusy, 1) // one sample proves nothing
	f(0.6, procsSampleBusy, 1)
	f(0.95, 2*procsSampleBusy, 4)
	f(3.9, time.Minute, 4)
	f(1.0, procsCalm, 3)
	f(1.0, procsCalm, 2)
	f(1.0, time.Minute, 2)
	f(0.7, procsCalm, 1)
	f(0.95, 2*procsSampleBusy, 4) // wrong: patience doubles
	f(0.5, procsCalm, 4)
	f(0.5, procsCalm, 3)
	f(0.5, 4*procsCalm, 1)
}

func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	var busy atomic.Bool
	began := time.Now()
	p := governProcessors(3, func() time.Duration {
		if busy.Load() {
			return 3 * time.Since(began)
		}
		return 0
	})
	eventually(t, "one processor for an idle process", func() bool { return runtime.GOMAXPROCS(0) == 1 })
	busy.Store(true)
	eventually(t, "all processors for a busy one", func() bool { return runtime.GOMAXPROCS(0) == 3 })
	p.Stop()
	if n := runtime.GOMAXPROCS(0); n != 3 {
		t.Errorf("%d processors after Stop", n)
	}
	if cpuTime() <= 0 {
		t.Error("no processor time")
	}
}
