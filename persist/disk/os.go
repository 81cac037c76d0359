package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// OS is the file system of the operating system.
type OS struct{}

// Create implements Disk.
func (OS) Create(name string) (File, error) { return open(name, os.O_CREATE|os.O_EXCL) }

// Open implements Disk.
func (OS) Open(name string) (File, error) { return open(name, 0) }

// Reading is OS for files that are only read: those of somebody else, or on a medium that
// cannot be written.
type Reading struct{ OS }

// Open implements Disk.
func (Reading) Open(name string) (File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flags, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// List implements Disk.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, nil
}

// RemoveDir implements Disk.
func (OS) RemoveDir(dir string) error { return os.Remove(dir) }

// MakeDir implements Disk.
func (o OS) MakeDir(dir string) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := o.MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		if info, found := os.Stat(dir); found != nil || !info.IsDir() {
			return err
		}
	}
	// Also if it was there: whoever has made it may not have come to this.
	return o.SyncDir(parent)
}

// Rename implements Disk.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Disk.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements Disk.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Reserve(n int64) error { return reserve(f.File, n) }

func (f osFile) Sync() error { return syncData(f.File) }

// lengthen makes the file at least n bytes long.
func lengthen(f *os.File, n int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= n {
		return err
	}
	return f.Truncate(n)
}
