package lists

import (
	"slices"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/connection"
	"hyperkv/engine/keys"
	"hyperkv/engine/server"
	text "hyperkv/engine/strings"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

func TestTranscripts(t *testing.T) {
	serve := func(shards string) testkit.Target {
		return familykit.Serve(t, map[string]string{"worker_threads": shards},
			Family, text.Family, keys.Family, server.Family, connection.Family, engine.Transactions)
	}
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t), serve("1"), serve("3"))
}

// What is told of a command: how it went, so that it goes the same way again
// without waiting; and nothing when nothing changed.
func TestEffectsAndEvents(t *testing.T) {
	told := func(lines ...string) []string { return lines }
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "RPUSH k a b", told("RPUSH k a b"), told("l rpush k")},
		{"RPUSH k a", "LPUSHX k b", told("LPUSHX k b"), told("l lpush k")},
		{"", "RPUSHX k a", nil, nil},
		{"RPUSH k a b", "LPOP k", told("LPOP k"), told("l lpop k")},
		{"RPUSH k a b", "LPOP k 0", nil, nil},
		{"RPUSH k a b", "RPOP k 5", told("RPOP k 5"), told("l rpop k", "g del k")},
		{"RPUSH k a b", "LINSERT k AFTER b x", told("LINSERT k AFTER b x"), told("l linsert k")},
		{"RPUSH k a b", "LINSERT k AFTER x b", nil, nil},
		{"RPUSH k a b", "LSET k 0 x", told("LSET k 0 x"), told("l lset k")},
		{"RPUSH k a b a", "LREM k 0 a", told("LREM k 0 a"), told("l lrem k")},
		{"RPUSH k a b a", "LREM k 0 x", nil, nil},
		{"RPUSH k a", "LREM k 0 a", told("LREM k 0 a"), told("l lrem k", "g del k")},
		{"RPUSH k a b", "LTRIM k 1 1", told("LTRIM k 1 1"), told("l ltrim k")},
		{"RPUSH k a b", "LTRIM k 0 -1", nil, told("l ltrim k")},
		{"RPUSH k a b", "LTRIM k 1 0", told("LTRIM k 1 0"), told("l ltrim k", "g del k")},
		{"RPUSH k a b", "LMPOP 2 x k RIGHT COUNT 9", told("RPOP k 2"), told("l rpop k", "g del k")},
		{"RPUSH k a b", "BLMPOP 0 2 x k LEFT", told("LPOP k 1"), told("l lpop k")},
		{"RPUSH k a b", "BLPOP x k 0", told("LPOP k"), told("l lpop k")},
		{"RPUSH k a b", "BRPOP x k 0", told("RPOP k"), told("l rpop k")},
		{"", "BRPOP k 0", nil, nil},
		{"RPUSH k a b", "LMOVE k l LEFT RIGHT", told("LMOVE k l LEFT RIGHT"), told("l rpush l", "l lpop k")},
		{"RPUSH k a", "LMOVE k k LEFT RIGHT", told("LMOVE k k LEFT RIGHT"), told("l rpush k", "l lpop k")},
		{"RPUSH k a", "RPOPLPUSH k l", told("RPOPLPUSH k l"), told("l lpush l", "l rpop k", "g del k")},
		{"RPUSH k a", "BLMOVE k l left right 0", told("LMOVE k l left right"), told("l rpush l", "l lpop k", "g del k")},
		{"RPUSH k a b", "BRPOPLPUSH k l 0", told("RPOPLPUSH k l"), told("l lpush l", "l rpop k")},
		{"", "LMOVE k l LEFT RIGHT", nil, nil},
		{"RPUSH k a b c", "LMOVEM k l LEFT LEFT COUNT 2 OBO", told("LMOVEM k l LEFT LEFT COUNT 2 OBO"), told("l lpush l", "l lpop k")},
		{"RPUSH k a b c", "LMOVEM k l LEFT LEFT EXACTLY 4 OBO", nil, nil},
		{"RPUSH k a b c", "BLMOVEM k l LEFT LEFT 0 COUNT 9 OBO", told("LMOVEM k l LEFT LEFT EXACTLY 3 OBO"), told("l lpush l", "l lpop k", "g del k")},
		{"RPUSH k a b c", "BLMOVEM k l LEFT LEFT 0", told("LMOVEM k l LEFT LEFT EXACTLY 1 BULK"), told("l lpush l", "l lpop k")},
	} {
		h := familykit.NewHandlers(t, familykit.Options{Record: true}, Family)
		c := h.Client(t)
		if test.before != "" {
			c.Must(strings.Fields(test.before)...)
			h.Take()
		}
		c.Must(strings.Fields(test.command)...)
		got := h.Take()
		if !slices.Equal(got.Effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, got.Effects, test.effects)
		}
		if !slices.Equal(got.Events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, got.Events, test.events)
		}
	}
}
