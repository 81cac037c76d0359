package bitmap

import (
	"encoding/binary"
	"math/bits"
)

// bitOf returns bit number at, 0 beyond the end.
func bitOf(b []byte, at int64) int64 {
	if at>>3 >= int64(len(b)) {
		return 0
	}
	return int64(b[at>>3]>>(7-at&7)) & 1
}

// countBits counts the bits that are set.
func countBits(b []byte) int64 {
	var n int
	for ; len(b) >= 32; b = b[32:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b)) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[24:]))
	}
	for ; len(b) >= 8; b = b[8:] {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b))
	}
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return int64(n)
}

// countRange counts the bits that are set from bit first to bit last, both
// within b and included.
func countRange(b []byte, first, last int64) int64 {
	head, tail := headMask(first), tailMask(last)
	i, j := first>>3, last>>3
	if i == j {
		return int64(bits.OnesCount8(b[i] & head & tail))
	}
	return int64(bits.OnesCount8(b[i]&head)) + countBits(b[i+1:j]) + int64(bits.OnesCount8(b[j]&tail))
}

// headMask has the bits of a byte from the given bit on, tailMask those up to it.
func headMask(at int64) byte { return 0xff >> (at & 7) }
func tailMask(at int64) byte { return 0xff << (7 - at&7) }

// findBit returns the first bit of the given value from bit first to bit last,
// both within b and included, or -1.
func findBit(b []byte, value int64, first, last int64) int64 {
	var flip byte // makes what is looked for a 1
	if value == 0 {
		flip = 0xff
	}
	i, j := first>>3, last>>3
	head, tail := headMask(first), tailMask(last)
	if i == j {
		return firstOf(b[i]^flip, i, head&tail)
	}
	if at := firstOf(b[i]^flip, i, head); at >= 0 {
		return at
	}
	i++
	for skip := uint64(flip) * 0x0101010101010101; j-i >= 8; i += 8 {
		if word := binary.BigEndian.Uint64(b[i:]) ^ skip; word != 0 {
			return i<<3 + int64(bits.LeadingZeros64(word))
		}
	}
	for ; i < j; i++ {
		if at := firstOf(b[i]^flip, i, 0xff); at >= 0 {
			return at
		}
	}
	return firstOf(b[j]^flip, j, tail)
}

// firstOf returns the number of the first bit set in byte number i, or -1.
func firstOf(x byte, i int64, mask byte) int64 {
	if x &= mask; x == 0 {
		return -1
	}
	return i<<3 + int64(bits.LeadingZeros8(x))
}
