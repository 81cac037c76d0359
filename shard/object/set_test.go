package object

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A modelSet is a set as anybody would write it: when each member expires, 0 for
// never.
type modelSet map[string]int64

func (m modelSet) members(now int64) []string {
	var all []string
	for member, at := range m {
		if at == 0 || at > now {
			all = append(all, member)
		}
	}
	slices.Sort(all)
	return all
}

func membersOf(s *SetView) []string {
	var all []string
	s.Each(func(e Element) bool {
		all = append(all, string(e.Append(nil)))
		return true
	})
	return all
}

// newSet makes a set of members in a home of its own, as a command does.
func newSet(h *memberHome, l *Limits, members ...string) SetView {
	args := make([][]byte, len(members))
	for i, member := range members {
		args[i] = []byte(member)
	}
	e, root, others := NewSet(l, args)
	h.encoding, h.root = e, slices.Clone(root)
	s := SetOf(h, l, 0)
	s.Expect(len(members))
	for _, member := range others {
		s.Add(member)
	}
	return s
}

// A SetView against a map, under random changes, from nothing up to a dict and
// down to nothing.
func TestSetModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			limits := DefaultLimits
			if seed%3 == 1 {
				limits.SetIntsetEntries, limits.SetListpackEntries, limits.SetListpackValue = r.IntN(20), r.IntN(20), r.IntN(80)
			}
			text := func() string { return randomText(r, 1+r.IntN(2000)) }
			if seed%2 == 0 {
				text = func() string { return strconv.FormatInt(r.Int64N(1000)<<r.IntN(40)-500, 10) }
			}
			h := &memberHome{}
			now := int64(1000)
			first := text()
			s := newSet(h, &limits, first)
			model := modelSet{first: 0}
			steps := 4000
			for step := range steps {
				member := text()
				if step > steps/2 && r.IntN(3) > 0 {
					if all := model.members(now); len(all) > 0 {
						member = all[r.IntN(len(all))]
					}
				}
				at, found := model[member]
				found = found && (at == 0 || at > now)
				before := h.changes
				changed := true
				switch op := r.IntN(20); {
				case op < 9 && step < steps/2 || op < 2:
					if got := s.Add([]byte(member)); got == found {
						t.Fatalf("step %d: Add(%q) = %v", step, member, got)
					}
					changed = !found
					if !found {
						model[member] = 0
					}
				case op < 3 && seed%4 == 3:
					until := now + r.Int64N(300)
					if until == now {
						until = 0
					}
					if got := s.AddUntil([]byte(member), until); got == found {
						t.Fatalf("step %d: AddUntil(%q) = %v", step, member, got)
					}
					changed = !found || at != until
					model[member] = until
				case op < 16:
					if got := s.Remove([]byte(member)); got != found {
						t.Fatalf("step %d: Remove(%q) = %v", step, member, got)
					}
					changed = found
					if found {
						delete(model, member)
					}
				case op < 17:
					changed = false
					now += r.Int64N(10)
					s = SetOf(h, &limits, now)
				case op < 18 && len(model.members(now)) > 1:
					checkRemoveAt(t, r, &s, model)
				default:
					changed = false
					if got := s.Has([]byte(member)); got != found {
						t.Fatalf("step %d: Has(%q) = %v", step, member, got)
					}
				}
				if (h.changes != before) != changed {
					t.Fatalf("step %d: the home was told of %d changes, want some: %v", step, h.changes-before, changed)
				}
				if got, want := s.Len(), len(model.members(now)); got != want {
					t.Fatalf("step %d: Len = %d, want %d", step, got, want)
				}
				if step%50 == 0 {
					s.check()
					checkSet(t, &s, model.members(now))
				}
			}
			s.check()
			now += 1000
			s = SetOf(h, &limits, now)
			for _, member := range model.members(0) {
				s.Remove([]byte(member))
			}
			if s.Len() != 0 {
				t.Fatalf("%d members are left: %q", s.Len(), membersOf(&s))
			}
			if h.encoding == Hashtable {
				for member := range model { // those that have expired, which nobody sees
					s.dict.remove([]byte(member))
				}
				s.dict.save()
			}
			h.empty(t)
		})
	}
}

// checkSet compares all ways of looking at a set.
func checkSet(t *testing.T, s *SetView, want []string) {
	t.Helper()
	all := membersOf(s)
	for rank, member := range all {
		if got := string(s.At(rank).Append(nil)); got != member {
			t.Fatalf("At(%d) = %q, want %q", rank, got, member)
		}
	}
	var picked []string
	ranks := []int{}
	for rank := range all {
		if rank%3 != 1 {
			ranks = append(ranks, rank)
			picked = append(picked, all[rank])
		}
	}
	for _, some := range []int{len(ranks), min(3, len(ranks))} {
		var got []string
		s.EachAt(ranks[:some], func(e Element) { got = append(got, string(e.Append(nil))) })
		if !slices.Equal(got, picked[:some]) {
			t.Fatalf("EachAt(%v) = %q, want %q", ranks[:some], got, picked[:some])
		}
	}
	var scanned []string
	for cursor := uint64(0); ; {
		cursor = s.Scan(cursor, 10, func(e Element) { scanned = append(scanned, string(e.Append(nil))) })
		if cursor == 0 {
			break
		}
	}
	var until []string
	s.EachUntil(func(e Element, deadline int64) bool {
		member := e.Append(nil)
		if at, ok := s.Deadline(member); !ok || at != deadline {
			t.Fatalf("EachUntil(%q) says %d, Deadline %d, %v", member, deadline, at, ok)
		}
		until = append(until, string(member))
		return true
	})
	visited := 0
	s.EachUntil(func(Element, int64) bool { visited++; return visited < 3 })
	if visited != min(3, len(want)) {
		t.Fatalf("EachUntil went on to %d members of %d", visited, len(want))
	}
	for _, got := range [][]string{all, scanned, until} {
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("the set is %.500q, want %.500q", got, want)
		}
	}
}

// checkRemoveAt removes members by rank.
func checkRemoveAt(t *testing.T, r *rand.Rand, s *SetView, model modelSet) {
	t.Helper()
	chance := 1 + r.IntN(200)
	all := membersOf(s)
	var ranks []int
	for rank := range all {
		if r.IntN(chance) == 0 {
			ranks = append(ranks, rank)
		}
	}
	if len(ranks) == 0 {
		ranks = []int{r.IntN(len(all))}
	}
	if len(ranks) == len(all) {
		ranks = ranks[1:]
	}
	for _, rank := range ranks {
		delete(model, all[rank])
	}
	s.RemoveAt(ranks)
}

// The form follows the limits, as in Redis.
func TestSetEncodings(t *testing.T) {
	l := Limits{SetIntsetEntries: 4, SetListpackEntries: 3, SetListpackValue: 5}
	f := func(want Encoding, members ...string) {
		t.Helper()
		h := &memberHome{}
		s := newSet(h, &l, members...)
		s.check()
		if h.encoding != want {
			t.Errorf("%q: %v at once, want %v", members, h.encoding, want)
		}
	}
	f(Intset, "1", "2", "3", "4")
	f(Hashtable, "1", "2", "3", "4", "5")
	f(Hashtable, "1", "1", "1", "1", "1")
	f(Listpack, "1", "2", "a")
	f(Listpack, "a", "1", "2")
	f(Hashtable, "1", "2", "3", "a")
	f(Hashtable, "a", "b", "c", "c")
	f(Listpack, "", "12345")
	f(Hashtable, "", "123456")
	f(Hashtable, "123456", "a")
	f(Intset, "123456")
	f(Listpack, "01")

	// One by one, and back: only what is added counts.
	g := func(want Encoding, members ...string) {
		t.Helper()
		h := &memberHome{}
		s := newSet(h, &l, members[0])
		for _, member := range members[1:] {
			s = SetOf(h, &l, 0)
			if drop, ok := strings.CutPrefix(member, "-"); ok {
				s.Remove([]byte(drop))
			} else {
				s.Add([]byte(member))
			}
			s.check()
		}
		if h.encoding != want {
			t.Errorf("%q: %v one by one, want %v", members, h.encoding, want)
		}
	}
	g(Intset, "1", "2", "3", "4", "4")
	g(Hashtable, "1", "2", "3", "4", "5", "-5")
	g(Listpack, "1", "2", "a", "-a", "3")
	g(Hashtable, "1", "2", "3", "a")
	g(Listpack, "a", "1", "1", "1", "a", "2")
	g(Hashtable, "a", "1", "2", "3", "-3")
	g(Hashtable, "a", "123456")
	g(Hashtable, "1", "123456", "a")
	g(Intset, "1", "-1")

	none := Limits{}
	if e, root := EmptySet(&none, IntElement(1)); e != Hashtable || len(root) != 48 {
		t.Errorf("a set that may not be packed begins as %v of %d bytes", e, len(root))
	}
}

// An intset widens as far as it has to.
func TestIntset(t *testing.T) {
	h := &memberHome{}
	s := newSet(h, &DefaultLimits, "5", "-5", "32767", "-32768")
	want := func(bytes int, all ...string) {
		t.Helper()
		s.check()
		if got := membersOf(&s); !slices.Equal(got, all) || len(h.root) != bytes {
			t.Errorf("%q in %d bytes, want %q in %d", got, len(h.root), all, bytes)
		}
	}
	want(9, "-32768", "-5", "5", "32767")
	s.Add([]byte("32768"))
	want(21, "-32768", "-5", "5", "32767", "32768")
	s.Add([]byte("-2147483649"))
	want(49, "-2147483649", "-32768", "-5", "5", "32767", "32768")
	s.Add([]byte("9223372036854775807"))
	s.Remove([]byte("-2147483649"))
	s.Remove([]byte("32768"))
	s.Remove([]byte("9223372036854775807"))
	want(33, "-32768", "-5", "5", "32767")
}

// Merges of sets of all forms against maps.
func TestSetMerge(t *testing.T) {
	twins := colliding(300)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		limits := DefaultLimits
		if seed%4 == 0 {
			limits.SetIntsetEntries = 8
		}
		sets := 1 + r.IntN(5)
		homes := make([]memberHome, sets)
		models := make([]modelSet, sets)
		m := MergeSets(sets)
		now := int64(100)
		for i := range sets {
			size := []int{1, 5, 100, 700, 3000}[r.IntN(5)]
			spread := size * (1 + r.IntN(4))
			models[i] = modelSet{}
			s := newSet(&homes[i], &limits, "1")
			models[i]["1"] = 0
			for range size {
				member := strconv.Itoa(r.IntN(spread))
				if seed%3 != 0 {
					member = randomText(r, spread)
				}
				if seed%6 == 5 && r.IntN(3) == 0 {
					member = twins[r.IntN(len(twins))]
				}
				until := int64(0)
				if seed%5 == 4 && r.IntN(4) == 0 {
					until = 50 + r.Int64N(100)
				}
				s.AddUntil([]byte(member), until)
				models[i][member] = until
			}
			s = SetOf(&homes[i], &limits, now)
			m.Add(&s)
		}
		count := map[string]int{}
		for _, model := range models {
			for _, member := range model.members(now) {
				count[member]++
			}
		}
		var both, only, any []string
		for member, n := range count {
			any = append(any, member)
			if n == sets {
				both = append(both, member)
			}
			if at, ok := models[0][member]; ok && n == 1 && (at == 0 || at > now) {
				only = append(only, member)
			}
		}
		// Intersect is last: it changes the order of the sets.
		for _, op := range []struct {
			name string
			run  func(Visit)
			want []string
		}{{"Unite", m.Unite, any}, {"Subtract", m.Subtract, only}, {"Intersect", m.Intersect, both}} {
			result := NewSetResult(&limits, &m)
			op.run(result.Add)
			slices.Sort(op.want)
			if len(op.want) != result.Len() {
				t.Fatalf("seed %d: %s finds %d, want %d", seed, op.name, result.Len(), len(op.want))
			}
			if result.Len() == 0 {
				continue
			}
			h := &memberHome{}
			e, root := result.Root()
			h.encoding, h.root = e, slices.Clone(root)
			result.Fill(h)
			s := SetOf(h, &limits, now)
			s.check()
			checkSet(t, &s, op.want)
			for _, member := range op.want {
				if !s.Has([]byte(member)) {
					t.Fatalf("seed %d: %s without %q", seed, op.name, member)
				}
				s.Remove([]byte(member))
			}
			s.check()
			h.empty(t)
			seen := 0
			op.run(func(Element, uint32) bool { seen++; return seen < 3 })
			if seen != min(3, len(op.want)) {
				t.Fatalf("seed %d: %s goes on to %d", seed, op.name, seen)
			}
		}
	}
}
