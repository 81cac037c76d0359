package netio

import (
	"context"
	"time"
)

// An outbox holds the replies of a busy loop until the loop has read from every
// connection that was ready, and then sends them one after the other. The most
// expensive part of a send is to wake the client that sleeps for it: one with many
// connections is woken once and finds many replies. The loop's own code and the
// kernel's also stay longer in the processor's caches. It is what Redis does before
// it sleeps.
//
// gnet does not say when a round of events ends, but what is posted to a loop runs
// behind the events of the next round: so the first reply that is held posts the
// release of all. That is only worth its price when a round has several replies.
// Whether it has is found out by trying, now and then.
type outbox struct {
	bytes []byte
	held  []heldReply
	since time.Time // when the first was held

	posted bool // the end of the round is
	round  int  // replies held in the round
	on     bool // replies are held
	poor   int  // rounds in a row with less than outboxWorth replies
	direct int  // writes since holding has ended
}

// heldReply is a reply of c, the outbox's bytes up to end from the end of the one before.
type heldReply struct {
	c   *Conn
	end int
}

const (
	// outboxReplyMax is the longest reply that is held: longer ones are not worth
	// the copy.
	outboxReplyMax = 4 << 10
	// outboxBytesMax is how much is held at most.
	outboxBytesMax = 128 << 10
	// outboxTimeMax is how old the first reply may become while the loop reads on.
	outboxTimeMax = 2 * time.Millisecond

	// outboxWorth is how many replies a round must have for holding them to be worth
	// it; after outboxPatience rounds in a row with less it ends. outboxRetry writes
	// later it is tried for outboxTrial rounds: the first has begun already.
	outboxWorth    = 8
	outboxPatience = 16
	outboxRetry    = 512
	outboxTrial    = 2
)

// hold keeps p until the end of the round, or says that it has to be written now.
func (l *loop) hold(c *Conn, p []byte) bool {
	o := &l.outbox
	if !o.on {
		if o.direct++; o.direct < outboxRetry {
			return false
		}
		o.on, o.poor, o.direct = true, outboxPatience-outboxTrial, 0
	}
	if c.queued || len(p) > outboxReplyMax {
		l.release() // of c there may be some
		return false
	}
	if len(o.bytes)+len(p) > outboxBytesMax {
		l.release()
	}
	if !o.posted {
		if l.post((*releaseRun)(l)) != nil {
			return false
		}
		o.posted = true
	}
	if len(o.held) == 0 {
		o.since = time.Now()
	}
	o.round++
	o.bytes = append(o.bytes, p...)
	if last := len(o.held) - 1; last >= 0 && o.held[last].c == c {
		o.held[last].end = len(o.bytes)
	} else {
		o.held = append(o.held, heldReply{c, len(o.bytes)})
	}
	return true
}

// release writes what is held.
func (l *loop) release() {
	o := &l.outbox
	if len(o.held) == 0 {
		return
	}
	held, bytes := o.held, o.bytes
	o.held, o.bytes = nil, nil // a write that fails may lead back here
	from, kept := 0, l.backend.Commit()
	for i, h := range held {
		if kept {
			h.c.write(bytes[from:h.end])
		} else if !h.c.closing && !h.c.gone {
			h.c.fail(errNotCommitted)
		}
		from = h.end
		held[i].c = nil
	}
	o.held, o.bytes = held[:0], bytes[:0]
}

// releaseRun ends a round.
type releaseRun loop

func (r *releaseRun) Run(context.Context) error {
	l := (*loop)(r)
	o := &l.outbox
	if o.round >= outboxWorth {
		o.poor = 0
	} else if o.poor++; o.poor >= outboxPatience {
		o.on = false
	}
	o.posted, o.round = false, 0
	l.busy = true
	l.release()
	l.busy = false
	l.settle()
	return nil
}
