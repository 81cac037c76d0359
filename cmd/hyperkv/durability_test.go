package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// Whole databases that were emptied or exchanged are so afterwards, also on other shards.
func TestRecoveredDatabases(t *testing.T) {
	dir := t.TempDir()
	do := func(c *testkit.Conn, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if v, err := c.Do(strings.Fields(line)...); err != nil || v.Err() != nil {
				t.Fatalf("%s: %v %v", line, v, err)
			}
		}
	}
	want := ""
	for life, shards := range []int{3, 2, 1, 1, 2, 5} {
		s := startDurable(t, dir, "everysec", shards)
		c := dial(t, s.Network, s.Addr)
		var all []string
		for _, db := range []string{"0", "1", "2"} {
			do(c, "SELECT "+db)
			v, err := c.Do("SORT", "index", "ALPHA")
			if err != nil {
				t.Fatal(err)
			}
			size, err := c.Do("DBSIZE")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v.String(), size.String())
		}
		if got := strings.Join(all, " | "); life > 0 && got != want {
			t.Fatalf("life %d: %s, want %s", life, got, want)
		}
		do(c, "SELECT 0", "FLUSHALL")
		for i := range 50 {
			do(c, fmt.Sprintf("SET key%d %d", i, life))
		}
		do(c, "SELECT 1", "FLUSHDB", "SELECT 2", "SADD index "+strconv.Itoa(life), "SET other x", "SWAPDB 0 1", "SELECT 1", "SADD index a b")
		all = nil
		for _, db := range []string{"0", "1", "2"} {
			do(c, "SELECT "+db)
			v, _ := c.Do("SORT", "index", "ALPHA")
			size, _ := c.Do("DBSIZE")
			all = append(all, v.String(), size.String())
		}
		want = strings.Join(all, " | ")
		kill(t, s)
	}
}

// What comes back has the digest of what was there, deadlines of keys, fields and
// members included, also on other shards.
func TestRecoveredDigest(t *testing.T) {
	dir := t.TempDir()
	want := ""
	for life, shards := range []int{3, 2, 7} {
		s := startDurable(t, dir, "everysec", shards, "--enable-debug-command", "yes")
		c := dial(t, s.Network, s.Addr)
		digest := func() string {
			t.Helper()
			v, err := c.Do("DEBUG", "DIGEST")
			if err != nil || v.Err() != nil {
				t.Fatalf("%v %v", v, err)
			}
			return v.Text()
		}
		if got := digest(); life > 0 && got != want {
			t.Fatalf("life %d: %s, want %s", life, got, want)
		}
		n := strconv.Itoa(life)
		for _, line := range []string{
			"SET text" + n + " abc", "SET volatile" + n + " abc EX 1000", "RPUSH list a b c " + n, "INCRBYFLOAT number 0.1",
			"SADD set 1 2 a " + n, "SADDEX members" + n + " 1000 a b", "SADD members" + n + " c",
			"HSET hash f" + n + " v g w", "HEXPIRE hash 1000 FIELDS 1 f" + n, "ZADD zset 0.1 a inf b " + n + " c",
			"XADD stream * f " + n, "XGROUP CREATE stream group" + n + " 0", "SELECT 7", "PFADD log a b c " + n, "LPUSH list " + n,
			"PEXPIRE list 1000000", "SWAPDB 7 8", "SELECT 8", "DEBUG POPULATE 300 many" + n,
		} {
			if v, err := c.Do(strings.Fields(line)...); err != nil || v.Err() != nil {
				t.Fatalf("%s: %v %v", line, v, err)
			}
		}
		want = digest()
		kill(t, s)
	}
}

// Two servers do not share a data directory, and one whose log is damaged says where.
func TestDataDirectory(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "always", 1)
	out, code := run(t, "serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--metrics-port", "0", "--data-dir", dir)
	if code == 0 || !strings.Contains(out, "another process uses it") {
		t.Errorf("a second server: exit code %d, %s", code, out)
	}
	c := dial(t, s.Network, s.Addr)
	for i := range 100 {
		expect(t, c, "OK", "SET", "key"+strconv.Itoa(i), strings.Repeat("x", 100))
	}
	kill(t, s)
	logs, _ := filepath.Glob(filepath.Join(dir, "journal", "*", "wal-*.log"))
	if len(logs) != 1 {
		t.Fatalf("logs: %q", logs)
	}
	content, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	content[5000] ^= 1
	if err := os.WriteFile(logs[0], content, 0o640); err != nil {
		t.Fatal(err)
	}
	out, code = run(t, "serve", "--port", "0", "--unixsocket", filepath.Join(t.TempDir(), "s"), "--metrics-port", "0", "--data-dir", dir)
	if code == 0 || !strings.Contains(out, logs[0]+" is damaged at byte ") {
		t.Errorf("with a damaged log: exit code %d, %s", code, out)
	}
	// check says the same, and what a repair would lose; after it the server starts.
	if out, code := run(t, "check", dir); code == 0 || !strings.Contains(out, "--repair would cut it off there, and lose ") {
		t.Errorf("check: exit code %d, %s", code, out)
	}
	if out, code := run(t, "check", "--repair", dir); code != 0 || !strings.Contains(out, "it was cut off there") {
		t.Errorf("check --repair: exit code %d, %s", code, out)
	}
	if out, code := run(t, "check", dir); code != 0 || !strings.HasSuffix(out, ": ok\n") {
		t.Errorf("check after the repair: exit code %d, %s", code, out)
	}
	s = startDurable(t, dir, "always", 1)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "(integer) 100", "STRLEN", "key0")
	expect(t, c, "(integer) 0", "EXISTS", "key99")
	if out, code := run(t, "check", dir); code == 0 || !strings.Contains(out, "another process uses it") {
		t.Errorf("check of a directory in use: exit code %d, %s", code, out)
	}
}

// While the disk is full writes are refused and reads served; when there is room again,
// writes are accepted; and nothing that was acknowledged is missing in the end.
func TestFullDisk(t *testing.T) {
	dir := ownDisk(t, "40m")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startDurable(t, dir, "everysec", 1)
	c := dial(t, s.Network, s.Addr)
	value := strings.Repeat("x", 64<<10)
	acked := 0
	refused := false
	for i := 0; i < 2000 && !refused; i++ {
		v, err := c.Do("SET", "key"+strconv.Itoa(i), value)
		switch {
		case err != nil: // the reply was not given, because it could not be kept
			c = dial(t, s.Network, s.Addr)
			acked = i
			deadline := time.Now().Add(10 * time.Second)
			for !refused {
				v, err := c.Do("SET", "other", "x")
				if err == nil && strings.HasPrefix(v.Text(), "MISCONF Errors writing to the AOF file") {
					refused = true
				} else if err != nil {
					c = dial(t, s.Network, s.Addr)
				}
				if time.Now().After(deadline) {
					t.Fatalf("not refused: %v %v\n%s", v, err, s.Log())
				}
			}
		case v.Err() != nil:
			t.Fatalf("SET %d: %v", i, v)
		}
	}
	if !refused {
		t.Fatal("the disk never filled up")
	}
	expect(t, c, "(integer) 65536", "STRLEN", "key0")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if v, err := c.Do("SET", "again", "x"); err == nil && v.Text() == "OK" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is room, and writes are refused\n%s", s.Log())
		}
	}
	kill(t, s)
	s = startDurable(t, dir, "everysec", 1)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, `"x"`, "GET", "again")
	for i := range acked {
		expect(t, c, "(integer) 65536", "STRLEN", "key"+strconv.Itoa(i))
	}
	s.Stop()
}
