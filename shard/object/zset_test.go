package object

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// zsetHome is a home without a keyspace around it.
type zsetHome struct {
	encoding Encoding
	root     []byte
	arena    *ds.Arena
	changes  int
}

func (h *zsetHome) Change()                    { h.changes++ }
func (h *zsetHome) Encoding() Encoding         { return h.encoding }
func (h *zsetHome) SetEncoding(e Encoding)     { h.encoding = e }
func (h *zsetHome) Root() []byte               { return h.root }
func (h *zsetHome) Nodes() *ds.Arena           { return h.arena }
func (h *zsetHome) MemberDeadline() int64      { return 0 }
func (h *zsetHome) SetMemberDeadline(at int64) {}
func (h *zsetHome) Resize(n int) []byte {
	fresh := make([]byte, n)
	copy(fresh, h.root)
	for i := range h.root {
		h.root[i] = 0xee // as when a record has moved
	}
	h.root = fresh
	return fresh
}

// check walks the sorted set and panics on a broken invariant.
func (z *ZSetView) check() {
	count := 0
	var last Element
	lastScore := math.Inf(-1)
	hashes := map[[2]uint64]int{}
	visit := func(member Element, score float64) bool {
		invariant.Assert(score >= lastScore, "scores out of order")
		invariant.Assert(count == 0 || score > lastScore || last.Compare(member) < 0, "members out of order")
		last, lastScore = ElementOf(member.Append(nil)), score
		hashes[[2]uint64{uint64(memberHash(member.Append(nil))), orderedBits(score)}]++
		count++
		return true
	}
	if !z.large() {
		z.eachPacked(visit)
		invariant.Assert(count == z.Len(), "a packed sorted set counts wrongly")
		return
	}
	walk := func(t *Tree, items *leafItems, visit func(p []byte)) {
		t.check(func(ref ds.Ref, key Key, n int) {
			leaf := t.Leaf(ref)
			invariant.Assert(items.key(leaf) == key, "a leaf has another key")
			invariant.Assert(n == 1 || len(leaf) <= zsetLeafMax, "a leaf is too long")
			for ; len(leaf) > 0; n-- {
				visit(leaf)
				leaf = leaf[items.size(leaf):]
			}
			invariant.Assert(n == 0, "a leaf counts wrongly")
		})
	}
	walk(&z.byScore, &zsetByScore, func(p []byte) {
		member, score, _ := scoredAt(p)
		visit(member, score)
	})
	var before Key
	walk(&z.byMember, &zsetByMember, func(p []byte) {
		k := memberKey(p)
		invariant.Assert(!k.Less(before), "hashes out of order")
		before = k
		hashes[[2]uint64{k.Hi, k.Lo}]--
	})
	for _, n := range hashes {
		invariant.Assert(n == 0, "the trees do not have the same members")
	}
	twin := ZSetOf(z.home, z.limits)
	invariant.Assert(twin.byScore == z.byScore && twin.byMember == z.byMember, "the trees were not saved")
}

type modelScore struct {
	member string
	score  float64
}

func compareModel(a, b modelScore) int {
	return cmp.Or(cmp.Compare(a.score, b.score), strings.Compare(a.member, b.member))
}

// zsetModel is a sorted slice.
type zsetModel []modelScore

func (m zsetModel) find(member string) int {
	return slices.IndexFunc(m, func(s modelScore) bool { return s.member == member })
}

func (m *zsetModel) add(member string, score float64) {
	if i := m.find(member); i >= 0 {
		*m = slices.Delete(*m, i, i+1)
	}
	s := modelScore{member, score}
	i, _ := slices.BinarySearchFunc(*m, s, compareModel)
	*m = slices.Insert(*m, i, s)
}

func modelMemberName(r *rand.Rand) string {
	switch r.IntN(12) {
	case 0:
		return ""
	case 1:
		return strconv.Itoa(r.IntN(300) - 150)
	case 2:
		return strconv.FormatInt(int64(r.Uint64()>>r.IntN(64)), 10)
	case 3:
		return strings.Repeat("x", r.IntN(64)) // around the limit
	case 4:
		return "0" + strconv.Itoa(r.IntN(100))
	case 5:
		return strings.Repeat("a", 8+r.IntN(4)) + string(rune(r.IntN(256)))
	}
	return "member:" + strconv.Itoa(r.IntN(900))
}

var modelScores = []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 3.14, 1e300, -1e-300, math.Inf(1), math.Inf(-1),
	math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 1 << 62, 1 << 63, -1 << 63, 0.1, 99.99, 12345.6789}

func modelScoreValue(r *rand.Rand) float64 {
	switch r.IntN(4) {
	case 0:
		return modelScores[r.IntN(len(modelScores))]
	case 1:
		return r.NormFloat64()
	}
	return float64(r.IntN(12) - 6)
}

// A sorted set against a slice, under random changes, across its forms.
func TestSortedSetModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { modelSortedSet(t, seed) })
	}
}

func modelSortedSet(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	var arena ds.Arena
	defer arena.Close()
	limits := DefaultLimits
	if seed%4 == 3 {
		limits.ZSetListpackEntries = 0
	}
	h := &zsetHome{arena: &arena}
	h.encoding, h.root = EmptyZSet(&limits)
	var model zsetModel
	steps := 4000
	if testing.Short() {
		steps = 1500
	}
	for step := range steps {
		z := ZSetOf(h, &limits)
		before := h.changes
		switch op := r.IntN(20); {
		case op < 11 || len(model) == 0:
			member, score := modelMemberName(r), modelScoreValue(r)
			if seed%2 == 1 && r.IntN(200) == 0 {
				member = strings.Repeat("big", 1+r.IntN(2000))
			}
			if seed >= 6 {
				score = 1 // ties only
			}
			i := model.find(member)
			was, existed := z.Add([]byte(member), score)
			if existed != (i >= 0) || existed && was != model[i].score {
				t.Fatalf("step %d: Add(%.20q) says %v %v", step, member, was, existed)
			}
			if same := existed && was == score; same == (h.changes > before) {
				t.Fatalf("step %d: a change was told wrongly", step)
			}
			model.add(member, score)
		case op < 15:
			member := modelMemberName(r)
			if r.IntN(3) > 0 {
				member = model[r.IntN(len(model))].member
			}
			i := model.find(member)
			if z.Remove([]byte(member)) != (i >= 0) {
				t.Fatalf("step %d: Remove(%.20q) is wrong", step, member)
			}
			if (h.changes > before) != (i >= 0) {
				t.Fatalf("step %d: a change was told wrongly", step)
			}
			if i >= 0 {
				model = slices.Delete(model, i, i+1)
			}
		case op == 15 && r.IntN(4) == 0:
			from := r.IntN(len(model))
			to := min(from+r.IntN(60), len(model)-1)
			if r.IntN(30) == 0 {
				from, to = 0, len(model)-1
			}
			z.RemoveRange(from, to)
			model = slices.Delete(model, from, to+1)
		default:
			member := model[r.IntN(len(model))].member
			i := model.find(member)
			if rank, score, ok := z.Rank([]byte(member)); !ok || rank != i || score != model[i].score {
				t.Fatalf("step %d: Rank(%.20q) is %d %v %v, want %d %v", step, member, rank, score, ok, i, model[i].score)
			}
			if score, ok := z.Score([]byte(member)); !ok || score != model[i].score {
				t.Fatalf("step %d: Score(%.20q) is %v %v", step, member, score, ok)
			}
			checkRanges(t, r, &z, model)
		}
		if z.Len() != len(model) {
			t.Fatalf("step %d: %d members, want %d", step, z.Len(), len(model))
		}
		if step%61 == 0 || step == steps-1 {
			z.check()
			checkContents(t, &z, model)
		}
	}
	z := ZSetOf(h, &limits)
	if !z.large() && limits.ZSetListpackEntries < len(model) {
		t.Fatal("it should be large by now")
	}
	checkScan(t, &z, model)
	// Build the same at once, and copy it.
	var b ZSetBuilder
	for _, i := range r.Perm(len(model)) {
		b.Merge(ElementOf([]byte(model[i].member)), model[i].score-1, nil)
	}
	for _, i := range r.Perm(len(model)) {
		b.Merge(ElementOf([]byte(model[i].member)), 7, func(was, score float64) float64 {
			if was != model[i].score-1 || score != 7 {
				t.Fatal("combined what it should not")
			}
			return model[i].score
		})
	}
	twin := &zsetHome{arena: &arena}
	twin.encoding, twin.root = b.Root(&limits)
	b.Fill(twin, &limits)
	y := ZSetOf(twin, &limits)
	y.check()
	checkContents(t, &y, model)
	Copied(ZSet, h.encoding, h.root, &arena, &arena)
	original := z
	z = ZSetOf(h, &limits)
	z.check()
	checkContents(t, &z, model)
	for _, root := range []*zsetHome{h, twin} {
		if remains, any := Release(ZSet, root.encoding, root.root, &arena); any {
			for remains.Free(10) {
			}
		}
	}
	for original.byScore.FreeSome(10) || original.byMember.FreeSome(10) {
	}
	if arena.Stats().Objects != 0 {
		t.Fatalf("%d objects are left", arena.Stats().Objects)
	}
}

func checkContents(t *testing.T, z *ZSetView, model zsetModel) {
	t.Helper()
	i := 0
	z.Range(0, z.Len()-1, false, func(member Element, score float64) bool {
		if i >= len(model) || string(member.Append(nil)) != model[i].member || score != model[i].score {
			t.Fatalf("at rank %d there is %.20q %v", i, member.Append(nil), score)
		}
		if score == 0 && math.Signbit(score) {
			t.Fatal("zero has a sign")
		}
		i++
		return true
	})
	if i != len(model) {
		t.Fatalf("%d members, want %d", i, len(model))
	}
}

func checkRanges(t *testing.T, r *rand.Rand, z *ZSetView, model zsetModel) {
	t.Helper()
	low, high := modelScoreValue(r), modelScoreValue(r)
	o := ScoreRange{low, high, r.IntN(2) == 0, r.IntN(2) == 0}
	var want []string
	for _, s := range model {
		if (s.score > low || !o.MinOpen && s.score == low) && (s.score < high || !o.MaxOpen && s.score == high) {
			want = append(want, s.member)
		}
	}
	reverse := r.IntN(2) == 0
	if reverse {
		slices.Reverse(want)
	}
	stop := r.IntN(len(want) + 1)
	want = want[:min(len(want), stop+1)]
	var got []string
	z.RangeByScore(o, reverse, func(member Element, _ float64) bool {
		got = append(got, string(member.Append(nil)))
		return len(got) <= stop
	})
	if !slices.Equal(got, want) {
		t.Fatalf("range %v is %.40q, want %.40q", o, got, want)
	}
	if z.Len() == 0 || model[0].score != model[len(model)-1].score {
		return
	}
	a, b := modelMemberName(r), modelMemberName(r)
	x, y := LexBound{Text: []byte(a), Open: r.IntN(2) == 0}, LexBound{Text: []byte(b), Open: r.IntN(2) == 0}
	if r.IntN(6) == 0 {
		x.Infinite = r.IntN(3) - 1
	}
	if r.IntN(6) == 0 {
		y.Infinite = r.IntN(3) - 1
	}
	n := 0
	for _, s := range model {
		above := x.Infinite < 0 || x.Infinite == 0 && (s.member > a || !x.Open && s.member == a)
		below := y.Infinite > 0 || y.Infinite == 0 && (s.member < b || !y.Open && s.member == b)
		if above && below {
			n++
		}
	}
	if from, to := z.RanksByLex(x, y); max(0, to+1-from) != n {
		t.Fatalf("%v to %v are ranks %d to %d, want %d", x, y, from, to, n)
	}
}

func checkScan(t *testing.T, z *ZSetView, model zsetModel) {
	t.Helper()
	seen := map[string]float64{}
	for cursor := uint64(0); ; {
		cursor = z.Scan(cursor, 10, func(member Element, score float64) {
			seen[string(member.Append(nil))] = score
		})
		if cursor == 0 {
			break
		}
	}
	if len(seen) != len(model) {
		t.Fatalf("a scan saw %d members of %d", len(seen), len(model))
	}
	for _, s := range model {
		if score, ok := seen[s.member]; !ok || score != s.score {
			t.Fatalf("a scan saw %.20q with %v", s.member, score)
		}
	}
}

func TestPackedScores(t *testing.T) {
	f := func(score float64, packed int) {
		t.Helper()
		p := appendScore([]byte("x"), score)[1:]
		if len(p) != packed || packedScoreLen(p) != packed {
			t.Errorf("%v packs into %d bytes, want %d", score, len(p), packed)
		}
		if back, size := unpackScore(append(p, "behind"...)); back != score || size != packed {
			t.Errorf("%v comes back as %v of %d", score, back, size)
		}
		if back := scoreOfBits(orderedBits(score)); back != score {
			t.Errorf("%v comes back from its bits as %v", score, back)
		}
	}
	f(0, 1)
	f(1, 1)
	f(-1, 2)
	f(1<<53, 9)
	f(1<<63, 5)
	f(0.5, 2)
	f(-0.5, 3)
	f(3.14, 3)
	f(99.99, 4)
	f(12345.6789, 6)
	f(1.0/3, 8)
	f(-1.0/3, 9)
	f(math.Nextafter(1, 0)/(1<<16), 9)
	f(math.Nextafter(1.0/(1<<16), 1), 8)
	f(math.Nextafter(1<<48, 0), 8)
	f(math.Pi*(1<<48), 9)
	f(1.0/1024, 5)
	f(math.Inf(1), 5)
	f(math.Inf(-1), 5)
	f(math.MaxFloat64, 9)
	f(math.SmallestNonzeroFloat64, 9)
	r := rand.New(rand.NewPCG(3, 4))
	for range 10000 {
		score := math.Float64frombits(r.Uint64())
		if score != score {
			continue
		}
		switch r.IntN(3) {
		case 0:
			score = math.Round(r.NormFloat64()*1e6) / 1e4
		case 1:
			score = math.Abs(r.NormFloat64() * float64(int64(1)<<r.IntN(50)))
		}
		f(score, len(appendScore(nil, score)))
	}
}

// What a large sorted set costs beside its members and scores.
func TestSortedSetMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("adds many members")
	}
	var arena ds.Arena
	defer arena.Close()
	h := &zsetHome{arena: &arena}
	h.encoding, h.root = ZSetFor(&DefaultLimits, 1000, 0)
	r := rand.New(rand.NewPCG(1, 1))
	const n = 100_000
	payload := 0
	z := ZSetOf(h, &DefaultLimits)
	for i := range n {
		member := fmt.Appendf(nil, "member:%09d", i)
		z.Add(member, r.Float64()*1e6)
		payload += len(member) + 8
	}
	z.check()
	if per := float64(NodeBytes(ZSet, Skiplist, h.root, &arena)-payload) / n; per > 22 {
		t.Errorf("%.1f bytes per member over the payload", per)
	} else {
		t.Logf("%.1f bytes per member over the payload", per)
	}
}
