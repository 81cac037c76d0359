package sets

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
	"hyperkv/shard"
)

// handlers runs the commands of this family on one shard, without a server around
// them, and notes what is told of them.
type handlers struct {
	set             *shard.Set
	table           *engine.Table
	clock           *clock.Manual
	events, effects []string
}

func newHandlers(t *testing.T) *handlers {
	t.Helper()
	table, err := engine.NewTable(Family)
	if err != nil {
		t.Fatal(err)
	}
	h := &handlers{table: table, clock: clock.NewManual(1_000_000)}
	h.set = shard.NewSet(shard.Options{
		Shards: 1, Databases: 1, Commands: 100, Seed: 1, Inline: true, Clock: h.clock,
		Hooks: shard.Hooks{
			Effects: func(_ []*shard.Shard, effects []shard.Effect) {
				for _, e := range effects {
					words := make([]string, len(e.Args))
					for i, arg := range e.Args {
						words[i] = string(arg)
					}
					h.effects = append(h.effects, testkit.Quote(words...))
				}
			},
			Event: func(_ *shard.Shard, _ int, class shard.EventClass, name string, key []byte) {
				h.events = append(h.events, fmt.Sprintf("%c %s %s", class, name, key))
			},
		},
	})
	t.Cleanup(h.set.Close)
	return h
}

// call lets run have the shard.
func (h *handlers) call(run func(c *shard.Call)) {
	shards := h.set.Shards
	for !h.set.EnterAll(shards) { // a turn may be with a keeper for a moment
		time.Sleep(time.Millisecond)
	}
	defer h.set.ExitAll(shards)
	c := shards[0].Call()
	c.Bind(h.set, shards...)
	c.Reply, c.Now = &resp.Writer{}, h.set.Now()
	run(c)
}

func (h *handlers) do(t *testing.T, args ...string) (v resp.Value) {
	t.Helper()
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	h.call(func(c *shard.Call) {
		c.Begin(0, words)
		c.Execute(h.table.Lookup(words[0]).Run, 0)
		var err error
		if v, _, err = resp.ReadValue(c.Reply.Buf); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
	})
	return v
}

// What is told of a command: nothing when nothing changed.
func TestEffectsAndEvents(t *testing.T) {
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "SADD k a b", []string{"SADD k a b"}, []string{"s sadd k"}},
		{"SADD k a", "SADD k a", nil, nil},
		{"SADD k a", "SREM k b", nil, nil},
		{"SADD k a b", "SREM k a x", []string{"SREM k a x"}, []string{"s srem k"}},
		{"SADD k a", "SREM k a", []string{"SREM k a"}, []string{"s srem k", "g del k"}},
		{"SADD k a", "SMOVE k d a", []string{"SMOVE k d a"}, []string{"s srem k", "g del k", "s sadd d"}},
		{"SADD k a b; SADD d a", "SMOVE k d a", []string{"SMOVE k d a"}, []string{"s srem k"}},
		{"SADD k a", "SMOVE k k a", nil, nil},
		{"SADD k a", "SPOP k", []string{"DEL k"}, []string{"s spop k", "g del k"}},
		{"SADD k a b", "SPOP k 3", []string{"DEL k"}, []string{"s spop k", "g del k"}},
		{"SADD k a b", "SPOP k 0", nil, nil},
		{"", "SPOP k 3", nil, nil},
		{"SADD k a b; SADD l b", "SINTERSTORE d k l", []string{"SINTERSTORE d k l"}, []string{"s sinterstore d"}},
		{"SADD k a", "SUNIONSTORE d k l", []string{"SUNIONSTORE d k l"}, []string{"s sunionstore d"}},
		{"SADD k a", "SDIFFSTORE d k l", []string{"SDIFFSTORE d k l"}, []string{"s sdiffstore d"}},
		{"SADD d a", "SINTERSTORE d d none", []string{"SINTERSTORE d d none"}, []string{"g del d"}},
		{"", "SINTERSTORE d d none", nil, nil},
		{"", "SADDEX k EX 10 MEMBERS 2 a b", []string{"SADDEX k PXAT 1010000 MEMBERS 2 a b"}, []string{"s sadd k", "s sexpire k"}},
		{"SADDEX k 10 a", "SADDEX k KEEPTTL 20 a b", []string{"SADDEX k PXAT 1020000 MEMBERS 1 b"}, []string{"s sadd k", "s sexpire k"}},
		{"SADDEX k 10 a", "SADDEX k MNX MEMBERS 1 a", nil, nil},
		{"SADDEX k 10 a", "SADDEX k MEMBERS 1 a", []string{"SADDEX k MEMBERS 1 a"}, []string{"s sadd k"}},
		{"SADD k a", "SADDEX k PXAT 1 MEMBERS 2 a b", []string{"SREM k a"}, []string{"s srem k", "g del k"}},
		{"SADD k a b", "SEXPIRE k 5 MEMBERS 2 a x", []string{"SPEXPIREAT k 1005000 MEMBERS 1 a"}, []string{"s sexpire k"}},
		{"SADD k a b", "SEXPIRE k 5 XX MEMBERS 1 a", nil, nil},
		{"SADD k a", "SPEXPIREAT k 999999 MEMBERS 1 a", []string{"SREM k a"}, []string{"s srem k", "g del k"}},
		{"SADDEX k 10 a b", "SPERSIST k MEMBERS 2 a x", []string{"SPERSIST k MEMBERS 1 a"}, []string{"s spersist k"}},
	} {
		h := newHandlers(t)
		lines := append(strings.Split(test.before, "; "), test.command)
		for _, line := range lines {
			h.effects, h.events = nil, nil
			if line == "" {
				continue
			}
			if v := h.do(t, strings.Fields(line)...); v.Err() != nil {
				t.Fatalf("%s: %v", line, v)
			}
		}
		if !slices.Equal(h.effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, h.effects, test.effects)
		}
		if !slices.Equal(h.events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, h.events, test.events)
		}
	}
}

// The effect of SPOP is the SREM of just those that were answered, however many.
func TestPopEffects(t *testing.T) {
	h := newHandlers(t)
	for _, count := range []int{1, 3, 400, 3000} {
		for _, kind := range []string{"%d", "m%d"} {
			words := []string{"SADD", "k"}
			for i := range count + 5 {
				words = append(words, fmt.Sprintf(kind, i))
			}
			h.do(t, words...)
			h.effects = nil
			var popped []string
			for _, e := range h.do(t, "SPOP", "k", fmt.Sprint(count)).Elems {
				popped = append(popped, e.Text())
			}
			var removed []string
			for _, line := range h.effects {
				args, err := testkit.Split(line)
				if err != nil || args[0] != "SREM" || args[1] != "k" || len(args) > 2+removedMax {
					t.Fatalf("%d: effect %q", count, args[:2])
				}
				removed = append(removed, args[2:]...)
			}
			if len(popped) != count || !slices.Equal(popped, removed) {
				t.Fatalf("%d: SPOP answered %.200q, and told of %.200q", count, popped, removed)
			}
			for _, member := range popped {
				if h.do(t, "SISMEMBER", "k", member).Int != 0 {
					t.Fatalf("%d: %q was popped and is there", count, member)
				}
			}
			if left := h.do(t, "SCARD", "k").Int; left != 5 {
				t.Fatalf("%d: %d are left", count, left)
			}
			h.do(t, "SPOP", "k", "5")
		}
	}
}

// Every rank, and every pair of ranks, is chosen equally often.
func TestChoose(t *testing.T) {
	h := newHandlers(t)
	h.call(func(c *shard.Call) {
		const size, rounds = 7, 21000
		for count := 1; count <= size; count++ {
			var single [size]int
			pairs := map[[2]int]int{}
			for range rounds {
				ranks := choose(c, count, size)
				if len(ranks) != count || !slices.IsSorted(ranks) || len(slices.Compact(slices.Clone(ranks))) != count {
					t.Fatalf("choose %d of %d: %v", count, size, ranks)
				}
				for i, a := range ranks {
					single[a]++
					for _, b := range ranks[:i] {
						pairs[[2]int{b, a}]++
					}
				}
			}
			near := func(what string, got, want int) {
				if got < want*9/10 || got > want*11/10 {
					t.Errorf("choose %d of %d: %s %d times, want about %d", count, size, what, got, want)
				}
			}
			for rank, n := range single {
				near(fmt.Sprint(rank), n, rounds*count/size)
			}
			for pair, n := range pairs {
				if want := rounds * count * (count - 1) / (size * (size - 1)); want > 2000 {
					near(fmt.Sprint(pair), n, want)
				}
			}
		}
		// The way for many is another one.
		for _, count := range []int{chosenFew + 1, 5000, 9999} {
			ranks := choose(c, count, 10000)
			if len(ranks) != count || !slices.IsSorted(ranks) || len(slices.Compact(slices.Clone(ranks))) != count || ranks[count-1] >= 10000 {
				t.Fatalf("choose %d: %d ranks", count, len(ranks))
			}
		}
	})
}

// Members that expire while nobody looks, and while expiry is held, are gone for
// whoever asks.
func TestExpiredMembers(t *testing.T) {
	h := newHandlers(t)
	h.do(t, "SADD", "k", "a", "b", "c", "d")
	h.do(t, "SPEXPIRE", "k", "10", "MEMBERS", "2", "a", "c")
	h.do(t, "SADDEX", "gone", "PX", "10", "MEMBERS", "2", "a", "b")
	h.set.ExpiryHeld.Add(1)
	h.clock.Advance(20 * time.Millisecond)
	for range 50 {
		if m := h.do(t, "SRANDMEMBER", "k").Text(); m != "b" && m != "d" {
			t.Fatalf("SRANDMEMBER answered %q, which has expired", m)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		if got := h.do(t, args...).String(); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
	f("(integer) 2", "SCARD", "k")
	f("(integer) 0", "SREM", "k", "a")
	f("(integer) 0", "SCARD", "gone")
	f("(integer) 0", "SISMEMBER", "gone", "a")
	f("(nil)", "SRANDMEMBER", "gone")
	f("(nil)", "SPOP", "gone")
	f("(integer) 2", "SUNIONCARD", "2", "gone", "k")
	f("(integer) 1", "SADD", "k", "a")
	f("(integer) 3", "SCARD", "k")
	if v := h.do(t, "SPOP", "k", "2"); len(v.Elems) != 2 {
		t.Errorf("SPOP answered %v", v)
	}
	f("(integer) 1", "SCARD", "k")
	h.effects = nil
	h.set.ExpiryHeld.Add(-1)
	f("(integer) 0", "SCARD", "gone")
	if want := "SREM gone"; len(h.effects) != 1 || !strings.HasPrefix(h.effects[0], want) {
		t.Errorf("effects %q, want %q", h.effects, want)
	}
}
