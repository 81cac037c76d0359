package bench

import (
	"context"
	"fmt"
	"os"
	"time"
)

// RecoveryFigure is how long a server takes to repeat its log when it starts.
type RecoveryFigure struct {
	Server string `json:"server"`
	// Rate is the median of the rounds.
	Rate   float64         `json:"operations_per_second"`
	Rounds []RecoveryRound `json:"rounds"`
	// Crash is a start after kill -9, once, with a log of a given size.
	Crash RecoveryRound `json:"after_kill_9"`
}

// RecoveryRound is one start that repeats a log of SETs.
type RecoveryRound struct {
	Operations uint64 `json:"operations"`
	ValueBytes int    `json:"value_bytes"`
	// LogBytes is what is in the files of the log, without room to spare.
	LogBytes int64   `json:"log_bytes"`
	Seconds  float64 `json:"seconds_to_pong"`
	CPU      float64 `json:"cpu_seconds"`
}

func (r RecoveryRound) rate() float64 { return float64(r.Operations) / max(r.Seconds, 1e-9) }

const (
	crashLogBytes = 1 << 30
	// crashValueBytes makes for a log of that size in a few million commands.
	crashValueBytes = 256
	// crashKeys bounds the dataset that such a log leaves.
	crashKeys = 1_000_000
	// crashPieces bounds in how many goes the log is written up to its size.
	crashPieces = 8
)

func compareRecovery(ctx context.Context, plan Plan, d *Durability) error {
	for _, s := range plan.servers() {
		d.Recovery = append(d.Recovery, RecoveryFigure{Server: s.Name})
	}
	err := plan.visit(func(round, i int, s Server) error {
		r, err := replay(ctx, plan, s)
		if err != nil {
			return fmt.Errorf("log of %s: %w", s.Name, err)
		}
		plan.Progress("round %d/%d  log of %s SETs     %-10s repeated in %.2f s, %.0f/s", round+1, plan.Rounds,
			count(float64(r.Operations)), s.Name, r.Seconds, r.rate())
		d.Recovery[i].Rounds = append(d.Recovery[i].Rounds, r)
		return nil
	})
	if err != nil {
		return err
	}
	for i, s := range plan.servers() {
		r, err := crash(ctx, plan, s)
		if err != nil {
			return fmt.Errorf("%s after kill -9: %w", s.Name, err)
		}
		plan.Progress("kill -9 with %.2f GiB of log     %-10s first PONG after %.2f s", float64(r.LogBytes)/(1<<30), s.Name, r.Seconds)
		d.Recovery[i].Crash = r
		d.Recovery[i].Rate = medianOf(d.Recovery[i].Rounds, RecoveryRound.rate)
	}
	return nil
}

// replay writes a log with a SET for each key, and starts anew on it.
func replay(ctx context.Context, plan Plan, s Server) (RecoveryRound, error) {
	r := RecoveryRound{Operations: plan.SnapshotKeys, ValueBytes: compareValueBytes}
	err := r.twoLives(ctx, s, func(p *process) (keys uint64, err error) {
		if err := plan.write(ctx, p, r.Operations, r.Operations, r.ValueBytes); err != nil {
			return 0, err
		}
		p.stop()
		r.LogBytes, err = logBytes(p.server, p.dir)
		return r.Operations, err
	})
	return r, err
}

// crash writes a log up to a size, kills the server, and starts anew on it.
func crash(ctx context.Context, plan Plan, s Server) (RecoveryRound, error) {
	r := RecoveryRound{ValueBytes: crashValueBytes}
	err := r.twoLives(ctx, s, func(p *process) (keys uint64, err error) {
		for range crashPieces {
			// A quarter of it says how large a record is.
			more := uint64(plan.crashBytes/4)/crashValueBytes + 1
			if r.Operations > 0 {
				more = uint64(float64(plan.crashBytes-r.LogBytes)*float64(r.Operations)/float64(r.LogBytes)) + 1
			}
			if err := plan.write(ctx, p, more, crashKeys, crashValueBytes); err != nil {
				return 0, err
			}
			r.Operations += more
			keys = max(keys, min(more, crashKeys)) // each piece begins with the first key
			if err := p.written(ctx); err != nil {
				return 0, err
			}
			if r.LogBytes, err = logBytes(p.server, p.dir); err != nil {
				return 0, err
			}
			if r.LogBytes >= plan.crashBytes {
				break
			}
		}
		p.kill()
		return keys, nil
	})
	return r, err
}

// written waits until a server has given all of its log to the kernel. Redis holds some
// back while it syncs, and a kill -9 would take that with it; who says nothing of such a
// buffer has none.
func (p *process) written(ctx context.Context) error {
	c, err := p.control(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	for began := time.Now(); ; {
		fields, err := c.info("persistence")
		if err != nil {
			return err
		}
		held := fields["aof_buffer_length"]
		if held == "" || held == "0" {
			return nil
		}
		if time.Since(began) > controlTimeout {
			return fmt.Errorf("%s still holds %s bytes of its log back", p.server.Name, held)
		}
		if err := pause(ctx, snapshotPoll); err != nil {
			return err
		}
	}
}

// twoLives starts a server with a log, lets the first life be lived and ended, and
// measures how long the second takes to begin. first says how many keys there have to be.
func (r *RecoveryRound) twoLives(ctx context.Context, s Server, first func(p *process) (keys uint64, err error)) error {
	s.logPolicy = "everysec"
	dir, err := s.newDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := startIn(ctx, s, dir, startTimeout)
	if err != nil {
		return err
	}
	keys, err := first(p)
	p.stop()
	if err != nil {
		return err
	}
	if p, err = again(ctx, s, dir, keys); err != nil {
		return err
	}
	r.Seconds, r.CPU = p.startup.Seconds(), p.startupCPU.Seconds()
	p.stop()
	return nil
}
