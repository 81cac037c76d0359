package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	"hyperkv/engine/snapshot"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
	"hyperkv/shard"
)

// recover gives the engine what the data directory holds: the newest snapshot that can be
// read, and what the journal has recorded since. Then the journal is open for more, if
// there is to be one.
func (d *durability) recover(ctx context.Context) error {
	e := d.engine
	if d.unlock == nil {
		return nil
	}
	logged := e.Params.Bool("appendonly")
	began := time.Now()
	over := d.report(began)
	defer over()
	loaded, newest, err := d.loadSnapshot(ctx)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	options := d.playOptions(ctx, loaded, newest)
	behind, err := journal.After(options.Disk, options.Dir)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	if loaded != nil && loaded.Journal != nil && behind == nil {
		return fmt.Errorf("recovery: %s is missing, and snapshot %d says that there is more in it", options.Dir, loaded.Number)
	}
	if !logged && behind == nil {
		return nil
	}
	j, found, err := journal.Open(options)
	if err != nil {
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
	if logged {
		d.journal.Store(j)
		e.Shards.NewExclusive().Run(false, func(c *shard.Call) { d.record(c, j) })
		return nil
	}
	return j.Close()
}

// prepare makes the data directory ours, if there is something in it or is to be.
func (d *durability) prepare() error {
	p := d.engine.Params
	if !p.Bool("appendonly") && !p.Bool("snapshot_enabled") && !d.anything() {
		return nil
	}
	return d.own()
}

// size is how many bytes there are to be recovered, about: segments of the log have room
// to spare, and of the snapshots one is loaded.
func (d *durability) size() (n int64) {
	if all, _, err := snapshots.List(disk.OS{}, d.folder("snapshots")); err == nil && len(all) > 0 {
		n = all[0].Bytes
	}
	logs, _ := filepath.Glob(filepath.Join(d.folder("journal"), "*", "wal-*.log"))
	for _, name := range logs {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// reportEvery is how often the log says how far recovery has come.
const reportEvery = time.Second

// report shows how far recovery has come, until over is called.
func (d *durability) report(began time.Time) (over func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				if state, yes := d.engine.Loading(); yes {
					d.log.Info("loading", "bytes", state.Loaded, "of_about", state.Total,
						"bytes_per_second", int64(float64(state.Loaded)/now.Sub(began).Seconds()), "seconds_left", state.Left(now).Seconds())
				}
			}
		}
	}()
	return func() { close(stop); <-done }
}

// progress adds to what has been recovered, and says whether to go on.
func (d *durability) progress(ctx context.Context, bytes int) error {
	d.engine.Loaded(d.read.Add(int64(bytes)))
	return ctx.Err()
}

// playOptions are those of a journal that is played behind a snapshot.
func (d *durability) playOptions(ctx context.Context, loaded *snapshots.Manifest, newest uint64) journal.Options {
	o := d.journalOptions()
	o.Newest = newest
	if loaded != nil {
		o.Loaded = loaded.Number
		o.From = (*journal.Position)(loaded.Journal)
	}
	o.Progress = func(bytes int) error { return d.progress(ctx, bytes) }
	return o
}

// anything says whether there is data in the data directory.
func (d *durability) anything() bool {
	for _, name := range []string{"journal", "snapshots"} {
		if _, err := os.Stat(d.folder(name)); err == nil {
			return true
		}
	}
	return false
}

// loadSnapshot loads the newest snapshot that can be read, and returns its manifest, nil
// if there is none, and the number of the newest that there ever was.
func (d *durability) loadSnapshot(ctx context.Context) (loaded *snapshots.Manifest, newest uint64, err error) {
	dir := d.folder("snapshots")
	all, damaged, err := snapshots.List(disk.OS{}, dir)
	if err != nil {
		return nil, 0, err
	}
	newest = snapshots.NewestNumber(all, damaged)
	for i := range all {
		m := &all[i]
		began := time.Now()
		err := d.load(ctx, dir, m)
		var damage *snapshots.DamageError
		if errors.As(err, &damage) {
			damaged = append(damaged, damage)
			d.empty()
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("load snapshot %d: %w", m.Number, err)
		}
		for _, damage := range damaged {
			d.log.Error("a snapshot is damaged: an older one was loaded, and more of the log is repeated", "err", damage, "loaded", m.Number)
		}
		took := time.Since(began).Seconds()
		d.log.Info("snapshot loaded", "number", m.Number, "keys", m.Keys, "bytes", m.Bytes, "seconds", took,
			"keys_per_second", int(float64(m.Keys)/max(took, 1e-9)))
		d.saver.loaded(m)
		return m, newest, nil
	}
	if len(damaged) == 0 {
		return nil, newest, nil
	}
	for _, damage := range damaged {
		d.log.Error("a snapshot is damaged", "err", damage)
	}
	if _, err := os.Stat(filepath.Join(d.folder("journal"))); err == nil {
		d.log.Warn("no snapshot can be read: the log is repeated from its beginning, if it still has that")
		return nil, newest, nil
	}
	return nil, 0, fmt.Errorf("no snapshot can be read: %w", damaged[0])
}

// load loads a snapshot, all files at once.
func (d *durability) load(ctx context.Context, dir string, m *snapshots.Manifest) error {
	errs := make([]error, m.Shards)
	var wg sync.WaitGroup
	for i := range m.Shards {
		wg.Add(1)
		go func() {
			defer wg.Done()
			loader := snapshot.NewLoader(d.engine, i, m.Shards)
			last := int64(0)
			errs[i] = snapshots.Read(disk.OS{}, dir, m, i, func(block []byte, _ int, end int64) error {
				if err := d.progress(ctx, int(end-last)); err != nil {
					return err
				}
				last = end
				return loader.Load(block)
			})
		}()
	}
	wg.Wait()
	for _, err := range errs { // damage of one counts more than what it may have led to
		var damage *snapshots.DamageError
		if errors.As(err, &damage) {
			return err
		}
	}
	return errors.Join(errs...)
}

// empty takes everything from the engine.
func (d *durability) empty() {
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) {
		for number := range c.Databases() {
			c.Flush(number, false)
		}
	})
}

// reload implements engine.Durability: another engine recovers what is on disk, and this one
// gets what that has found. Nobody changes anything meanwhile.
func (d *durability) reload() (err error) {
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) {
		j := d.journal.Load()
		if j == nil {
			err = errors.New("there is no log")
			return
		}
		if err = j.Sync(); err != nil {
			return
		}
		var e *engine.Engine
		if e, err = engine.New(engine.Options{Config: d.cfg, Families: embedded.Families(), Log: d.log}); err != nil {
			return
		}
		defer e.Close()
		e.Shards.ExpiryHeld.Add(1)
		other := newDurability(e, d.cfg, d.log)
		var all [][]snapshot.Block
		if all, err = other.replay(); err == nil {
			err = snapshot.Replace(c, d.engine, all)
		}
	})
	return err
}

// replay recovers what a data directory holds that another process uses, or another engine
// of this one, and changes nothing there.
func (d *durability) replay() (all [][]snapshot.Block, err error) {
	ctx := context.Background()
	loaded, newest, err := d.loadSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := journal.Replay(d.playOptions(ctx, loaded, newest)); err != nil {
		return nil, err
	}
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { all = snapshot.Copy(c) })
	return all, nil
}
