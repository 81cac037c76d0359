package testkit

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestTargets plays the same stories over each way of reaching a server.
func TestTargets(t *testing.T) {
	dir, err := os.MkdirTemp("", "kit") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	s := StartRedis(t, "--unixsocket", socket)
	if s == nil {
		t.Skip("no redis-server")
	}
	RunTranscripts(t, "testdata/sessions.txt",
		s.Target("tcp"),
		Address("unix", "unix", socket),
		Dialer("dialer", func(t testing.TB) net.Conn {
			conn, err := net.Dial(s.Network, s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		}),
	)
}

func TestMatrix(t *testing.T) {
	var started []ServerOptions
	targets := Matrix(t, func(t testing.TB, opts ServerOptions) (network, addr string) {
		started = append(started, opts)
		return "tcp", "127.0.0.1:1"
	})
	var names []string
	for _, target := range targets {
		names = append(names, target.Name())
	}
	want := []string{
		"1 shards", "1 shards, no inline", "2 shards", "2 shards, no inline",
		"7 shards", "7 shards, in bursts", "7 shards, no inline",
	}
	if !slices.Equal(names, want) || len(started) != 6 || started[5].Shards != 7 || started[5].Inline {
		t.Errorf("%q from %+v", names, started)
	}
}

// TestServerEnds: a signal ends the process, and the test sees how.
func TestServerEnds(t *testing.T) {
	s := StartRedis(t)
	if s == nil {
		t.Skip("no redis-server")
	}
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := s.Wait(stopPatience)
	if err != nil || !state.Success() || s.Running() {
		t.Errorf("%v, %v\n%s", state, err, s.Log())
	}
	if Ping(s.Network, s.Addr, time.Second) == nil {
		t.Error("it still answers")
	}
	s.Stop() // harmless
}

// A server that has not come to its port yet is not taken for another that has.
func TestPortTaken(t *testing.T) {
	first := StartBinary(t)
	_, text, _ := net.SplitHostPort(first.Addr)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := launchAt(port, exec.Command("sleep", "60")); !errors.Is(err, errPortTaken) {
		t.Errorf("a second server on the same port: %v", err)
	}
}
