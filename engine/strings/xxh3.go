package strings

import (
	"encoding/binary"
	"math/bits"
)

// The primes that xxHash mixes with.
const (
	prime32x1 = 0x9e3779b1
	prime32x2 = 0x85ebca77
	prime32x3 = 0xc2b2ae3d
	prime64x1 = 0x9e3779b185ebca87
	prime64x2 = 0xc2b2ae3d27d4eb4f
	prime64x3 = 0x165667b19e3779f9
	prime64x4 = 0x85ebca77c2b2ae63
	prime64x5 = 0x27d4eb2f165667c5
)

const (
	stripeBytes = 64
	// laneKeyStep is how far the secret moves from one stripe to the next.
	laneKeyStep     = 8
	stripesPerBlock = (len(secret) - stripeBytes) / laneKeyStep
	blockBytes      = stripeBytes * stripesPerBlock
)

// secret is the default secret of XXH3, part of its definition.
var secret = [192]byte{
	0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
	0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
	0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
	0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
	0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
	0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
	0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
	0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
	0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
	0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
	0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
	0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
}

// xxh3 is the 64-bit XXH3 of Y. Collet's xxHash 0.8 with seed 0. Each class of
// lengths has its own way, because most values are short; the long way reads
// stripes of 64 bytes into eight lanes and scrambles these after each kilobyte.
func xxh3(b []byte) uint64 {
	n := len(b)
	switch {
	case n > 240:
		return xxh3Long(b)
	case n > 128:
		return xxh3Middle(b)
	case n > 16:
		return xxh3Short(b)
	case n > 8:
		low := read64(b) ^ key64(24) ^ key64(32)
		high := read64(b[n-8:]) ^ key64(40) ^ key64(48)
		return avalanche(uint64(n) + bits.ReverseBytes64(low) + high + fold(low, high))
	case n >= 4:
		first, last := uint64(read32(b)), uint64(read32(b[n-4:]))
		h := (last + first<<32) ^ key64(8) ^ key64(16)
		h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
		h *= 0x9fb21c651e98df25
		h ^= h>>35 + uint64(n)
		h *= 0x9fb21c651e98df25
		return h ^ h>>28
	case n > 0:
		all := uint64(b[0])<<16 | uint64(b[n>>1])<<24 | uint64(b[n-1]) | uint64(n)<<8
		return avalanche64(all ^ uint64(read32(secret[:])^read32(secret[4:])))
	}
	return avalanche64(key64(56) ^ key64(64))
}

// xxh3Short takes 17 to 128 bytes: pairs of 16 bytes from both ends inwards.
func xxh3Short(b []byte) uint64 {
	n := len(b)
	acc := uint64(n) * prime64x1
	for i := (n - 1) / 32; i >= 0; i-- {
		acc += mix16(b[16*i:], secret[32*i:])
		acc += mix16(b[n-16*(i+1):], secret[32*i+16:])
	}
	return avalanche(acc)
}

// xxh3Middle takes 129 to 240 bytes.
func xxh3Middle(b []byte) uint64 {
	const leap, tail = 3, 136 - 17 // where the secret goes on after 128 bytes, and for the end
	n := len(b)
	acc := uint64(n) * prime64x1
	for i := range 8 {
		acc += mix16(b[16*i:], secret[16*i:])
	}
	acc = avalanche(acc)
	for i := 8; i < n/16; i++ {
		acc += mix16(b[16*i:], secret[16*(i-8)+leap:])
	}
	return avalanche(acc + mix16(b[n-16:], secret[tail:]))
}

// lanes is the state of the long way.
type lanes [8]uint64

func xxh3Long(b []byte) uint64 {
	l := lanes{prime32x3, prime64x1, prime64x2, prime64x3, prime64x4, prime32x2, prime64x5, prime32x1}
	n := len(b)
	rest := b
	for len(rest) > blockBytes {
		for i := range stripesPerBlock {
			l.accumulate(rest[stripeBytes*i:], secret[laneKeyStep*i:])
		}
		l.scramble(secret[len(secret)-stripeBytes:])
		rest = rest[blockBytes:]
	}
	for i := range (len(rest) - 1) / stripeBytes {
		l.accumulate(rest[stripeBytes*i:], secret[laneKeyStep*i:])
	}
	// The last stripe ends where the input ends and may overlap the one before.
	l.accumulate(b[n-stripeBytes:], secret[len(secret)-stripeBytes-7:])
	h := uint64(n) * prime64x1
	for i := 0; i < len(l); i += 2 {
		h += fold(l[i]^read64(secret[11+8*i:]), l[i+1]^read64(secret[11+8*i+8:]))
	}
	return avalanche(h)
}

func (l *lanes) accumulate(stripe, key []byte) {
	stripe, key = stripe[:stripeBytes], key[:stripeBytes]
	for i := 0; i < len(l); i += 2 {
		v, w := read64(stripe[8*i:]), read64(stripe[8*i+8:])
		x, y := v^read64(key[8*i:]), w^read64(key[8*i+8:])
		l[i] += w + x&0xffffffff*(x>>32)
		l[i+1] += v + y&0xffffffff*(y>>32)
	}
}

func (l *lanes) scramble(key []byte) {
	for i := range l {
		l[i] = (l[i] ^ l[i]>>47 ^ read64(key[8*i:])) * prime32x1
	}
}

// mix16 mixes 16 bytes of input with 16 of the secret.
func mix16(b, key []byte) uint64 {
	return fold(read64(b)^read64(key), read64(b[8:])^read64(key[8:]))
}

// fold multiplies to 128 bits and folds the halves.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func avalanche(h uint64) uint64 {
	h ^= h >> 37
	h *= 0x165667919e3779f9
	return h ^ h>>32
}

// avalanche64 is the finish of XXH64, which the shortest inputs use.
func avalanche64(h uint64) uint64 {
	h ^= h >> 33
	h *= prime64x2
	h ^= h >> 29
	h *= prime64x3
	return h ^ h>>32
}

func key64(at int) uint64 { return read64(secret[at:]) }

func read64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func read32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
