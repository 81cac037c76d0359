//go:build unix && !linux

package netio

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// send writes p to a non-blocking socket.
func send(fd int, p []byte) (int, syscall.Errno) {
	n, err := unix.Write(fd, p)
	if err != nil {
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			errno = syscall.EIO
		}
		return 0, errno
	}
	return n, 0
}

// setKeepAlive turns keepalive on or off; the intervals are the system's.
func setKeepAlive(fd, seconds int) error {
	on := 0
	if seconds > 0 {
		on = 1
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, on)
}
