package object

import "encoding/binary"

// An intset is the root of a small set of integers: all of one width, in
// ascending order.
//
//	width │ integer │ integer │ …      2, 4 or 8 bytes each, little endian
//
// It widens with the first integer that does not fit, and stays wide, as in Redis.
type intset []byte

const intsetHeader = 1

// emptyIntset is the root of an intset without integers.
var emptyIntset = []byte{2}

func (s intset) width() int { return int(s[0]) }

func (s intset) len() int { return (len(s) - intsetHeader) / s.width() }

// at is the integer of the given rank.
func (s intset) at(i int) int64 {
	switch p := s[intsetHeader:]; s.width() {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(p[2*i:])))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(p[4*i:])))
	default:
		return int64(binary.LittleEndian.Uint64(p[8*i:]))
	}
}

func (s intset) put(i int, n int64) {
	switch p := s[intsetHeader:]; s.width() {
	case 2:
		binary.LittleEndian.PutUint16(p[2*i:], uint16(n))
	case 4:
		binary.LittleEndian.PutUint32(p[4*i:], uint32(n))
	default:
		binary.LittleEndian.PutUint64(p[8*i:], uint64(n))
	}
}

// find returns the rank of n, or the rank that it would have.
func (s intset) find(n int64) (rank int, ok bool) {
	low, high := 0, s.len()
	for low < high {
		middle := int(uint(low+high) / 2)
		if s.at(middle) < n {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, low < s.len() && s.at(low) == n
}

// intWidth is how many bytes of an intset the integer takes.
func intWidth(n int64) int {
	switch {
	case n == int64(int16(n)):
		return 2
	case n == int64(int32(n)):
		return 4
	default:
		return 8
	}
}

// insertInt puts n, which is not there, at its rank.
func insertInt(h Home, rank int, n int64) {
	old := intset(h.Root())
	count, width := old.len(), old.width()
	if wide := intWidth(n); wide > width {
		widen(h, count, width, wide)
		width = wide
	}
	s := intset(h.Resize(intsetHeader + (count+1)*width))
	at := intsetHeader + rank*width
	copy(s[at+width:], s[at:])
	s.put(rank, n)
}

// widen makes the integers of the root wider. Each is read before the wider ones
// behind it have come so far.
func widen(h Home, count, width, wide int) {
	s := intset(h.Resize(intsetHeader + count*wide))
	for i := count - 1; i >= 0; i-- {
		s[0] = byte(width)
		n := s.at(i)
		s[0] = byte(wide)
		s.put(i, n)
	}
	s[0] = byte(wide)
}

// removeInt takes out the integer of the given rank.
func removeInt(h Home, rank int) {
	s := intset(h.Root())
	width := s.width()
	at := intsetHeader + rank*width
	copy(s[at:], s[at+width:])
	h.Resize(len(s) - width)
}
