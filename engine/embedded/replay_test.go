package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/engine/interchange"
	"hyperkv/internal/aof"
	"hyperkv/internal/difftest"
	"hyperkv/internal/rdb"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// startLogging starts a redis-server that keeps a log in dir.
func startLogging(t *testing.T, dir string, flags ...string) *testkit.Server {
	t.Helper()
	server := testkit.StartRedis(t, append([]string{"--dir", dir, "--appendonly", "yes", "--appendfsync", "always"}, flags...)...)
	if server == nil {
		t.Skip("there is no redis-server that keeps a log")
	}
	return server
}

func killed(t *testing.T, s *testkit.Server) {
	t.Helper()
	if err := s.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// rewritten has a server rewrite its log, and waits until it has.
func rewritten(t *testing.T, c doer) {
	t.Helper()
	mustDo(t, c, "BGREWRITEAOF")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		info := mustDo(t, c, "INFO", "persistence").Text()
		if strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(info)
		}
	}
}

func openAOF(t *testing.T, path string) *aof.Log {
	t.Helper()
	log, err := aof.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// replayed replays a log into a new engine.
func replayed(t *testing.T, shards int, path string, o interchange.ReplayOptions) (*lab, interchange.Replayed) {
	t.Helper()
	l := newLab(t, shards, time.Now().UnixMilli())
	t.Cleanup(l.Close)
	r, err := interchange.Replay(context.Background(), l.Engine, openAOF(t, path), o)
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

// alikeSoon is alike for keys that expire meanwhile, which no two servers see at the same
// millisecond.
func alikeSoon(t *testing.T, what string, l *lab, have, want doer) {
	t.Helper()
	h, w := "", ""
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		l.clock.Set(time.Now().UnixMilli())
		if h, w = datasetDigest(t, have), datasetDigest(t, want); h == w {
			return
		}
	}
	t.Errorf("%s: the digest is %s, want %s", what, h, w)
}

// passTo hands untouched keys to a server.
func passTo(t *testing.T, c doer) func(k *rdb.Key, raw []byte) error {
	return func(k *rdb.Key, raw []byte) error {
		w := rdb.NewWriter(nil, rdb.Version)
		if err := w.Value(k.Type, raw); err != nil {
			return err
		}
		mustDo(t, c, "SELECT", strconv.Itoa(k.Database))
		mustDo(t, c, "RESTORE", string(k.Name), strconv.FormatInt(k.Deadline, 10), string(w.Payload()), "ABSTTL")
		return nil
	}
}

// A Redis is killed, and what it finds in its log when it starts again is what we find there.
func TestReplayOfRedis(t *testing.T) {
	for seed, flags := range [][]string{
		{"--aof-use-rdb-preamble", "yes"},
		{"--aof-use-rdb-preamble", "no", "--aof-timestamp-enabled", "yes"},
		{"--aof-use-rdb-preamble", "yes", "--appenddirname", "log", "--appendfilename", "a b.aof", "--aof-timestamp-enabled", "yes"},
	} {
		dir := t.TempDir()
		server := startLogging(t, dir, flags...)
		conns := []*testkit.Conn{dialled(t, server), dialled(t, server)}
		steps, err := difftest.Steps(uint64(seed), difftest.Families, time.Now(), less(2000))
		if err != nil {
			t.Fatal(err)
		}
		for i, st := range steps {
			if i == len(steps)/3 || i == len(steps)/2 {
				c := dialled(t, server)
				mustDo(t, c, "DEBUG", "POPULATE", "1000", "key"+strconv.Itoa(i))
				mustDo(t, c, "FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nredis.register_function('f', function() return "+strconv.Itoa(i)+" end)")
				rewritten(t, c)
				mustDo(t, c, "FUNCTION", "LOAD", "#!lua name=lib"+strconv.Itoa(i)+"\nredis.register_function('f"+strconv.Itoa(i)+"', function() return 0 end)")
			}
			if name := strings.ToUpper(st.Args[0]); seed == 0 && i > len(steps)/2 && (name == "FLUSHDB" || name == "SWAPDB" || name == "SORT") {
				continue // which concern keys that they do not name
			}
			if _, err := conns[st.Conn].Do(st.Args...); err != nil {
				t.Fatalf("%q: %v", st.Args, err)
			}
		}
		killed(t, server)
		path := filepath.Join(dir, "appendonlydir")
		if seed == 2 {
			path = filepath.Join(dir, "log")
		}
		again := startLogging(t, dir, flags...)
		redis := dialled(t, again)
		for _, shards := range []int{1, 3} {
			l, r := replayed(t, shards, path, interchange.ReplayOptions{})
			c := l.resp2(t)
			alikeSoon(t, fmt.Sprint(flags, shards), l, c, redis)
			c.Close()
			if r.Cut != nil || r.Commands == 0 || len(r.Libraries) != 3 {
				t.Errorf("%+v", r)
			}
		}
		// What no command concerns goes another way, and arrives too.
		other := newLab(t, 2, time.Now().UnixMilli())
		o := other.resp2(t)
		l, r := replayed(t, 3, path, interchange.ReplayOptions{Untouched: passTo(t, o)})
		mustDo(t, o, "SELECT", "0")
		dumpInto(t, l, o)
		mustDo(t, o, "SELECT", "0")
		alikeSoon(t, fmt.Sprint(flags, " in two ways"), other, o, redis)
		if seed == 0 && r.Untouched < 1000 {
			t.Errorf("%+v", r)
		}
		o.Close()
		other.Close()
		again.Stop()
	}
}

// dumpInto restores all keys of an engine in another.
func dumpInto(t *testing.T, l *lab, to doer) {
	t.Helper()
	c := l.resp2(t)
	defer c.Close()
	for db := range 16 {
		mustDo(t, c, "SELECT", strconv.Itoa(db))
		mustDo(t, to, "SELECT", strconv.Itoa(db))
		for _, e := range mustDo(t, c, "KEYS", "*").Elems {
			at := max(mustDo(t, c, "PEXPIRETIME", e.Text()).Int, 0)
			if v := mustDo(t, c, "DUMP", e.Text()); !v.Null {
				mustDo(t, to, "RESTORE", e.Text(), strconv.FormatInt(at, 10), v.Text(), "ABSTTL")
			}
		}
	}
}

// Commands met keys that have expired since: they are gone, and what commands have added to
// them is gone with them.
func TestReplayOfWhatExpired(t *testing.T) {
	dir := t.TempDir()
	server := startLogging(t, dir)
	c := dialled(t, server)
	mustDo(t, c, "SET", "counter", "5", "PX", "400")
	mustDo(t, c, "SET", "bystander", "x", "PX", "400")
	mustDo(t, c, "SET", "another", "x")
	mustDo(t, c, "RPUSH", "list", "a")
	rewritten(t, c)
	mustDo(t, c, "INCR", "counter")
	mustDo(t, c, "PEXPIRE", "list", "400")
	mustDo(t, c, "RPUSH", "list", "b")
	killed(t, server)
	time.Sleep(500 * time.Millisecond)
	path := filepath.Join(dir, "appendonlydir")
	passed := 0
	for _, o := range []interchange.ReplayOptions{{}, {Untouched: func(k *rdb.Key, _ []byte) error {
		passed++
		return nil
	}}} {
		l, r := replayed(t, 2, path, o)
		k := l.client(t)
		if n := mustDo(t, k, "EXISTS", "counter", "list").Int; n != 0 {
			t.Errorf("%d keys are there that have expired: %+v", n, r)
		}
		k.Close()
	}
	if passed != 2 {
		t.Errorf("%d keys were touched by no command, want 2", passed)
	}
	redis := dialled(t, startLogging(t, dir))
	if n := mustDo(t, redis, "DBSIZE").Int; n != 1 {
		t.Errorf("Redis finds %d keys", n)
	}
}

// The single file of a Redis before 7.0, with and without an RDB file in front.
func TestReplayOfOldFiles(t *testing.T) {
	dir := t.TempDir()
	server := startLogging(t, dir, "--aof-use-rdb-preamble", "yes")
	c := dialled(t, server)
	mustDo(t, c, "SELECT", "3")
	mustDo(t, c, "SET", "a", "1")
	rewritten(t, c)
	mustDo(t, c, "INCR", "a")
	mustDo(t, c, "MULTI")
	mustDo(t, c, "RPUSH", "l", "1")
	mustDo(t, c, "RPUSH", "l", "2")
	mustDo(t, c, "EXEC")
	base, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.base.rdb"))
	if err != nil || len(base) != 1 {
		t.Fatal(base, err)
	}
	tail, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(tail) != 1 {
		t.Fatal(tail, err)
	}
	var text []byte
	for _, path := range []string{base[0], tail[0]} {
		part, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	single := filepath.Join(dir, "appendonly.aof")
	f := func(text []byte, want string, cut bool) {
		t.Helper()
		if err := os.WriteFile(single, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, r := replayed(t, 2, single, interchange.ReplayOptions{Truncated: true})
		k := l.client(t)
		defer k.Close()
		mustDo(t, k, "SELECT", "3")
		if have := mustDo(t, k, "GET", "a").Text() + mustDo(t, k, "LRANGE", "l", "0", "-1").String(); have != want || (r.Cut != nil) != cut {
			t.Errorf("%q, cut %v, want %q", have, r.Cut, want)
		}
	}
	f(text, "21) \"1\"\n2) \"2\"", false)
	f(text[:len(text)-3], "2(empty array)", true)
	l := newLab(t, 1, 1)
	defer l.Close()
	if _, err := interchange.Replay(context.Background(), l.Engine, openAOF(t, single), interchange.ReplayOptions{}); err == nil {
		t.Error("a file that is cut off is replayed")
	}
}

// What cannot be repeated is told with its place, and nothing pretends to be whole.
func TestReplayRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "appendonly.aof")
	for _, untouched := range []func(*rdb.Key, []byte) error{nil, func(*rdb.Key, []byte) error { return nil }} {
		f := func(words ...string) {
			t.Helper()
			text := "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
			for line := range strings.SplitSeq(words[0], ";") {
				args := strings.Fields(line)
				text += "*" + strconv.Itoa(len(args)) + "\r\n"
				for _, arg := range args {
					text += "$" + strconv.Itoa(len(arg)) + "\r\n" + arg + "\r\n"
				}
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLab(t, 3, 1)
			defer l.Close()
			_, err := interchange.Replay(context.Background(), l.Engine, openAOF(t, path), interchange.ReplayOptions{Untouched: untouched})
			for _, word := range append(words[1:], "at byte 27", path) {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("%s: %v does not say %q", words[0], err, word)
				}
			}
		}
		f("NONESUCH x", "NONESUCH")
		f("GET", "wrong number")
		f("LPUSH a x", "LPUSH", "WRONGTYPE")
		f("FUNCTION STATS", "STATS")
		f("FUNCTION LOAD nonsense", "name")
		f("FUNCTION RESTORE nonsense", "checksum")
	}
}

// What changes nothing is passed over, also what would not be good here.
func TestReplayPassesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "appendonly.aof")
	var text []byte
	for _, line := range []string{"SET a 1", "GET a", "BLPOP list 0", "BRPOPLPUSH list other 0", "DEBUG SLEEP 1000", "DEBUG RELOAD", "SHUTDOWN NOSAVE", "BGSAVE",
		"CONFIG SET databases 1", "MONITOR", "SUBSCRIBE c", "REPLICAOF 127.0.0.1 1", "CLIENT PAUSE 100000", "PFCOUNT h", "KEYS *", "INCR a"} {
		args := strings.Fields(line)
		if args[0] == "SUBSCRIBE" {
			continue // which is not there yet
		}
		text = resp.AppendCommandString(text, args...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	l, r := replayed(t, 2, path, interchange.ReplayOptions{})
	c := l.client(t)
	defer c.Close()
	if have := mustDo(t, c, "GET", "a").Text(); have != "2" || mustDo(t, c, "DBSIZE").Int != 1 {
		t.Errorf("a is %q, %+v", have, r)
	}
}

// Libraries are those that are left in the end.
func TestReplayLibraries(t *testing.T) {
	server := testkit.StartRedis(t)
	if server == nil {
		t.Skip("there is no redis-server that has functions")
	}
	redis := dialled(t, server)
	source := func(name string, n int) string {
		return "#!lua name=" + name + "\nredis.register_function('" + name + "', function() return " + strconv.Itoa(n) + " end)"
	}
	mustDo(t, redis, "FUNCTION", "LOAD", source("a", 1))
	mustDo(t, redis, "FUNCTION", "LOAD", source("b", 2))
	dump := mustDo(t, redis, "FUNCTION", "DUMP").Text()
	var text string
	for _, args := range [][]string{
		{"FUNCTION", "LOAD", source("gone", 0)}, {"FUNCTION", "FLUSH", "ASYNC"}, {"FUNCTION", "LOAD", source("old", 0)},
		{"SCRIPT", "LOAD", "return 1"}, {"FUNCTION", "RESTORE", dump, "FLUSH"}, {"FUNCTION", "LOAD", "REPLACE", source("a", 3)},
		{"FUNCTION", "LOAD", source("c", 4)}, {"FUNCTION", "DELETE", "b"},
	} {
		text += "*" + strconv.Itoa(len(args)) + "\r\n"
		for _, arg := range args {
			text += "$" + strconv.Itoa(len(arg)) + "\r\n" + arg + "\r\n"
		}
	}
	path := filepath.Join(t.TempDir(), "appendonly.aof")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, r := replayed(t, 1, path, interchange.ReplayOptions{})
	if have, want := fmt.Sprintf("%q", r.Libraries), fmt.Sprintf("%q", []string{source("a", 3), source("c", 4)}); have != want {
		t.Errorf("%s are left, want %s", have, want)
	}
}
