package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tools of Redis that act as replicas work.
func TestRedisCLIAsReplica(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("there is no redis-cli")
	}
	primary := startNode(t, "hyperkv3")
	traffic := startTraffic(t, primary.Addr, 2)
	time.Sleep(200 * time.Millisecond)
	traffic.end()
	persistAll(t, primary) // a file may be loaded when keys have expired that it has
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(cli, append([]string{"-p", portOf(primary)}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("redis-cli %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	run("--rdb", filepath.Join(dir, "dump.rdb"))
	redis := startNode(t, "redis", "--dir", dir)
	if want, got := primary.do(t, "DEBUG", "DIGEST"), redis.do(t, "DEBUG", "DIGEST"); got != want {
		t.Errorf("the file's digest is %s, want %s", got, want)
	}
	run("--functions-rdb", filepath.Join(dir, "functions.rdb"))
	if info, err := os.Stat(filepath.Join(dir, "functions.rdb")); err != nil || info.Size() > 1000 {
		t.Errorf("the file of functions: %v %v", info, err)
	}
	follow := exec.Command(cli, "-p", portOf(primary), "--replica")
	var out lockedBuffer
	follow.Stdout = &out
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	eventually(t, "it shows what happens", func() bool {
		primary.do(t, "SET", "shown", "yes")
		return strings.Contains(out.String(), `"SET","shown","yes"`)
	})
}

// persistAll lets nothing expire.
func persistAll(t testing.TB, n *node) {
	t.Helper()
	for db := range 16 {
		n.do(t, "SELECT", strconv.Itoa(db))
		v, err := n.c.Do("KEYS", "*")
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, key := range v.Elems {
			keys = append(keys, key.Text())
		}
		for _, key := range keys {
			n.do(t, "PERSIST", key)
		}
	}
	n.do(t, "SELECT", "0")
}

// While a replica loads, it says so, and how far it has come; what it had before is there
// until all has come.
func TestReplicaLoading(t *testing.T) {
	t.Parallel()
	primary, replica := startNode(t, "hyperkv2"), startNode(t, "hyperkv2")
	primary.do(t, "DEBUG", "POPULATE", "300000", "key", "20")
	replica.do(t, "SET", "before", "yes")
	replica.follow(t, primary.Addr)
	before, loading := false, false
	for deadline := time.Now().Add(30 * time.Second); replica.info(t, "master_link_status") != "up"; {
		if time.Now().After(deadline) {
			t.Fatal("the link does not come up")
		}
		switch reply := replica.do(t, "GET", "before"); {
		case reply == "yes":
			before = true
		case reply == "LOADING Redis is loading the dataset in memory":
			text := replica.do(t, "INFO", "persistence")
			if !strings.Contains(text, "loading:1\r\n") {
				continue // it is over by now
			}
			for _, field := range []string{"loading_start_time:", "loading_total_bytes:", "loading_loaded_bytes:", "loading_loaded_perc:", "loading_eta_seconds:"} {
				if !strings.Contains(text, field) {
					t.Fatalf("INFO lacks %s: %s", field, text)
				}
			}
			if reply := replica.do(t, "PING"); reply != "LOADING Redis is loading the dataset in memory" {
				if reply != "PONG" {
					t.Errorf("PING: %s", reply)
				}
			}
			loading = true
		}
	}
	if !before || !loading {
		t.Errorf("seen before: %v, while loading: %v", before, loading)
	}
	equal(t, primary, replica)
}

// lockedBuffer is a bytes.Buffer that may be read while it is written. Safe for
// concurrent use.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Either side may be killed at any moment.
func TestReplicationKilled(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), t.TempDir()}
	primary := startNode(t, "hyperkv2", "--data-dir", dirs[0])
	link := startProxy(t, primary.Addr)
	start := func() *node {
		host, port, _ := net.SplitHostPort(link.addr())
		return startNode(t, "hyperkv3", "--data-dir", dirs[1], "--replicaof", host+" "+port)
	}
	replica := start()
	traffic := startTraffic(t, primary.Addr, 2)
	for range 3 {
		time.Sleep(150 * time.Millisecond)
		kill(t, replica.Server)
		replica = start()
		eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
	}
	traffic.end()
	equal(t, primary, replica)
	digest := primary.do(t, "DEBUG", "DIGEST")
	kill(t, primary.Server)
	eventually(t, "the link is down", func() bool { return replica.info(t, "master_link_status") == "down" })
	if got := replica.do(t, "DEBUG", "DIGEST"); got != digest {
		t.Error("the replica has lost something with its primary")
	}
	again := startNode(t, "hyperkv2", "--data-dir", dirs[0])
	link.target.Store(&again.Addr)
	again.do(t, "SET", "back", "yes")
	eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
	equal(t, again, replica)
	// What a replica has, it keeps, all of it.
	persistAll(t, again)
	equal(t, again, replica)
	digest = replica.do(t, "DEBUG", "DIGEST")
	kill(t, replica.Server)
	kill(t, again.Server)
	alone := startNode(t, "hyperkv1", "--data-dir", dirs[1])
	if got := alone.do(t, "DEBUG", "DIGEST"); got != digest || alone.do(t, "GET", "back") != "yes" {
		t.Errorf("the replica has kept %s, and had %s", got, digest)
	}
}
