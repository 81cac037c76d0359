package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/config"
)

// fake is a server that does nothing but note that it was stopped.
type fake struct {
	done     chan struct{}
	loaded   chan error
	stopping chan struct{} // closed when Shutdown begins
	release  chan struct{} // Shutdown returns when this is closed
	stopErr  error
	params   *config.Params
	log      *slog.Logger
}

func (*fake) Addresses() []string     { return []string{"127.0.0.1:7000", "/run/x.sock"} }
func (*fake) Shards() int             { return 3 }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Loaded() <-chan error  { return f.loaded }
func (f *fake) Shutdown(context.Context) error {
	close(f.stopping)
	<-f.release
	return f.stopErr
}

// text is a buffer that several goroutines write to.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// life is a process in a test.
type life struct {
	*fake
	signals        chan os.Signal
	stdout, stderr text
	exits          chan int
	ended          chan error
}

// begin runs a process until it has started.
func begin(t *testing.T, settings map[string]string) *life {
	t.Helper()
	l := &life{
		fake:    &fake{done: make(chan struct{}), loaded: make(chan error, 1), stopping: make(chan struct{}), release: make(chan struct{})},
		signals: make(chan os.Signal, 8), exits: make(chan int, 1), ended: make(chan error, 1),
	}
	started := make(chan struct{})
	p := process{
		stdout: &l.stdout, stderr: &l.stderr, signals: l.signals, exit: func(code int) { l.exits <- code },
		start: func(_ context.Context, _ *config.Config, params *config.Params, log *slog.Logger) (running, error) {
			l.params, l.log = params, log
			close(started)
			return l.fake, nil
		},
	}
	go func() { l.ended <- p.run(t.Context(), config.Options{Settings: settings}) }()
	receive(t, started)
	return l
}

// receive waits, but not forever.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

func TestSignalsStop(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		l := begin(t, nil)
		l.signals <- s
		receive(t, l.stopping)
		close(l.release)
		if err := receive(t, l.ended); err != nil {
			t.Errorf("%v: %v", s, err)
		}
		if out := l.stdout.String(); !strings.Contains(out, "HyperKV "+engine.Version) || !strings.Contains(out, "pid "+strconv.Itoa(os.Getpid())) ||
			!strings.Contains(out, "3 shards") || !strings.Contains(out, "127.0.0.1:7000") || !strings.Contains(out, "no memory limit") ||
			!strings.Contains(out, "Data is kept in ./data (log with fsync everysec, and snapshots).") || !strings.Contains(out, "Ctrl-C") {
			t.Errorf("banner: %s", out)
		}
	}
}

func TestShutdownCommandStops(t *testing.T) {
	l := begin(t, map[string]string{"max_memory": "1536mb"})
	close(l.done)
	close(l.release)
	if err := receive(t, l.ended); err != nil {
		t.Error(err)
	}
	if !strings.Contains(l.stdout.String(), "memory limit 1.5 GiB") {
		t.Errorf("banner: %s", l.stdout.String())
	}
}

func TestSecondSignalForces(t *testing.T) {
	l := begin(t, nil)
	l.signals <- syscall.SIGTERM
	receive(t, l.stopping)
	l.signals <- syscall.SIGHUP // is not insisting
	l.signals <- syscall.SIGINT
	if code := receive(t, l.exits); code != 1 {
		t.Errorf("exit code %d", code)
	}
	close(l.release)
	receive(t, l.ended)
}

func TestFailureToStopIsAnError(t *testing.T) {
	l := begin(t, nil)
	l.stopErr = errors.New("stuck")
	l.signals <- syscall.SIGTERM
	close(l.release)
	if err := receive(t, l.ended); err == nil || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("got %v", err)
	}
}

func TestPIDFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	l := begin(t, map[string]string{"pid_file": path})
	if got, err := os.ReadFile(path); err != nil || string(got) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("%q %v", got, err)
	}
	l.signals <- syscall.SIGTERM
	close(l.release)
	receive(t, l.ended)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	p := process{stdout: &text{}, stderr: &text{}}
	if err := p.run(t.Context(), config.Options{Settings: map[string]string{"pid_file": filepath.Join(path, "no", "such")}}); err == nil ||
		!strings.Contains(err.Error(), "pid_file") {
		t.Errorf("got %v", err)
	}
}

func TestLogFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := begin(t, map[string]string{"log_file": path, "log_format": "json", "loglevel": "notice"})
	l.log.Debug("quiet")
	if err := l.params.Set([]config.Pair{{Name: "loglevel", Value: "debug"}}); err != nil {
		t.Fatal(err)
	}
	l.log.Debug("loud")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.signals <- syscall.SIGHUP
	l.signals <- syscall.SIGTERM
	close(l.release)
	if err := receive(t, l.ended); err != nil {
		t.Fatal(err)
	}
	old, _ := os.ReadFile(path + ".1")
	now, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(old), `"msg":"loud"`) || strings.Contains(string(old), "quiet") ||
		!strings.Contains(string(old), `"ts":`) || !strings.Contains(string(now), `"msg":"stopped"`) {
		t.Errorf("%v\nold %s\nnew %s", err, old, now)
	}
	if l.stdout.String() != "" {
		t.Errorf("a banner among JSON: %s", l.stdout.String())
	}
}

func TestStartFailures(t *testing.T) {
	p := process{stdout: &text{}, stderr: &text{}, start: func(context.Context, *config.Config, *config.Params, *slog.Logger) (running, error) {
		return nil, errors.New("address in use")
	}}
	if err := p.run(t.Context(), config.Options{}); err == nil || err.Error() != "address in use" {
		t.Errorf("got %v", err)
	}
	if err := p.run(t.Context(), config.Options{Settings: map[string]string{"log_file": filepath.Join(t.TempDir(), "no", "log")}}); err == nil ||
		!strings.HasPrefix(err.Error(), "log_file: ") {
		t.Errorf("got %v", err)
	}
}

// A server whose data cannot be loaded is stopped in good order, and says why.
func TestDataThatCannotBeLoaded(t *testing.T) {
	l := begin(t, nil)
	l.loaded <- errors.New("recovery: damaged")
	receive(t, l.stopping)
	close(l.release)
	if err := receive(t, l.ended); err == nil || err.Error() != "recovery: damaged" {
		t.Errorf("got %v", err)
	}
}

func TestOpenServerIsNoticed(t *testing.T) {
	f := func(settings map[string]string, want bool) {
		t.Helper()
		cfg, err := config.FromMap(settings)
		if err != nil {
			t.Fatal(err)
		}
		var out text
		warnOpen(cfg, slog.New(slog.NewTextHandler(&out, nil)))
		if got := strings.Contains(out.String(), "everybody"); got != want {
			t.Errorf("%v: %q", settings, out.String())
		}
	}
	f(nil, false)
	f(map[string]string{"host": "127.0.0.1 ::1 -::1 localhost"}, false)
	f(map[string]string{"host": "0.0.0.0"}, true)
	f(map[string]string{"host": "*"}, true)
	f(map[string]string{"host": "0.0.0.0", "auth_password": "x"}, false)
	f(map[string]string{"host": "0.0.0.0", "port": "0"}, false)
}

func TestConnectionsFit(t *testing.T) {
	if err := connectionsFit("10"); err != nil {
		t.Error(err)
	}
	if err := connectionsFit("4294967295"); err == nil || !strings.HasPrefix(err.Error(),
		"The operating system is not able to handle the specified number of clients, try with ") {
		t.Errorf("got %v", err)
	}
	cfg, err := config.FromMap(map[string]string{"max_connections": "4000000000"})
	if err != nil {
		t.Fatal(err)
	}
	var out text
	if err := fitConnections(cfg, slog.New(slog.NewTextHandler(&out, nil))); err != nil {
		t.Fatal(err)
	}
	if cfg.MaxConnections >= 4000000000 || !strings.Contains(out.String(), "max_connections lowered from 4000000000") {
		t.Errorf("%d %s", cfg.MaxConnections, out.String())
	}
}

func TestBytesText(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	f(100, "100 bytes")
	f(1<<30, "1 GiB")
	f(3<<19, "1.5 MiB")
	f(1<<40, "1 TiB")
}
