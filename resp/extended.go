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
	var x, y extended
	if !x.parse(a) || !y.parse(b) {
		return nil, ErrNotFloat
	}
	if x.inf || y.inf {
		return nil, ErrNaNOrInfinity
	}
	sum := x.Add(&x.Float, &y.Float)
	if sum.MantExp(nil) > extendedExpMax {
		return nil, ErrNaNOrInfinity
	}
	text = sum.Append(make([]byte, 0, 40), 'f', 17)
	end := len(text)
	for text[end-1] == '0' {
		end--
	}
	if text[end-1] == '.' {
		end--
	}
	text = text[:end]
	if string(text) == "-0" {
		text = text[1:]
	}
	return text, nil
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
