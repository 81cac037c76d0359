package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

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
