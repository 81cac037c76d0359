package main

import (
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
func (d *durability) recover() error {
	e := d.engine
	logged, saved := e.Params.Bool("appendonly"), e.Params.Bool("snapshot_enabled")
	if !logged && !saved && !d.anything() {
		return nil
	}
	if err := d.own(); err != nil {
		return err
	}
	began := time.Now()
	loaded, newest, err := d.loadSnapshot()
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	options := d.journalOptions()
	options.Newest = newest
	if loaded != nil {
		options.Loaded = loaded.Number
		options.From = (*journal.Position)(loaded.Journal)
	}
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
func (d *durability) loadSnapshot() (loaded *snapshots.Manifest, newest uint64, err error) {
	dir := d.folder("snapshots")
	all, damaged, err := snapshots.List(disk.OS{}, dir)
	if err != nil {
		return nil, 0, err
	}
	newest = snapshots.NewestNumber(all, damaged)
	for i := range all {
		m := &all[i]
		began := time.Now()
		err := d.load(dir, m)
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
func (d *durability) load(dir string, m *snapshots.Manifest) error {
	errs := make([]error, m.Shards)
	var wg sync.WaitGroup
	for i := range m.Shards {
		wg.Add(1)
		go func() {
			defer wg.Done()
			loader := snapshot.NewLoader(d.engine, i, m.Shards)
			errs[i] = snapshots.Read(disk.OS{}, dir, m, i, func(block []byte, _ int, _ int64) error {
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
		other := newDurability(d.cfg, d.log)
		other.saver = newSaver(other)
		if other.engine, err = engine.New(engine.Options{Config: d.cfg, Families: embedded.Families(), Log: d.log, Clock: other.clock}); err != nil {
			return
		}
		defer other.engine.Close()
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
	loaded, newest, err := d.loadSnapshot()
	if err != nil {
		return nil, err
	}
	options := d.journalOptions()
	options.Newest = newest
	if loaded != nil {
		options.Loaded = loaded.Number
		options.From = (*journal.Position)(loaded.Journal)
	}
	if _, err := journal.Replay(options); err != nil {
		return nil, err
	}
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { all = snapshot.Copy(c) })
	return all, nil
}
