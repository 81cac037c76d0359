package datadir

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LockName is the file of a data directory that its user holds locked, and in which it says
// who it is.
const LockName = "LOCK"

// A Holder is who uses a data directory, as it says itself.
type Holder struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Command string `json:"command"` // of hyperkv, or "embedded"
	// RunID and Addresses are those of a server whose sockets are open.
	RunID     string    `json:"run_id,omitempty"`
	Addresses []Address `json:"addresses,omitempty"`
}

// An Address is where a server is reached, as net.Dial takes it.
type Address struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

func (h *Holder) String() string {
	if h == nil || h.PID == 0 {
		return "it has not said who it is"
	}
	s := fmt.Sprintf("hyperkv %s, pid %d", h.Command, h.PID)
	var where []string
	for _, a := range h.Addresses {
		where = append(where, a.Address)
	}
	if len(where) > 0 {
		s += ", " + strings.Join(where, ", ")
	}
	return s
}

// A Lock keeps other processes from using a data directory until it is released, or this
// process ends.
type Lock struct{ file *os.File }

// Take takes a data directory that is there. The error is an *InUseError if somebody has it,
// be it in this process.
func Take(dir string, by Holder) (*Lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, &InUseError{dir, ReadHolder(dir)}
	}
	l := &Lock{f}
	_ = l.Say(by) // there may be no room, and it is ours all the same
	return l, nil
}

// TakeToRead keeps others from taking a directory that is only read, and may belong to
// somebody else or be on a medium that cannot be written.
func TakeToRead(dir string) (*Lock, error) {
	f, err := os.Open(filepath.Join(dir, LockName))
	if err != nil {
		return &Lock{}, nil // nobody ever used it
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, &InUseError{dir, ReadHolder(dir)}
	}
	return &Lock{f}, nil
}

// Say writes who holds the lock. It stays the same file, because that is what is locked; so
// whoever reads it may find it empty, or half of it.
func (l *Lock) Say(h Holder) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(text, '\n'), 0)
	return err
}

// Release lets others take the directory.
func (l *Lock) Release() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// ReadHolder reads who uses a data directory; nil if that cannot be read, at least not now.
func ReadHolder(dir string) *Holder {
	text, err := os.ReadFile(filepath.Join(dir, LockName))
	h := &Holder{}
	if err != nil || json.Unmarshal(text, h) != nil {
		return nil
	}
	return h
}

// An InUseError says that somebody else has a data directory.
type InUseError struct {
	Dir    string
	Holder *Holder // nil if it is not known
}

func (e *InUseError) Error() string {
	return fmt.Sprintf("data_dir %s: another process uses it (%s)", e.Dir, e.Holder)
}
