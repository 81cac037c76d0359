package object

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard/ds"
)

// listHome is a Home that moves its root whenever it can, and notes changes.
type listHome struct {
	root     []byte
	encoding Encoding
	arena    ds.Arena
	changes  int
}

func newListHome(l *Limits) *listHome {
	h := &listHome{}
	encoding, root := EmptyList(l)
	h.encoding, h.root = encoding, slices.Clone(root)
	return h
}

func (h *listHome) Change()                 { h.changes++ }
func (h *listHome) Encoding() Encoding      { return h.encoding }
func (h *listHome) SetEncoding(e Encoding)  { h.encoding = e }
func (h *listHome) Root() []byte            { return h.root }
func (h *listHome) Nodes() *ds.Arena        { return &h.arena }
func (h *listHome) MemberDeadline() int64   { return 0 }
func (h *listHome) SetMemberDeadline(int64) {}
func (h *listHome) Resize(n int) []byte {
	root := make([]byte, n)
	copy(root, h.root)
	clear(h.root)
	h.root = root
	return root
}

// check walks the list and panics on a broken invariant.
func (l *ListView) check() {
	entries := func(run []byte, count int) {
		invariant.Assert(entryAt(run, count, count) == len(run), "a run is not as long as its entries")
		end, ends := 0, []int{}
		for n := 0; end < len(run); n++ {
			ends = append(ends, end)
			end += entryLen(run[end:])
		}
		invariant.Assert(len(ends) == count, "a run counts wrongly")
		for i := len(ends) - 1; i >= 0; i-- {
			end = entryBefore(run, end)
			invariant.Assert(end == ends[i], "backwards is another way")
		}
	}
	root := l.home.Root()
	if l.packed {
		invariant.Assert(l.home.Encoding() == Listpack, "a packed list has another encoding")
		entries(root[listFirst(root[2:]):], l.Len())
		return
	}
	invariant.Assert(l.home.Encoding() == Quicklist && len(root) == TreeStateBytes, "a tree with another root")
	invariant.Assert(LoadTree(l.home.Nodes(), root) == l.tree, "the state is not what was saved")
	l.tree.check(func(ref ds.Ref, key Key, count int) {
		if r := l.leafRun(ref); r.size > 0 {
			invariant.Assert(len(r.bytes) == count*r.size && count >= plainMin && r.entriesBytes(count) <= listLeafMax, "a plain leaf counts wrongly")
			entries(r.appendEntries(nil), count)
			return
		}
		run := l.run(ref)
		invariant.Assert(key == Key{}, "a leaf of a list has a key")
		invariant.Assert(len(run) <= listLeafMax && l.room(ref) <= listLeafRoom || count == 1, "a leaf is too large")
		invariant.Assert(count > 0, "an empty leaf")
		entries(run, count)
	})
}

func listTexts(l *ListView) (all []string) {
	l.Each(0, l.Len(), func(e Element) bool {
		all = append(all, string(e.Append(nil)))
		return true
	})
	return all
}

// A ListView against a slice of strings.
func TestListModel(t *testing.T) {
	limits := map[string]Limits{
		"8KiB": {ListListpackSize: -2}, "64KiB": {ListListpackSize: -9}, "four": {ListListpackSize: 4},
		"none": {ListListpackSize: 0}, "many": {ListListpackSize: 1000},
	}
	for name, limit := range limits {
		for seed := range uint64(5) {
			t.Run(fmt.Sprint(name, " ", seed), func(t *testing.T) { listModel(t, &limit, seed, false) })
			t.Run(fmt.Sprint(name, " ", seed, " even"), func(t *testing.T) { listModel(t, &limit, seed, true) })
		}
	}
}

// listModel is one such comparison; with even, nearly all elements are of one length.
func listModel(t *testing.T, limits *Limits, seed uint64, even bool) {
	r := rand.New(rand.NewPCG(seed, 7))
	h := newListHome(limits)
	defer h.arena.Close()
	var model []string
	text := func() string {
		if even && r.IntN(400) > 0 {
			return fmt.Sprintf("%c%0*d", 'a'+r.IntN(3), 10+10*seed, r.IntN(50))
		}
		switch r.IntN(40) {
		case 0:
			return strings.Repeat("x", r.IntN(3000))
		case 1:
			if seed%2 == 0 && r.IntN(10) == 0 {
				return strings.Repeat("y", r.IntN(100_000))
			}
			return ""
		case 2, 3, 4, 5, 6:
			return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
		default:
			return strings.Repeat("z", 1+r.IntN(1<<r.IntN(8)))
		}
	}
	size := 1 << (3 + 2*seed) // around which the length goes up and down
	steps := 3000
	for step := range steps {
		l := ListOf(h, limits)
		if l.Len() != len(model) {
			t.Fatalf("step %d: length %d, want %d", step, l.Len(), len(model))
		}
		changes := h.changes
		changed := true
		what := ""
		grow := len(model) < size && step < steps*3/4
		switch op := r.IntN(20); {
		case len(model) == 0 || grow && op < 6 || op < 2:
			front := r.IntN(2) == 0
			var texts [][]byte
			for range 1 + r.IntN(1+size/40) {
				s := text()
				texts = append(texts, []byte(s))
				if front {
					model = slices.Insert(model, 0, s)
				} else {
					model = append(model, s)
				}
			}
			what = fmt.Sprint("push ", len(texts), front)
			if len(texts) == 1 && front {
				l.PushFront(ElementOf(texts[0]))
			} else if len(texts) == 1 {
				l.PushBack(ElementOf(texts[0]))
			} else {
				l.Push(texts, front)
			}
		case op < 8:
			at := r.IntN(len(model) + 1)
			s := text()
			what = fmt.Sprint("insert ", at)
			l.Insert(at, ElementOf([]byte(s)))
			model = slices.Insert(model, at, s)
		case op < 11:
			at := r.IntN(len(model))
			s := text()
			what = fmt.Sprint("set ", at)
			l.Set(at, ElementOf([]byte(s)))
			model[at] = s
		case op < 14:
			n := 1 + r.IntN(max(len(model)/20, 1))
			what = fmt.Sprint("pop ", n)
			if r.IntN(2) == 0 {
				if n == 1 {
					l.PopFront()
				} else {
					l.Remove(0, n)
				}
				model = model[n:]
			} else {
				if n == 1 {
					l.PopBack()
				} else {
					l.Remove(len(model)-n, n)
				}
				model = model[:len(model)-n]
			}
		case op < 16:
			from := r.IntN(len(model))
			n := r.IntN(min(len(model)-from, 1+len(model)/8) + 1)
			what = fmt.Sprint("remove ", from, " ", n)
			l.Remove(from, n)
			model = slices.Delete(model, from, from+n)
			changed = n > 0
		case op == 16:
			from := r.IntN(1 + len(model)/8)
			to := len(model) - r.IntN(1+len(model)/8)
			if step == steps/2 {
				to = min(len(model), from+20)
			}
			from = min(from, to)
			what = fmt.Sprint("trim ", from, " ", to)
			l.Trim(from, to)
			changed = from > 0 || to < len(model)
			model = model[from:to]
		default:
			s := model[r.IntN(len(model))]
			if r.IntN(3) == 0 {
				s = text()
			}
			limit := 1 + r.IntN(3)
			if r.IntN(2) == 0 {
				limit = len(model)
			}
			back := r.IntN(2) == 0
			what = fmt.Sprint("remove equal ", limit, back)
			got, want := l.RemoveEqual(ElementOf([]byte(s)), limit, back), 0
			for want < limit {
				at := slices.Index(model, s)
				if back {
					for at = len(model) - 1; at >= 0 && model[at] != s; at-- {
					}
				}
				if at < 0 {
					break
				}
				model = slices.Delete(model, at, at+1)
				want++
			}
			if got != want {
				t.Fatalf("step %d: %s removed %d, want %d", step, what, got, want)
			}
			changed = want > 0
		}
		if changed != (h.changes > changes) {
			t.Fatalf("step %d: %s: changed is %v", step, what, !changed)
		}
		fresh := ListOf(h, limits)
		if step%17 == 0 || len(model) < 50 {
			fresh.check()
			if got := listTexts(&fresh); !slices.Equal(got, model) {
				t.Fatalf("step %d: after %s %d elements differ", step, what, len(model))
			}
		}
		if len(model) > 0 {
			listReads(t, r, &fresh, model)
		} else if r.IntN(2) == 0 {
			// The key would go.
			if fresh.packed {
				h.encoding, h.root = Listpack, slices.Clone(emptyListRoot)
			}
		}
	}
	l := ListOf(h, limits)
	l.Remove(0, l.Len())
	if h.arena.Stats().Objects != 0 || h.arena.Bytes() != 0 {
		t.Fatalf("%d objects are left", h.arena.Stats().Objects)
	}
}

// listReads compares what a list shows with the model.
func listReads(t *testing.T, r *rand.Rand, l *ListView, model []string) {
	t.Helper()
	at := r.IntN(len(model))
	if got := string(l.Index(at).Append(nil)); got != model[at] {
		t.Fatalf("element %d is %.40q, want %.40q", at, got, model[at])
	}
	from := r.IntN(len(model) + 1)
	to := min(from+r.IntN(300), len(model))
	for _, back := range []bool{false, true} {
		want := slices.Clone(model[from:to])
		if back {
			slices.Reverse(want)
		}
		var got, texts resp.Writer
		l.Reply(&got, from, to, back)
		texts.BulkStrings(want...)
		if string(got.Buf) != string(texts.Buf) {
			t.Fatalf("elements %d to %d, back %v, differ", from, to, back)
		}
		var numbers, wanted []int
		e := ElementOf([]byte(model[at]))
		l.Find(e, from, to, back, func(number int) bool {
			numbers = append(numbers, number)
			return len(numbers) < 3
		})
		for i := range to - from {
			n := from + i
			if back {
				n = to - 1 - i
			}
			if model[n] == model[at] && len(wanted) < 3 {
				wanted = append(wanted, n)
			}
		}
		if !slices.Equal(numbers, wanted) {
			t.Fatalf("%.40q is at %v, want %v", model[at], numbers, wanted)
		}
	}
}

// Elements about as long as a leaf, at both ends and between, of lists that were
// and were not empty before.
func TestListLeafSizes(t *testing.T) {
	limits := Limits{ListListpackSize: 0}
	for n := 4070; n < 4110; n++ {
		for _, front := range []bool{false, true} {
			h := newListHome(&limits)
			l := ListOf(h, &limits)
			long, short := ElementOf(make([]byte, n)), ElementOf([]byte("x"))
			l.push(short, front)
			l.push(short, front) // a tree from here on
			l.Remove(0, 2)
			want := 0
			for _, e := range []Element{long, short, short, long, short, long, long} {
				l.push(e, front)
				want++
				l.check()
			}
			for at := range want {
				l.Insert(at*2, long)
				l.Insert(at*2, short)
				l.Set(at*2+1, short)
				l.check()
			}
			l.Set(0, long)
			l.Set(l.Len()-1, long)
			l.check()
			for l.Len() > 0 {
				l.pop(!front)
				l.check()
			}
			if h.arena.Stats().Objects != 0 {
				t.Fatalf("%d bytes: %d objects are left", n, h.arena.Stats().Objects)
			}
			h.arena.Close()
		}
	}
}

func TestListEntries(t *testing.T) {
	for _, n := range []int{0, 1, 62, 63, 64, 125, 126, 127, 4095, 4096, 16381, 16382, 16383, 1<<21 - 6, 1<<21 - 5, 1 << 21} {
		e := ElementOf(make([]byte, n))
		p := make([]byte, 3+e.entrySize())
		e.putEntry(p[3:])
		if entryLen(p[3:]) != len(p)-3 || entryBefore(p, len(p)) != 3 {
			t.Errorf("an entry of %d bytes is %d long, and begins at %d", n, entryLen(p[3:]), entryBefore(p, len(p)))
		}
	}
}

// A million elements cost two bytes each beyond their texts, and a little.
func TestListMemory(t *testing.T) {
	for _, front := range []bool{false, true} {
		for _, textBytes := range []int{3, 10, 100, 700, 1500} {
			h := newListHome(&DefaultLimits)
			l := ListOf(h, &DefaultLimits)
			n := 10_000_000 / textBytes
			n = min(n, 1_000_000)
			text := []byte(strings.Repeat("v", textBytes))
			for range n {
				l.push(ElementOf(text), front)
			}
			l.check()
			over := float64(l.tree.Bytes())/float64(n) - float64(textBytes)
			held := float64(h.arena.Stats().Touched+h.arena.Stats().Large)/float64(n) - float64(textBytes)
			t.Logf("front %v, %d bytes: %.2f beyond the text, %.2f with free slots", front, textBytes, over, held)
			if most := 2.25 + float64(textBytes)/16; over > most {
				t.Errorf("%.2f bytes per element beyond the text, at most %.2f are right", over, most)
			}
			h.arena.Close()
		}
	}
}

func BenchmarkList(b *testing.B) {
	const n = 1_000_000
	fill := func() (*listHome, *ListView) {
		h := newListHome(&DefaultLimits)
		l := ListOf(h, &DefaultLimits)
		for i := range n {
			l.PushBack(ElementOf([]byte(fmt.Sprintf("element%d", i%1000))))
		}
		return h, &l
	}
	text := []byte("an-element")
	run := func(name string, op func(h *listHome, i int)) {
		b.Run(name, func(b *testing.B) {
			h, _ := fill()
			defer h.arena.Close()
			b.ResetTimer()
			for i := range b.N {
				op(h, i)
			}
		})
	}
	run("LPUSH", func(h *listHome, _ int) {
		l := ListOf(h, &DefaultLimits)
		l.PushFront(ElementOf(text))
	})
	run("RPUSH", func(h *listHome, _ int) {
		l := ListOf(h, &DefaultLimits)
		l.PushBack(ElementOf(text))
	})
	run("RPUSH+LPOP", func(h *listHome, _ int) {
		l := ListOf(h, &DefaultLimits)
		l.PushBack(ElementOf(text))
		l = ListOf(h, &DefaultLimits)
		l.PopFront()
	})
	run("LPUSH+RPOP", func(h *listHome, _ int) {
		l := ListOf(h, &DefaultLimits)
		l.PushFront(ElementOf(text))
		l = ListOf(h, &DefaultLimits)
		l.PopBack()
	})
	run("LPUSH+LPOP", func(h *listHome, _ int) {
		l := ListOf(h, &DefaultLimits)
		l.PushFront(ElementOf(text))
		l = ListOf(h, &DefaultLimits)
		l.PopFront()
	})
	run("LINDEX", func(h *listHome, i int) {
		l := ListOf(h, &DefaultLimits)
		l.Index(i * 7919 % n)
	})
	run("LSET", func(h *listHome, i int) {
		l := ListOf(h, &DefaultLimits)
		l.Set(i*7919%n, ElementOf(text))
	})
	run("LPOS", func(h *listHome, _ int) { // of one that is far away
		l := ListOf(h, &DefaultLimits)
		l.Find(ElementOf(text), 0, 1000, false, func(int) bool { return false })
	})
	var w resp.Writer
	for _, count := range []int{100, 600} {
		run(fmt.Sprint("LRANGE", count), func(h *listHome, i int) {
			l := ListOf(h, &DefaultLimits)
			w.Reset()
			l.Reply(&w, 0, count, false)
		})
	}
}
