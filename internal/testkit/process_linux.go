package testkit

import (
	"os"
	"syscall"
)

// dieWithParent lets the kernel end a server when the test binary is killed or
// times out, because cleanups do not run then.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
