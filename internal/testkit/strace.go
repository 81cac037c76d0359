package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// MayTrace skips a test on machines that do not let a process be traced.
func MayTrace(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("strace is a program for Linux")
	}
	if err := traceable(); errors.Is(err, errMayNotTrace) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

var errMayNotTrace = errors.New("this machine does not let strace trace")

// traceable says what keeps strace from working.
var traceable = sync.OnceValue(func() error {
	command := Straced(os.DevNull, "true")
	return straceError(exec.Command(command[0], command[1:]...).CombinedOutput())
})

// straceError tells what a machine does not permit from everything else that may be wrong.
func straceError(said []byte, err error) error {
	text := strings.ToLower(string(said))
	switch {
	case err == nil:
		return nil
	case strings.Contains(text, "ptrace") && (strings.Contains(text, "operation not permitted") || strings.Contains(text, "permission denied")):
		return fmt.Errorf("%w: %s", errMayNotTrace, said)
	}
	return fmt.Errorf("strace, which these tests need: %w %s", err, said)
}

// Straced are the words before a command that let strace write what it sees to a file.
// The process is the command's own: strace stands beside it.
func Straced(file string, options ...string) []string {
	return append([]string{"strace", "-D", "-f", "-y", "-e", "signal=none", "-o", file}, options...)
}

// Inject makes calls of a running process fail by a rule of strace's, until end is called
// or the process ends.
func Inject(t *testing.T, pid int, rule string) (end func()) {
	t.Helper()
	call, _, _ := strings.Cut(rule, ":")
	trace := filepath.Join(t.TempDir(), "trace")
	said := &tail{}
	cmd := exec.Command("strace", "-f", "-e", "signal=none", "-o", trace, "-e", "trace="+call, "-e", "inject="+rule, "-p", strconv.Itoa(pid))
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(said.String(), " attached"); time.Sleep(time.Millisecond) {
		select {
		case err := <-gone:
			if err = straceError([]byte(said.String()), err); errors.Is(err, errMayNotTrace) {
				t.Skip(err)
			}
			t.Fatalf("strace has ended: %v %s", err, said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("strace does not say that it is attached: %s", said)
		}
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Signal(os.Interrupt) // fails only when it is gone already
		<-gone
		if text, err := os.ReadFile(trace); err != nil || !strings.Contains(string(text), "(INJECTED)") {
			t.Errorf("no call has failed: %v\n%s", err, said)
		}
	}
	t.Cleanup(end)
	return end
}
