package ds

import (
	"math/bits"

	"hyperkv/internal/invariant"
)

const (
	// The first slabs of a class are small and later ones grow with what the
	// class holds, so that free slots stay a small part of it.
	slabBytesMin = 64 << 10
	slabBytesMax = 1 << 20
	slotsMin     = 8
	slabGrowth   = 8 // a new slab has about an eighth of the slots there are

	// warmBytesMax bounds the memory an emptied slab may keep because the next
	// allocation of its class is likely to come soon. One slab per class.
	warmBytesMax = 64 << 10
)

// A slab is a run of equal slots. Its memory begins with the map of free slots:
//
//	summary  4 words: bit w set: word w of the map has a free slot
//	map      one bit per slot, set: free
//	(to the next cache line)
//	slots    ◄── base
//
// Mapped memory that was never touched costs nothing, so a slab is mapped at
// its full size at once, and slots are taken from the lowest up.
type slab struct {
	base  uintptr
	size  uint32
	slots uint32 // 0: the number is unused
}

type slabDetail struct {
	class      uint8
	bin        int8 // list that holds the slab, or one of the values below
	used       uint16
	high       uint16 // slots ever used: [0, high)
	next, prev uint32 // within the bin; next also links unused numbers
	run        uint32 // bytes of the run
}

const (
	binNone       = -1 // full, or the current slab of its class
	binEvacuating = -2
	bins          = 4 // by quarters of occupancy; the fullest is filled first
)

// A class chooses among the slabs of one slot size.
type class struct {
	current  uint32 // allocations come from here; 0: choose another first
	slabs    uint32
	capacity uint64 // slots
	used     uint64
	partly   [bins]uint32
}

func headerBytes(slots uint32) uintptr {
	return roundUp(uintptr(32+(slots+63)/64*8), 64)
}

// slotsFor returns how many slots of size bytes the next slab of a class gets.
func slotsFor(size int, capacity uint64) uint32 {
	bytes := int(min(capacity*uint64(size)/slabGrowth, slabBytesMax))
	bytes = max(bytes/unitBytes*unitBytes, slabBytesMin, int(roundUp(uintptr(slotsMin*size)+headerBytes(slotsMin), unitBytes)))
	slots := uint32(min(slotsMax, bytes/size))
	for headerBytes(slots)+uintptr(slots)*uintptr(size) > uintptr(bytes) {
		slots--
	}
	return slots
}

// header returns the summary and the map of a slab.
func (s *slab) header() (*[4]uint64, *[slotsMax / 64]uint64) {
	at := s.base - headerBytes(s.slots)
	// The map is as long as the slab has slots; callers index within that.
	return (*[4]uint64)(pointer(at)), (*[slotsMax / 64]uint64)(pointer(at + 32))
}

func (a *Arena) allocSlot(number int) Ref {
	if a.classes == nil {
		a.classes = make([]class, classCount)
	}
	c := &a.classes[number]
	if c.current == 0 {
		c.current = a.chooseSlab(number)
	}
	s, d := &a.slabs[c.current], &a.details[c.current]
	summary, free := s.header()
	word := 0
	for word < len(summary) && summary[word] == 0 {
		word++
	}
	invariant.Assert(word < len(summary), "the current slab is full")
	at := word*64 + bits.TrailingZeros64(summary[word])
	bit := bits.TrailingZeros64(free[at])
	if free[at] &= free[at] - 1; free[at] == 0 {
		summary[word] &= summary[word] - 1
	}
	slot := uint32(at*64 + bit)
	invariant.Assert(slot < s.slots, "the map of a slab names a slot beyond it")
	ref := Ref(c.current<<slotBits | slot)
	d.used++
	c.used++
	a.stats.Slots += int64(s.size)
	if slot >= uint32(d.high) {
		a.stats.Touched += int64(slot+1-uint32(d.high)) * int64(s.size)
		d.high = uint16(slot + 1)
	}
	if uint32(d.used) == s.slots {
		c.current = 0
	}
	return ref
}

func (a *Arena) freeSlot(ref Ref) {
	number := uint32(ref) >> slotBits
	s, d := &a.slabs[number], &a.details[number]
	slot := uint32(ref & slotMask)
	invariant.Assert(slot < s.slots, "free of a reference beyond its slab")
	summary, free := s.header()
	at, bit := slot/64, uint64(1)<<(slot%64)
	invariant.Assert(free[at]&bit == 0, "free of a slot that is free")
	free[at] |= bit
	summary[at/64] |= 1 << (at % 64)
	d.used--
	c := &a.classes[d.class]
	c.used--
	a.stats.Slots -= int64(s.size)

	if d.used == 0 {
		a.emptied(number)
		return
	}
	if number == c.current || d.bin == binEvacuating {
		return
	}
	if bin := int8(uint32(d.used) * bins / s.slots); bin != d.bin {
		a.unlink(number)
		a.link(number, bin)
	}
}

// emptied releases a slab without live slots, unless it is worth keeping.
func (a *Arena) emptied(number uint32) {
	s, d := &a.slabs[number], &a.details[number]
	c := &a.classes[d.class]
	small := int(d.high)*int(s.size) <= warmBytesMax
	switch {
	case c.current == number && small:
		return
	case c.current == 0 && small && d.bin != binEvacuating:
		a.unlink(number)
		c.current = number
		return
	case c.current == number:
		c.current = 0
	}
	a.unlink(number)
	a.releaseSlab(number)
}

// chooseSlab returns the fullest slab that has a free slot, or a new one.
func (a *Arena) chooseSlab(number int) uint32 {
	c := &a.classes[number]
	for bin := bins - 1; bin >= 0; bin-- {
		if first := c.partly[bin]; first != 0 {
			a.unlink(first)
			return first
		}
	}
	return a.newSlab(number)
}

func (a *Arena) newSlab(classNumber int) uint32 {
	size := classBytes(classNumber)
	slots := slotsFor(size, a.classes[classNumber].capacity)
	run := headerBytes(slots) + uintptr(slots)*uintptr(size)
	number := a.spare
	if number != 0 {
		a.spare = a.details[number].next
	} else {
		if len(a.slabs) == 0 { // number 0 stays unused
			a.slabs, a.details = make([]slab, 1, 8), make([]slabDetail, 1, 8)
		}
		invariant.Assert(len(a.slabs) < slabsMax, "an arena is full: 131071 slabs")
		number = uint32(len(a.slabs))
		a.slabs, a.details = append(a.slabs, slab{}), append(a.details, slabDetail{})
	}
	s := &a.slabs[number]
	*s = slab{base: pages.alloc(run) + headerBytes(slots), size: uint32(size), slots: slots}
	a.details[number] = slabDetail{class: uint8(classNumber), bin: binNone, run: uint32(run)}
	a.stats.Mapped += int64(runBytes(run))
	a.stats.Touched += int64(headerBytes(slots))
	a.classes[classNumber].slabs++
	a.classes[classNumber].capacity += uint64(slots)

	summary, free := s.header()
	words := slots / 64
	for i := range words {
		free[i] = ^uint64(0)
	}
	if rest := slots % 64; rest != 0 {
		free[words] = 1<<rest - 1
		words++
	}
	for i := range words {
		summary[i/64] |= 1 << (i % 64)
	}
	return number
}

func (a *Arena) releaseSlab(number uint32) {
	s, d := &a.slabs[number], &a.details[number]
	a.stats.Mapped -= int64(runBytes(uintptr(d.run)))
	a.stats.Touched -= int64(headerBytes(s.slots)) + int64(d.high)*int64(s.size)
	a.classes[d.class].slabs--
	a.classes[d.class].capacity -= uint64(s.slots)
	pages.release(s.base-headerBytes(s.slots), uintptr(d.run))
	if a.evacuating == number {
		a.evacuating = 0
	}
	*s, *d = slab{}, slabDetail{next: a.spare}
	a.spare = number
}

func (a *Arena) link(number uint32, bin int8) {
	d := &a.details[number]
	head := &a.classes[d.class].partly[bin]
	d.bin, d.prev, d.next = bin, 0, *head
	if *head != 0 {
		a.details[*head].prev = number
	}
	*head = number
}

func (a *Arena) unlink(number uint32) {
	d := &a.details[number]
	if d.bin >= 0 {
		if d.prev != 0 {
			a.details[d.prev].next = d.next
		} else {
			a.classes[d.class].partly[d.bin] = d.next
		}
		if d.next != 0 {
			a.details[d.next].prev = d.prev
		}
	}
	d.bin, d.prev, d.next = binNone, 0, 0
}

// Live tells whether ref names an object that is allocated.
func (a *Arena) Live(ref Ref) bool {
	if ref&largeFlag != 0 {
		number := int(ref &^ largeFlag)
		return number < len(a.large) && a.large[number].addr != 0
	}
	number, slot := int(ref>>slotBits), uint32(ref&slotMask)
	if number >= len(a.slabs) || slot >= a.slabs[number].slots {
		return false
	}
	_, free := a.slabs[number].header()
	return free[slot/64]>>(slot%64)&1 == 0
}
