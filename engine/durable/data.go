package durable

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Data connects an engine with what keeps its data: a journal of what shards do, and
// snapshots of all that there is. Nobody may say that something was done before Commit has
// made that as safe as the policy says.
//
//	shard ─► record ─► journal            under the shard's turn
//	owner ─► Commit ─► journal ─► disk    before replies leave
//	shard ─► saver  ─► snapshots          slice by slice; the journal before them goes
//	disk  ─► recover ─► engine            while clients are told to wait
//
// Its life is Prepare, Start, Settle, Close, each called once, one after the other.
type Data struct {
	o      Options
	log    *slog.Logger
	engine *engine.Engine
	saver  *saver
	// journal is what replies wait for, and recording takes what shards do; nil if there is
	// no log. They are the same but while the log is switched off: recording ends first.
	journal   atomic.Pointer[journal.Journal]
	recording *journal.Journal // guarded by the turns of all shards
	sinks     effectSinks
	// unkept says that there is to be a log and is none, because it does not go with the
	// dataset: nothing may be promised.
	unkept atomic.Bool
	claim  *datadir.Claim
	read   atomic.Int64 // bytes that were recovered

	changed chan struct{} // the journal has failed
	stop    chan struct{}
	done    chan struct{}
}

// Options are what Data needs beside its engine.
type Options struct {
	Config   *config.Config  // the engine's
	Families []engine.Family // the engine's: DEBUG LOADAOF recovers in another one
	Log      *slog.Logger    // nil: discard
	By       string          // who uses the data directory: datadir.Holder.Command

	// Lost is called when the journal cannot be written under aof_fsync_policy always. What
	// it was to hold may be lost, and nobody knows it: so nothing may be answered from then
	// on, and the dataset is what a new start finds. Any goroutine, more than once.
	Lost func(err error)
	// Committed, when set, says that the times of tickets may have come. Any goroutine.
	Committed func()
	// Rounds, when set, returns when all calls of Commit and Committed are over that began
	// before it, or when stop is closed.
	Rounds func(stop <-chan struct{})
}

// A Ticket stands for when replies may leave: see Commit.
type Ticket uint64

// What is not waited for.
const (
	Now   Ticket = 0
	Never Ticket = math.MaxUint64
)

// New makes Data that has not looked at the data directory yet.
func New(e *engine.Engine, o Options) *Data {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Data{o: o, engine: e, log: o.Log,
		claim:   datadir.NewClaim(datadir.Holder{PID: os.Getpid(), Version: engine.Version, Command: o.By}),
		changed: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	d.saver = newSaver(d)
	return d
}

var policies = map[string]journal.Policy{"always": journal.Always, "everysec": journal.EverySecond, "no": journal.Never}

// Start recovers what the data directory holds, and keeps what changes from then on. When
// ctx ends it stops in the middle. After an error only Close is to be called.
func (d *Data) Start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
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
func (d *Data) sync() error {
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
func (d *Data) synced() bool {
	j := d.saver.kept.Load()
	return j != nil && j.Synced()
}

// state is what INFO shows.
func (d *Data) state() (state engine.DurabilityState) {
	state.Snapshots = d.saver.state()
	if j := d.journal.Load(); j != nil {
		state.Log, state.Failed, state.Bytes, state.Delayed = true, j.Failed(), j.Bytes(), j.Delayed()
	}
	return state
}

// folder is a folder in the data directory.
func (d *Data) folder(name string) string { return filepath.Join(d.o.Config.DataDir, name) }

// journalOptions are those of a journal for this engine.
func (d *Data) journalOptions() journal.Options {
	return journal.Options{
		Disk: disk.OS{}, Dir: d.folder(datadir.Journal), Shards: len(d.engine.Shards.Shards), Log: d.log,
		Policy:    policies[d.engine.Params.String("appendfsync")],
		Player:    func(log, shards int) journal.Player { return player{d.engine.NewReplayer(log, shards)} },
		Committed: d.o.Committed,
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
func (d *Data) record(c *shard.Call, j *journal.Journal) {
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

// Commit makes true what the replies that are about to leave promise, and says when they may:
// Now; Never, and none of them may leave that promises anything; or a ticket, to be asked
// about with Committed. With wait it is Now or Never. Any goroutine may call it.
func (d *Data) Commit(wait bool) Ticket {
	j := d.journal.Load()
	if j == nil {
		if d.unkept.Load() {
			return Never
		}
		return Now
	}
	t, err := j.Commit(wait)
	if err != nil {
		return d.failed(j, err)
	}
	return Ticket(t)
}

// Committed says what has become of a ticket: Now, Never, or the ticket itself. Any goroutine
// may call it.
func (d *Data) Committed(t Ticket) Ticket {
	j := d.journal.Load()
	if j == nil { // it was switched off, and synced before
		return Now
	}
	switch over, err := j.Committed(journal.Ticket(t)); {
	case over:
		return Now
	case err != nil:
		return d.failed(j, err)
	}
	return t
}

// failed says that replies may not leave. With aof_fsync_policy always that is the end.
func (d *Data) failed(j *journal.Journal, err error) Ticket {
	if j.Policy() == journal.Always {
		d.o.Lost(err)
	}
	select {
	case d.changed <- struct{}{}:
	default:
	}
	return Never
}

// failurePoll is how often it is looked whether the journal works again.
const failurePoll = 100 * time.Millisecond

// watch refuses writes while they cannot be kept.
func (d *Data) watch() {
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
func (d *Data) refusal() resp.Error {
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

// Kept says whether there is a log that, with the snapshots there are, holds all that was
// done, and whether all it has recorded is durable. Any goroutine may call it.
func (d *Data) Kept() (logged, synced bool) {
	j := d.saver.kept.Load()
	if j == nil {
		return false, false
	}
	return true, j.Synced() && j.Failed() == nil // what could not be recorded is not missed by the first
}

// Sync makes durable what such a log has recorded, and says whether it has. Any goroutine may
// call it.
func (d *Data) Sync() bool {
	j := d.saver.kept.Load()
	return j != nil && j.Sync() == nil && j.Failed() == nil
}

// Feed lets sink see what shards do from now on, beside the log; nil ends it. The call has all
// shards.
func (d *Data) Feed(c *shard.Call, sink shard.EffectSink) {
	d.sinks.feed = sink
	d.sinks.listen(c)
}

// Reached says where the engine is reached from now on, for those who find its data directory
// taken.
func (d *Data) Reached(addresses []datadir.Address) error {
	return d.claim.Reached(d.engine.RunID(), addresses)
}

// Keeps says that the data directory is taken, because something is or was kept there.
func (d *Data) Keeps() bool { return d.claim.Taken() }

// Settle ends everything but the journal, while the engine still has its data: it takes the
// last snapshot, if one is wanted. If the start has failed it does nothing.
func (d *Data) Settle() error {
	if d.engine.Durability() == nil {
		return nil
	}
	err := d.saver.end()
	close(d.stop)
	<-d.done
	return err
}

// CloseLog ends the log, if there is one, and says whether what is on disk holds all that was
// done. The engine does nothing any more.
func (d *Data) CloseLog() (logged, whole bool, err error) {
	j := d.journal.Swap(nil)
	if j == nil {
		return false, false, nil
	}
	whole = d.saver.kept.Load() == j
	err = j.Close()
	return true, whole && err == nil && j.Failed() == nil, err
}

// Close makes everything durable, and lets go of the data directory. The engine does nothing
// any more.
func (d *Data) Close() error {
	_, _, err := d.CloseLog()
	d.claim.Release()
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
