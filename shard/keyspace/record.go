package keyspace

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// A record is one key with its value, in one allocation of the records arena:
//
//	 0        1       2        5             6
//	┌────────┬───────┬────────┬─────────────┬────────────┬──────────┬─────┬──────────────┬───────┐
//	│type:4  │ flags │ access │ key length  │ deadline 8 │ dot 16   │ key │ value length │ value │
//	│encode:4│       │ 3 bytes│ varint      │ if flagged │ if fl.   │     │ varint       │       │
//	└────────┴───────┴────────┴─────────────┴────────────┴──────────┴─────┴──────────────┴───────┘
//
// An integer has no value length: its 1 to 8 bytes, two's complement, little
// endian, are counted in the flags. A deadline of 0 in a record that has the
// field means none; large records always have the field, so that EXPIRE never
// moves megabytes. A collection keeps its root where a string has its
// value (value.go). The dot is the place of the CRDT's write stamp; nothing sets it yet.
//
// A 16-byte key with a 32-byte value takes 55 bytes, a slot of 56.
type record struct{ at unsafe.Pointer }

const (
	flagDeadline = 1 << 0
	flagDot      = 1 << 1
	flagsOptions = flagDeadline | flagDot
	intWidthAt   = 2      // three bits: bytes of the integer, less one
	flagMembers  = 1 << 5 // of a collection: its value begins with the earliest deadline of a member
	flagCut      = 1 << 6 // equal to DB.cut: the record is not of the cut that is being taken (cut.go)

	fixedBytes    = 5 // before the key length
	deadlineBytes = 8
	dotBytes      = 16
)

// head returns the first eight bytes; every slot has them.
func (r record) head() uint64 { return binary.LittleEndian.Uint64((*[8]byte)(r.at)[:]) }

func (r record) byteAt(offset int) *byte { return (*byte)(unsafe.Add(r.at, offset)) }

// bytes returns n bytes of the record. Callers stay within what the record
// says of itself, which is within its slot.
func (r record) bytes(offset, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(r.at, offset)), n)
}

func (r record) flags() uint8 { return *r.byteAt(1) }

func (r record) typ() object.Type { return object.Type(*r.byteAt(0) & 15) }

func (r record) encoding() object.Encoding { return object.Encoding(*r.byteAt(0) >> 4) }

func (r record) setKind(t object.Type, e object.Encoding) { *r.byteAt(0) = byte(t) | byte(e)<<4 }

func (r record) access() uint32 { return uint32(r.head()>>16) & (1<<24 - 1) }

func (r record) setAccess(v uint32) {
	b := (*[3]byte)(unsafe.Add(r.at, 2))
	b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16)
}

// optionBytes returns the length of the optional fields.
func optionBytes(flags uint64) int { return int(flags&flagsOptions) << 3 }

// keyAt returns where the key starts and how long it is.
func (r record) keyAt() (offset, length int) {
	head := r.head()
	if length = int(head >> 40 & 0xff); length < 0x80 {
		return fixedBytes + 1 + optionBytes(head>>8), length
	}
	return r.longKeyAt()
}

// longKeyAt is the uncommon part of keyAt, kept apart so that keyAt is inlined.
//
//go:noinline
func (r record) longKeyAt() (offset, length int) {
	length, offset = r.varint(fixedBytes)
	return offset + optionBytes(uint64(r.flags())), length
}

// varint reads a length; next is the offset behind it.
func (r record) varint(offset int) (v, next int) {
	for shift := 0; ; shift += 7 {
		b := *r.byteAt(offset)
		offset++
		v |= int(b&0x7f) << shift
		if b < 0x80 || shift == 28 {
			return v, offset
		}
	}
}

func varintBytes(n int) int { return (bits.Len32(uint32(n)|1) + 6) / 7 }

func (r record) putVarint(offset, v int) (next int) {
	for v >= 0x80 {
		*r.byteAt(offset) = byte(v) | 0x80
		v >>= 7
		offset++
	}
	*r.byteAt(offset) = byte(v)
	return offset + 1
}

func (r record) key() []byte {
	offset, length := r.keyAt()
	return r.bytes(offset, length)
}

// is tells whether this is the record of key.
func (r record) is(key []byte) bool {
	head := r.head()
	offset, length := fixedBytes+1+optionBytes(head>>8), int(head>>40&0xff)
	if length >= 0x80 {
		offset, length = r.longKeyAt()
	}
	return length == len(key) && string(r.bytes(offset, length)) == string(key)
}

func (r record) hash() uint64 { return Hash(r.key()) }

// deadlineAt returns the offset of the deadline, which must be present.
func (r record) deadlineAt() int {
	if *r.byteAt(fixedBytes) < 0x80 {
		return fixedBytes + 1
	}
	_, next := r.varint(fixedBytes)
	return next
}

func (r record) deadline() int64 {
	if r.flags()&flagDeadline == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(r.at, r.deadlineAt()))[:]))
}

// setDeadline writes the field, which must be present.
func (r record) setDeadline(at int64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(r.at, r.deadlineAt()))[:], uint64(at))
}

// isInt: only strings have the encoding Int.
func (r record) isInt() bool { return r.encoding() == object.Int }

func (r record) intWidth() int { return int(r.flags()>>intWidthAt&7) + 1 }

// integer returns the value of an integer record.
func (r record) integer() int64 {
	offset, length := r.keyAt()
	width := r.intWidth()
	var v uint64
	for i, b := range r.bytes(offset+length, width) {
		v |= uint64(b) << (8 * i)
	}
	unused := 64 - 8*width
	return int64(v<<unused) >> unused
}

// intBytes returns how many bytes hold n in two's complement.
func intBytes(n int64) int { return bits.Len64(uint64(n^n>>63))/8 + 1 }

// valueAt returns where the value of a non-integer record starts and ends.
func (r record) valueAt() (offset, length int) {
	offset, length = r.keyAt()
	length, offset = r.varint(offset + length)
	return offset, length
}

// size returns how many bytes the record takes.
func (r record) size() int {
	offset, length := r.keyAt()
	if r.isInt() {
		return offset + length + r.intWidth()
	}
	length, offset = r.varint(offset + length)
	return offset + length
}

// A shape says how long the parts of a record are.
type shape struct {
	key   int
	tail  int  // value with its length, or the integer
	field bool // has a deadline field
}

func (s shape) size() int {
	n := fixedBytes + varintBytes(s.key) + s.key + s.tail
	if s.field {
		n += deadlineBytes
	}
	return n
}

// withField adds the field where a record must have it.
func (s shape) withField(deadline int64) shape {
	s.field = deadline != 0
	if !s.field && s.size() > ds.SlotBytesMax {
		s.field = true
	}
	return s
}
