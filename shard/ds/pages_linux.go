package ds

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

var pageBytes = uintptr(os.Getpagesize())

// mapMemory maps n bytes of zeroed memory, none of it resident yet, at a multiple
// of align, which is one of the page size.
func mapMemory(n, align uintptr) (uintptr, error) {
	if align > pageBytes {
		return mapAligned(n, align)
	}
	p, err := unix.MmapPtr(-1, 0, nil, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return 0, err
	}
	// Huge pages by themselves would make a nearly empty slab cost 2 MiB;
	// makeHuge and adviseHuge ask for them where they pay. Advice: a kernel
	// without them refuses it.
	_ = unix.Madvise(unsafe.Slice((*byte)(p), n), unix.MADV_NOHUGEPAGE)
	return uintptr(p), nil
}

// mapAligned maps more than is needed and cuts off both ends.
func mapAligned(n, align uintptr) (uintptr, error) {
	p, err := mapMemory(n+align, pageBytes)
	if err != nil {
		return 0, err
	}
	base := roundUp(p, align)
	if head := base - p; head > 0 {
		unmapMemory(p, head)
	}
	if tail := p + align - base; tail > 0 {
		unmapMemory(base+n, tail)
	}
	return base, nil
}

// makeHuge moves n bytes at addr to huge pages, as far as the system has any;
// otherwise they stay where they are.
func makeHuge(addr, n uintptr) {
	memory := unsafe.Slice((*byte)(pointer(addr)), n)
	if unix.Madvise(memory, unix.MADV_HUGEPAGE) == nil {
		_ = unix.Madvise(memory, unix.MADV_COLLAPSE)
	}
}

// adviseHuge makes the first touch of each huge page of n bytes at addr make all
// of it resident.
func adviseHuge(addr, n uintptr) {
	_ = unix.Madvise(unsafe.Slice((*byte)(pointer(addr)), n), unix.MADV_HUGEPAGE)
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
