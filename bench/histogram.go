package bench

import (
	"fmt"
	"io"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in nanoseconds, to three significant digits, up to
// latencyMax; what took longer is counted as latencyMax.
const (
	latencyUnit = 500
	latencyMax  = 600_000_000_000
)

// recorder counts latencies. Owned by one worker while it runs.
type recorder struct{ h *hdrhistogram.Histogram }

func newRecorder() recorder {
	return recorder{hdrhistogram.New(latencyUnit, latencyMax, 3)}
}

// record counts n replies that took the same time.
func (r recorder) record(nanos, n int64) {
	// The value lies within the bounds, so RecordValues cannot refuse it.
	_ = r.h.RecordValues(min(max(nanos, 0), latencyMax), n)
}

func (r recorder) merge(from recorder) { r.h.Merge(from.h) }

// Latency sums up a histogram, in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P95   float64 `json:"p95_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p99_9_us"`
	P9999 float64 `json:"p99_99_us"`
	Max   float64 `json:"max_us"`
	// Curve holds points of the cumulative distribution for the charts.
	Curve []CurvePoint `json:"curve,omitempty"`
}

// CurvePoint says that this share of requests took at most so long.
type CurvePoint struct {
	Percentile float64 `json:"percentile"`
	Micros     float64 `json:"us"`
}

// quantiles are the points of the curve: evenly spread over the nines.
var quantiles = []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97.5,
	99, 99.25, 99.5, 99.75, 99.9, 99.925, 99.95, 99.975, 99.99, 99.9925, 99.995, 99.9975, 99.999, 100}

func (r recorder) summary() Latency {
	if r.h.TotalCount() == 0 {
		return Latency{}
	}
	micros := func(nanos int64) float64 { return float64(nanos) / 1000 }
	at := func(q float64) float64 { return micros(r.h.ValueAtQuantile(q)) }
	l := Latency{
		Count: r.h.TotalCount(), Mean: r.h.Mean() / 1000,
		P50: at(50), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: micros(r.h.Max()),
	}
	for _, q := range quantiles {
		l.Curve = append(l.Curve, CurvePoint{q, at(q)})
	}
	return l
}

// writePercentiles writes the distribution in HdrHistogram's text format
// (.hgrm), in milliseconds.
func (r recorder) writePercentiles(w io.Writer) error {
	if _, err := r.h.PercentilesPrint(w, 5, 1e6); err != nil {
		return fmt.Errorf("write percentiles: %w", err)
	}
	return nil
}
