package resp

import (
	"math/big"
)

// INCRBYFLOAT and HINCRBYFLOAT calculate in C's long double. On the machines
// Redis is judged by, that is the 80-bit format of the x87: 64 bits of mantissa
// and a 15-bit exponent. The digits a client sees depend on it (in a double,
// 3 + 1.1 would show its rounding error in the 17th decimal), so the same
// precision is kept here, every step rounded once, to nearest and to even.
const (
	extendedPrec   = 64
	extendedExpMax = 16384  // x < 2^extendedExpMax
	extendedExpMin = -16446 // x ≤ 2^extendedExpMin rounds to zero
	// extendedTextMax is the longest text Redis takes for a long double.
	extendedTextMax = 5*1024 - 1
	// extendedTenMax bounds decimal exponents with room to spare: beyond it a
	// number is certainly infinite, and below the negative of it zero.
	extendedTenMax = 5000
)

// AddFloatHuman adds two numbers in the texts a client wrote and returns the sum
// as Redis prints it: up to 17 decimals, no trailing zeros, no exponent. The
// error is ErrNotFloat or ErrNaNOrInfinity.
func AddFloatHuman(a, b []byte) (text []byte, err error) {
	x, ok := ParseLongDouble(a)
	y, ok2 := ParseLongDouble(b)
	if !ok || !ok2 {
		return nil, ErrNotFloat
	}
	if x.IsInf() || y.IsInf() {
		return nil, ErrNaNOrInfinity
	}
	sum := x.Plus(&y)
	if sum.IsInf() {
		return nil, ErrNaNOrInfinity
	}
	return sum.AppendHuman(make([]byte, 0, 40)), nil
}

// A LongDouble is a number of C's type of that name, for commands that do more
// with it than adding once. The zero value is no number yet.
type LongDouble struct{ n extended }

// LongDoubleMax returns the largest number there is.
func LongDoubleMax() (x LongDouble) {
	x.n.SetPrec(extendedPrec).SetMantExp(new(big.Float).SetUint64(1<<64-1), extendedExpMax-64)
	return x
}

// ParseLongDouble reads a number in the syntax of ParseFloat.
func ParseLongDouble(b []byte) (x LongDouble, ok bool) {
	ok = x.n.parse(b)
	return x, ok
}

// IsInf says whether the number is infinite.
func (x *LongDouble) IsInf() bool { return x.n.inf }

// Sign is -1, 0 or 1.
func (x *LongDouble) Sign() int { return x.n.Sign() }

// Cmp is -1, 0 or 1 as x is less than, equal to or greater than y.
func (x *LongDouble) Cmp(y *LongDouble) int { return x.n.Cmp(&y.n.Float) }

// Negative returns -x.
func (x *LongDouble) Negative() (r LongDouble) {
	r.n.inf = x.n.inf
	r.n.Neg(&x.n.Float)
	return r
}

// Plus returns x+y, which may be infinite. One of both is finite.
func (x *LongDouble) Plus(y *LongDouble) (r LongDouble) {
	r.n.SetPrec(extendedPrec).SetMode(big.ToNearestEven).Add(&x.n.Float, &y.n.Float)
	r.n.inf = r.n.IsInf() || r.n.MantExp(nil) > extendedExpMax
	return r
}

// AppendHuman appends a finite number as Redis prints it for people: up to 17
// decimals, no trailing zeros, no exponent.
func (x *LongDouble) AppendHuman(dst []byte) []byte {
	start := len(dst)
	dst = x.n.Append(dst, 'f', 17)
	end := len(dst)
	for dst[end-1] == '0' {
		end--
	}
	if dst[end-1] == '.' {
		end--
	}
	dst = dst[:end]
	if string(dst[start:]) == "-0" {
		dst = append(dst[:start], '0')
	}
	return dst
}

// extended is a long double. Infinities are kept apart, because big.Float
// panics where IEEE arithmetic has NaN.
type extended struct {
	big.Float
	inf bool
}

// pow10 holds the powers of ten that 64 bits of mantissa represent exactly.
var pow10 = func() (pow [28]big.Float) {
	ten := big.NewFloat(10).SetPrec(extendedPrec)
	pow[0].SetPrec(extendedPrec).SetInt64(1)
	for i := 1; i < len(pow); i++ {
		pow[i].SetPrec(extendedPrec).Mul(&pow[i-1], ten)
	}
	return pow
}()

// parse reads a number with the syntax of ParseFloat and the range and the
// rounding of a long double.
func (x *extended) parse(b []byte) bool {
	if len(b) > extendedTextMax {
		return false
	}
	form, ok := scanFloat(b)
	if !ok {
		return false
	}
	x.SetPrec(extendedPrec).SetMode(big.ToNearestEven)
	switch {
	case form.inf:
		x.inf = true
		x.SetInf(form.neg)
		return true
	case form.zero:
		if form.neg {
			x.Neg(&x.Float)
		}
		return true
	case form.hex:
		x.setHex(form)
	default:
		if !x.setDecimal(form) {
			return false
		}
	}
	exp := x.MantExp(nil) // |x| is in [2^(exp-1), 2^exp)
	if exp > extendedExpMax || exp-1 < extendedExpMin {
		return false
	}
	if exp-1 == extendedExpMin && x.MinPrec() == 1 {
		return false
	}
	if form.neg {
		x.Neg(&x.Float)
	}
	return true
}

// setDecimal sets the nearest value to the digits. It is false for numbers that
// are far out of range, before they cost anything.
func (x *extended) setDecimal(form floatForm) bool {
	digits := make([]byte, 0, 32)
	point := form.point
	for _, c := range form.digits {
		switch {
		case c == '.':
		case c == '0' && len(digits) == 0:
			point-- // a leading zero
		default:
			digits = append(digits, c)
		}
	}
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	ten := point - len(digits) + form.exp // x = digits × 10^ten
	if lead := ten + len(digits); lead > extendedTenMax || lead < -extendedTenMax {
		return false
	}
	if len(digits) < 20 && ten > -len(pow10) && ten < len(pow10) {
		// Both operands are exact, so there is one rounding.
		var mant uint64
		for _, c := range digits {
			mant = mant*10 + uint64(c-'0')
		}
		x.SetUint64(mant)
		if ten < 0 {
			x.Quo(&x.Float, &pow10[-ten])
		} else {
			x.Mul(&x.Float, &pow10[ten])
		}
		return true
	}
	num, _ := new(big.Int).SetString(string(digits), 10)
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(ten, -ten))), nil)
	if ten >= 0 {
		x.SetInt(num.Mul(num, scale))
		return true
	}
	var n, d big.Float // as precise as the integers they take
	x.Quo(n.SetInt(num), d.SetInt(scale))
	return true
}

// setHex sets the nearest value to hexadecimal digits.
func (x *extended) setHex(form floatForm) {
	digits := make([]byte, 0, 32)
	for _, c := range form.digits {
		if c != '.' {
			digits = append(digits, c)
		}
	}
	num, _ := new(big.Int).SetString(string(digits), 16)
	x.SetInt(num)
	x.SetMantExp(&x.Float, form.exp+4*(form.point-len(digits)))
}
