package testkit

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/resp"
)

// A Target is a server under test, wherever it runs.
type Target interface {
	Name() string

	// Dial opens a client, and ends the test when that fails.
	Dial(t testing.TB) Client
}

// A Client is one session with a server. Owned by one goroutine. Conn is the
// client over a connection.
type Client interface {
	// Send writes a command and does not wait for its reply.
	Send(args ...string) error

	// Receive returns the next reply or push message, or an error that is
	// os.ErrDeadlineExceeded when none came in time, or io.EOF when the server
	// ended the session. The value borrows: it is valid until the next call.
	Receive(patience time.Duration) (resp.Value, error)

	// Do is Send, and Receive with patience.
	Do(args ...string) (resp.Value, error)

	Close() error
}

// Address is the target of a server that listens at an address. The network is
// "tcp" or "unix".
func Address(name, network, addr string) Target {
	return &address{name: name, network: network, addr: addr}
}

type address struct {
	name, network, addr string
	judge               bool
	version             version
}

func (a *address) Name() string { return a.name }

func (a *address) Dial(t testing.TB) Client {
	t.Helper()
	c, err := Dial(a.network, a.addr)
	if err != nil {
		t.Fatalf("dial %s: %v", a.name, err)
	}
	return c
}

// Dialer is a target whose connections come from a function: a server inside this
// process hands out one end of a net.Pipe.
func Dialer(name string, dial func(t testing.TB) net.Conn) Target {
	return dialer{name, dial}
}

type dialer struct {
	name string
	dial func(t testing.TB) net.Conn
}

func (d dialer) Name() string { return d.name }

func (d dialer) Dial(t testing.TB) Client {
	t.Helper()
	return NewConn(d.dial(t))
}

// Burst is the same target, but commands that follow one another in a block are
// sent without waiting for the replies between them.
func Burst(target Target) Target { return burst{target} }

type burst struct{ Target }

func (b burst) Name() string { return b.Target.Name() + ", in bursts" }

func isBurst(target Target) bool {
	_, ok := target.(burst)
	return ok
}

// missing is a target that is not there; whoever dials it skips.
type missing struct{ name, reason string }

func (m missing) Name() string { return m.name }

func (m missing) Dial(t testing.TB) Client {
	t.Helper()
	t.Skip(m.reason)
	return nil
}

// judgeVersion returns the version of the reference server, if the target is one.
func judgeVersion(target Target) (version, bool) {
	if b, ok := target.(burst); ok {
		target = b.Target
	}
	a, ok := target.(*address)
	if !ok || !a.judge {
		return version{}, false
	}
	return a.version, true
}

// serverVersion asks a server which Redis it is.
func serverVersion(t testing.TB, s *Server) version {
	t.Helper()
	c, err := Dial(s.Network, s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Do("INFO", "server")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(v.Text()) {
		if text, ok := strings.CutPrefix(line, "redis_version:"); ok {
			known, err := parseVersion(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return known
		}
	}
	t.Fatalf("no redis_version in %q", v.Text())
	return version{}
}

// isReset reports whether the peer tore the connection down while we used it.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed)
}
