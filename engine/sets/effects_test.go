package sets

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// kit runs the commands of this family on one shard.
type kit struct {
	*familykit.Handlers
	client *familykit.Client
	clock  *clock.Manual
}

func newKit(t *testing.T) *kit {
	t.Helper()
	k := &kit{clock: clock.NewManual(1_000_000)}
	k.Handlers = familykit.NewHandlers(t, familykit.Options{Clock: k.clock, Record: true}, Family)
	k.client = k.Client(t)
	return k
}

// call lets run have the shard.
func (k *kit) call(run func(c *shard.Call)) {
	shards := k.Set.Shards
	for !k.Set.EnterAll(shards) { // a turn may be with a keeper for a moment
		time.Sleep(time.Millisecond)
	}
	defer k.Set.ExitAll(shards)
	c := shards[0].Call()
	c.Bind(k.Set, shards...)
	run(c)
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
		k := newKit(t)
		lines := append(strings.Split(test.before, "; "), test.command)
		for _, line := range lines {
			k.Take()
			if line == "" {
				continue
			}
			k.client.Line(line)
		}
		told := k.Take()
		if !slices.Equal(told.Effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, told.Effects, test.effects)
		}
		if !slices.Equal(told.Events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, told.Events, test.events)
		}
	}
}

// The effect of SPOP is the SREM of just those that were answered, however many.
func TestPopEffects(t *testing.T) {
	k := newKit(t)
	for _, count := range []int{1, 3, 400, 3000} {
		for _, kind := range []string{"%d", "m%d"} {
			words := []string{"SADD", "k"}
			for i := range count + 5 {
				words = append(words, fmt.Sprintf(kind, i))
			}
			k.client.Must(words...)
			k.Take()
			var popped []string
			for _, e := range k.client.Must("SPOP", "k", fmt.Sprint(count)).Elems {
				popped = append(popped, e.Text())
			}
			var removed []string
			for _, line := range k.Take().Effects {
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
				if k.client.Must("SISMEMBER", "k", member).Int != 0 {
					t.Fatalf("%d: %q was popped and is there", count, member)
				}
			}
			if left := k.client.Must("SCARD", "k").Int; left != 5 {
				t.Fatalf("%d: %d are left", count, left)
			}
			k.client.Must("SPOP", "k", "5")
		}
	}
}

// Every rank, and every pair of ranks, is chosen equally often.
func TestChoose(t *testing.T) {
	k := newKit(t)
	k.call(func(c *shard.Call) {
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
	k := newKit(t)
	k.client.Must("SADD", "k", "a", "b", "c", "d")
	k.client.Must("SPEXPIRE", "k", "10", "MEMBERS", "2", "a", "c")
	k.client.Must("SADDEX", "gone", "PX", "10", "MEMBERS", "2", "a", "b")
	k.Set.ExpiryHeld.Add(1)
	k.clock.Advance(20 * time.Millisecond)
	for range 50 {
		if m := k.client.Must("SRANDMEMBER", "k").Text(); m != "b" && m != "d" {
			t.Fatalf("SRANDMEMBER answered %q, which has expired", m)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		if got := k.client.Must(args...).String(); got != want {
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
	if v := k.client.Must("SPOP", "k", "2"); len(v.Elems) != 2 {
		t.Errorf("SPOP answered %v", v)
	}
	f("(integer) 1", "SCARD", "k")
	k.Take()
	k.Set.ExpiryHeld.Add(-1)
	f("(integer) 0", "SCARD", "gone")
	// The look took gone away; c may have gone in a slice of expiry meanwhile.
	effects := k.Take().Effects
	others := slices.DeleteFunc(slices.Clone(effects), func(effect string) bool { return strings.HasPrefix(effect, "SREM gone ") })
	if len(effects)-len(others) != 1 || len(others) > 0 && !slices.Equal(others, []string{"SREM k c"}) {
		t.Errorf("effects %q, want SREM of gone's members, and at most SREM k c beside it", effects)
	}
}

// The commands on single members allocate nothing, however the set is stored.
func TestNoAllocations(t *testing.T) {
	k := newKit(t)
	k.client.Must("SADD", "ints", "1", "2", "3")
	k.client.Must("SADD", "packed", "a", "b", "c")
	for i := range 1000 {
		k.client.Must("SADD", "large", fmt.Sprint("m", i))
	}
	for _, key := range []string{"ints", "packed", "large"} {
		member := k.client.Must("SRANDMEMBER", key).Text()
		for _, line := range []string{
			"SADD " + key + " " + member, "SREM " + key + " none", "SISMEMBER " + key + " " + member,
			"SMISMEMBER " + key + " " + member + " none", "SCARD " + key, "SMEMBERS " + key, "SRANDMEMBER " + key,
		} {
			if n := k.client.Allocations(line); n != 0 {
				t.Errorf("%s: %v allocations", line, n)
			}
		}
	}
}
