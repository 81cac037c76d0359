package netio

import (
	"context"
	"slices"
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
//
// Replies that promise something which is not true yet wait here as well, together with
// all that come behind them, until the backend says that it is.
type outbox struct {
	bytes []byte
	held  []heldReply
	since time.Time // when the first was held

	promised []promise // in their order

	posted bool // the end of the round is
	round  int  // replies held in the round
	on     bool // replies are held
	poor   int  // rounds in a row with less than outboxWorth replies
	direct int  // writes since holding has ended
}

// heldReply is a reply of c, the outbox's bytes up to end from the end of the one before.
type heldReply struct {
	c        *Conn
	end      int
	promises bool
}

// promise is replies that may leave when the time of a ticket has come.
type promise struct {
	held   []heldReply
	bytes  []byte
	ticket Ticket
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
func (l *loop) hold(c *Conn, p []byte, promises bool) bool {
	o := &l.outbox
	if len(o.promised) == 0 {
		if !o.on && len(o.held) == 0 { // what is held may be of c
			if o.direct++; o.direct < outboxRetry {
				return false
			}
			o.on, o.poor, o.direct = true, outboxPatience-outboxTrial, 0
		}
		if c.queued || len(p) > outboxReplyMax {
			l.release() // of c there may be some
			return len(o.promised) > 0 && l.add(c, p, promises)
		}
		if len(o.bytes)+len(p) > outboxBytesMax {
			l.release()
		}
	}
	return l.add(c, p, promises)
}

// add puts p into the outbox, and sees to it that the round ends.
func (l *loop) add(c *Conn, p []byte, promises bool) bool {
	o := &l.outbox
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
	c.heldBytes += len(p)
	if last := len(o.held) - 1; last >= 0 && o.held[last].c == c {
		o.held[last].end = len(o.bytes)
		o.held[last].promises = o.held[last].promises || promises
	} else {
		o.held = append(o.held, heldReply{c, len(o.bytes), promises})
		c.held++
	}
	return true
}

// release lets go of what is held: it is written, or promised.
func (l *loop) release() {
	o := &l.outbox
	if len(o.held) == 0 {
		return
	}
	ticket := l.backend.Commit(false)
	if len(o.promised) > 0 || ticket != Now && ticket != Never {
		l.waited = true
		o.promised = append(o.promised, promise{o.held, o.bytes, ticket})
		o.held, o.bytes = nil, nil
		return
	}
	held, bytes := o.held, o.bytes
	o.held, o.bytes = nil, nil // a write that fails may lead back here
	writeOut(held, bytes, ticket == Now)
	if o.held == nil {
		o.held, o.bytes = held[:0], bytes[:0]
	}
}

// promise keeps p until the time of a ticket has come.
func (l *loop) promise(c *Conn, p []byte, promises bool, t Ticket) {
	c.held++
	c.heldBytes += len(p)
	l.waited = true
	l.outbox.promised = append(l.outbox.promised, promise{[]heldReply{{c, len(p), promises}}, slices.Clone(p), t})
}

// deliver writes what was promised, as far as the times have come.
func (l *loop) deliver() {
	o := &l.outbox
	for len(o.promised) > 0 {
		p := o.promised[0]
		if p.ticket != Now && p.ticket != Never {
			if p.ticket = l.backend.Committed(p.ticket); p.ticket != Now && p.ticket != Never {
				return
			}
		}
		o.promised[0] = promise{}
		o.promised = o.promised[1:]
		writeOut(p.held, p.bytes, p.ticket == Now)
	}
	o.promised = nil
}

// writeOut writes replies; if promises are not kept, it ends the connections of those
// that make any.
func writeOut(held []heldReply, bytes []byte, kept bool) {
	from := 0
	for i, h := range held {
		c := h.c
		c.heldBytes -= h.end - from
		if kept || !h.promises {
			c.write(bytes[from:h.end])
		} else if !c.gone && !c.ending {
			c.fail(errNotCommitted)
		}
		if c.held--; c.held == 0 && c.leaving {
			c.leave()
		}
		from = h.end
		held[i].c = nil
	}
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
