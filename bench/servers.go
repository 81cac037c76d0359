package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Brand is the kind of a server: it decides the command line.
type Brand string

const (
	HyperKV Brand = "hyperkv"
	Redis   Brand = "redis"
	Valkey  Brand = "valkey"
)

// Server is a program that can be started for a comparison.
type Server struct {
	Name  string // as the reports show it
	Brand Brand
	Path  string
	Args  []string // added to the brand's own
	// Dir is where its working directory is made; empty is os.TempDir.
	Dir string

	// logPolicy switches the log on, with this policy of syncing it; empty is no log.
	logPolicy string
}

// ServerAt describes an executable; its file name tells the brand.
func ServerAt(path string) Server {
	switch base := filepath.Base(path); {
	case strings.Contains(base, "redis"):
		return Server{Name: "Redis", Brand: Redis, Path: path}
	case strings.Contains(base, "valkey"):
		return Server{Name: "Valkey", Brand: Valkey, Path: path}
	}
	return Server{Name: "HyperKV", Brand: HyperKV, Path: path}
}

// PeersOnPath returns the other servers this machine has.
func PeersOnPath() []Server {
	var peers []Server
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			peers = append(peers, ServerAt(path))
		}
	}
	return peers
}

// arguments returns the command line: loopback only, no listener but the one under
// load, and nothing on disk, so that the figures compare serving and not disks. A
// server with a log has the log alone: nothing that would make it shorter runs.
func (s Server) arguments(port int, dir string) []string {
	number := strconv.Itoa(port)
	if s.Brand == HyperKV {
		args := []string{"serve", "--host", "127.0.0.1", "--port", number, "--data-dir", dir,
			"--metrics-port", "0", "--disable-snapshots", "--log-level", "WARNING"}
		if s.logPolicy == "" {
			args = append(args, "--disable-aof")
		} else {
			args = append(args, "--aof-enabled=yes", "--aof-fsync-policy", s.logPolicy)
		}
		return append(args, s.Args...)
	}
	args := []string{"--bind", "127.0.0.1", "--port", number, "--dir", dir, "--save", "", "--daemonize", "no"}
	if s.logPolicy == "" {
		args = append(args, "--appendonly", "no")
	} else {
		args = append(args, "--appendonly", "yes", "--appendfsync", s.logPolicy, "--auto-aof-rewrite-percentage", "0")
	}
	return append(args, s.Args...)
}

// process is a started server. It is ended by stop, and by the kernel should
// this process die without calling it.
type process struct {
	server  Server
	target  Target
	pid     int
	dir     string
	keep    bool // stop leaves dir behind, for the next life
	version string
	startup time.Duration // from exec to the first PONG
	// startupCPU is what that took of the cores; 0 if it cannot be read.
	startupCPU time.Duration
	// patience is how long the process may take to end by itself.
	patience time.Duration

	command *exec.Cmd
	output  *tail
	exited  chan struct{} // closed once the process is reaped
}

const (
	startTimeout   = 20 * time.Second
	stopTimeout    = 10 * time.Second // then it is killed
	controlTimeout = 2 * time.Minute  // FLUSHALL of many keys takes its time
	startAttempts  = 3                // another process may take the free port first
	pollMin        = 500 * time.Microsecond
)

// start runs a server on a free loopback port, in a directory of its own that goes
// with it, and waits until it answers PING.
func start(ctx context.Context, s Server) (*process, error) {
	return attempt(ctx, s, func() (*process, error) {
		dir, err := s.newDir()
		if err != nil {
			return nil, err
		}
		return startOnce(ctx, s, dir, false, startTimeout)
	})
}

// startIn does the same in a directory that was there before and stays, and with the
// time that loading what is in it may take.
func startIn(ctx context.Context, s Server, dir string, timeout time.Duration) (*process, error) {
	return attempt(ctx, s, func() (*process, error) { return startOnce(ctx, s, dir, true, timeout) })
}

// newDir makes a directory for a server to work in.
func (s Server) newDir() (string, error) { return os.MkdirTemp(s.Dir, "hyperkv-bench-") }

func attempt(ctx context.Context, s Server, once func() (*process, error)) (*process, error) {
	var err error
	for range startAttempts {
		var p *process
		if p, err = once(); err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, errEnded) {
			break
		}
	}
	return nil, fmt.Errorf("start %s: %w", s.Name, err)
}

func startOnce(ctx context.Context, s Server, dir string, keep bool, timeout time.Duration) (_ *process, err error) {
	p := &process{
		server: s, dir: dir, keep: keep, output: &tail{}, exited: make(chan struct{}), patience: stopTimeout,
	}
	port, err := freePort()
	if err != nil {
		p.leave()
		return nil, err
	}
	p.target = Target{Network: "tcp", Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	p.command = exec.Command(s.Path, s.arguments(port, dir)...)
	p.command.Dir = dir
	// The caller's own HYPERKV_* settings are not the comparison's.
	p.command.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HYPERKV_") })
	p.command.Stdout, p.command.Stderr = p.output, p.output
	dieWithParent(p.command)
	begin := time.Now()
	if err := launch(p.command); err != nil {
		p.leave()
		return nil, err
	}
	p.pid = p.command.Process.Pid
	go func() {
		p.command.Wait()
		close(p.exited)
	}()
	if err := p.greet(ctx, begin, timeout); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// greet waits for the first PONG. A server that is loading says so on the connection that
// it has: it is asked again there, and the seldomer the longer it takes, so that asking
// costs it next to nothing and the time is right to half a percent.
func (p *process) greet(ctx context.Context, begin time.Time, timeout time.Duration) error {
	var c *client
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for {
		var err error
		if c == nil {
			c, err = dialClient(ctx, p.target, time.Second)
		}
		if err == nil {
			if _, err = c.do("PING"); err == nil {
				p.startup = time.Since(begin)
				p.startupCPU, _ = processCPU(p.pid)
				p.version = version(c, p.server.Brand)
				return nil
			}
			var refused replyError
			if !errors.As(err, &refused) {
				c.close()
				c = nil
			}
		}
		took := time.Since(begin)
		select {
		case <-p.exited:
			return fmt.Errorf("%w: %s", errEnded, p.output)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(pollMin, took/200)):
		}
		if took > timeout {
			return fmt.Errorf("no PONG within %v: %w", timeout, err)
		}
	}
}

// version asks a server who it is. What it does not say stays empty.
func version(c *client, brand Brand) string {
	fields, err := c.info("server")
	if err != nil {
		return ""
	}
	for _, name := range []string{string(brand) + "_version", "redis_version"} {
		if v := fields[name]; v != "" {
			return v
		}
	}
	return ""
}

// stop ends the process by its pid and removes what it left on disk, unless that is
// kept. It returns when the process is gone. Calling it again does nothing.
func (p *process) stop() { p.end(syscall.SIGTERM) }

// kill ends the process as kill -9 does.
func (p *process) kill() { p.end(syscall.SIGKILL) }

func (p *process) end(signal syscall.Signal) {
	if p == nil || p.command == nil {
		return
	}
	select {
	case <-p.exited:
	default:
		p.command.Process.Signal(signal)
		select {
		case <-p.exited:
		case <-time.After(p.patience):
			p.command.Process.Kill()
			<-p.exited
		}
	}
	p.leave()
	p.command = nil
}

func (p *process) leave() {
	if !p.keep {
		os.RemoveAll(p.dir)
	}
}

// control opens a connection for commands beside the load.
func (p *process) control(ctx context.Context) (*client, error) {
	return dialClient(ctx, p.target, controlTimeout)
}

// freePort asks the kernel for a port that nobody uses now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// launcher starts all children from one thread that lives as long as the
// process. The kernel's "die with parent" means the parent thread, and the
// runtime may end any other.
var launcher = sync.OnceValue(func() chan<- launchRequest {
	requests := make(chan launchRequest)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.result <- r.command.Start()
		}
	}()
	return requests
})

type launchRequest struct {
	command *exec.Cmd
	result  chan error
}

func launch(command *exec.Cmd) error {
	result := make(chan error, 1)
	launcher() <- launchRequest{command, result}
	return <-result
}

// tail keeps the end of what a child printed, for the message when it fails.
// Safe for concurrent use.
type tail struct {
	mu   sync.Mutex // guards text: the child's copier writes, the starter reads
	text []byte
}

const tailBytesMax = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytesMax; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// fleet is a set of running servers that are stopped together.
type fleet []*process

// startFleet starts all servers or none.
func startFleet(ctx context.Context, servers []Server) (fleet, error) {
	var f fleet
	for _, s := range servers {
		p, err := start(ctx, s)
		if err != nil {
			f.stop()
			return nil, err
		}
		f = append(f, p)
	}
	return f, nil
}

func (f fleet) stop() {
	var group sync.WaitGroup
	for _, p := range f {
		group.Go(p.stop)
	}
	group.Wait()
}

// turns returns the fleet in the order of a round: each round begins with
// another server, so that none always runs on a warm or a tired machine.
func (f fleet) turns(round int) fleet {
	order := make(fleet, 0, len(f))
	for i := range f {
		order = append(order, f[(i+round)%len(f)])
	}
	return order
}

var (
	errNoServers = errors.New("no server to compare")
	errEnded     = errors.New("it ended at once")
)
