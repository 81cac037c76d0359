package netio

import (
	"io/fs"
	"log/slog"
	"math"
	"time"
)

// Backend is what is served: it has one Loop for every event loop.
type Backend interface {
	// NewLoop is called once for each event loop, in order, before any connection
	// is accepted. wake may be called from any goroutine and results in one
	// Woken on the loop: whatever was published before wake was called is visible
	// to it. While a wake-up is pending, another costs one atomic load.
	NewLoop(index int, wake func()) Loop
}

// Loop is the backend's side of one event loop. All methods are called on that
// loop's goroutine.
type Loop interface {
	// Open takes in a connection. An error refuses it: its text is written to the
	// client as it stands, so it is a complete reply, and the connection is closed.
	Open(c *Conn) (Session, error)

	// Commit is called before replies leave, once for all that leave together, and says
	// when they may: Now, if whatever they promise is true; Never, and those that
	// promise anything are dropped with their connections; or a ticket, to be asked
	// about with Committed, after whose time has come the loop is woken. With wait it
	// returns only Now or Never.
	Commit(wait bool) Ticket
	// Committed says what has become of a ticket: Now, Never, or the ticket itself.
	Committed(t Ticket) Ticket

	// Woken says that wake was called at least once since the last Woken.
	Woken()

	// Leave is asked before a connection goes to another loop, between two calls of
	// its Feed: false keeps it here. After true, the session is not called before
	// Arrive is, on the other loop, where the connection may have another descriptor.
	Leave(s Session, to Loop) bool
	// Arrive takes up a session that has left another loop.
	Arrive(s Session, c *Conn)

	// Tick is called about every 100 ms.
	Tick(now time.Time)
}

// A Ticket stands for when replies may leave.
type Ticket uint64

// What is not waited for.
const (
	Now   Ticket = 0
	Never Ticket = math.MaxUint64
)

// Session is a client's state as netio sees it. All methods are called on the
// loop of its connection, which may change, and never from inside a call to a Conn.
type Session interface {
	// Feed hands over bytes in the order they arrived. data is borrowed: it is
	// valid until Feed returns. Feed is not called any more after Conn.Close.
	Feed(data []byte)

	// Closed says that the socket is gone, exactly once, as the last call. err is
	// io.EOF when the client left, nil when the server closed.
	Closed(err error)
}

// Options say where and how to serve. The zero value of a field means its default.
type Options struct {
	Loops int // event loops; at least 1

	Hosts []string // addresses for TCP; "*" is every IPv4 address, "::*" every IPv6 address, "-" before one tolerates its absence
	Port  int      // TCP port; 0 turns TCP off, below 0 lets the system choose

	UnixSocket     string      // path; empty turns it off
	UnixSocketPerm fs.FileMode // permission bits of the socket file; 0 leaves what the umask gives

	Backlog          int // pending connections the kernel holds; default 511, as Redis
	KeepAliveSeconds int // TCP keepalive of accepted connections; 0 is off
	ReadBufferBytes  int // the most one read takes; default 64 KiB, rounded up to a power of two

	Log *slog.Logger // default slog.Default()
}

const (
	defaultBacklog         = 511
	defaultReadBufferBytes = 64 << 10

	tickInterval = 100 * time.Millisecond
)

func (o Options) withDefaults() Options {
	o.Loops = max(o.Loops, 1)
	if len(o.Hosts) == 0 {
		o.Hosts = []string{"127.0.0.1"}
	}
	if o.Backlog <= 0 {
		o.Backlog = defaultBacklog
	}
	if o.ReadBufferBytes <= 0 {
		o.ReadBufferBytes = defaultReadBufferBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}
