package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hyperkv/engine"
	"hyperkv/persist/disk"
)

// lockName is the file of a data directory that its user holds locked, and in which it says
// who it is.
const lockName = "LOCK"

// A holder is who uses a data directory, as it says itself.
type holder struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Command string `json:"command"` // of hyperkv
	// RunID and Addresses are those of a server whose sockets are open.
	RunID     string    `json:"run_id,omitempty"`
	Addresses []address `json:"addresses,omitempty"`
}

// An address is where a server is reached, as net.Dial takes it.
type address struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

func (h *holder) String() string {
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

// A folderLock keeps other processes from using a data directory until it is released, or
// this process ends.
type folderLock struct{ file *os.File }

// lockFolder takes a data directory. The error is an *inUseError if somebody has it.
func lockFolder(dir, command string) (*folderLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, &inUseError{dir, readHolder(dir)}
	}
	l := &folderLock{f}
	_ = l.say(holder{PID: os.Getpid(), Version: engine.Version, Command: command}) // there may be no room, and it is ours all the same
	return l, nil
}

// lockToRead keeps servers from being started on a directory that is only read, and may
// belong to somebody else or be on a medium that cannot be written.
func lockToRead(dir string) (*folderLock, error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return &folderLock{}, nil // no server ever used it
	}
	if err := flock(f); err != nil {
		f.Close()
		return nil, &inUseError{dir, readHolder(dir)}
	}
	return &folderLock{f}, nil
}

// say writes who holds the lock. It stays the same file, because that is what is locked; so
// whoever reads it may find it empty, or half of it.
func (l *folderLock) say(h holder) error {
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

func (l *folderLock) release() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// readHolder reads who uses a data directory; nil if that cannot be read, at least not now.
func readHolder(dir string) *holder {
	text, err := os.ReadFile(filepath.Join(dir, lockName))
	h := &holder{}
	if err != nil || json.Unmarshal(text, h) != nil {
		return nil
	}
	return h
}

// An inUseError says that another process has a data directory.
type inUseError struct {
	dir    string
	holder *holder // nil if it is not known
}

func (e *inUseError) Error() string {
	return fmt.Sprintf("data_dir %s: another process uses it (%s)", e.dir, e.holder)
}

// A claim is the data directory of a server. Safe for concurrent use.
type claim struct {
	mu    sync.Mutex
	lock  *folderLock // nil until the directory is ours
	where holder
}

// take makes the data directory, and this process the only one that uses it.
func (c *claim) take(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != nil {
		return nil
	}
	if err := (disk.OS{}).MakeDir(dir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	lock, err := lockFolder(dir, "serve")
	if err != nil {
		return err
	}
	c.lock = lock
	_ = c.say()
	return nil
}

// taken says that the directory is ours.
func (c *claim) taken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lock != nil
}

// reached says where the server is reached from now on.
func (c *claim) reached(runID string, addresses []address) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.where = holder{PID: os.Getpid(), Version: engine.Version, Command: "serve", RunID: runID, Addresses: addresses}
	return c.say()
}

func (c *claim) say() error {
	if c.lock == nil || c.where.PID == 0 {
		return nil
	}
	return c.lock.say(c.where)
}

func (c *claim) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != nil {
		c.lock.release()
		c.lock = nil
	}
}
