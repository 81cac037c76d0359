package engine

import (
	"sync"
	"time"
)

// sampler keeps the rates that INFO calls instantaneous: averages over the last
// samples, which are 100 ms apart. Safe for concurrent use.
type sampler struct {
	mu      sync.Mutex
	last    time.Time
	totals  [3]uint64
	samples [3][samplesKept]float64 // per second
	next    int
}

const samplesKept = 16

// sample reads the counters. Called by the engine's upkeep.
func (s *sampler) sample(e *Engine, now time.Time) {
	in, out := e.Traffic()
	totals := [3]uint64{e.Calls(), in, out}
	s.mu.Lock()
	defer s.mu.Unlock()
	if elapsed := now.Sub(s.last).Seconds(); !s.last.IsZero() && elapsed > 0 {
		for i, total := range totals {
			// A reset in between makes the counter smaller.
			if total >= s.totals[i] {
				s.samples[i][s.next] = float64(total-s.totals[i]) / elapsed
			}
		}
		s.next = (s.next + 1) % samplesKept
	}
	s.last, s.totals = now, totals
}

func (s *sampler) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Time{}
	s.samples = [3][samplesKept]float64{}
}

// Rates are commands, input bytes and output bytes per second.
func (e *Engine) Rates() (commands, bytesIn, bytesOut float64) {
	s := &e.sampler
	s.mu.Lock()
	defer s.mu.Unlock()
	var mean [3]float64
	for i := range mean {
		for _, sample := range s.samples[i] {
			mean[i] += sample / samplesKept
		}
	}
	return mean[0], mean[1], mean[2]
}
