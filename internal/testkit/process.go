package testkit

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startPatience bounds how long a server may take until it answers PING.
	startPatience = 15 * time.Second

	// stopPatience bounds how long a server may take to drain after SIGTERM.
	stopPatience = 5 * time.Second

	// portAttempts bounds the retries when somebody else takes a free port
	// between our looking and the server's binding it.
	portAttempts = 5

	// logBytesMax bounds what is kept of a server's output: the newest part.
	logBytesMax = 64 << 10
)

// A Server is a process that a test started. It ends with the test.
// Safe for concurrent use.
type Server struct {
	Network string // "tcp"
	Addr    string // "127.0.0.1:port"
	PID     int

	cmd  *exec.Cmd
	out  *tail
	gone chan struct{} // closed when the process was reaped
	stop sync.Once
}

// Log returns the newest output of the process.
func (s *Server) Log() string { return s.out.String() }

// Target returns the server as a target for transcripts.
func (s *Server) Target(name string) Target { return Address(name, s.Network, s.Addr) }

// Running reports whether the process still lives.
func (s *Server) Running() bool {
	select {
	case <-s.gone:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Wait waits until the process has ended and returns how.
func (s *Server) Wait(patience time.Duration) (*os.ProcessState, error) {
	select {
	case <-s.gone:
		return s.cmd.ProcessState, nil
	case <-time.After(patience):
		return nil, fmt.Errorf("process %d still runs after %v", s.PID, patience)
	}
}

// Stop asks the process to end, and ends it if it does not.
func (s *Server) Stop() {
	s.stop.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // fails only when it is gone already
		if _, err := s.Wait(stopPatience); err == nil {
			return
		}
		_ = s.cmd.Process.Kill()
		<-s.gone
	})
}

// launch starts a server on a free loopback port and waits until it answers
// PING. command builds the command for a port. The caller stops the server.
func launch(command func(port int) *exec.Cmd) (*Server, error) {
	var last error
	for range portAttempts {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s, err := launchAt(port, command(port))
		if err == nil {
			return s, nil
		}
		last = err
		if s == nil || !errors.Is(err, errPortTaken) && !bytes.Contains(bytes.ToLower([]byte(s.Log())), []byte("address already in use")) {
			break
		}
	}
	return nil, last
}

func launchAt(port int, cmd *exec.Cmd) (*Server, error) {
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	s := &Server{
		Network: "tcp", Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		PID: cmd.Process.Pid, cmd: cmd, out: out, gone: make(chan struct{}),
	}
	go func() {
		_ = cmd.Wait() // the state says how; see Wait
		close(s.gone)
	}()
	if err := s.awaitPong(startPatience); err != nil {
		s.Stop()
		return s, fmt.Errorf("%s on port %d: %w\n%s", cmd.Path, port, err, s.Log())
	}
	return s, nil
}

// awaitPong polls until the server answers PING, or its process ends.
func (s *Server) awaitPong(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		if !s.Running() {
			return errors.New("ended before it answered PING")
		}
		err := Ping(s.Network, s.Addr, time.Second)
		if err == nil {
			// Somebody else's server may have taken the port, and ours not have come to it yet.
			if pid := processID(s.Network, s.Addr); !s.Running() || pid != 0 && pid != s.PID {
				return errPortTaken
			}
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer to PING after %v: %w", patience, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var errPortTaken = errors.New("somebody else has taken the port")

// processID asks a server which process it is; 0 if it does not say.
func processID(network, addr string) (pid int) {
	conn, err := Dial(network, addr)
	if err != nil {
		return 0
	}
	defer conn.Close()
	info, err := conn.Do("INFO", "server")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(info.Text(), "process_id:")
	line, _, _ = strings.Cut(line, "\r\n")
	pid, _ = strconv.Atoi(line)
	return pid
}

// Ping opens a connection, asks PING as an inline command, and closes it again.
// Any error reply counts as alive too (a password may be required).
func Ping(network, addr string, patience time.Duration) error {
	conn, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if answer[0] != '+' && answer[0] != '-' {
		return fmt.Errorf("unexpected answer to PING: %q", answer[:n])
	}
	if bytes.HasPrefix(answer[:n], []byte("-LOADING")) {
		return errors.New("still loading")
	}
	return nil
}

// freePort returns a loopback port that nobody listens on at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// FreePort returns a loopback port that nobody listens on at the moment.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// tail keeps the newest logBytesMax bytes written to it.
type tail struct {
	mu    sync.Mutex // the process's output arrives on a goroutine of os/exec
	bytes []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes = append(w.bytes, p...)
	if over := len(w.bytes) - logBytesMax; over > 0 {
		w.bytes = append(w.bytes[:0], w.bytes[over:]...)
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.bytes)
}
