package engine

import (
	"math"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// blocking is a command that keeps its session waiting. Owned by the loop, but
// for what the transaction that begins the wait does with it meanwhile.
type blocking struct {
	pending pending
	timer   *time.Timer
	command *Command
	// timedOut writes the reply when time is up, for a command that does not wait
	// for keys.
	timedOut func(w *resp.Writer)
	over     func() // called when the wait has ended, if set
	// waiter is who waits for keys, nil until it does. It is stored last of what
	// begins the wait.
	waiter atomic.Pointer[shard.Waiter]
	// begun says that it waits: until then it may still find something at once.
	begun atomic.Bool
}

// Block makes the session wait: the reply comes from timedOut after the
// timeout, or never when that is 0; CLIENT UNBLOCK ends it as well. It must be
// called from a command's start, on the loop, with the pipeline fenced.
//
// wake ends the wait as the time-out would; any goroutine may call it. over is called on
// the loop when it has ended, for whatever reason.
func (s *Session) Block(timeout time.Duration, timedOut func(w *resp.Writer), over func()) (wake func()) {
	b := &blocking{timedOut: timedOut, over: over}
	s.holdFor(b)
	s.beginBlock(b)
	if timeout > 0 {
		b.timer = time.AfterFunc(timeout, func() {
			s.post(func() { s.unblock(b, nil) })
		})
	}
	return func() { s.post(func() { s.unblock(b, nil) }) }
}

// ParseTimeout reads a time-out in milliseconds for Block, 0 for none. One that is longer
// than a Duration can be is as long as that: 292 years.
func (e *Engine) ParseTimeout(arg []byte) (time.Duration, error) {
	millis, err := resp.ParseTimeout(arg, e.NowMillis())
	if millis > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64, err
	}
	return time.Duration(millis) * time.Millisecond, err
}

// Later makes the session wait until answer is called, by any goroutine and once, with
// what writes the reply. It must be called from a command's start, on the loop, with
// the pipeline fenced.
func (s *Session) Later(c *Command) (answer func(reply func(w *resp.Writer) error)) {
	b := &blocking{command: c}
	s.holdFor(b)
	start := clock.Monotonic()
	return func(reply func(w *resp.Writer) error) {
		s.post(func() {
			if s.closed {
				s.completed(&b.pending)
				return
			}
			w := resp.Writer{Proto: s.proto}
			if err := reply(&w); err != nil {
				w.Error(err)
				s.loop.counter.Failed(c.id)
				s.loop.errors.count(err)
			}
			s.loop.counter.Ran(c.id, clock.Monotonic()-start)
			b.pending.reply = w.Buf
			s.completed(&b.pending)
		})
	}
}

// holdFor makes the session wait for the reply of b. On the loop.
func (s *Session) holdFor(b *blocking) {
	b.pending.session = s
	b.pending.finished = func() {
		if b.command != nil {
			s.info.commands.Add(1) // it counts when it is over
		}
		s.endBlock(b)
	}
	s.blocked = b
	s.hold = holdBlock
	s.pipeline.wait(&b.pending, 0, s.takeDrop())
}

// beginBlock shows the session as blocked. On the loop, or while it waits for the
// transaction that calls this.
func (s *Session) beginBlock(b *blocking) {
	b.begun.Store(true)
	s.info.blocking.Store(b)
	s.setFlag(flagBlocked, true)
	s.engine.clients.blocked.Add(1)
}

// startBlocking runs a command that may have to wait for its keys.
func (s *Session) startBlocking(c *Command, args [][]byte) bool {
	l := s.loop
	e := l.engine
	if !s.fence() {
		return false
	}
	x := &l.crossing
	x.begin(e)
	if err := x.include(e, c, args); err != nil {
		s.Refuse(c, err)
		return true
	}
	x.join()
	x.finish(e)
	if len(x.shards) == 0 {
		x.shards = append(x.shards, e.Shards.Shards[0])
	}
	if !e.foreignOnly && e.Shards.EnterAll(x.shards) {
		w := s.answer()
		mark := len(w.Buf)
		x.call.Bind(e.Shards, x.shards...)
		if wait, blocked := s.tryBlocking(&x.call, c, args, &w); blocked {
			b := &blocking{command: c}
			s.holdFor(b)
			s.register(b, wait, cloneArgs(args), append([]*shard.Shard(nil), x.shards...))
			e.Shards.ExitAll(x.shards)
			return true
		}
		e.Shards.ExitAll(x.shards)
		s.info.commands.Add(1)
		s.answered(&w, mark, s.takeDrop())
		return true
	}
	t := &blockingStart{blocking: blocking{command: c}, session: s, args: cloneArgs(args)}
	t.txn.Shards = append([]*shard.Shard(nil), x.shards...)
	t.txn.Body = t.run
	t.txn.Done = t.done
	s.holdFor(&t.blocking)
	e.Shards.Submit(&t.txn)
	return true
}

// tryBlocking runs the command with a call that is bound to its shards, and says
// whether it has to wait.
func (s *Session) tryBlocking(call *shard.Call, c *Command, args [][]byte, w *resp.Writer) (wait shard.Wait, blocked bool) {
	call.BeginClient(&s.client, w)
	call.Begin(s.db, args)
	call.Command = c.id
	call.LetBlock(&wait)
	call.Execute(c.Run, clock.Monotonic())
	call.EndClient()
	return wait, call.Blocked()
}

// register makes the session wait for keys. The turns of the shards, under which
// the command has found nothing, are still held.
func (s *Session) register(b *blocking, wait shard.Wait, args [][]byte, shards []*shard.Shard) {
	e := s.engine
	waiter := &shard.Waiter{
		Run: b.command.Run, Command: b.command.id, Args: args, Database: s.db,
		Client: &s.client, Proto: s.proto, Shards: shards,
		Served: func(reply []byte) {
			b.pending.reply = reply
			s.loop.complete(&b.pending)
		},
	}
	waiter.Register(e.Shards, wait)
	s.beginBlock(b)
	if wait.Until > 0 {
		timeout := time.Duration(wait.Until-e.Shards.Now()) * time.Millisecond
		b.timer = time.AfterFunc(max(timeout, 0), func() {
			s.post(func() { s.unblock(b, nil) })
		})
	}
	b.waiter.Store(waiter)
}

// blockingStart is the first run of a blocking command where its shards were busy.
type blockingStart struct {
	blocking
	session *Session
	txn     shard.Transaction
	args    [][]byte
}

// run is the transaction's body; the session waits, so that its state may be used.
func (t *blockingStart) run() {
	s := t.session
	w := resp.Writer{Proto: s.proto}
	var call shard.Call
	call.Bind(s.engine.Shards, t.txn.Shards...)
	wait, blocked := s.tryBlocking(&call, t.command, t.args, &w)
	if !blocked {
		t.pending.reply = w.Buf
		return
	}
	s.register(&t.blocking, wait, t.args, t.txn.Shards)
}

func (t *blockingStart) done() {
	if t.waiter.Load() == nil {
		t.session.loop.complete(&t.pending)
		return
	}
	// Its client may have gone while nobody knew yet that it would wait.
	t.session.post(func() {
		if t.session.closed {
			t.session.abandon(&t.blocking)
		}
	})
}

// unblockRetry is how long to wait for somebody who is about to serve the client.
const unblockRetry = time.Millisecond

// unblock ends a wait with an error, or as its time-out would. On the loop.
func (s *Session) unblock(b *blocking, err error) {
	if s.blocked != b || s.closed {
		return
	}
	waiter := b.waiter.Load()
	if b.command != nil {
		cancelled, done := false, false
		if waiter != nil {
			cancelled, done = waiter.Cancel()
		}
		if done {
			return // the reply is on its way
		}
		if !cancelled {
			time.AfterFunc(unblockRetry, func() {
				s.post(func() { s.unblock(b, err) })
			})
			return
		}
	}
	w := resp.Writer{Proto: s.proto}
	switch {
	case err != nil:
		w.Error(err)
	case waiter != nil:
		_ = waiter.TimedOut(&w)
	default:
		b.timedOut(&w)
	}
	if b.command != nil {
		s.loop.counter.Ran(b.command.id, 0)
		if err != nil {
			s.loop.counter.Failed(b.command.id)
			s.loop.errors.count(err)
		}
	}
	b.pending.reply = w.Buf
	s.completed(&b.pending)
}

// endBlock is called on the loop when the reply of b is there.
func (s *Session) endBlock(b *blocking) {
	if b.timer != nil {
		b.timer.Stop()
	}
	if b.over != nil {
		b.over()
		b.over = nil
	}
	if s.blocked == b {
		s.blocked = nil
		if s.hold == holdBlock {
			s.hold = holdFence // which completed ends
		}
	}
	if b.begun.Swap(false) {
		s.info.blocking.CompareAndSwap(b, nil)
		s.setFlag(flagBlocked, false)
		s.engine.clients.blocked.Add(-1)
	}
}

// abandon ends a wait whose client is gone.
func (s *Session) abandon(b *blocking) {
	if waiter := b.waiter.Load(); waiter != nil {
		if cancelled, done := waiter.Cancel(); !cancelled && !done {
			time.AfterFunc(unblockRetry, func() {
				s.post(func() { s.abandon(b) })
			})
			return
		}
	}
	s.endBlock(b)
}

// cancelBlock forgets a wait because the client is gone.
func (s *Session) cancelBlock() {
	if b := s.blocked; b != nil && (b.waiter.Load() != nil || b.timedOut != nil) {
		s.abandon(b)
	}
	if s.hold == holdPause {
		p := &s.engine.pause
		p.mu.Lock()
		if _, waits := p.waiting[s]; waits {
			delete(p.waiting, s)
			s.engine.clients.blocked.Add(-1)
		}
		p.mu.Unlock()
	}
}

// Unblock ends the wait of a client as its time-out would, or with an error
// (CLIENT UNBLOCK). It says whether the client was waiting in a blocking
// command. Safe for concurrent use.
func (s *Session) Unblock(withError bool) bool {
	if withError {
		return s.unblockWith(resp.ErrUnblocked)
	}
	return s.unblockWith(nil)
}

func (s *Session) unblockWith(err error) bool {
	b := s.info.blocking.Swap(nil)
	if b == nil {
		return false
	}
	s.post(func() { s.unblock(b, err) }) // not a later wait, should this one be over by now
	return true
}
