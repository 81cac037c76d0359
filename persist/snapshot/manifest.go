package snapshot

import (
	"encoding/json"
	"fmt"
	"path/filepath"
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
	return disk.Replace(d, filepath.Join(dir, manifestName(m.Number)), append(text, '\n'))
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
