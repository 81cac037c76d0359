package netio

import (
	"context"
	"time"
)

// The slow list of a loop holds the connections that wait for their reader: with
// staged bytes, with a function to call when the output has shrunk, or closing with
// replies unsent. gnet does not say when a socket took bytes, so the list is walked
// by a timer, which runs only while the list is not empty: after 1 ms, and doubling
// to 20 ms as long as nothing moves.
const (
	slowPollMin = time.Millisecond
	slowPollMax = 20 * time.Millisecond
)

// watch puts c on the slow list.
func (l *loop) watch(c *Conn) {
	if c.onSlow {
		return
	}
	c.onSlow = true
	l.slow = append(l.slow, c)
	if len(l.slow) == 1 || l.slowEvery > slowPollMin {
		l.slowEvery = slowPollMin
		l.slowTimer.Reset(l.slowEvery)
	}
}

// slowRun walks the slow list. It is posted by slowTimer.
type slowRun struct{ l *loop }

func (r slowRun) Run(context.Context) error {
	l := r.l
	if len(l.slow) == 0 {
		return nil // a timer that was reset while its walk was under way
	}
	now := time.Now()
	l.busy = true
	progress := false
	kept := l.slow[:0]
	// Sessions called from here may add to l.slow, behind the part being walked.
	walk := l.slow
	l.slow = nil
	for _, c := range walk {
		if c.tend(now, &progress) {
			kept = append(kept, c)
		} else {
			c.onSlow = false
		}
	}
	added := l.slow
	clear(walk[len(kept):])
	l.slow = append(kept, added...)
	l.busy = false
	l.settle()

	if len(l.slow) == 0 {
		l.slow = nil
		return nil
	}
	if progress || len(added) > 0 {
		l.slowEvery = slowPollMin
	} else {
		l.slowEvery = min(2*l.slowEvery, slowPollMax)
	}
	l.slowTimer.Reset(l.slowEvery)
	return nil
}

// tend moves the connection's output on, tells who waits for it, and reports
// whether there is still something to wait for.
func (c *Conn) tend(now time.Time, progress *bool) bool {
	if c.gone || c.ending {
		return false
	}
	if unsent := c.Unsent(); unsent != c.lastUnsent {
		c.lastUnsent = unsent
		*progress = true
	}
	if c.pump() {
		*progress = true
	}
	if c.gone || c.ending {
		return false
	}
	if !c.lingerUntil.IsZero() {
		if c.Unsent() == 0 {
			c.loop.end(c)
			return false
		}
		if now.After(c.lingerUntil) {
			c.lingerUntil = time.Time{}
			c.CloseNow()
			return false
		}
		return true
	}
	if c.callDrained() {
		*progress = true
	}
	return !c.gone && !c.ending && (c.staged.bytes > 0 || c.drained != nil || !c.lingerUntil.IsZero())
}
