package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"hyperkv/persist/disk"
	"hyperkv/persist/wal"
)

// A Position is a place in a journal: what was recorded before it is left out when the
// journal is played from there, because a snapshot holds it.
type Position struct {
	Identity   string // of the journal
	Generation int
	// Next is the number of the next record of each log of the generation. There are none
	// if the generation is yet to begin.
	Next []uint64
}

// Position is where the journal is. The caller holds the turns of all shards.
func (j *Journal) Position() Position {
	m := j.meta.Load()
	p := Position{Identity: m.Identity, Generation: m.last().Number}
	for _, l := range j.logs {
		p.Next = append(p.Next, l.Next())
	}
	return p
}

// Sync makes durable what was recorded before it.
func (j *Journal) Sync() error {
	if err := j.Failed(); err != nil {
		return err
	}
	return each(len(j.logs), func(i int) error {
		err := j.logs[i].Sync()
		if err != nil {
			err = j.fail(err)
		}
		return err
	})
}

// Synced says that all that was recorded is durable.
func (j *Journal) Synced() bool {
	for _, l := range j.logs {
		if l.safe() < l.Appended() {
			return false
		}
	}
	return true
}

// DropBefore deletes what lies before a position, as far as whole files do. Snapshots that
// need it must be gone.
func (j *Journal) DropBefore(p Position) error {
	j.dropping.Lock()
	defer j.dropping.Unlock()
	m := j.meta.Load()
	m, err := m.dropBefore(j.o.Disk, j.o.Dir, min(p.Generation, m.last().Number))
	j.meta.Store(m)
	if err != nil {
		return err
	}
	if m.last().Number != p.Generation {
		return nil
	}
	for i, lsn := range p.Next {
		if err := j.logs[i].DropBefore(lsn); err != nil {
			return err
		}
	}
	return nil
}

// DropClosed is DropBefore for a journal that nobody has open. What is to be added to it
// later begins at the position, even if nothing is left.
func DropClosed(d disk.Disk, dir string, p Position) error {
	there, err := After(d, dir)
	if err != nil || there == nil || there.Identity != p.Identity {
		return err
	}
	m, err := readMeta(d, dir)
	if err != nil {
		return err
	}
	_, err = m.dropBefore(d, dir, p.Generation)
	return err
}

// dropBefore deletes the generations before one, and returns what is on the disk then.
func (m *meta) dropBefore(d disk.Disk, dir string, number int) (*meta, error) {
	left := m.without(number)
	if left != m {
		if err := left.write(d, dir); err != nil {
			return m, err
		}
	}
	return left, left.removeOld(d, dir)
}

// removeOld removes the folders of generations before the first one, also those that a
// crash has kept from being removed before.
func (m *meta) removeOld(d disk.Disk, dir string) error {
	names, err := d.List(dir)
	if err != nil {
		return fmt.Errorf("drop a generation of the journal: %w", err)
	}
	var errs []error
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n < m.first() && name == (generation{Number: n}).folder() {
			errs = append(errs, removeFolder(d, filepath.Join(dir, name)))
		}
	}
	return errors.Join(errs...)
}

// removeFolder removes the folder of a generation.
func removeFolder(d disk.Disk, dir string) error {
	names, err := d.List(dir)
	if err != nil {
		return fmt.Errorf("drop a generation of the journal: %w", err)
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, d.Remove(filepath.Join(dir, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("drop a generation of the journal: %w", err)
	}
	return d.RemoveDir(dir)
}

// After is the position behind everything that there is of a journal which is not
// recorded any more: a snapshot of that position makes all of it superfluous.
func After(d disk.Disk, dir string) (*Position, error) {
	f, err := d.Open(filepath.Join(dir, metaName)) // readMeta would make up a journal
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	_ = f.Close()
	m, err := readMeta(d, dir)
	if err != nil || len(m.Generations) == 0 && m.Next == 0 {
		return nil, err
	}
	return &Position{Identity: m.Identity, Generation: m.next()}, nil
}

// A MissingError says that what has to be played is not there.
type MissingError struct{ Reason string }

func (e *MissingError) Error() string { return e.Reason }

// from is the first record to be played of each log of a generation, nil if all of it is to
// be left out.
func (o *Options) from(g generation) ([]uint64, error) {
	if g.Base > o.Loaded && (o.From == nil || g.Number >= o.From.Generation) {
		if g.Pending && g.Base > o.Newest {
			return nil, nil
		}
		return nil, &MissingError{fmt.Sprintf("generation %d of the journal was begun behind snapshot %d, which cannot be read", g.Number, g.Base)}
	}
	switch {
	case o.From == nil || g.Number > o.From.Generation:
		return g.beginning(), nil
	case g.Number < o.From.Generation || len(o.From.Next) == 0:
		return nil, nil
	case len(o.From.Next) != g.Shards:
		return nil, fmt.Errorf("the snapshot is of %d logs, and generation %d of the journal has %d", len(o.From.Next), g.Number, g.Shards)
	}
	return o.From.Next, nil
}

// beginning is the first record of each log of a generation.
func (g generation) beginning() []uint64 {
	first := make([]uint64, g.Shards)
	for i := range first {
		first[i] = 1
	}
	return first
}

// covers says what is missing of a log that is to be played from a record on.
func covers(g generation, log int, from uint64, read *wal.Recovery) error {
	switch {
	case read.First > from:
		return &MissingError{fmt.Sprintf("records %d to %d of log %d in generation %d of the journal are missing", from, read.First-1, log, g.Number)}
	case read.Last+1 < from:
		return &MissingError{fmt.Sprintf("log %d in generation %d of the journal ends with record %d, and a snapshot was taken after record %d",
			log, g.Number, read.Last, from-1)}
	}
	return nil
}
