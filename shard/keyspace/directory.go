package keyspace

import "hyperkv/shard/ds"

// The directory of an index has one word per prefix of depth bits: address of
// the segment << 16 | depth of the segment << 8 | its buckets.
//
// A long directory is not doubled at once. The new one starts out empty, and a
// word that is still zero is read from the old one; each insert carries a few
// words over, so that the old one is gone long before the next doubling.

const (
	// directoryAtOnce is the length up to which doubling is one short step.
	directoryAtOnce = 4 << 10
	carryPerInsert  = 32
)

// entry returns the segment of a prefix.
func (x *index) entry(i uint64) segment {
	if s := x.directory[i]; s != 0 {
		return segment(s)
	}
	return segment(x.former[i/2])
}

func (x *index) at(hash uint64) segment { return x.entry(spread(hash) >> (x.shift & 63)) }

// atPlace returns the segment of a place, given its first prefixBits bits.
func (x *index) atPlace(place uint64) segment {
	return x.entry(place >> (prefixBits - x.directoryDepth()))
}

func (x *index) directoryDepth() int { return 32 - int(x.shift) }

// double makes the directory one bit deeper.
func (x *index) double() {
	for x.former != nil {
		x.carry()
	}
	x.shift--
	x.former, x.carried = x.directory, 0
	x.directory = ds.NewWords(2 * len(x.former))
	for len(x.former) > 0 && len(x.former) <= directoryAtOnce {
		x.carry()
	}
}

// carry takes a few words over from the former directory. Those that a segment
// was installed in since are newer and stay.
func (x *index) carry() {
	end := min(x.carried+carryPerInsert, len(x.former))
	for i := x.carried; i < end; i++ {
		for j := 2 * i; j <= 2*i+1; j++ {
			if x.directory[j] == 0 {
				x.directory[j] = x.former[i]
			}
		}
	}
	if x.carried = end; end == len(x.former) {
		ds.FreeWords(x.former)
		x.former = nil
	}
}

// halve shrinks a directory that is deeper than needed by two levels, so that
// it does not double again soon.
func (x *index) halve() {
	for depth := x.directoryDepth(); depth > 1 && x.depths[depth] == 0 && x.depths[depth-1] == 0; depth-- {
		for x.former != nil {
			x.carry()
		}
		halved := ds.NewWords(len(x.directory) / 2)
		for i := range halved {
			halved[i] = x.directory[2*i]
		}
		ds.FreeWords(x.directory)
		x.directory = halved
		x.shift++
	}
}

// span returns the directory entries of a segment.
func (x *index) span(s segment) (first, n int) {
	place := int(s.header().place >> depthBits)
	return place >> (prefixBits - x.directoryDepth()), 1 << (x.directoryDepth() - s.depth())
}

// point lets the directory entries of a segment point to it.
func (x *index) point(s segment) {
	first, n := x.span(s)
	words := x.directory[first : first+n]
	for i := range words {
		words[i] = uint64(s)
	}
}
