package bitmap

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// slowBit reads one bit the way the documentation explains it.
func slowBit(b []byte, at int64) int64 {
	if at/8 >= int64(len(b)) {
		return 0
	}
	return int64(b[at/8]) >> (7 - at%8) & 1
}

// someBytes returns bytes in which long stretches are alike, as in real bitmaps.
func someBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	fill := []byte{0, 0xff, 0xa5}[r.IntN(3)]
	for i := range b {
		b[i] = fill
		if r.IntN(40) == 0 {
			b[i] = byte(r.Uint32())
		}
	}
	return b
}

func TestCountAndFind(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		b := someBytes(r, 1+r.IntN(100))
		total := int64(len(b)) * 8
		first := r.Int64N(total)
		last := first + r.Int64N(total-first)
		count, found := int64(0), [2]int64{-1, -1}
		for at := first; at <= last; at++ {
			bit := slowBit(b, at)
			count += bit
			if found[bit] < 0 {
				found[bit] = at
			}
		}
		if have := countRange(b, first, last); have != count {
			t.Fatalf("%x from %d to %d: %d bits, want %d", b, first, last, have, count)
		}
		for bit, want := range found {
			if have := findBit(b, int64(bit), first, last); have != want {
				t.Fatalf("%x from %d to %d: first %d at %d, want %d", b, first, last, bit, have, want)
			}
		}
	}
}

func TestCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		sources := make([][]byte, 1+r.IntN(5))
		size := 0
		for i := range sources {
			n := r.IntN(80)
			sources[i] = someBytes(r, n)
			size = max(size, n)
		}
		for op := opAnd; op <= opOne; op++ {
			if op.check(len(sources)) != nil {
				continue
			}
			want := make([]byte, size)
			for at := range int64(size) * 8 {
				first := slowBit(sources[0], at)
				rest := int64(0)
				for _, s := range sources[1:] {
					rest += slowBit(s, at)
				}
				all := first + rest
				set := map[operation]bool{
					opAnd: all == int64(len(sources)), opOr: all > 0, opXor: all%2 == 1, opNot: first == 0,
					opDiff: first == 1 && rest == 0, opDiff1: first == 0 && rest > 0,
					opAndOr: first == 1 && rest > 0, opOne: all == 1,
				}[op]
				if set {
					want[at/8] |= 0x80 >> (at % 8)
				}
			}
			have := make([]byte, size)
			combine(op, have, sources)
			if !bytes.Equal(have, want) {
				t.Fatalf("operation %d of %x: %x, want %x", op, sources, have, want)
			}
		}
	}
}

// Cutting the sources into pieces and combining these gives the same as
// combining the whole, and so does writing over any of the sources.
func TestCombineLong(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		sources := make([][]byte, 2+r.IntN(3))
		size := 0
		for i := range sources {
			sources[i] = someBytes(r, r.IntN(3*blockBytes))
			size = max(size, len(sources[i]))
		}
		for op := opAnd; op <= opOne; op++ {
			if op == opNot {
				continue
			}
			whole := make([]byte, size)
			combine(op, whole, sources)
			for at := 0; at < size; {
				n := min(1+r.IntN(500), size-at)
				var pieces [][]byte
				for _, s := range sources {
					piece := from(s, at)
					pieces = append(pieces, piece[:min(n, len(piece))])
				}
				have := make([]byte, n)
				combine(op, have, pieces)
				if !bytes.Equal(have, whole[at:at+n]) {
					t.Fatalf("operation %d differs at %d of %d", op, at, size)
				}
				at += n
			}
			over := r.IntN(len(sources))
			out := append(bytes.Clone(sources[over]), make([]byte, size-len(sources[over]))...)
			inPlace := append([][]byte(nil), sources...)
			inPlace[over] = out
			combine(op, out, inPlace)
			if !bytes.Equal(out, whole) {
				t.Fatalf("operation %d over source %d differs", op, over)
			}
		}
	}
}

func someField(r *rand.Rand, bits int) field {
	f := field{offset: r.Int64N(int64(bits)), signed: r.IntN(2) == 0}
	f.width = 1 + uint(r.IntN(63))
	if f.signed && r.IntN(8) == 0 {
		f.width = 64
	}
	return f
}

func TestFieldGetPut(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		f := someField(r, 200)
		b := someBytes(r, int(f.last()/8)+1+r.IntN(12))
		value := f.cut(int64(r.Uint64()))
		want := bytes.Clone(b)
		for i := range int64(f.width) {
			at := f.offset + i
			want[at/8] &^= 0x80 >> (at % 8)
			if uint64(value)>>(int64(f.width)-1-i)&1 != 0 {
				want[at/8] |= 0x80 >> (at % 8)
			}
		}
		f.put(b, value)
		if !bytes.Equal(b, want) {
			t.Fatalf("%+v = %d: %x, want %x", f, value, b, want)
		}
		if have := f.get(b); have != value {
			t.Fatalf("%+v reads %d, want %d", f, have, value)
		}
		short := b[:r.IntN(len(b)+1)]
		padded := append(bytes.Clone(short), make([]byte, 64)...)
		if have, want := f.get(short), f.get(padded); have != want {
			t.Fatalf("%+v beyond the end reads %d, want %d", f, have, want)
		}
	}
}

// The sums are compared with arithmetic that has no limits.
func TestFieldOverflow(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	number := func() int64 {
		if r.IntN(10) == 0 {
			return math.MinInt64 + r.Int64N(300) // where Redis' arithmetic runs over
		}
		return int64(r.Uint64()) >> r.UintN(64)
	}
	for range 100000 {
		f := someField(r, 8)
		was := f.cut(number())
		s := step{field: f, kind: stepSet + stepKind(r.IntN(2)), value: number(), overflow: overflow(r.IntN(3))}
		exact := new(big.Int)
		switch {
		case s.kind == stepAdd:
			exact.Add(big.NewInt(was), big.NewInt(s.value))
		case f.signed:
			exact.SetInt64(s.value)
		default:
			exact.SetUint64(uint64(s.value))
		}
		span := new(big.Int).Lsh(big.NewInt(1), f.width)
		low, high := new(big.Int), new(big.Int).Sub(span, big.NewInt(1))
		if f.signed {
			half := new(big.Int).Lsh(big.NewInt(1), f.width-1)
			low.Neg(half)
			high.Sub(half, big.NewInt(1))
		}
		want, ok := new(big.Int).Set(exact), true
		// A number to set that is this small counts as too large; see field.sum.
		folded := f.signed && f.width < 64 && s.kind == stepSet && s.value < math.MinInt64+high.Int64()+1
		if exact.Cmp(low) < 0 || exact.Cmp(high) > 0 {
			switch s.overflow {
			case wrap:
				want.Sub(want, low).Mod(want, span).Add(want, low)
			case saturate:
				want.Set(high)
				if exact.Cmp(low) < 0 && !folded {
					want.Set(low)
				}
			case fail:
				ok = false
			}
		}
		now, reply, haveOK := s.result(was)
		if haveOK != ok || ok && now != want.Int64() {
			t.Fatalf("%+v from %d: %d %v, want %v %v", s, was, now, haveOK, want, ok)
		}
		if ok && s.kind == stepSet && reply != was || ok && s.kind == stepAdd && reply != now {
			t.Fatalf("%+v from %d replies %d", s, was, reply)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	bits := make([]byte, 1<<20)
	b.SetBytes(int64(len(bits)))
	for b.Loop() {
		countBits(bits)
	}
}

func BenchmarkCombine(b *testing.B) {
	sources := [][]byte{make([]byte, 1<<20), make([]byte, 1<<20), make([]byte, 1<<20)}
	out := make([]byte, 1<<20)
	for op, name := range []string{"AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(out)))
			for b.Loop() {
				combine(operation(op), out, sources)
			}
		})
	}
}
