package hyperloglog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSelfTest(t *testing.T) {
	if err := selfTest(); err != nil {
		t.Fatal(err)
	}
}

func TestMurmur(t *testing.T) {
	// What Redis hashes to is in the transcripts of PFDEBUG DECODE.
	if have := murmur64A(nil, 0); have != 0 {
		t.Errorf("nothing: %#x", have)
	}
	for n := range 20 {
		// Every byte matters, wherever it stands.
		b := bytes.Repeat([]byte{'a'}, n+1)
		was := murmur64A(b, hashSeed)
		for i := range b {
			b[i] ^= 0x80
			if murmur64A(b, hashSeed) == was {
				t.Errorf("byte %d of %d does not matter", i, n+1)
			}
			b[i] ^= 0x80
		}
	}
}

// slow is a sketch as the documentation explains it.
type slow table

func (m *slow) raise(register int, value uint8) outcome {
	if m[register] >= value {
		return unchanged
	}
	m[register] = value
	return changed
}

// check compares a sketch with the model and with itself in the other encoding.
func check(t *testing.T, w *writer, m *slow) {
	t.Helper()
	var have table
	if !have.include(w.sketch) {
		t.Fatalf("corrupted: %s", w.describe())
	}
	if have != table(*m) {
		t.Fatal("registers differ")
	}
	var h, want histogram
	have.count(&h)
	for _, value := range m {
		want[value]++
	}
	if h != want {
		t.Fatalf("histogram %v, want %v", h, want)
	}
	n, ok := w.cardinality()
	if !ok || n != h.estimate() {
		t.Fatalf("cardinality %d %v, want %d", n, ok, h.estimate())
	}
	d, ok := w.densified()
	if !ok || len(d) != denseBytes {
		t.Fatal("not densified")
	}
	for i, value := range m {
		if d.register(i) != value {
			t.Fatalf("register %d is %d, want %d", i, d.register(i), value)
		}
	}
	if other, _ := d.cardinality(); other != n {
		t.Fatalf("dense %d, sparse %d", other, n)
	}
}

func TestWriter(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := writer{sketch: emptySketch(nil), sparseBytesMax: []int{0, 20, 100, 500, 3000, 20000}[r.IntN(6)]}
			m := new(slow)
			near := r.IntN(2) == 0 // so that runs meet
			steps := 1 + r.IntN(4000)
			for i := range steps {
				register, value := r.IntN(registers), uint8(1+r.IntN(4))
				if near {
					register = r.IntN(300)
				}
				if r.IntN(2000) == 0 {
					value = uint8(30 + r.IntN(22))
				}
				if have, want := w.raise(register, value), m.raise(register, value); have != want {
					t.Fatalf("step %d: %d, want %d", i, have, want)
				}
				if !w.dense() && len(w.sketch) > max(w.sparseBytesMax, headerBytes+2) {
					t.Fatalf("%d sparse bytes of %d", len(w.sketch), w.sparseBytesMax)
				}
				if i%500 == 0 {
					check(t, &w, m)
				}
			}
			check(t, &w, m)
		})
	}
}

// Registers in ascending order are found faster, and give the same bytes.
func TestAscending(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		base := writer{sketch: emptySketch(nil), sparseBytesMax: 20000}
		for range r.IntN(300) {
			base.raise(r.IntN(600), uint8(1+r.IntN(3)))
		}
		fast := writer{sketch: slices.Clone(base.sketch), sparseBytesMax: 20000}
		plain := sketch(slices.Clone(base.sketch))
		for register := range 600 {
			if r.IntN(3) == 0 {
				continue
			}
			value := uint8(1 + r.IntN(3))
			fresh := writer{sketch: plain, sparseBytesMax: 20000}
			if have, want := fast.raise(register, value), fresh.raise(register, value); have != want {
				t.Fatalf("seed %d, register %d: %d, want %d", seed, register, have, want)
			}
			plain = fresh.sketch
			if !bytes.Equal(fast.sketch, plain) {
				t.Fatalf("seed %d, register %d:\n%s\nwant\n%s", seed, register, fast.describe(), plain.describe())
			}
		}
	}
}

func TestDenseRegisters(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var want table
	for i := range want {
		want[i] = uint8(r.IntN(valueMax + 1))
	}
	s := want.denseOf(emptySketch(nil))
	for i, value := range want {
		if s.register(i) != value {
			t.Fatalf("register %d is %d, want %d", i, s.register(i), value)
		}
	}
	for range 20000 {
		i, value := r.IntN(registers), uint8(r.IntN(valueMax+1))
		s.setRegister(i, value)
		want[i] = value
	}
	var have table
	if have.include(s); have != want {
		t.Fatal("registers differ")
	}
}

// Whatever the bytes are, nothing panics, and what is accepted is whole.
func FuzzSketch(f *testing.F) {
	w := writer{sketch: emptySketch(nil), sparseBytesMax: 3000}
	f.Add([]byte(w.sketch[headerBytes:]), "a")
	for i := range 50 {
		w.raise(place([]byte{byte(i)}))
	}
	f.Add([]byte(w.sketch[headerBytes:]), "b")
	f.Add([]byte{0x7f}, "c")
	f.Add([]byte{0xff, 0x40}, "")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, ops []byte, element string) {
		s := append(emptySketch(nil)[:headerBytes], ops...)
		var h table
		whole := h.include(s)
		if n, ok := s.cardinality(); ok != whole {
			t.Fatalf("counts %d: %v, merges: %v", n, ok, whole)
		}
		if _, ok := s.densified(); ok != whole {
			t.Fatalf("densifies: %v, merges: %v", ok, whole)
		}
		s.describe()
		register, value := place([]byte(element))
		for _, limit := range []int{0, 3000} {
			w := writer{sketch: slices.Clone(s), sparseBytesMax: limit}
			result := w.raise(register, value)
			var after table
			switch ok := after.include(w.sketch); {
			case ok != whole:
				t.Fatalf("whole before: %v, after: %v", whole, ok)
			case !whole:
			case result == corrupted:
				t.Fatal("a whole sketch is called corrupted")
			case after[register] < value:
				t.Fatalf("register %d is %d after %d", register, after[register], value)
			}
		}
	})
}
