package keyspace

import (
	"encoding/binary"
	"math/bits"

	"hyperkv/shard/ds"
)

const slotsPerBucket = 12

// A bucket is one cache line: twelve slots of a fingerprint byte and a Ref.
//
//	0               11 12        15 16                                          63
//	┌─────────────────┬────────────┬──────────────────────────────────────────────┐
//	│ prints 0 … 11   │ meta       │ 12 Refs                                      │
//	└─────────────────┴────────────┴──────────────────────────────────────────────┘
//
// Keys that belong here ("natives") fill the slots from the left; keys of the
// previous bucket that found no room there ("guests") from the right. Empty
// slots are zero.
//
// The upper 16 bits of meta are kept free for the version of the snapshot that
// last saw the bucket. A write enters a segment only through insert, remove and
// replace of the index, which is where a snapshot will look before the write.
type bucket struct {
	prints [slotsPerBucket]uint8
	meta   uint32
	refs   [slotsPerBucket]ds.Ref
}

const (
	nativesUnit = 1 << 0 // 4 bits
	guestsUnit  = 1 << 4 // 4 bits
	lentFlag    = 1 << 8 // natives of this bucket are guests of the next
	stashFlag   = 1 << 9 // natives of this bucket are in the stash

	everyByte = 0x0101010101010101
	topBits   = 0x8080808080808080
)

func (k *bucket) natives() int { return int(k.meta & 15) }
func (k *bucket) guests() int  { return int(k.meta >> 4 & 15) }
func (k *bucket) full() bool   { return k.natives()+k.guests() >= slotsPerBucket }

// matchLow returns a set bit in byte i for each of the slots 0 to 7 whose print
// is in the pattern, and sometimes for others: the caller compares keys anyway.
func (k *bucket) matchLow(pattern uint64) uint64 {
	diff := binary.LittleEndian.Uint64(k.prints[:8]) ^ pattern
	return (diff - everyByte) & ^diff & topBits
}

// matchHigh is matchLow for the slots 8 to 11.
func (k *bucket) matchHigh(pattern uint64) uint32 {
	diff := binary.LittleEndian.Uint32(k.prints[8:]) ^ uint32(pattern)
	return (diff - uint32(everyByte&(1<<32-1))) & ^diff & uint32(topBits&(1<<32-1))
}

func lowSlot(m uint64) int  { return bits.TrailingZeros64(m) >> 3 }
func highSlot(m uint32) int { return 8 + bits.TrailingZeros32(m)>>3 }

func (k *bucket) addNative(print uint8, ref ds.Ref) {
	i := k.natives()
	k.prints[i], k.refs[i] = print, ref
	k.meta += nativesUnit
}

func (k *bucket) addGuest(print uint8, ref ds.Ref) {
	i := slotsPerBucket - 1 - k.guests()
	k.prints[i], k.refs[i] = print, ref
	k.meta += guestsUnit
}

// drop empties slot i and closes the gap.
func (k *bucket) drop(i int) {
	last := k.natives() - 1
	if i <= last {
		k.meta -= nativesUnit
	} else {
		last = slotsPerBucket - k.guests()
		k.meta -= guestsUnit
	}
	k.prints[i], k.refs[i] = k.prints[last], k.refs[last]
	k.prints[last], k.refs[last] = 0, 0
}

// slotOf returns the slot that holds ref, or -1.
func (k *bucket) slotOf(ref ds.Ref) int {
	for i, r := range &k.refs {
		if r == ref {
			return i
		}
	}
	return -1
}
