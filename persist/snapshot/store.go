package snapshot

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"hyperkv/persist/disk"
)

// Options say where snapshots are kept.
type Options struct {
	Disk disk.Disk
	Dir  string
	// Compress stores blocks compressed, as far as that makes them shorter.
	Compress bool
	Log      *slog.Logger
}

// A Store is a folder of snapshots. Its methods belong to one goroutine, and those of the
// Writer that it has given out to others.
type Store struct {
	o    Options
	last uint64 // number that was given out last
}

// A Manifest says what a snapshot consists of.
type Manifest struct {
	Version int    `json:"version"`
	Number  uint64 `json:"number"`
	Created int64  `json:"created"` // the moment of the cut, in Unix milliseconds
	By      string `json:"by"`      // what has written it
	Shards  int    `json:"shards"`
	Keys    uint64 `json:"keys"`
	Bytes   int64  `json:"bytes"` // of all files
	Files   []File `json:"files"` // by shard
	// Journal is from where on the journal is to be repeated; nil if there was none.
	Journal *Position `json:"journal,omitempty"`

	Checksum string `json:"checksum"` // CRC-32C of all this, with an empty checksum
}

// File is what a shard has written.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Blocks uint64 `json:"blocks"`
	Keys   uint64 `json:"keys"`
}

// A Position is a place in a journal: in one of its generations, the number of the next
// record of each log; none for the beginning of a generation that is yet to begin.
type Position struct {
	Identity   string   `json:"identity"`
	Generation int      `json:"generation"`
	Next       []uint64 `json:"next"`
}

const (
	manifestVersion  = 1
	manifestBytesMax = 4 << 20
	shardsMax        = 1 << 12
)

func manifestName(number uint64) string { return fmt.Sprintf("snapshot-%06d.json", number) }
func fileName(number uint64, shard int) string {
	return fmt.Sprintf("snapshot-%06d-%04d.hks", number, shard)
}

// parseName says to which snapshot a file belongs.
func parseName(name string) (number uint64, manifest, ok bool) {
	var shard int
	if n, _ := fmt.Sscanf(name, "snapshot-%d-%d.hks", &number, &shard); n == 2 && name == fileName(number, shard) {
		return number, false, true
	}
	if n, _ := fmt.Sscanf(name, "snapshot-%d.json", &number); n == 1 && strings.TrimSuffix(name, ".tmp") == manifestName(number) {
		return number, name == manifestName(number), true
	}
	return 0, false, false
}

// Open opens a folder of snapshots, and removes what writers that came to no end have
// left there.
func Open(o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{o: o}
	if err := o.Disk.MakeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	whole, parts, err := s.names()
	if err != nil {
		return nil, err
	}
	for number, names := range parts {
		s.last = max(s.last, number)
		if slices.Contains(whole, number) {
			names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".tmp") })
		}
		if err := s.remove(names); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SetCompress says whether the snapshots that are begun from now on are compressed.
func (s *Store) SetCompress(compress bool) { s.o.Compress = compress }

// NewestNumber is the number of the newest snapshot that List has found, damaged or not.
func NewestNumber(all []Manifest, damaged []error) (number uint64) {
	for _, m := range all {
		number = max(number, m.Number)
	}
	for _, err := range damaged {
		var damage *DamageError
		if errors.As(err, &damage) {
			number = max(number, NumberOf(damage.Path))
		}
	}
	return number
}

// NumberOf is the number of the snapshot that a file belongs to, 0 if it is no such file.
func NumberOf(path string) uint64 {
	number, _, _ := parseName(filepath.Base(path))
	return number
}

// names are the snapshots that have a manifest, the newest first, and the names of the
// other files by snapshot.
func (s *Store) names() (whole []uint64, parts map[uint64][]string, err error) {
	names, err := s.o.Disk.List(s.o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the snapshots: %w", err)
	}
	parts = map[uint64][]string{}
	for _, name := range names {
		number, manifest, ok := parseName(name)
		switch {
		case !ok:
		case manifest:
			whole = append(whole, number)
			if _, there := parts[number]; !there {
				parts[number] = nil
			}
		default:
			parts[number] = append(parts[number], name)
		}
	}
	slices.Sort(whole)
	slices.Reverse(whole)
	return whole, parts, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.o.Dir, name) }

func (s *Store) remove(names []string) error {
	for _, name := range names {
		if err := s.o.Disk.Remove(s.path(name)); err != nil {
			return fmt.Errorf("remove a file of a snapshot: %w", err)
		}
	}
	return nil
}

// List returns the manifests of all snapshots, the newest first. One that cannot be read
// is a *DamageError among damaged, and does not hide the others.
func List(d disk.Disk, dir string) (all []Manifest, damaged []error, err error) {
	s := &Store{o: Options{Disk: d, Dir: dir}}
	whole, _, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	for _, number := range whole {
		m, err := s.manifest(number)
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			damaged = append(damaged, err)
		case err != nil:
			return nil, nil, err
		default:
			all = append(all, *m)
		}
	}
	return all, damaged, nil
}

// manifest reads the manifest of a snapshot.
func (s *Store) manifest(number uint64) (*Manifest, error) {
	path := s.path(manifestName(number))
	text, err := disk.ReadStart(s.o.Disk, path, manifestBytesMax)
	if err != nil {
		return nil, fmt.Errorf("read the snapshots: %w", err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, &DamageError{Path: path, Reason: err.Error()}
	}
	if m.Version > manifestVersion {
		return nil, newerError(path, m.Version, manifestVersion)
	}
	if reason := m.wrong(number); reason != "" {
		return nil, &DamageError{Path: path, Reason: reason}
	}
	return m, nil
}

// wrong says what is wrong with a manifest, nothing as a rule.
func (m *Manifest) wrong(number uint64) string {
	switch {
	case m.Checksum != m.sum():
		return "its checksum is wrong"
	case m.Number != number:
		return fmt.Sprintf("it is that of snapshot %d", m.Number)
	case m.Shards < 1 || m.Shards > shardsMax || len(m.Files) != m.Shards:
		return fmt.Sprintf("%d files of %d shards", len(m.Files), m.Shards)
	}
	for i, f := range m.Files {
		if f.Name != fileName(number, i) {
			return fmt.Sprintf("the file %q for shard %d", f.Name, i)
		}
	}
	return ""
}

func (m *Manifest) sum() string {
	bare := *m
	bare.Checksum = ""
	text, err := json.Marshal(bare)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli))
}

// Keep removes all but the newest snapshots that can be read, and returns the manifests
// of those that are left, the newest first.
func (s *Store) Keep(count int) ([]Manifest, error) {
	all, _, err := List(s.o.Disk, s.o.Dir)
	if err != nil {
		return nil, err
	}
	if len(all) <= count {
		return all, nil
	}
	oldest := all[count-1].Number
	whole, parts, err := s.names()
	if err != nil {
		return all, err
	}
	for _, number := range slices.Backward(whole) { // those that are damaged go as well
		if number >= oldest {
			continue
		}
		if err := s.drop(number, parts[number]); err != nil {
			return all, err
		}
	}
	return all[:count], nil
}

// drop removes a snapshot and its files.
func (s *Store) drop(number uint64, files []string) error {
	if err := s.remove([]string{manifestName(number)}); err != nil {
		return err
	}
	// Without its manifest it is not there, and files without one go at the next start.
	if err := s.o.Disk.SyncDir(s.o.Dir); err != nil {
		return err
	}
	return s.remove(files)
}
