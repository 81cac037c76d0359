package rdb

import (
	"encoding/binary"
	"io"
	"math"
	"strconv"
)

// A Writer writes what values are made of, the opposite of a Reader. What it is
// handed is borrowed for the call. Errors of the destination are kept until Flush.
type Writer struct {
	out io.Writer // nil when everything stays in buf
	buf []byte
	// past is how much has left buf, and sum its checksum.
	past int64
	sum  uint64
	err  error

	// newest is the version that whoever reads this is taken to know. What has no
	// form in it is written in the one that it needs.
	newest int
	needed int  // the version of what was written so far
	plain  bool // texts are not compressed
	name   []byte
	named  bool // name is to be written behind the next type
	lzf    *lzfTable
	pack   Listpack // for nodes
}

// NewWriter writes to out, or with nil into memory. newest is the RDB version that
// readers are taken to know, of 10 at least, that of Redis 7.0.
func NewWriter(out io.Writer, newest int) *Writer {
	return &Writer{out: out, newest: max(newest, versionListpacks), needed: versionOldest}
}

// NewPlainWriter writes into memory, and compresses nothing: whoever stores it does
// better with all of it.
func NewPlainWriter(newest int) *Writer {
	w := NewWriter(nil, newest)
	w.plain = true
	return w
}

// versionListpacks is that of Redis 7.0, which put listpacks everywhere.
const versionListpacks = 10

// flushBytes is how much collects before it goes to the destination.
const flushBytes = 64 << 10

func (w *Writer) more() {
	if w.out != nil && len(w.buf) >= flushBytes {
		w.Flush()
	}
}

// Flush writes out what has collected and returns the first error of all so far.
func (w *Writer) Flush() error {
	if w.out == nil || w.err != nil {
		return w.err
	}
	w.sum = Checksum(w.sum, w.buf)
	w.past += int64(len(w.buf))
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return w.err
}

// Type begins a value.
func (w *Writer) Type(t Type) {
	w.needed = max(w.needed, t.Version())
	w.Byte(byte(t))
	if w.named {
		w.named = false
		w.Text(w.name)
	}
}

// Key begins a key in the body of a file, whose value comes next; 0 is no deadline. The
// name stands behind the value's type, and is borrowed until that was written.
func (w *Writer) Key(name []byte, deadline int64) {
	if deadline != 0 {
		w.buf = append(w.buf, opExpireMillis)
		w.Millis(deadline)
	}
	w.name, w.named = name, true
}

// Byte writes one byte.
func (w *Writer) Byte(b byte) {
	w.buf = append(w.buf, b)
	w.more()
}

// Length writes a length, or any number that is written as one.
func (w *Writer) Length(n uint64) {
	w.buf = appendLength(w.buf, n)
	w.more()
}

func appendLength(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, length14Bit|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, length32Bit), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, length64Bit), n)
}

const (
	// compressBytesMin is the length from which on a text is compressed.
	compressBytesMin = 21
	// compressGainMin is what that has to save.
	compressGainMin = 4
	// smallIntMax is the length of the longest text that may be a short integer.
	smallIntMax = len("-2147483648")
)

// Text writes a text: as an integer if it is a short one, else compressed if that
// makes it shorter.
func (w *Writer) Text(text []byte) {
	if len(text) <= smallIntMax {
		if n, ok := parseInt(text); ok && n == int64(int32(n)) {
			w.smallInt(int32(n))
			return
		}
	}
	w.blob(text)
}

func (w *Writer) smallInt(n int32) {
	switch {
	case n == int32(int8(n)):
		w.buf = append(w.buf, lengthEncoded|encodedInt8, byte(n))
	case n == int32(int16(n)):
		w.buf = append(w.buf, lengthEncoded|encodedInt16, byte(n), byte(n>>8))
	default:
		w.buf = binary.LittleEndian.AppendUint32(append(w.buf, lengthEncoded|encodedInt32), uint32(n))
	}
	w.more()
}

// blob writes a text that is no integer.
func (w *Writer) blob(text []byte) {
	if w.plain || len(text) < compressBytesMin || !w.compressed(text) {
		w.Length(uint64(len(text)))
		w.buf = append(w.buf, text...)
	}
	w.more()
}

// compressed writes a text compressed, unless that saves too little. The length
// comes before and is known behind: room is left for the longest it can be.
func (w *Writer) compressed(text []byte) bool {
	var head [1 + 9 + 9]byte
	if w.lzf == nil {
		w.lzf = new(lzfTable)
	}
	start := len(w.buf)
	room := 1 + len(appendLength(head[:0], uint64(len(text))))*2
	w.buf = append(w.buf, head[:room]...)
	out, ok := lzfCompress(w.buf, text, len(text)-compressGainMin+1, w.lzf)
	if !ok {
		w.buf = w.buf[:start]
		return false
	}
	short := len(out) - start - room
	before := appendLength(append(head[:0], lengthEncoded|encodedLZF), uint64(short))
	before = appendLength(before, uint64(len(text)))
	copy(out[start:], before)
	copy(out[start+len(before):], out[start+room:])
	w.buf = out[:start+len(before)+short]
	return true
}

// Double writes a number in eight bytes.
func (w *Writer) Double(f float64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, math.Float64bits(f))
	w.more()
}

// Millis writes a time in eight bytes.
func (w *Writer) Millis(at int64) {
	w.buf = binary.LittleEndian.AppendUint64(w.buf, uint64(at))
	w.more()
}

// FieldDeadline writes the deadline of a hash's field, 0 for none, before the field;
// first is the first of all, which stands before all of them.
func (w *Writer) FieldDeadline(first, deadline int64) {
	if deadline != 0 {
		deadline += 1 - first
	}
	w.Length(uint64(deadline))
}

// Payload ends a payload of DUMP and returns it. Everything has to be in memory.
func (w *Writer) Payload() []byte {
	w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(w.needed))
	w.buf = binary.LittleEndian.AppendUint64(w.buf, Checksum(0, w.buf))
	return w.buf
}

// Reset forgets what was written into memory, and keeps the room.
func (w *Writer) Reset() {
	if cap(w.buf) > RoomMax {
		w.buf = nil
	}
	w.buf, w.needed, w.named = w.buf[:0], versionOldest, false
}

// Take returns what was written since the last Take, in memory, and gives it away. What
// is written next goes into the room of next, or, if that is nil, into as much room as
// was needed now.
func (w *Writer) Take(next []byte) []byte {
	taken := w.buf
	if next == nil {
		next = make([]byte, 0, min(cap(taken), RoomMax))
	}
	w.buf = next[:0]
	return taken
}

// RoomMax bounds the room that is made or kept for what is written next.
const RoomMax = 1 << 20

// Undo forgets what was written since Len was n. Everything has to be in memory.
func (w *Writer) Undo(n int64) { w.buf, w.named = w.buf[:n], false }

// Len is how many bytes were written so far.
func (w *Writer) Len() int64 { return w.past + int64(len(w.buf)) }

// Version is the version that the types written so far need.
func (w *Writer) Version() int { return w.needed }

// Intset writes a set of integers, which ascend.
func (w *Writer) Intset(members []int64) {
	w.Type(TypeSetIntset)
	width := 2
	for _, n := range []int64{members[0], members[len(members)-1]} {
		switch {
		case n != int64(int32(n)):
			width = 8
		case n != int64(int16(n)):
			width = max(width, 4)
		}
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 8+width*len(members)), uint32(width))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(members)))
	for _, n := range members {
		switch width {
		case 2:
			b = binary.LittleEndian.AppendUint16(b, uint16(n))
		case 4:
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		case 8:
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		}
	}
	w.blob(b)
}

// A Listpack collects the elements of a packed list.
type Listpack struct {
	b       []byte
	count   int
	scratch []byte
}

// Reset empties the list.
func (l *Listpack) Reset() {
	l.b = append(l.b[:0], make([]byte, listpackHeader)...)
	l.count = 0
}

// Text appends a text; if it is an integer, as one.
func (l *Listpack) Text(text []byte) {
	if n, ok := parseInt(text); ok {
		l.Int(n)
		return
	}
	start := len(l.b)
	switch n := len(text); {
	case n < 1<<6:
		l.b = append(l.b, listpack6BitText|byte(n))
	case n < 1<<12:
		l.b = append(l.b, listpack12BitText|byte(n>>8), byte(n))
	default:
		l.b = binary.LittleEndian.AppendUint32(append(l.b, listpack32BitText), uint32(n))
	}
	l.b = append(l.b, text...)
	l.end(start)
}

// Int appends an integer.
func (l *Listpack) Int(n int64) {
	start := len(l.b)
	switch {
	case n >= 0 && n < 1<<7:
		l.b = append(l.b, byte(n))
	case n >= -1<<12 && n < 1<<12:
		l.b = append(l.b, listpack13BitInt|byte(n>>8&0x1f), byte(n))
	case n == int64(int16(n)):
		l.b = append(l.b, listpack16BitInt, byte(n), byte(n>>8))
	case n >= -1<<23 && n < 1<<23:
		l.b = append(l.b, listpack24BitInt, byte(n), byte(n>>8), byte(n>>16))
	case n == int64(int32(n)):
		l.b = binary.LittleEndian.AppendUint32(append(l.b, listpack32BitInt), uint32(n))
	default:
		l.b = binary.LittleEndian.AppendUint64(append(l.b, listpack64BitInt), uint64(n))
	}
	l.end(start)
}

// Score appends a score.
func (l *Listpack) Score(f float64) {
	switch {
	case f == math.Trunc(f) && math.Abs(f) < 1<<52 && !(f == 0 && math.Signbit(f)):
		l.Int(int64(f))
		return
	case math.IsInf(f, 1):
		l.scratch = append(l.scratch[:0], "inf"...)
	case math.IsInf(f, -1):
		l.scratch = append(l.scratch[:0], "-inf"...)
	default:
		l.scratch = strconv.AppendFloat(l.scratch[:0], f, 'g', -1, 64)
	}
	l.Text(l.scratch)
}

// end writes the length behind the element that begins at start.
func (l *Listpack) end(start int) {
	size := len(l.b) - start
	for shift := 7 * (listpackBackBytes(size) - 1); shift >= 0; shift -= 7 {
		c := byte(size>>shift) & 0x7f
		if len(l.b) > start+size {
			c |= 0x80
		}
		l.b = append(l.b, c)
	}
	l.count++
}

// Packed writes a packed list as a text.
func (w *Writer) Packed(l *Listpack) {
	l.b = append(l.b, packedEnd)
	binary.LittleEndian.PutUint32(l.b, uint32(len(l.b)))
	binary.LittleEndian.PutUint16(l.b[4:], uint16(min(l.count, countUnknown)))
	w.blob(l.b)
}

// parseInt reads an integer that is written as Redis writes it.
func parseInt(text []byte) (int64, bool) {
	digits := text
	if len(text) > 1 && text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > digitsMax-1 || digits[0] == '0' && len(text) > 1 {
		return 0, false
	}
	n := uint64(0) // 19 digits fit
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	if len(digits) < len(text) {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

// nodes divides what goes into packed nodes: how many there will be has to be
// known before the first is written, so that each element is counted first, and
// both times the division has to come out the same.
type nodes struct {
	total        uint64
	elements     int // in the last
	bytes        int
	elementsMost int
	bytesMost    int
}

// add tells whether an element of some size begins a new node.
func (n *nodes) add(size int) (fresh bool) {
	fresh = n.total == 0 || n.elements == n.elementsMost || n.bytes+size > n.bytesMost
	if fresh {
		n.total++
		n.elements, n.bytes = 0, 0
	}
	n.elements++
	n.bytes += size
	return fresh
}

// listNodeBytesMost is the size of a list's nodes, as by default in Redis.
const listNodeBytesMost = 8 << 10

// elementOverhead is more than an element needs beside its text.
const elementOverhead = 11

// A ListWriter writes a list, in packed nodes: first all elements are shown to
// Count, then, from the same head, to Element; then comes End.
type ListWriter struct {
	w       *Writer
	counted nodes
	written nodes
	open    bool // a packed node
}

// List begins a list.
func (w *Writer) List() ListWriter {
	empty := nodes{elementsMost: math.MaxInt, bytesMost: listNodeBytesMost}
	return ListWriter{w: w, counted: empty, written: empty}
}

// Count is shown an element of some length.
func (l *ListWriter) Count(length int) { l.counted.add(length + elementOverhead) }

// Element writes an element.
func (l *ListWriter) Element(text []byte) {
	if l.written.total == 0 {
		l.w.Type(TypeListQuicklist2)
		l.w.Length(l.counted.total)
	}
	size := len(text) + elementOverhead
	if l.written.add(size) {
		l.endNode()
		if size > listNodeBytesMost {
			l.w.Length(nodePlain)
			l.w.blob(text)
			return
		}
		l.open = true
		l.w.pack.Reset()
	}
	l.w.pack.Text(text)
}

func (l *ListWriter) endNode() {
	if l.open {
		l.open = false
		l.w.Length(nodePacked)
		l.w.Packed(&l.w.pack)
	}
}

// End ends the list.
func (l *ListWriter) End() { l.endNode() }
