package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"hyperkv/engine"
	"hyperkv/internal/config"
)

// running is what the life of the process needs of a server. startServer, in
// server.go, makes one out of the engine, the network and the admin port:
//
//	func startServer(ctx context.Context, cfg *config.Config, params *config.Params, log *slog.Logger) (*server, error)
type running interface {
	// Addresses are the listeners, as a person would write them.
	Addresses() []string
	// Shards is how many there are.
	Shards() int
	// Loaded is told once the data is there, or why it cannot be; until then clients are
	// told to wait.
	Loaded() <-chan error
	// Done is closed when a client has sent SHUTDOWN.
	Done() <-chan struct{}
	// Shutdown stops accepting, lets what runs finish, and releases everything.
	// When ctx ends first it stops hard.
	Shutdown(ctx context.Context) error
}

var _ running = (*server)(nil)

func serve(cmd *cobra.Command, o config.Options) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	p := process{
		stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr(), signals: signals, exit: os.Exit,
		start: func(ctx context.Context, cfg *config.Config, params *config.Params, log *slog.Logger) (running, error) {
			return startServer(ctx, cfg, params, log)
		},
	}
	return p.run(cmd.Context(), o)
}

// process is the life of a server process, with everything it touches handed in.
type process struct {
	stdout, stderr io.Writer
	signals        <-chan os.Signal
	exit           func(code int)
	start          func(context.Context, *config.Config, *config.Params, *slog.Logger) (running, error)
}

// gcPercent is how far the Go heap may grow beyond what is live before the next
// collection, unless GOGC says otherwise. The dataset is not in it, so that a
// collection costs about a millisecond, and what is saved is memory for data.
const gcPercent = 40

// run returns when the server has stopped: nil after a signal or SHUTDOWN.
func (p process) run(ctx context.Context, o config.Options) error {
	cfg, err := config.Load(o)
	if err != nil {
		return err
	}
	log, err := openLogs(cfg, p.stderr)
	if err != nil {
		return err
	}
	defer log.close()
	for _, warning := range cfg.Warnings {
		log.Warn(warning)
	}
	if err := fitConnections(cfg, log.Logger); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	warnOpen(cfg, log.Logger)
	params := config.NewParams(cfg)
	params.OnChange("loglevel", log.setLevel)
	params.OnChange("maxclients", connectionsFit)
	if cfg.PIDFile != "" {
		remove, err := writePIDFile(cfg.PIDFile)
		if err != nil {
			return err
		}
		defer remove()
	}

	srv, err := p.start(ctx, cfg, params, log.Logger)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if cfg.LogFormat != "json" {
		fmt.Fprint(p.stdout, banner(cfg, srv))
		if log.file == nil {
			level = config.SlogLevel("verbose") // the banner has just said it
		}
	}
	log.Log(ctx, level, "serving", "version", engine.Version, "pid", os.Getpid(), "shards", srv.Shards(),
		"addresses", srv.Addresses(), "max_memory", cfg.MaxMemory, "config", cfg.File)

	why, failed := p.wait(ctx, srv, log)
	log.Info("stopping", "reason", why)
	notifySystemd(log.Logger, daemon.SdNotifyStopping)
	stopped := make(chan struct{})
	defer close(stopped)
	go p.forceOnSignal(stopped, log)
	// The deadline is the server's, so that it outlives ctx.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(params.Duration("shutdown-timeout"), time.Second))
	defer cancel()
	if err := srv.Shutdown(limit); err != nil {
		return errors.Join(failed, fmt.Errorf("stopping: %w", err))
	}
	if failed != nil {
		return failed
	}
	log.Info("stopped")
	return nil
}

// loadingPatience is how long systemd is asked to wait for more news while the data is
// loaded: its own limit for a start knows nothing of how much there is.
const loadingPatience = 30 * time.Second

// wait serves until there is a reason to stop, and returns it; an error if the data could
// not be loaded.
func (p process) wait(ctx context.Context, srv running, log *logs) (why string, failed error) {
	patience := time.NewTicker(loadingPatience / 3)
	defer patience.Stop()
	for {
		select {
		case <-patience.C:
			notifySystemd(log.Logger, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d\nSTATUS=Loading the dataset", loadingPatience.Microseconds()))
		case err := <-srv.Loaded():
			patience.Stop()
			if err != nil {
				return "the data cannot be loaded", err
			}
			log.Info("ready")
			notifySystemd(log.Logger, daemon.SdNotifyReady+"\nSTATUS=Serving")
		case s := <-p.signals:
			if s != syscall.SIGHUP {
				return s.String(), nil
			}
			log.reopen()
		case <-srv.Done():
			return "SHUTDOWN", nil
		case <-ctx.Done():
			return "asked by the program", nil
		}
	}
}

// forceOnSignal ends the process at once when somebody insists.
func (p process) forceOnSignal(stopped <-chan struct{}, log *logs) {
	for {
		select {
		case s := <-p.signals:
			if s == syscall.SIGHUP {
				continue
			}
			log.Error("stopping at once: second signal", "signal", s.String())
			p.exit(1)
			return
		case <-stopped:
			return
		}
	}
}

// filesReserved is how many open files the server needs beside its clients.
const filesReserved = 128

// fitConnections raises the limit of open files for max_connections, or else
// lowers max_connections to what fits.
func fitConnections(cfg *config.Config, log *slog.Logger) error {
	have := raiseFileLimit(uint64(cfg.MaxConnections) + filesReserved)
	if have >= uint64(cfg.MaxConnections)+filesReserved {
		return nil
	}
	if have <= filesReserved {
		return fmt.Errorf("only %d open files are allowed, and the server needs %d before the first client: raise the limit (ulimit -n, LimitNOFILE=)", have, filesReserved+1)
	}
	fits := have - filesReserved
	log.Warn(fmt.Sprintf("max_connections lowered from %d to %d, because only %d open files are allowed: raise the limit (ulimit -n, LimitNOFILE=)",
		cfg.MaxConnections, fits, have))
	return cfg.Adjust("max_connections", strconv.FormatUint(fits, 10), fmt.Sprintf("limit of %d open files", have))
}

// connectionsFit is asked before CONFIG SET maxclients. The text is Redis'.
func connectionsFit(value string) error {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil {
		return err
	}
	if have := raiseFileLimit(n + filesReserved); have < n+filesReserved {
		return fmt.Errorf("The operating system is not able to handle the specified number of clients, try with %d", max(have, filesReserved)-filesReserved)
	}
	return nil
}

// warnOpen speaks up when everybody on the network can use the server.
func warnOpen(cfg *config.Config, log *slog.Logger) {
	if cfg.AuthPassword != "" || cfg.Port == 0 {
		return
	}
	for _, h := range cfg.ListenHosts() {
		if h.Host != "localhost" && h.Host != "::1" && !strings.HasPrefix(h.Host, "127.") {
			log.Warn("everybody who reaches this address can use the server: set auth_password, or listen on 127.0.0.1", "host", cfg.Host)
			return
		}
	}
}

// writePIDFile returns what removes the file again, unless another process has
// taken it over.
func writePIDFile(path string) (remove func(), err error) {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(path, []byte(pid), 0o644); err != nil {
		return nil, fmt.Errorf("pid_file: %w", err)
	}
	return func() {
		if now, err := os.ReadFile(path); err == nil && string(now) == pid {
			_ = os.Remove(path)
		}
	}, nil
}

// notifySystemd tells systemd, when it is there to listen.
func notifySystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Warn("systemd was not told", "state", state, "err", err)
	}
}

func banner(cfg *config.Config, srv running) string {
	memory := "no memory limit"
	if cfg.MaxMemory > 0 {
		memory = "memory limit " + bytesText(cfg.MaxMemory)
	}
	shards := "1 shard"
	if n := srv.Shards(); n != 1 {
		shards = strconv.Itoa(n) + " shards"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n  HyperKV %s   pid %d   %s   %s\n", engine.Version, os.Getpid(), shards, memory)
	fmt.Fprintf(&b, "  %s\n", strings.Join(srv.Addresses(), "   "))
	switch {
	case cfg.AOFEnabled && cfg.SnapshotEnabled:
		fmt.Fprintf(&b, "  Data is kept in %s (log with fsync %s, and snapshots).\n", cfg.DataDir, cfg.AOFFsyncPolicy)
	case cfg.AOFEnabled:
		fmt.Fprintf(&b, "  Data is kept in %s (log with fsync %s).\n", cfg.DataDir, cfg.AOFFsyncPolicy)
	case cfg.SnapshotEnabled:
		fmt.Fprintf(&b, "  Data is kept in %s, by snapshots only: what changed since the last is gone after a crash.\n", cfg.DataDir)
	default:
		b.WriteString("  Data lives in memory only: it is gone when the server stops.\n")
	}
	b.WriteString("  Stop with Ctrl-C or SIGTERM; a second one stops at once.\n\n")
	return b.String()
}

func bytesText(n int64) string {
	units := []struct {
		size int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}
	for _, u := range units {
		if n >= u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(n)/float64(u.size), 'f', 1, 64), ".0") + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
