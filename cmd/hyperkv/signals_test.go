package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// endsWell waits for the process and wants exit code 0.
func endsWell(t *testing.T, s *testkit.Server) {
	t.Helper()
	state, err := s.Wait(10 * time.Second)
	if err != nil || state.ExitCode() != 0 {
		t.Fatalf("%v, %v\n%s", state, err, s.Log())
	}
}

// A signal, or SHUTDOWN, drains: what was asked before is answered, then the
// process ends well.
func TestBinaryStops(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, s *testkit.Server){
		"SIGTERM":  func(t *testing.T, s *testkit.Server) { s.Signal(syscall.SIGTERM) },
		"SIGINT":   func(t *testing.T, s *testkit.Server) { s.Signal(syscall.SIGINT) },
		"SHUTDOWN": func(t *testing.T, s *testkit.Server) { _ = dial(t, s.Network, s.Addr).Send("SHUTDOWN") },
		"SHUTDOWN NOSAVE NOW": func(t *testing.T, s *testkit.Server) {
			_ = dial(t, s.Network, s.Addr).Send("SHUTDOWN", "NOSAVE", "NOW")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testkit.StartBinary(t, "--worker-threads", "3")
			idle, busy := dial(t, s.Network, s.Addr), dial(t, s.Network, s.Addr)
			expect(t, idle, "PONG", "PING")
			const commands = 1000
			for i := range commands {
				if err := busy.Send("SET", "key:"+strconv.Itoa(i), "value"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := busy.Receive(5 * time.Second); err != nil { // the first is in, so the others are on their way
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond)
			stop(t, s)
			for i := 1; i < commands; i++ {
				if v, err := busy.Receive(5 * time.Second); err != nil || v.Text() != "OK" {
					t.Fatalf("reply %d: %v %v", i, v, err)
				}
			}
			endsWell(t, s)
			if _, err := idle.Do("PING"); err == nil {
				t.Error("an idle client is still served")
			}
		})
	}
}

// A client that reads nothing must not keep the server from stopping for long, and
// a second signal stops it at once.
func TestBinarySecondSignal(t *testing.T) {
	s := testkit.StartBinary(t)
	deaf := dial(t, s.Network, s.Addr)
	expect(t, deaf, "OK", "SET", "big", strings.Repeat("x", 4<<20))
	for range 8 {
		if err := deaf.Send("GET", "big"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	if !s.Running() {
		t.Skip("the kernel took everything: nothing was left to wait for")
	}
	s.Signal(syscall.SIGINT)
	state, err := s.Wait(2 * time.Second)
	if err != nil || state.ExitCode() != 1 {
		t.Fatalf("after %v: %v, %v\n%s", time.Since(began), state, err, s.Log())
	}
	if !strings.Contains(s.Log(), "second signal") {
		t.Errorf("log: %s", s.Log())
	}
}

// run starts the binary and waits for it to end by itself.
func run(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Binary(t), args...)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// A port that somebody has is an error that names the address.
func TestBinaryPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, args := range [][]string{
		{"serve", "--host", "127.0.0.1", "--port", port, "--metrics-port", "0"},
		{"serve", "--host", "127.0.0.1", "--port", strconv.Itoa(testkit.FreePort(t)), "--metrics-port", port},
	} {
		out, code := run(t, args...)
		if code == 0 || !strings.Contains(out, taken.Addr().String()) || !strings.Contains(out, "address already in use") {
			t.Errorf("%q ended with %d: %s", args, code, out)
		}
		if strings.Contains(out, "goroutine ") {
			t.Errorf("a stack trace for the operator:\n%s", out)
		}
	}
}

// The unix socket serves like a port, has the permissions that were asked for, and
// is gone afterwards; what a crash left behind does not keep the next server out.
func TestBinaryUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "hkv") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	s := testkit.StartBinary(t, "--unixsocket", path, "--unixsocketperm", "700")
	c := dial(t, "unix", path)
	expect(t, c, "OK", "SET", "a", "1")
	expect(t, dial(t, s.Network, s.Addr), `"1"`, "GET", "a")
	if info := ask(t, c, "CLIENT", "INFO"); !strings.Contains(info, "addr="+path+":0") {
		t.Errorf("CLIENT INFO: %s", info)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("%v, %v", info, err)
	}
	s.Signal(syscall.SIGTERM)
	endsWell(t, s)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}

	s = testkit.StartBinary(t, "--unixsocket", path)
	s.Signal(syscall.SIGKILL)
	if _, err := s.Wait(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	s = testkit.StartBinary(t, "--unixsocket", path)
	expect(t, dial(t, "unix", path), "PONG", "PING")
}
