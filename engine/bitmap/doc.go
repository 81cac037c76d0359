// Package bitmap holds the commands that take a string for an array of bits.
//
// Bit 0 is the most significant bit of the first byte, as in Redis, and what
// lies beyond the end reads as 0. A bitmap is an ordinary string: one that is
// stored as an integer is read as its text, and turned into raw bytes by the
// first write.
//
//	bitmap.go    the table; SETBIT GETBIT BITCOUNT BITPOS
//	bits.go      counting and searching, eight bytes at a time
//	bitop.go     BITOP, a cache-sized block at a time
//	bitfield.go  BITFIELD, integers of 1 to 64 bits at any offset
//
// Start with the table in bitmap.go.
package bitmap
