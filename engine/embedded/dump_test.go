package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/difftest"
	"hyperkv/internal/rdb"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// doer is a client of ours or of the reference server.
type doer = testkit.Doer

var mustDo = testkit.Must

// shape makes texts of one kind, so that the elements of a value have something in
// common, as values have.
func shape(r *rand.Rand) func() string {
	switch r.IntN(5) {
	case 0:
		return func() string { return strconv.Itoa(r.IntN(1000)) }
	case 1:
		bits := r.IntN(64)
		return func() string { return strconv.FormatInt(int64(r.Uint64())>>bits, 10) }
	case 2:
		most := []int{1, 10, 64, 65, 300, 5000}[r.IntN(6)]
		return func() string { return strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(most+1)) }
	case 3:
		return func() string {
			b := make([]byte, r.IntN(80))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return string(b)
		}
	default:
		return func() string { return "member:" + strconv.Itoa(r.IntN(5000)) }
	}
}

// recipe is the commands that make a value of a type.
func recipe(r *rand.Rand, kind string) (commands [][]string) {
	text := shape(r)
	count := 1 + r.IntN([]int{1, 4, 128, 140, 600, 2000}[r.IntN(6)])
	switch kind {
	case "string":
		return [][]string{{"SET", "key", text()}}
	case "list":
		for range count {
			commands = append(commands, []string{"RPUSH", "key", text()})
		}
		if r.IntN(3) == 0 {
			commands = append(commands, []string{"LPUSH", "key", strings.Repeat("huge", 5000)})
		}
	case "set":
		for range count {
			commands = append(commands, []string{"SADD", "key", text()})
		}
	case "zset":
		for range count {
			score := []string{"0", "1", "-1.5", "inf", "-inf", "1e100", "0.1", strconv.FormatFloat(r.NormFloat64(), 'g', -1, 64)}[r.IntN(8)]
			commands = append(commands, []string{"ZADD", "key", score, text()})
		}
	case "hash":
		value := shape(r)
		for range count {
			commands = append(commands, []string{"HSET", "key", text(), value()})
		}
	case "stream":
		commands = streamRecipe(r, count, text)
	}
	return commands
}

func streamRecipe(r *rand.Rand, count int, text func() string) (commands [][]string) {
	commands = append(commands, []string{"XGROUP", "CREATE", "key", "empty", "0", "MKSTREAM"})
	var ids []string
	for i := range count {
		id := fmt.Sprintf("%d-%d", 1_000+i/3, 1+i)
		ids = append(ids, id)
		add := []string{"XADD", "key", id, "name", text()}
		if r.IntN(5) == 0 {
			add = append(add, text(), "other")
		}
		commands = append(commands, add)
	}
	for group := range r.IntN(3) {
		name := "group" + strconv.Itoa(group)
		commands = append(commands, []string{"XGROUP", "CREATE", "key", name, []string{"0", "$", ids[r.IntN(len(ids))]}[r.IntN(3)]})
		for consumer := range r.IntN(4) {
			commands = append(commands, []string{"XGROUP", "CREATECONSUMER", "key", name, "c" + strconv.Itoa(consumer)})
			for range r.IntN(20) {
				commands = append(commands, []string{"XCLAIM", "key", name, "c" + strconv.Itoa(consumer), "0", ids[r.IntN(len(ids))],
					"TIME", strconv.Itoa(1_600_000_000_000 + r.IntN(100_000)), "RETRYCOUNT", strconv.Itoa(r.IntN(300)), "FORCE"})
			}
		}
	}
	for range r.IntN(1 + count/4) {
		commands = append(commands, []string{"XDEL", "key", ids[r.IntN(len(ids))]})
	}
	return commands
}

// content is all that a key holds, as commands show it.
func content(t *testing.T, c doer, key string) string {
	t.Helper()
	kind := mustDo(t, c, "TYPE", key).Text()
	show := map[string][]string{
		"string": {"GET", key},
		"list":   {"LRANGE", key, "0", "-1"},
		"set":    {"SMEMBERS", key},
		"zset":   {"ZRANGE", key, "0", "-1", "WITHSCORES"},
		"hash":   {"HGETALL", key},
		"stream": {"XRANGE", key, "-", "+"},
	}[kind]
	if show == nil {
		t.Fatalf("%s holds a %s", key, kind)
	}
	v := mustDo(t, c, show...)
	var parts []string
	switch kind {
	case "set":
		for _, e := range v.Elems {
			parts = append(parts, strconv.Quote(e.Text()))
		}
		slices.Sort(parts)
	case "hash":
		for i := 0; i < len(v.Elems); i += 2 {
			parts = append(parts, strconv.Quote(v.Elems[i].Text())+": "+strconv.Quote(v.Elems[i+1].Text()))
		}
		slices.Sort(parts)
	case "zset":
		for i, e := range v.Elems {
			if i%2 == 0 {
				parts = append(parts, strconv.Quote(e.Text()))
			} else if f, err := strconv.ParseFloat(e.Text(), 64); err == nil {
				parts = append(parts, strconv.FormatFloat(f, 'g', -1, 64))
			} else {
				t.Fatal(err)
			}
		}
	case "stream":
		parts = append(parts, v.String(), streamInfo(t, c, key))
	default:
		parts = append(parts, v.String())
	}
	return kind + ": " + strings.Join(parts, " ")
}

// contents is what all keys hold.
func contents(t *testing.T, c doer) (all []string) {
	t.Helper()
	for _, e := range mustDo(t, c, "KEYS", "*").Elems {
		all = append(all, e.Text()+" "+content(t, c, e.Text()))
	}
	slices.Sort(all)
	return all
}

// streamInfo is what XINFO shows beside the entries, without what newer versions
// have added and what depends on how entries are packed.
func streamInfo(t *testing.T, c doer, key string) string {
	t.Helper()
	v := mustDo(t, c, "XINFO", "STREAM", key, "FULL", "COUNT", "0")
	var b strings.Builder
	var walk func(v resp.Value)
	walk = func(v resp.Value) {
		if len(v.Elems) == 0 {
			b.WriteString(v.String())
			return
		}
		b.WriteString("[")
		for i := 0; i < len(v.Elems); i++ {
			e := v.Elems[i]
			switch e.Text() {
			case "radix-tree-keys", "radix-tree-nodes", "entries", "seen-time", "active-time":
				i++
				continue
			}
			walk(e)
			b.WriteString(" ")
		}
		b.WriteString("]")
	}
	walk(v)
	return b.String()
}

// dumpKinds are the types of values.
var dumpKinds = []string{"string", "list", "set", "zset", "hash", "stream"}

// Payloads go back and forth between here and Redis, and nothing changes.
func TestDumpExchange(t *testing.T) {
	server := testkit.StartRedis(t, "--sanitize-dump-payload", "yes")
	if server == nil {
		t.Skip("there is no redis-server to exchange with")
	}
	redis, err := testkit.Dial(server.Network, server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	l := newLab(t, 3, epoch)
	defer l.Close()
	ours := l.client(t)
	defer ours.Close()
	mustDo(t, ours, "HELLO", "2")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range less(200) {
		kind := dumpKinds[i%len(dumpKinds)]
		mustDo(t, ours, "DEL", "key")
		mustDo(t, redis, "DEL", "key")
		for _, command := range recipe(r, kind) {
			mustDo(t, ours, command...)
			mustDo(t, redis, command...)
		}
		want := content(t, redis, "key")
		if have := content(t, ours, "key"); have != want {
			t.Fatalf("made by the same commands:\nhere  %.500s\nRedis %.500s", have, want)
		}
		payload := mustDo(t, ours, "DUMP", "key").Text()
		mustDo(t, redis, "RESTORE", "copy", "0", payload, "REPLACE")
		if have := content(t, redis, "copy"); have != want {
			t.Fatalf("Redis takes a payload for\n%.500s\nwant\n%.500s", have, want)
		}
		for from, payload := range map[string]string{"here": payload, "Redis": mustDo(t, redis, "DUMP", "key").Text()} {
			mustDo(t, ours, "RESTORE", "copy", "0", payload, "REPLACE")
			if have := content(t, ours, "copy"); have != want {
				t.Fatalf("a payload from %s is taken for\n%.500s\nwant\n%.500s", from, have, want)
			}
			have, want := mustDo(t, ours, "OBJECT", "ENCODING", "copy").Text(), mustDo(t, ours, "OBJECT", "ENCODING", "key").Text()
			if have != want {
				t.Fatalf("a payload from %s becomes a %s, want %s: %.300s", from, have, want, content(t, ours, "key"))
			}
		}
	}
}

// Fields keep their deadlines on the way, and those that expire on it are gone.
func TestDumpFieldDeadlines(t *testing.T) {
	for _, fields := range []int{3, 1000} { // packed, and not
		l := newLab(t, 2, epoch)
		c := l.client(t)
		want := map[string]string{}
		for i := range fields {
			field := "f" + strconv.Itoa(i)
			mustDo(t, c, "HSET", "key", field, strconv.Itoa(i))
			want[field] = "-1"
			if i%3 != 0 {
				at := strconv.Itoa(epoch + 1000*(i%3) + i)
				mustDo(t, c, "HPEXPIREAT", "key", at, "FIELDS", "1", field)
				want[field] = at
			}
		}
		payload := mustDo(t, c, "DUMP", "key").Text()
		check := func(key string) {
			t.Helper()
			if n := mustDo(t, c, "HLEN", key).Int; n != int64(len(want)) {
				t.Errorf("%s has %d fields, want %d", key, n, len(want))
			}
			for field, at := range want {
				if have := mustDo(t, c, "HPEXPIRETIME", key, "FIELDS", "1", field).Elems[0].String(); have != "(integer) "+at {
					t.Errorf("%s of %s expires at %s, want %s", field, key, have, at)
				}
			}
		}
		mustDo(t, c, "RESTORE", "copy", "0", payload)
		check("copy")
		l.clock.Advance(2 * time.Second) // the first third expires
		for field := range want {
			if n, _ := strconv.Atoi(field[1:]); n%3 == 1 {
				delete(want, field)
			}
		}
		mustDo(t, c, "RESTORE", "later", "0", payload)
		check("later")
		mustDo(t, c, "RESTORE", "again", "0", mustDo(t, c, "DUMP", "key").Text())
		check("again")

		// Nothing is left of a hash whose fields have all expired.
		mustDo(t, c, "HDEL", "key", "f0")
		for i := 0; i < fields; i += 3 {
			mustDo(t, c, "HDEL", "key", "f"+strconv.Itoa(i))
		}
		payload = mustDo(t, c, "DUMP", "key").Text()
		l.clock.Advance(time.Hour)
		mustDo(t, c, "SET", "other", "text")
		mustDo(t, c, "RESTORE", "other", "0", payload, "REPLACE")
		for _, key := range []string{"other", "key"} {
			if v := mustDo(t, c, "DUMP", key); !v.Null {
				t.Errorf("%s is dumped as %v", key, v)
			}
		}
		c.Close()
		l.Close()
	}
}

// Broken payloads are refused, and leave nothing; or they are some other value,
// which is a whole one.
func TestDumpMutants(t *testing.T) {
	l := newLab(t, 2, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	mustDo(t, c, "HELLO", "2")
	r := rand.New(rand.NewPCG(3, 4))
	refused, taken := 0, 0
	for i := range less(100) {
		mustDo(t, c, "FLUSHALL")
		for _, command := range recipe(r, dumpKinds[i%len(dumpKinds)]) {
			mustDo(t, c, command...)
		}
		mustDo(t, c, "SET", "other", "text")
		payload := []byte(mustDo(t, c, "DUMP", "key").Text())
		before := contents(t, c)
		for range 60 {
			v, err := c.Do("RESTORE", "other", "0", string(mutate(r, payload)), "REPLACE")
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Err(); err != nil {
				refused++
				if err.Error() != "ERR Bad data format" {
					t.Fatal(err)
				}
				continue
			}
			taken++
			was := content(t, c, "other")
			mustDo(t, c, "RESTORE", "again", "0", mustDo(t, c, "DUMP", "other").Text(), "REPLACE")
			if is := content(t, c, "again"); is != was {
				t.Fatalf("%.300s\nis restored as\n%.300s", was, is)
			}
			mustDo(t, c, "DEL", "other", "again")
			mustDo(t, c, "SET", "other", "text")
		}
		if after := contents(t, c); !slices.Equal(after, before) {
			t.Fatalf("something stayed: %.300q, before %.300q", after, before)
		}
	}
	t.Logf("%d payloads were refused, %d taken", refused, taken)
}

// What RESTORE and SORT record makes the same keys again.
func TestDumpEffects(t *testing.T) {
	families := []difftest.Family{
		difftest.Dumps, difftest.Sorting, difftest.Generic, difftest.Expiry, difftest.Transactions,
	}
	everything := func(l *lab) (all []string) {
		c := l.client(t)
		defer c.Close()
		mustDo(t, c, "HELLO", "2")
		for db := range 16 {
			mustDo(t, c, "SELECT", strconv.Itoa(db))
			for _, line := range contents(t, c) {
				all = append(all, strconv.Itoa(db)+" "+line)
			}
			for _, e := range mustDo(t, c, "KEYS", "*").Elems {
				key := e.Text()
				all = append(all, key+" until "+mustDo(t, c, "PEXPIRETIME", key).String()+", "+mustDo(t, c, "OBJECT", "ENCODING", key).Text())
			}
		}
		slices.Sort(all)
		return all
	}
	for seed := range uint64(less(30)) {
		steps, err := difftest.Steps(seed, families, time.UnixMilli(epoch), 300)
		if err != nil {
			t.Fatal(err)
		}
		l := newLab(t, 3, epoch)
		clients := []*engine.Client{l.client(t), l.client(t)}
		for _, st := range steps {
			if _, err := clients[st.Conn].Do(st.Args...); err != nil {
				t.Fatalf("%q: %v", st.Args, err)
			}
			l.clock.Advance(st.Fuse)
		}
		for _, c := range clients {
			c.Close()
		}
		want := everything(l)
		other := newLab(t, 2, 1)
		l.record.mu.Lock()
		other.replay(t, l.record.units)
		l.record.mu.Unlock()
		other.clock.Set(l.clock.NowMillis())
		if have := everything(other); !slices.Equal(have, want) {
			t.Errorf("seed %d: after the replay\n%.2000q\nbefore\n%.2000q", seed, have, want)
		}
		other.Close()
		l.Close()
	}
}

// mutate changes a payload in a place or two and makes its checksum right.
func mutate(r *rand.Rand, payload []byte) []byte {
	b := bytes.Clone(payload[:len(payload)-8])
	for range 1 + r.IntN(2) {
		at := r.IntN(len(b) - 2)
		switch r.IntN(4) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b[at] = []byte{0, 0x7f, 0x80, 0xc3, 0xfe, 0xff}[r.IntN(6)]
		case 3:
			n := min(1+r.IntN(3), len(b)-2-at)
			b = append(b[:at:at], b[at+n:]...)
		}
		if len(b) < 4 {
			break
		}
	}
	copy(b[len(b)-2:], []byte{rdb.Version, 0})
	return binary.LittleEndian.AppendUint64(b, rdb.Checksum(0, b))
}
