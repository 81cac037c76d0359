package hyperloglog

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// hashSeed is the one that Redis hashes elements with.
const hashSeed = 0xadc83b19

// place returns the register that an element belongs to and the value that it
// gives it: the place of the lowest bit set, counted from 1, in what the number
// of the register leaves of the hash.
func place(element []byte) (register int, value uint8) {
	hash := murmur64A(element, hashSeed)
	rest := hash>>registerBits | 1<<(64-registerBits)
	return int(hash % registers), uint8(1 + bits.TrailingZeros64(rest))
}

// murmur64A is MurmurHash2 in its version for 64-bit machines.
func murmur64A(b []byte, seed uint64) uint64 {
	const (
		m = 0xc6a4a7935bd1e995
		r = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k ^= k >> r
		h = (h ^ k*m) * m
	}
	if len(b) > 0 {
		var tail uint64
		for i, c := range b {
			tail |= uint64(c) << (8 * i)
		}
		h = (h ^ tail) * m
	}
	h ^= h >> r
	h *= m
	return h ^ h>>r
}

// A histogram counts the registers that hold each value.
type histogram [valueMax + 1]int

// alpha is 1/(2 ln 2), the constant of the estimate for infinitely many registers.
const alpha = 0.721347520444481703680

// estimate is the cardinality that makes the histogram most plausible: Ertl's
// improved estimator (arXiv:1702.01284, algorithm 6), which Redis uses since 4.0.
//
// Products are converted before they are added, so that no machine fuses the two
// steps and every replica finds the same number.
func (h *histogram) estimate() int64 {
	const (
		m    = registers
		last = 64 - registerBits // the largest value but one
	)
	z := m * tau(float64(m-h[last+1])/m)
	for value := last; value >= 1; value-- {
		z += float64(h[value])
		z *= 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	e := math.Round(alpha * m * m / z)
	if !(e < math.MaxInt64) {
		return math.MinInt64 // no set does this; it is what Redis answers
	}
	return int64(e)
}

// sigma corrects for the registers that are still 0.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}

// tau corrects for the registers that can grow no more.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == before {
			return z / 3
		}
	}
}
