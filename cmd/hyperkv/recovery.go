package main

import (
	"errors"
	"fmt"
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
	if !logged && !saved && !holdsData(d.cfg.DataDir) {
		return nil
	}
	if err := d.claim.take(d.cfg.DataDir); err != nil {
		return err
	}
	began := time.Now()
	b, err := d.loadSnapshot()
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	options := d.journalOptions()
	there, err := b.journal(&options)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
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

// loadSnapshot loads the newest snapshot that can be read, if there is one.
func (d *durability) loadSnapshot() (basis, error) {
	dir := d.folder(snapshotsFolder)
	b, err := chooseBasis(disk.OS{}, d.cfg.DataDir, func(m *snapshots.Manifest) error {
		began := time.Now()
		err := readSnapshot(disk.OS{}, dir, m, func(shard int) func([]byte, int) error {
			return snapshot.NewLoader(d.engine, shard, m.Shards).Load
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
	b, err := d.loadSnapshot()
	if err != nil {
		return nil, err
	}
	options := d.journalOptions()
	if _, err := b.journal(&options); err != nil {
		return nil, err
	}
	if _, err := journal.Replay(options); err != nil {
		return nil, err
	}
	d.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { all = snapshot.Copy(c) })
	return all, nil
}
