//go:build amd64 || arm64

package ds

import "unsafe"

// Prefetch asks for the cache lines of n bytes at p, at least one, and does not wait
// for them. Unlike a read it holds up nothing, so many of them overlap.
//
//go:noescape
func Prefetch(p unsafe.Pointer, n int)
