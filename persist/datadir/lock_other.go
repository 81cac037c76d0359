//go:build !unix

package datadir

import "os"

// flock has no effect where it is not implemented.
func flock(*os.File) error { return nil }
