package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is one loaded connection: a raw non-blocking socket and what is known
// about the requests on it. Owned by its worker.
type conn struct {
	fd    int
	index int

	out     []byte // rendered requests
	sent    int    // bytes of out that the socket took
	rest    []byte // the beginning of a reply that is not complete yet
	pending int    // replies outstanding

	// sentAt is when the burst left; closed loop only.
	sentAt int64
	// kinds and due describe the outstanding requests in order: rings that
	// begin at head. kinds exists when the mix has several ops, due in an open
	// loop.
	kinds []uint8
	due   []int64
	head  int
}

const (
	dialTimeout = 10 * time.Second
	// outBytesMin is the initial room for rendered requests.
	outBytesMin = 4 << 10
)

// dialConn does the handshake with an ordinary connection, then takes its
// socket away from the runtime's poller, so that arrivals wake only the worker.
func dialConn(ctx context.Context, t Target, index int) (*conn, error) {
	c, err := dialClient(ctx, t, dialTimeout)
	if err != nil {
		return nil, err
	}
	defer c.close()
	holder, ok := c.conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("connection has no socket")
	}
	raw, err := holder.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(original uintptr) {
		fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, dupErr
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &conn{fd: fd, index: index, out: make([]byte, 0, outBytesMin)}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// lost names what became of a connection; err is nil when the server closed it.
func (c *conn) lost(err error) error {
	if err == nil {
		return fmt.Errorf("connection %d: closed by the server with %d replies outstanding", c.index+1, c.pending)
	}
	return fmt.Errorf("connection %d: %w", c.index+1, err)
}

// flush writes what the socket takes. The rest waits for the next edge.
func (c *conn) flush() (written int, err error) {
	for c.sent < len(c.out) {
		n, err := rawWrite(c.fd, c.out[c.sent:])
		switch err {
		case nil:
			c.sent += n
			written += n
			continue
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return written, nil
		}
		return written, c.lost(err)
	}
	c.out, c.sent = c.out[:0], 0
	return written, nil
}
