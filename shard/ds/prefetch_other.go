//go:build !amd64 && !arm64

package ds

import "unsafe"

// Prefetch has no effect where it is not implemented.
func Prefetch(p unsafe.Pointer, n int) {}
