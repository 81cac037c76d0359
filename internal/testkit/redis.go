package testkit

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// Redis starts the reference redis-server for this test and returns it as the
// judge: transcripts with -update take their expectations from it.
//
// Without an installed redis-server the target skips with a line in the log. In
// CI, or with HYPERKV_REQUIRE_REDIS set, a missing judge fails the test, so that a
// broken installation does not pass for agreement.
func Redis(t testing.TB, flags ...string) Target {
	t.Helper()
	s := StartRedis(t, flags...)
	if s == nil {
		return missing{name: "redis", reason: "redis-server is not installed"}
	}
	judge := &address{name: "redis", network: s.Network, addr: s.Addr, judge: true}
	judge.version = serverVersion(t, s)
	return judge
}

// StartRedis starts a redis-server without persistence. It returns nil when none
// is installed and none is required; see Redis.
func StartRedis(t testing.TB, flags ...string) *Server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		if redisRequired() {
			t.Fatalf("redis-server is required here: %v", err)
		}
		t.Logf("no redis-server: %v", err)
		return nil
	}
	dir := t.TempDir()
	s, err := launch(func(port int) *exec.Cmd {
		args := []string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no",
			"--enable-debug-command", "local",
		}
		return exec.Command(path, append(args, flags...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func redisRequired() bool {
	return os.Getenv("CI") == "true" || os.Getenv("HYPERKV_REQUIRE_REDIS") != ""
}
