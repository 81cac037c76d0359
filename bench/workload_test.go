package bench

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hyperkv/resp"
)

func TestParseMix(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		ops, err := ParseMix(text)
		got := Workload{Ops: ops}.describe()
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != want {
			t.Errorf("ParseMix(%q) = %q, want %q", text, got, want)
		}
	}
	f("get:70,set:30", "get:70,set:30")
	f("GET: 1, Set :2", "get:1,set:2")
	f("ping", "ping")
	f("get:0,set:1", `error: mix "get:0,set:1": "0" is not a weight`)
	f("get:x", `error: mix "get:x": "x" is not a weight`)
	f("got:1", `error: mix "got:1": unknown test "got"`)
	f("", `error: mix "": unknown test ""`)
}

func TestParseRange(t *testing.T) {
	f := func(text string, low, high int, ok bool) {
		t.Helper()
		gotLow, gotHigh, err := ParseRange(text)
		if ok != (err == nil) || ok && (gotLow != low || gotHigh != high) {
			t.Errorf("ParseRange(%q) = %d, %d, %v", text, gotLow, gotHigh, err)
		}
	}
	f("32", 32, 32, true)
	f("10-100", 10, 100, true)
	f("100-10", 0, 0, false)
	f("-5", 0, 0, false)
	f("", 0, 0, false)
}

func TestSplitWords(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got, err := splitWords(text)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("splitWords(%q) = %q, %v", text, got, err)
		}
	}
	f(`SET  a 'b c'`, "SET", "a", "b c")
	f(`SET a "x\"y" ""`, "SET", "a", `x"y`, "")
	if _, err := splitWords(`SET 'a`); err == nil {
		t.Error("unbalanced quotes were accepted")
	}
}

func rendererFor(t *testing.T, w Workload) *renderer {
	t.Helper()
	w = w.withDefaults()
	if err := w.validate(); err != nil {
		t.Fatal(err)
	}
	r, err := newRenderer(w, newDataPool(w.DataMax, w.Seed), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTemplatesRenderWholeCommands(t *testing.T) {
	f := func(command string, keys Keys, itemsPerKey int, want ...string) {
		t.Helper()
		op, err := Template(command, 1)
		if err != nil {
			t.Fatal(err)
		}
		keys.Pattern = Sequential
		r := rendererFor(t, Workload{Ops: []Op{op}, Keys: keys, DataMin: 1, DataMax: 1, ItemsPerKey: itemsPerKey})
		for i := range r.pool {
			r.pool[i] = 'v'
		}
		for _, line := range want {
			var args [][]byte
			for word := range strings.SplitSeq(line, " ") {
				args = append(args, []byte(word))
			}
			if got, want := string(r.render(nil, 0)), string(resp.AppendCommand(nil, args...)); got != want {
				t.Errorf("%s:\n got %q\nwant %q", command, got, want)
			}
		}
	}
	f("SET __key__ __data__", Keys{Count: 3}, 1, "SET key:000000000000 v", "SET key:000000000001 v", "SET key:000000000002 v", "SET key:000000000000 v")
	f("SET __key__ __int__", Keys{Count: 12, Size: 6}, 1, "SET key:00 1000000000", "SET key:01 1000000001")
	f("HSET __key__ __field__ __data__", Keys{Count: 100, Prefix: "h", Size: 3}, 2,
		"HSET h00 field:000000000000 v", "HSET h00 field:000000000001 v", "HSET h01 field:000000000002 v")
	f("HSET h __field__ __int__", Keys{Count: 3}, 1, "HSET h field:000000000000 1000000000", "HSET h field:000000000001 1000000001")
	f("SADD s e:__rand_int__", Keys{Count: 2}, 1, "SADD s e:000000000000", "SADD s e:000000000001")
	f("MSET a__key__b __data__ __key__ x__data__x", Keys{Count: 9, Size: 5}, 1, "MSET akey:0b v key:1 xvx")
}

func TestDataOfVaryingSize(t *testing.T) {
	r := rendererFor(t, Workload{Ops: []Op{mustOp("mset", 1)}, DataMin: 0, DataMax: 20, Keys: Keys{Count: 1000}})
	sizes := map[int]bool{}
	for range 500 {
		request := r.render(nil, 0)
		if n, err := resp.SkipValue(request); err != nil || n != len(request) {
			t.Fatalf("%q: SkipValue = %d, %v", request, n, err)
		}
		sizes[len(request)] = true
	}
	if len(sizes) < 20 {
		t.Errorf("only %d different request sizes", len(sizes))
	}
}

func TestRefusedWorkloads(t *testing.T) {
	f := func(w Workload) {
		t.Helper()
		if _, err := Run(t.Context(), Target{Network: "tcp", Address: "127.0.0.1:1"}, w); err == nil || strings.Contains(err.Error(), "dial") {
			t.Errorf("%+v: %v", w, err)
		}
	}
	f(Workload{Keys: Keys{Count: 1000, Size: 6}})
	f(Workload{Keys: Keys{Pattern: "spiral"}})
	f(Workload{Pipeline: -1})
	f(Workload{Connections: connectionsMax + 1})
	f(Workload{DataMin: 5, DataMax: 4})
	f(Workload{Rate: -1})
	f(Workload{Ops: []Op{{Name: "get", Args: []string{"GET"}}}})
	f(Workload{Ops: []Op{{Name: "x", Weight: 1, Args: []string{"SET", "a", "x__data__"}}}, DataMin: 1, DataMax: 2})
	f(Workload{Keys: Keys{Pattern: Gaussian, Count: 10, Median: 11}})
}

func TestSequentialKeysAreVisitedOnce(t *testing.T) {
	f := func(count uint64, parts int) {
		t.Helper()
		seen := make([]int, count)
		for part := range parts {
			first, limit := share(count, part, parts), share(count, part+1, parts)
			p := newPicker(Keys{Pattern: Sequential, Count: count}.withDefaults(), 1, part, parts)
			for range limit - first {
				seen[p.next()]++
			}
		}
		for key, n := range seen {
			if n != 1 {
				t.Fatalf("%d keys in %d parts: key %d visited %d times", count, parts, key, n)
			}
		}
	}
	f(1, 1)
	f(10, 3)
	f(1000, 7)
	f(2, 5)
}

func TestUniformKeysSpreadEvenly(t *testing.T) {
	p := newPicker(Keys{Pattern: Uniform, Count: 10}.withDefaults(), 7, 0, 1)
	var seen [10]int
	for range 100_000 {
		seen[p.next()]++
	}
	for key, n := range seen {
		if n < 9_500 || n > 10_500 {
			t.Errorf("key %d drawn %d times of 100000", key, n)
		}
	}
}

func TestZipfFollowsItsLaw(t *testing.T) {
	f := func(exponent float64) {
		t.Helper()
		const keys, draws = 1000, 400_000
		p := newPicker(Keys{Pattern: Zipf, Count: keys, Exponent: exponent}.withDefaults(), 3, 0, 1)
		var seen [keys]float64
		for range draws {
			seen[p.next()]++
		}
		norm := 0.0
		for rank := 1; rank <= keys; rank++ {
			norm += math.Pow(float64(rank), -exponent)
		}
		for _, rank := range []int{1, 2, 3, 10, 50} {
			want := draws * math.Pow(float64(rank), -exponent) / norm
			if got := seen[rank-1]; math.Abs(got-want) > 6*math.Sqrt(want) {
				t.Errorf("exponent %v: rank %d drawn %.0f times, want about %.0f", exponent, rank, got, want)
			}
		}
	}
	f(0.5)
	f(0.99)
	f(1)
	f(1.5)
}

func TestGaussianKeysFollowTheBell(t *testing.T) {
	const draws = 100_000
	p := newPicker(Keys{Pattern: Gaussian, Count: 10_000, Median: 4000, Stddev: 500}.withDefaults(), 3, 0, 1)
	sum, squares := 0.0, 0.0
	for range draws {
		x := float64(p.next())
		sum += x
		squares += x * x
	}
	mean := sum / draws
	deviation := math.Sqrt(squares/draws - mean*mean)
	if math.Abs(mean-4000) > 10 || math.Abs(deviation-500) > 10 {
		t.Errorf("mean %.1f, deviation %.1f", mean, deviation)
	}
}

func TestMixKeepsItsWeights(t *testing.T) {
	ops, err := ParseMix("get:70,set:29,del:1")
	if err != nil {
		t.Fatal(err)
	}
	r := rendererFor(t, Workload{Ops: ops})
	var seen [3]float64
	for range 100_000 {
		seen[r.choose()]++
	}
	for i, want := range []float64{70_000, 29_000, 1_000} {
		if math.Abs(seen[i]-want) > 6*math.Sqrt(want) {
			t.Errorf("op %d chosen %.0f times, want about %.0f", i, seen[i], want)
		}
	}
}

func TestRenderingDoesNotAllocate(t *testing.T) {
	for _, dataMax := range []int{32, 64} { // fixed and varying
		r := rendererFor(t, Workload{Ops: []Op{mustOp("get", 1), mustOp("set", 1)}, Keys: Keys{Count: 1 << 20}, DataMin: 32, DataMax: dataMax})
		buf := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(1000, func() { buf = r.render(buf[:0], r.choose()) }); n != 0 {
			t.Errorf("data up to %d: %v allocations per request", dataMax, n)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	for _, pattern := range []Pattern{Uniform, Sequential, Zipf, Gaussian} {
		b.Run(string(pattern), func(b *testing.B) {
			w := Workload{Ops: []Op{mustOp("set", 1)}, Keys: Keys{Count: 1_000_000, Pattern: pattern}}.withDefaults()
			r, err := newRenderer(w, newDataPool(w.DataMax, 1), 0)
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, 1024)
			for b.Loop() {
				buf = r.render(buf[:0], 0)
			}
		})
	}
}
