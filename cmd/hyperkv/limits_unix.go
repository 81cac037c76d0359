//go:build linux || darwin

package main

import "syscall"

// raiseFileLimit tries to make room for so many open files and says how many
// there may be.
func raiseFileLimit(want uint64) (have uint64) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return want // unknown: running out of files will say so
	}
	if limit.Cur >= want {
		return limit.Cur
	}
	raised := syscall.Rlimit{Cur: want, Max: max(limit.Max, want)} // needs privileges beyond Max
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return want
	}
	raised = syscall.Rlimit{Cur: min(limit.Max, want), Max: limit.Max}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return raised.Cur
	}
	return limit.Cur
}
