package durable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/snapshot"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
	"hyperkv/shard"
)

// recover gives the engine what the data directory holds: the newest snapshot that can be
// read, and what the journal has recorded since. Then the journal is open for more, if
// there is to be one.
func (d *Data) recover(ctx context.Context) error {
	e := d.engine
	if !d.claim.Taken() {
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
	there, err := b.Journal(&options)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	d.saver.intact = len(b.Damaged) == 0
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

// Prepare makes the data directory ours, if there is something in it or is to be.
func (d *Data) Prepare() error {
	p := d.engine.Params
	if !p.Bool("appendonly") && !p.Bool("snapshot_enabled") && !datadir.HoldsData(d.o.Config.DataDir) {
		return nil
	}
	return d.claim.Take(d.o.Config.DataDir)
}

// Size is how many bytes there are to be recovered, about: segments of the log have room
// to spare, and of the snapshots one is loaded.
func (d *Data) Size() (n int64) {
	if all, _, err := snapshots.List(disk.OS{}, d.folder(datadir.Snapshots)); err == nil && len(all) > 0 {
		n = all[0].Bytes
	}
	logs, _ := filepath.Glob(filepath.Join(d.folder(datadir.Journal), "*", "wal-*.log"))
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
func (d *Data) report(began time.Time) (over func()) {
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

// Read is how many bytes were recovered so far. Any goroutine may call it.
func (d *Data) Read() int64 { return d.read.Load() }

// progress adds to what has been recovered, and says whether to go on.
func (d *Data) progress(ctx context.Context, bytes int) error {
	d.engine.Loaded(d.read.Add(int64(bytes)))
	return ctx.Err()
}

// loadSnapshot loads the newest snapshot that can be read, if there is one.
func (d *Data) loadSnapshot(ctx context.Context) (Basis, error) {
	dir := d.folder(datadir.Snapshots)
	b, err := ChooseBasis(disk.OS{}, d.o.Config.DataDir, func(m *snapshots.Manifest) error {
		began := time.Now()
		err := ReadSnapshot(disk.OS{}, dir, m, func(shard int) func([]byte, int, int64) error {
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
			d.Empty()
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
	for _, damage := range b.Damaged {
		if b.Loaded != nil {
			d.log.Error("a snapshot is damaged: an older one was loaded, and more of the log is repeated", "err", damage, "loaded", b.Loaded.Number)
		} else {
			d.log.Error("a snapshot is damaged", "err", damage)
		}
	}
	if err == nil && b.Loaded == nil && len(b.Damaged) > 0 {
		d.log.Warn("no snapshot can be read: the log is repeated from its beginning, if it still has that")
	}
	return b, err
}

// Empty takes everything from the engine.
func (d *Data) Empty() {
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { c.FlushAll(false) })
}

// reload implements engine.Durability: another engine recovers what is on disk, and this one
// gets what that has found. Nobody changes anything meanwhile.
func (d *Data) reload() (err error) {
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
		if e, err = engine.New(engine.Options{Config: d.o.Config, Families: d.o.Families, Log: d.log}); err != nil {
			return
		}
		defer e.Close()
		e.Shards.ExpiryHeld.Add(1)
		other := New(e, Options{Config: d.o.Config, Families: d.o.Families, Log: d.log, By: d.o.By})
		var all [][]snapshot.Block
		if all, err = other.replay(); err == nil {
			err = snapshot.Replace(c, d.engine, all)
		}
	})
	return err
}

// replay recovers what a data directory holds that another engine of this process uses, and
// changes nothing there.
func (d *Data) replay() (all [][]snapshot.Block, err error) {
	if _, err := d.Play(context.Background()); err != nil {
		return nil, err
	}
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { all = snapshot.Copy(c) })
	return all, nil
}

// Play gives the engine what a data directory holds, and neither opens nor changes anything
// there. It takes the place of Start, and needs no Prepare.
func (d *Data) Play(ctx context.Context) (b Basis, err error) {
	if b, err = d.loadSnapshot(ctx); err != nil {
		return b, err
	}
	options := d.journalOptions()
	options.Progress = func(bytes int) error { return d.progress(ctx, bytes) }
	if _, err := b.Journal(&options); err != nil {
		return b, err
	}
	_, err = journal.Replay(options)
	return b, err
}
