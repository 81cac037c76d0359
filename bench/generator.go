package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Result is what one run measured.
type Result struct {
	Name        string  `json:"name"`
	Connections int     `json:"connections"`
	Pipeline    int     `json:"pipeline"`
	Requests    int64   `json:"requests"`
	Seconds     float64 `json:"seconds"`
	Rate        float64 `json:"requests_per_second"`
	BytesOut    int64   `json:"bytes_sent"`
	BytesIn     int64   `json:"bytes_received"`
	// OfferedRate and Unsent belong to the open loop: what was asked for, and
	// how many requests were due but never got out.
	OfferedRate float64     `json:"offered_rate,omitempty"`
	Unsent      int64       `json:"unsent,omitempty"`
	Errors      int64       `json:"errors"`
	ErrorTexts  []ErrorText `json:"error_texts,omitempty"`
	Latency     Latency     `json:"latency"`
	Ops         []OpResult  `json:"ops,omitempty"`
	Series      []Sample    `json:"series,omitempty"`
	Generator   Load        `json:"generator"`
	// ServerMicros is the server's CPU time per request, when it could be read.
	ServerMicros float64 `json:"server_cpu_us_per_request,omitempty"`
	// Foreign is the share of the machine's cores taken by neither the server
	// nor the generator, when both are known.
	Foreign float64 `json:"foreign_cpu_share,omitempty"`

	histogram recorder
}

// ErrorText is an error reply and how often it came.
type ErrorText struct {
	Text  string `json:"text"`
	Count int64  `json:"count"`
}

// OpResult is the share of one op in a mix.
type OpResult struct {
	Name    string  `json:"name"`
	Count   int64   `json:"count"`
	Latency Latency `json:"latency"`
}

// Sample is one interval of the run.
type Sample struct {
	Second    float64 `json:"second"`
	Rate      float64 `json:"requests_per_second"`
	MaxMicros float64 `json:"max_us"`
}

// Load says how busy the generator was. Busy is the CPU time of its threads
// over the time they had; Wanted adds the time they stood in line for a core.
type Load struct {
	Threads   int     `json:"threads"`
	Busy      float64 `json:"busy"`
	Wanted    float64 `json:"busy_or_waiting_for_a_core"`
	Saturated bool    `json:"saturated"`
}

// saturation is the share of its time above which the generator cannot be
// trusted to ask as fast as the server could answer.
const saturation = 0.95

// probe lets a caller read the server's counters at the edges of the measured
// window.
type probe struct{ begin, end func() }

// Run puts the workload on the target and returns what it measured. It fails
// when a connection is refused or lost, when the server stops answering, or
// when the context ends; error replies do not fail a run, they are counted.
func Run(ctx context.Context, target Target, w Workload) (Result, error) {
	return run(ctx, target, w, probe{})
}

func run(ctx context.Context, target Target, w Workload, p probe) (result Result, err error) {
	w = w.withDefaults()
	if err := w.validate(); err != nil {
		return Result{}, err
	}
	r := &round{workload: w, pool: newDataPool(w.DataMax, w.Seed)}
	workers := make([]*worker, 0, w.Threads)
	defer func() {
		for _, wk := range workers {
			wk.close()
		}
	}()
	for part := range w.Threads {
		wk, err := newWorker(r, part)
		if err != nil {
			return Result{}, err
		}
		workers = append(workers, wk)
	}
	for i := range w.Connections {
		c, err := dialConn(ctx, target, i)
		if err != nil {
			return Result{}, fmt.Errorf("connection %d: %w", i+1, err)
		}
		if err := workers[i%len(workers)].adopt(c); err != nil {
			c.close()
			return Result{}, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}

	stopWatching := context.AfterFunc(ctx, func() { r.stop.Store(true) })
	defer stopWatching()

	r.origin = time.Now()
	r.measureFrom = int64(w.Warmup)
	if w.Requests == 0 {
		r.until = int64(w.Warmup + w.Duration)
	}
	errs := make([]error, len(workers))
	var group sync.WaitGroup
	for i, wk := range workers {
		group.Go(func() {
			if errs[i] = wk.run(); errs[i] != nil {
				r.stop.Store(true) // one lost connection ends the run for all
			}
		})
	}
	if p.begin != nil {
		select {
		case <-time.After(time.Until(r.origin.Add(w.Warmup))):
		case <-ctx.Done():
		}
		p.begin()
	}
	group.Wait()
	if p.end != nil {
		p.end()
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	// The first worker's complaint about being stopped is not the cause.
	for _, err := range errs {
		if err != nil && !errors.Is(err, errStopped) {
			return Result{}, err
		}
	}
	return summarize(r, workers), nil
}

// round is what the workers of one run share. Immutable while they run, but
// for stop.
type round struct {
	workload Workload
	pool     []byte
	origin   time.Time // zero of all times below, which are in nanoseconds
	// Replies that arrive before measureFrom are not counted; after until (0:
	// never) nothing is sent.
	measureFrom int64
	until       int64
	stop        atomic.Bool
}

func (r *round) now() int64 { return int64(time.Since(r.origin)) }

func summarize(r *round, workers []*worker) Result {
	w := r.workload
	result := Result{
		Name: w.Name, Connections: w.Connections, Pipeline: w.Pipeline, OfferedRate: w.Rate,
		histogram: newRecorder(),
	}
	var last int64
	var busy, wanted float64
	ops := make([]recorder, len(w.Ops))
	texts := map[string]int64{}
	var slots []slot
	for i := range ops {
		ops[i] = newRecorder()
	}
	for _, wk := range workers {
		result.Requests += wk.replies
		result.Unsent += wk.unsent
		result.BytesIn += wk.bytesIn
		result.BytesOut += wk.bytesOut
		result.Errors += wk.errors
		for text, n := range wk.errorTexts {
			texts[text] += n
		}
		last = max(last, wk.lastReply)
		busy += wk.busy
		wanted += wk.wanted
		for i := range wk.recorders {
			ops[i].merge(wk.recorders[i])
			result.histogram.merge(wk.recorders[i])
		}
		for i, s := range wk.slots {
			if i == len(slots) {
				slots = append(slots, slot{})
			}
			slots[i].replies += s.replies
			slots[i].latest = max(slots[i].latest, s.latest)
		}
	}
	if w.Requests == 0 {
		last = max(last, r.until)
	}
	result.Seconds = float64(max(last-r.measureFrom, 1)) / 1e9
	result.Rate = float64(result.Requests) / result.Seconds
	result.Latency = result.histogram.summary()
	if len(ops) > 1 {
		for i, op := range w.Ops {
			s := ops[i].summary()
			s.Curve = nil
			result.Ops = append(result.Ops, OpResult{op.Name, s.Count, s})
		}
	}
	for text, n := range texts {
		result.ErrorTexts = append(result.ErrorTexts, ErrorText{text, n})
	}
	slices.SortFunc(result.ErrorTexts, func(a, b ErrorText) int { return int(b.Count - a.Count) })
	interval := workers[0].interval
	for i, s := range slots {
		seconds := float64(interval) / 1e9
		if left := result.Seconds - float64(i)*seconds; left < seconds {
			if left < seconds/2 { // a sliver says nothing about the rate
				break
			}
			seconds = left
		}
		result.Series = append(result.Series, Sample{
			Second: float64(i+1) * float64(interval) / 1e9, Rate: float64(s.replies) / seconds, MaxMicros: float64(s.latest) / 1000,
		})
	}
	n := float64(len(workers))
	result.Generator = Load{Threads: len(workers), Busy: busy / n, Wanted: wanted / n}
	result.Generator.Saturated = result.Generator.Wanted >= saturation
	return result
}
