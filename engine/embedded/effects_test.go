package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/config"
	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// epoch is when the clocks of these tests start, in milliseconds. The generator
// makes its deadlines around it.
const epoch = 1_700_000_000_000

// record is what an engine said that it did. Safe for concurrent use.
type record struct {
	mu    sync.Mutex // effects come from whoever holds a shard
	units [][]shard.Effect
}

func (r *record) sink(_ []*shard.Shard, effects []shard.Effect) {
	unit := make([]shard.Effect, len(effects))
	for i, e := range effects {
		unit[i].Database = e.Database
		for _, arg := range e.Args {
			unit[i].Args = append(unit[i].Args, bytes.Clone(arg))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.units = append(r.units, unit)
}

// lab is an engine with its clock and its record.
type lab struct {
	*engine.Engine
	clock  *clock.Manual
	record record
}

func newLab(t testing.TB, shards int, now int64) *lab {
	t.Helper()
	cfg, err := config.FromMap(map[string]string{"worker_threads": strconv.Itoa(shards), "enable_debug_command": "yes"})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{clock: clock.NewManual(now)}
	l.Engine, err = engine.New(engine.Options{
		Config: cfg, Families: Families(), Clock: l.clock, Seed: 1, Effects: l.record.sink,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) client(t testing.TB) *engine.Client {
	t.Helper()
	c, err := l.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must runs a command that has to succeed.
func must(t testing.TB, c *engine.Client, args ...string) string {
	t.Helper()
	return testkit.Must(t, c, args...).String()
}

// meanwhile runs f with 0, 1, 2 … on another goroutine until stop is called; an error of it
// ends the test there.
func meanwhile(t testing.TB, f func(i int) error) (stop func()) {
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(failed)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			if err := f(i); err != nil {
				failed <- err
				return
			}
		}
	}()
	return func() {
		t.Helper()
		close(done)
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
}

// dataset is all that a client can see of the data: its digest, and a line for each key.
func (l *lab) dataset(t testing.TB) []string {
	t.Helper()
	c := l.client(t)
	defer c.Close()
	// The digest first, as long as some of what has expired may still be there.
	all := []string{must(t, c, "DEBUG", "DIGEST")}
	for db := range 16 {
		must(t, c, "SELECT", strconv.Itoa(db))
		v, err := c.Do("KEYS", "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range v.Elems {
			key := string(e.Str)
			for _, look := range []string{"HRANDFIELD", "SCARD"} {
				c.Do(look, key) // removes what has expired, maybe all
			}
			kind := must(t, c, "TYPE", key)
			if kind == "none" {
				continue
			}
			encoding, value := must(t, c, "OBJECT", "ENCODING", key), l.value(t, c, kind, key)
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64); err == nil && encoding == `"embstr"` && value == strconv.Quote(strconv.FormatInt(n, 10)) {
				// INCRBYFLOAT leaves text where its effect, which as in Redis is SET, leaves an integer.
				encoding = `"int"`
			}
			if kind == "list" {
				encoding = "" // depends on a setting that commands change
			}
			all = append(all, fmt.Sprintf("%d %q: %s %s until %s, %s", db, key, kind,
				encoding, must(t, c, "PEXPIRETIME", key), value))
		}
	}
	slices.Sort(all)
	return all
}

// value is what a key holds.
func (l *lab) value(t testing.TB, c *engine.Client, kind, key string) string {
	t.Helper()
	switch kind {
	case "list":
		return must(t, c, "LRANGE", key, "0", "-1")
	case "hash":
		return l.fields(t, c, key)
	case "set":
		return l.members(t, c, key)
	case "zset":
		return must(t, c, "ZRANGE", key, "0", "-1", "WITHSCORES")
	case "stream":
		return must(t, c, "XINFO", "STREAM", key, "FULL", "COUNT", "0")
	}
	return must(t, c, "GET", key)
}

// fields are those of a hash, with their deadlines.
func (l *lab) fields(t testing.TB, c *engine.Client, key string) string {
	t.Helper()
	v, err := c.Do("HGETALL", key)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for i := 0; i < len(v.Elems); i += 2 {
		field := string(v.Elems[i].Str)
		fields = append(fields, fmt.Sprintf("%q: %q until %s", field, v.Elems[i+1].Str, must(t, c, "HPEXPIRETIME", key, "FIELDS", "1", field)))
	}
	slices.Sort(fields)
	return strings.Join(fields, ", ")
}

// members are those of a set, with their deadlines.
func (l *lab) members(t testing.TB, c *engine.Client, key string) string {
	t.Helper()
	v, err := c.Do("SMEMBERS", key)
	if err != nil {
		t.Fatal(err)
	}
	var members []string
	for _, e := range v.Elems {
		member := string(e.Str)
		members = append(members, fmt.Sprintf("%q until %s", member, must(t, c, "SPEXPIRETIME", key, "MEMBERS", "1", member)))
	}
	slices.Sort(members)
	return strings.Join(members, ", ")
}

// replay does what a record says, and each of it has to work.
func (l *lab) replay(t testing.TB, units [][]shard.Effect) {
	t.Helper()
	c := l.client(t)
	defer c.Close()
	selected := 0
	for _, unit := range units {
		for _, e := range unit {
			if e.Database != selected {
				selected = e.Database
				must(t, c, "SELECT", strconv.Itoa(selected))
			}
			v, err := c.DoBytes(e.Args...)
			if err == nil {
				err = v.Err()
			}
			if err != nil {
				t.Fatalf("effect %q in database %d: %v", e.Args, e.Database, err)
			}
		}
	}
}

func (r *record) String() string {
	var b strings.Builder
	for _, unit := range r.units {
		for _, e := range unit {
			words := make([]string, len(e.Args))
			for i, arg := range e.Args {
				words[i] = string(arg)
			}
			fmt.Fprintf(&b, "%d: %s\n", e.Database, testkit.Quote(words...))
		}
		b.WriteString("--\n")
	}
	return b.String()
}

// families whose random commands change data, and what makes transactions of them.
// Connections that end, or fall silent, prove nothing here.
var changing = []difftest.Family{
	difftest.Strings, difftest.Bitmaps, difftest.HyperLogLogs, difftest.Lists, difftest.ZSets, difftest.Geo,
	difftest.Generic, difftest.Expiry, difftest.Transactions, difftest.Hashes,
	{Name: "fields", Forms: []string{
		"3*HEXPIRE key seconds [NX|XX|GT|LT] FIELDS 1 field", "3*HPEXPIRE key millis FIELDS 2 field field",
		"HEXPIREAT key unix FIELDS 1 field", "2*HPEXPIREAT key unixmillis [NX|XX|GT|LT] FIELDS 2 field field",
		"HPERSIST key FIELDS 2 field field", "2*HGETEX key [EX seconds|PX millis|PXAT unixmillis|PERSIST] FIELDS 2 field field",
		"HGETDEL key FIELDS 2 field field", "3*HSETEX key [FNX|FXX] [EX seconds|PX millis|PXAT unixmillis|KEEPTTL] FIELDS 1 field value",
		"3*HPEXPIRE key (1|10|30) FIELDS 1 field",
	}},
	difftest.Sets,
	{Name: "members", Forms: []string{
		"2*SPOP key", "4*SPOP key small", "3*SADDEX key seconds member...", "SADDEX key KEEPTTL seconds member member",
		"3*SADDEX key [MNX|MXX] [EX seconds|PX millis|PXAT unixmillis|KEEPTTL] MEMBERS 2 member member",
		"2*SEXPIRE key seconds [NX|XX|GT|LT] MEMBERS 2 member member", "2*SPEXPIRE key millis MEMBERS 2 member member",
		"SPEXPIREAT key unixmillis [NX|XX|GT|LT] MEMBERS 2 member member", "SPERSIST key MEMBERS 2 member member",
		"3*SPEXPIRE key (1|10|30) MEMBERS 3 member member member",
	}},
	{Name: "databases", Forms: []string{"3*SELECT db", "2*SWAPDB db db", "2*MOVE key db", "COPY key key DB db REPLACE"}},
}

// Whatever was done, in whatever order, with keys expiring all the while: doing the
// effects again, on an empty server with another clock, gives the same data.
func TestEffectsReplay(t *testing.T) {
	episodes := uint64(less(40))
	if os.Getenv("HYPERKV_TEST_LONG") != "" {
		episodes = 3000
	}
	for _, shards := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			first := testkit.Seed(t)
			done, effects := 0, 0
			for seed := first; seed < first+episodes; seed++ {
				d, e := effectsEpisode(t, seed, shards)
				if t.Failed() {
					t.Fatalf("with HYPERKV_TEST_SEED=%d alone", seed)
				}
				done, effects = done+d, effects+e
			}
			t.Logf("%d commands, %d effects", done, effects)
			if effects < done/10 {
				t.Error("hardly anything changed, which proves little")
			}
		})
	}
}

func effectsEpisode(t *testing.T, seed uint64, shards int) (done, effects int) {
	steps, err := difftest.Steps(seed, changing, time.UnixMilli(epoch), 300)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, shards, epoch)
	defer l.Close()
	limits := l.Shards.Limits()
	if seed%2 == 1 {
		limits.HashListpackEntries = 3 // few, so that there are large hashes
	}
	l.Shards.SetLimits(limits)
	clients := []*engine.Client{l.client(t), l.client(t)}
	r := rand.New(rand.NewPCG(seed, 1))
	var story []string
	for _, st := range steps {
		if _, err := clients[st.Conn].Do(st.Args...); err != nil {
			t.Fatalf("%q: %v", st.Args, err)
		}
		story = append(story, fmt.Sprintf("%c> %s", 'a'+st.Conn, testkit.Quote(st.Args...)))
		pause := st.Fuse
		if r.IntN(20) == 0 {
			pause += time.Duration(r.IntN(100)) * time.Millisecond
		}
		if r.IntN(3) == 0 {
			pause = 0 // a deadline that passes while other commands run, not right away
		}
		if pause > 0 {
			l.clock.Advance(pause)
			story = append(story, fmt.Sprintf("sleep=%v", pause))
		}
	}
	for _, c := range clients {
		c.Close()
	}
	want := l.dataset(t)
	l.record.mu.Lock()
	units := l.record.units
	l.record.mu.Unlock()
	for _, unit := range units {
		effects += len(unit)
	}

	for _, others := range []int{shards, 2} {
		other := newLab(t, others, 1)
		other.Shards.SetLimits(limits)
		other.replay(t, units)
		other.clock.Set(l.clock.NowMillis())
		if have := other.dataset(t); !slices.Equal(have, want) {
			t.Errorf("on %d shards after the replay:\n%s\nbefore:\n%s\nrecord:\n%s\nstory:\n%s", others,
				strings.Join(have, "\n"), strings.Join(want, "\n"), &l.record, strings.Join(story, "\n"))
		}
		other.Close()
	}
	return len(steps), effects
}

// The record of many clients at once is an order in which one of them could have
// done it all.
func TestEffectsOfManyClients(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			c := l.client(t)
			defer c.Close()
			r := rand.New(rand.NewPCG(7, uint64(w)))
			key := func() string { return "k" + strconv.Itoa(r.IntN(12)) }
			for i := range less(1500) {
				value := fmt.Sprintf("%d:%d", w, i)
				var commands [][]string
				switch r.IntN(10) {
				case 0:
					commands = [][]string{{"MSET", key(), value, key(), value, key(), value}}
				case 1:
					commands = [][]string{{"MULTI"}, {"SET", key(), value}, {"RENAME", key(), key()}, {"APPEND", key(), "x"}, {"EXEC"}}
				case 2:
					commands = [][]string{{"RENAME", key(), key()}}
				case 3:
					commands = [][]string{{"COPY", key(), key(), "REPLACE"}}
				case 4:
					commands = [][]string{{"DEL", key(), key(), key()}}
				case 5:
					commands = [][]string{{"MOVE", key(), "1"}, {"SWAPDB", "0", "1"}}
				case 6:
					commands = [][]string{{"PEXPIREAT", key(), strconv.FormatInt(epoch+int64(r.IntN(2000)), 10)}}
				case 7:
					commands = [][]string{{"BITOP", "XOR", key(), key(), key()}}
				default:
					commands = [][]string{{"SET", key(), value}, {"APPEND", key(), "."}}
				}
				for _, command := range commands {
					if _, err := c.Do(command...); err != nil {
						t.Errorf("%q: %v", command, err)
						return
					}
				}
				l.clock.Advance(time.Duration(r.IntN(2)) * time.Millisecond / 2)
				if i%50 == 0 {
					l.clock.Advance(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	want := l.dataset(t)
	l.record.mu.Lock()
	units := l.record.units
	l.record.mu.Unlock()
	other := newLab(t, 3, 1)
	defer other.Close()
	other.replay(t, units)
	other.clock.Set(l.clock.NowMillis())
	if have := other.dataset(t); !slices.Equal(have, want) {
		t.Errorf("after the replay of %d units:\n%s\nbefore:\n%s", len(units), strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

// EXEC is one unit of the record: whoever replays it to the middle of a log never
// sees half of a transaction.
func TestEffectsOfTransaction(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	for _, line := range []string{
		"MULTI", "SET a 1 EX 10", "INCR b", "INCR b", "GET a", "SELECT 2", "MSET x 1 y 2 z 3", "DEL nothing", "RENAME x w", "EXEC",
	} {
		must(t, c, strings.Fields(line)...)
	}
	const want = "0: SET a 1 PXAT 1700000010000\n0: INCR b\n0: INCR b\n2: MSET x 1 y 2 z 3\n2: RENAME x w\n--\n"
	if have := l.record.String(); have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
}

// A key that is found expired inside a transaction goes away at its place in the
// record: here behind SWAPDB, which gave the name to another key.
func TestEffectsOfExpiryInTransaction(t *testing.T) {
	l := newLab(t, 1, epoch)
	defer l.Close()
	l.Shards.ActiveExpiry.Store(false)
	c := l.client(t)
	defer c.Close()
	for _, line := range []string{"SET k keep", "SELECT 1", "SET k short PX 10", "SELECT 0"} {
		must(t, c, strings.Fields(line)...)
	}
	l.clock.Advance(time.Second)
	for _, line := range []string{"MULTI", "SWAPDB 0 1", "GET k", "EXEC"} {
		must(t, c, strings.Fields(line)...)
	}
	other := newLab(t, 1, 1)
	defer other.Close()
	other.replay(t, l.record.units)
	other.clock.Set(l.clock.NowMillis())
	if have, want := other.dataset(t), l.dataset(t); !slices.Equal(have, want) {
		t.Errorf("after the replay: %q, before: %q\n%s", have, want, &l.record)
	}
}

// What leaves without having been deleted by its name leaves as UNLINK or as DEL, as the
// settings say; what was, leaves as DEL in any case.
func TestLazyDeletions(t *testing.T) {
	l := newLab(t, 1, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	past := strconv.Itoa(epoch - 1)
	ways := []struct {
		setting string // that decides; none of them if it is empty
		name    string
		do      func()
	}{
		{"lazyfree-lazy-expire", "SET with a deadline", func() { must(t, c, "SET", "key", "x", "PXAT", past) }},
		{"lazyfree-lazy-expire", "GETEX with a deadline", func() { must(t, c, "GETEX", "key", "PXAT", past) }},
		{"lazyfree-lazy-expire", "MSETEX with a deadline", func() { must(t, c, "MSETEX", "1", "key", "x", "PXAT", past) }},
		{"lazyfree-lazy-expire", "EXPIRE", func() { must(t, c, "EXPIRE", "key", "-1") }},
		{"lazyfree-lazy-expire", "expired", func() {
			must(t, c, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
			must(t, c, "PEXPIRE", "key", "1")
			l.clock.Advance(time.Second)
			must(t, c, "EXISTS", "key")
			must(t, c, "DEBUG", "SET-ACTIVE-EXPIRE", "1")
		}},
		{"lazyfree-lazy-server-del", "SPOP of all", func() {
			must(t, c, "DEL", "key")
			must(t, c, "SADD", "key", "a")
			must(t, c, "SPOP", "key", "5")
		}},
		{"lazyfree-lazy-server-del", "RESTORE of what has expired", func() {
			v, err := c.Do("DUMP", "key")
			if err != nil {
				t.Fatal(err)
			}
			must(t, c, "RESTORE", "key", past, string(v.Str), "REPLACE", "ABSTTL")
		}},
		{"", "GETDEL", func() { must(t, c, "GETDEL", "key") }},
		{"", "DEL", func() { must(t, c, "DEL", "key") }},
	}
	for _, way := range ways {
		for _, on := range []string{"yes", "no"} {
			for _, name := range []string{"lazyfree-lazy-expire", "lazyfree-lazy-server-del"} {
				value := on
				if name != way.setting && way.setting != "" {
					value = map[string]string{"yes": "no", "no": "yes"}[on]
				}
				must(t, c, "CONFIG", "SET", name, value)
			}
			must(t, c, "SET", "key", "value")
			way.do()
			units := l.record.units
			last := units[len(units)-1]
			want := "DEL"
			if on == "yes" && way.setting != "" {
				want = "UNLINK"
			}
			if got := string(bytes.Join(last[len(last)-1].Args, []byte(" "))); got != want+" key" {
				t.Errorf("%s, %s: %s", way.name, on, got)
			}
		}
	}
}

// Who waits for a key does not remove one that has expired: its deletion is left to whoever
// asks for it, and recorded there.
func TestWaitersLeaveExpiredKeys(t *testing.T) {
	l := newLab(t, 2, epoch)
	defer l.Close()
	waiting, c := l.client(t), l.client(t)
	defer c.Close()
	defer waiting.Close()
	must(t, c, "DEBUG", "SET-ACTIVE-EXPIRE", "0")
	got := make(chan string, 1)
	go func() {
		v, err := waiting.Do("BRPOP", "key", "0")
		got <- fmt.Sprint(v.String(), err)
	}()
	for l.BlockedCount() == 0 {
		time.Sleep(time.Millisecond)
	}
	must(t, c, "SELECT", "1")
	must(t, c, "RPUSH", "key", "old")
	must(t, c, "PEXPIRE", "key", "100")
	l.clock.Advance(time.Second)
	must(t, c, "SWAPDB", "0", "1") // the key is one that is waited for now
	if n := l.BlockedCount(); n != 1 {
		t.Errorf("%d wait", n)
	}
	for _, unit := range l.record.units {
		for _, e := range unit {
			if string(e.Args[0]) == "UNLINK" {
				t.Errorf("somebody has removed %q", e.Args[1])
			}
		}
	}
	must(t, c, "SELECT", "0")
	must(t, c, "RPUSH", "key", "new")
	if got := <-got; !strings.Contains(got, "new") {
		t.Errorf("BRPOP got %s", got)
	}
}
