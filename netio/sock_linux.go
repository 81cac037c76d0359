package netio

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawSendMax is the most that is sent without telling the scheduler. Copying this
// much to the kernel takes some ten microseconds; a longer call announces itself,
// so that a collection or another goroutine need not wait for it.
const rawSendMax = 64 << 10

// send writes p to a non-blocking socket. It does not block, so for short data the
// bookkeeping of a blocking call (giving up the processor, taking it back, and the
// thread that is started when somebody else took it) is left out.
func send(fd int, p []byte) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	if len(p) <= rawSendMax {
		n, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// setKeepAlive sets what Redis sets: the first probe after seconds, three more a
// third of that apart, then the connection is dead. 0 turns keepalive off.
func setKeepAlive(fd, seconds int) error {
	if seconds <= 0 {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, max(seconds/3, 1)); err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
}
