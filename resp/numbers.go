package resp

import (
	"math"
	"strconv"
)

// ParseInt reads an integer in the one form Redis writes it: no plus sign, no
// leading zero, no space, no "-0". What it accepts, AppendInt gives back.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	digits := b
	if b[0] == '-' {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(b) == 1
	}
	var n uint64 // 19 digits fit
	for _, c := range digits {
		d := c - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	if len(digits) < len(b) {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n < 1<<63
}

// ParseTimeout reads a time-out in milliseconds, as Redis' commands take it: not negative,
// and ending, from now in Unix milliseconds on, at a time that there is.
func ParseTimeout(b []byte, now int64) (millis int64, err error) {
	millis, ok := ParseInt(b)
	switch {
	case !ok:
		return 0, ErrTimeoutNotInt
	case millis < 0:
		return 0, ErrTimeoutNegative
	case millis > math.MaxInt64-now:
		return 0, ErrTimeoutRange
	}
	return millis, nil
}

// AppendInt appends the decimal form of n.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// ParseFloat reads a double as the commands of Redis do: all that C's strtod
// knows, so decimal, hexadecimal, "inf" and "infinity" in any case, with either
// sign; but no surrounding space, no NaN, and no number so large or so small
// that it would become infinite or zero.
func ParseFloat(b []byte) (float64, bool) {
	form, ok := scanFloat(b)
	if !ok {
		return 0, false
	}
	if form.inf {
		return math.Inf(form.sign()), true
	}
	if form.hex && !form.hasExp {
		// C may leave out what Go insists on.
		b = append(append(make([]byte, 0, 32), b...), "p0"...)
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f == 0 && !form.zero {
		return 0, false
	}
	return f, true
}

// FormatDouble appends the digits Redis 7.2 and later reply for a double: the
// fewest that read back as the same number, in plain notation within reason,
// whole numbers without a point.
func FormatDouble(dst []byte, f float64) []byte {
	switch {
	case f != f:
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0 && math.Signbit(f):
		return append(dst, "-0"...)
	case f >= -1<<62 && f <= 1<<62 && f == float64(int64(f)):
		return strconv.AppendInt(dst, int64(f), 10)
	}
	// d[.ddd]e±dd gives the digits and the exponent.
	var space [32]byte
	text := strconv.AppendFloat(space[:0], f, 'e', -1, 64)
	if text[0] == '-' {
		dst = append(dst, '-')
		text = text[1:]
	}
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	exp, _ := strconv.Atoi(string(text[e+1:]))
	digits := text[:e]
	if e > 1 {
		digits[1] = digits[0] // over the point
		digits = digits[1:]
	}
	// f = digits × 10^scale
	n := len(digits)
	scale := exp - n + 1
	switch {
	case scale >= 0 && exp < n+7:
		dst = append(dst, digits...)
		for range scale {
			dst = append(dst, '0')
		}
	case scale < 0 && (scale > -7 || max(exp, -exp) < 4):
		whole := n + scale
		if whole > 0 {
			dst = append(dst, digits[:whole]...)
			dst = append(dst, '.')
			return append(dst, digits[whole:]...)
		}
		dst = append(dst, '0', '.')
		for range -whole {
			dst = append(dst, '0')
		}
		dst = append(dst, digits...)
	default:
		dst = append(dst, digits[0])
		if n > 1 {
			dst = append(append(dst, '.'), digits[1:]...)
		}
		dst = append(dst, 'e')
		if exp < 0 {
			dst = append(dst, '-')
			exp = -exp
		} else {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, int64(exp), 10)
	}
	return dst
}

// floatForm is the anatomy of a number's text; the digits are as written, with
// at most one point among them.
type floatForm struct {
	neg, hex, inf, zero, hasExp bool
	digits                      []byte
	point                       int // digits before the point
	exp                         int // written exponent, kept within ±floatExpMax
}

// floatExpMax is far beyond what any format holds, however many digits the
// bytes of a number could shift it by.
const floatExpMax = 1 << 24

func (f floatForm) sign() int {
	if f.neg {
		return -1
	}
	return 1
}

// scanFloat checks a text against the syntax of C's strtod, as a whole.
func scanFloat(b []byte) (f floatForm, ok bool) {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		f.neg = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return f, false
	}
	if c := b[0] | 0x20; c == 'i' {
		f.inf = equalFold(b, "inf") || equalFold(b, "infinity")
		return f, f.inf
	}
	marker := byte('e')
	if len(b) > 1 && b[0] == '0' && b[1]|0x20 == 'x' {
		f.hex = true
		marker = 'p'
		b = b[2:]
	}
	f.zero = true
	f.point = -1
	count, i := 0, 0
scan:
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '.':
			if f.point >= 0 {
				return f, false
			}
			f.point = count
		case c-'0' < 10 || f.hex && hexDigit(c) < 16:
			count++
			f.zero = f.zero && c == '0'
		default:
			break scan
		}
	}
	if count == 0 {
		return f, false
	}
	if f.point < 0 {
		f.point = count
	}
	f.digits = b[:i]
	if i == len(b) {
		return f, true
	}
	if b[i]|0x20 != marker {
		return f, false
	}
	f.hasExp = true
	i++
	neg := false
	if i < len(b) && (b[i] == '-' || b[i] == '+') {
		neg = b[i] == '-'
		i++
	}
	if i == len(b) {
		return f, false
	}
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			return f, false
		}
		f.exp = min(f.exp*10+int(d), floatExpMax)
	}
	if neg {
		f.exp = -f.exp
	}
	return f, true
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}
