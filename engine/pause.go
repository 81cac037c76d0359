package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// pause is CLIENT PAUSE: commands wait until it ends. Safe for concurrent use.
type pause struct {
	state atomic.Uint32 // pauseNone, pauseWrite, pauseAll
	mu    sync.Mutex
	until time.Time
	timer *time.Timer
	// pinned keeps commands that may write waiting for as long as it is set, whatever
	// becomes of the pause otherwise.
	pinned bool
	// waiting are the sessions that meet the pause; guarded by mu.
	waiting map[*Session]struct{}
}

const (
	pauseNone uint32 = iota
	pauseWrite
	pauseAll
)

func (p *pause) any() bool { return p.state.Load() != pauseNone }

// holds says whether a command has to wait for the pause to end.
func (p *pause) holds(s *Session, c *Command) bool {
	switch p.state.Load() {
	case pauseNone:
		return false
	case pauseAll:
		return true
	}
	if s.multi != nil && c.aborts {
		for i := range s.multi.commands {
			if s.multi.commands[i].command.Flags&(Write|MayReplicate) != 0 {
				return true
			}
		}
		return false
	}
	return c.Flags&(Write|MayReplicate) != 0
}

// enlist notes a session that waits for the end of the pause.
func (p *pause) enlist(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[*Session]struct{})
	}
	p.waiting[s] = struct{}{}
	s.setFlag(flagBlocked, true)
	s.engine.clients.blocked.Add(1)
	if p.state.Load() == pauseNone {
		// It ended a moment ago, before the session was on the list.
		go p.release(s.engine)
	}
}

// Pause makes commands wait, all of them or those that may write. A pause that
// is under way is only ever extended and made stricter.
func (e *Engine) Pause(d time.Duration, all bool) {
	p := &e.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	state := pauseWrite
	if all || p.state.Load() == pauseAll {
		state = pauseAll
	}
	until := time.Now().Add(d)
	if p.state.Load() == pauseNone || until.After(p.until) {
		p.until = until
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.state.Swap(state) == pauseNone {
		e.Shards.ExpiryHeld.Add(1)
	}
	p.timer = time.AfterFunc(time.Until(p.until), func() { e.unpause(false) })
}

// Unpause ends CLIENT PAUSE.
func (e *Engine) Unpause() { e.unpause(true) }

func (e *Engine) unpause(force bool) {
	p := &e.pause
	p.mu.Lock()
	if p.state.Load() == pauseNone || !force && time.Now().Before(p.until) {
		p.mu.Unlock()
		return
	}
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.pinned {
		p.state.Store(pauseWrite)
		p.until = time.Time{}
		p.mu.Unlock()
		p.release(e) // those that only read go on, the others come back
		return
	}
	p.state.Store(pauseNone)
	e.Shards.ExpiryHeld.Add(-1)
	p.mu.Unlock()
	p.release(e)
}

// PinPause makes commands that may write wait until it is called again, whatever
// happens to CLIENT PAUSE meanwhile.
func (e *Engine) PinPause(on bool) {
	p := &e.pause
	p.mu.Lock()
	if p.pinned == on {
		p.mu.Unlock()
		return
	}
	p.pinned = on
	if on {
		if p.state.CompareAndSwap(pauseNone, pauseWrite) {
			p.until = time.Time{}
			e.Shards.ExpiryHeld.Add(1)
		}
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	e.unpause(false)
}

// release lets the sessions go on that met the pause.
func (p *pause) release(e *Engine) {
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for s := range waiting {
		e.clients.blocked.Add(-1)
		s.post(func() {
			s.setFlag(flagBlocked, false)
			if s.hold == holdPause && !s.closed {
				s.release()
			}
		})
	}
}

// PauseInfo says what CLIENT PAUSE is doing: "none", "write" or "all", and for
// how much longer.
func (e *Engine) PauseInfo() (actions string, left time.Duration) {
	p := &e.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state.Load() {
	case pauseWrite:
		return "write", max(0, time.Until(p.until))
	case pauseAll:
		return "all", time.Until(p.until)
	}
	return "none", 0
}
