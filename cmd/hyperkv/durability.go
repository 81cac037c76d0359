package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/config"
	"hyperkv/netio"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	"hyperkv/shard"
)

// durability connects the engine with its journal: what shards do is recorded, and no
// reply leaves before that is as safe as the policy says.
//
//	shard ─► record ─► journal            under the shard's turn
//	netio ─► Commit ─► journal ─► disk    before replies leave
//	disk  ─► recover ─► engine            before the sockets open
type durability struct {
	log     *slog.Logger
	clock   *clock.Held
	engine  *engine.Engine
	journal atomic.Pointer[journal.Journal] // nil until everything was recovered
	loops   atomic.Pointer[[]*loop]         // those that may wait for the journal
	unlock  func()
	// exit ends the process at once: see failed.
	exit func(code int)

	changed chan struct{} // the journal has failed
	stop    chan struct{}
	done    chan struct{}
}

// recoveredAt is where the clock stands during recovery: before every deadline.
const recoveredAt = 1

func newDurability(log *slog.Logger) *durability {
	return &durability{log: log, clock: clock.NewHeld(recoveredAt), exit: os.Exit,
		changed: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
}

var policies = map[string]journal.Policy{"always": journal.Always, "everysec": journal.EverySecond, "no": journal.Never}

// start recovers what the data directory holds and records from then on.
func (d *durability) start(e *engine.Engine, cfg *config.Config) error {
	d.engine = e
	dir := filepath.Join(cfg.DataDir, "journal")
	if err := (disk.OS{}).MakeDir(dir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	unlock, err := lockFolder(cfg.DataDir)
	if err != nil {
		return err
	}
	d.unlock = unlock
	began := time.Now()
	j, found, err := journal.Open(journal.Options{
		Disk: disk.OS{}, Dir: dir, Shards: len(e.Shards.Shards), Policy: policies[e.Params.String("appendfsync")], Log: d.log,
		Player:    func(log, shards int) journal.Player { return player{e.NewReplayer(log, shards)} },
		Committed: d.committed,
	})
	if err != nil {
		unlock()
		return fmt.Errorf("recovery: %w", err)
	}
	for _, cut := range found.Cut {
		d.log.Warn("the log ended in the middle of a record, as after a loss of power: the end was cut off", "file", cut.CutPath,
			"offset", cut.CutOffset, "records_behind", cut.CutRecords)
	}
	if found.Completed+found.LeftOut > 0 {
		d.log.Warn("some logs had lost parts of commands over several shards", "completed", found.Completed, "left_out", found.LeftOut)
	}
	took := time.Since(began)
	d.log.Info("recovered", "effects", found.Effects, "bytes", found.Bytes, "seconds", took.Seconds(),
		"effects_per_second", int(float64(found.Effects)/max(took.Seconds(), 1e-9)))
	d.journal.Store(j)
	d.clock.Release()
	e.Shards.ClockChanged()
	if c, err := e.NewClient(); err == nil { // what was repeated is nobody's load
		_, _ = c.Do("CONFIG", "RESETSTAT")
		_ = c.Close()
	}
	e.Params.OnChange("appendfsync", func(value string) error {
		j.SetPolicy(policies[value])
		return nil
	})
	e.SetDurability(engine.Durability{State: func() engine.DurabilityState {
		return engine.DurabilityState{
			Failed: j.Failed(), Bytes: j.Bytes(), Delayed: j.Delayed(),
		}
	}})
	go d.watch(j)
	return nil
}

// record implements shard.EffectSink.
func (d *durability) record(shards []*shard.Shard, effects []shard.Effect) {
	j := d.journal.Load()
	if j == nil {
		return
	}
	var few [8]int
	numbers := few[:0]
	for _, s := range shards {
		numbers = append(numbers, s.Index)
	}
	j.Record(numbers, len(effects), func(i int) (int, [][]byte) { return effects[i].Database, effects[i].Args })
}

// Commit makes true what the replies that are about to leave promise, or says when it
// will be.
func (d *durability) Commit(wait bool) netio.Ticket {
	j := d.journal.Load()
	if j == nil {
		return netio.Now
	}
	t, err := j.Commit(wait)
	if err != nil {
		return d.failed(j, err)
	}
	return netio.Ticket(t)
}

// Committed says what has become of a ticket.
func (d *durability) Committed(t netio.Ticket) netio.Ticket {
	j := d.journal.Load()
	switch over, err := j.Committed(journal.Ticket(t)); {
	case over:
		return netio.Now
	case err != nil:
		return d.failed(j, err)
	}
	return t
}

// failed says that replies may not leave. With aof_fsync_policy always the process ends
// then: those who wait for a reply learn that there is none, and nobody reads what
// may be lost.
func (d *durability) failed(j *journal.Journal, err error) netio.Ticket {
	if j.Policy() == journal.Always {
		d.log.Error("stopping at once: aof_fsync_policy is always, and the log cannot be written", "err", err)
		d.exit(1)
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
	return netio.Never
}

// committed wakes the loops that hold tickets. Any goroutine may call it.
func (d *durability) committed() {
	if loops := d.loops.Load(); loops != nil {
		for _, l := range *loops {
			if l.waiting.Swap(false) {
				l.wake()
			}
		}
	}
}

// failurePoll is how often it is looked whether the journal works again.
const failurePoll = 100 * time.Millisecond

// watch refuses writes while the journal cannot keep them.
func (d *durability) watch(j *journal.Journal) {
	defer close(d.done)
	tick := time.NewTicker(failurePoll)
	defer tick.Stop()
	refused := false
	for {
		select {
		case <-d.changed:
		case <-tick.C:
		case <-d.stop:
			return
		}
		if err := j.Failed(); (err != nil) != refused {
			refused = err != nil
			d.engine.RefuseWrites(err)
		}
	}
}

// close makes everything durable. The engine does nothing any more.
func (d *durability) close() error {
	j := d.journal.Load()
	if j == nil {
		return nil
	}
	close(d.stop)
	<-d.done
	err := j.Close()
	d.unlock()
	return err
}

// player repeats the log of a shard.
type player struct{ *engine.Replayer }

// Play implements journal.Player.
func (p player) Play(effects []journal.Effect, shared bool) error {
	for i := range effects {
		if err := p.Replayer.Play(effects[i].Database, effects[i].Args, shared); err != nil {
			return err
		}
	}
	return nil
}

var errInUse = errors.New("another process uses it")
