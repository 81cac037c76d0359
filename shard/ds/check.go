package ds

import (
	"math/bits"

	"hyperkv/internal/invariant"
)

// Check walks the maps of all slabs and panics where counters disagree.
func (a *Arena) Check() {
	var slots, touched, mapped, large, objects int64
	used, capacity := make([]uint64, classCount), make([]uint64, classCount)
	for i := range a.slabs {
		s, d := &a.slabs[i], &a.details[i]
		if s.slots == 0 {
			continue
		}
		summary, free := s.header()
		n := 0
		for w := range (s.slots + 63) / 64 {
			n += bits.OnesCount64(free[w])
			invariant.Assert(summary[w/64]>>(w%64)&1 != 0 == (free[w] != 0), "the summary of a slab contradicts its map")
		}
		live := int64(s.slots) - int64(n)
		invariant.Assert(live == int64(d.used), "a slab counts its slots wrongly")
		c := &a.classes[d.class]
		if bin := int(d.bin); bin >= 0 {
			invariant.Assert(uint32(d.used) < s.slots && int(uint32(d.used)*bins/s.slots) == bin, "a slab in the wrong bin")
		} else {
			invariant.Assert(bin == binEvacuating && a.evacuating == uint32(i) || c.current == uint32(i) || uint32(d.used) == s.slots, "a slab with room that nobody knows of")
		}
		used[d.class] += uint64(live)
		capacity[d.class] += uint64(s.slots)
		objects += live
		slots += live * int64(s.size)
		touched += int64(headerBytes(s.slots)) + int64(d.high)*int64(s.size)
		mapped += int64(runBytes(uintptr(d.run)))
	}
	for i := range a.classes {
		invariant.Assert(a.classes[i].used == used[i] && a.classes[i].capacity == capacity[i], "a class counts its slots wrongly")
	}
	for _, l := range a.large {
		if l.addr != 0 {
			objects++
			large += int64(l.charged)
			mapped += int64(l.room)
		}
	}
	s := a.stats
	invariant.Assert(s.Objects == objects && s.Slots == slots && s.Touched == touched && s.Mapped == mapped && s.Large == large,
		"the counters of an arena are wrong")
}
