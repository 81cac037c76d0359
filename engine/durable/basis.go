package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"hyperkv/engine/snapshot"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
)

// A Basis is what a start builds on, and a check takes for that: the newest snapshot that
// can be read, and the journal since then.
type Basis struct {
	Loaded  *snapshots.Manifest // nil if there is none
	Newest  uint64              // number of the newest that there ever was
	Damaged []error             // of those that are newer
}

// ChooseBasis finds the newest snapshot of a data directory that read can read. One that is
// damaged is passed over; any other error ends it.
func ChooseBasis(d disk.Disk, dataDir string, read func(m *snapshots.Manifest) error) (b Basis, err error) {
	all, damaged, err := snapshots.List(d, filepath.Join(dataDir, datadir.Snapshots))
	if err != nil {
		return b, err
	}
	b.Newest, b.Damaged = snapshots.NewestNumber(all, damaged), damaged
	for i := range all {
		err := read(&all[i])
		var damage *snapshots.DamageError
		switch {
		case err == nil:
			b.Loaded = &all[i]
			return b, nil
		case !errors.As(err, &damage):
			return b, fmt.Errorf("load snapshot %d: %w", all[i].Number, err)
		}
		b.Damaged = append(b.Damaged, damage)
	}
	if _, err := os.Stat(filepath.Join(dataDir, datadir.Journal)); err != nil && len(b.Damaged) > 0 {
		return b, fmt.Errorf("no snapshot can be read: %w", b.Damaged[0])
	}
	return b, nil
}

// Journal completes the options of a journal by what of it is to be played, and says
// whether it is there.
func (b *Basis) Journal(o *journal.Options) (there bool, err error) {
	o.Newest = b.Newest
	if b.Loaded != nil {
		o.Loaded, o.From = b.Loaded.Number, (*journal.Position)(b.Loaded.Journal)
	}
	behind, err := journal.After(o.Disk, o.Dir)
	if err != nil {
		return false, err
	}
	if o.From != nil && behind == nil {
		return false, &LostJournalError{o.Dir, b.Loaded.Number}
	}
	return behind != nil, nil
}

// A LostJournalError says that there is no journal, although a snapshot names one.
type LostJournalError struct {
	dir      string
	snapshot uint64
}

func (e *LostJournalError) Error() string {
	return fmt.Sprintf("%s is missing, and snapshot %d says that there is more in it", e.dir, e.snapshot)
}

// ReadSnapshot shows the blocks of a snapshot, those of all shards at once, each to its
// own visitor. What that finds wrong with a block is damage of the file.
func ReadSnapshot(d disk.Disk, dir string, m *snapshots.Manifest, visitor func(shard int) func(block []byte, keys int, end int64) error) error {
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
