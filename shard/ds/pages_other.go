//go:build !linux

package ds

import (
	"sync"
	"unsafe"
)

var pageBytes = uintptr(64 << 10)

// heapMemory keeps what stands in for mappings where the system calls for them
// are not Linux's: pointer-free blocks of the Go heap, which do not move.
var heapMemory struct {
	sync.Mutex // guards blocks
	blocks     map[uintptr][]uint64
}

func mapMemory(n, align uintptr) (uintptr, error) {
	// More than is asked for, so that the start can be rounded up.
	block := make([]uint64, (n+align)/8)
	addr := roundUp(uintptr(unsafe.Pointer(unsafe.SliceData(block))), align)
	heapMemory.Lock()
	defer heapMemory.Unlock()
	if heapMemory.blocks == nil {
		heapMemory.blocks = make(map[uintptr][]uint64)
	}
	heapMemory.blocks[addr] = block
	return addr, nil
}

func unmapMemory(addr, _ uintptr) {
	heapMemory.Lock()
	defer heapMemory.Unlock()
	delete(heapMemory.blocks, addr)
}

func discardMemory(addr, n uintptr) { clear(unsafe.Slice((*byte)(pointer(addr)), n)) }

func growMapping(_, _, _ uintptr) (uintptr, bool) { return 0, false }

// makeHuge and adviseHuge have nothing to do where the runtime chooses the pages.
func makeHuge(_, _ uintptr)   {}
func adviseHuge(_, _ uintptr) {}
