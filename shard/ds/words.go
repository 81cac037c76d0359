package ds

import "unsafe"

// wordsInHeap is how long an array must be to get memory outside the Go heap.
const wordsInHeap = 8 << 10

// NewWords returns n zeroed words. A long array is mapped, so that its pages
// are zeroed one by one as they are touched and not all at once.
func NewWords(n int) []uint64 {
	if n < wordsInHeap {
		return make([]uint64, n)
	}
	return unsafe.Slice((*uint64)(pointer(pages.alloc(uintptr(n)*8))), n)
}

// FreeWords gives back what NewWords returned.
func FreeWords(words []uint64) {
	if len(words) >= wordsInHeap {
		pages.release(uintptr(unsafe.Pointer(unsafe.SliceData(words))), uintptr(len(words))*8)
	}
}
