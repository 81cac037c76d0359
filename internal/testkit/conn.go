package testkit

import (
	"fmt"
	"io"
	"net"
	"time"

	"hyperkv/resp"
)

const (
	// dialPatience bounds connecting; the backlog of a busy server may be full.
	dialPatience = 5 * time.Second

	// readBytesMin is the room that every read finds in the buffer.
	readBytesMin = 4 << 10
)

// A Conn is a client over a connection, which also shows the bytes of a reply.
// Owned by one goroutine.
type Conn struct {
	conn net.Conn
	out  []byte // reused by Send

	// buf[head:] has arrived and was not returned yet.
	buf  []byte
	head int
}

var _ Client = (*Conn)(nil)

// Dial connects to a server.
func Dial(network, addr string) (*Conn, error) {
	conn, err := net.DialTimeout(network, addr, dialPatience)
	if err != nil {
		return nil, err
	}
	return NewConn(conn), nil
}

// NewConn makes a client of a connection, which it then owns.
func NewConn(conn net.Conn) *Conn { return &Conn{conn: conn} }

// Close ends the session.
func (c *Conn) Close() error { return c.conn.Close() }

// Send implements Client.
func (c *Conn) Send(args ...string) error {
	c.out = resp.AppendCommandString(c.out[:0], args...)
	return c.Write(c.out)
}

// Write sends bytes as they are: several commands at once, or a broken one.
func (c *Conn) Write(p []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(replyPatience)); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	return err
}

// Receive implements Client.
func (c *Conn) Receive(patience time.Duration) (resp.Value, error) {
	v, _, err := c.Frame(patience)
	return v, err
}

// Frame is Receive that also returns the reply's bytes, which are valid until
// the next call.
func (c *Conn) Frame(patience time.Duration) (resp.Value, []byte, error) {
	deadline := time.Now().Add(patience)
	set := false
	for {
		if c.head < len(c.buf) {
			n, err := resp.SkipValue(c.buf[c.head:])
			if err != nil {
				return resp.Value{}, nil, fmt.Errorf("reply %.80q: %w", c.buf[c.head:], err)
			}
			if n > 0 {
				frame := c.buf[c.head : c.head+n]
				c.head += n
				v, _, err := resp.ReadValue(frame)
				return v, frame, err
			}
		}
		if !set {
			if err := c.conn.SetReadDeadline(deadline); err != nil {
				return resp.Value{}, nil, err
			}
			set = true
		}
		if err := c.fill(); err != nil {
			return resp.Value{}, nil, err
		}
	}
}

// fill reads more. The buffer doubles while one reply does not fit, so that a
// long reply is parsed a logarithmic number of times.
func (c *Conn) fill() error {
	if c.head > 0 {
		c.buf = c.buf[:copy(c.buf, c.buf[c.head:])]
		c.head = 0
	}
	held := len(c.buf)
	if cap(c.buf)-held < readBytesMin || held > cap(c.buf)/2 {
		grown := make([]byte, held, 2*cap(c.buf)+readBytesMin)
		copy(grown, c.buf)
		c.buf = grown
	}
	n, err := c.conn.Read(c.buf[held:cap(c.buf)])
	c.buf = c.buf[:held+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// Do implements Client.
func (c *Conn) Do(args ...string) (resp.Value, error) {
	if err := c.Send(args...); err != nil {
		return resp.Value{}, err
	}
	return c.Receive(replyPatience)
}
