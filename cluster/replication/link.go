package replication

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// linkState is how far the link to the primary has come.
type linkState uint8

const (
	linkConnect linkState = iota // is to be tried
	linkConnecting
	linkHandshake
	linkSync
	linkConnected
)

// name is what ROLE calls the state.
func (s linkState) name() string {
	return [...]string{"connect", "connecting", "handshake", "sync", "connected"}[s]
}

// syncProgress is how much of a snapshot has come; total is -1 when it is not known.
type syncProgress struct{ total, read int64 }

// link is the connection to the primary: it is made again and again until stop. Its
// goroutine owns it but for what is said to be safe.
type link struct {
	node   *Node
	host   string
	port   int
	cancel context.CancelFunc
	ended  chan struct{}

	// failover says that the primary is to become one by this.
	failover bool

	conn     net.Conn
	buf      []byte // buf[at:] has arrived and was not looked at
	at       int
	patience time.Duration
	database int
	applied  atomic.Int64
	reported atomic.Pointer[report] // of the last connection that was up, nil if none was

	writing sync.Mutex // to conn, and of it
}

func startLink(n *Node, host string, port int, failover bool) *link {
	ctx, cancel := context.WithCancel(n.ctx)
	l := &link{node: n, host: host, port: port, cancel: cancel, ended: make(chan struct{}), failover: failover}
	go l.run(ctx)
	return l
}

// stop ends the link and returns when nothing of it goes on.
func (l *link) stop() {
	l.cancel()
	<-l.ended
}

// The pause between two attempts to connect: short for a link that was up, and Redis'
// second when it goes on.
const (
	retryMin = 50 * time.Millisecond
	retryMax = time.Second
	// retryLoad is that after a snapshot that could not be loaded: the next is not likely
	// to be another.
	retryLoad = 10 * time.Second
)

func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	pause := retryMin
	for ctx.Err() == nil {
		up := false
		err := l.once(ctx, &up)
		l.down(up)
		if ctx.Err() != nil {
			return
		}
		if l.failover && l.refusedFailover(err) {
			return
		}
		if up {
			pause = retryMin
		}
		if errors.Is(err, errNotLoaded) {
			pause = retryLoad
		}
		l.node.log.Warn("no link to the primary", "primary", address(l.host, l.port), "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, retryMax)
	}
}

// set changes the state that others see.
func (l *link) set(s linkState) {
	n := l.node
	n.mu.Lock()
	if n.primary.host == l.host && n.primary.port == l.port {
		n.primary.state = s
		n.primary.heard = time.Now()
	}
	n.mu.Unlock()
	n.o.Host.SetStale(s != linkConnected)
}

// down notes that there is no link.
func (l *link) down(wasUp bool) {
	n := l.node
	n.mu.Lock()
	ours := n.primary.host == l.host && n.primary.port == l.port
	if ours {
		n.primary.state = linkConnect
		n.primary.sync = syncProgress{}
	}
	if ours && wasUp {
		n.primary.down = time.Now()
	}
	n.mu.Unlock()
	if ours {
		n.o.Host.SetStale(true)
	}
}

// heard notes that bytes have come.
func (l *link) heard(bytes int) {
	n := l.node
	n.bytesIn.Add(uint64(bytes))
	now := time.Now()
	n.mu.Lock()
	n.primary.heard = now
	n.mu.Unlock()
}

// once makes one connection and serves it until it breaks.
func (l *link) once(ctx context.Context, up *bool) (err error) {
	settings := l.node.o.Settings
	l.patience = time.Duration(settings.Int("repl-timeout")) * time.Second
	l.buf, l.at = l.buf[:0], 0
	l.set(linkConnecting)
	dialer := net.Dialer{Timeout: l.patience}
	if source := settings.String("bind-source-addr"); source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(l.host, strconv.Itoa(l.port)))
	if err != nil {
		return err
	}
	l.writing.Lock()
	l.conn = conn
	l.writing.Unlock()
	stopClosing := context.AfterFunc(ctx, func() { conn.Close() })
	over := l.node.o.Host.Linked(conn.RemoteAddr().String(), conn.LocalAddr().String(), func() { conn.Close() })
	defer func() {
		stopClosing()
		conn.Close()
		over()
	}()
	l.set(linkHandshake)
	if err := l.introduce(settings); err != nil {
		return err
	}
	full, err := l.ask()
	if err != nil {
		return err
	}
	if l.failover {
		l.failover = false
		l.node.failedOver()
	}
	if full != nil {
		l.set(linkSync)
		if err := l.copy(ctx, full); err != nil {
			return err
		}
	}
	l.set(linkConnected)
	*up = true
	l.applied.Store(l.node.feed.end())
	stop := l.report()
	defer func() {
		conn.Close() // nobody who writes to it is waited for
		stop()
	}()
	return l.follow()
}

// every calls f again and again until stop.
func (l *link) every(period time.Duration, f func()) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(period)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f()
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// write sends bytes. Safe for concurrent use.
func (l *link) write(p []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.conn == nil {
		return net.ErrClosed
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.patience)); err != nil {
		return err
	}
	_, err := l.conn.Write(p)
	return err
}

// acknowledge says how far this server has come, because somebody asks. Safe for concurrent
// use.
func (l *link) acknowledge() {
	if r := l.reported.Load(); r != nil {
		r.answer()
	}
}

const (
	readBytes    = 64 << 10
	lineBytesMax = 4 << 10
)

// fill reads more bytes. There will be room for so many.
func (l *link) fill(need int) error {
	if l.at > 0 {
		l.buf = l.buf[:copy(l.buf, l.buf[l.at:])]
		l.at = 0
	}
	// The room grows with what has come, and not with what was announced.
	if room := max(min(need, 2*len(l.buf)), len(l.buf)+readBytes/4, readBytes); room > cap(l.buf) {
		l.buf = append(make([]byte, 0, max(room, cap(l.buf)+cap(l.buf)/2)), l.buf...)
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return err
	}
	n, err := l.conn.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	if n > 0 {
		l.heard(n)
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the primary was silent for %v", l.patience)
	}
	return err
}

// line reads a line without its end. Empty ones, by which the primary shows that it
// lives, are passed over.
func (l *link) line() (string, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.at:], '\n'); i >= 0 {
			line := strings.TrimSuffix(string(l.buf[l.at:l.at+i]), "\r")
			l.at += i + 1
			if strings.TrimSpace(line) != "" {
				return line, nil
			}
			continue
		}
		if len(l.buf)-l.at > lineBytesMax {
			return "", errors.New("the primary does not speak Redis' protocol")
		}
		if err := l.fill(0); err != nil {
			return "", err
		}
	}
}
