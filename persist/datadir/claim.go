package datadir

import (
	"fmt"
	"sync"

	"hyperkv/persist/disk"
)

// A Claim is the data directory of somebody who may come to need one: it is taken when there
// is something to keep. Safe for concurrent use.
type Claim struct {
	mu   sync.Mutex
	by   Holder
	lock *Lock // nil until the directory is ours
}

// NewClaim makes one that has taken nothing yet.
func NewClaim(by Holder) *Claim { return &Claim{by: by} }

// Take makes the directory if it is not there, and us the only one who uses it.
func (c *Claim) Take(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != nil {
		return nil
	}
	if err := (disk.OS{}).MakeDir(dir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	lock, err := Take(dir, c.by)
	if err != nil {
		return err
	}
	c.lock = lock
	return nil
}

// Taken says that the directory is ours.
func (c *Claim) Taken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lock != nil
}

// Reached says where its user is reached from now on, whether it is taken already or later.
func (c *Claim) Reached(runID string, addresses []Address) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by.RunID, c.by.Addresses = runID, addresses
	if c.lock == nil {
		return nil
	}
	return c.lock.Say(c.by)
}

// Release lets others take the directory.
func (c *Claim) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lock != nil {
		c.lock.Release()
		c.lock = nil
	}
}
