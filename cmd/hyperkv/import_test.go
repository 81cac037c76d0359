package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/internal/config"
	"hyperkv/internal/rdb"
	"hyperkv/internal/testkit"
	"hyperkv/migrate"
	"hyperkv/resp"
)

// redisIn starts a redis-server in a directory.
func redisIn(t *testing.T, dir string, flags ...string) *testkit.Server {
	t.Helper()
	s := testkit.StartRedis(t, append([]string{"--dir", dir}, flags...)...)
	if s == nil {
		t.Skip("there is no redis-server to move data from and to")
	}
	return s
}

func ours(t *testing.T, shards int) *testkit.Server {
	t.Helper()
	return testkit.StartBinary(t, "--worker-threads", strconv.Itoa(shards), "--enable-debug-command", "yes")
}

func done(t *testing.T, c *testkit.Conn, args ...string) string {
	t.Helper()
	v, err := c.Do(args...)
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		t.Fatalf("%.200q: %v", args, err)
	}
	return v.Text()
}

func digest(t *testing.T, s *testkit.Server) string {
	t.Helper()
	return done(t, dial(t, s.Network, s.Addr), "DEBUG", "DIGEST")
}

// fillDatabases gives a server some of everything, in two databases.
func fillDatabases(t *testing.T, s *testkit.Server) {
	t.Helper()
	c := dial(t, s.Network, s.Addr)
	for _, db := range []string{"0", "7"} {
		done(t, c, "SELECT", db)
		for i := range 700 {
			n := strconv.Itoa(i)
			done(t, c, "SET", "text:"+n, "value \x00\xff\r\n"+n)
			done(t, c, "RPUSH", "list:"+strconv.Itoa(i%3), n, "element "+n)
			done(t, c, "SADD", "set:"+strconv.Itoa(i%3), n, "member "+n)
			done(t, c, "SADD", "intset", n)
			done(t, c, "ZADD", "zset:"+strconv.Itoa(i%3), strconv.Itoa(i)+".5", "member "+n)
			done(t, c, "HSET", "hash:"+strconv.Itoa(i%3), "field "+n, n)
			done(t, c, "XADD", "stream", "5-"+strconv.Itoa(i+1), "field", n)
		}
		done(t, c, "XGROUP", "CREATE", "stream", "group", "0")
		done(t, c, "PEXPIREAT", "hash:1", "4000000000000")
		done(t, c, "SETEX", "gone soon", "1000", "x")
	}
}

// What a Redis has left on disk is loaded into servers of both kinds, and is what the Redis
// itself finds when it starts again.
func TestImport(t *testing.T) {
	dir := t.TempDir()
	redis := redisIn(t, dir, "--appendonly", "yes", "--appendfsync", "always")
	fillDatabases(t, redis)
	c := dial(t, redis.Network, redis.Addr)
	done(t, c, "SAVE")
	saved := digest(t, redis)
	done(t, c, "BGREWRITEAOF")
	for deadline := time.Now().Add(20 * time.Second); strings.Contains(done(t, c, "INFO", "persistence"), "aof_rewrite_in_progress:1"); {
		if time.Now().After(deadline) {
			t.Fatal("the log is not rewritten")
		}
		time.Sleep(5 * time.Millisecond)
	}
	done(t, c, "SELECT", "7")
	done(t, c, "RPUSH", "list:1", "behind the base")
	done(t, c, "MULTI")
	done(t, c, "INCR", "counter")
	done(t, c, "DEL", "text:1")
	if v, err := c.Do("EXEC"); err != nil || v.Err() != nil {
		t.Fatal(v, err)
	}
	kill(t, redis)
	conf := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(conf, []byte("dir "+dir+"\nappendonly yes\nport 6379\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "appendonlydir")
	again := redisIn(t, dir, "--appendonly", "yes")
	logged := digest(t, again)
	again.Stop()
	if logged == saved {
		t.Fatal("the log says nothing new")
	}
	targets := map[string]*testkit.Server{"Redis": redisIn(t, t.TempDir()), "1 shard": ours(t, 1), "3 shards": ours(t, 3)}
	f := func(source, want string, more ...string) {
		t.Helper()
		for name, to := range targets {
			_, errs, failed := hyperkv(t, append([]string{"import", source, "--to", to.Addr, "--flush"}, more...)...)
			if failed || !strings.Contains(errs, "imported ") {
				t.Fatalf("%s into %s: %s", source, name, errs)
			}
			if have := digest(t, to); have != want {
				t.Errorf("%s into %s: the digest is %s, want %s", source, name, have, want)
			}
		}
	}
	f(filepath.Join(dir, "dump.rdb"), saved)
	f(log, logged)
	f(filepath.Join(log, "appendonly.aof.manifest"), logged)
	f(conf, logged)
	// A second time it is there already, and stays so.
	for name, to := range targets {
		_, errs, failed := hyperkv(t, "import", log, "--to", to.Addr)
		if !failed || !strings.Contains(errs, "there already") || strings.Contains(errs, "imported") {
			t.Errorf("a second time into %s: %s", name, errs)
		}
		if _, errs, failed := hyperkv(t, "import", log, "--to", to.Addr, "--replace"); failed {
			t.Errorf("a third time into %s: %s", name, errs)
		}
		if have := digest(t, to); have != logged {
			t.Errorf("in the end of %s the digest is %s, want %s", name, have, logged)
		}
	}
	// The log is cut off in the middle of a command: that is told.
	files, err := filepath.Glob(filepath.Join(log, "*.incr.aof"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	last := files[len(files)-1]
	info, err := os.Stat(last)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(last, info.Size()-3); err != nil {
		t.Fatal(err)
	}
	to := targets["3 shards"]
	if _, errs, failed := hyperkv(t, "import", log, "--to", to.Addr, "--flush"); failed || !strings.Contains(errs, "note: "+last+" ends in the middle of a transaction") {
		t.Errorf("%v %s", failed, errs)
	}
	if err := os.WriteFile(conf, []byte("dir "+dir+"\nappendonly yes\naof-load-truncated no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, failed := hyperkv(t, "import", conf, "--to", to.Addr, "--flush"); !failed || !strings.Contains(errs, "ends in the middle") {
		t.Errorf("%v %s", failed, errs)
	}
}

// What is exported makes the same data, in servers of both kinds and from both kinds.
func TestExport(t *testing.T) {
	redis := redisIn(t, t.TempDir(), "--repl-diskless-sync-delay", "0")
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip(err)
	}
	fillDatabases(t, redis)
	want := digest(t, redis)
	mine := ours(t, 3)
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, errs, failed := hyperkv(t, append([]string{"export"}, args...)...)
		if failed || !strings.Contains(errs, "exported ") {
			t.Fatalf("%q: %s", args, errs)
		}
		return out
	}
	same := func(what string, s *testkit.Server) {
		t.Helper()
		if have := digest(t, s); have != want {
			t.Errorf("%s: the digest is %s, want %s", what, have, want)
		}
	}
	dump := filepath.Join(dir, "dump.rdb")
	run("--from", redis.Addr, "-o", dump)
	same("an RDB file from Redis, in Redis", redisIn(t, dir))
	if _, errs, failed := hyperkv(t, "import", dump, "--to", mine.Addr); failed {
		t.Fatal(errs)
	}
	same("an RDB file from Redis, here", mine)

	// And from here.
	other := t.TempDir()
	run("--from", mine.Addr, "--output", filepath.Join(other, "dump.rdb"))
	same("an RDB file from here, in Redis", redisIn(t, other))

	for name, source := range map[string][]string{"a file": {dump}, "Redis": {"--from", redis.Addr}, "here": {"--from", mine.Addr}} {
		commands := run(append(source, "--format", "resp")...)
		for kind, to := range map[string]*testkit.Server{"Redis": redisIn(t, t.TempDir()), "HyperKV": ours(t, 2)} {
			_, port, _ := strings.Cut(to.Addr, ":")
			cmd := exec.Command(cli, "-p", port, "--pipe")
			cmd.Stdin = strings.NewReader(commands)
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "errors: 0") {
				t.Fatalf("redis-cli --pipe: %v %s", err, out)
			}
			same("commands from "+name+" in "+kind, to)
		}
		out := run(append(source, "--format", "jsonl")...)
		if lines := strings.Count(out, "\n"); lines != 2*715 {
			t.Errorf("%d lines of JSON from %s", lines, name)
		}
		whole := run(append(source, "--format", "rdb")...)
		file := filepath.Join(t.TempDir(), "dump.rdb")
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		same("an RDB file from "+name+" by standard output", redisIn(t, filepath.Dir(file)))
	}
}

// A log is exported in every format, from what its commands have made.
func TestExportOfLog(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "appendonly.aof")
	deadline := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	library := "#!lua name=lib\nredis.register_function('f', function() return 7 end)"
	var text []byte
	for _, line := range []string{"SELECT 3", "SET a 1 PXAT 1000", "INCR a", "SET b 1", "PEXPIREAT b " + deadline, "INCR b"} {
		text = resp.AppendCommandString(text, strings.Fields(line)...)
	}
	text = resp.AppendCommandString(text, "FUNCTION", "LOAD", library)
	if err := os.WriteFile(log, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, failed := hyperkv(t, "export", log, "--format", "jsonl")
	if want := `{"library":` + strconv.Quote(library) + "}\n" + `{"database":3,"key":"b","type":"string","expires_at":` + deadline + `,"value":"2"}` + "\n"; failed || out != want {
		t.Errorf("%s\n%s\nwant\n%s", errs, out, want)
	}
	out, errs, failed = hyperkv(t, "export", log, "--format", "resp")
	if failed || !strings.Contains(out, "SET\r\n$1\r\nb\r\n$1\r\n2\r\n") || !strings.Contains(out, deadline) || strings.Contains(out, "$1\r\na\r\n") {
		t.Errorf("%s\n%s", errs, out)
	}
	file := filepath.Join(dir, "dump.rdb")
	if _, errs, failed := hyperkv(t, "export", log, "-o", file); failed {
		t.Fatal(errs)
	}
	c := dial(t, "tcp", redisIn(t, dir).Addr)
	done(t, c, "SELECT", "3")
	if n := done(t, c, "DBSIZE") + done(t, c, "GET", "b"); n != "12" {
		t.Errorf("Redis has %s", n)
	}
}

// Fields that expire need a version that says so; a newer file becomes one for older servers
// when nothing in it needs a newer one.
func TestExportVersions(t *testing.T) {
	dir := t.TempDir()
	f := func(header, body, want string) {
		t.Helper()
		b := append([]byte(header+"\xfe\x00"+body), 0xff)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		from, to := filepath.Join(dir, "from.rdb"), filepath.Join(dir, "to.rdb")
		if err := os.WriteFile(from, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, failed := hyperkv(t, "export", from, "-o", to); failed {
			t.Fatal(errs)
		}
		out, err := os.ReadFile(to)
		if err != nil || !bytes.HasPrefix(out, []byte(want)) {
			t.Errorf("%q %v, want %s", out, err, want)
		}
	}
	f("REDIS0012", "\x14\x01s\x0a\x0a\x00\x00\x00\x01\x00\x81x\x02\xff", "REDIS0010") // a set in a form of 7.2
	f("VALKEY080", "\x16\x01h\x01\x01f\x01v\x88\x13\x00\x00\x00\x00\x00\x00", "REDIS0012")
	f("REDIS0006", "\x00\x01k\x01v", "REDIS0010")
}

func TestImportMistakes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.rdb", "REDIS0003\xfe\x00\x00\x01k\x01v\xff")
	f := func(want string, args ...string) {
		t.Helper()
		_, errs, failed := hyperkv(t, args...)
		if !failed || !strings.Contains(errs, want) {
			t.Errorf("%q: %v %s", args, failed, errs)
		}
	}
	nobody := "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
	f("requires at least 1 arg", "import")
	f("--to HOST:PORT is missing", "import", good)
	f("no such file", "import", filepath.Join(dir, "none.rdb"), "--to", nobody)
	f(`neither an RDB file nor an append-only file: it begins with "nonsense!"`, "import", file("x", "nonsense! and more"), "--to", nobody)
	f("has no manifest", "import", dir, "--to", nobody)
	f("refused", "import", good, "--to", nobody)
	f("unbalanced quotes", "import", file("bad.conf", "requirepass \"x\n"), "--to", nobody)
	f("would start empty", "import", file("empty.conf", "appendonly yes\ndir "+dir+"\n"), "--to", nobody)
	f("no such file", "import", file("none.conf", "dbfilename nonesuch.rdb\ndir "+dir+"\n"), "--to", nobody)

	f("export what?", "export")
	f("exclude each other", "export", good, "--from", nobody)
	f(`"xml" is none of`, "export", good, "--format", "xml")
	f("refused", "export", "--from", nobody)
	to := filepath.Join(dir, "out.rdb")
	f("something stands behind the end of the RDB file, from byte 17 on", "export", file("more.rdb", "REDIS0003\xfe\x00\x00\x01k\x01v\xffmore"), "-o", to)
	f("ends at byte 14", "export", file("cut.rdb", "REDIS0003\xfe\x00\x00\x01k"), "-o", to)
	f(`the key "k" has a value of the unknown type 99 at 11`, "export", file("new.rdb", "REDIS0099\xfe\x00\x63\x01k\x01v\xff"), "--format", "jsonl", "-o", to)
	f(`the key "k"`, "export", file("dup.rdb", "REDIS0003\xfe\x00\x04\x01k\x02\x01f"), "--format", "resp", "-o", to)
	f("no such file or directory", "export", good, "-o", filepath.Join(dir, "none", "out.rdb"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "out.rdb") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// The process says by its exit code that something went wrong, and where.
func TestImportExitCode(t *testing.T) {
	to := ours(t, 2)
	done(t, dial(t, to.Network, to.Addr), "SET", "k", "v")
	path := filepath.Join(t.TempDir(), "dump.rdb")
	if err := os.WriteFile(path, []byte("REDIS0003\xfe\x00\x00\x01k\x01v\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(testkit.Binary(t), "import", path, "--to", to.Addr)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), `the key "k" in database 0 is there already`) {
		t.Errorf("%v %s", err, out)
	}
	cmd = exec.Command(testkit.Binary(t), "import", path, "--to", to.Addr, "--replace")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "imported 1 keys") {
		t.Errorf("%v %s", err, out)
	}
}

// Without a server, a redis.conf is what there is to print.
func TestImportSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "redis.conf")
	if err := os.WriteFile(path, []byte("port 7000\nappendonly yes\nrename-command KEYS \"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, failed := hyperkv(t, "import", path)
	if failed || !strings.Contains(out, "port: 7000\n") || errs != "note: "+path+":3: rename-command has no counterpart\n" {
		t.Errorf("%v %q %q", failed, out, errs)
	}
	if _, errs, failed := hyperkv(t, "check", write(t, out)); failed {
		t.Error(errs)
	}
}

// Which data it is that a Redis would load, and of which form.
func TestSourceOfConf(t *testing.T) {
	const rdbFile, logFile = "REDIS0003\xff", "*1\r\n$4\r\nPING\r\n"
	const lonely = "file appendonly.aof seq 1 type b\n"
	f := func(conf string, files map[string]string, want string) {
		t.Helper()
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "redis.conf")
		if err := os.WriteFile(path, []byte("dir "+dir+"\n"+conf), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.ReadRedisConf(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sourceOfConf(c, reading{progress: &progress{}})
		have := ""
		switch s := s.(type) {
		case *fileSource:
			have = "rdb " + s.file.Path
		case *logSource:
			have = fmt.Sprintf("log %s %v", s.log.Name, s.truncated)
		default:
			have = fmt.Sprint(err)
		}
		if have = strings.ReplaceAll(have, dir, "DIR"); !strings.HasPrefix(have, want) {
			t.Errorf("%q with %v: %s, want %s", conf, files, have, want)
		}
	}
	both := map[string]string{"dump.rdb": rdbFile, "other.rdb": rdbFile, "appendonly.aof": logFile}
	f("", both, "rdb DIR/dump.rdb")
	f("dbfilename other.rdb\nappendonly no\n", both, "rdb DIR/other.rdb")
	f("appendonly yes\n", both, "log DIR/appendonly.aof true")
	f("appendonly yes\naof-load-truncated no\n", both, "log DIR/appendonly.aof false")
	f("appendonly yes\nappendfilename none.aof\n", both, "appendonly is yes, and there is neither DIR/appendonlydir/none.aof.manifest nor DIR/none.aof")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely, "appendonlydir/appendonly.aof": logFile, "appendonly.aof": logFile},
		"log DIR/appendonlydir/appendonly.aof.manifest true")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely, "appendonly.aof": logFile}, "log DIR/appendonly.aof true")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": lonely}, "DIR/appendonlydir/appendonly.aof.manifest names a file that cannot be read")
	f("appendonly yes\n", map[string]string{"appendonlydir/appendonly.aof.manifest": "file x seq 1 type b\n", "appendonly.aof": logFile},
		"DIR/appendonlydir/appendonly.aof.manifest names a file that cannot be read")
	f("appendonly yes\nappenddirname a\nappendfilename b\n", map[string]string{"a/b.manifest": "file x seq 1 type i\n", "a/x": ""}, "log DIR/a/b.manifest true")
	// An RDB file that says of itself that commands follow is a log.
	f("", map[string]string{"dump.rdb": "REDIS0009\xfa\x0caof-preamble\xc0\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00" + logFile}, "log DIR/dump.rdb true")
	f("", map[string]string{"dump.rdb": "REDIS0009\xfa\x0caof-preamble\xc0\x00\xff\x00\x00\x00\x00\x00\x00\x00\x00"}, "rdb DIR/dump.rdb")
}

// syncBuffer is a buffer that several may write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Progress says what has moved, how fast, and how long it will take.
func TestProgress(t *testing.T) {
	out := &syncBuffer{}
	p := startProgress(out, 5*time.Millisecond)
	p.total.Add(4 << 20)
	if _, err := io.Copy(io.Discard, p.wrap(bytes.NewReader(make([]byte, 1<<20)))); err != nil {
		t.Fatal(err)
	}
	target := p.count(migrate.Nowhere{})
	for range 3 {
		if err := target.Key(&rdb.Key{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.start = time.Now().Add(-10 * time.Second)
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(out.String(), "3 keys (0 a second), 1 MiB of 4 MiB read, about 30s left\n"); {
		if time.Now().After(deadline) {
			t.Fatal(out.String())
		}
		time.Sleep(time.Millisecond)
	}
	if summary := p.stop(); !strings.HasPrefix(summary, "3 keys (0 a second), 1 MiB read, in 10.") {
		t.Error(summary)
	}
	terminal := &syncBuffer{}
	p = &progress{out: terminal, live: true, start: time.Now(), quit: make(chan struct{})}
	p.show()
	p.stop()
	if have := terminal.String(); !strings.HasPrefix(have, "\r0 keys") || !strings.HasSuffix(have, "\r\x1b[K") || strings.Contains(have, "\n") {
		t.Errorf("%q", have)
	}
	if isTerminal(out) {
		t.Error("a buffer is a terminal")
	}
}
