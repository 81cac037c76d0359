package bench

import (
	"os/exec"
	"syscall"
)

// dieWithParent keeps a child from outliving a crash of this process, and
// keeps a terminal's Ctrl-C from reaching it before stop does.
func dieWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
