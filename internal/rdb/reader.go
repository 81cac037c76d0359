package rdb

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
)

// A Reader reads what values are made of. Whatever it returns is borrowed until
// its next method is called. After an error it is not used any more.
type Reader struct {
	src  io.Reader // nil when everything is in buf
	buf  []byte    // what was read of src
	at   int       // how much of buf was taken
	past int64     // how much was taken before buf
	kept int       // from where on buf has to stay, though it was taken; -1 for nowhere

	// sums says that a checksum is kept of what was taken; sum is that of all before
	// buf[summed].
	sums   bool
	sum    uint64
	summed int

	plain  []byte // backs a text that was compressed
	digits []byte // backs a text that is an integer
	first  []byte // the first of two texts
	second []byte // the second of two, when something stands behind it
	stream streamScratch
}

// NewReader reads from a source, in pieces and ahead.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, kept: -1, digits: make([]byte, 0, digitsMax)}
}

// NewBytesReader reads bytes, which stay as they are.
func NewBytesReader(b []byte) *Reader {
	return &Reader{buf: b, kept: -1, digits: make([]byte, 0, digitsMax)}
}

// Reset makes a Reader of bytes one of other bytes.
func (r *Reader) Reset(b []byte) { r.buf, r.at, r.past = b, 0, 0 }

// digitsMax is the length of the longest integer.
const digitsMax = len("-9223372036854775808")

// Offset is how many bytes were taken so far.
func (r *Reader) Offset() int64 { return r.past + int64(r.at) }

const (
	// readBytesMin is how much is read of a source at a time, at least, and readBytesMax
	// at most.
	readBytesMin = 32 << 10
	readBytesMax = 256 << 10
	// textBytesMax is the longest text: no string of Redis' protocol is longer.
	textBytesMax = 512 << 20
)

// take returns the next n bytes.
func (r *Reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.buf)-r.at) {
		if err := r.fill(n); err != nil {
			return nil, err
		}
	}
	b := r.buf[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b, nil
}

// fill reads until n bytes are there. The room grows with what has come and not
// with what was promised.
func (r *Reader) fill(n uint64) error {
	if r.src == nil || n > math.MaxInt {
		return corrupt("%d bytes of %d at %d", len(r.buf)-r.at, n, r.Offset())
	}
	r.discard()
	n += uint64(r.at)
	for uint64(len(r.buf)) < n {
		if len(r.buf) == cap(r.buf) {
			room := max(2*len(r.buf), readBytesMin)
			if uint64(room) > n {
				room = max(int(n), readBytesMin)
			}
			r.buf = append(make([]byte, 0, room), r.buf...)
		}
		got, err := r.src.Read(r.buf[len(r.buf):min(cap(r.buf), len(r.buf)+readBytesMax)])
		r.buf = r.buf[:len(r.buf)+got]
		if err != nil && uint64(len(r.buf)) < n {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// discard makes room in buf: what was taken goes, unless it is kept.
func (r *Reader) discard() {
	r.digest()
	from := r.at
	if r.kept >= 0 {
		from = r.kept
		r.kept = 0
	}
	rest := r.buf[from:]
	if cap(r.buf) > readBytesMax && len(rest) < readBytesMin {
		r.buf = make([]byte, 0, readBytesMax) // something long was there
	}
	r.buf = append(r.buf[:0], rest...)
	r.past += int64(from)
	r.at -= from
	r.summed = r.at
}

// digest brings the checksum up to what was taken.
func (r *Reader) digest() {
	if r.sums {
		r.sum = Checksum(r.sum, r.buf[r.summed:r.at])
	}
	r.summed = r.at
}

// Byte reads one byte.
func (r *Reader) Byte() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// Type reads the type of a value.
func (r *Reader) Type() (Type, error) {
	b, err := r.Byte()
	return Type(b), err
}

// Lengths, and what stands in their place:
//
//	00LLLLLL                  up to 63
//	01LLLLLL LLLLLLLL         up to 16383
//	10000000 4 bytes          big endian
//	10000001 8 bytes
//	11EEEEEE                  no length: a text in the encoding E
const (
	length14Bit   = 0x40
	length32Bit   = 0x80
	length64Bit   = 0x81
	lengthEncoded = 0xc0

	encodedInt8  = 0
	encodedInt16 = 1
	encodedInt32 = 2
	encodedLZF   = 3
)

// Length reads a length, or any number that is written as one.
func (r *Reader) Length() (uint64, error) {
	n, encoded, err := r.length()
	if err == nil && encoded {
		return 0, corrupt("no length at %d", r.Offset())
	}
	return n, err
}

func (r *Reader) length() (n uint64, encoded bool, err error) {
	b, err := r.Byte()
	if err != nil {
		return 0, false, err
	}
	switch {
	case b < length14Bit:
		return uint64(b), false, nil
	case b < length32Bit:
		low, err := r.Byte()
		return uint64(b&0x3f)<<8 | uint64(low), false, err
	case b >= lengthEncoded:
		return uint64(b & 0x3f), true, nil
	case b == length32Bit:
		four, err := r.take(4)
		if err != nil {
			return 0, false, err
		}
		return uint64(binary.BigEndian.Uint32(four)), false, nil
	case b == length64Bit:
		eight, err := r.take(8)
		if err != nil {
			return 0, false, err
		}
		return binary.BigEndian.Uint64(eight), false, nil
	}
	return 0, false, corrupt("an unknown length %#x at %d", b, r.Offset())
}

// Text reads a text.
func (r *Reader) Text() ([]byte, error) {
	n, encoded, err := r.length()
	switch {
	case err != nil:
		return nil, err
	case !encoded && n > textBytesMax:
		return nil, corrupt("a text of %d bytes at %d", n, r.Offset())
	case !encoded:
		return r.take(n)
	case n == encodedLZF:
		return r.compressed()
	case n > encodedLZF:
		return nil, corrupt("a text in the unknown encoding %d at %d", n, r.Offset())
	}
	b, err := r.take(1 << n)
	if err != nil {
		return nil, err
	}
	var v int64
	switch n {
	case encodedInt8:
		v = int64(int8(b[0]))
	case encodedInt16:
		v = int64(int16(binary.LittleEndian.Uint16(b)))
	case encodedInt32:
		v = int64(int32(binary.LittleEndian.Uint32(b)))
	}
	r.digits = strconv.AppendInt(r.digits[:0], v, 10)
	return r.digits, nil
}

// compressed reads the rest of a text that is compressed.
func (r *Reader) compressed() ([]byte, error) {
	short, err := r.Length()
	if err != nil {
		return nil, err
	}
	long, err := r.Length()
	if err != nil {
		return nil, err
	}
	b, err := r.take(short)
	if err != nil {
		return nil, err
	}
	if long > uint64(len(b))*lzfRatioMax || long > textBytesMax {
		return nil, corrupt("a text of %d bytes in %d at %d", long, short, r.Offset())
	}
	if likely := min(long, 8*short); uint64(cap(r.plain)) < likely {
		r.plain = make([]byte, 0, likely)
	}
	plain, ok := lzfExpand(r.plain[:0], b, int(long))
	if !ok {
		return nil, corrupt("a text that does not decompress at %d", r.Offset())
	}
	r.plain = plain
	return plain, nil
}

// firstText reads a text that stays while the next is read.
func (r *Reader) firstText() ([]byte, error) {
	text, err := r.Text()
	r.first = append(r.first[:0], text...)
	return r.first, err
}

// secondText is firstText for the text behind that.
func (r *Reader) secondText() ([]byte, error) {
	text, err := r.Text()
	r.second = append(r.second[:0], text...)
	return r.second, err
}

// Double reads a number of eight bytes.
func (r *Reader) Double() (float64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// Millis reads a time of eight bytes.
func (r *Reader) Millis() (int64, error) {
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// The lengths that stand for what has no digits, in the texts of old scores.
const (
	scoreNaN         = 253
	scoreInfinite    = 254
	scoreNegInfinite = 255
)

// textScore reads a score that is a text behind one byte of length.
func (r *Reader) textScore() (float64, error) {
	n, err := r.Byte()
	if err != nil {
		return 0, err
	}
	switch n {
	case scoreNaN:
		return math.NaN(), nil
	case scoreInfinite:
		return math.Inf(1), nil
	case scoreNegInfinite:
		return math.Inf(-1), nil
	}
	b, err := r.take(uint64(n))
	if err != nil {
		return 0, err
	}
	return parseScore(b)
}

// parseScore reads the text of a score.
func parseScore(text []byte) (float64, error) {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !isRange(err) {
		return 0, corrupt("the score %.40q", text)
	}
	return f, nil
}

// isRange says that a number was understood and is beyond what a double holds.
func isRange(err error) bool {
	numErr, ok := err.(*strconv.NumError)
	return ok && numErr.Err == strconv.ErrRange
}
