package embedded

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
)

const noDigest = "0000000000000000000000000000000000000000"

func datasetDigest(t *testing.T, c doer) string {
	t.Helper()
	return mustDo(t, c, "DEBUG", "DIGEST").Text()
}

// digestRecipe is recipe for values that matter to digests, besides.
func digestRecipe(r *rand.Rand, kind string) (commands [][]string) {
	switch kind {
	case "hyperloglog":
		for range 1 + r.IntN(400) {
			commands = append(commands, []string{"PFADD", "key", strconv.FormatUint(r.Uint64(), 36)})
		}
	case "bitmap":
		for range 1 + r.IntN(20) {
			commands = append(commands, []string{"SETBIT", "key", strconv.Itoa(r.IntN(5000)), strconv.Itoa(r.IntN(2))})
		}
	case "number":
		commands = [][]string{{"SET", "key", strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)}}
		if r.IntN(2) == 0 {
			commands = append(commands, []string{"APPEND", "key", "0"})
		}
	case "scores":
		text := shape(r)
		for range 1 + r.IntN(300) {
			score := math.Float64frombits(r.Uint64())
			if r.IntN(2) == 0 {
				score = math.Trunc(math.Exp2(float64(r.IntN(70))) * r.NormFloat64())
			}
			if math.IsNaN(score) || score == 0 { // see ZADD of -0 among the replies that differ
				score = 1
			}
			commands = append(commands, []string{"ZADD", "key", strconv.FormatFloat(score, 'g', -1, 64), text()})
		}
	case "places":
		for range 1 + r.IntN(200) {
			degrees := func(most float64) string { return strconv.FormatFloat(most*(2*r.Float64()-1), 'f', 6, 64) }
			commands = append(commands, []string{"GEOADD", "key", degrees(180), degrees(85), strconv.Itoa(r.IntN(1000))})
		}
	default:
		commands = recipe(r, kind)
	}
	return commands
}

var digestKinds = append([]string{"hyperloglog", "bitmap", "number", "scores", "places"}, dumpKinds...)

// Whatever is in a dataset, and on however many shards, its digests are those of Redis.
func TestDigestAgainstRedis(t *testing.T) {
	server := testkit.StartRedis(t)
	if server == nil {
		t.Skip("there is no redis-server to ask")
	}
	redis, err := testkit.Dial(server.Network, server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	ours := map[string]*engine.Client{}
	for _, shards := range []int{1, 2, 7} {
		l := newLab(t, shards, epoch)
		defer l.Close()
		c := l.client(t)
		defer c.Close()
		ours[strconv.Itoa(shards)+" shards"] = c
	}
	everywhere := func(args ...string) {
		t.Helper()
		mustDo(t, redis, args...)
		for _, c := range ours {
			mustDo(t, c, args...)
		}
	}
	digests := map[string]bool{noDigest: true}
	for seed := range uint64(max(less(12), 2)) {
		r := rand.New(rand.NewPCG(seed, 9))
		everywhere("FLUSHALL")
		keys := map[int][]string{}
		for i := range 2 * len(digestKinds) {
			db := []int{0, 0, 1, 9, 15}[r.IntN(5)]
			everywhere("SELECT", strconv.Itoa(db))
			kind := digestKinds[i%len(digestKinds)]
			key := kind + strconv.Itoa(i)
			for _, command := range digestRecipe(r, kind) {
				at := slices.Index(command, "key")
				command[at] = key
				everywhere(command...)
			}
			if r.IntN(3) == 0 {
				everywhere("PEXPIREAT", key, "4000000000000")
			}
			keys[db] = append(keys[db], key)
		}
		everywhere("DEBUG", "POPULATE", strconv.Itoa(r.IntN(less(20_000))), "many") // more than a table's first size
		want := datasetDigest(t, redis)
		if digests[want] {
			t.Fatalf("seed %d: the digest %s was there before", seed, want)
		}
		digests[want] = true
		for name, c := range ours {
			if have := datasetDigest(t, c); have != want {
				t.Errorf("seed %d, %s: the digest is %s, want %s", seed, name, have, want)
			}
		}
		for db, names := range keys {
			everywhere("SELECT", strconv.Itoa(db))
			names = append(names, "nonesuch")
			ask := append([]string{"DEBUG", "DIGEST-VALUE"}, names...)
			want := mustDo(t, redis, ask...)
			for name, c := range ours {
				have := mustDo(t, c, ask...)
				if len(have.Elems) != len(names) {
					t.Fatalf("seed %d, %s: %d digests of %d keys", seed, name, len(have.Elems), len(names))
				}
				for i, e := range have.Elems {
					if e.Kind != want.Elems[i].Kind || e.Text() != want.Elems[i].Text() {
						t.Errorf("seed %d, %s: the digest of %s is %v, want %v", seed, name, names[i], e, want.Elems[i])
					}
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

// Every change shows, and when it is taken back, the digest is what it was.
func TestDigestChanges(t *testing.T) {
	for _, shards := range []int{1, 2, 7} {
		l := newLab(t, shards, epoch)
		defer l.Close()
		c := l.client(t)
		defer c.Close()
		do := func(lines string) {
			t.Helper()
			for line := range strings.SplitSeq(lines, "; ") {
				mustDo(t, c, strings.Fields(line)...)
			}
		}
		do("SET text abc; RPUSH list a b c; SADD intset 1 2 3; SADD packed a 1; HSET hash f 1 g 2; ZADD zset 1 a 2 b; XADD stream 1-1 f v")
		do("HSET timed f 1 g 2; HPEXPIREAT timed 4000000000000 FIELDS 1 f; SADDEX members 1000 a; SADD members b")
		for i := range 600 {
			do("SADD table m" + strconv.Itoa(i) + "; HSET fields f" + strconv.Itoa(i) + " v; ZADD tree " + strconv.Itoa(i) + " m" + strconv.Itoa(i))
		}
		before := datasetDigest(t, c)
		seen := map[string]string{before: "nothing"}
		f := func(change, back string) {
			t.Helper()
			do(change)
			changed := datasetDigest(t, c)
			if other := seen[changed]; other != "" {
				t.Errorf("%d shards: after %s the digest is the same as after %s", shards, change, other)
			}
			seen[changed] = change
			do(back)
			if have := datasetDigest(t, c); have != before {
				t.Errorf("%d shards: after %s and %s the digest is %s, want %s", shards, change, back, have, before)
			}
		}
		f("SET text abd", "SET text abc")
		f("SET new abc", "DEL new")
		f("RENAME text text2", "RENAME text2 text")
		f("MOVE text 1", "SELECT 1; MOVE text 0; SELECT 0")
		f("MOVE text 15", "SELECT 15; MOVE text 0; SELECT 0")
		f("SWAPDB 0 1", "SWAPDB 0 1")
		f("COPY text text DB 2", "SELECT 2; DEL text; SELECT 0")
		f("LSET list 1 x", "LSET list 1 b")
		f("LMOVE list list LEFT RIGHT", "LMOVE list list RIGHT LEFT")
		f("SADD intset 4", "SREM intset 4")
		f("SADD packed 2", "SREM packed 2")
		f("SREM table m7", "SADD table m7")
		f("HSET hash f 2", "HSET hash f 1")
		f("HSET hash f 2 g 1", "HSET hash f 1 g 2")
		f("HSET fields f599 w", "HSET fields f599 v")
		f("ZADD zset 1.0000000000000002 a", "ZADD zset 1 a")
		f("ZADD tree 599.00000000000011 m599", "ZADD tree 599 m599")
		f("XADD stream 1-2 f v", "XDEL stream 1-2")
		for _, key := range []string{"text", "list", "table", "hash", "timed", "tree", "stream"} {
			f("PEXPIREAT "+key+" 4000000000000", "PERSIST "+key)
		}
		f("HPEXPIREAT hash 4000000000000 FIELDS 1 g", "HPERSIST hash FIELDS 1 g")
		f("HPEXPIREAT fields 4000000000000 FIELDS 2 f1 f2", "HPERSIST fields FIELDS 2 f1 f2")
		f("HPERSIST timed FIELDS 1 f", "HPEXPIREAT timed 4000000000000 FIELDS 1 f")
		f("SPEXPIREAT packed 4000000000000 MEMBERS 1 a", "SPERSIST packed MEMBERS 1 a")
		f("SPEXPIREAT table 4000000000000 MEMBERS 2 m1 m2", "SPERSIST table MEMBERS 2 m1 m2")
		f("SPERSIST members MEMBERS 1 a", "SPEXPIRE members 2000 MEMBERS 1 a")
		// Whose deadline it is matters, though not when it is.
		f("SPERSIST members MEMBERS 1 a; SEXPIRE members 1000 MEMBERS 1 b", "SPERSIST members MEMBERS 1 b; SEXPIRE members 2000 MEMBERS 1 a")
	}
}

// What has expired counts no more, whether or not somebody has deleted it: a key, a
// field, a member, and the last of either.
func TestDigestOfExpired(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	l.Shards.ActiveExpiry.Store(false)
	c := l.client(t)
	defer c.Close()
	value := func(key string) string {
		t.Helper()
		return mustDo(t, c, "DEBUG", "DIGEST-VALUE", key).Elems[0].Text()
	}
	mustDo(t, c, "SADD", "members", "b")
	members := value("members")
	mustDo(t, c, "SADDEX", "members", "1000", "a", "7")
	// No judge knows such sets: this was figured out from what digest.go says.
	const timed = "fdc3fdca61811be6f6aff3c24cb02f15232c5e81"
	if have := value("members"); have != timed {
		t.Errorf("a set of which members expire has the digest %s, want %s", have, timed)
	}
	mustDo(t, c, "HSET", "pair", "g", "w")
	pair := value("pair")
	mustDo(t, c, "HSET", "pair", "f", "v")
	mustDo(t, c, "HPEXPIRE", "pair", "1000", "FIELDS", "1", "f")
	mustDo(t, c, "SELECT", "3")
	mustDo(t, c, "SET", "text", "x", "PX", "1000")
	mustDo(t, c, "HSET", "hash", "f", "v")
	mustDo(t, c, "HPEXPIRE", "hash", "1000", "FIELDS", "1", "f")
	mustDo(t, c, "SADDEX", "set", "1", "a", "b")
	if have := mustDo(t, c, "DBSIZE").Int; have != 3 {
		t.Fatalf("%d keys, want 3", have)
	}
	mustDo(t, c, "SELECT", "0")
	before := datasetDigest(t, c)
	l.clock.Advance(time.Hour)
	after := datasetDigest(t, c)
	if after == before {
		t.Errorf("%s with what has expired, and without", after)
	}
	mustDo(t, c, "SELECT", "3")
	if have := mustDo(t, c, "DBSIZE").Int; have != 3 {
		t.Fatalf("%d keys are left, want all 3: somebody has deleted what has expired", have)
	}
	for _, key := range []string{"hash", "set", "text"} {
		if have := value(key); have != noDigest {
			t.Errorf("%s has expired and has the digest %s", key, have)
		}
	}
	mustDo(t, c, "SELECT", "0")
	if have := value("members"); have != members {
		t.Errorf("a set of which members have expired has the digest %s, want %s", have, members)
	}
	if have := value("pair"); have != pair {
		t.Errorf("a hash of which a field has expired has the digest %s, want %s", have, pair)
	}
	mustDo(t, c, "SELECT", "3")
	mustDo(t, c, "FLUSHDB")
	if have := datasetDigest(t, c); have != after {
		t.Errorf("a database in which all has expired counts: %s, and %s once it was emptied", after, have)
	}
	mustDo(t, c, "FLUSHALL")
	if have := datasetDigest(t, c); have != noDigest {
		t.Errorf("nothing has the digest %s", have)
	}
}

// A digest is that of one moment, whatever others do meanwhile.
func TestDigestAmongWriters(t *testing.T) {
	l := newLab(t, 7, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	write := []string{"MSET"}
	for i := range 40 {
		write = append(write, "key"+strconv.Itoa(i), "")
	}
	all := func(value string) []string {
		args := slices.Clone(write)
		for i := 2; i < len(args); i += 2 {
			args[i] = value
		}
		return args
	}
	names := map[string]string{}
	for _, value := range []string{"left", "right"} {
		mustDo(t, c, all(value)...)
		names[datasetDigest(t, c)] = value
	}
	writer := l.client(t)
	defer writer.Close()
	stop := meanwhile(t, func(i int) error {
		_, err := writer.Do(all([]string{"left", "right"}[i%2])...)
		return err
	})
	seen, start := map[string]int{}, time.Now()
	for i := 0; i < less(2000) || len(seen) < 2 && time.Since(start) < 10*time.Second; i++ {
		digest := datasetDigest(t, c)
		if names[digest] == "" {
			t.Errorf("%s is the digest of a dataset that never was", digest)
			break
		}
		seen[names[digest]]++
	}
	stop()
	if len(seen) != 2 {
		t.Errorf("only %v were seen, which proves little", seen)
	}
}
