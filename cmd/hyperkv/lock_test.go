package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/persist/datadir"
)

// Whoever wants a directory that is in use waits until its server says where it is reached,
// and makes nothing of what cannot be read meanwhile.
func TestOccupy(t *testing.T) {
	dir := t.TempDir()
	lock, err := take(dir, "serve")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for _, text := range []string{"", `{"pid":`, "null", "[]", `{"pid":"x"}`} {
		if err := os.WriteFile(filepath.Join(dir, datadir.LockName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var used *datadir.InUseError
		if _, err := take(dir, "check"); !errors.As(err, &used) || !strings.Contains(err.Error(), "it has not said who it is") {
			t.Errorf("%q: %v", text, err)
		}
	}
	go func() {
		time.Sleep(120 * time.Millisecond)
		_ = lock.Say(datadir.Holder{PID: 7, Command: "serve", RunID: "x", Addresses: []datadir.Address{{Network: "tcp", Address: "127.0.0.1:1"}, {Network: "unix", Address: "/s"}}})
	}()
	free, server, err := occupy(t.Context(), dir)
	if err != nil || free != nil || server.RunID != "x" || server.String() != "hyperkv serve, pid 7, 127.0.0.1:1, /s" {
		t.Errorf("%v %v %v", free, server, err)
	}
	if err := lock.Say(datadir.Holder{PID: 7, Command: "serve"}); err != nil { // it is starting, and does not come to an end
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := occupy(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait: %v", err)
	}
}

// A server says where it is reached as soon as it is, also when it takes its directory only
// later, because nothing was to be kept.
func TestLockSaysWhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := startDurable(t, dir, "no", 2, "--disable-aof", "--snapshot-enabled=no")
	if _, err := os.Stat(dir); err == nil {
		t.Error("there is a directory, and nothing is to be kept")
	}
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "SAVE")
	check := func(s *testkit.Server, dir string) {
		t.Helper()
		eventually(t, "LOCK", func() bool { h := datadir.ReadHolder(dir); return h != nil && len(h.Addresses) > 0 })
		if h := datadir.ReadHolder(dir); h.PID != s.PID || h.Command != "serve" || h.Version == "" || len(h.RunID) != 40 ||
			h.Addresses[0] != (datadir.Address{Network: "tcp", Address: s.Addr}) {
			t.Errorf("%+v", h)
		}
	}
	check(s, dir)
	dir = t.TempDir()
	check(startDurable(t, dir, "no", 2), dir)
}
