package sorting

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hyperkv/engine/hashes"
	"hyperkv/engine/keys"
	"hyperkv/engine/lists"
	"hyperkv/engine/sets"
	"hyperkv/engine/streams"
	texts "hyperkv/engine/strings"
	"hyperkv/engine/zsets"
	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

// handlers are this family beside those of the types that it is about.
func handlers(t *testing.T, o familykit.Options) *familykit.Handlers {
	t.Helper()
	return familykit.NewHandlers(t, o, Family, lists.Family, sets.Family, zsets.Family,
		hashes.Family, streams.Family, texts.Family, keys.Family)
}

func TestTranscripts(t *testing.T) {
	testkit.RunTranscripts(t, "testdata/*.txt", testkit.Redis(t),
		handlers(t, familykit.Options{Shards: 1}), handlers(t, familykit.Options{Shards: 3}))
}

func TestEffects(t *testing.T) {
	h := handlers(t, familykit.Options{Record: true})
	c := h.Client(t)
	c.Must("RPUSH", "list", "3", "1", "2")
	f := func(command string, want ...string) {
		t.Helper()
		h.Take()
		if _, err := c.Do(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
		if got := h.Take().All; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	f("SORT list")
	f("SORT list STORE to", "0! l sortstore to", "0> SORT list STORE to")
	f("SORT nokey STORE to", "0! g del to", "0> SORT nokey STORE to")
	f("SORT nokey STORE to")
	f("SORT list LIMIT 5 1 STORE list", "0! g del list", "0> SORT list LIMIT 5 1 STORE list")
}

// Where the router looks for keys, and when it gives up and takes all shards.
func TestRouting(t *testing.T) {
	f := func(line string, wantKeys []int, wantWide bool) {
		t.Helper()
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		got, err := findKeys(args)
		if err != nil || !slices.Equal(got, wantKeys) || leadsElsewhere(args) != wantWide {
			t.Errorf("%s: got %v and %v, %v, want %v and %v", line, got, leadsElsewhere(args), err, wantKeys, wantWide)
		}
	}
	f("SORT a", []int{1}, false)
	f("SORT a STORE b", []int{1, 3}, false)
	f("SORT a store b limit 1 2 STORE c", []int{1, 8}, false)
	f("SORT a BY STORE GET STORE", []int{1}, false)
	f("SORT a BY STORE GET STORE STORE b", []int{1, 7}, false)
	f("SORT a STORE", []int{1}, false)
	f("SORT a BY nosort GET #", []int{1}, false)
	f("SORT a BY w_*", []int{1}, true)
	f("SORT a BY w_* BY nosort", []int{1}, false)
	f("SORT a GET w_*->f STORE b", []int{1, 5}, true)
	f("SORT a GET w_* what", []int{1}, false)
}

// What has expired of a collection is recorded as gone before what was made of the rest: a
// replay sees it alive until then.
func TestEffectsOfExpiredMembers(t *testing.T) {
	now := clock.NewManual(1_000_000)
	h := handlers(t, familykit.Options{Record: true, Clock: now})
	h.Set.ActiveExpiry.Store(false)
	c := h.Client(t)
	f := func(command string, want ...string) {
		t.Helper()
		c.Must("DEL", "set", "h_1", "to")
		c.Line("SADDEX set MEMBERS 2 1 2")
		c.Line("SADDEX set PX 10 MEMBERS 1 3")
		c.Line("HSET h_1 field 1 other 2")
		c.Line("HPEXPIRE h_1 10 FIELDS 1 field")
		now.Advance(20 * time.Millisecond)
		h.Take()
		if _, err := c.Do(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
		if got := h.Take().Effects; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	f("SORT set STORE to", "SREM set 3", "SORT set STORE to")
	f("SORT set BY nosort GET h_*->field STORE to", "SREM set 3", "HDEL h_1 field", "SORT set BY nosort GET h_*->field STORE to")
	f("ZUNIONSTORE to 1 set", "SREM set 3", "ZUNIONSTORE to 1 set")
	f("ZINTERSTORE to 2 set set", "SREM set 3", "ZINTERSTORE to 2 set set")
	f("ZDIFFSTORE to 1 set", "SREM set 3", "ZDIFFSTORE to 1 set")
}
