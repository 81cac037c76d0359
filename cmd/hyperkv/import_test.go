package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
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
	return testkit.Must(t, c, args...).Text()
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
