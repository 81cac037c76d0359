package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
)

// A draft is a data directory that is written under another name, and gets its own when it
// is complete. So what has that name is whole, whatever may interrupt who writes it.
// It is locked meanwhile; what one has left that was interrupted is taken over.
type draft struct {
	path, final string
	lock        *datadir.Lock
}

// draftSuffix is what the name of a draft has behind the final one.
const draftSuffix = ".partial"

// insideName is the draft of a directory that is there already, and stays.
const insideName = "restore" + draftSuffix

// beginDraft begins a draft of a folder that is not there, or is empty.
func beginDraft(final, command string) (*draft, error) {
	return openDraft(final+draftSuffix, final, command)
}

// beginInside begins a draft of what is to be in an empty folder, which is kept: it may have
// an owner, or be where another disk begins.
func beginInside(dir, command string) (*draft, error) {
	return openDraft(filepath.Join(dir, insideName), dir, command)
}

func openDraft(path, final, command string) (*draft, error) {
	if err := os.Mkdir(path, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.Contains([]string{datadir.LockName, datadir.Journal, datadir.Snapshots}, e.Name()) {
			return nil, fmt.Errorf("%s is in the way, and is nothing that an interrupted %s has left: %s is in it", path, command, e.Name())
		}
	}
	d := &draft{path: path, final: final}
	if d.lock, err = take(path, command); err != nil {
		return nil, err
	}
	for _, name := range []string{datadir.Journal, datadir.Snapshots} {
		if err := os.RemoveAll(filepath.Join(path, name)); err != nil {
			d.lock.Release()
			return nil, err
		}
	}
	return d, nil
}

// discard removes the draft.
func (d *draft) discard() {
	_ = os.RemoveAll(d.path)
	d.lock.Release()
}

// publish gives the draft its name. What was written to it is durable. After an error it is
// still a draft.
func (d *draft) publish() error {
	if filepath.Dir(d.path) == d.final {
		return d.publishInside()
	}
	if err := (disk.OS{}).SyncDir(d.path); err != nil {
		return err
	}
	if info, err := os.Lstat(d.final); err == nil && info.IsDir() {
		if err := os.Remove(d.final); err != nil { // if it is not empty any more
			return err
		}
	}
	if err := os.Rename(d.path, d.final); err != nil {
		return err
	}
	if err := (disk.OS{}).SyncDir(filepath.Dir(d.final)); err != nil {
		return errors.Join(err, os.Rename(d.final, d.path))
	}
	// Only now may somebody else take it.
	_ = os.Remove(filepath.Join(d.final, datadir.LockName))
	d.lock.Release()
	return nil
}

// publishInside moves what is in the draft to where it belongs: the snapshots first, because
// without the log that they name nobody starts on them.
func (d *draft) publishInside() (err error) {
	var moved []string
	for _, name := range []string{datadir.Snapshots, datadir.Journal} {
		err = os.Rename(filepath.Join(d.path, name), filepath.Join(d.final, name))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
			continue
		}
		if err == nil {
			moved = append(moved, name)
			err = disk.OS{}.SyncDir(d.final)
		}
		if err != nil {
			for _, name := range moved {
				err = errors.Join(err, os.Rename(filepath.Join(d.final, name), filepath.Join(d.path, name)))
			}
			return err
		}
	}
	d.discard()
	return nil
}
