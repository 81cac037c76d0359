//go:build !linux

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for sockets with poll(2) where there is no epoll. It is level
// triggered and asks for input only; output that did not fit is tried again
// after every wait.
type poller struct {
	fds   []unix.PollFd
	index []int
	hits  []int
}

func newPoller() (*poller, error) { return &poller{}, nil }

func (p *poller) add(fd, index int) error {
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	p.index = append(p.index, index)
	return nil
}

func (p *poller) wait(timeout time.Duration) (int, error) {
	p.hits = p.hits[:0]
	n, err := unix.Poll(p.fds, int(min(timeout, 10*time.Millisecond).Milliseconds()))
	if err == unix.EINTR || n == 0 {
		for i := range p.fds {
			p.hits = append(p.hits, i)
		}
		return len(p.hits), nil
	}
	for i := range p.fds {
		if p.fds[i].Revents != 0 {
			p.hits = append(p.hits, i)
		}
	}
	return len(p.hits), err
}

func (p *poller) ready(i int) (index int, readable, writable bool) {
	return p.index[p.hits[i]], true, true
}

func (p *poller) close() {}

func rawRead(fd int, buf []byte) (int, error)  { return unix.Read(fd, buf) }
func rawWrite(fd int, buf []byte) (int, error) { return unix.Write(fd, buf) }

func sharpTimers() {}
