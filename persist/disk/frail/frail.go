// Package frail is a disk in memory that loses power: for tests of what has to
// survive that.
//
// Every file has two contents, what its readers see and what has reached the medium,
// and every folder two lists of names. Crash leaves what is durable and, of the rest,
// whatever chance keeps: any subset of the sectors written since the last Sync, the
// old length or the new one, and of the changes of names since the last SyncDir the
// first few.
package frail

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"sync"

	"hyperkv/persist/disk"
)

// sectorBytes is what a disk writes as a whole.
const sectorBytes = 512

var errGone = errors.New("the disk has crashed since the file was opened")

// A Disk is a disk.Disk in memory. Safe for concurrent use.
type Disk struct {
	// Fault, if it is set, may make an operation fail: it is told which ("create",
	// "open", "write", "reserve", "truncate", "sync", "syncdir", "rename", "remove") and
	// on what. It is called under the disk's lock.
	Fault func(op, name string) error

	mu      sync.Mutex
	names   map[string]*contents
	durable map[string]*contents
	pending []change // of names, in their order
	age     int      // counts crashes
	syncs   int
}

// change is one change of a name: to what it leads from now on, nil for nothing.
type change struct {
	name string
	to   *contents
}

// contents is what a file has, and what of it is durable.
type contents struct {
	now, safe []byte
	dirty     map[int]bool // sectors of now that may differ from safe
}

// New is an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*contents{}, durable: map[string]*contents{}}
}

// Syncs is how many files and folders were synced so far.
func (d *Disk) Syncs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

func (d *Disk) fault(op, name string) error {
	if d.Fault == nil {
		return nil
	}
	return d.Fault(op, name)
}

// Crash loses power. Files that are open cannot be used any more.
func (d *Disk) Crash(r *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age++
	for _, c := range d.pending[:r.IntN(len(d.pending)+1)] {
		d.link(d.durable, c)
	}
	d.pending = nil
	d.names = maps.Clone(d.durable)
	keep := r.Float64() // how much of a file's dirty sectors survives, on average
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		d.names[name].crash(r, keep)
	}
}

func (c *contents) crash(r *rand.Rand, keep float64) {
	length := len(c.safe)
	if r.IntN(2) == 0 {
		length = len(c.now)
	}
	after := make([]byte, length)
	copy(after, c.safe)
	for _, sector := range slices.Sorted(maps.Keys(c.dirty)) {
		if from := sector * sectorBytes; r.Float64() < keep && from < min(length, len(c.now)) {
			to := min(from+sectorBytes, length)
			clear(after[from:to])
			copy(after[from:to], c.now[from:])
		}
	}
	c.now, c.safe, c.dirty = after, slices.Clone(after), nil
}

func (d *Disk) link(names map[string]*contents, c change) {
	if c.to == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.to
	}
}

func (d *Disk) change(name string, to *contents) {
	c := change{name, to}
	d.link(d.names, c)
	d.pending = append(d.pending, c)
}

// Create implements disk.Disk.
func (d *Disk) Create(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fault("create", name); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, fmt.Errorf("create %s: %w", name, fs.ErrExist)
	}
	c := &contents{}
	d.change(name, c)
	return &file{d, c, name, d.age}, nil
}

// Open implements disk.Disk.
func (d *Disk) Open(name string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fault("open", name); err != nil {
		return nil, err
	}
	c := d.names[name]
	if c == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return &file{d, c, name, d.age}, nil
}

// List implements disk.Disk.
func (d *Disk) List(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.names {
		if path.Dir(name) == path.Clean(dir) {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// RemoveDir implements disk.Disk: a folder is there as long as a file is in it.
func (d *Disk) RemoveDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.names {
		if path.Dir(name) == dir {
			return fmt.Errorf("remove %s: there is %s in it", dir, name)
		}
	}
	return nil
}

// MakeDir implements disk.Disk; folders are there as soon as something is in them.
func (d *Disk) MakeDir(string) error { return nil }

// Rename implements disk.Disk.
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fault("rename", from); err != nil {
		return err
	}
	c := d.names[from]
	if c == nil {
		return fmt.Errorf("rename %s: %w", from, fs.ErrNotExist)
	}
	d.change(to, c)
	d.change(from, nil)
	return nil
}

// Remove implements disk.Disk.
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fault("remove", name); err != nil {
		return err
	}
	if d.names[name] == nil {
		return fmt.Errorf("remove %s: %w", name, fs.ErrNotExist)
	}
	d.change(name, nil)
	return nil
}

// SyncDir implements disk.Disk.
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fault("syncdir", dir); err != nil {
		return err
	}
	d.syncs++
	kept := d.pending[:0]
	for _, c := range d.pending {
		if path.Dir(c.name) == path.Clean(dir) {
			d.link(d.durable, c)
		} else {
			kept = append(kept, c)
		}
	}
	d.pending = kept
	return nil
}

// Flip changes one bit of a file, on the medium, as a failing one does.
func (d *Disk) Flip(name string, at int64, bit uint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[name]
	c.now[at] ^= 1 << bit
	if at < int64(len(c.safe)) {
		c.safe[at] ^= 1 << bit
	}
}

// Cut makes a file shorter, on the medium.
func (d *Disk) Cut(name string, length int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.names[name]
	c.now = c.now[:length]
	c.safe = slices.Clone(c.now)
	c.dirty = nil
}

// file is an open file.
type file struct {
	d    *Disk
	c    *contents
	name string
	age  int
}

func (f *file) begin(op string) error {
	if f.age != f.d.age {
		return errGone
	}
	return f.d.fault(op, f.name)
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.begin("read"); err != nil {
		return 0, err
	}
	if at >= int64(len(f.c.now)) {
		return 0, io.EOF
	}
	n := copy(p, f.c.now[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.begin("write"); err != nil {
		return 0, err
	}
	f.c.lengthen(at + int64(len(p)))
	copy(f.c.now[at:], p)
	f.c.touch(at, at+int64(len(p)))
	return len(p), nil
}

func (c *contents) lengthen(n int64) {
	if more := n - int64(len(c.now)); more > 0 {
		c.touch(int64(len(c.now)), n)
		c.now = append(c.now, make([]byte, more)...)
	}
}

func (c *contents) touch(from, to int64) {
	if c.dirty == nil {
		c.dirty = map[int]bool{}
	}
	for sector := from / sectorBytes; sector*sectorBytes < to; sector++ {
		c.dirty[int(sector)] = true
	}
}

// Size implements disk.File.
func (f *file) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.age != f.d.age {
		return 0, errGone
	}
	return int64(len(f.c.now)), nil
}

// Truncate implements disk.File.
func (f *file) Truncate(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.begin("truncate"); err != nil {
		return err
	}
	if n < int64(len(f.c.now)) {
		f.c.now = f.c.now[:n:n]
	}
	f.c.lengthen(n)
	return nil
}

// Reserve implements disk.File.
func (f *file) Reserve(n int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.begin("reserve"); err != nil {
		return err
	}
	f.c.lengthen(n)
	return nil
}

// Sync implements disk.File.
func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.begin("sync"); err != nil {
		return err
	}
	f.d.syncs++
	f.c.safe, f.c.dirty = slices.Clone(f.c.now), nil
	return nil
}

// Close implements io.Closer.
func (f *file) Close() error { return nil }
