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

// arguments returns the command line: loopback only, nothing on disk, no
// listener but the one under load. Every brand is measured without
// persistence, so that the figures compare serving and not disks.
func (s Server) arguments(port int, dir string) []string {
	number := strconv.Itoa(port)
	if s.Brand == HyperKV {
		return append([]string{"serve", "--host", "127.0.0.1", "--port", number, "--data-dir", dir,
			"--metrics-port", "0", "--disable-aof", "--disable-snapshots", "--log-level", "WARNING"}, s.Args...)
	}
	return append([]string{"--bind", "127.0.0.1", "--port", number, "--dir", dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no"}, s.Args...)
}

// process is a started server. It is ended by stop, and by the kernel should
// this process die without calling it.
type process struct {
	server  Server
	target  Target
	pid     int
	dir     string
	version string
	startup time.Duration // from exec to the first PONG
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
)

// start runs a server on a free loopback port and waits until it answers PING.
func start(ctx context.Context, s Server) (*process, error) {
	var err error
	for range startAttempts {
		var p *process
		if p, err = startOnce(ctx, s); err == nil {
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

func startOnce(ctx context.Context, s Server) (_ *process, err error) {
	dir, err := os.MkdirTemp("", "hyperkv-bench-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	p := &process{
		server: s, dir: dir, output: &tail{}, exited: make(chan struct{}), patience: stopTimeout,
		target: Target{Network: "tcp", Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))},
	}
	p.command = exec.Command(s.Path, s.arguments(port, dir)...)
	p.command.Dir = dir
	// The caller's own HYPERKV_* settings are not the comparison's.
	p.command.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "HYPERKV_") })
	p.command.Stdout, p.command.Stderr = p.output, p.output
	dieWithParent(p.command)
	begin := time.Now()
	if err := launch(p.command); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	p.pid = p.command.Process.Pid
	go func() {
		p.command.Wait()
		close(p.exited)
	}()
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	for {
		c, err := dialClient(ctx, p.target, time.Second)
		if err == nil {
			_, err = c.do("PING")
			if err == nil {
				p.startup = time.Since(begin)
				p.version = version(c, s.Brand)
				c.close()
				return p, nil
			}
			c.close()
		}
		select {
		case <-p.exited:
			return nil, fmt.Errorf("%w: %s", errEnded, p.output)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Microsecond):
		}
		if time.Since(begin) > startTimeout {
			return nil, fmt.Errorf("no PONG within %v: %w", startTimeout, err)
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

// stop ends the process by its pid and removes what it left on disk. It
// returns when the process is gone. Calling it again does nothing.
func (p *process) stop() {
	if p == nil || p.command == nil {
		return
	}
	select {
	case <-p.exited:
	default:
		p.command.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(p.patience):
			p.command.Process.Kill()
			<-p.exited
		}
	}
	os.RemoveAll(p.dir)
	p.command = nil
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
