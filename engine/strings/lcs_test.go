package strings

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The walk over one bit per pair finds what a whole table of lengths says, and
// takes the same way through it as Redis.
func TestLCSAgainstTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() []byte {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = 'a' + byte(r.IntN(4))
		}
		return b
	}
	for range 2000 {
		a, b := text(), text()
		lengths := make([][]int, len(a)+1)
		for i := range lengths {
			lengths[i] = make([]int, len(b)+1)
			for j := range lengths[i] {
				switch {
				case i == 0 || j == 0:
				case a[i-1] == b[j-1]:
					lengths[i][j] = lengths[i-1][j-1] + 1
				default:
					lengths[i][j] = max(lengths[i-1][j], lengths[i][j-1])
				}
			}
		}
		var want []byte
		for i, j := len(a), len(b); i > 0 && j > 0; {
			switch {
			case a[i-1] == b[j-1]:
				want = append(want, a[i-1])
				i, j = i-1, j-1
			case lengths[i-1][j] > lengths[i][j-1]:
				i--
			default:
				j--
			}
		}
		for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
			want[i], want[j] = want[j], want[i]
		}
		table := newLCSTable(a, b, true)
		if have := table.sequence(); !bytes.Equal(have, want) || table.length != len(want) {
			t.Fatalf("%s and %s: %s of %d, want %s", a, b, have, table.length, want)
		}
		total := 0
		table.stretches(func(at, bt, n int) {
			total += n
			if !bytes.Equal(a[at:at+n], b[bt:bt+n]) {
				t.Fatalf("%s and %s: %d at %d and %d are not alike", a, b, n, at, bt)
			}
		})
		if total != len(want) {
			t.Fatalf("%s and %s: the stretches have %d of %d", a, b, total, len(want))
		}
		if short := newLCSTable(a, b, false); short.length != len(want) {
			t.Fatalf("%s and %s: length alone is %d", a, b, short.length)
		}
	}
}

func BenchmarkLCS(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	x, y := make([]byte, 2000), make([]byte, 2000)
	for i := range x {
		x[i], y[i] = byte(r.IntN(8)), byte(r.IntN(8))
	}
	for b.Loop() {
		newLCSTable(x, y, true).sequence()
	}
}
