package durable

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/snapshot"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
	"hyperkv/shard"
)

// saver takes the snapshots, one after the other, when somebody asks for one or the
// settings do; and it switches the log on and off, because that goes with a snapshot.
type saver struct {
	d     *Data
	store *snapshots.Store // nil until it is needed; of run
	keys  atomic.Uint64    // stored by the snapshot that is running
	// kept is the log that, with the snapshots there are, holds all that was done; nil if
	// there is none, and while one is switched on or off.
	kept atomic.Pointer[journal.Journal]
	// mark is called under all turns at the cut of a snapshot, and marked is what it has
	// returned for the last one.
	mark   func() any
	marked atomic.Pointer[any]
	// intact says that the recovery has found everything as it was left. Of the start.
	intact bool

	mu      sync.Mutex // guards what follows
	now     engine.SnapshotState
	queue   []wanted
	logWish *bool // the log is to be switched so
	foreign *foreign
	logDue  bool  // the log could not be switched on, and is to be
	logSize int64 // of the log, when the last snapshot was complete
	tried   time.Time

	wake    chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	stopped chan struct{}
}

// foreign is a dataset that is to take the place of the one there is.
type foreign struct {
	load func() error
	over chan error
}

// wanted is a snapshot that somebody has asked for.
type wanted struct {
	why  engine.SnapshotReason
	over chan error
}

func newSaver(d *Data) *saver {
	s := &saver{d: d, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	s.mark = func() any { return nil }
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

func (s *saver) begin() {
	s.mu.Lock()
	s.now.Dirty = s.d.engine.Stats().Dirty
	s.tried = time.Now()
	if j := s.d.journal.Load(); j != nil {
		s.logSize = j.Bytes()
	}
	s.mu.Unlock()
	s.kept.Store(s.d.journal.Load())
	go s.run()
}

// loaded notes which snapshot the data came from.
func (s *saver) loaded(m *snapshots.Manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Last, s.now.LastBytes, s.now.Loaded = time.UnixMilli(m.Created), m.Bytes, m.Keys
}

// state is what INFO shows. Any goroutine may call it.
func (s *saver) state() engine.SnapshotState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.now
	state.Keys = s.keys.Load()
	return state
}

// request implements engine.Durability. Any goroutine may call it.
func (s *saver) request(why engine.SnapshotReason, queue bool) (<-chan error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := s.now.Running || len(s.queue) > 0
	if busy && !queue {
		return nil, engine.ErrSnapshotBusy
	}
	r := wanted{why, make(chan error, 1)}
	s.queue = append(s.queue, r)
	if busy {
		s.now.Scheduled = s.now.Scheduled || why == engine.SnapshotRewrite
		return nil, nil
	}
	// Whoever asks for INFO from now on shall see it.
	s.now.Running, s.now.Reason, s.now.Began = true, why, time.Now()
	s.kick()
	return r.over, nil
}

// switchLog asks for the log to be switched on or off. Any goroutine may call it.
func (s *saver) switchLog(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logWish = &on
	s.kick()
}

// Mark has mark called under all turns at the cut of each snapshot, for what is to be known of
// that moment: see Marked. It is called before Start.
func (d *Data) Mark(mark func() any) { d.saver.mark = mark }

// Marked is what mark has returned for the last snapshot, nil if there was none. Any goroutine
// may call it.
func (d *Data) Marked() any {
	if m := d.saver.marked.Load(); m != nil {
		return *m
	}
	return nil
}

// SetMarked says what it would have returned for the dataset that was recovered.
func (d *Data) SetMarked(mark any) { d.saver.marked.Store(&mark) }

// Intact says that the recovery has found everything as it was left.
func (d *Data) Intact() bool { return d.saver.intact }

// Replace calls load, which puts another dataset in the place of the one there is and has
// nothing of that recorded. When it returns, what is on disk is the new dataset; whoever is
// killed before has the old one, as a whole. After an error of load it may be a part of the
// new one. Clients do nothing meanwhile. One at a time may call it; ctx ends the wait for
// what the saver does at the time.
func (d *Data) Replace(ctx context.Context, load func() error) error {
	s := d.saver
	f := &foreign{load, make(chan error, 1)}
	s.mu.Lock()
	s.foreign = f
	s.kick()
	s.mu.Unlock()
	select {
	case err := <-f.over:
		return err
	case <-s.stopped:
		return errStopping
	case <-ctx.Done():
	}
	s.mu.Lock()
	waiting := s.foreign == f
	if waiting {
		s.foreign = nil
	}
	s.mu.Unlock()
	if waiting {
		return ctx.Err()
	}
	return <-f.over
}

var errStopping = fmt.Errorf("the server is stopping: %w", context.Canceled)

// exchange is Replace, on the saver's goroutine.
func (s *saver) exchange(load func() error) error {
	d := s.d
	if j := d.journal.Load(); j != nil {
		s.kept.Store(nil)
		d.dropLog(j)
	}
	err := load()
	if d.engine.Params.Bool("appendonly") {
		if failed := s.setLog(true); failed != nil {
			d.unkept.Store(true) // until setLog succeeds
			err = errors.Join(err, failed)
		}
	}
	return err
}

func (s *saver) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// schedulePeriod is how often it is looked whether the settings want a snapshot.
const schedulePeriod = time.Second

// run is the saver's life.
func (s *saver) run() {
	defer close(s.stopped)
	tick := time.NewTicker(schedulePeriod)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
			if why, due := s.due(time.Now()); due {
				_, _ = s.request(why, false)
			}
		}
		for s.ctx.Err() == nil && s.next() {
		}
	}
}

// next does one of the things that were asked for, and says whether there was any.
func (s *saver) next() bool {
	s.mu.Lock()
	wish := s.logWish
	s.logWish = nil
	if s.logDue && wish == nil && time.Since(s.tried) >= retryAfter {
		on := true
		wish = &on
	}
	other := s.foreign
	s.foreign = nil
	var r wanted
	asked := wish == nil && other == nil && len(s.queue) > 0
	if asked {
		r = s.queue[0]
		s.queue = s.queue[1:]
		s.now.Running, s.now.Reason, s.now.Began = true, r.why, time.Now()
		s.now.Scheduled = false
		for _, other := range s.queue {
			s.now.Scheduled = s.now.Scheduled || other.why == engine.SnapshotRewrite
		}
	}
	s.mu.Unlock()
	if wish != nil {
		if err := s.setLog(*wish); err != nil {
			s.d.log.Error("the log could not be switched on", "err", err)
		}
	}
	if other != nil {
		other.over <- s.exchange(other.load)
	}
	if asked {
		r.over <- s.take(r.why, false)
	}
	return wish != nil || other != nil || asked
}

// retryAfter is how long the schedule waits after a snapshot that failed: Redis' five
// seconds.
const retryAfter = 5 * time.Second

// due says whether the settings want a snapshot now.
func (s *saver) due(now time.Time) (engine.SnapshotReason, bool) {
	params := s.d.engine.Params
	changes := s.d.engine.Stats().Dirty
	s.mu.Lock()
	defer s.mu.Unlock()
	changes -= s.now.Dirty
	since := now.Sub(s.tried)
	switch {
	case s.now.Running || changes == 0:
		return 0, false
	case s.now.LastError != nil && since < retryAfter:
		return 0, false
	case s.now.LastError != nil && s.d.engine.SavesAtEnd(): // writes may be waiting for it
		return engine.SnapshotSave, true
	}
	points := strings.Fields(params.String("save"))
	for i := 0; i+1 < len(points); i += 2 {
		seconds, _ := strconv.ParseInt(points[i], 10, 64)
		count, _ := strconv.ParseUint(points[i+1], 10, 64)
		if changes >= count && since >= time.Duration(seconds)*time.Second {
			return engine.SnapshotSave, true
		}
	}
	if !params.Bool("snapshot_enabled") {
		return 0, false
	}
	if every := params.Duration("snapshot_interval"); every > 0 && since >= every {
		return engine.SnapshotSave, true
	}
	if j := s.d.journal.Load(); j != nil && params.Int("auto-aof-rewrite-percentage") > 0 {
		grown := j.Bytes() - s.logSize
		if grown >= params.Int("auto-aof-rewrite-min-size") && grown/100 >= s.now.LastBytes/100*params.Int("auto-aof-rewrite-percentage")/100 {
			return engine.SnapshotRewrite, true
		}
	}
	return 0, false
}

// take takes a snapshot; with begin the log begins with it.
func (s *saver) take(why engine.SnapshotReason, begin bool) error {
	began := time.Now()
	s.keys.Store(0)
	m, dirty, err := s.write(begin)
	took := time.Since(began)
	s.mu.Lock()
	s.now.Running = false
	s.now.LastError = err
	s.tried = time.Now()
	if why == engine.SnapshotRewrite {
		s.now.RewriteTook = took
	} else {
		s.now.LastTook = took
	}
	if err == nil {
		s.now.Last, s.now.LastBytes, s.now.Dirty = time.UnixMilli(m.Created), m.Bytes, dirty
		s.now.Count++
		if why == engine.SnapshotRewrite {
			s.now.Rewrites++
		}
		if j := s.d.journal.Load(); j != nil {
			s.logSize = j.Bytes()
		}
	}
	s.mu.Unlock()
	switch {
	case err == nil:
		s.d.log.Info("snapshot written", "number", m.Number, "keys", m.Keys, "bytes", m.Bytes, "seconds", took.Seconds())
	case s.ctx.Err() == nil:
		s.d.log.Error("no snapshot could be written", "err", err)
	}
	return err
}

// sink stores what a snapshot takes.
type sink struct {
	w    *snapshots.Writer
	keys *atomic.Uint64
}

func (k sink) Write(shard int, b snapshot.Block) error {
	k.keys.Add(uint64(b.Keys))
	return k.w.Write(shard, b.Bytes, b.Keys)
}

// write writes a snapshot, and lets go of what it makes superfluous.
func (s *saver) write(begin bool) (m snapshots.Manifest, dirty uint64, err error) {
	d, e := s.d, s.d.engine
	store, err := s.open()
	if err != nil {
		return m, 0, err
	}
	store.SetCompress(e.Params.Bool("snapshot_compression"))
	w, err := store.Begin(len(e.Shards.Shards))
	if err != nil {
		return m, 0, err
	}
	j := d.journal.Load()
	if begin {
		if j, err = journal.Begin(d.journalOptions(), w.Number()); err != nil {
			return m, 0, errors.Join(err, w.Abort())
		}
	}
	var position *journal.Position
	if j == nil {
		if position, err = journal.After(disk.OS{}, d.folder(datadir.Journal)); err != nil {
			return m, 0, errors.Join(err, w.Abort())
		}
	}
	var created int64
	var mark any
	_, err = snapshot.Take(s.ctx, e, snapshot.Options{Native: true, Reuse: true, AtCut: func(c *shard.Call) {
		created, dirty = e.NowMillis(), c.Dirty()
		mark = s.mark()
		s.mu.Lock()
		s.now.KeysAtCut = c.KeyCount()
		s.mu.Unlock()
		if begin {
			d.journal.Store(j)
			d.record(c, j)
		}
		if j != nil {
			at := j.Position()
			position = &at
		}
	}}, sink{w, &s.keys})
	if err == nil && j != nil {
		err = j.Sync() // the log may not end before the place from where it is to be repeated
	}
	if err == nil && begin {
		err = j.Enlist()
	}
	if err == nil {
		m, err = w.Commit("HyperKV "+engine.Version, created, (*snapshots.Position)(position))
	} else {
		err = errors.Join(err, w.Abort())
	}
	if err != nil {
		if begin {
			d.dropLog(j)
		}
		return m, 0, err
	}
	s.marked.Store(&mark)
	s.tidy(store, j)
	return m, dirty, nil
}

// tidy removes old snapshots, and what of the journal only they needed. What cannot be
// removed is only room that is taken.
func (s *saver) tidy(store *snapshots.Store, j *journal.Journal) {
	kept, err := store.Keep(int(s.d.engine.Params.Int("snapshot_keep")))
	if err == nil && len(kept) > 0 {
		switch oldest := (*journal.Position)(kept[len(kept)-1].Journal); {
		case oldest == nil:
		case j != nil:
			err = j.DropBefore(*oldest)
		default:
			err = journal.DropClosed(disk.OS{}, s.d.folder(datadir.Journal), *oldest)
		}
	}
	if err != nil {
		s.d.log.Warn("what a snapshot has made superfluous could not be removed", "err", err)
	}
}

// open opens the store when it is first needed.
func (s *saver) open() (*snapshots.Store, error) {
	if s.store != nil {
		return s.store, nil
	}
	if err := s.d.claim.Take(s.d.o.Config.DataDir); err != nil {
		return nil, err
	}
	store, err := snapshots.Open(snapshots.Options{Disk: disk.OS{}, Dir: s.d.folder(datadir.Snapshots), Log: s.d.log})
	if err != nil {
		return nil, err
	}
	s.store = store
	return store, nil
}

// setLog switches the log. One that cannot be switched on is tried again later.
func (s *saver) setLog(on bool) (err error) {
	d := s.d
	switch there := d.journal.Load() != nil; {
	case on && !there:
		s.mu.Lock()
		s.now.Running, s.now.Reason, s.now.Began = true, engine.SnapshotRewrite, time.Now()
		s.mu.Unlock()
		if err = s.take(engine.SnapshotRewrite, true); err == nil {
			s.kept.Store(d.journal.Load())
		}
	case !on && there:
		s.kept.Store(nil)
		d.dropLog(d.journal.Load())
		d.log.Info("the log was switched off")
	}
	s.mu.Lock()
	s.logDue = err != nil
	s.mu.Unlock()
	if err == nil {
		d.unkept.Store(false)
	}
	return err
}

// dropLog ends a journal while the engine goes on without.
func (d *Data) dropLog(j *journal.Journal) {
	d.engine.Shards.NewExclusive().Run(false, func(c *shard.Call) {
		if d.recording == j {
			d.record(c, nil)
		}
	})
	if err := j.Sync(); err != nil {
		d.log.Error("the end of the log could not be written", "err", err)
	}
	d.journal.CompareAndSwap(j, nil)
	if d.o.Committed != nil {
		d.o.Committed() // whoever waits for it
	}
	if d.o.Rounds != nil {
		d.o.Rounds(d.stop)
	}
	if err := j.Close(); err != nil {
		d.log.Error("the log could not be closed", "err", err)
	}
}

// end ends the saver, with a last snapshot if one is wanted. A log that was being switched on,
// or was about to be, is completed: that is a snapshot as well.
func (s *saver) end() error {
	s.cancel()
	<-s.stopped
	s.ctx = context.Background()
	s.mu.Lock()
	for _, r := range s.queue {
		r.over <- errStopping
	}
	s.queue = nil
	wanted := !s.d.engine.SaveDecided.Load() && s.d.engine.SavesAtEnd() && s.d.engine.Stats().Dirty != s.now.Dirty
	s.mu.Unlock()
	switch d := s.d; {
	case d.engine.Params.Bool("appendonly") && s.kept.Load() == nil && !d.unkept.Load():
		return s.setLog(true)
	case wanted:
		return s.take(engine.SnapshotSave, false)
	}
	return nil
}
