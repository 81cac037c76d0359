package main

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/config"
	"hyperkv/internal/testkit"
)

// inProcess is a testkit.Starter: the whole server, engine and sockets, inside
// this process, where the race detector and the invariants see it.
func inProcess(t testing.TB, opts testkit.ServerOptions) (network, addr string) {
	t.Helper()
	s := open(t, opts)
	return "tcp", s.net.Addr()[0]
}

// open starts a server on a free loopback port; it ends with the test.
func open(t testing.TB, opts testkit.ServerOptions) *server {
	t.Helper()
	settings := map[string]string{
		"host": "127.0.0.1", "metrics_port": "0", "data_dir": t.TempDir(),
		"port":           strconv.Itoa(testkit.FreePort(t)),
		"worker_threads": strconv.Itoa(opts.Shards),
		"shard_inline":   strconv.FormatBool(opts.Inline),
	}
	for name, value := range opts.Flags {
		settings[name] = value
	}
	cfg, err := config.FromMap(settings)
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), cfg, config.NewParams(cfg), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-s.Loaded(); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

// dial connects to a server and ends with the test.
func dial(t testing.TB, network, addr string) *testkit.Conn {
	t.Helper()
	c, err := testkit.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask runs a command that must have a reply, and returns it as redis-cli shows it.
func ask(t testing.TB, c *testkit.Conn, args ...string) string {
	t.Helper()
	v, err := c.Do(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return v.String()
}

// expect runs a command and compares its reply.
func expect(t testing.TB, c *testkit.Conn, want string, args ...string) {
	t.Helper()
	if got := ask(t, c, args...); got != want {
		t.Errorf("%q: %s, want %s", args, got, want)
	}
}
