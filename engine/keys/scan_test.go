package keys

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
	"hyperkv/resp"
	"hyperkv/shard"
)

func TestCursor(t *testing.T) {
	f := func(s string, want uint64, wantOK bool) {
		t.Helper()
		if got, ok := shard.ParseCursor([]byte(s)); got != want && ok || ok != wantOK {
			t.Errorf("ParseCursor(%q) = %d, %v", s, got, ok)
		}
	}
	f("0", 0, true)
	f("007", 7, true)
	f("+5", 5, true)
	f("18446744073709551615", math.MaxUint64, true)
	f("18446744073709551616", 0, false)
	f("184467440737095516150", 0, false)
	f("", 0, false)
	f("+", 0, false)
	f("-1", 0, false)
	f("1a", 0, false)
	f(" 1", 0, false)

	for _, at := range []struct{ index, shards int }{{0, 1}, {0, 3}, {2, 3}, {32767, 32768}} {
		inner := uint64(1)<<48 - 1
		cursor := shard.NextCursor(at.index, inner, at.shards)
		if cursor >= 1<<63 {
			t.Errorf("cursor %d of shard %d does not fit a signed number", cursor, at.index)
		}
		if index, got := shard.DecodeCursor(cursor); index != at.index || got != inner {
			t.Errorf("shard %d, %d became shard %d, %d", at.index, inner, index, got)
		}
		if got := shard.CursorShard(cursor, at.shards); got != at.index {
			t.Errorf("cursor of shard %d goes to shard %d", at.index, got)
		}
		want := uint64(0)
		if at.index+1 < at.shards {
			want = shard.EncodeCursor(at.index+1, 0)
		}
		if got := shard.NextCursor(at.index, 0, at.shards); got != want {
			t.Errorf("behind shard %d of %d comes cursor %d", at.index, at.shards, got)
		}
	}
	if got := shard.CursorShard(math.MaxUint64, 3); got != 0 {
		t.Errorf("a cursor from nowhere goes to shard %d", got)
	}
}

// scanAll runs SCAN with options until it ends, between for each call, and
// returns each key once.
func scanAll(t *testing.T, c *familykit.Client, between func(found int), options ...string) (found []string) {
	t.Helper()
	cursor := "0"
	for calls := 0; ; calls++ {
		if calls > 10_000 {
			t.Fatal("SCAN does not end")
		}
		v := c.Must(append([]string{"SCAN", cursor}, options...)...)
		cursor = v.Elems[0].Text()
		for _, key := range v.Elems[1].Elems {
			found = append(found, key.Text())
		}
		if between != nil {
			between(len(v.Elems[1].Elems))
		}
		if cursor == "0" {
			slices.Sort(found)
			return slices.Compact(found)
		}
	}
}

func TestScan(t *testing.T) {
	for _, shards := range []int{1, 3, 7} {
		t.Run(strconv.Itoa(shards), func(t *testing.T) {
			c := handlers(t, familykit.Options{Shards: shards}).Client(t)
			if got := scanAll(t, c, nil); len(got) != 0 {
				t.Errorf("found %q in an empty database", got)
			}
			for i := range 1000 {
				c.Must("SET", "key:"+strconv.Itoa(i), "x")
			}
			f := func(want int, options ...string) {
				t.Helper()
				if got := scanAll(t, c, nil, options...); len(got) != want {
					t.Errorf("SCAN %q found %d keys, want %d", options, len(got), want)
				}
			}
			f(1000)
			f(1000, "COUNT", "1")
			f(1000, "COUNT", "9223372036854775807")
			f(1000, "MATCH", "*")
			f(100, "MATCH", "key:1??")
			f(1, "MATCH", "key:7", "COUNT", "50")
			f(0, "MATCH", "")
			f(1000, "TYPE", "String")
			f(0, "TYPE", "list")
			f(0, "TYPE", "nonesuch")
			f(10, "type", "string", "match", "key:??", "count", "20", "match", "key:1?")

			// COUNT bounds what a call finds, but for the last group it looks at.
			scanAll(t, c, func(found int) {
				if found > 5+64 {
					t.Errorf("COUNT 5 found %d", found)
				}
			}, "COUNT", "5")
		})
	}
}

// What is there from beginning to end is found, however the database changes.
func TestScanWhileGrowing(t *testing.T) {
	c := handlers(t, familykit.Options{Shards: 3}).Client(t)
	for i := range 200 {
		c.Must("SET", fmt.Sprint("stays:", i), "x")
	}
	for i := range 2000 {
		c.Must("SET", fmt.Sprint("goes:", i), "x")
	}
	added, removed := 0, 0
	found := scanAll(t, c, func(int) {
		for range 20 {
			c.Must("SET", fmt.Sprint("comes:", added), "x")
			added++
			c.Must("DEL", fmt.Sprint("goes:", removed))
			removed++
		}
	})
	n := 0
	for _, key := range found {
		if key[:4] == "stay" {
			n++
		}
	}
	if n != 200 {
		t.Errorf("found %d of 200 keys that stayed", n)
	}
}

// SCAN removes expired keys that pass its filters, and reports none.
func TestScanExpired(t *testing.T) {
	h := handlers(t, familykit.Options{Shards: 3})
	h.Set.ActiveExpiry.Store(false)
	c := h.Client(t)
	for i := range 100 {
		c.Must("SET", "here:"+strconv.Itoa(i), "x")
		c.Must("SET", "gone:"+strconv.Itoa(i), "x", "PX", "1")
	}
	time.Sleep(5 * time.Millisecond)
	f := func(want, left int, options ...string) {
		t.Helper()
		if got := scanAll(t, c, nil, options...); len(got) != want {
			t.Errorf("SCAN %q found %d keys, want %d", options, len(got), want)
		}
		if got := c.Must("DBSIZE").Int; got != int64(left) {
			t.Errorf("SCAN %q left %d keys, want %d", options, got, left)
		}
	}
	f(0, 200, "TYPE", "list")
	f(0, 190, "MATCH", "gone:?")
	f(100, 100)
}

func TestRandomKey(t *testing.T) {
	c := handlers(t, familykit.Options{Shards: 3}).Client(t)
	seen := map[string]int{}
	for i := range 10 {
		c.Must("SET", strconv.Itoa(i), "x")
	}
	for range 2000 {
		seen[c.Must("RANDOMKEY").Text()]++
	}
	for i := range 10 {
		if n := seen[strconv.Itoa(i)]; n < 50 {
			t.Errorf("key %d was named %d times of 2000", i, n)
		}
	}
}

// RANDOMKEY removes the expired keys that it meets, and finds the one that lives.
func TestRandomKeyRemovesExpired(t *testing.T) {
	now := clock.NewManual(1_000_000)
	c := handlers(t, familykit.Options{Shards: 3, Clock: now}).Client(t)
	c.Must("SET", "alive", "x")
	for i := range 1000 {
		c.Must("SET", strconv.Itoa(i), "x", "PX", "1")
	}
	now.Advance(time.Second)
	if got := c.Must("RANDOMKEY").Text(); got != "alive" {
		t.Errorf("RANDOMKEY: %q", got)
	}
}

// A model of renaming, copying and moving between keys of several shards and
// databases, with values of every form.
func TestTransfers(t *testing.T) {
	type value struct {
		text, encoding string
		deadline       int64
	}
	c := handlers(t, familykit.Options{Shards: 3}).Client(t)
	random := rand.New(rand.NewPCG(3, 4))
	model := [2]map[string]value{{}, {}}
	key := func() string { return "k" + strconv.Itoa(random.IntN(12)) }
	big := string(make([]byte, 300_000))
	for step := range 20_000 {
		from := random.IntN(2)
		c.Must("SELECT", strconv.Itoa(from))
		a, b := key(), key()
		switch random.IntN(8) {
		case 0:
			text := []string{"", "7", "-12345678901", "short", big[:44], big[:45], big[:5000], big}[random.IntN(8)]
			encoding := "raw"
			if _, ok := resp.ParseInt([]byte(text)); ok {
				encoding = "int"
			} else if len(text) <= 44 {
				encoding = "embstr"
			}
			c.Must("SET", a, text)
			model[from][a] = value{text: text, encoding: encoding}
		case 1:
			if v, ok := model[from][a]; ok && len(v.text) < 1000 {
				c.Must("APPEND", a, "+")
				v.text, v.encoding = v.text+"+", "raw"
				model[from][a] = v
			}
		case 2:
			at := int64(9e12) + int64(step)
			c.Must("PEXPIREAT", a, strconv.FormatInt(at, 10))
			if v, ok := model[from][a]; ok {
				v.deadline = at
				model[from][a] = v
			}
		case 3:
			if v, ok := model[from][a]; ok {
				c.Must("RENAME", a, b)
				delete(model[from], a)
				model[from][b] = v
			}
		case 4:
			if v, ok := model[from][a]; ok {
				_, taken := model[from][b]
				want := int64(0)
				if !taken {
					want = 1
					delete(model[from], a)
					model[from][b] = v
				}
				if got := c.Must("RENAMENX", a, b).Int; got != want {
					t.Fatalf("step %d: RENAMENX answered %d", step, got)
				}
			}
		case 5:
			if v, ok := model[from][a]; ok {
				c.Must("COPY", a, b, "DB", strconv.Itoa(1-from), "REPLACE")
				model[1-from][b] = v
			}
		case 6:
			v, ok := model[from][a]
			if _, taken := model[1-from][a]; ok && !taken {
				model[1-from][a] = v
				delete(model[from], a)
			}
			c.Must("MOVE", a, strconv.Itoa(1-from))
		case 7:
			c.Must("DEL", a)
			delete(model[from], a)
		}
		if step%50 != 0 {
			continue
		}
		for number, keys := range model {
			c.Must("SELECT", strconv.Itoa(number))
			if got := c.Must("DBSIZE").Int; got != int64(len(keys)) {
				t.Fatalf("step %d: database %d has %d keys, want %d", step, number, got, len(keys))
			}
			for key, want := range keys {
				want.deadline = max(want.deadline, 0)
				got := value{text: c.Must("GET", key).Text(), encoding: c.Must("OBJECT", "ENCODING", key).Text()}
				if at := c.Must("PEXPIRETIME", key).Int; at > 0 {
					got.deadline = at
				}
				if got != want {
					t.Fatalf("step %d: %s is %.20q %s %d, want %.20q %s %d", step, key,
						got.text, got.encoding, got.deadline, want.text, want.encoding, want.deadline)
				}
			}
		}
	}
}
