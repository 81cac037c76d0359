package testkit

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestStraceError(t *testing.T) {
	f := func(said string, err error, skips bool) {
		t.Helper()
		got := straceError([]byte(said), err)
		if (got == nil) != (err == nil) || errors.Is(got, errMayNotTrace) != skips || err != nil && !strings.Contains(got.Error(), said) {
			t.Errorf("%s, %v: %v", said, err, got)
		}
	}
	status := errors.New("exit status 1")
	f("", nil, false)
	f("strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted", status, true)
	f("strace: test_ptrace_get_syscall_info: PTRACE_TRACEME: Operation not permitted", status, true)
	f("strace: ptrace(PTRACE_TRACEME, ...): Permission denied", status, true)
	f("strace: Can't fopen '/x/trace': Permission denied", status, false)
	f("strace: attach: ptrace(PTRACE_SEIZE, 7): No such process", status, false)
	f("", exec.ErrNotFound, false)
}
