package datadir

import (
	"os"
	"path/filepath"
)

// The folders in a data directory.
const (
	Journal   = "journal"
	Snapshots = "snapshots"
)

// HoldsData says whether there is anything in a data directory.
func HoldsData(dir string) bool {
	for _, name := range []string{Journal, Snapshots} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
