package ds

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var pageBytes = uintptr(os.Getpagesize())

// mapMemory maps n bytes of zeroed memory, none of it resident yet.
func mapMemory(n uintptr) (uintptr, error) {
	p, err := unix.MmapPtr(-1, 0, nil, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return 0, err
	}
	// Huge pages would make a nearly empty slab cost 2 MiB and each first touch
	// wait until that much is zeroed. Advice: a kernel without them refuses it.
	_ = unix.Madvise(unsafe.Slice((*byte)(p), n), unix.MADV_NOHUGEPAGE)
	return uintptr(p), nil
}

func unmapMemory(addr, n uintptr) {
	if err := unix.MunmapPtr(pointer(addr), n); err != nil {
		// Unmapping the middle of a mapping needs a new one, and there may be
		// no more. The addresses are lost then; the memory is not.
		discardMemory(addr, n)
	}
}

// discardMemory gives the pages back to the system; they read as zero again.
func discardMemory(addr, n uintptr) {
	if n == 0 {
		return
	}
	if err := unix.Madvise(unsafe.Slice((*byte)(pointer(addr)), n), unix.MADV_DONTNEED); err != nil {
		panic("invariant violated: discard memory: " + err.Error())
	}
}

// growMapping enlarges a mapping of its own, without copying.
func growMapping(addr, from, to uintptr) (uintptr, bool) {
	p, err := unix.MremapPtr(pointer(addr), from, nil, to, unix.MREMAP_MAYMOVE)
	return uintptr(p), err == nil
}
