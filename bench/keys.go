package bench

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Pattern is the order in which keys are visited.
type Pattern string

const (
	Uniform    Pattern = "uniform"
	Sequential Pattern = "sequential"
	Zipf       Pattern = "zipf"
	Gaussian   Pattern = "gaussian"
)

// ParsePattern reads a pattern by its name or by memtier's letter.
func ParsePattern(text string) (Pattern, error) {
	switch strings.ToLower(text) {
	case "uniform", "random", "r":
		return Uniform, nil
	case "sequential", "seq", "s", "p":
		return Sequential, nil
	case "zipf", "z":
		return Zipf, nil
	case "gaussian", "gauss", "g":
		return Gaussian, nil
	}
	return "", fmt.Errorf("unknown key pattern %q: uniform, sequential, zipf or gaussian", text)
}

// Keys describes the keyspace: numbers 0 to Count-1, written behind Prefix
// with leading zeros so that each key has exactly Size bytes.
type Keys struct {
	Pattern  Pattern
	Count    uint64
	Prefix   string
	Size     int
	Exponent float64 // zipf: how steep
	Median   float64 // gaussian: centre; 0 means the middle
	Stddev   float64 // gaussian: 0 means a sixth of Count
}

func (k Keys) withDefaults() Keys {
	if k.Pattern == "" {
		k.Pattern = Uniform
	}
	if k.Count == 0 {
		k.Count = 1
	}
	if k.Prefix == "" {
		k.Prefix = "key:"
	}
	if k.Size == 0 {
		k.Size = max(16, len(k.Prefix)+digitsOf(k.Count-1))
	}
	if k.Exponent == 0 {
		k.Exponent = 0.99
	}
	if k.Median == 0 {
		k.Median = float64(k.Count) / 2
	}
	if k.Stddev == 0 {
		k.Stddev = math.Max(float64(k.Count)/6, 0.5)
	}
	return k
}

func (k Keys) validate() error {
	if _, err := ParsePattern(string(k.Pattern)); err != nil {
		return err
	}
	if need := len(k.Prefix) + digitsOf(k.Count-1); k.Size < need || k.Size > 1<<20 {
		return fmt.Errorf("key size %d: prefix %q and %d keys need %d bytes, and at most %d are allowed",
			k.Size, k.Prefix, k.Count, need, 1<<20)
	}
	if k.Exponent <= 0 || math.IsNaN(k.Exponent) || math.IsInf(k.Exponent, 0) {
		return fmt.Errorf("zipf exponent must be positive")
	}
	if k.Median < 0 || k.Median > float64(k.Count) || k.Stddev <= 0 {
		return fmt.Errorf("gaussian median must lie in the keyspace and its deviation must be positive")
	}
	return nil
}

// digitsOf counts the decimal digits of n.
func digitsOf(n uint64) int { return len(strconv.FormatUint(n, 10)) }

// random is splitmix64: eight bytes of state, two multiplications per number.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n) by multiplication, without a division.
func (r *random) below(n uint64) uint64 {
	high, _ := bits.Mul64(r.next(), n)
	return high
}

// unit returns a number in [0, 1).
func (r *random) unit() float64 { return float64(r.next()>>11) / (1 << 53) }

// picker draws key numbers. Owned by one worker.
type picker struct {
	pattern Pattern
	count   uint64
	rng     random

	// A sequential picker walks [first, limit) and starts over. Workers get
	// disjoint ranges, so together they visit each key once per round.
	first, limit, cursor uint64

	zipf           zipf
	median, stddev float64
}

func newPicker(k Keys, seed uint64, part, parts int) picker {
	p := picker{
		pattern: k.Pattern, count: k.Count,
		rng:    random{state: seed*0x9e3779b97f4a7c15 + uint64(part)*0xd1342543de82ef95},
		median: k.Median, stddev: k.Stddev,
	}
	p.first = share(k.Count, part, parts)
	p.limit = share(k.Count, part+1, parts)
	if p.first == p.limit { // fewer keys than workers
		p.first, p.limit = 0, k.Count
	}
	p.cursor = p.first
	if k.Pattern == Zipf {
		p.zipf = newZipf(k.Count, k.Exponent)
	}
	return p
}

// share returns where part i of n begins when total is cut into equal parts.
func share(total uint64, i, n int) uint64 {
	high, low := bits.Mul64(total, uint64(i))
	quotient, _ := bits.Div64(high, low, uint64(n))
	return quotient
}

func (p *picker) next() uint64 {
	switch p.pattern {
	case Sequential:
		n := p.cursor
		if p.cursor++; p.cursor == p.limit {
			p.cursor = p.first
		}
		return n
	case Zipf:
		return p.zipf.draw(&p.rng)
	case Gaussian:
		return p.gaussian()
	}
	return p.rng.below(p.count)
}

// gaussian draws from the bell curve cut off at both ends of the keyspace.
// After a bounded number of misses (a curve that hardly touches the keyspace)
// it settles for a uniform draw.
func (p *picker) gaussian() uint64 {
	for range 64 {
		// Box and Muller's transform; one of its two numbers is enough.
		radius := math.Sqrt(-2 * math.Log(1-p.rng.unit()))
		x := math.Floor(p.median + p.stddev*radius*math.Cos(2*math.Pi*p.rng.unit()))
		if x >= 0 && x < float64(p.count) {
			return uint64(x)
		}
	}
	return p.rng.below(p.count)
}

// zipf draws ranks by rejection inversion (Hörmann and Derflinger 1996): it
// needs no table, so it starts at once for any number of keys and works for
// every exponent above zero. Rank 0 is the most popular key.
type zipf struct {
	count        float64
	exponent     float64
	integralHead float64
	integralTail float64
	shortcut     float64
}

func newZipf(count uint64, exponent float64) zipf {
	z := zipf{count: float64(count), exponent: exponent}
	z.integralHead = z.integral(1.5) - 1
	z.integralTail = z.integral(z.count + 0.5)
	z.shortcut = 2 - z.inverse(z.integral(2.5)-z.density(2))
	return z
}

func (z *zipf) draw(rng *random) uint64 {
	for {
		u := z.integralTail + rng.unit()*(z.integralHead-z.integralTail)
		x := z.inverse(u)
		k := math.Min(math.Max(math.Floor(x+0.5), 1), z.count)
		if k-x <= z.shortcut || u >= z.integral(k+0.5)-z.density(k) {
			return uint64(k) - 1
		}
	}
}

func (z *zipf) density(x float64) float64 { return math.Exp(-z.exponent * math.Log(x)) }

// integral is the antiderivative of density, written so that it stays exact
// when the exponent is 1.
func (z *zipf) integral(x float64) float64 {
	logarithm := math.Log(x)
	t := (1 - z.exponent) * logarithm
	if math.Abs(t) < 1e-8 {
		return logarithm * (1 + t/2)
	}
	return logarithm * math.Expm1(t) / t
}

func (z *zipf) inverse(y float64) float64 {
	t := math.Max(y*(1-z.exponent), -1)
	if math.Abs(t) < 1e-8 {
		return math.Exp(y * (1 - t/2))
	}
	return math.Exp(y * math.Log1p(t) / t)
}
