package netio

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// Conn is one client's socket. Owned by its loop: every method is called on the
// loop's goroutine.
//
// Bytes leave in the order of the Writes. They are in one of three places, each
// used only when the one before it is full:
//
//	kernel's socket buffer ◄── gnet's buffer, at most about aheadBytes ◄── staged
//
// gnet empties its buffer by itself when the socket becomes writable, but tells
// nobody; so whatever is staged, and whoever waits for the output to shrink, is
// looked after by the loop's slow list (slow.go), which polls while it is not empty.
type Conn struct {
	loop    *loop
	gc      gnet.Conn // nil until opened
	session Session   // nil until Loop.Open accepted it

	fd            int
	slot          int // index in loop.conns
	remote, local string
	unix          bool

	spoke  uint32 // the loop's window in which it has spoken last
	moving bool   // gnet closes the socket for the connection to go on elsewhere

	opened  bool // OnOpen ran: written before the acceptor learns of it, never after
	queued  bool // something was queued and may not have left yet
	closing bool // Close or CloseNow was called, or a write failed: no Feed, no Write
	leaving bool // Close waits for replies that are held: they may still be written
	ending  bool // on loop.ending
	gone    bool // gnet closed the socket: gc must not be used any more
	onSlow  bool // on loop.slow
	err     error

	held        int // replies in the outbox
	heldBytes   int // of them
	staged      stage
	lingerUntil time.Time // zero, or when a Close stops waiting for the reader

	lastUnsent int // at the last walk of the slow list
	drainBelow int
	drained    func()
}

const (
	// aheadBytes is how much is put into gnet's buffer, which looks at all of it
	// each time the socket becomes writable.
	aheadBytes = 512 << 10

	// lingerMax bounds the time that a closed connection waits for its reader to
	// take the last replies. After that they are dropped.
	lingerMax = 5 * time.Second
)

// Write sends p, now or at the end of the loop's round, or queues what the kernel does
// not take; it never blocks. p is borrowed until Write returns. After Close or a lost
// connection it does nothing.
func (c *Conn) Write(p []byte) { c.reply(p, true) }

// WriteAnyway is Write for what promises nothing: it leaves also when nothing can be
// promised.
func (c *Conn) WriteAnyway(p []byte) { c.reply(p, false) }

func (c *Conn) reply(p []byte, promises bool) {
	if c.closing || c.gone || len(p) == 0 || c.loop.hold(c, p, promises) {
		return
	}
	switch t := c.loop.backend.Commit(false); {
	case t == Now, t == Never && !promises:
		c.write(p)
	case t == Never:
		c.fail(errNotCommitted)
	default:
		c.loop.promise(c, p, promises, t)
	}
}

// errNotCommitted ends a connection whose replies may not leave.
var errNotCommitted = errors.New("what the replies promise cannot be kept")

// write is Write without the outbox.
func (c *Conn) write(p []byte) {
	if c.closing && !c.leaving || c.gone || c.ending {
		return
	}
	if c.queued {
		if c.Unsent() > 0 {
			c.queue(p)
			return
		}
		c.queued = false
	}
	for {
		n, errno := send(c.fd, p)
		if n == len(p) {
			return
		}
		p = p[n:]
		switch errno {
		case 0, unix.EAGAIN, unix.ENOBUFS:
			c.queue(p)
			return
		case unix.EINTR:
		default:
			c.fail(os.NewSyscallError("send", errno))
			return
		}
	}
}

// queue keeps p behind everything that was queued before.
func (c *Conn) queue(p []byte) {
	c.queued = true
	if c.staged.bytes == 0 {
		if room := aheadBytes - c.gc.OutboundBuffered(); room > 0 {
			n := min(room, len(p))
			if !c.handOver(p[:n]) {
				return
			}
			p = p[n:]
		}
	}
	if len(p) > 0 {
		c.staged.add(p)
		c.loop.watch(c)
	}
}

// handOver gives p to gnet, which tries the kernel first if it holds nothing, and
// reports whether the connection survived that.
func (c *Conn) handOver(p []byte) bool {
	if _, err := c.gc.Write(p); err != nil {
		c.fail(err) // gnet has closed the socket and called OnClose already
	}
	return !c.gone && !c.ending
}

// pump moves staged bytes into gnet's buffer as far as there is room, and reports
// whether any moved.
func (c *Conn) pump() (moved bool) {
	for c.staged.bytes > 0 && c.gc.OutboundBuffered() < aheadBytes {
		if !c.handOver(c.staged.front()) {
			return true
		}
		c.staged.pop()
		moved = true
	}
	return moved
}

// Unsent is the number of bytes accepted by Write and not yet taken by the kernel,
// less what waits for the end of the loop's round.
func (c *Conn) Unsent() int {
	if c.gone || c.gc == nil {
		return 0
	}
	return c.staged.bytes + c.gc.OutboundBuffered()
}

// Waiting is Unsent with what waits in the outbox.
func (c *Conn) Waiting() int { return c.Unsent() + c.heldBytes }

// Close ends the connection once the kernel has taken what is queued. A reader that
// does not take it within lingerMax loses it. No Feed follows; Closed does.
func (c *Conn) Close() {
	if c.closing || c.gone {
		return
	}
	c.loop.release()
	if c.closing {
		return // a write has failed
	}
	c.closing = true
	if c.leaving = c.held > 0; !c.leaving {
		c.leave()
	}
}

// leave goes on with Close when nothing is held any more.
func (c *Conn) leave() {
	c.leaving = false
	if c.gone || c.ending {
		return
	}
	if c.Unsent() == 0 {
		c.loop.end(c)
		return
	}
	c.drained = nil
	c.lingerUntil = time.Now().Add(lingerMax)
	c.loop.watch(c)
}

// CloseNow ends the connection and drops what the kernel does not take at once.
func (c *Conn) CloseNow() {
	if !c.closing {
		c.loop.release()
	}
	if c.gone || c.ending {
		return
	}
	c.closing, c.leaving = true, false
	if c.Unsent() > 0 {
		// gnet would still offer its buffer to the kernel.
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
	c.staged.drop()
	c.loop.end(c)
}

// fail ends a connection that can no longer be written to.
func (c *Conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.closing, c.leaving = true, false
	c.staged.drop()
	c.loop.end(c)
}

// NotifyDrained calls f on the loop once fewer than below bytes are waiting, also if
// that is so already, but not before the session has returned. One f is kept, the
// latest; a connection that closes forgets it.
func (c *Conn) NotifyDrained(below int, f func()) {
	if c.closing || c.gone {
		return
	}
	c.drainBelow, c.drained = below, f
	if c.Waiting() < below {
		c.loop.due = append(c.loop.due, c)
		return
	}
	c.loop.watch(c)
}

// callDrained calls the function that waits for the output to shrink, if it did.
func (c *Conn) callDrained() bool {
	f := c.drained
	if f == nil || c.closing || c.gone || c.Waiting() >= c.drainBelow {
		return false
	}
	c.drained = nil
	f()
	return true
}

// RemoteAddr is the client's address as CLIENT LIST shows it: host:port, or the
// socket's path and port 0.
func (c *Conn) RemoteAddr() string { return c.remote }

// LocalAddr is the address the client connected to, written as RemoteAddr is.
func (c *Conn) LocalAddr() string { return c.local }

// FD is the socket's descriptor. It may belong to another connection after Closed.
func (c *Conn) FD() int { return c.fd }

// Unix says whether the client came by the unix socket.
func (c *Conn) Unix() bool { return c.unix }

// SetKeepAlive sets TCP keepalive for this connection; 0 turns it off.
func (c *Conn) SetKeepAlive(seconds int) {
	if c.unix || c.gone {
		return
	}
	if err := setKeepAlive(c.fd, seconds); err != nil {
		c.loop.server.log.Debug("keepalive", "remote", c.remote, "err", err)
	}
}

// closeReason turns what ended the connection into what Closed is told.
func (c *Conn) closeReason(err error) error {
	if c.err != nil {
		return c.err
	}
	if c.closing {
		return nil
	}
	var call *os.SyscallError
	if errors.As(err, &call) && errors.Is(call.Err, io.EOF) {
		return io.EOF // gnet wraps the end of the stream as if read had failed
	}
	if errors.Is(err, syscall.ECONNRESET) {
		return io.EOF
	}
	return err
}
