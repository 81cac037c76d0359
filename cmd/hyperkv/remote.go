package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"hyperkv/resp"
)

// A remote is a connection to a running server, for tools that ask one thing after the
// other. Owned by one goroutine.
type remote struct {
	conn net.Conn
	buf  []byte
	// stop ends what waits when the context is over.
	stop func() bool
}

// remoteBytesMax is the longest reply that a tool waits for.
const remoteBytesMax = 1 << 20

// dialRemote connects, and logs in if there is a password. What is asked before the deadline
// is over ends with it; see patient.
func dialRemote(ctx context.Context, network, address, password string, deadline time.Time) (*remote, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	r := &remote{conn: conn, stop: context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })}
	err = conn.SetDeadline(deadline)
	if err == nil && password != "" {
		var reply resp.Value
		if reply, err = r.ask("AUTH", password); err == nil && replyLine(reply) != "+OK" {
			err = fmt.Errorf("AUTH was answered with %q", replyLine(reply))
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *remote) close() {
	r.stop()
	_ = r.conn.Close()
}

// patient lets what is asked from now on take as long as it takes.
func (r *remote) patient(ctx context.Context) error {
	if err := r.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return ctx.Err() // it may have ended before, and its deadline been overwritten
}

// ask sends a command and waits for its reply, which is valid until the next. Errors of the
// server are replies.
func (r *remote) ask(words ...string) (resp.Value, error) {
	if _, err := r.conn.Write(resp.AppendCommandString(nil, words...)); err != nil {
		return resp.Value{}, err
	}
	r.buf = r.buf[:0]
	space := make([]byte, 4096)
	for {
		v, n, err := resp.ReadValue(r.buf)
		if err == nil && len(r.buf) > remoteBytesMax {
			err = errors.New("it is too long")
		}
		if err == nil && n == 0 {
			n, err = r.conn.Read(space)
			r.buf = append(r.buf, space[:n]...)
			if n > 0 || err == nil {
				continue
			}
		}
		if err != nil {
			return resp.Value{}, fmt.Errorf("no reply to %s: %w", words[0], err)
		}
		return v, nil
	}
}

// replyLine is a reply of one line as the server has sent it.
func replyLine(v resp.Value) string { return string(v.Kind) + v.Text() }
