package geo

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// series adds up xⁿ/n! with alternating signs from the given n on, in steps of 2.
func series(x *big.Float, n int64) *big.Float {
	term := new(big.Float).SetPrec(300).SetInt64(1)
	for i := int64(1); i <= n; i++ {
		term.Mul(term, x).Quo(term, new(big.Float).SetInt64(i))
	}
	total := new(big.Float).SetPrec(300)
	for i := n; i < n+60; i += 2 {
		total.Add(total, term)
		term.Mul(term, x).Mul(term, x).Quo(term, new(big.Float).SetInt64(-(i+1)*(i+2)))
	}
	return total
}

func exact(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }

func rounded(x *big.Float) float64 {
	f, _ := x.Float64()
	return f
}

// Sine, cosine and arc sine are the numbers that are nearest to the true ones.
func TestAngles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		x := (2*r.Float64() - 1) * math.Pi * math.Pow(2, -float64(r.IntN(3)*r.IntN(20)))
		if have, want := sine(x), rounded(series(exact(x), 1)); have != want {
			t.Errorf("sin %v = %v, want %v", x, have, want)
		}
		if have, want := cosine(x), rounded(series(exact(x), 0)); have != want {
			t.Errorf("cos %v = %v, want %v", x, have, want)
		}
		y := r.Float64()
		if r.IntN(2) == 0 {
			y = 1 - math.Pow(y, 8)
		}
		// The sines of the numbers half way to the next ones lie on both sides.
		a := arcSine(y)
		middle := func(b float64) *big.Float {
			return new(big.Float).SetPrec(300).Quo(new(big.Float).SetPrec(300).Add(exact(a), exact(b)), exact(2))
		}
		low, high := middle(math.Nextafter(a, -1)), middle(math.Nextafter(a, 4))
		if series(low, 1).Cmp(exact(y)) > 0 || rounded(high) < math.Pi/2 && series(high, 1).Cmp(exact(y)) < 0 {
			t.Errorf("asin %v = %v", y, a)
		}
	}
	for _, c := range []struct{ have, want float64 }{
		{sine(0), 0}, {cosine(0), 1}, {sine(math.Pi), 1.2246467991473532e-16}, {cosine(math.Pi), -1},
		{arcSine(0), 0}, {arcSine(1), math.Pi / 2}, {arcSine(0.5), math.Pi / 6}, {arcSine(1e-300), 1e-300},
		{sine(-1e-300), -1e-300},
	} {
		if c.have != c.want {
			t.Errorf("%v, want %v", c.have, c.want)
		}
	}
	if !math.IsNaN(arcSine(1.1)) || !math.IsNaN(arcSine(-0.1)) || !math.IsNaN(arcSine(math.NaN())) {
		t.Error("angles that do not exist")
	}
}

// A cell is found again from its center, and lies beside its neighbours.
func TestCells(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		step := 1 + r.IntN(stepMax)
		p := point{(2*r.Float64() - 1) * lonMax, (2*r.Float64() - 1) * latMax}
		c := cellOf(p, latMax, step)
		a := c.area()
		if p.lon < a.min.lon || p.lon > a.max.lon || p.lat < a.min.lat || p.lat > a.max.lat {
			t.Fatalf("%v is not in %v", p, a)
		}
		if again := cellOf(c.center(), latMax, step); again != c {
			t.Fatalf("%v of the center of %v", again, c)
		}
		if from, to := c.scores(); scoreOf(p) < from || scoreOf(p) >= to {
			t.Fatalf("score %v is not in %v to %v", scoreOf(p), from, to)
		}
		wrap := func(i uint32) uint32 { return i & (1<<step - 1) }
		for _, east := range []int{-1, 0, 1} {
			for _, north := range []int{-1, 0, 1} {
				y, x := separate(c.bits)
				want := interleave(wrap(y+uint32(north)), wrap(x+uint32(east)))
				if have := c.move(east, north); have.bits != want || have.step != step {
					t.Fatalf("%v moved by %d, %d: %v, want %d", c, east, north, have, want)
				}
			}
		}
	}
}

func TestScoreBits(t *testing.T) {
	f := func(score float64, want uint64) {
		t.Helper()
		if have := scoreBits(score); have != want {
			t.Errorf("%v: %#x, want %#x", score, have, want)
		}
	}
	f(0, 0)
	f(1.9, 1)
	f(-1, math.MaxUint64)
	f(-1.9, math.MaxUint64)
	f(1<<52, 1<<52)
	f(1<<63, 1<<63)
	f(3<<62, 3<<62)
	f(1<<63-1024, 1<<63-1024)
	f(-1<<63, 1<<63)
	f(1<<64, 0)
	f(1e300, 0)
	f(-1e300, 1<<63)
	f(math.Inf(1), 0)
	f(math.Inf(-1), 1<<63)
}

// Whoever belongs to a shape is in one of its cells. Only shapes that stay on the
// map are asked for, because a search does not go around it.
func TestCellsCoverShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	inShape := 0
	for range 3000 {
		s := shape{center: point{(2*r.Float64() - 1) * 120, (2*r.Float64() - 1) * 60}, unit: 1000}
		size := math.Exp(r.Float64()*9 - 2)
		switch s.kind = shapeKind(r.IntN(3)); s.kind {
		case circle:
			s.radius = size
		case rectangle:
			s.width, s.height = size, math.Exp(r.Float64()*9-2)
		case polygon:
			var corners []point
			for range 3 + r.IntN(6) {
				corners = append(corners, point{
					s.center.lon + r.NormFloat64()*size/111, min(max(s.center.lat+r.NormFloat64()*size/111, -85), 85),
				})
			}
			s.setCorners(corners)
		}
		b := s.bounds()
		if b.min.lon < -180 || b.max.lon > 180 || b.min.lat < -85 || b.max.lat > 85 {
			continue
		}
		s.prepare()
		cells := s.cells()
		for range 40 {
			p := point{b.min.lon + r.Float64()*(b.max.lon-b.min.lon), b.min.lat + r.Float64()*(b.max.lat-b.min.lat)}
			if _, ok := s.contains(p, false); !ok {
				continue
			}
			inShape++
			if !slices.ContainsFunc(cells[:], func(c cell) bool { return c != cell{} && cellOf(p, latMax, c.step) == c }) {
				t.Fatalf("%v of %+v is in none of %v", p, s, cells)
			}
		}
	}
	if inShape < 10_000 {
		t.Errorf("only %d places in shapes", inShape)
	}
}

// What gauge decides is what the distance would have decided, down to the last
// place, at the edge of the shape.
func TestGauge(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	in, out := 0, 0
	for range 50_000 {
		s := shape{center: point{(2*r.Float64() - 1) * lonMax, (2*r.Float64() - 1) * latMax}, unit: 1}
		p := point{(2*r.Float64() - 1) * lonMax, (2*r.Float64() - 1) * latMax}
		if r.IntN(3) > 0 {
			small := math.Exp(-20 * r.Float64())
			p = point{s.center.lon + r.NormFloat64()*small, min(max(s.center.lat+r.NormFloat64()*small, -latMax), latMax)}
		}
		edge, want := distance(s.center, p), false
		if s.kind = shapeKind(r.IntN(2)); s.kind == circle {
			s.radius = edge * (1 + []float64{0, 1e-15, -1e-15, 1e-11, -1e-11, 1e-8, -1e-8, 0.5, -0.5}[r.IntN(9)])
			want = !(edge > s.radius)
		} else {
			edge = distance(p, point{s.center.lon, p.lat})
			s.height = math.Inf(1)
			s.width = 2 * edge * (1 + []float64{0, 1e-15, -1e-15, 1e-11, -1e-11, 1e-8, -1e-8, 0.5, -0.5}[r.IntN(9)])
			want = !(edge > s.width/2)
		}
		s.prepare()
		for _, measure := range []bool{false, true} {
			meters, ok := s.contains(p, measure)
			if ok != want {
				t.Fatalf("%v in %+v, %v away: %v", p, s, edge, ok)
			}
			if ok && measure && meters != distance(s.center, p) {
				t.Fatalf("%v away, want %v", meters, distance(s.center, p))
			}
		}
		if want {
			in++
		} else {
			out++
		}
	}
	if in < 10_000 || out < 10_000 {
		t.Errorf("%d in, %d out", in, out)
	}
}

// The heap keeps what sorting everything would have put first.
func TestNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		n := nearest{order: order(r.IntN(3)), max: r.IntN(12)}
		if n.order == unordered {
			n.any = n.max > 0
		}
		var all []ranked
		for i := range r.IntN(40) {
			p := place{distance: float64(r.IntN(10))}
			all = append(all, ranked{p, i})
			if !n.enough() {
				n.add(p)
			}
		}
		slices.SortStableFunc(all, func(a, b ranked) int {
			switch n.order {
			case ascending:
				return int(a.distance - b.distance)
			case descending:
				return int(b.distance - a.distance)
			}
			return 0
		})
		if n.max > 0 {
			all = all[:min(n.max, len(all))]
		}
		have := n.sorted()
		if !slices.EqualFunc(have, all, func(a, b ranked) bool { return a.turn == b.turn }) {
			t.Fatalf("%+v: %v, want %v", n, have, all)
		}
	}
}
