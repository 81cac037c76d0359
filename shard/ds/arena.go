package ds

import (
	"unsafe"

	"hyperkv/internal/invariant"
)

// A Ref names an object of an Arena. The zero Ref names nothing.
type Ref uint32

const (
	slotBits  = 14
	slotsMax  = 1 << slotBits
	slotMask  = slotsMax - 1
	slabsMax  = 1 << (31 - slotBits)
	largeFlag = Ref(1) << 31
)

// An Arena allocates objects without a Go pointer or heap object for any of
// them. The zero Arena is ready for use and holds no memory. Owned by the
// shard's turn.
type Arena struct {
	slabs   []slab       // by number; 0 is never used, so Ref 0 is free to mean nothing
	details []slabDetail // beside slabs: what At does not need
	classes []class      // nil until the first slot is wanted
	spare   uint32       // head of the list of unused slab numbers

	large      []largeObject // by number
	spareLarge []uint32      // unused numbers

	evacuating uint32 // slab that Compact is emptying, or 0
	nextClass  int    // where Compact looks next

	stats ArenaStats
}

// ArenaStats counts bytes, exactly.
type ArenaStats struct {
	Requested int64 // what callers asked for, in slots
	Slots     int64 // slots handed out: Requested plus rounding
	Touched   int64 // parts of slabs that were ever used: an upper bound of what they occupy
	Mapped    int64 // address space of slabs and large objects
	Large     int64 // pages of large objects in use
	Objects   int64
}

// Stats returns the counters.
func (a *Arena) Stats() ArenaStats { return a.stats }

// Bytes returns what the live objects occupy.
func (a *Arena) Bytes() int64 { return a.stats.Slots + a.stats.Large }

// Pointer turns an address of arena memory, kept as an integer, back into a
// pointer. The memory is not the collector's, which therefore ignores it.
//
//go:nocheckptr
func Pointer(addr uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), addr) }

func pointer(addr uintptr) unsafe.Pointer { return Pointer(addr) }

// Alloc returns a new object with room for n bytes. Its contents are arbitrary.
func (a *Arena) Alloc(n int) Ref {
	a.stats.Objects++
	if n > SlotBytesMax {
		return a.allocLarge(n, n)
	}
	a.stats.Requested += int64(n)
	return a.allocSlot(classOf(n))
}

// Free gives back an object that was asked for (or resized) with n bytes.
func (a *Arena) Free(ref Ref, n int) {
	a.stats.Objects--
	if ref&largeFlag != 0 {
		a.freeLarge(ref)
		return
	}
	a.stats.Requested -= int64(n)
	a.freeSlot(ref)
}

// At returns the address of a live object.
func (a *Arena) At(ref Ref) unsafe.Pointer {
	// The number of a large object is beyond every slab.
	if number := ref >> slotBits; int(number) < len(a.slabs) {
		s := &a.slabs[number]
		if slot := uint32(ref & slotMask); slot < s.slots {
			return Pointer(s.base + uintptr(slot)*uintptr(s.size))
		}
	}
	return a.atLarge(ref)
}

// Slot is At for an object that is known to be of at most SlotBytesMax bytes, and small
// enough to be part of its caller.
func (a *Arena) Slot(ref Ref) unsafe.Pointer {
	if invariant.Enabled {
		return a.At(ref)
	}
	s := &a.slabs[ref>>slotBits]
	return Pointer(s.base + uintptr(ref&slotMask)*uintptr(s.size))
}

// Room returns how many bytes the object can hold where it is.
func (a *Arena) Room(ref Ref) int {
	if ref&largeFlag != 0 {
		return int(a.largeAt(ref).room)
	}
	return int(a.slabs[ref>>slotBits].size)
}

// Occupied returns what the object counts for in Bytes.
func (a *Arena) Occupied(ref Ref) int {
	if ref&largeFlag != 0 {
		return int(a.largeAt(ref).charged)
	}
	return int(a.slabs[ref>>slotBits].size)
}

// IsLarge tells whether the object has memory of its own.
func IsLarge(ref Ref) bool { return ref&largeFlag != 0 }

// Resize changes the size of an object from n to m bytes and keeps its Ref, or
// returns false if that is impossible: a slot cannot grow beyond its class, nor
// become a large object, nor the other way round. The address of a large object
// may change; its first min(n, m) bytes do not.
func (a *Arena) Resize(ref Ref, n, m int) bool {
	if ref&largeFlag != 0 {
		if m <= SlotBytesMax {
			return false
		}
		a.resizeLarge(ref, n, m)
		return true
	}
	if m > int(a.slabs[ref>>slotBits].size) {
		return false
	}
	a.stats.Requested += int64(m - n)
	return true
}

// Close gives back everything. Safe to call from another goroutine once nobody
// else can reach the arena.
func (a *Arena) Close() {
	for i := range a.slabs {
		if s := a.slabs[i]; s.slots != 0 {
			run := a.details[i].run
			pages.release(s.base-headerBytes(s.slots), uintptr(run))
		}
	}
	for _, l := range a.large {
		if l.addr != 0 {
			pages.release(l.addr, l.room)
		}
	}
	*a = Arena{}
}

// A largeObject has pages of its own.
type largeObject struct {
	addr    uintptr // 0: the number is unused
	room    uintptr // bytes of the run; what was never touched is not resident
	charged uintptr // pages in use
}

func (a *Arena) largeAt(ref Ref) *largeObject {
	l := &a.large[ref&^largeFlag]
	invariant.Assert(l.addr != 0, "reference to a freed large object")
	return l
}

// atLarge is the uncommon part of At, kept apart so that At can be inlined.
//
//go:noinline
func (a *Arena) atLarge(ref Ref) unsafe.Pointer {
	invariant.Assert(ref&largeFlag != 0, "reference beyond the slabs or the slots of its slab")
	return pointer(a.largeAt(ref).addr)
}

// allocLarge maps an object of n bytes that can grow to room.
func (a *Arena) allocLarge(n, room int) Ref {
	run := runBytes(uintptr(room))
	l := largeObject{addr: pages.alloc(run), room: run, charged: roundUp(uintptr(n), pageBytes)}
	a.stats.Mapped += int64(l.room)
	a.stats.Large += int64(l.charged)
	if last := len(a.spareLarge) - 1; last >= 0 {
		number := a.spareLarge[last]
		a.spareLarge = a.spareLarge[:last]
		a.large[number] = l
		return Ref(number) | largeFlag
	}
	invariant.Assert(len(a.large) < 1<<31-1, "too many large objects in one arena")
	a.large = append(a.large, l)
	return Ref(len(a.large)-1) | largeFlag
}

func (a *Arena) freeLarge(ref Ref) {
	l := a.largeAt(ref)
	a.stats.Mapped -= int64(l.room)
	a.stats.Large -= int64(l.charged)
	pages.release(l.addr, l.room)
	*l = largeObject{}
	a.spareLarge = append(a.spareLarge, uint32(ref&^largeFlag))
	if len(a.spareLarge) == len(a.large) {
		a.large, a.spareLarge = nil, nil
	}
}

func (a *Arena) resizeLarge(ref Ref, n, m int) {
	l := a.largeAt(ref)
	charged := roundUp(uintptr(m), pageBytes)
	switch {
	case uintptr(m) > l.room:
		// Room to spare costs addresses only, until it is used.
		room := runBytes(uintptr(m) + uintptr(m)/2)
		addr, grown := uintptr(0), false
		if l.room > runBytesMax {
			addr, grown = growMapping(l.addr, l.room, room)
		}
		if grown {
			pages.mapped.Add(int64(room - l.room))
		} else {
			addr = pages.alloc(room)
			copy(unsafe.Slice((*byte)(pointer(addr)), n), unsafe.Slice((*byte)(pointer(l.addr)), n))
			pages.release(l.addr, l.room)
		}
		a.stats.Mapped += int64(room) - int64(l.room)
		l.addr, l.room = addr, room
	case charged < l.charged:
		discardMemory(l.addr+charged, l.charged-charged)
	}
	a.stats.Large += int64(charged) - int64(l.charged)
	l.charged = charged
}

// AllocGrowing is Alloc for an object that is likely to grow: a large one gets
// addresses, but no memory, to spare.
func (a *Arena) AllocGrowing(n int) Ref {
	if n > SlotBytesMax {
		a.stats.Objects++
		return a.allocLarge(n, n+n/2)
	}
	return a.Alloc(n)
}
