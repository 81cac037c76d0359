package engine

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/resp"
)

// monitors are the clients that see every command (MONITOR). Safe for concurrent use.
type monitors struct {
	count atomic.Int32
	mu    sync.Mutex
	all   map[*Session]struct{}
}

func (m *monitors) any() bool { return m.count.Load() > 0 }

// Add makes a client see every command from now on.
func (m *monitors) Add(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = make(map[*Session]struct{})
	}
	m.all[s] = struct{}{}
	m.count.Store(int32(len(m.all)))
	s.setFlag(flagMonitor, true)
}

func (m *monitors) remove(s *Session) {
	if !s.isMonitor() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, s)
	m.count.Store(int32(len(m.all)))
	s.setFlag(flagMonitor, false)
}

func (s *Session) isMonitor() bool { return s.info.flags.Load()&flagMonitor != 0 }

// feed shows a command to all monitors, unless it is about the administration of
// the server. It renders the line once; each monitor gets it on its own loop.
func (m *monitors) feed(by *Session, db int, c *Command, args [][]byte) {
	if c.Is(Admin) {
		return
	}
	now := time.Now()
	line := strconv.AppendInt(nil, now.Unix(), 10)
	line = append(line, '.')
	micros := strconv.Itoa(now.Nanosecond() / 1000)
	line = append(line, "000000"[len(micros):]...)
	line = append(line, micros...)
	line = append(line, " ["...)
	line = strconv.AppendInt(line, int64(db), 10)
	line = append(line, ' ')
	if by.info.conn.Unix {
		line = append(line, "unix:"...)
	}
	line = append(line, strings.TrimSuffix(by.info.conn.RemoteAddr, ":0")...)
	line = append(line, ']')
	for _, arg := range Redact(c, args) {
		line = append(line, ' ')
		line = resp.AppendQuoted(line, arg)
	}
	w := resp.Writer{}
	w.Simple(string(line))
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.all {
		s.post(func() {
			if s.closed {
				return
			}
			if s.pipeline.empty() {
				s.write(w.Buf)
			} else {
				s.pipeline.ready(w.Buf)
			}
		})
	}
}

var redacted = []byte("(redacted)")

// Redact returns the arguments of a command as they may be shown: secrets are
// replaced. The result may be args itself.
func Redact(c *Command, args [][]byte) [][]byte {
	if c.Redact == nil {
		return args
	}
	return c.Redact(args)
}

// RedactFrom returns a Redact that hides all arguments from position first on.
func RedactFrom(first int) func(args [][]byte) [][]byte {
	return func(args [][]byte) [][]byte {
		shown := append([][]byte(nil), args...)
		for i := first; i < len(shown); i++ {
			shown[i] = redacted
		}
		return shown
	}
}
