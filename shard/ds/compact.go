package ds

import "hyperkv/internal/invariant"

// Compact moves at most budget objects out of sparse slabs, so that those can
// be released, and gives back slabs kept warm. It reports whether another call
// would find more to do. Large objects have nothing to gain and stay.
//
// move must give the object another place: Alloc, copy, tell whoever refers to
// it, Free the old one. While a slab is being emptied Alloc does not use it.
//
// A class is compacted while an eighth of its slots is free, and at least as
// many as its sparsest slab has: then what is in that finds room in the others.
func (a *Arena) Compact(budget int, move func(Ref)) (more bool) {
	if a.classes == nil {
		return false
	}
	if a.stats.Objects == 0 {
		a.releaseWarm()
		return false
	}
	for range classCount + 1 {
		if budget <= 0 {
			return true
		}
		if a.evacuating == 0 && !a.chooseSparse() {
			a.nextClass = (a.nextClass + 1) % classCount
			continue
		}
		for budget > 0 && a.evacuating != 0 {
			budget -= a.evacuate(budget, move)
		}
	}
	return false
}

// chooseSparse picks the next slab to empty in the class whose turn it is.
func (a *Arena) chooseSparse() bool {
	c := &a.classes[a.nextClass]
	if current := c.current; current != 0 && a.details[current].used == 0 {
		c.current = 0
		a.releaseSlab(current)
	}
	free := c.capacity - c.used
	if free*8 < c.capacity {
		return false
	}
	for bin := range bins - 1 {
		first := c.partly[bin]
		if first == 0 {
			continue
		}
		if free < uint64(a.slabs[first].slots) {
			return false // what is in it would not fit into the others
		}
		a.unlink(first)
		a.details[first].bin = binEvacuating
		a.evacuating = first
		return true
	}
	return false
}

// evacuate moves up to budget objects out of the slab being emptied.
func (a *Arena) evacuate(budget int, move func(Ref)) (moved int) {
	number := a.evacuating
	s := a.slabs[number]
	_, free := s.header()
	for slot := uint32(0); slot < s.slots && moved < budget; slot++ {
		if slot%64 == 0 && slot+64 <= s.slots && free[slot/64] == ^uint64(0) {
			slot += 63
			continue
		}
		if free[slot/64]>>(slot%64)&1 != 0 {
			continue
		}
		used := a.details[number].used
		move(Ref(number<<slotBits | slot))
		moved++
		if a.evacuating != number {
			return moved // that was the last one: the slab is gone
		}
		invariant.Assert(a.details[number].used == used-1, "an object was not moved out of its slab")
	}
	return moved
}

// releaseWarm releases the slabs of an arena without objects.
func (a *Arena) releaseWarm() {
	for i := range a.classes {
		if current := a.classes[i].current; current != 0 {
			a.classes[i].current = 0
			a.releaseSlab(current)
		}
	}
}
