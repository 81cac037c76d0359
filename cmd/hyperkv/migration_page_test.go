package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

const migrationPage = "../../docs/migration.md"

// blocks are the fenced blocks of a page that are in a language.
func blocks(page, language string) (all []string) {
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, match[1])
	}
	return all
}

// What docs/migration.md says to type does what it says.
func TestMigrationPage(t *testing.T) {
	dir := t.TempDir()
	redis := redisIn(t, dir, "--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--save", "3600 1")
	if _, err := exec.LookPath("redis-cli"); err != nil {
		t.Skip(err)
	}
	mine := ours(t, 2)
	fillDatabases(t, redis)
	port := func(s *testkit.Server) string { _, port, _ := strings.Cut(s.Addr, ":"); return port }
	conf := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(conf, []byte("port "+port(redis)+"\nappendonly yes\ndir "+dir+"\nprotected-mode yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	if err := os.Symlink(testkit.Binary(t), filepath.Join(tools, "hyperkv")); err != nil {
		t.Fatal(err)
	}
	here, backup := t.TempDir(), t.TempDir()
	kill(t, startDurable(t, backup, "everysec", 2))
	replace := strings.NewReplacer("/etc/redis/redis.conf", conf, "/var/lib/redis", dir, "/backup/of/hyperkv", backup,
		"6379", port(redis), "7000", port(mine))
	page := read(t, migrationPage)
	compared := 0
	for _, block := range blocks(page, "sh") {
		fills := strings.Contains(block, "--to 127.0.0.1:7000") || strings.Contains(block, "REPLICAOF 127.0.0.1 6379")
		empties := strings.Contains(block, "--pipe")
		switch {
		case fills:
			done(t, dial(t, mine.Network, mine.Addr), "FLUSHALL")
		case empties:
			done(t, dial(t, redis.Network, redis.Addr), "FLUSHALL")
		}
		cmd := exec.Command("sh", "-e", "-c", replace.Replace(block))
		cmd.Dir = here
		cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, block, out)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			info := done(t, dial(t, redis.Network, redis.Addr), "INFO", "persistence")
			if !strings.Contains(info, "aof_rewrite_in_progress:1") && !strings.Contains(info, "aof_rewrite_scheduled:1") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the log is not rewritten")
			}
		}
		if fills || empties {
			compared++
			if have, want := digest(t, mine), digest(t, redis); have != want {
				t.Errorf("the digests are %s and %s, after\n%s", have, want, block)
			}
		}
	}
	if compared < 6 {
		t.Errorf("only %d blocks move data", compared)
	}
	// The last block has written what the page shows.
	lines := "\n" + read(t, filepath.Join(here, "keys.jsonl"))
	shown := blocks(page, "json")
	if len(shown) != 1 {
		t.Fatalf("%d blocks of JSON", len(shown))
	}
	for line := range strings.Lines(shown[0]) {
		if !strings.Contains(lines, "\n"+line) {
			t.Errorf("no line\n%s", line)
		}
	}
	// And the first a configuration.
	if _, errs, failed := hyperkv(t, "check", filepath.Join(here, "hyperkv.yaml")); failed {
		t.Error(errs)
	}
}
