package zsets

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

// bench runs the handlers of this family on one shard, and notes what is told of them.
type bench struct {
	set             *shard.Set
	table           *engine.Table
	reply           resp.Writer
	events, effects []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	table, err := engine.NewTable(Family)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{table: table}
	b.set = shard.NewSet(shard.Options{
		Shards: 1, Databases: 1, Commands: 100, Seed: 1, Inline: true, Clock: clock.NewManual(1_000_000),
		Hooks: shard.Hooks{
			Effects: func(_ []*shard.Shard, effects []shard.Effect) {
				for _, e := range effects {
					var words []string
					for _, arg := range e.Args {
						words = append(words, string(arg))
					}
					b.effects = append(b.effects, testkit.Quote(words...))
				}
			},
			Event: func(_ *shard.Shard, _ int, class shard.EventClass, name string, key []byte) {
				b.events = append(b.events, fmt.Sprintf("%c %s %s", class, name, key))
			},
		},
	})
	t.Cleanup(b.set.Close)
	return b
}

// do runs one line and returns the reply as redis-cli shows it.
func (b *bench) do(t *testing.T, line string) string {
	t.Helper()
	words, err := testkit.Split(line)
	if err != nil {
		t.Fatal(err)
	}
	args := make([][]byte, len(words))
	for i, word := range words {
		args[i] = []byte(word)
	}
	for !b.set.EnterAll(b.set.Shards) {
	}
	defer b.set.ExitAll(b.set.Shards)
	call := b.set.Shards[0].Call()
	call.Bind(b.set, b.set.Shards...)
	cmd := b.table.Lookup(args[0])
	call.Reply, call.Now, call.Command = &b.reply, b.set.Now(), cmd.ID()
	b.reply.Reset()
	call.Begin(0, args)
	call.Execute(cmd.Run, 0)
	v, _, err := resp.ReadValue(b.reply.Buf)
	if err != nil {
		t.Fatal(err)
	}
	return v.String()
}

// What is told of a command: its effect, and its events; neither when nothing has
// changed.
func TestEffectsAndEvents(t *testing.T) {
	same := func(command string) []string { return []string{command} }
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "ZADD z 1 a 2 b", same("ZADD z 1 a 2 b"), []string{"z zadd z"}},
		{"ZADD z 1 a", "ZADD z 1 a", nil, nil},
		{"ZADD z 1 a", "ZADD z CH 2 a", same("ZADD z CH 2 a"), []string{"z zadd z"}},
		{"ZADD z 1 a", "ZADD z NX 2 a", nil, nil},
		{"ZADD z 1 a", "ZADD z GT 0 a", nil, nil},
		{"", "ZADD z XX 1 a", nil, nil},
		{"", "ZADD z INCR 1 a", same("ZADD z INCR 1 a"), []string{"z zincr z"}},
		{"ZADD z 1 a", "ZADD z INCR 0 a", nil, nil},
		{"ZADD z 1 a", "ZINCRBY z 1 a", same("ZINCRBY z 1 a"), []string{"z zincr z"}},
		{"ZADD z inf a", "ZINCRBY z -inf a", nil, nil},
		{"ZADD z 1 a 2 b", "ZREM z a c", same("ZREM z a c"), []string{"z zrem z"}},
		{"ZADD z 1 a", "ZREM z c", nil, nil},
		{"ZADD z 1 a", "ZREM z a", same("ZREM z a"), []string{"z zrem z", "g del z"}},
		{"ZADD z 1 a 2 b", "ZREMRANGEBYRANK z 0 0", same("ZREMRANGEBYRANK z 0 0"), []string{"z zremrangebyrank z"}},
		{"ZADD z 1 a 2 b", "ZREMRANGEBYSCORE z 1 2", same("ZREMRANGEBYSCORE z 1 2"), []string{"z zremrangebyscore z", "g del z"}},
		{"ZADD z 1 a 1 b", "ZREMRANGEBYLEX z [b +", same("ZREMRANGEBYLEX z [b +"), []string{"z zremrangebylex z"}},
		{"ZADD z 1 a", "ZREMRANGEBYSCORE z 5 6", nil, nil},
		{"ZADD z 1 a 2 b", "ZPOPMIN z", same("ZPOPMIN z"), []string{"z zpopmin z"}},
		{"ZADD z 1 a 2 b", "ZPOPMAX z 5", same("ZPOPMAX z 5"), []string{"z zpopmax z", "g del z"}},
		{"ZADD z 1 a", "ZPOPMIN z 0", nil, nil},
		{"ZADD z 1 a 2 b", "ZMPOP 2 y z MAX", same("ZPOPMAX z 1"), []string{"z zpopmax z"}},
		{"ZADD z 1 a 2 b", "ZMPOP 2 y z MIN COUNT 7", same("ZPOPMIN z 2"), []string{"z zpopmin z", "g del z"}},
		{"", "ZMPOP 2 y z MIN", nil, nil},
		{"ZADD z 1 a 2 b", "BZPOPMIN y z 0", same("ZPOPMIN z"), []string{"z zpopmin z"}},
		{"ZADD z 1 a 2 b", "BZPOPMAX y z 0", same("ZPOPMAX z"), []string{"z zpopmax z"}},
		{"ZADD z 1 a 2 b", "BZMPOP 0 2 y z MAX COUNT 3", same("ZPOPMAX z 2"), []string{"z zpopmax z", "g del z"}},
		{"", "BZPOPMIN y z 1", nil, nil},
		{"ZADD z 1 a", "ZUNIONSTORE d 2 z y", same("ZUNIONSTORE d 2 z y"), []string{"z zunionstore d"}},
		{"ZADD z 1 a", "ZINTERSTORE d 1 z", same("ZINTERSTORE d 1 z"), []string{"z zinterstore d"}},
		{"ZADD z 1 a", "ZINTERSTORE z 2 z y", same("ZINTERSTORE z 2 z y"), []string{"g del z"}},
		{"ZADD z 1 a", "ZDIFFSTORE d 2 z z", nil, nil},
		{"ZADD z 1 a", "ZDIFFSTORE d 1 z", same("ZDIFFSTORE d 1 z"), []string{"z zdiffstore d"}},
		{"ZADD z 1 a", "ZRANGESTORE d z 0 -1", same("ZRANGESTORE d z 0 -1"), []string{"z zrangestore d"}},
		{"ZADD z 1 a", "ZRANGESTORE z z 1 1", same("ZRANGESTORE z z 1 1"), []string{"g del z"}},
		{"ZADD z 1 a", "ZRANGESTORE d z 1 1", nil, nil},
	} {
		b := newBench(t)
		if test.before != "" {
			b.do(t, test.before)
			b.events, b.effects = nil, nil
		}
		reply := b.do(t, test.command)
		if !slices.Equal(b.effects, test.effects) {
			t.Errorf("%s; %s: effects are %q, want %q; replied %s", test.before, test.command, b.effects, test.effects, reply)
		}
		if !slices.Equal(b.events, test.events) {
			t.Errorf("%s; %s: events are %q, want %q", test.before, test.command, b.events, test.events)
		}
	}
}

// A scan of a large sorted set sees every member that is there all the time,
// while others come and go and scores change, also when all scores are equal.
func TestScanWhileChanging(t *testing.T) {
	for _, spread := range []int{1, 3, 1000} {
		b := newBench(t)
		const n = 2000
		for i := range n {
			b.do(t, fmt.Sprintf("ZADD z %d stays:%d %d goes:%d", i%spread, i, i%spread, i))
		}
		seen := map[string]bool{}
		cursor := "0"
		for round := 0; ; round++ {
			v := b.do(t, "ZSCAN z "+cursor+" COUNT 20")
			lines := strings.Split(v, "\n")
			for _, line := range lines {
				if at := strings.Index(line, `"stays:`); at >= 0 {
					seen[strings.Trim(line[at:], `"`)] = true
				}
			}
			cursor = strings.Trim(strings.TrimPrefix(lines[0], "1) "), `"`)
			if cursor == "0" {
				break
			}
			for i := range 7 {
				b.do(t, fmt.Sprintf("ZREM z goes:%d", (round*7+i)%n))
				b.do(t, fmt.Sprintf("ZADD z 5 comes:%d", round*7+i))
				b.do(t, fmt.Sprintf("ZINCRBY z %d stays:%d", round%5-2, (round*31+i*257)%n))
			}
		}
		if len(seen) != n {
			t.Errorf("with %d scores, %d of %d members were seen", spread, len(seen), n)
		}
	}
}
