package ds

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

func contents(a *Arena, ref Ref, n int) []byte {
	return unsafe.Slice((*byte)(a.At(ref)), n)
}

// TestArenaAgainstAModel allocates, resizes, moves and frees at random; every
// object keeps its bytes, and the counters agree with a walk.
func TestArenaAgainstAModel(t *testing.T) {
	mapped := MappedBytes()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		var a Arena
		type object struct {
			n    int
			fill byte
		}
		live := map[Ref]object{}
		refs := []Ref{}
		fill := func(ref Ref, o object) {
			b := contents(&a, ref, o.n)
			for i := range b {
				b[i] = o.fill
			}
		}
		intact := func(ref Ref, o object) {
			if !bytes.Equal(contents(&a, ref, o.n), bytes.Repeat([]byte{o.fill}, o.n)) {
				t.Fatalf("seed %d: an object of %d bytes was overwritten", seed, o.n)
			}
		}
		size := func() int {
			switch r.IntN(20) {
			case 0:
				return 1 + r.IntN(300_000)
			case 1:
				return 1 + r.IntN(40_000)
			}
			return 1 + r.IntN(700)
		}
		for step := range 30_000 {
			grow := step/5000%2 == 0
			switch op := r.IntN(10); {
			case len(refs) == 0 || op < 4 || grow && op < 7:
				o := object{size(), byte(step)}
				ref := a.Alloc(o.n)
				if ref == 0 || !a.Live(ref) || a.Room(ref) < o.n || a.Occupied(ref) < o.n {
					t.Fatalf("a bad reference %x", ref)
				}
				if _, taken := live[ref]; taken {
					t.Fatalf("%x is handed out twice", ref)
				}
				live[ref] = o
				refs = append(refs, ref)
				fill(ref, o)
			case op == 9 && step%100 == 0:
				a.Compact(r.IntN(300), func(from Ref) {
					o, ok := live[from]
					if !ok {
						t.Fatalf("%x moves and is not live", from)
					}
					to := a.Alloc(o.n)
					copy(contents(&a, to, o.n), contents(&a, from, o.n))
					delete(live, from)
					live[to] = o
					for i := range refs {
						if refs[i] == from {
							refs[i] = to
						}
					}
					a.Free(from, o.n)
				})
			default:
				i := r.IntN(len(refs))
				ref := refs[i]
				o := live[ref]
				intact(ref, o)
				if op == 8 {
					if n := size(); a.Resize(ref, o.n, n) {
						intact(ref, object{min(n, o.n), o.fill})
						o.n = n
						live[ref] = o
						fill(ref, o)
					}
					continue
				}
				a.Free(ref, o.n)
				if a.Live(ref) {
					t.Fatalf("%x lives on", ref)
				}
				delete(live, ref)
				refs[i] = refs[len(refs)-1]
				refs = refs[:len(refs)-1]
			}
			if step%5000 == 0 {
				a.Check()
			}
		}
		a.Check()
		for ref, o := range live {
			intact(ref, o)
			a.Free(ref, o.n)
		}
		a.Check()
		if a.Bytes() != 0 {
			t.Fatalf("empty, and it counts %+v", a.Stats())
		}
		a.Compact(1, func(Ref) { t.Fatal("nothing is there to move") })
		if s := a.Stats(); s != (ArenaStats{}) {
			t.Fatalf("empty and compacted, it counts %+v", s)
		}
		a.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); MappedBytes() != mapped; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) { // long runs go back on another goroutine
			t.Fatalf("%d bytes of address space were lost", MappedBytes()-mapped)
		}
	}
}

// A wrong reference must stop the process, not read what is not the arena's.
func TestBadReferencesPanic(t *testing.T) {
	var a Arena
	defer a.Close()
	ref := a.Alloc(100)
	large := a.Alloc(100_000)
	a.Free(large, 100_000)
	for name, f := range map[string]func(){
		"nil":          func() { a.At(0) },
		"slab":         func() { a.At(ref + 5<<slotBits) },
		"slot":         func() { a.At(ref | slotMask) },
		"large":        func() { a.At(largeFlag | 77) },
		"freed large":  func() { a.At(large) },
		"freed twice":  func() { r := a.Alloc(8); a.Alloc(8); a.Free(r, 8); a.Free(r, 8) },
		"freed beyond": func() { a.Free(ref|slotMask, 100) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestRuns takes and returns runs of all sizes at random.
func TestRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	type run struct{ addr, n uintptr }
	var p pageSource
	var runs []run
	for range 5000 {
		if len(runs) == 0 || r.IntN(5) < 3 && len(runs) < 300 {
			n := uintptr(1 + r.IntN(1<<uint(10+r.IntN(13))))
			addr := p.alloc(n)
			b := unsafe.Slice((*byte)(pointer(addr)), n)
			if b[0] != 0 || b[n-1] != 0 {
				t.Fatal("a run is not zeroed")
			}
			b[0], b[n-1] = 1, 1
			runs = append(runs, run{addr, n})
			continue
		}
		i := r.IntN(len(runs))
		p.releaseNow(freed{runs[i].addr, runBytes(runs[i].n), runs[i].n > runBytesMax})
		runs[i] = runs[len(runs)-1]
		runs = runs[:len(runs)-1]
	}
	for i, a := range runs {
		for _, b := range runs[:i] {
			if a.addr < b.addr+b.n && b.addr < a.addr+a.n {
				t.Fatal("runs overlap")
			}
		}
	}
	for _, a := range runs {
		p.releaseNow(freed{a.addr, runBytes(a.n), a.n > runBytesMax})
	}
	if p.mapped.Load() != 0 || len(p.regions) != 0 {
		t.Fatalf("%d bytes and %d regions are left", p.mapped.Load(), len(p.regions))
	}
}
