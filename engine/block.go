package engine

import (
	"time"

	"hyperkv/resp"
)

// blocking is a command that keeps its session waiting. Owned by the loop.
type blocking struct {
	pending pending
	timer   *time.Timer
	// timedOut writes the reply when time is up.
	timedOut func(w *resp.Writer)
}

// Block makes the session wait: the reply comes from timedOut after the
// timeout, or never when that is 0; CLIENT UNBLOCK ends it as well. It must be
// called from a command's start, on the loop, with the pipeline fenced.
func (s *Session) Block(timeout time.Duration, timedOut func(w *resp.Writer)) {
	b := &blocking{timedOut: timedOut}
	b.pending.session = s
	s.blocked = b
	s.hold = holdBlock
	s.info.blocking.Store(b)
	s.setFlag(flagBlocked, true)
	s.loop.engine.clients.blocked.Add(1)
	s.pipeline.wait(&b.pending, 0, s.takeDrop())
	if timeout > 0 {
		b.timer = time.AfterFunc(timeout, func() {
			s.loop.post(func() { s.unblock(b, nil) })
		})
	}
}

// unblock ends a wait with an error, or as its time-out would. On the loop.
func (s *Session) unblock(b *blocking, err error) {
	if s.blocked != b || s.closed {
		return
	}
	s.endBlock()
	w := resp.Writer{Proto: s.proto}
	if err != nil {
		w.Error(err)
	} else {
		b.timedOut(&w)
	}
	b.pending.reply = w.Buf
	s.hold = holdFence // which completed ends
	s.completed(&b.pending)
}

func (s *Session) endBlock() {
	if s.blocked.timer != nil {
		s.blocked.timer.Stop()
	}
	s.blocked = nil
	s.info.blocking.Store(nil)
	s.setFlag(flagBlocked, false)
	s.loop.engine.clients.blocked.Add(-1)
}

// cancelBlock forgets a wait because the client is gone.
func (s *Session) cancelBlock() {
	if s.blocked != nil {
		s.endBlock()
	}
	if s.hold == holdPause {
		p := &s.loop.engine.pause
		p.mu.Lock()
		if _, waits := p.waiting[s]; waits {
			delete(p.waiting, s)
			s.loop.engine.clients.blocked.Add(-1)
		}
		p.mu.Unlock()
	}
}

// Unblock ends the wait of a client as its time-out would, or with an error
// (CLIENT UNBLOCK). It says whether the client was waiting in a blocking
// command. Safe for concurrent use.
func (s *Session) Unblock(withError bool) bool {
	b := s.info.blocking.Swap(nil)
	if b == nil {
		return false
	}
	s.loop.post(func() {
		var err error
		if withError {
			err = resp.Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
		}
		s.unblock(b, err) // not a later wait, should this one be over by now
	})
	return true
}
