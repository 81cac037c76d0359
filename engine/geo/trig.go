package geo

import "math"

// A distance is stored, compared and shown to the last digit, so its sine, cosine
// and arc sine must not depend on the machine or on who wrote its library. These
// are rounded correctly but for a case in a million or so, which is what the C
// library of a Redis server comes close to.

// A pair is the sum of two numbers of which the second is too small to change the
// first: twice the precision.
type pair struct{ hi, lo float64 }

// sum is a+b.
func sum(a, b float64) pair {
	s := a + b
	t := s - a
	return pair{s, (a - (s - t)) + (b - t)}
}

// product is a*b.
func product(a, b float64) pair {
	p := float64(a * b)
	return pair{p, math.FMA(a, b, -p)}
}

func (p pair) plus(q pair) pair {
	s := sum(p.hi, q.hi)
	return quick(s.hi, s.lo+(p.lo+q.lo))
}

func (p pair) times(f float64) pair {
	q := product(p.hi, f)
	return quick(q.hi, math.FMA(p.lo, f, q.lo))
}

func (p pair) timesPair(q pair) pair {
	r := product(p.hi, q.hi)
	return quick(r.hi, r.lo+float64(p.hi*q.lo)+float64(p.lo*q.hi))
}

func (p pair) negative() pair { return pair{-p.hi, -p.lo} }

// quick is sum for an a that is not the smaller one.
func quick(a, b float64) pair {
	s := a + b
	return pair{s, b - (s - a)}
}

// angleSteps is how many angles a radian has in the table of angles.
const angleSteps = 128

// angles holds the sine and the cosine of i/angleSteps for all angles up to π.
var angles = func() (table [403 + 1]struct{ sin, cos pair }) {
	// Rotating by one step at a time adds up to errors of 2^-94 or so.
	stepSin, stepCos := stepOfAngles()
	table[0].cos = pair{1, 0}
	for i := 1; i < len(table); i++ {
		s, c := table[i-1].sin, table[i-1].cos
		table[i].sin = s.timesPair(stepCos).plus(c.timesPair(stepSin))
		table[i].cos = c.timesPair(stepCos).plus(s.timesPair(stepSin).negative())
	}
	return table
}()

// stepOfAngles is the sine and the cosine of one step, by their series.
func stepOfAngles() (sin, cos pair) {
	const x = 1.0 / angleSteps
	sin, cos = pair{x, 0}, pair{1, 0}
	power := pair{x, 0} // xⁿ/n!
	for n := 2; n <= 16; n++ {
		power = power.times(x).over(float64(n))
		switch n % 4 {
		case 0:
			cos = cos.plus(power)
		case 1:
			sin = sin.plus(power)
		case 2:
			cos = cos.plus(power.negative())
		case 3:
			sin = sin.plus(power.negative())
		}
	}
	return sin, cos
}

// over divides by a small whole number.
func (p pair) over(n float64) pair {
	q := p.hi / n
	return quick(q, (math.FMA(-q, n, p.hi)+p.lo)/n)
}

// turn returns the sine and the cosine of an angle in [0, π].
//
// With a the nearest angle of the table and r what remains, which is exact and at
// most 2^-8, sin(a+r) = sin a cos r + cos a sin r: the first two terms of the
// series in r need a pair, the rest does not.
func turn(x float64) (sin, cos pair) {
	i := int(float64(x*angleSteps) + 0.5)
	r := x - float64(i)/angleSteps
	a := &angles[i]
	square := product(r, r)
	half := pair{square.hi / 2, square.lo / 2}
	r2 := square.hi
	// sin r - r, and cos r - 1 + r²/2.
	odd := float64(r*r2) * (-1.0/6 + float64(r2*(1.0/120-float64(r2*(1.0/5040)))))
	even := float64(r2*r2) * (1.0/24 - float64(r2*(1.0/720-float64(r2*(1.0/40320)))))
	sin = a.sin.plus(a.cos.times(r)).plus(a.sin.timesPair(half).negative()).
		plus(pair{float64(a.cos.hi*odd) + float64(a.sin.hi*even), 0})
	cos = a.cos.plus(a.sin.times(r).negative()).plus(a.cos.timesPair(half).negative()).
		plus(pair{float64(a.cos.hi*even) - float64(a.sin.hi*odd), 0})
	return sin, cos
}

// sine is sin x.
func sine(x float64) float64 {
	if !(math.Abs(x) <= math.Pi) {
		return math.Sin(x) // a place that does not exist
	}
	sign := math.Copysign(1, x)
	switch x = math.Abs(x); {
	case x < 0x1p-27:
		return sign * x
	case x > 3:
		// Of what is left up to π, because the result is small.
		sin, cos := turn(math.Pi - x)
		return sign * (sin.hi + (sin.lo + float64(cos.hi*2*piHalfLow)))
	}
	sin, _ := turn(x)
	return sign * (sin.hi + sin.lo)
}

// cosine is cos x.
func cosine(x float64) float64 {
	if !(math.Abs(x) <= math.Pi) {
		return math.Cos(x)
	}
	_, cos := turn(math.Abs(x))
	return cos.hi + cos.lo
}

// arcSine is asin y for a y in [0, 1]; of anything else it is NaN.
func arcSine(y float64) float64 {
	switch {
	case !(y >= 0 && y <= 1):
		return math.NaN()
	case y < 0x1p-27:
		return y
	case y <= 0.5:
		t := math.Asin(y)
		return t + improve(t, y, 0)
	}
	// asin y = π/2 - 2 asin √((1-y)/2), where 1-y is exact.
	z := (1 - y) / 2
	root := math.Sqrt(z)
	if root == 0 {
		return math.Pi / 2
	}
	rest := math.FMA(-root, root, z) / (2 * root)
	t := math.Asin(root)
	s := sum(math.Pi/2, -2*t)
	return s.hi + (s.lo + (piHalfLow - 2*improve(t, root, rest)))
}

// piHalfLow is what π/2 has beyond the precision of a number.
const piHalfLow = 6.123233995736766e-17

// improve returns by how much t is below asin(y+rest): a step of Newton's method.
func improve(t, y, rest float64) float64 {
	sin, cos := turn(t)
	d := sum(y, -sin.hi)
	return (d.hi + (d.lo + (rest - sin.lo))) / cos.hi
}
