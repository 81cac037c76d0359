//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
)

// isMountPoint says whether another file system begins at a folder that is there: nothing
// can be given its name.
func isMountPoint(dir string) bool {
	here, err := os.Stat(dir)
	if err != nil {
		return false
	}
	above, err := os.Stat(filepath.Dir(dir))
	if err != nil {
		return false
	}
	a, known := here.Sys().(*syscall.Stat_t)
	b, knownToo := above.Sys().(*syscall.Stat_t)
	return known && knownToo && (a.Dev != b.Dev || a.Ino == b.Ino)
}
