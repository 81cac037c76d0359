package zsets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/connection"
	"hyperkv/engine/keys"
	"hyperkv/engine/server"
	"hyperkv/engine/sets"
	text "hyperkv/engine/strings"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

func TestTranscripts(t *testing.T) {
	serve := func(shards string) testkit.Target {
		return familykit.Serve(t, map[string]string{"worker_threads": shards},
			Family, sets.Family, text.Family, keys.Family, server.Family, connection.Family, engine.Transactions)
	}
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t), serve("1"), serve("3"))
}

// What is told of a command: its effect, and its events; neither when nothing has
// changed.
func TestEffectsAndEvents(t *testing.T) {
	told := func(lines ...string) []string { return lines }
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "ZADD z 1 a 2 b", told("ZADD z 1 a 2 b"), told("z zadd z")},
		{"ZADD z 1 a", "ZADD z 1 a", nil, nil},
		{"ZADD z 1 a", "ZADD z CH 2 a", told("ZADD z CH 2 a"), told("z zadd z")},
		{"ZADD z 1 a", "ZADD z NX 2 a", nil, nil},
		{"ZADD z 1 a", "ZADD z GT 0 a", nil, nil},
		{"", "ZADD z XX 1 a", nil, nil},
		{"", "ZADD z INCR 1 a", told("ZADD z INCR 1 a"), told("z zincr z")},
		{"ZADD z 1 a", "ZADD z INCR 0 a", nil, nil},
		{"ZADD z 1 a", "ZINCRBY z 1 a", told("ZINCRBY z 1 a"), told("z zincr z")},
		{"ZADD z inf a", "ZINCRBY z -inf a", nil, nil},
		{"ZADD z 1 a 2 b", "ZREM z a c", told("ZREM z a c"), told("z zrem z")},
		{"ZADD z 1 a", "ZREM z c", nil, nil},
		{"ZADD z 1 a", "ZREM z a", told("ZREM z a"), told("z zrem z", "g del z")},
		{"ZADD z 1 a 2 b", "ZREMRANGEBYRANK z 0 0", told("ZREMRANGEBYRANK z 0 0"), told("z zremrangebyrank z")},
		{"ZADD z 1 a 2 b", "ZREMRANGEBYSCORE z 1 2", told("ZREMRANGEBYSCORE z 1 2"), told("z zremrangebyscore z", "g del z")},
		{"ZADD z 1 a 1 b", "ZREMRANGEBYLEX z [b +", told("ZREMRANGEBYLEX z [b +"), told("z zremrangebylex z")},
		{"ZADD z 1 a", "ZREMRANGEBYSCORE z 5 6", nil, nil},
		{"ZADD z 1 a 2 b", "ZPOPMIN z", told("ZPOPMIN z"), told("z zpopmin z")},
		{"ZADD z 1 a 2 b", "ZPOPMAX z 5", told("ZPOPMAX z 5"), told("z zpopmax z", "g del z")},
		{"ZADD z 1 a", "ZPOPMIN z 0", nil, nil},
		{"ZADD z 1 a 2 b", "ZMPOP 2 y z MAX", told("ZPOPMAX z 1"), told("z zpopmax z")},
		{"ZADD z 1 a 2 b", "ZMPOP 2 y z MIN COUNT 7", told("ZPOPMIN z 2"), told("z zpopmin z", "g del z")},
		{"", "ZMPOP 2 y z MIN", nil, nil},
		{"ZADD z 1 a 2 b", "BZPOPMIN y z 0", told("ZPOPMIN z"), told("z zpopmin z")},
		{"ZADD z 1 a 2 b", "BZPOPMAX y z 0", told("ZPOPMAX z"), told("z zpopmax z")},
		{"ZADD z 1 a 2 b", "BZMPOP 0 2 y z MAX COUNT 3", told("ZPOPMAX z 2"), told("z zpopmax z", "g del z")},
		{"", "BZPOPMIN y z 1", nil, nil},
		{"ZADD z 1 a", "ZUNIONSTORE d 2 z y", told("ZUNIONSTORE d 2 z y"), told("z zunionstore d")},
		{"ZADD z 1 a", "ZINTERSTORE d 1 z", told("ZINTERSTORE d 1 z"), told("z zinterstore d")},
		{"ZADD z 1 a", "ZINTERSTORE z 2 z y", told("ZINTERSTORE z 2 z y"), told("g del z")},
		{"ZADD z 1 a", "ZDIFFSTORE d 2 z z", nil, nil},
		{"ZADD z 1 a", "ZDIFFSTORE d 1 z", told("ZDIFFSTORE d 1 z"), told("z zdiffstore d")},
		{"ZADD z 1 a", "ZRANGESTORE d z 0 -1", told("ZRANGESTORE d z 0 -1"), told("z zrangestore d")},
		{"ZADD z 1 a", "ZRANGESTORE z z 1 1", told("ZRANGESTORE z z 1 1"), told("g del z")},
		{"ZADD z 1 a", "ZRANGESTORE d z 1 1", nil, nil},
	} {
		h := familykit.NewHandlers(t, familykit.Options{Record: true}, Family)
		c := h.Client(t)
		if test.before != "" {
			c.Line(test.before)
			h.Take()
		}
		reply := c.Line(test.command)
		got := h.Take()
		if !slices.Equal(got.Effects, test.effects) {
			t.Errorf("%s; %s: effects are %q, want %q; replied %s", test.before, test.command, got.Effects, test.effects, reply)
		}
		if !slices.Equal(got.Events, test.events) {
			t.Errorf("%s; %s: events are %q, want %q", test.before, test.command, got.Events, test.events)
		}
	}
}

// What most clients do all day allocates nothing.
func TestAllocations(t *testing.T) {
	c := familykit.NewHandlers(t, familykit.Options{}, Family).Client(t)
	for i := range 1000 {
		c.Must("ZADD", "large", strconv.Itoa(i), "member:"+strconv.Itoa(i))
	}
	c.Line("ZADD small 1 a 2 b 3 c")
	for _, key := range []string{"small", "large"} {
		for _, command := range []string{
			"ZADD %s 1 a", "ZINCRBY %s 0 a", "ZSCORE %s a", "ZRANK %s a", "ZCARD %s", "ZCOUNT %s 0 5",
			"ZRANGE %s 0 9 WITHSCORES", "ZRANGE %s 0 9 REV", "ZRANGEBYSCORE %s 0 9",
		} {
			line := fmt.Sprintf(command, key)
			if n := c.Allocations(line); n > 0 {
				t.Errorf("%s takes %v allocations", line, n)
			}
		}
	}
}

// A scan of a large sorted set sees every member that is there all the time,
// while others come and go and scores change, also when all scores are equal.
func TestScanWhileChanging(t *testing.T) {
	for _, spread := range []int{1, 3, 1000} {
		c := familykit.NewHandlers(t, familykit.Options{}, Family).Client(t)
		const n = 2000
		for i := range n {
			c.Line(fmt.Sprintf("ZADD z %d stays:%d %d goes:%d", i%spread, i, i%spread, i))
		}
		seen := map[string]bool{}
		cursor := "0"
		for round := 0; ; round++ {
			reply := c.Must("ZSCAN", "z", cursor, "COUNT", "20")
			for _, e := range reply.Elems[1].Elems {
				if strings.HasPrefix(e.Text(), "stays:") {
					seen[e.Text()] = true
				}
			}
			if cursor = reply.Elems[0].Text(); cursor == "0" {
				break
			}
			for i := range 7 {
				c.Line(fmt.Sprintf("ZREM z goes:%d", (round*7+i)%n))
				c.Line(fmt.Sprintf("ZADD z 5 comes:%d", round*7+i))
				c.Line(fmt.Sprintf("ZINCRBY z %d stays:%d", round%5-2, (round*31+i*257)%n))
			}
		}
		if len(seen) != n {
			t.Errorf("with %d scores, %d of %d members were seen", spread, len(seen), n)
		}
	}
}
