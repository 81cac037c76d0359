package resp

import (
	"bytes"
	"errors"
	"math"
	"strconv"
)

// Kind is the type of a reply: the byte it has on the wire.
type Kind byte

const (
	KindSimple    Kind = '+'
	KindError     Kind = '-'
	KindInt       Kind = ':'
	KindBulk      Kind = '$'
	KindArray     Kind = '*'
	KindNull      Kind = '_'
	KindBool      Kind = '#'
	KindDouble    Kind = ','
	KindBigNumber Kind = '('
	KindBulkError Kind = '!'
	KindVerbatim  Kind = '='
	KindMap       Kind = '%'
	KindSet       Kind = '~'
	KindPush      Kind = '>'

	kindAttribute Kind = '|'
)

// Value is a reply, as a client understands it.
type Value struct {
	Kind Kind
	Null bool // _, and the RESP2 forms $-1 and *-1, which keep their Kind

	Int   int64   // KindInt; KindBool as 0 or 1
	Float float64 // KindDouble

	// Str is the text of all kinds but aggregates, also of numbers, as it was
	// sent and without the format of a verbatim string. Borrowed from the
	// buffer that was read.
	Str []byte
	// Format is the three letters before a verbatim string.
	Format string

	// Elems are the elements of an aggregate; a map has keys and values in turn.
	Elems []Value
	// Attrs are the keys and values of the attributes that came before.
	Attrs []Value
}

// Text is Str as a string.
func (v Value) Text() string { return string(v.Str) }

// Err is the error a value is, or nil.
func (v Value) Err() error {
	if v.Kind == KindError || v.Kind == KindBulkError {
		return Error(v.Str)
	}
	return nil
}

// Bounds on what a server may make its client hold. A reply beyond them is an
// error.
const (
	// DepthMax is how deep aggregates may nest, attributes included.
	DepthMax = 128
	// ElemsMax is the largest number of elements, and pairs, of one aggregate.
	ElemsMax = math.MaxInt32
	// replyBytesMax is the longest string; it only keeps sums from overflowing.
	replyBytesMax = 1 << 40
	// elemsAhead is how many elements are made room for on a server's word.
	elemsAhead = 1024
)

var (
	errReplyKind   = errors.New("resp: unknown reply type")
	errReplyLine   = errors.New("resp: line of a reply does not end in CR LF")
	errReplyLength = errors.New("resp: invalid length in a reply")
	errReplyScalar = errors.New("resp: malformed value in a reply")
	errReplyDepth  = errors.New("resp: reply nests too deep")
)

// ReadValue reads the reply that starts at buf[0] and returns the bytes it
// occupied; n == 0 without an error means that it is not complete. Nothing is
// remembered between calls: a client that expects long replies asks SkipValue
// first, or reads more before it tries again.
func ReadValue(buf []byte) (v Value, n int, err error) {
	n, err = v.read(buf, 0)
	if n == 0 {
		v = Value{}
	}
	return v, n, err
}

func (v *Value) read(buf []byte, depth int) (n int, err error) {
	for {
		var h header
		size, err := h.read(buf[n:])
		if size == 0 {
			return 0, err
		}
		if h.elems < 0 { // a scalar
			v.set(h)
			return n + size, nil
		}
		if depth >= DepthMax {
			return 0, errReplyDepth
		}
		n += size
		elems := make([]Value, 0, min(h.elems, elemsAhead))
		for range h.elems {
			elems = append(elems, Value{})
			size, err := elems[len(elems)-1].read(buf[n:], depth+1)
			if size == 0 {
				return 0, err
			}
			n += size
		}
		if h.kind == kindAttribute {
			v.Attrs = append(v.Attrs, elems...)
			continue // the value they are about
		}
		v.Kind, v.Elems = h.kind, elems
		return n, nil
	}
}

func (v *Value) set(h header) {
	v.Kind, v.Null, v.Str = h.kind, h.null, h.text
	switch h.kind {
	case KindInt:
		v.Int, _ = parseReplyInt(h.text)
	case KindBool:
		if h.text[0] == 't' {
			v.Int = 1
		}
	case KindDouble:
		v.Float, _ = parseReplyDouble(h.text)
	case KindVerbatim:
		v.Format, v.Str = string(h.text[:3]), h.text[4:]
	}
}

// SkipValue returns the length of the complete reply at buf[0], and 0 while it
// is not complete. It accepts and refuses exactly what ReadValue does and
// allocates nothing.
func SkipValue(buf []byte) (n int, err error) {
	var h header
	n, err = h.read(buf)
	if n == 0 || h.elems < 0 {
		return n, err
	}
	return skipAggregate(buf, n, h)
}

// skipAggregate goes on behind the header of the outermost aggregate. Levels
// are counted on a small stack in place of recursion.
func skipAggregate(buf []byte, n int, h header) (int, error) {
	var left [DepthMax + 1]int // elements missing at each level
	depth := 0
	left[0] = 1
	for {
		if h.kind != kindAttribute {
			left[depth]-- // attributes are no element, they precede one
		}
		if h.elems >= 0 {
			if depth == DepthMax {
				return 0, errReplyDepth
			}
			depth++
			left[depth] = h.elems
		}
		for left[depth] == 0 {
			if depth == 0 {
				return n, nil
			}
			depth--
		}
		size, err := h.read(buf[n:])
		if size == 0 {
			return 0, err
		}
		n += size
	}
}

// header is the first line of a reply, and with it all of a scalar.
type header struct {
	kind  Kind
	null  bool
	elems int // values that follow, pairs counted twice; -1 for a scalar
	text  []byte
}

// read returns the bytes taken: those of the line for an aggregate, of the
// whole value for a scalar, 0 when they are not all there.
func (h *header) read(buf []byte) (n int, err error) {
	if len(buf) == 0 {
		return 0, nil
	}
	h.kind, h.null, h.elems = Kind(buf[0]), false, -1
	if h.kind == KindBulk {
		// What most replies are made of, without a search for the line end.
		if size, at := lengthAt(buf, 1); at != 0 && buf[at-1] == '\n' {
			end := at + size
			if len(buf)-end < 2 {
				return 0, nil
			}
			if buf[end] == '\r' && buf[end+1] == '\n' {
				h.text = buf[at:end:end]
				return end + 2, nil
			}
		}
	}
	switch h.kind {
	case KindSimple, KindError, KindInt, KindNull, KindBool, KindDouble, KindBigNumber:
	case KindBulk, KindBulkError, KindVerbatim:
	case KindArray, KindMap, KindSet, KindPush, kindAttribute:
	default:
		return 0, errReplyKind
	}
	// Lengths of one digit are the common case by far.
	var line []byte
	if len(buf) > 3 && buf[2] == '\r' && buf[3] == '\n' {
		line, n = buf[1:2], 4
	} else {
		cr := bytes.IndexByte(buf, '\r')
		if cr < 0 || cr+1 == len(buf) {
			return 0, nil
		}
		if buf[cr+1] != '\n' {
			return 0, errReplyLine
		}
		line, n = buf[1:cr], cr+2
	}

	switch h.kind {
	case KindBulk, KindBulkError, KindVerbatim:
		size, ok := ParseInt(line)
		if ok && size == -1 && h.kind == KindBulk {
			h.null, h.text = true, nil
			return n, nil
		}
		if !ok || size < 0 || size > replyBytesMax {
			return 0, errReplyLength
		}
		if int64(len(buf)-n) < size+2 {
			return 0, nil
		}
		end := n + int(size)
		if buf[end] != '\r' || buf[end+1] != '\n' {
			return 0, errReplyLine
		}
		h.text = buf[n:end:end]
		if h.kind == KindVerbatim && (size < 4 || h.text[3] != ':') {
			return 0, errReplyScalar
		}
		return end + 2, nil

	case KindArray, KindMap, KindSet, KindPush, kindAttribute:
		count, ok := ParseInt(line)
		if ok && count == -1 && h.kind == KindArray {
			h.null, h.text = true, nil
			return n, nil
		}
		if !ok || count < 0 || count > ElemsMax {
			return 0, errReplyLength
		}
		h.elems = int(count)
		if h.kind == KindMap || h.kind == kindAttribute {
			h.elems *= 2
		}
		return n, nil
	}

	h.text = line[:len(line):len(line)]
	ok := true
	switch h.kind {
	case KindInt:
		_, ok = parseReplyInt(line)
	case KindNull:
		h.null, ok = true, len(line) == 0
	case KindBool:
		ok = len(line) == 1 && (line[0] == 't' || line[0] == 'f')
	case KindDouble:
		_, ok = parseReplyDouble(line)
	case KindBigNumber:
		ok = isBigNumber(line)
	}
	if !ok {
		return 0, errReplyScalar
	}
	return n, nil
}

// parseReplyInt also takes the plus sign, which the specification allows.
func parseReplyInt(b []byte) (int64, bool) {
	if len(b) > 1 && b[0] == '+' && b[1] != '-' {
		b = b[1:]
	}
	return ParseInt(b)
}

func parseReplyDouble(b []byte) (float64, bool) {
	if bytes.EqualFold(b, nanText) || bytes.EqualFold(b, negNaNText) {
		return math.NaN(), true
	}
	return ParseFloat(b)
}

var nanText, negNaNText = []byte("nan"), []byte("-nan")

func isBigNumber(b []byte) bool {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	for _, c := range b {
		if c-'0' > 9 {
			return false
		}
	}
	return len(b) > 0
}

// AppendCommand appends a command in the form a client sends it.
func AppendCommand(dst []byte, args ...[]byte) []byte {
	dst = appendHeader(dst, '*', int64(len(args)))
	for _, arg := range args {
		dst = appendHeader(dst, '$', int64(len(arg)))
		dst = append(dst, arg...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// AppendCommandString is AppendCommand for strings.
func AppendCommandString(dst []byte, args ...string) []byte {
	dst = appendHeader(dst, '*', int64(len(args)))
	for _, arg := range args {
		dst = appendHeader(dst, '$', int64(len(arg)))
		dst = append(dst, arg...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}

// String renders a reply as redis-cli shows it to a person, without the last
// line end: (integer) 1, "text", 1) "a", (nil). Attributes are left out.
func (v Value) String() string { return string(v.appendTo(nil, nil)) }

// appendTo renders v; indent is what its second and later lines begin with.
func (v Value) appendTo(dst, indent []byte) []byte {
	if v.Null {
		return append(dst, "(nil)"...)
	}
	switch v.Kind {
	case KindError, KindBulkError:
		return append(append(dst, "(error) "...), v.Str...)
	case KindInt:
		return strconv.AppendInt(append(dst, "(integer) "...), v.Int, 10)
	case KindDouble:
		return append(append(dst, "(double) "...), v.Str...)
	case KindBigNumber:
		return append(append(dst, "(big number) "...), v.Str...)
	case KindBool:
		if v.Int != 0 {
			return append(dst, "(true)"...)
		}
		return append(dst, "(false)"...)
	case KindBulk:
		return AppendQuoted(dst, v.Str)
	case KindArray, KindSet, KindPush, KindMap:
		return v.appendElems(dst, indent)
	}
	return append(dst, v.Str...) // simple and verbatim strings
}

func (v Value) appendElems(dst, indent []byte) []byte {
	step, mark := 1, byte(')')
	switch v.Kind {
	case KindMap:
		step, mark = 2, '#'
	case KindSet:
		mark = '~'
	}
	if len(v.Elems) == 0 {
		switch v.Kind {
		case KindMap:
			return append(dst, "(empty hash)"...)
		case KindSet:
			return append(dst, "(empty set)"...)
		case KindPush:
			return append(dst, "(empty push)"...)
		}
		return append(dst, "(empty array)"...)
	}
	var space [20]byte
	width := len(strconv.AppendInt(space[:0], int64(len(v.Elems)/step), 10))
	inner := append(make([]byte, 0, len(indent)+width+2), indent...)
	for range width + 2 {
		inner = append(inner, ' ')
	}
	for i := 0; i < len(v.Elems); i += step {
		if i > 0 {
			dst = append(append(dst, '\n'), indent...)
		}
		number := strconv.AppendInt(space[:0], int64(i/step+1), 10)
		for range width - len(number) {
			dst = append(dst, ' ')
		}
		dst = append(append(dst, number...), mark, ' ')
		dst = v.Elems[i].appendTo(dst, inner)
		if step == 2 && i+1 < len(v.Elems) {
			value := v.Elems[i+1]
			dst = append(dst, " => "...)
			if value.multiline() {
				dst = append(append(dst, '\n'), inner...)
			}
			dst = value.appendTo(dst, inner)
		}
	}
	return dst
}

// multiline tells whether a value of a map is put on lines of its own.
func (v Value) multiline() bool {
	switch v.Kind {
	case KindArray, KindSet, KindPush:
		return len(v.Elems) > 1 || len(v.Elems) == 1 && v.Elems[0].multiline()
	case KindMap:
		return len(v.Elems) > 2 || len(v.Elems) == 2 && v.Elems[1].multiline()
	}
	return false
}

// AppendQuoted appends b in double quotes, with the escapes that SplitArgs
// undoes; bytes other than printable ASCII are escaped.
func AppendQuoted(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range b {
		switch c {
		case '\\', '"':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\a':
			dst = append(dst, '\\', 'a')
		case '\b':
			dst = append(dst, '\\', 'b')
		default:
			if c < ' ' || c > '~' {
				dst = append(dst, '\\', 'x', hex[c>>4], hex[c&15])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}
