package object

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"hyperkv/shard/ds"
)

// streamHome is a Home in plain memory.
type streamHome struct {
	root    []byte
	arena   *ds.Arena
	changes int
}

func newStreamHome(arena *ds.Arena) *streamHome {
	return &streamHome{root: slices.Clone(EmptyStream), arena: arena}
}

func (h *streamHome) Change()                 { h.changes++ }
func (h *streamHome) Encoding() Encoding      { return StreamTree }
func (h *streamHome) SetEncoding(Encoding)    {}
func (h *streamHome) Root() []byte            { return h.root }
func (h *streamHome) Nodes() *ds.Arena        { return h.arena }
func (h *streamHome) MemberDeadline() int64   { return 0 }
func (h *streamHome) SetMemberDeadline(int64) {}
func (h *streamHome) Resize(n int) []byte     { panic("the root of a stream does not change its size") }
func (h *streamHome) copy() *streamHome {
	c := &streamHome{root: slices.Clone(h.root), arena: h.arena}
	Copied(Stream, StreamTree, c.root, c.arena, h.arena)
	return c
}

func (h *streamHome) free(budget int) {
	r, _ := Release(Stream, StreamTree, h.root, h.arena)
	for r.Free(budget) {
	}
}

// modelEntry and modelGroup are what the model has in slices and maps.
type modelEntry struct {
	id    StreamID
	pairs []string
}

type modelGroup struct {
	last      StreamID
	read      int64
	pending   map[StreamID]modelPending
	consumers map[string]bool
}

type modelPending struct {
	consumer    string
	time, count int64
}

type streamModel struct {
	entries []modelEntry
	last    StreamID
	deleted StreamID
	added   int64
	groups  map[string]*modelGroup
}

func pairsOf(e *StreamEntry) (pairs []string) {
	e.Each(func(field, value Element) {
		pairs = append(pairs, string(field.Append(nil)), string(value.Append(nil)))
	})
	return pairs
}

func sortedIDs[V any](m map[StreamID]V) []StreamID {
	ids := []StreamID{}
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b StreamID) int {
		return cmp.Or(cmp.Compare(a.Ms, b.Ms), cmp.Compare(a.Seq, b.Seq))
	})
	return ids
}

// compare walks the stream and the model.
func (m *streamModel) compare(t *testing.T, h *streamHome, l *Limits, r *rand.Rand) {
	t.Helper()
	s := StreamOf(h, l)
	s.check()
	if s.Len() != len(m.entries) || s.LastID() != m.last || s.MaxDeletedID() != m.deleted || s.Added() != m.added {
		t.Fatalf("%d entries, last %v, deleted %v, added %d; want %d, %v, %v, %d", s.Len(), s.LastID(), s.MaxDeletedID(),
			s.Added(), len(m.entries), m.last, m.deleted, m.added)
	}
	ids := map[StreamID]int{}
	for i, e := range m.entries {
		ids[e.id] = i
	}
	first, last := StreamID{}, StreamID{}
	if n := len(m.entries); n > 0 {
		first, last = m.entries[0].id, m.entries[n-1].id
	}
	if s.FirstID() != first || s.LastEntryID() != last {
		t.Fatalf("from %v to %v, want %v to %v", s.FirstID(), s.LastEntryID(), first, last)
	}
	from, to := 0, len(m.entries)
	low, high := StreamID{}, MaxStreamID
	if to > 0 && r.IntN(2) == 0 {
		from = r.IntN(to)
		to = from + 1 + r.IntN(to-from)
		low, high = m.entries[from].id, m.entries[to-1].id
		if r.IntN(2) == 0 && from > 0 && m.entries[from-1].id.Less(StreamID{low.Ms, low.Seq - 1}) && low.Seq > 0 {
			low.Seq--
		}
	}
	at := from
	s.Range(low, high, func(e *StreamEntry) bool {
		if want := m.entries[at]; e.ID != want.id || !slices.Equal(pairsOf(e), want.pairs) {
			t.Fatalf("entry %d is %v %q, want %v %q", at, e.ID, pairsOf(e), want.id, want.pairs)
		}
		at++
		return true
	})
	if at != to {
		t.Fatalf("%d entries between %v and %v, want %d", at-from, low, high, to-from)
	}
	s.RevRange(high, low, func(e *StreamEntry) bool {
		at--
		if want := m.entries[at]; e.ID != want.id || !slices.Equal(pairsOf(e), want.pairs) {
			t.Fatalf("backwards, entry %d is %v %q, want %v %q", at, e.ID, pairsOf(e), want.id, want.pairs)
		}
		return true
	})
	if at != from {
		t.Fatal("backwards it is less")
	}
	names := []string{}
	s.EachGroup(func(g *StreamGroup) bool {
		name := string(g.Name())
		names = append(names, name)
		want := m.groups[name]
		if g.LastID() != want.last || g.Read() != want.read {
			t.Fatalf("group %q has read %d up to %v, want %d up to %v", name, g.Read(), g.LastID(), want.read, want.last)
		}
		want.compare(t, g)
		return true
	})
	want := []string{}
	for name := range m.groups {
		want = append(want, name)
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Fatalf("groups %q, want %q", names, want)
	}
}

func (m *modelGroup) compare(t *testing.T, g *StreamGroup) {
	t.Helper()
	ids := sortedIDs(m.pending)
	at := 0
	g.EachPending(StreamID{}, func(p *StreamPending) bool {
		want := m.pending[ids[at]]
		if c := g.ConsumerOf(p); p.ID != ids[at] || string(c.Name()) != want.consumer || p.Time != want.time || p.Count != want.count {
			t.Fatalf("pending is %v for %q, want %v %v", *p, c.Name(), ids[at], want)
		}
		at++
		return true
	})
	if at != len(ids) || g.Pending() != len(ids) || at > 0 && g.LastPending() != ids[at-1] {
		t.Fatalf("%d are pending, want %d", at, len(ids))
	}
	before := ""
	count := 0
	g.EachConsumer(func(c StreamConsumer) bool {
		name := string(c.Name())
		if !m.consumers[name] || count > 0 && name <= before {
			t.Fatalf("a consumer %q", name)
		}
		before = name
		count++
		n := 0
		c.EachPending(StreamID{}, func(p *StreamPending) bool {
			if m.pending[p.ID].consumer != name {
				t.Fatalf("%v is pending for %q", p.ID, name)
			}
			n++
			return true
		})
		if n != c.Pending() {
			t.Fatalf("%q has %d pending, and says %d", name, n, c.Pending())
		}
		return true
	})
	if count != len(m.consumers) || g.Consumers() != count {
		t.Fatalf("%d consumers, want %d", count, len(m.consumers))
	}
}

// A stream against slices and maps, under random changes.
func TestStreamModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			var arena ds.Arena
			defer arena.Close()
			l := DefaultLimits
			switch seed % 4 {
			case 1:
				l.StreamNodeEntries, l.StreamNodeBytes = 3, 0
			case 2:
				l.StreamNodeEntries, l.StreamNodeBytes = 0, 200
			case 3:
				l.StreamNodeEntries, l.StreamNodeBytes = 0, 0
			}
			h := newStreamHome(&arena)
			m := &streamModel{groups: map[string]*modelGroup{}}
			for step := range 1500 {
				m.step(t, h, &l, r)
				if step%100 == 0 {
					m.compare(t, h, &l, r)
					if n := NodeBytes(Stream, StreamTree, h.root, &arena); int64(n) != arena.Bytes() {
						t.Fatalf("%d bytes are counted, %d occupied", n, arena.Bytes())
					}
				}
			}
			m.compare(t, h, &l, r)
			twin := h.copy()
			h.free(1 + r.IntN(20))
			m.compare(t, twin, &l, r)
			twin.free(1)
			if n := arena.Stats().Objects; n != 0 || arena.Bytes() != 0 {
				t.Fatalf("%d objects are left", n)
			}
		})
	}
}

func (m *streamModel) randomText(r *rand.Rand) string {
	switch r.IntN(8) {
	case 0:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 1:
		return ""
	case 2:
		return string(make([]byte, r.IntN(1<<r.IntN(12))))
	}
	return string('a' + rune(r.IntN(4)))
}

func (m *streamModel) randomID(r *rand.Rand) StreamID {
	if len(m.entries) > 0 && r.IntN(4) > 0 {
		return m.entries[r.IntN(len(m.entries))].id
	}
	return StreamID{r.Uint64N(m.last.Ms + 2), r.Uint64N(4)}
}

// step changes both once.
func (m *streamModel) step(t *testing.T, h *streamHome, l *Limits, r *rand.Rand) {
	t.Helper()
	s := StreamOf(h, l)
	group := func() (string, *modelGroup) {
		names := []string{}
		for name := range m.groups {
			names = append(names, name)
		}
		slices.Sort(names)
		if len(names) == 0 {
			return "", nil
		}
		name := names[r.IntN(len(names))]
		return name, m.groups[name]
	}
	switch r.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		id := StreamID{m.last.Ms, m.last.Seq + 1 + r.Uint64N(2)}
		if r.IntN(3) > 0 {
			id = StreamID{m.last.Ms + 1 + r.Uint64N(1<<r.IntN(12)), r.Uint64() >> r.IntN(64)}
		}
		pairs := []string{"name", m.randomText(r), "17", m.randomText(r)}
		if r.IntN(5) == 0 {
			pairs = nil
			for range 1 + r.IntN(4) {
				pairs = append(pairs, m.randomText(r), m.randomText(r))
			}
		}
		bytes := [][]byte{}
		for _, text := range pairs {
			bytes = append(bytes, []byte(text))
		}
		s.Append(id, bytes)
		m.entries = append(m.entries, modelEntry{id, pairs})
		m.last = id
		m.added++
	case 8, 9, 10:
		id := m.randomID(r)
		at := slices.IndexFunc(m.entries, func(e modelEntry) bool { return e.id == id })
		if s.Has(id) != (at >= 0) {
			t.Fatalf("Has(%v) is wrong", id)
		}
		before := h.changes
		if s.Delete(id) != (at >= 0) || at < 0 && h.changes != before {
			t.Fatalf("Delete(%v) is wrong", id)
		}
		if at >= 0 {
			m.entries = slices.Delete(m.entries, at, at+1)
			if m.deleted.Less(id) {
				m.deleted = id
			}
		}
	case 11:
		if r.IntN(10) > 0 {
			return
		}
		trim := StreamTrim{ByID: r.IntN(2) == 0, Approx: r.IntN(3) == 0}
		trim.MinID = m.randomID(r)
		trim.MaxLen = int64(r.IntN(len(m.entries) + 2))
		n := 0
		for n < len(m.entries) && (trim.ByID && m.entries[n].id.Less(trim.MinID) || !trim.ByID && int64(len(m.entries)-n) > trim.MaxLen) {
			n++
		}
		removed := s.Trim(&trim)
		if removed > n || removed < n && !trim.Approx {
			t.Fatalf("Trim(%v) removes %d, want %d", trim, removed, n)
		}
		m.entries = m.entries[removed:]
	case 12:
		name := m.randomText(r)
		if _, found := s.Group([]byte(name)); found != (m.groups[name] != nil) {
			t.Fatalf("Group(%q) is wrong", name)
		}
		switch {
		case m.groups[name] == nil && len(m.groups) < 12:
			id := m.randomID(r)
			s.AddGroup([]byte(name), id, -1)
			m.groups[name] = &modelGroup{last: id, read: -1, pending: map[StreamID]modelPending{}, consumers: map[string]bool{}}
		case r.IntN(8) == 0:
			if s.RemoveGroup([]byte(name)) != (m.groups[name] != nil) {
				t.Fatalf("RemoveGroup(%q) is wrong", name)
			}
			delete(m.groups, name)
		}
	case 13:
		name, want := group()
		if want == nil {
			return
		}
		g, _ := s.Group([]byte(name))
		who := fmt.Sprint("a long common beginning ", r.IntN(30))
		if r.IntN(4) == 0 {
			who = m.randomText(r)
		}
		_, found := g.Consumer([]byte(who))
		if found != want.consumers[who] {
			t.Fatalf("Consumer(%q) is wrong", who)
		}
		switch {
		case !found:
			c := g.AddConsumer([]byte(who), 5, -1)
			if c.Seen() != 5 || c.Active() != -1 {
				t.Fatal("a consumer has other times")
			}
			want.consumers[who] = true
		case r.IntN(6) == 0:
			count := 0
			for id, p := range want.pending {
				if p.consumer == who {
					delete(want.pending, id)
					count++
				}
			}
			if n, found := g.RemoveConsumer([]byte(who)); n != count || !found {
				t.Fatalf("RemoveConsumer is %d %v, want %d", n, found, count)
			}
			delete(want.consumers, who)
		}
	case 14, 15, 16, 17:
		name, want := group()
		if want == nil || len(want.consumers) == 0 {
			return
		}
		g, _ := s.Group([]byte(name))
		names := []string{}
		for who := range want.consumers {
			names = append(names, who)
		}
		slices.Sort(names)
		who := names[r.IntN(len(names))]
		c, _ := g.Consumer([]byte(who))
		from := m.randomID(r)
		for range r.IntN(60) {
			p := StreamPending{ID: from, Consumer: c.Number(), Time: int64(r.Uint64() >> (1 + r.IntN(63))), Count: int64(r.IntN(200))}
			if r.IntN(50) == 0 {
				p.Count = math.MaxInt64
			}
			g.AddPending(&p)
			want.pending[from] = modelPending{who, p.Time, p.Count}
			if r.IntN(2) == 0 {
				from, _ = from.Next()
			} else {
				from = m.randomID(r)
			}
		}
	default:
		name, want := group()
		if want == nil {
			return
		}
		g, _ := s.Group([]byte(name))
		ids := sortedIDs(want.pending)
		if len(ids) == 0 {
			return
		}
		at := r.IntN(len(ids))
		for _, id := range ids[at:min(len(ids), at+r.IntN(40))] {
			if r.IntN(8) > 0 {
				if !g.RemovePending(id) {
					t.Fatalf("%v is not pending", id)
				}
				delete(want.pending, id)
			}
		}
		if g.RemovePending(StreamID{1, 1 << 40}) {
			t.Fatal("something is pending that is not")
		}
		g.SetRead(m.last, int64(at))
		want.last, want.read = m.last, int64(at)
	}
}

// The numbers of consumers are used again when there are no others left.
func TestConsumerNumbers(t *testing.T) {
	var arena ds.Arena
	defer arena.Close()
	h := newStreamHome(&arena)
	s := StreamOf(h, &DefaultLimits)
	g := s.AddGroup([]byte("g"), StreamID{}, 0)
	binary.LittleEndian.PutUint32(g.leaf()[groupNextAt:], 2)
	g.AddConsumer([]byte("two"), 0, 0)
	binary.LittleEndian.PutUint32(g.leaf()[groupNextAt:], math.MaxUint32-1)
	g.AddConsumer([]byte("last"), 0, 0)
	for i, want := range []uint32{0, 1, 3, 4} {
		if c := g.AddConsumer([]byte{byte(i)}, 0, 0); c.Number() != want {
			t.Errorf("consumer %d has the number %d, want %d", i, c.Number(), want)
		}
	}
	s.check()
	h.free(100)
}
