package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// toyHost is a dataset that is a list of what was done. Safe for concurrent use.
type toyHost struct {
	turn sync.Mutex // all shards

	mu       sync.Mutex
	done     []string
	loaded   []byte
	recorded bool
	replica  bool
	stale    bool
	paused   bool
	good     int
	fail     error // of Apply
	log      bool
	synced   int  // of done; all else is lost with the power
	stuck    bool // Sync fails
	torn     bool // Load fails in the middle
}

func (h *toyHost) Exclusive(f func()) {
	h.turn.Lock()
	defer h.turn.Unlock()
	f()
}
func (h *toyHost) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}
func (h *toyHost) Record(on bool)         { h.set(func() { h.recorded = on }) }
func (h *toyHost) Undivided(bool)         {}
func (h *toyHost) SetPrimary(string, int) {}
func (h *toyHost) Commit()                {}
func (h *toyHost) Kept() (logged, synced bool) {
	h.set(func() { logged, synced = h.log, h.log && h.synced == len(h.done) })
	return logged, synced
}
func (h *toyHost) Sync() (ok bool) {
	h.set(func() {
		if ok = h.log && !h.stuck; ok {
			h.synced = len(h.done)
		}
	})
	return ok
}
func (h *toyHost) SetReplica(on bool)    { h.set(func() { h.replica = on }) }
func (h *toyHost) SetStale(on bool)      { h.set(func() { h.stale = on }) }
func (h *toyHost) SetGoodReplicas(n int) { h.set(func() { h.good = n }) }
func (h *toyHost) Pause(on bool)         { h.set(func() { h.paused = on }) }
func (h *toyHost) Linked(_, _ string, end func()) func() {
	return func() {}
}

func (h *toyHost) Snapshot(_ context.Context, _ bool, atCut func(), write func([]byte) error) error {
	h.Exclusive(atCut)
	for range 3 {
		if err := write([]byte("\xfe\x00\x00\x01k\x01v")); err != nil { // SELECTDB 0, a string
			return err
		}
	}
	return nil
}

func (h *toyHost) Load(_ context.Context, file io.Reader, bytes int64) error {
	b, err := io.ReadAll(file)
	if err == nil && int64(len(b)) != bytes {
		err = fmt.Errorf("%d bytes, and %d were announced", len(b), bytes)
	}
	h.set(func() {
		h.loaded, h.done = b, nil
		if h.torn {
			err = errToy
		}
	})
	return err
}

func (h *toyHost) Apply(unit []Effect, settled func()) error {
	h.turn.Lock()
	defer h.turn.Unlock()
	text := ""
	for _, e := range unit {
		text += fmt.Sprintf("%d %q;", e.Database, e.Args)
	}
	h.set(func() { h.done = append(h.done, text) })
	settled()
	return h.fail
}

func (h *toyHost) isReplica() (yes bool) {
	h.set(func() { yes = h.replica })
	return yes
}

func (h *toyHost) file() (b []byte) {
	h.set(func() { b = h.loaded })
	return b
}

func (h *toyHost) isRecorded() (yes bool) {
	h.set(func() { yes = h.recorded })
	return yes
}

func (h *toyHost) list() (all []string) {
	h.set(func() { all = append(all, h.done...) })
	return all
}

// toySettings are Redis' defaults, with exceptions. Immutable.
type toySettings map[string]any

var defaults = toySettings{
	"repl-backlog-size": 1 << 20, "repl-timeout": 60, "repl-ping-replica-period": 10, "repl-backlog-ttl": 3600,
	"repl-diskless-sync": true, "databases": 16, "min-replicas-max-lag": 10,
}

func (s toySettings) get(name string) any {
	if v, ok := s[name]; ok {
		return v
	}
	return defaults[name]
}
func (s toySettings) Int(name string) int64     { n, _ := s.get(name).(int); return int64(n) }
func (s toySettings) Bool(name string) bool     { b, _ := s.get(name).(bool); return b }
func (s toySettings) String(name string) string { text, _ := s.get(name).(string); return text }

func newToyNode(t testing.TB, s toySettings) (*Node, *toyHost) {
	h := &toyHost{}
	dir := t.TempDir()
	n := New(Options{
		Host: h, Settings: s, Log: slog.New(slog.DiscardHandler), History: newHistory(),
		Folder: func() string { return dir }, Port: func() int { return 7000 },
	})
	t.Cleanup(n.Close)
	return n, h
}

// toyLink is a replica's connection that keeps what it is sent. Safe for concurrent use.
type toyLink struct {
	mu      sync.Mutex
	replica *Replica
	got     []byte
	ended   bool // no more will come
	gone    bool
	deaf    bool
}

func (l *toyLink) Addresses() (remote, local string) { return "10.0.0.1:1", "10.0.0.2:2" }
func (l *toyLink) Disconnect()                       { l.mu.Lock(); l.gone = true; l.mu.Unlock() }
func (l *toyLink) Wake()                             { go l.pump() }

func (l *toyLink) pump() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.replica != nil && !l.deaf && !l.gone {
		p, end := l.replica.Next(1000)
		l.got = append(l.got, p...)
		l.ended = end
		if len(p) == 0 {
			return
		}
	}
}

// serve makes the link a replica's.
func (l *toyLink) serve(n *Node, w Wishes) error {
	r, err := n.Serve(l, w)
	l.mu.Lock()
	l.replica = r
	l.mu.Unlock()
	l.pump()
	return err
}

func (l *toyLink) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.got)
}

func soon(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so: %s", what)
		}
	}
}

var errToy = errors.New("toy")
