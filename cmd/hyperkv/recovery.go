package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	if !d.claim.taken() {
		return nil
	}
	logged := e.Params.Bool("appendonly")
	began := time.Now()
	over := d.report(began)
	defer over()
	b, err := d.loadSnapshot(ctx)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	options := d.journalOptions()
	options.Progress = func(bytes int) error { return d.progress(ctx, bytes) }
	there, err := b.journal(&options)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	d.saver.intact = len(b.damaged) == 0
	if !logged && !there {
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
	if found.Restored > 0 {
		d.log.Info("logs had lost their ends, which the commit log had kept", "records", found.Restored)
	}
	if found.Completed+found.LeftOut > 0 {
		d.log.Warn("some logs had lost parts of commands over several shards", "completed", found.Completed, "left_out", found.LeftOut)
	}
	d.saver.intact = d.saver.intact && len(found.Cut) == 0 && found.Restored+found.Completed+found.LeftOut == 0
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
	if !p.Bool("appendonly") && !p.Bool("snapshot_enabled") && !holdsData(d.cfg.DataDir) {
		return nil
	}
	return d.claim.take(d.cfg.DataDir)
}

// size is how many bytes there are to be recovered, about: segments of the log have room
// to spare, and of the snapshots one is loaded.
func (d *durability) size() (n int64) {
	if all, _, err := snapshots.List(disk.OS{}, d.folder(snapshotsFolder)); err == nil && len(all) > 0 {
		n = all[0].Bytes
	}
	logs, _ := filepath.Glob(filepath.Join(d.folder(journalFolder), "*", "wal-*.log"))
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

// loadSnapshot loads the newest snapshot that can be read, if there is one.
func (d *durability) loadSnapshot(ctx context.Context) (basis, error) {
	dir := d.folder(snapshotsFolder)
	b, err := chooseBasis(disk.OS{}, d.cfg.DataDir, func(m *snapshots.Manifest) error {
		began := time.Now()
		err := readSnapshot(disk.OS{}, dir, m, func(shard int) func([]byte, int, int64) error {
			loader, last := snapshot.NewLoader(d.engine, shard, m.Shards), int64(0)
			loader.Expect(int(m.Keys)/len(d.engine.Shards.Shards) + 1)
			return func(block []byte, keys int, end int64) error {
				if err := d.progress(ctx, int(end-last)); err != nil {
					return err
				}
				last = end
				return loader.Load(block, keys)
			}
		})
		var damage *snapshots.DamageError
		if errors.As(err, &damage) {
			d.empty()
		}
		if err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		d.log.Info("snapshot loaded", "number", m.Number, "keys", m.Keys, "bytes", m.Bytes, "seconds", took,
			"keys_per_second", int(float64(m.Keys)/max(took, 1e-9)))
		d.saver.loaded(m)
		return nil
	})
	for _, damage := range b.damaged {
		if b.loaded != nil {
			d.log.Error("a snapshot is damaged: an older one was loaded, and more of the log is repeated", "err", damage, "loaded", b.loaded.Number)
		} else {
			d.log.Error("a snapshot is damaged", "err", damage)
		}
	}
	if err == nil && b.loaded == nil && len(b.damaged) > 0 {
		d.log.Warn("no snapshot can be read: the log is repeated from its beginning, if it still has that")
	}
	return b, err
}

// empty takes everything from the engine.
func (d *durability) empty() {
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { c.FlushAll(false) })
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

// replay recovers what a data directory holds that another engine of this process uses, and
// changes nothing there.
func (d *durability) replay() (all [][]snapshot.Block, err error) {
	if _, err := d.play(context.Background()); err != nil {
		return nil, err
	}
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { all = snapshot.Copy(c) })
	return all, nil
}

// play gives the engine what a data directory holds, and neither opens nor changes anything
// there.
func (d *durability) play(ctx context.Context) (b basis, err error) {
	if b, err = d.loadSnapshot(ctx); err != nil {
		return b, err
	}
	options := d.journalOptions()
	options.Progress = func(bytes int) error { return d.progress(ctx, bytes) }
	if _, err := b.journal(&options); err != nil {
		return b, err
	}
	_, err = journal.Replay(options)
	return b, err
}
