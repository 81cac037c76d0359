package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// A replica that has got everything keeps it, whatever it had before: killed at once, it comes
// back with the new dataset, and with what the primary did since.
func TestReplacedDatasetIsKept(t *testing.T) {
	for _, log := range []string{"yes", "no"} {
		t.Run("log "+log, func(t *testing.T) {
			dir := t.TempDir()
			flags := []string{"--aof-enabled", log}
			s := startDurable(t, dir, "everysec", 2, flags...)
			c := dial(t, s.Network, s.Addr)
			expect(t, c, "OK", "SET", "own", "1")
			expect(t, c, "OK", "SET", "key:1", "own")
			expect(t, c, "OK", "SAVE")
			primary := startNode(t, "hyperkv3", "--aof-enabled", "no")
			primary.do(t, "DEBUG", "POPULATE", "50000", "key", "20")
			primary.do(t, "SADD", "with members", "a", "b")
			primary.do(t, "SADDEX", "with members", "1000", "c") // in a form of our own
			host, port, _ := strings.Cut(primary.Addr, ":")
			expect(t, c, "OK", "REPLICAOF", host, port)
			eventually(t, "the link", func() bool { return info(t, c, "master_link_status") == "up" })
			primary.do(t, "SET", "later", "1")
			eventually(t, "what came later", func() bool { return ask(t, c, "GET", "later") == `"1"` })
			digest := ask(t, c, "DEBUG", "DIGEST")
			kill(t, s)
			s = startDurable(t, dir, "everysec", 2, flags...)
			c = dial(t, s.Network, s.Addr)
			if log == "no" { // the last snapshot is what there was before
				expect(t, c, `"own"`, "GET", "key:1")
				return
			}
			expect(t, c, digest, "DEBUG", "DIGEST")
			expect(t, c, "(integer) 50002", "DBSIZE")
		})
	}
}

// A replica without room for what it has got promises nothing until there is room, also when it
// is made a primary.
func TestReplacedDatasetWithoutRoom(t *testing.T) {
	dir := ownDisk(t, "48m")
	s := startDurable(t, dir, "everysec", 1)
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "SET", "own", "1")
	primary := startNode(t, "hyperkv2", "--aof-enabled", "no")
	primary.do(t, "DEBUG", "POPULATE", "60000", "key", "100")
	filler := filepath.Join(dir, "filler")
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	room := int(disk.Bavail)*int(disk.Bsize) - 10<<20
	if err := os.WriteFile(filler, make([]byte, room), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(primary.Addr, ":")
	expect(t, c, "OK", "REPLICAOF", host, port)
	eventually(t, "the end of the room", func() bool { return strings.Contains(s.Log(), "cannot be loaded") })
	expect(t, c, "OK", "REPLICAOF", "NO", "ONE")
	refused := func() bool {
		v, err := c.Do("SET", "a", "b")
		if err != nil { // the reply was not given, because it could not be kept
			c = dial(t, s.Network, s.Addr)
			return false
		}
		if v.Err() == nil {
			t.Fatalf("a write that nothing keeps: %v", v)
		}
		return strings.HasPrefix(v.Err().Error(), "MISCONF Errors writing to the AOF file: ")
	}
	eventually(t, "refusal", refused)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes", func() bool {
		v, err := c.Do("SET", "a", "c")
		if err != nil {
			c = dial(t, s.Network, s.Addr)
		}
		return err == nil && v.Err() == nil
	})
	kill(t, s)
	s = startDurable(t, dir, "everysec", 1)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, `"c"`, "GET", "a")
	expect(t, c, "(integer) 60001", "DBSIZE")
}

// A replica that is killed while it gets everything has all of the old dataset or all of the new
// one, never a mixture.
func TestKilledWhileReplaced(t *testing.T) {
	primary := startNode(t, "hyperkv3", "--aof-enabled", "no")
	primary.do(t, "DEBUG", "POPULATE", "100000", "new", "50")
	host, port, _ := strings.Cut(primary.Addr, ":")
	begin := func() (dir string, s *testkit.Server, c *testkit.Conn) {
		dir = t.TempDir()
		s = startDurable(t, dir, "everysec", 2, "--enable-debug-command", "yes")
		c = dial(t, s.Network, s.Addr)
		expect(t, c, "OK", "DEBUG", "POPULATE", "1000", "new") // some keys are in both
		expect(t, c, "OK", "DEBUG", "POPULATE", "1000", "old")
		return dir, s, c
	}
	_, s, c := begin()
	old, whole := ask(t, c, "DEBUG", "DIGEST"), ask(t, primary.c, "DEBUG", "DIGEST")
	began := time.Now()
	expect(t, c, "OK", "REPLICAOF", host, port)
	eventually(t, "the link", func() bool { return info(t, c, "master_link_status") == "up" })
	took := time.Since(began)
	kill(t, s)
	found := map[string]int{}
	for range lives(t) {
		dir, s, c := begin()
		expect(t, c, "OK", "REPLICAOF", host, port)
		time.Sleep(rand.N(took * 3 / 2))
		kill(t, s)
		s = startDurable(t, dir, "everysec", 1, "--enable-debug-command", "yes")
		switch digest := ask(t, dial(t, s.Network, s.Addr), "DEBUG", "DIGEST"); digest {
		case old:
			found["old"]++
		case whole:
			found["new"]++
		default:
			t.Fatalf("a mixture: %s\n%s", digest, s.Log())
		}
		kill(t, s)
	}
	t.Logf("%v, of lives of up to %v", found, took*3/2)
}
