package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	"hyperkv/persist/journal"
	snapshots "hyperkv/persist/snapshot"
)

// copying copies the files of data directories.
type copying struct {
	ctx context.Context
	// link makes hard links of the files of snapshots, where that is possible: nobody ever
	// changes those.
	link   bool
	linked int
}

// chunkBytes is how much is copied between two looks at whether it is still wanted.
const chunkBytes = 16 << 20

// file copies a file and makes it durable.
func (c *copying) file(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	for err == nil {
		if err = c.ctx.Err(); err == nil {
			_, err = io.CopyN(out, in, chunkBytes)
		}
	}
	if err == io.EOF {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// snapshot copies a snapshot from one folder of snapshots to another; its manifest last.
func (c *copying) snapshot(m *snapshots.Manifest, from, to string) error {
	for _, f := range m.Files {
		source, target := filepath.Join(from, f.Name), filepath.Join(to, f.Name)
		err := errors.ErrUnsupported
		if c.link {
			if err = os.Link(source, target); err == nil {
				c.linked++
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = c.file(source, target)
		}
		if err != nil {
			return err
		}
	}
	if err := (disk.OS{}).SyncDir(to); err != nil {
		return err
	}
	return m.Write(disk.OS{}, to)
}

// all copies all snapshots, and the journal, of a data directory that nobody uses.
func (c *copying) all(from, to string) error {
	source, target := filepath.Join(from, datadir.Snapshots), filepath.Join(to, datadir.Snapshots)
	all, damaged, err := snapshots.List(disk.Reading{}, source)
	if err == nil && len(damaged) > 0 {
		err = damaged[0]
	}
	if err == nil && len(all) > 0 {
		err = os.Mkdir(target, 0o750)
	}
	for i := len(all) - 1; i >= 0 && err == nil; i-- {
		err = c.snapshot(&all[i], source, target)
	}
	if err != nil {
		return err
	}
	source, target = filepath.Join(from, datadir.Journal), filepath.Join(to, datadir.Journal)
	folders, files, err := journal.Files(disk.Reading{}, source)
	if err != nil || len(files) == 0 {
		return err
	}
	made := append([]string{""}, folders...)
	for _, name := range made {
		if err := os.Mkdir(filepath.Join(target, name), 0o750); err != nil {
			return err
		}
	}
	for _, name := range files {
		if err := c.file(filepath.Join(source, name), filepath.Join(target, name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Backward(made) {
		if err := (disk.OS{}).SyncDir(filepath.Join(target, name)); err != nil {
			return err
		}
	}
	return nil
}

// verify reads everything in a data directory, as check does; what check says is shown if
// anything is wrong.
func verify(out io.Writer, dir string) (outcome, error) {
	var report strings.Builder
	c := checkup{out: &report, dir: dir, disk: disk.Reading{}}
	start := c.run()
	if c.left == 0 && start.err == nil {
		return start, nil
	}
	if _, err := io.WriteString(out, report.String()); err != nil {
		return start, err
	}
	return start, fmt.Errorf("%s is damaged: see above", dir)
}

// contents says what is in a data directory that was verified.
func contents(dir string, o outcome) string {
	var bytes int64
	files := 0
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name() == datadir.LockName {
			return err
		}
		info, err := e.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	keys := "no snapshot"
	if m := o.basis.Loaded; m != nil {
		keys = fmt.Sprintf("%s in snapshot %d", quantity(m.Keys, "key"), m.Number)
	}
	if o.repeated.Generations > 0 {
		keys += ", " + quantity(o.repeated.Effects, "effect") + " of the log"
	}
	return fmt.Sprintf("%s, %s in %s; all checksums and contents are right", keys, bytesText(bytes), quantity(uint64(files), "file"))
}

// apart wants that neither of two folders is in the other, or is it.
func apart(a, b string) error {
	real := func(path string) (string, error) {
		path, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		for rest := ""; ; { // what is not there yet has no links in it
			whole, err := filepath.EvalSymlinks(path)
			if err == nil {
				return filepath.Join(whole, rest), nil
			}
			if !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
				return "", err
			}
			path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
		}
	}
	pathA, err := real(a)
	if err != nil {
		return err
	}
	pathB, err := real(b)
	if err != nil {
		return err
	}
	if within(pathA, pathB) || within(pathB, pathA) {
		return fmt.Errorf("%s and %s have to be apart", a, b)
	}
	return nil
}

func within(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}
