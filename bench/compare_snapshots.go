package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// SnapshotFigure is what a snapshot costs those who use a server meanwhile, how much room
// it takes, and how long loading it does. The figures are medians of the rounds.
type SnapshotFigure struct {
	Server string `json:"server"`
	// Offered is half of what the server can do; Beside is the p99.9 of a GET at that rate
	// while snapshots are written, Quiet that without.
	Offered float64 `json:"offered_per_second"`
	Beside  float64 `json:"p99_9_us"`
	Quiet   float64 `json:"p99_9_us_without"`
	Seconds float64 `json:"snapshot_seconds"` // under that load
	// Growth is the largest resident memory of all its processes during a snapshot, over
	// that before, minus one; 0 if that cannot be read.
	Growth float64 `json:"memory_growth"`
	Bytes  float64 `json:"snapshot_bytes"`
	Plain  float64 `json:"snapshot_bytes_uncompressed"` // measured once
	Load   float64 `json:"loaded_keys_per_second"`

	Rounds []SnapshotRound `json:"rounds"`
}

// SnapshotRound is what one round measured.
type SnapshotRound struct {
	Fastest Result `json:"closed_loop"`
	Quiet   Result `json:"without"`
	Beside  Result `json:"during_snapshots"`
	// Took are the durations of the snapshots during Beside, Weighed that of the one
	// during which memory was looked at.
	Took    []float64 `json:"snapshots_seconds"`
	Weighed float64   `json:"weighed_snapshot_seconds"`
	Before  int64     `json:"memory_before_bytes,omitempty"`
	Peak    int64     `json:"memory_peak_bytes,omitempty"`
	Looks   int       `json:"memory_looks,omitempty"`
	Bytes   int64     `json:"snapshot_bytes"`
	Plain   int64     `json:"snapshot_bytes_uncompressed,omitempty"`
	Load    float64   `json:"load_seconds"`
	LoadCPU float64   `json:"load_cpu_seconds"`
}

// compareSnapshots visits the servers one after the other, so that only one dataset is in
// memory and only one server uses the disk.
func compareSnapshots(ctx context.Context, plan Plan, d *Durability) error {
	for _, s := range plan.servers() {
		d.Snapshots = append(d.Snapshots, SnapshotFigure{Server: s.Name})
	}
	err := plan.visit(func(round, i int, s Server) error {
		figures, err := snapshotRound(ctx, plan, s, round == 0)
		if err != nil {
			return fmt.Errorf("snapshots of %s: %w", s.Name, err)
		}
		plan.Progress("round %d/%d  snapshot of %s keys %-10s p99.9 %.3f ms (%.3f ms without), memory %s, %.1f MB, loaded in %.2f s",
			round+1, plan.Rounds, count(float64(plan.SnapshotKeys)), s.Name, figures.Beside.Latency.P999/1000,
			figures.Quiet.Latency.P999/1000, signedPercent(figures.growth()), float64(figures.Bytes)/1e6, figures.Load)
		d.Snapshots[i].Rounds = append(d.Snapshots[i].Rounds, figures)
		return nil
	})
	if err != nil {
		return err
	}
	for i := range d.Snapshots {
		d.Snapshots[i].reduce(plan.SnapshotKeys)
	}
	return nil
}

// snapshotRound fills a server, looks at its snapshots in every way, and starts it anew.
func snapshotRound(ctx context.Context, plan Plan, s Server, first bool) (r SnapshotRound, err error) {
	if s.Brand == HyperKV {
		// What there is on disk is one snapshot then, as with the others.
		s.Args = append(slices.Clone(s.Args), "--snapshot-keep", "1")
	}
	dir, err := s.newDir()
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	p, err := startIn(ctx, s, dir, startTimeout)
	if err != nil {
		return r, err
	}
	defer func() { p.stop() }() // of the second life, too
	if err := p.configure(ctx, "rdbcompression", "yes"); err != nil {
		return r, err
	}
	if err := plan.write(ctx, p, plan.SnapshotKeys, plan.SnapshotKeys, compareValueBytes); err != nil {
		return r, err
	}
	if err := pause(ctx, plan.settle); err != nil {
		return r, err
	}
	if err := r.underLoad(ctx, plan, p); err != nil {
		return r, err
	}
	if r.Bytes, err = snapshotBytes(s, dir); err != nil {
		return r, err
	}
	p.stop()
	if p, err = again(ctx, s, dir, plan.SnapshotKeys); err != nil {
		return r, err
	}
	r.Load, r.LoadCPU = p.startup.Seconds(), p.startupCPU.Seconds()
	if !first {
		return r, nil
	}
	// The size without compression is the same in every round.
	if err := p.configure(ctx, "rdbcompression", "no"); err != nil {
		return r, err
	}
	if _, err := p.snapshot(ctx); err != nil {
		return r, err
	}
	r.Plain, err = snapshotBytes(s, dir)
	return r, err
}

// underLoad measures what clients and the machine notice of snapshots. Looking at memory
// takes time, so it has a run of its own.
func (r *SnapshotRound) underLoad(ctx context.Context, plan Plan, p *process) (err error) {
	w := plan.workload("GET", mustOp("get", 1), 1)
	w.Keys.Count = plan.SnapshotKeys
	if r.Fastest, err = measure(ctx, p, w); err != nil {
		return err
	}
	w.Rate = r.Fastest.Rate / 2
	if r.Quiet, err = measure(ctx, p, w); err != nil {
		return err
	}
	r.Before, _ = familyResident(p.pid) // unknown without /proc
	if _, err = measureBeside(ctx, p, w, func(<-chan struct{}) (err error) {
		peak, looks := watchMemory(p.pid, func() { r.Weighed, err = p.snapshot(ctx) })
		if r.Before > 0 && looks > 0 {
			r.Peak, r.Looks = peak, looks
		}
		return err
	}); err != nil {
		return err
	}
	r.Beside, err = measureBeside(ctx, p, w, func(over <-chan struct{}) error {
		for {
			took, err := p.snapshot(ctx)
			if err != nil {
				return err
			}
			r.Took = append(r.Took, took)
			select {
			case <-over:
				return nil
			default:
			}
		}
	})
	for _, result := range []*Result{&r.Fastest, &r.Quiet, &r.Beside} {
		result.Series = nil
	}
	return err
}

// measureBeside measures a workload, and does something else from shortly after the
// measuring has begun, so that how it begins counts too. over is closed when the workload
// has ended.
func measureBeside(ctx context.Context, p *process, w Workload, other func(over <-chan struct{}) error) (Result, error) {
	over, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		if err := pause(ctx, w.Warmup+w.Duration/10); err != nil {
			failed <- err
			return
		}
		failed <- other(over)
	}()
	result, err := measure(ctx, p, w)
	close(over)
	return result, errors.Join(err, <-failed)
}

// snapshotPoll is how often a server is asked whether it has done what it was told, and
// memoryPoll how often memory is looked at meanwhile.
const (
	snapshotPoll = 20 * time.Millisecond
	memoryPoll   = 20 * time.Millisecond
)

// snapshot asks for a snapshot and waits until it is written.
func (p *process) snapshot(ctx context.Context) (seconds float64, err error) {
	c, err := p.control(ctx)
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	if _, err := c.do("BGSAVE"); err != nil {
		return 0, fmt.Errorf("BGSAVE on %s: %w", p.server.Name, err)
	}
	for {
		fields, err := c.info("persistence")
		if err != nil {
			return 0, err
		}
		if fields["rdb_bgsave_in_progress"] == "0" {
			seconds = time.Since(began).Seconds()
			if status := fields["rdb_last_bgsave_status"]; status != "ok" {
				return 0, fmt.Errorf("BGSAVE on %s: it ended with %q", p.server.Name, status)
			}
			return seconds, nil
		}
		if err := pause(ctx, snapshotPoll); err != nil {
			return 0, err
		}
	}
}

// watchMemory looks at the memory of a process and its children while something is done.
func watchMemory(pid int, do func()) (peak int64, looks int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for {
		if n, err := familyResident(pid); err == nil {
			peak, looks = max(peak, n), looks+1
		}
		select {
		case <-done:
			return peak, looks
		case <-time.After(memoryPoll):
		}
	}
}

func (r SnapshotRound) growth() float64 {
	if r.Before == 0 || r.Peak == 0 {
		return 0
	}
	return float64(r.Peak)/float64(r.Before) - 1
}

func (f *SnapshotFigure) reduce(keys uint64) {
	of := func(get func(SnapshotRound) float64) float64 { return medianOf(f.Rounds, get) }
	f.Offered = of(func(r SnapshotRound) float64 { return r.Beside.OfferedRate })
	f.Beside = of(func(r SnapshotRound) float64 { return r.Beside.Latency.P999 })
	f.Quiet = of(func(r SnapshotRound) float64 { return r.Quiet.Latency.P999 })
	f.Seconds = of(func(r SnapshotRound) float64 { return median(r.Took) })
	f.Growth = of(SnapshotRound.growth)
	f.Bytes = of(func(r SnapshotRound) float64 { return float64(r.Bytes) })
	f.Load = of(func(r SnapshotRound) float64 { return float64(keys) / max(r.Load, 1e-9) })
	f.Plain = float64(f.Rounds[0].Plain)
}

func signedPercent(share float64) string { return fmt.Sprintf("%+.1f %%", share*100) }
