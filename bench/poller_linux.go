package bench

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for sockets. They are registered once, edge-triggered and for
// both directions, so a burst costs no epoll_ctl: a short read proves that the
// socket is empty, and the next arrival is a new edge.
type poller struct {
	fd     int
	events []unix.EpollEvent
	// coarse is set when the kernel lacks epoll_pwait2; waits are then rounded
	// down to milliseconds, and an open loop spins through the remainder.
	coarse bool
}

const pollEventsMax = 256

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{fd: fd, events: make([]unix.EpollEvent, pollEventsMax)}, nil
}

func (p *poller) add(fd, index int) error {
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     int32(index),
	})
}

// wait returns the number of ready connections; ready tells them.
func (p *poller) wait(timeout time.Duration) (int, error) {
	var n uintptr
	var errno unix.Errno
	if !p.coarse {
		ts := unix.NsecToTimespec(int64(max(timeout, 0)))
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno == unix.ENOSYS || errno == unix.EPERM {
			p.coarse = true
		}
	}
	if p.coarse {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
			uintptr(len(p.events)), uintptr(max(timeout, 0).Milliseconds()), 0, 0)
	}
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// ready returns the index and the state of the i-th ready connection.
func (p *poller) ready(i int) (index int, readable, writable bool) {
	event := &p.events[i]
	return int(event.Fd), event.Events&^uint32(unix.EPOLLOUT) != 0, event.Events&unix.EPOLLOUT != 0
}

func (p *poller) close() { unix.Close(p.fd) }

// rawRead and rawWrite skip the scheduler's bookkeeping around system calls:
// the sockets never block, so there is nothing for the scheduler to do.
func rawRead(fd int, buf []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func rawWrite(fd int, buf []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)),
		unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sharpTimers lets this thread wake up when it asked to and not up to 50 µs
// later.
func sharpTimers() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }
