//go:build !linux

package disk

import "os"

func reserve(f *os.File, n int64) error { return lengthen(f, n) }

func syncData(f *os.File) error { return f.Sync() }
