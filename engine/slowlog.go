package engine

import (
	"fmt"
	"sync"
	"time"

	"hyperkv/shard"
)

// A SlowEntry is one command that took long.
type SlowEntry struct {
	ID   int64
	Time time.Time
	Took time.Duration
	Args [][]byte
	Addr string
	Name string
}

// Slowlog keeps the latest commands that took longer than slowlog-log-slower-than.
// Safe for concurrent use.
type Slowlog struct {
	mu      sync.Mutex
	entries []SlowEntry // newest last
	nextID  int64
}

// Redis' bounds on what an entry keeps of a command.
const (
	slowArgsMax     = 32
	slowArgBytesMax = 128
)

// slow is what shards call.
func (e *Engine) slow(c *shard.Call, nanos int64) {
	if c.Client == nil {
		return
	}
	s, _ := c.Client.Session.(*Session)
	if s == nil {
		return
	}
	e.Slowlog.add(e, s, e.Table.all[c.Command], c.Args, nanos)
}

func (l *Slowlog) add(e *Engine, s *Session, c *Command, args [][]byte, nanos int64) {
	if c.Is(SkipSlowlog) {
		return
	}
	length := int(e.limits.slowlogLength.Load())
	entry := SlowEntry{
		Time: time.Now(), Took: time.Duration(nanos), Args: slowArgs(Redact(c, args)),
		Addr: s.info.conn.RemoteAddr, Name: s.Name(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.ID = l.nextID
	l.nextID++
	l.entries = append(l.entries, entry)
	l.trim(length)
}

func (l *Slowlog) trim(length int) {
	if surplus := len(l.entries) - max(length, 0); surplus > 0 {
		clear(l.entries[:surplus])
		l.entries = l.entries[surplus:]
	}
}

func slowArgs(args [][]byte) [][]byte {
	kept := args[:min(len(args), slowArgsMax)]
	out := make([][]byte, 0, len(kept))
	for i, arg := range kept {
		if i == slowArgsMax-1 && len(args) > slowArgsMax {
			out = append(out, fmt.Appendf(nil, "... (%d more arguments)", len(args)-slowArgsMax+1))
			break
		}
		if len(arg) > slowArgBytesMax {
			text := append([]byte(nil), arg[:slowArgBytesMax]...)
			out = append(out, fmt.Appendf(text, "... (%d more bytes)", len(arg)-slowArgBytesMax))
			continue
		}
		out = append(out, append([]byte(nil), arg...))
	}
	return out
}

// Get returns up to n entries, the newest first; all of them when n is negative.
func (l *Slowlog) Get(n int) []SlowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 || n > len(l.entries) {
		n = len(l.entries)
	}
	out := make([]SlowEntry, n)
	for i := range out {
		out[i] = l.entries[len(l.entries)-1-i]
	}
	return out
}

// Len is how many entries there are.
func (l *Slowlog) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// Reset forgets all entries.
func (l *Slowlog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.entries)
	l.entries = l.entries[:0]
}
