package disk

import (
	"errors"
	"io"
	"path/filepath"
)

// Replace makes text what is in a file, in place of what was there, whole or not at all and
// durable; after an error it may be either. What it writes first is in a file of the name
// with ".tmp" behind it, which whoever is interrupted leaves there.
func Replace(d Disk, name string, text []byte) error {
	temporary := name + ".tmp"
	_ = d.Remove(temporary) // of one who was interrupted
	f, err := d.Create(temporary)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(temporary, name); err != nil {
		return err
	}
	return d.SyncDir(filepath.Dir(name))
}

// ReadStart reads a file, but of a longer one only the first bytes, most of them.
func ReadStart(d Disk, name string, most int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	text := make([]byte, min(size, most))
	if n, err := f.ReadAt(text, 0); err != nil && (err != io.EOF || n < len(text)) {
		return nil, err
	}
	return text, nil
}
