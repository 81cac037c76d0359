package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"hyperkv/engine/snapshot"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
)

// The folders in a data directory.
const (
	journalFolder   = "journal"
	snapshotsFolder = "snapshots"
)

// holdsData says whether there is anything in a data directory.
func holdsData(dir string) bool {
	for _, name := range []string{journalFolder, snapshotsFolder} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// A basis is what a start builds on, and a check takes for that: the newest snapshot that
// can be read, and the journal since then.
type basis struct {
	loaded  *snapshots.Manifest // nil if there is none
	newest  uint64              // number of the newest that there ever was
	damaged []error             // of those that are newer
}

// chooseBasis finds the newest snapshot of a data directory that read can read. One that is
// damaged is passed over; any other error ends it.
func chooseBasis(d disk.Disk, dataDir string, read func(m *snapshots.Manifest) error) (b basis, err error) {
	all, damaged, err := snapshots.List(d, filepath.Join(dataDir, snapshotsFolder))
	if err != nil {
		return b, err
	}
	b.newest, b.damaged = snapshots.NewestNumber(all, damaged), damaged
	for i := range all {
		err := read(&all[i])
		var damage *snapshots.DamageError
		switch {
		case err == nil:
			b.loaded = &all[i]
			return b, nil
		case !errors.As(err, &damage):
			return b, fmt.Errorf("load snapshot %d: %w", all[i].Number, err)
		}
		b.damaged = append(b.damaged, damage)
	}
	if _, err := os.Stat(filepath.Join(dataDir, journalFolder)); err != nil && len(b.damaged) > 0 {
		return b, fmt.Errorf("no snapshot can be read: %w", b.damaged[0])
	}
	return b, nil
}

// journal completes the options of a journal by what of it is to be played, and says
// whether it is there.
func (b *basis) journal(o *journal.Options) (there bool, err error) {
	o.Newest = b.newest
	if b.loaded != nil {
		o.Loaded, o.From = b.loaded.Number, (*journal.Position)(b.loaded.Journal)
	}
	behind, err := journal.After(o.Disk, o.Dir)
	if err != nil {
		return false, err
	}
	if o.From != nil && behind == nil {
		return false, &lostJournalError{o.Dir, b.loaded.Number}
	}
	return behind != nil, nil
}

// A lostJournalError says that there is no journal, although a snapshot names one.
type lostJournalError struct {
	dir      string
	snapshot uint64
}

func (e *lostJournalError) Error() string {
	return fmt.Sprintf("%s is missing, and snapshot %d says that there is more in it", e.dir, e.snapshot)
}

// readSnapshot shows the blocks of a snapshot, those of all shards at once, each to its
// own visitor. What that finds wrong with a block is damage of the file.
func readSnapshot(d disk.Disk, dir string, m *snapshots.Manifest, visitor func(shard int) func(block []byte, keys int, end int64) error) error {
	errs := make([]error, m.Shards)
	var wg sync.WaitGroup
	for i := range m.Shards {
		wg.Add(1)
		go func() {
			defer wg.Done()
			visit := visitor(i)
			errs[i] = snapshots.Read(d, dir, m, i, func(block []byte, keys int, at int64) error {
				err := visit(block, keys, at)
				var bad *snapshot.BlockError
				if errors.As(err, &bad) {
					return &snapshots.DamageError{Path: filepath.Join(dir, m.Files[i].Name), Offset: at, Reason: bad.Error()}
				}
				return err
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
