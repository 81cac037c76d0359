package rdb

import (
	"encoding/binary"
	"strconv"
)

// An element is one of a packed list: a text, or an integer that stands for its
// decimal text. It is borrowed from the list.
type element struct {
	text  []byte
	n     int64
	isInt bool
}

// bytes is the text; that of an integer is appended to scratch.
func (e element) bytes(scratch []byte) []byte {
	if e.isInt {
		return strconv.AppendInt(scratch, e.n, 10)
	}
	return e.text
}

// A packed is a list of elements that is one text in the file.
type packed interface {
	// next returns the next element; more is false behind the last, when also the
	// end of the list was found to be right.
	next() (e element, more bool, err error)
}

const (
	countUnknown = 0xffff // in the headers of listpacks and ziplists: too many
	packedEnd    = 0xff
)

// A listpack is a packed list of Redis 5 and later:
//
//	bytes 4 │ count 2 │ elements … │ 0xff
//
// Behind each element stands its length, for walking backwards.
type listpack struct {
	b     []byte
	at    int
	count int // elements so far
}

const listpackHeader = 6

func openListpack(b []byte) (*listpack, error) {
	if len(b) < listpackHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != packedEnd {
		return nil, corrupt("a listpack that is not as long as it says")
	}
	return &listpack{b: b, at: listpackHeader}, nil
}

// The first bytes of a listpack's elements.
const (
	listpack6BitText  = 0x80
	listpack13BitInt  = 0xc0
	listpack12BitText = 0xe0
	listpack32BitText = 0xf0
	listpack16BitInt  = 0xf1
	listpack24BitInt  = 0xf2
	listpack32BitInt  = 0xf3
	listpack64BitInt  = 0xf4
)

func (l *listpack) next() (e element, more bool, err error) {
	b := l.b[l.at : len(l.b)-1]
	if len(b) == 0 {
		count := int(binary.LittleEndian.Uint16(l.b[4:]))
		if count != countUnknown && count != l.count {
			return e, false, corrupt("a listpack of %d elements that says %d", l.count, count)
		}
		return e, false, nil
	}
	size := 0 // of the element without the length behind it
	text := 0 // where its text begins, if it has one
	switch c := b[0]; {
	case c < listpack6BitText:
		e, size = element{n: int64(c), isInt: true}, 1
	case c < listpack13BitInt:
		text, size = 1, 1+int(c&0x3f)
	case c < listpack12BitText:
		size = 2
	case c < listpack32BitText:
		if len(b) < 2 {
			return e, false, errListpack
		}
		text, size = 2, 2+int(c&0x0f)<<8+int(b[1])
	case c == listpack32BitText:
		if len(b) < 5 {
			return e, false, errListpack
		}
		text, size = 5, 5+int(binary.LittleEndian.Uint32(b[1:]))
	case c == listpack16BitInt:
		size = 3
	case c == listpack24BitInt:
		size = 4
	case c == listpack32BitInt:
		size = 5
	case c == listpack64BitInt:
		size = 9
	default:
		return e, false, corrupt("a listpack with an element %#x", c)
	}
	back := listpackBackBytes(size)
	if size+back > len(b) {
		return e, false, errListpack
	}
	if listpackBack(b[size:size+back]) != size {
		return e, false, corrupt("a listpack with a wrong length behind an element")
	}
	if text > 0 {
		e = element{text: b[text:size:size]}
	} else if size > 1 {
		e = element{n: listpackInt(b[:size]), isInt: true}
	}
	l.at += size + back
	l.count++
	return e, true, nil
}

var errListpack = corrupt("a listpack with an element beyond its end")

func listpackInt(b []byte) int64 {
	switch b[0] {
	case listpack16BitInt:
		return int64(int16(binary.LittleEndian.Uint16(b[1:])))
	case listpack24BitInt:
		return int24(b[1:])
	case listpack32BitInt:
		return int64(int32(binary.LittleEndian.Uint32(b[1:])))
	case listpack64BitInt:
		return int64(binary.LittleEndian.Uint64(b[1:]))
	}
	return int64(uint64(b[0]&0x1f)<<8|uint64(b[1])) << 51 >> 51
}

func int24(b []byte) int64 {
	return int64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8)
}

// listpackBackBytes is how long the length behind an element of that size is.
func listpackBackBytes(size int) int {
	n := 1
	for size >>= 7; size > 0; size >>= 7 {
		n++
	}
	return n
}

// listpackBack reads the length behind an element: seven bits a byte, the highest
// first, all but the first byte marked.
func listpackBack(b []byte) (size int) {
	for i, c := range b {
		if (c&0x80 != 0) != (i > 0) {
			return -1
		}
		size = size<<7 | int(c&0x7f)
	}
	return size
}

// A ziplist is the packed list of Redis 2 to 6:
//
//	bytes 4 │ where the last element begins 4 │ count 2 │ elements … │ 0xff
//
// Before each element stands the size of the one before it.
type ziplist struct {
	b        []byte
	at       int
	previous int // size of the element before
	count    int
}

const (
	ziplistHeader      = 10
	ziplistBigPrevious = 0xfe // four bytes of size follow
)

func openZiplist(b []byte) (*ziplist, error) {
	if len(b) < ziplistHeader+1 || uint64(binary.LittleEndian.Uint32(b)) != uint64(len(b)) || b[len(b)-1] != packedEnd {
		return nil, corrupt("a ziplist that is not as long as it says")
	}
	return &ziplist{b: b, at: ziplistHeader}, nil
}

var errZiplist = corrupt("a ziplist with an element beyond its end")

// The first bytes of a ziplist's elements.
const (
	ziplist14BitText = 0x40
	ziplist32BitText = 0x80
	ziplist16BitInt  = 0xc0
	ziplist32BitInt  = 0xd0
	ziplist64BitInt  = 0xe0
	ziplist24BitInt  = 0xf0
	ziplistSmallInt  = 0xf1 // 0, up to 12
	ziplist8BitInt   = 0xfe
)

func (z *ziplist) next() (e element, more bool, err error) {
	b := z.b[z.at : len(z.b)-1]
	if len(b) == 0 {
		count := int(binary.LittleEndian.Uint16(z.b[8:]))
		if count != countUnknown && count != z.count {
			return e, false, corrupt("a ziplist of %d elements that says %d", z.count, count)
		}
		if uint64(binary.LittleEndian.Uint32(z.b[4:])) != uint64(z.at-z.previous) {
			return e, false, corrupt("a ziplist that is wrong about its last element")
		}
		return e, false, nil
	}
	previous, head := int(b[0]), 1
	if b[0] == ziplistBigPrevious {
		if len(b) < 5 {
			return e, false, errZiplist
		}
		previous, head = int(binary.LittleEndian.Uint32(b[1:])), 5
	}
	if previous != z.previous || b[0] == packedEnd {
		return e, false, corrupt("a ziplist with a wrong size before an element")
	}
	body := b[head:]
	if len(body) == 0 {
		return e, false, errZiplist
	}
	text, size := 0, 0
	switch c := body[0]; {
	case c < ziplist14BitText:
		text, size = 1, 1+int(c)
	case c < ziplist32BitText:
		if len(body) < 2 {
			return e, false, errZiplist
		}
		text, size = 2, 2+int(c&0x3f)<<8+int(body[1])
	case c == ziplist32BitText:
		if len(body) < 5 {
			return e, false, errZiplist
		}
		text, size = 5, 5+int(binary.BigEndian.Uint32(body[1:]))
	case c == ziplist16BitInt:
		size = 3
	case c == ziplist32BitInt:
		size = 5
	case c == ziplist64BitInt:
		size = 9
	case c == ziplist24BitInt:
		size = 4
	case c == ziplist8BitInt:
		size = 2
	case c >= ziplistSmallInt && c < ziplist8BitInt:
		size = 1
	default:
		return e, false, corrupt("a ziplist with an element %#x", c)
	}
	if size > len(body) {
		return e, false, errZiplist
	}
	if text > 0 {
		e = element{text: body[text:size:size]}
	} else {
		e = element{n: ziplistInt(body[:size]), isInt: true}
	}
	z.previous = head + size
	z.at += head + size
	z.count++
	return e, true, nil
}

func ziplistInt(b []byte) int64 {
	switch b[0] {
	case ziplist16BitInt:
		return int64(int16(binary.LittleEndian.Uint16(b[1:])))
	case ziplist32BitInt:
		return int64(int32(binary.LittleEndian.Uint32(b[1:])))
	case ziplist64BitInt:
		return int64(binary.LittleEndian.Uint64(b[1:]))
	case ziplist24BitInt:
		return int24(b[1:])
	case ziplist8BitInt:
		return int64(int8(b[1]))
	}
	return int64(b[0] - ziplistSmallInt)
}

// A zipmap is the packed hash of Redis 2.4 and before:
//
//	count 1 │ length, field, length, unused 1, value, unused bytes │ … │ 0xff
//
// Its elements are fields and values in turn.
type zipmap struct {
	b     []byte
	at    int
	value bool // the next element is a value
	count int  // pairs
}

const (
	zipmapCountUnknown = 0xfe
	zipmapBigLength    = 0xfe // four bytes of length follow
)

func openZipmap(b []byte) (*zipmap, error) {
	if len(b) < 2 || b[len(b)-1] != packedEnd {
		return nil, corrupt("a zipmap without an end")
	}
	return &zipmap{b: b, at: 1}, nil
}

var errZipmap = corrupt("a zipmap with an element beyond its end")

func (z *zipmap) next() (e element, more bool, err error) {
	b := z.b[z.at : len(z.b)-1]
	if len(b) == 0 {
		if z.value || z.b[0] < zipmapCountUnknown && int(z.b[0]) != z.count {
			return e, false, corrupt("a zipmap of %d pairs that says %d", z.count, z.b[0])
		}
		return e, false, nil
	}
	length, head := int(b[0]), 1
	if b[0] == packedEnd {
		return e, false, corrupt("a zipmap with an end in the middle")
	}
	if b[0] == zipmapBigLength {
		if len(b) < 5 {
			return e, false, errZipmap
		}
		length, head = int(binary.LittleEndian.Uint32(b[1:])), 5
	}
	unused := 0
	if z.value {
		if len(b) <= head {
			return e, false, errZipmap
		}
		unused = int(b[head])
		head++
		z.count++
	}
	if head+length+unused > len(b) {
		return e, false, errZipmap
	}
	e = element{text: b[head : head+length : head+length]}
	z.at += head + length + unused
	z.value = !z.value
	return e, true, nil
}

// eachInteger shows the integers of an intset, a sorted array:
//
//	bytes of each 4 │ count 4 │ integers …
func eachInteger(b []byte, visit func(n int64) error) error {
	const header = 8
	if len(b) < header {
		return corrupt("an intset without a header")
	}
	width, count := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if width != 2 && width != 4 && width != 8 {
		return corrupt("an intset of integers of %d bytes", width)
	}
	b = b[header:]
	if uint64(count)*uint64(width) != uint64(len(b)) {
		return corrupt("an intset that is not as long as it says")
	}
	if count == 0 {
		return ErrEmpty
	}
	previous := int64(0)
	for i := 0; len(b) > 0; i++ {
		var n int64
		switch width {
		case 2:
			n = int64(int16(binary.LittleEndian.Uint16(b)))
		case 4:
			n = int64(int32(binary.LittleEndian.Uint32(b)))
		case 8:
			n = int64(binary.LittleEndian.Uint64(b))
		}
		if i > 0 && n <= previous {
			return corrupt("an intset that does not ascend")
		}
		previous = n
		b = b[width:]
		if err := visit(n); err != nil {
			return err
		}
	}
	return nil
}
