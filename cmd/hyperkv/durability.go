package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/netio"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	"hyperkv/resp"
	"hyperkv/shard"
)

// durability connects the engine with what keeps its data: a journal of what shards do, and
// snapshots of all that there is. No reply leaves before the journal is as safe as the
// policy says.
//
//	shard ─► record ─► journal            under the shard's turn
//	netio ─► Commit ─► journal ─► disk    before replies leave
//	shard ─► saver  ─► snapshots          slice by slice; the journal before them goes
//	disk  ─► recover ─► engine            while clients are told to wait
type durability struct {
	log    *slog.Logger
	cfg    *config.Config
	engine *engine.Engine
	saver  *saver
	// journal is what replies wait for, and recording takes what shards do; nil if there is
	// no log. They are the same but while the log is switched off: recording ends first.
	journal   atomic.Pointer[journal.Journal]
	recording *journal.Journal // guarded by the turns of all shards
	sinks     *effectSinks
	loops     atomic.Pointer[[]*loop] // those that may wait for the journal
	// unkept says that there is to be a log and is none, because it does not go with the
	// dataset: nothing may be promised.
	unkept atomic.Bool
	claim  claim
	read   atomic.Int64 // bytes that were recovered
	// exit ends the process at once: see failed.
	exit func(code int)

	changed chan struct{} // the journal has failed
	stop    chan struct{}
	done    chan struct{}
}

func newDurability(e *engine.Engine, cfg *config.Config, log *slog.Logger) *durability {
	d := &durability{engine: e, log: log, cfg: cfg, exit: os.Exit, sinks: new(effectSinks),
		changed: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	d.saver = newSaver(d)
	return d
}

var policies = map[string]journal.Policy{"always": journal.Always, "everysec": journal.EverySecond, "no": journal.Never}

// start recovers what the data directory holds, and keeps what changes from then on. When
// ctx ends it stops in the middle.
func (d *durability) start(ctx context.Context) error {
	e := d.engine
	e.Shards.ExpiryHeld.Add(1) // what has expired is removed by the log, or afterwards
	err := d.recover(ctx)
	e.Shards.ExpiryHeld.Add(-1)
	if err != nil {
		return err
	}
	e.Shards.ClockChanged()
	if c, err := e.NewClient(); err == nil { // what was repeated is nobody's load
		_, _ = c.Do("CONFIG", "RESETSTAT")
		_ = c.Close()
	}
	d.saver.begin()
	e.Params.OnChange("appendfsync", func(value string) error {
		if j := d.journal.Load(); j != nil {
			j.SetPolicy(policies[value])
		}
		return nil
	})
	e.Params.OnChange("appendonly", func(value string) error {
		d.saver.switchLog(value == "yes")
		return nil
	})
	e.SetDurability(engine.Durability{State: d.state, Snapshot: d.saver.request, Reload: d.reload, Sync: d.sync, Synced: d.synced})
	go d.watch()
	return nil
}

// sync makes durable what the log has recorded so far. A log that is being switched on counts
// once the snapshot is complete before which it begins.
func (d *durability) sync() error {
	for {
		j := d.journal.Load()
		switch {
		case j == nil:
			return errors.New("there is no log")
		case d.saver.kept.Load() == j:
			return j.Sync()
		}
		select {
		case <-time.After(failurePoll):
		case <-d.stop:
			return errors.New("the server stops")
		}
	}
}

// synced says that there is a log, and that all it has recorded is durable.
func (d *durability) synced() bool {
	j := d.saver.kept.Load()
	return j != nil && j.Synced()
}

// state is what INFO shows.
func (d *durability) state() (state engine.DurabilityState) {
	state.Snapshots = d.saver.state()
	if j := d.journal.Load(); j != nil {
		state.Log, state.Failed, state.Bytes, state.Delayed = true, j.Failed(), j.Bytes(), j.Delayed()
	}
	return state
}

// folder is a folder in the data directory.
func (d *durability) folder(name string) string { return filepath.Join(d.cfg.DataDir, name) }

// journalOptions are those of a journal for this engine.
func (d *durability) journalOptions() journal.Options {
	return journal.Options{
		Disk: disk.OS{}, Dir: d.folder(journalFolder), Shards: len(d.engine.Shards.Shards), Log: d.log,
		Policy:    policies[d.engine.Params.String("appendfsync")],
		Player:    func(log, shards int) journal.Player { return player{d.engine.NewReplayer(log, shards)} },
		Committed: d.committed,
		Blocks: func() {
			d.engine.Shards.LongAhead()
			time.Sleep(governorTakes)
		},
	}
}

// governorTakes is how long it takes the processors that LongAhead asks for to be there.
const governorTakes = time.Millisecond

// record lets a journal record what shards do from now on, or none. The call has all
// shards.
func (d *durability) record(c *shard.Call, j *journal.Journal) {
	d.recording = j
	d.sinks.journal = nil
	if j != nil {
		d.sinks.journal = func(shards []*shard.Shard, effects []shard.Effect) {
			var few [8]int
			numbers := few[:0]
			for _, s := range shards {
				numbers = append(numbers, s.Index)
			}
			j.Record(numbers, len(effects), func(i int) (int, [][]byte) { return effects[i].Database, effects[i].Args })
		}
	}
	d.sinks.listen(c)
}

// Commit makes true what the replies that are about to leave promise, or says when it
// will be.
func (d *durability) Commit(wait bool) netio.Ticket {
	j := d.journal.Load()
	if j == nil {
		if d.unkept.Load() {
			return netio.Never
		}
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
	if j == nil { // it was switched off, and synced before
		return netio.Now
	}
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

// watch refuses writes while they cannot be kept.
func (d *durability) watch() {
	defer close(d.done)
	tick := time.NewTicker(failurePoll)
	defer tick.Stop()
	refused := resp.Error("")
	for {
		select {
		case <-d.changed:
		case <-tick.C:
		case <-d.stop:
			return
		}
		if why := d.refusal(); why != refused {
			refused = why
			d.engine.RefuseWrites(why)
		}
	}
}

// refusal is why nothing may be written at present, nothing as a rule.
func (d *durability) refusal() resp.Error {
	if j := d.journal.Load(); j != nil {
		if err := j.Failed(); err != nil {
			return engine.LogFails(err)
		}
	}
	e := d.engine
	if err := d.saver.state().LastError; err != nil && d.unkept.Load() {
		return engine.LogFails(err)
	}
	if e.SavesAtEnd() && e.Params.Bool("stop-writes-on-bgsave-error") && d.saver.state().LastError != nil {
		return resp.ErrMisconf
	}
	return ""
}

// settle ends everything but the journal, while the engine still has its data: it takes the
// last snapshot, if one is wanted.
func (d *durability) settle() error {
	if d.engine.Durability() == nil {
		return nil
	}
	err := d.saver.end()
	close(d.stop)
	<-d.done
	return err
}

// close makes everything durable. The engine does nothing any more.
func (d *durability) close() (err error) {
	if j := d.journal.Load(); j != nil {
		err = j.Close()
	}
	d.claim.release()
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
