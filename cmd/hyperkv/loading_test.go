package main

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// While the data is recovered clients are told to wait for it, and those who look after the
// server can see how far it has come, and stop it.
func TestLoading(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "no", 2)
	c := dial(t, s.Network, s.Addr)
	const keys = 800_000
	load(t, c, keys, func(i int) []string { return []string{"SET", "key:" + strconv.Itoa(i), "some value that takes room"} })
	kill(t, s)

	port, admin := testkit.FreePort(t), testkit.FreePort(t)
	begin := func() (*exec.Cmd, *testkit.Conn) {
		t.Helper()
		cmd := exec.Command(testkit.Binary(t), "serve", "--port", strconv.Itoa(port), "--metrics-port", strconv.Itoa(admin),
			"--data-dir", dir, "--worker-threads", "2")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for range 5000 {
			if c, err := testkit.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
				t.Cleanup(func() { c.Close() })
				return cmd, c
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatal("it does not listen")
		panic("unreachable")
	}
	page := func(name string) int {
		t.Helper()
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/%s", admin, name))
		if err != nil {
			return 0
		}
		defer r.Body.Close()
		_, _ = io.Copy(io.Discard, r.Body)
		return r.StatusCode
	}

	first, c := begin()
	const waiting = "(error) LOADING Redis is loading the dataset in memory"
	if got := ask(t, c, "PING"); got != waiting {
		t.Fatalf("PING while loading: %s", got)
	}
	expect(t, c, waiting, "GET", "key:1")
	expect(t, c, waiting, "SET", "key:1", "x")
	for field, check := range map[string]func(n int64) bool{
		"loading":              func(n int64) bool { return n == 1 },
		"loading_start_time":   func(n int64) bool { return n > 0 && n <= time.Now().Unix() },
		"loading_total_bytes":  func(n int64) bool { return n > keys*20 },
		"loading_loaded_bytes": func(n int64) bool { return n >= 0 },
		"loading_eta_seconds":  func(n int64) bool { return n >= 0 },
	} {
		if n, err := strconv.ParseInt(info(t, c, field), 10, 64); err != nil || !check(n) {
			t.Errorf("%s is %d, %v", field, n, err)
		}
	}
	if ready, alive := page("readyz"), page("livez"); ready != http.StatusServiceUnavailable || alive != http.StatusOK {
		t.Errorf("while loading /readyz answers %d and /livez %d", ready, alive)
	}
	eventually(t, "the data is there", func() bool { return ask(t, c, "PING") == "PONG" })
	expect(t, c, "(integer) "+strconv.Itoa(keys), "DBSIZE")
	eventually(t, "/readyz", func() bool { return page("readyz") == http.StatusOK })
	end(t, nil, c, "SHUTDOWN", "NOSAVE")
	if err := first.Wait(); err != nil {
		t.Errorf("after SHUTDOWN: %v", err)
	}

	// A signal ends it in the middle, and nothing is the worse for it.
	cmd, c := begin()
	if got := ask(t, c, "PING"); got != waiting {
		t.Fatalf("PING while loading: %s", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM while loading: %v", err)
	}
	s = startDurable(t, dir, "no", 3)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "(integer) "+strconv.Itoa(keys), "DBSIZE")
	if log := s.Log(); !strings.Contains(log, "recovered") {
		t.Errorf("the log does not tell of the recovery:\n%s", log)
	}
}
