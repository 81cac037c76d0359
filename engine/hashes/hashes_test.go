package hashes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
	"hyperkv/shard"
)

// stage runs handlers of this family on a shard of its own, without a server around
// them, and hears what they tell.
type stage struct {
	t       *testing.T
	table   *engine.Table
	set     *shard.Set
	now     *clock.Manual
	effects []string
	events  []string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, now: clock.NewManual(1_000_000)}
	var err error
	if s.table, err = engine.NewTable(Family); err != nil {
		t.Fatal(err)
	}
	s.set = shard.NewSet(shard.Options{
		Shards: 1, Databases: 1, Commands: len(Family.Commands), Seed: 1, Inline: true, Clock: s.now,
		Hooks: shard.Hooks{
			Effects: func(_ []*shard.Shard, effects []shard.Effect) {
				for _, e := range effects {
					var words []string
					for _, arg := range e.Args {
						words = append(words, string(arg))
					}
					s.effects = append(s.effects, testkit.Quote(words...))
				}
			},
			Event: func(_ *shard.Shard, _ int, class shard.EventClass, name string, key []byte) {
				s.events = append(s.events, fmt.Sprintf("%c %s %s", class, name, key))
			},
		},
	})
	s.set.ActiveExpiry.Store(false)
	t.Cleanup(s.set.Close)
	return s
}

// do runs a line and returns the reply; "sleep" lets 100 ms pass.
func (s *stage) do(line string) resp.Value {
	s.t.Helper()
	if line == "sleep" {
		s.now.Set(s.now.NowMillis() + 100)
		return resp.Value{}
	}
	words, err := testkit.Split(line)
	if err != nil {
		s.t.Fatal(err)
	}
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	command := s.table.Lookup(args[0])
	for !s.set.EnterAll(s.set.Shards) {
	}
	defer s.set.ExitAll(s.set.Shards)
	call := s.set.Shards[0].Call()
	call.Bind(s.set, s.set.Shards...)
	call.BeginClient(nil, &resp.Writer{})
	call.Command = command.ID()
	call.Begin(0, args)
	call.Execute(command.Run, 0)
	v, _, err := resp.ReadValue(call.Reply.Buf)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return v
}

// What is told of a command: the outcome, with absolute times, and nothing when
// nothing changed. The clock begins at 1 000 000.
func TestEffectsAndEvents(t *testing.T) {
	f := func(before, command string, effects, events []string) {
		t.Helper()
		s := newStage(t)
		for _, line := range strings.Split(before, "; ") {
			if line != "" {
				s.do(line)
			}
		}
		s.effects, s.events = nil, nil
		s.do(command)
		if !slices.Equal(s.effects, effects) {
			t.Errorf("%s; %s: effects %q, want %q", before, command, s.effects, effects)
		}
		if !slices.Equal(s.events, events) {
			t.Errorf("%s; %s: events %q, want %q", before, command, s.events, events)
		}
	}
	type all []string
	const pair, gone = "HSET h f 1 g 2", "HSET h f 1 g 2; HPEXPIRE h 50 FIELDS 1 f; sleep"
	f("", "HSET h f v g w", all{"HSET h f v g w"}, all{"h hset h"})
	f("", "HMSET h f v", all{"HMSET h f v"}, all{"h hset h"})
	f("", "HSETNX h f v", all{"HSET h f v"}, all{"h hset h"})
	f(pair, "HSETNX h f v", nil, nil)
	f(gone, "HSETNX h f v", all{"HDEL h f", "HSET h f v"}, all{"h hexpired h", "h hset h"})
	f(pair, "HDEL h f x", all{"HDEL h f x"}, all{"h hdel h"})
	f(pair, "HDEL h f g", all{"HDEL h f g"}, all{"h hdel h", "g del h"})
	f(pair, "HDEL h x", nil, nil)
	f("", "HINCRBY h f 3", all{"HINCRBY h f 3"}, all{"h hincrby h"})
	f(gone, "HINCRBY h f 3", all{"HDEL h f", "HINCRBY h f 3"}, all{"h hexpired h", "h hincrby h"})
	f("", "HINCRBYFLOAT h f 0.5", all{"HSET h f 0.5"}, all{"h hincrbyfloat h"})
	f(pair+"; HEXPIRE h 9 FIELDS 1 f", "HINCRBYFLOAT h f 0.5", all{"HSETEX h KEEPTTL FIELDS 1 f 1.5"}, all{"h hincrbyfloat h"})
	f(pair, "HGETALL h", nil, nil)

	// What has expired goes when it is looked for by name, and the key with the last.
	f(gone, "HGET h f", all{"HDEL h f"}, all{"h hexpired h"})
	f(gone, "HSTRLEN h f", all{"HDEL h f"}, all{"h hexpired h"})
	f(gone, "HEXISTS h f", all{"HDEL h f"}, all{"h hexpired h"})
	f(gone, "HMGET h g f f", all{"HDEL h f"}, all{"h hexpired h"})
	f(gone, "HRANDFIELD h", all{"HDEL h f"}, all{"h hexpired h"})
	f(gone, "HGETALL h", nil, nil)
	f(gone, "HLEN h", nil, nil)
	f(gone+"; HDEL h g", "HGET h f", all{"HDEL h f"}, all{"h hexpired h", "g del h"})
	f(gone+"; HDEL h g", "HINCRBY h f 1", all{"HDEL h f", "HINCRBY h f 1"}, all{"h hexpired h", "g del h", "h hincrby h"})

	f(pair, "HEXPIRE h 10 FIELDS 3 f x g", all{"HPEXPIREAT h 1010000 FIELDS 2 f g"}, all{"h hexpire h"})
	f(pair, "HPEXPIREAT h 1010000 NX FIELDS 1 f", all{"HPEXPIREAT h 1010000 FIELDS 1 f"}, all{"h hexpire h"})
	f(pair, "HPEXPIRE h 10 XX FIELDS 1 f", nil, nil)
	f(pair, "HEXPIREAT h 1 FIELDS 2 f f", all{"HDEL h f"}, all{"h hdel h"})
	f(pair, "HEXPIREAT h 1 FIELDS 2 f g", all{"HDEL h f g"}, all{"h hdel h", "g del h"})
	f(gone, "HEXPIRE h 10 FIELDS 2 f g", all{"HDEL h f", "HPEXPIREAT h 1010100 FIELDS 1 g"}, all{"h hexpired h", "h hexpire h"})
	f(pair, "HPERSIST h FIELDS 1 f", nil, nil)
	f(pair+"; HEXPIRE h 9 FIELDS 1 f", "HPERSIST h FIELDS 2 f g", all{"HPERSIST h FIELDS 1 f"}, all{"h hpersist h"})

	f(pair, "HGETDEL h FIELDS 2 f x", all{"HDEL h f"}, all{"h hdel h"})
	f(pair, "HGETDEL h FIELDS 2 f g", all{"HDEL h f g"}, all{"h hdel h", "g del h"})
	f(pair, "HGETEX h FIELDS 1 f", nil, nil)
	f(pair, "HGETEX h EX 10 FIELDS 2 f x", all{"HPEXPIREAT h 1010000 FIELDS 1 f"}, all{"h hexpire h"})
	f(pair, "HGETEX h PXAT 1 FIELDS 1 f", all{"HDEL h f"}, all{"h hdel h"})
	f(pair, "HGETEX h PERSIST FIELDS 1 f", nil, nil)
	f(pair+"; HEXPIRE h 9 FIELDS 1 f", "HGETEX h PERSIST FIELDS 2 f g", all{"HPERSIST h FIELDS 1 f"}, all{"h hpersist h"})
	f("", "HSETEX h FIELDS 1 f v", all{"HSETEX h FIELDS 1 f v"}, all{"h hset h"})
	f("", "HSETEX h FNX EX 10 FIELDS 1 f v", all{"HSETEX h PXAT 1010000 FIELDS 1 f v"}, all{"h hset h", "h hexpire h"})
	f(pair, "HSETEX h FNX FIELDS 2 f v i w", nil, nil)
	f(pair, "HSETEX h FXX KEEPTTL FIELDS 1 f v", all{"HSETEX h KEEPTTL FIELDS 1 f v"}, all{"h hset h"})
	f(gone, "HSETEX h FXX FIELDS 1 f v", all{"HDEL h f"}, all{"h hexpired h"})
	f(pair, "HSETEX h PXAT 1 FIELDS 2 f v x w", all{"HDEL h f"}, all{"h hdel h"})
}

// While expiry is held, what has expired stays, and is not seen.
func TestExpiryHeld(t *testing.T) {
	s := newStage(t)
	f := func(line, want string) {
		t.Helper()
		if got := s.do(line).String(); got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	s.do("HSET h f 1 g 2 i 3")
	s.do("HPEXPIRE h 50 FIELDS 2 f g")
	s.set.ExpiryHeld.Add(1)
	s.do("sleep")
	f("HGET h f", "(nil)")
	f("HLEN h", "(integer) 3")
	f("HRANDFIELD h", `"i"`)
	f("HRANDFIELD h -300000000", "(error) ERR value is out of range")
	f("HRANDFIELD h -2", "1) \"i\"\n2) \"i\"")
	f("HRANDFIELD h 3 WITHVALUES", "1) \"i\"\n2) \"3\"")
	f("HSETEX h KEEPTTL FIELDS 1 f new", "(integer) 1")
	f("HPTTL h FIELDS 2 f g", "1) (integer) -1\n2) (integer) -2")
	f("HGETALL h", "1) \"f\"\n2) \"new\"\n3) \"i\"\n4) \"3\"")
	s.set.ExpiryHeld.Add(-1)
	f("HGET h g", "(nil)")
	f("HLEN h", "(integer) 2")
}

// HRANDFIELD picks each field about equally often, in small hashes and large ones.
func TestRandomIsFair(t *testing.T) {
	for _, n := range []int{10, 600} {
		s := newStage(t)
		for i := range n {
			s.do(fmt.Sprintf("HSET h f%d %d", i, i))
		}
		for _, count := range []int{-1000, 2, n / 2, n - 1} {
			picks := map[string]int{}
			total := 0
			for total < 100*n {
				for _, e := range s.do(fmt.Sprint("HRANDFIELD h ", count)).Elems {
					picks[e.Text()]++
					total++
				}
			}
			if len(picks) != n {
				t.Errorf("%d of %d fields are picked by %d", len(picks), n, count)
			}
			for field, times := range picks {
				if mean := total / n; times < mean/2 || times > mean*2 {
					t.Errorf("%s of %d is picked %d times by %d, on average %d", field, n, times, count, mean)
				}
			}
			seen := map[string]bool{}
			for _, e := range s.do(fmt.Sprint("HRANDFIELD h ", count)).Elems {
				if count > 0 && seen[e.Text()] {
					t.Errorf("%s is picked twice by %d", e.Text(), count)
				}
				seen[e.Text()] = true
			}
		}
	}
}
