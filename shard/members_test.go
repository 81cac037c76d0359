package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hyperkv/internal/clock"
	"hyperkv/shard/object"
)

// memberSet is one shard, whose turn is held, with what it says that it did.
type memberSet struct {
	*Shard
	now     *clock.Manual
	effects []string
	events  []string
}

func newMemberSet(t *testing.T) *memberSet {
	m := &memberSet{now: clock.NewManual(1_000_000)}
	set := newSet(Options{
		Shards: 1, Databases: 2, Commands: 1, Inline: true, Clock: m.now,
		Hooks: Hooks{
			Effects: func(_ []*Shard, effects []Effect) {
				for _, e := range effects {
					m.effects = append(m.effects, fmt.Sprintf("%d: %s", e.Database, strings.Join(words(e.Args), " ")))
				}
			},
			Event: func(_ *Shard, database int, class EventClass, name string, key []byte) {
				m.events = append(m.events, fmt.Sprintf("%d: %c %s %s", database, class, name, key))
			},
		},
	})
	m.Shard = set.Shards[0]
	m.turn.Store(turnHeld)
	t.Cleanup(func() {
		for _, db := range m.databases {
			if db != nil {
				db.Close()
			}
		}
	})
	return m
}

func words(args [][]byte) (all []string) {
	for _, arg := range args {
		all = append(all, string(arg))
	}
	return all
}

// hash makes or opens a hash.
func (m *memberSet) hash(t *testing.T, database int, key string) (object.HashView, *Collection) {
	t.Helper()
	c := m.Call()
	c.Now = m.now.NowMillis()
	c.Begin(database, nil)
	v, err := c.DB.OpenForWrite([]byte(key), object.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if v == nil {
		encoding, root := object.EmptyHash(c.Limits())
		v = c.DB.Create([]byte(key), object.Hash, encoding, root, 0)
	}
	return object.HashOf(v, c.Limits(), c.Now), v
}

// The keeper removes members when their time has come, the key with the last of
// them, and says so.
func TestMembersExpire(t *testing.T) {
	m := newMemberSet(t)
	h, _ := m.hash(t, 1, "h")
	h.Set([]byte("a"), []byte("1"), 1_000_010)
	h.Set([]byte("b"), []byte("2"), 1_000_020)
	h.Set([]byte("c"), []byte("3"), 1_000_020)
	other, _ := m.hash(t, 0, "other")
	other.Set([]byte("stays"), nil, 0)
	other.Set([]byte("goes"), nil, 1_000_015)

	f := func(at, next int64, effects, events []string) {
		t.Helper()
		m.now.Set(at)
		m.effects, m.events = nil, nil
		if got := m.expireSlice(); got != next {
			t.Errorf("at %d: the next slice is due at %d, want %d", at, got, next)
		}
		if !slices.Equal(m.effects, effects) || !slices.Equal(m.events, events) {
			t.Errorf("at %d: effects %q, events %q, want %q and %q", at, m.effects, m.events, effects, events)
		}
	}
	f(1_000_009, 1_000_010, nil, nil)
	f(1_000_010, 1_000_015, []string{"1: HDEL h a"}, []string{"1: h hexpired h"})
	m.set.ExpiryHeld.Add(1)
	f(1_000_020, 1_000_020+expireRetryMillis, nil, nil)
	m.set.ExpiryHeld.Add(-1)
	f(1_000_020, never, []string{"0: HDEL other goes", "1: HDEL h b c"},
		[]string{"0: h hexpired other", "1: h hexpired h", "1: g del h"})
	if n := m.databases[1].Len(); n != 0 {
		t.Error("an empty hash is left")
	}
	if m.stats.expiredMembers != 4 {
		t.Errorf("%d members have expired, want 4", m.stats.expiredMembers)
	}
}

// A command that meets members past their deadline removes them, and it is not the
// one that changes the key by it.
func TestMembersMet(t *testing.T) {
	m := newMemberSet(t)
	h, _ := m.hash(t, 0, "h")
	for i := range 200 {
		h.Set(fmt.Append(nil, "f", i), []byte("v"), 1_000_010)
	}
	m.now.Set(1_000_010)
	m.effects, m.events = nil, nil
	_, v := m.hash(t, 0, "h")
	if v.call.DB.ExpireMembers(v, []byte("f1"), []byte("f2"), []byte("f1"), []byte("nosuch")) {
		t.Error("the key is gone")
	}
	if got, want := m.effects, []string{"0: HDEL h f1 f2"}; !slices.Equal(got, want) {
		t.Errorf("effects %q, want %q", got, want)
	}
	if v.call.Changed() {
		t.Error("the command counts as one that has changed something")
	}
	m.set.ExpiryHeld.Add(1)
	if v.call.DB.ExpireDueMembers(v) {
		t.Error("members expire while that is held")
	}
	m.set.ExpiryHeld.Add(-1)
	if !v.call.DB.ExpireDueMembers(v) || m.databases[0].Len() != 0 || m.stats.expiredMembers != 200 {
		t.Errorf("%d keys are left, and %d members have expired", m.databases[0].Len(), m.stats.expiredMembers)
	}
	if last := m.events[len(m.events)-1]; last != "0: g del h" {
		t.Errorf("the last event is %q", last)
	}
}

// Many members of one hash expire at the same moment: the keeper takes them in
// slices, and between them everything is in order.
func TestMembersExpireInSlices(t *testing.T) {
	m := newMemberSet(t)
	m.set.effects = nil
	h, v := m.hash(t, 0, "h")
	const n = 50_000
	for i := range n {
		h.Set(fmt.Append(nil, "field:", i), []byte("v"), 1_000_100)
	}
	h.Set([]byte("stays"), nil, 0)
	if v.MemberDeadline() != 1_000_100 {
		t.Fatalf("the first member expires at %d", v.MemberDeadline())
	}
	m.now.Set(1_000_100)
	rounds, left := 0, h.Len()
	for next := int64(0); next != never; rounds++ {
		next = m.expireSlice()
		h, _ := m.hash(t, 0, "h")
		if h.Len() >= left {
			t.Fatal("a slice removes nothing")
		}
		left = h.Len()
	}
	if left != 1 || rounds < 5 {
		t.Errorf("%d members are left after %d slices", left, rounds)
	}
}
