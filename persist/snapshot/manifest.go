package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"hyperkv/persist/disk"
)

// Write gives the manifest its checksum and makes it that of the snapshot, in place of one
// that is there, whole or not at all; after an error it may be either.
func (m *Manifest) Write(d disk.Disk, dir string) error {
	m.Checksum = m.sum()
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	path := (&Store{o: Options{Dir: dir}}).path(manifestName(m.Number))
	_ = d.Remove(path + ".tmp") // of one who was interrupted
	f, err := d.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteAt(append(text, '\n'), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(path+".tmp", path); err != nil {
		return err
	}
	return d.SyncDir(dir)
}

// Remove removes a snapshot of a folder in which nobody writes any.
func Remove(d disk.Disk, dir string, number uint64) error {
	s := &Store{o: Options{Disk: d, Dir: dir}}
	_, parts, err := s.names()
	if err != nil {
		return err
	}
	if err := s.drop(number, parts[number]); err != nil {
		return fmt.Errorf("remove snapshot %d: %w", number, err)
	}
	return nil
}

// Unfinished are the files that belong to no snapshot, because their writers came to no end.
func Unfinished(d disk.Disk, dir string) (files []string, err error) {
	s := &Store{o: Options{Disk: d, Dir: dir}}
	whole, parts, err := s.names()
	for number, names := range parts {
		if !slices.Contains(whole, number) {
			files = append(files, names...)
		}
	}
	slices.Sort(files)
	return files, err
}
