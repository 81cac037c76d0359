package object

import (
	"encoding/binary"
	"strconv"

	"hyperkv/resp"
)

// An Element is one string inside a collection: a member, a field, a value. An
// integer is kept as one and reads as its decimal text. Bytes are borrowed from
// the collection until its next change.
type Element struct {
	text  []byte
	n     int64
	isInt bool
}

// ElementOf makes an element of text: an integer if text is exactly what an
// integer prints as. text is borrowed.
func ElementOf(text []byte) Element {
	if len(text) > 0 && len(text) <= 20 && text[0] <= '9' {
		if n, ok := resp.ParseInt(text); ok {
			return Element{text: text, n: n, isInt: true}
		}
	}
	return Element{text: text}
}

// IntElement is the element of an integer.
func IntElement(n int64) Element { return Element{n: n, isInt: true} }

// Int returns the integer that the element is kept as.
func (e Element) Int() (n int64, ok bool) { return e.n, e.isInt }

// Len is the length of the text.
func (e Element) Len() int {
	if e.isInt && e.text == nil {
		return decimalLen(e.n)
	}
	return len(e.text)
}

// Append appends the text to dst.
func (e Element) Append(dst []byte) []byte {
	if e.isInt && e.text == nil {
		return strconv.AppendInt(dst, e.n, 10)
	}
	return append(dst, e.text...)
}

// Bytes is the text; that of an integer is written into scratch, which is
// extended from its start, and may be nil.
func (e Element) Bytes(scratch []byte) []byte {
	if e.isInt && e.text == nil {
		return strconv.AppendInt(scratch[:0], e.n, 10)
	}
	return e.text
}

// Keep returns the element with its text copied to the end of buf, so that it
// survives a change of its collection, and buf as it is then.
func (e Element) Keep(buf []byte) (Element, []byte) {
	if e.isInt {
		return Element{n: e.n, isInt: true}, buf
	}
	at := len(buf)
	buf = append(buf, e.text...)
	return Element{text: buf[at:len(buf):len(buf)]}, buf
}

// Reply answers the element as a bulk string.
func (e Element) Reply(w *resp.Writer) error {
	if e.isInt && e.text == nil {
		return w.BulkInt(e.n)
	}
	return w.Bulk(e.text)
}

// Is tells whether both have the same text.
func (e Element) Is(other Element) bool {
	if e.isInt || other.isInt {
		return e.isInt == other.isInt && e.n == other.n
	}
	return string(e.text) == string(other.text)
}

// isText tells whether the element is no integer and has the given text.
func (e Element) isText(text []byte) bool { return !e.isInt && string(e.text) == string(text) }

// Compare orders elements by their texts, byte by byte.
func (e Element) Compare(other Element) int {
	if !e.isInt && !other.isInt {
		return compareBytes(e.text, other.text)
	}
	var a, b [20]byte
	return compareBytes(e.Bytes(a[:]), other.Bytes(b[:]))
}

func compareBytes(a, b []byte) int {
	switch {
	case string(a) < string(b):
		return -1
	case string(a) > string(b):
		return 1
	}
	return 0
}

// Packed elements have the encodings of Redis' listpack, without the length
// behind each that a listpack has for walking backwards:
//
//	0xxxxxxx                      an integer 0..127
//	10xxxxxx text                 up to 63 bytes
//	110xxxxx xxxxxxxx             a signed integer of 13 bits
//	1110xxxx xxxxxxxx text        up to 4095 bytes
//	11110000 4 bytes text         longer texts
//	111100LL 2, 3, 4 or 8 bytes   signed integers, LL from 1; little endian
const (
	pack6BitText  = 0x80
	pack13BitInt  = 0xc0
	pack12BitText = 0xe0
	pack32BitText = 0xf0
	pack16BitInt  = 0xf1
	pack24BitInt  = 0xf2
	pack32BitInt  = 0xf3
	pack64BitInt  = 0xf4
)

// PackedSize is how many bytes the element takes when packed.
func (e Element) PackedSize() int {
	if e.isInt {
		switch n := e.n; {
		case n >= 0 && n <= 127:
			return 1
		case n >= -4096 && n <= 4095:
			return 2
		case n >= -1<<15 && n < 1<<15:
			return 3
		case n >= -1<<23 && n < 1<<23:
			return 4
		case n >= -1<<31 && n < 1<<31:
			return 5
		}
		return 9
	}
	switch n := len(e.text); {
	case n < 64:
		return 1 + n
	case n < 4096:
		return 2 + n
	default:
		return 5 + n
	}
}

// Pack writes the element to the start of p, which has room for PackedSize
// bytes, and returns how many it took.
func (e Element) Pack(p []byte) int {
	if e.isInt {
		switch n := e.n; {
		case n >= 0 && n <= 127:
			p[0] = byte(n)
			return 1
		case n >= -4096 && n <= 4095:
			p[0], p[1] = pack13BitInt|byte(n>>8&0x1f), byte(n)
			return 2
		case n >= -1<<15 && n < 1<<15:
			p[0], p[1], p[2] = pack16BitInt, byte(n), byte(n>>8)
			return 3
		case n >= -1<<23 && n < 1<<23:
			p[0], p[1], p[2], p[3] = pack24BitInt, byte(n), byte(n>>8), byte(n>>16)
			return 4
		case n >= -1<<31 && n < 1<<31:
			p[0] = pack32BitInt
			binary.LittleEndian.PutUint32(p[1:], uint32(n))
			return 5
		}
		p[0] = pack64BitInt
		binary.LittleEndian.PutUint64(p[1:], uint64(e.n))
		return 9
	}
	switch n := len(e.text); {
	case n < 64:
		p[0] = pack6BitText | byte(n)
		return 1 + copy(p[1:], e.text)
	case n < 4096:
		p[0], p[1] = pack12BitText|byte(n>>8), byte(n)
		return 2 + copy(p[2:], e.text)
	default:
		p[0] = pack32BitText
		binary.LittleEndian.PutUint32(p[1:], uint32(n))
		return 5 + copy(p[5:], e.text)
	}
}

// AppendPacked appends the packed element to dst.
func (e Element) AppendPacked(dst []byte) []byte {
	n, size := len(dst), e.PackedSize()
	if cap(dst)-n < size {
		dst = append(dst, make([]byte, size)...)
	} else {
		dst = dst[:n+size]
	}
	e.Pack(dst[n:])
	return dst
}

// Unpack reads the packed element at the start of p, borrowed, and returns how
// many bytes it takes.
func Unpack(p []byte) (e Element, size int) {
	b := p[0]
	switch {
	case b < pack6BitText:
		return Element{n: int64(b), isInt: true}, 1
	case b < pack13BitInt:
		size = 1 + int(b&0x3f)
		return Element{text: p[1:size:size]}, size
	case b < pack12BitText:
		n := int64(uint64(b&0x1f)<<8|uint64(p[1])) << 51 >> 51
		return Element{n: n, isInt: true}, 2
	case b < pack32BitText:
		size = 2 + (int(b&0x0f)<<8 | int(p[1]))
		return Element{text: p[2:size:size]}, size
	}
	switch b {
	case pack32BitText:
		size = 5 + int(binary.LittleEndian.Uint32(p[1:]))
		return Element{text: p[5:size:size]}, size
	case pack16BitInt:
		return Element{n: int64(int16(binary.LittleEndian.Uint16(p[1:]))), isInt: true}, 3
	case pack24BitInt:
		return Element{n: int64(int32(uint32(p[1])<<8|uint32(p[2])<<16|uint32(p[3])<<24) >> 8), isInt: true}, 4
	case pack32BitInt:
		return Element{n: int64(int32(binary.LittleEndian.Uint32(p[1:]))), isInt: true}, 5
	case pack64BitInt:
		return Element{n: int64(binary.LittleEndian.Uint64(p[1:])), isInt: true}, 9
	}
	panic("invariant violated: a packed element with an unknown encoding")
}

// PackedLen is the size of the packed element at the start of p.
func PackedLen(p []byte) int {
	b := p[0]
	switch {
	case b < pack6BitText:
		return 1
	case b < pack13BitInt:
		return 1 + int(b&0x3f)
	case b < pack12BitText:
		return 2
	case b < pack32BitText:
		return 2 + (int(b&0x0f)<<8 | int(p[1]))
	}
	switch b {
	case pack32BitText:
		return 5 + int(binary.LittleEndian.Uint32(p[1:]))
	case pack16BitInt:
		return 3
	case pack24BitInt:
		return 4
	case pack32BitInt:
		return 5
	case pack64BitInt:
		return 9
	}
	panic("invariant violated: a packed element with an unknown encoding")
}

// PackedIs tells whether the packed element at the start of p is e.
func (e Element) PackedIs(p []byte) bool {
	b := p[0]
	if b >= pack6BitText && b < pack13BitInt {
		n := int(b & 0x3f)
		return !e.isInt && n == len(e.text) && string(p[1:1+n]) == string(e.text)
	}
	if b < pack6BitText {
		return e.isInt && e.n == int64(b)
	}
	other, _ := Unpack(p)
	return e.Is(other)
}

func decimalLen(v int64) int {
	n, u := 1, uint64(v)
	if v < 0 {
		n, u = 2, -u
	}
	for u >= 10 {
		u /= 10
		n++
	}
	return n
}
