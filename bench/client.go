package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"hyperkv/resp"
)

// client is a plain blocking connection for everything around the load:
// handshakes, INFO, FLUSHALL. It has a deadline on every exchange.
type client struct {
	conn    net.Conn
	timeout time.Duration
	buf     []byte
}

// replyBytesMax bounds a control reply; INFO is the longest one read here.
const replyBytesMax = 16 << 20

// dialClient connects and does what the target asks for: HELLO, AUTH, SELECT.
func dialClient(ctx context.Context, t Target, timeout time.Duration) (*client, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, t.Network, t.Address)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, timeout: timeout}
	if err := c.handshake(t); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) handshake(t Target) error {
	if t.Password != "" {
		auth := []string{"AUTH", t.Password}
		if t.Username != "" {
			auth = []string{"AUTH", t.Username, t.Password}
		}
		if _, err := c.do(auth...); err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
	}
	if t.Protocol != 0 {
		if _, err := c.do("HELLO", strconv.Itoa(t.Protocol)); err != nil {
			return fmt.Errorf("HELLO %d: %w", t.Protocol, err)
		}
	}
	if t.DB != 0 {
		if _, err := c.do("SELECT", strconv.Itoa(t.DB)); err != nil {
			return fmt.Errorf("SELECT %d: %w", t.DB, err)
		}
	}
	return nil
}

// replyError is an error reply of the server.
type replyError string

func (e replyError) Error() string { return string(e) }

// do sends one command and returns the raw reply, or the error it carries.
func (c *client) do(args ...string) ([]byte, error) {
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(resp.AppendCommand(nil, words...)); err != nil {
		return nil, err
	}
	c.buf = c.buf[:0]
	chunk := make([]byte, 16<<10)
	for {
		n, err := resp.SkipValue(c.buf)
		if err != nil {
			return nil, fmt.Errorf("unreadable reply: %w", err)
		}
		if n > 0 {
			reply := c.buf[:n]
			if reply[0] == '-' {
				return nil, replyError(errorText(reply))
			}
			return reply, nil
		}
		if len(c.buf) > replyBytesMax {
			return nil, errors.New("reply too long")
		}
		read, err := c.conn.Read(chunk)
		if err != nil {
			return nil, err
		}
		c.buf = append(c.buf, chunk[:read]...)
	}
}

func (c *client) close() { c.conn.Close() }

// errorText returns the line of an error reply without its marker.
func errorText(reply []byte) string {
	line, _, _ := bytes.Cut(reply[1:], []byte("\r\n"))
	if reply[0] == '!' { // RESP3: the first line is the length
		_, rest, _ := bytes.Cut(reply, []byte("\r\n"))
		line = bytes.TrimSuffix(rest, []byte("\r\n"))
	}
	return string(line)
}

// bulkText returns the text of a bulk or verbatim reply.
func bulkText(reply []byte) string {
	_, text, _ := bytes.Cut(reply, []byte("\r\n"))
	return string(bytes.TrimSuffix(text, []byte("\r\n")))
}

// info returns the fields of an INFO section; what the server does not know is
// simply absent.
func (c *client) info(section string) (map[string]string, error) {
	reply, err := c.do("INFO", section)
	if err != nil {
		return nil, fmt.Errorf("INFO %s: %w", section, err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(bulkText(reply)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}
