package resp

import (
	"strconv"
	"strings"
)

// Writer builds replies by appending to Buf. Proto decides the form where the
// two versions of the protocol differ; 3 is RESP3, anything else RESP2.
//
// The methods that write a value return a nil error, so that a command handler
// can end in "return c.Reply.Int(n)". An aggregate is its header followed by
// that many values, or pairs of values for Map and Attribute, in either
// version.
//
// Nothing of what is passed in is kept. Owned by whoever runs the command.
type Writer struct {
	Buf   []byte
	Proto int
}

// Len is the number of bytes written and not yet taken out of Buf.
func (w *Writer) Len() int { return len(w.Buf) }

// Reset drops the bytes and keeps their space.
func (w *Writer) Reset() { w.Buf = w.Buf[:0] }

// Int writes an integer.
func (w *Writer) Int(n int64) error {
	w.Buf = appendHeader(w.Buf, ':', n)
	return nil
}

// Bulk writes a string of any bytes. A nil slice is the empty string; see Null.
func (w *Writer) Bulk(b []byte) error {
	buf := appendHeader(w.Buf, '$', int64(len(b)))
	buf = append(buf, b...)
	w.Buf = append(buf, '\r', '\n')
	return nil
}

// BulkString is Bulk for a string.
func (w *Writer) BulkString(s string) error {
	buf := appendHeader(w.Buf, '$', int64(len(s)))
	buf = append(buf, s...)
	w.Buf = append(buf, '\r', '\n')
	return nil
}

// Bulks writes an array of strings.
func (w *Writer) Bulks(elems ...[]byte) error {
	w.Array(len(elems))
	for _, b := range elems {
		w.Bulk(b)
	}
	return nil
}

// BulkStrings writes an array of strings.
func (w *Writer) BulkStrings(elems ...string) error {
	w.Array(len(elems))
	for _, s := range elems {
		w.BulkString(s)
	}
	return nil
}

// BulkInt writes an integer as a string, as commands do that answer text.
func (w *Writer) BulkInt(n int64) error {
	var digits [20]byte
	return w.Bulk(strconv.AppendInt(digits[:0], n, 10))
}

// Simple writes a status. Its text is the server's own; control bytes in it
// become spaces.
func (w *Writer) Simple(s string) error {
	w.Buf = appendLine(append(w.Buf, '+'), s)
	return nil
}

// OK writes the status OK.
func (w *Writer) OK() error {
	w.Buf = append(w.Buf, "+OK\r\n"...)
	return nil
}

// Error writes an error: a resp.Error as it is, any other one with the code ERR
// before its text. Control bytes become spaces, because a line end inside would
// be the end of the reply.
func (w *Writer) Error(e error) error {
	switch e := e.(type) {
	case Error:
		w.Buf = appendLine(append(w.Buf, '-'), strings.Trim(string(e), "\r\n"))
	default:
		w.Buf = appendLine(append(w.Buf, "-ERR "...), strings.Trim(e.Error(), "\r\n"))
	}
	return nil
}

// Null writes the absence of a value.
func (w *Writer) Null() error {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
	} else {
		w.Buf = append(w.Buf, "$-1\r\n"...)
	}
	return nil
}

// NullArray writes the absence of an array, which only RESP2 tells from that of
// another value.
func (w *Writer) NullArray() error {
	if w.Proto == 3 {
		w.Buf = append(w.Buf, "_\r\n"...)
	} else {
		w.Buf = append(w.Buf, "*-1\r\n"...)
	}
	return nil
}

// Array begins an array of n values.
func (w *Writer) Array(n int) error {
	w.Buf = appendHeader(w.Buf, '*', int64(n))
	return nil
}

// Map begins a map of n pairs; RESP2 flattens it.
func (w *Writer) Map(n int) error {
	kind, count := w.mapHeader(n)
	w.Buf = appendHeader(w.Buf, kind, count)
	return nil
}

// Set begins a set of n values; in RESP2 it is an array.
func (w *Writer) Set(n int) error {
	w.Buf = appendHeader(w.Buf, w.kind('~'), int64(n))
	return nil
}

// Push begins an out-of-band message of n values; in RESP2 it is an array.
func (w *Writer) Push(n int) error {
	w.Buf = appendHeader(w.Buf, w.kind('>'), int64(n))
	return nil
}

// Attribute begins n pairs of remarks about the value that follows them. RESP2
// has no such thing: the caller must leave them out there.
func (w *Writer) Attribute(n int) error {
	w.Buf = appendHeader(w.Buf, '|', int64(n))
	return nil
}

// Double writes a floating point number with the digits of FormatDouble.
func (w *Writer) Double(f float64) error {
	var digits [32]byte
	text := FormatDouble(digits[:0], f)
	if w.Proto != 3 {
		return w.Bulk(text)
	}
	w.Buf = append(append(append(w.Buf, ','), text...), '\r', '\n')
	return nil
}

// HumanDouble writes a number that was formatted already, such as by
// AddFloatHuman: a double in RESP3, a string in RESP2.
func (w *Writer) HumanDouble(text []byte) error {
	if w.Proto != 3 {
		return w.Bulk(text)
	}
	w.Buf = append(append(append(w.Buf, ','), text...), '\r', '\n')
	return nil
}

// Bool writes a truth value; RESP2 has 1 and 0.
func (w *Writer) Bool(b bool) error {
	switch {
	case w.Proto == 3 && b:
		w.Buf = append(w.Buf, "#t\r\n"...)
	case w.Proto == 3:
		w.Buf = append(w.Buf, "#f\r\n"...)
	case b:
		w.Buf = append(w.Buf, ":1\r\n"...)
	default:
		w.Buf = append(w.Buf, ":0\r\n"...)
	}
	return nil
}

// BigNumber writes an integer of any size, given as its digits.
func (w *Writer) BigNumber(s string) error {
	if w.Proto != 3 {
		return w.BulkString(s)
	}
	w.Buf = appendLine(append(w.Buf, '('), s)
	return nil
}

// Verbatim writes text that is to be shown as it is, such as INFO. The format
// is three letters, "txt" or "mkd".
func (w *Writer) Verbatim(format, s string) error {
	if w.Proto != 3 {
		return w.BulkString(s)
	}
	buf := appendHeader(w.Buf, '=', int64(len(s)+4))
	for i := range 3 {
		c := byte(' ')
		if i < len(format) {
			c = printable(format[i])
		}
		buf = append(buf, c)
	}
	buf = append(append(buf, ':'), s...)
	w.Buf = append(buf, '\r', '\n')
	return nil
}

// Raw appends replies that are in wire form already.
func (w *Writer) Raw(b []byte) error {
	w.Buf = append(w.Buf, b...)
	return nil
}

// Deferred begins an aggregate whose length is known only when its values have
// been written, and returns its place for SetArray, SetMap, SetSet or SetPush.
//
// Nested ones are set from the inside out, and Buf must not lose bytes in
// between, because the place is an offset. Setting it moves the values by the
// few bytes of the header.
func (w *Writer) Deferred() int { return len(w.Buf) }

// SetArray makes the values written since Deferred returned at an array of n.
func (w *Writer) SetArray(at, n int) { w.insertHeader(at, '*', int64(n)) }

// SetMap makes them a map of n pairs.
func (w *Writer) SetMap(at, n int) {
	kind, count := w.mapHeader(n)
	w.insertHeader(at, kind, count)
}

// SetSet makes them a set of n.
func (w *Writer) SetSet(at, n int) { w.insertHeader(at, w.kind('~'), int64(n)) }

// SetPush makes them an out-of-band message of n.
func (w *Writer) SetPush(at, n int) { w.insertHeader(at, w.kind('>'), int64(n)) }

func (w *Writer) insertHeader(at int, kind byte, n int64) {
	var space [24]byte
	header := appendHeader(space[:0], kind, n)
	end := len(w.Buf)
	w.Buf = append(w.Buf, header...)
	copy(w.Buf[at+len(header):], w.Buf[at:end])
	copy(w.Buf[at:], header)
}

func (w *Writer) kind(resp3 byte) byte {
	if w.Proto == 3 {
		return resp3
	}
	return '*'
}

func (w *Writer) mapHeader(pairs int) (kind byte, count int64) {
	if w.Proto == 3 {
		return '%', int64(pairs)
	}
	return '*', 2 * int64(pairs)
}

// appendHeader appends a type byte, a number and a line end. Nearly all numbers
// on the wire have one digit or two.
func appendHeader(dst []byte, kind byte, n int64) []byte {
	if uint64(n) < 10 {
		return append(dst, kind, byte(n)+'0', '\r', '\n')
	}
	if uint64(n) < 100 {
		return append(dst, kind, byte(n/10)+'0', byte(n%10)+'0', '\r', '\n')
	}
	dst = strconv.AppendInt(append(dst, kind), n, 10)
	return append(dst, '\r', '\n')
}

// appendLine appends text that must stay on one line, and ends it.
func appendLine(dst []byte, s string) []byte {
	start := len(dst)
	dst = append(dst, s...)
	for i := start; i < len(dst); i++ {
		dst[i] = printable(dst[i])
	}
	return append(dst, '\r', '\n')
}
