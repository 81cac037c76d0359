//go:build unix

package datadir

import (
	"os"

	"golang.org/x/sys/unix"
)

// flock keeps others from the same until the file is closed, or this process ends.
func flock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
