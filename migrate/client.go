package migrate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"hyperkv/resp"
)

// An Address says where a server is, and who asks it.
type Address struct {
	// Host is HOST:PORT, or the path of a Unix socket.
	Host           string
	User, Password string
	// Patience is how long the server may be silent; 0 for the default.
	Patience time.Duration
}

// patienceDefault is how long a server may be silent.
const patienceDefault = time.Minute

// client is a connection to a server. What sends, and what reads, belong to one goroutine
// each, which may be two.
type client struct {
	conn  net.Conn
	in    *bufio.Reader
	out   *bufio.Writer
	reply []byte
	stop  func() bool
}

// dial connects and logs in. The connection is closed when ctx ends.
func dial(ctx context.Context, a Address) (*client, error) {
	network := "tcp"
	if strings.Contains(a.Host, "/") {
		network = "unix"
	} else if _, _, err := net.SplitHostPort(a.Host); err != nil {
		return nil, fmt.Errorf("%q is not HOST:PORT: %w", a.Host, err)
	}
	if a.Patience <= 0 {
		a.Patience = patienceDefault
	}
	dialer := net.Dialer{Timeout: a.Patience}
	conn, err := dialer.DialContext(ctx, network, a.Host)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, out: bufio.NewWriterSize(writeWithin{conn, a.Patience}, writeBytes)}
	c.in = bufio.NewReaderSize(readWithin{conn, a.Patience}, 64<<10)
	c.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if a.Password != "" {
		login := []string{"AUTH", a.Password}
		if a.User != "" {
			login = []string{"AUTH", a.User, a.Password}
		}
		if _, err := c.do(login...); err != nil {
			c.close()
			return nil, fmt.Errorf("%s: AUTH: %w", a.Host, err)
		}
	}
	return c, nil
}

func (c *client) close() {
	c.stop()
	c.conn.Close()
}

// do runs a command and returns its reply; an error reply is an error.
func (c *client) do(args ...string) (resp.Value, error) {
	if _, err := c.out.Write(resp.AppendCommandString(nil, args...)); err != nil {
		return resp.Value{}, err
	}
	if err := c.out.Flush(); err != nil {
		return resp.Value{}, err
	}
	v, err := c.receive()
	if err == nil {
		err = v.Err()
	}
	return v, err
}

// receive reads a reply, which is borrowed until the next.
func (c *client) receive() (resp.Value, error) {
	if _, err := c.in.Peek(1); err != nil {
		return resp.Value{}, silent(err)
	}
	// As a rule all of it is there.
	whole, _ := c.in.Peek(c.in.Buffered())
	if n, err := resp.SkipValue(whole); n > 0 || err != nil {
		c.reply = append(c.reply[:0], whole[:n]...)
		_, _ = c.in.Discard(n)
		return parse(c.reply, err)
	}
	c.reply = c.reply[:0]
	for {
		some, err := c.in.Peek(1)
		if err != nil {
			return resp.Value{}, silent(err)
		}
		some, _ = c.in.Peek(c.in.Buffered())
		before := len(c.reply)
		c.reply = append(c.reply, some...)
		n, err := resp.SkipValue(c.reply)
		if n == 0 && err == nil {
			_, _ = c.in.Discard(len(some))
			continue
		}
		_, _ = c.in.Discard(max(n-before, 0))
		return parse(c.reply[:n], err)
	}
}

func parse(reply []byte, err error) (resp.Value, error) {
	if err != nil {
		return resp.Value{}, err
	}
	v, _, err := resp.ReadValue(reply)
	return v, err
}

func silent(err error) error {
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout():
		return errors.New("the server is silent")
	case err == io.EOF, errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the server has closed the connection")
	}
	return err
}

// readWithin and writeWithin give up when nothing happens for so long.
type readWithin struct {
	net.Conn
	patience time.Duration
}

func (c readWithin) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

type writeWithin struct {
	net.Conn
	patience time.Duration
}

func (c writeWithin) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done:min(len(p), done+writeBytes)])
		if done += n; err != nil {
			return done, silent(err)
		}
	}
	return len(p), nil
}
