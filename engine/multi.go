package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Transactions is the family of MULTI, EXEC and WATCH. A transaction is
// strictly serializable whatever shards its keys live on: EXEC runs with the
// turns of all of them.
var Transactions = Family{Name: "transaction", Group: "transactions", Commands: []Command{{
	Name: "MULTI", Arity: 1, Session: multiBegin,
	Flags:   NoScript | Loading | Stale | Fast | AllowBusy | Transparent | Immediate,
	Summary: "Starts a transaction: the commands that follow are queued until EXEC.",
	Since:   "1.2.0", Complexity: "O(1)",
}, {
	Name: "EXEC", Arity: 1, Start: multiExec, aborts: true,
	Flags:   NoScript | Loading | Stale | SkipSlowlog | SkipMonitor | Transparent,
	Summary: "Runs the queued commands as one.",
	Since:   "1.2.0", Complexity: "Depends on commands in the transaction",
}, {
	Name: "DISCARD", Arity: 1, Session: multiDiscard,
	Flags:   NoScript | Loading | Stale | Fast | AllowBusy | Transparent,
	Summary: "Forgets the queued commands and the watched keys.",
	Since:   "2.0.0", Complexity: "O(N), when N is the number of queued commands",
}, {
	Name: "WATCH", Arity: -2, Keys: KeyRange(1, -1, 1, "RO"), Run: watch, Start: startWatch,
	Flags:   NoScript | Loading | Stale | Fast | AllowBusy | Transparent,
	Summary: "Makes the next EXEC fail if one of the keys has changed until then.",
	Since:   "2.2.0", Complexity: "O(1) for every key.", Syntax: "key [key ...]",
}, {
	Name: "UNWATCH", Arity: 1, Session: unwatch,
	Flags:   NoScript | Loading | Stale | Fast | AllowBusy,
	Summary: "Forgets the watched keys.",
	Since:   "2.2.0", Complexity: "O(1)",
}, wait, waitAOF}}

// wait asks how many replicas have what the client wrote.
var wait = Command{
	Name: "WAIT", Group: "generic", Arity: 3, Start: startWait, Session: waitNow,
	Flags:   Blocking,
	Summary: "Waits until the client's writes have reached enough replicas, or for the given time.",
	Since:   "3.0.0", Complexity: "O(1)", Syntax: "numreplicas timeout",
	Tips: []string{"request_policy:all_shards", "response_policy:agg_min"},
}

// WAIT numreplicas timeout
//
// What the client wrote is taken to be all that was written so far.
func startWait(s *Session, c *Command, args [][]byte) bool {
	if r := s.engine.Replication(); r != nil && r.State().Replica {
		s.runHere(c, args) // which says so
		return true
	}
	wanted, ok := resp.ParseInt(args[1])
	if !ok {
		s.Refuse(c, resp.ErrNotInteger)
		return true
	}
	timeout, err := s.engine.ParseTimeout(args[2])
	if err != nil {
		s.Refuse(c, err)
		return true
	}
	r := s.engine.Replication()
	position := int64(0)
	if r != nil {
		position = r.Changed()
	}
	s.waitFor(c, timeout, func() (n counts, enough bool) {
		if r != nil {
			n.replicas, _ = r.Reached(position)
		}
		return n, int64(n.replicas) >= wanted
	}, func(w *resp.Writer, n counts) { w.Int(int64(n.replicas)) })
	return true
}

// counts are who has what somebody waits for: the local log, and so many replicas.
type counts struct {
	local    bool
	replicas int
}

// waitFor answers once measure says that it is enough, and when time is up. It is measured
// again whenever a replica has said how far it has come, and whenever look is called, by
// any goroutine; look is nil if it was enough at once.
func (s *Session) waitFor(c *Command, timeout time.Duration, measure func() (n counts, enough bool), answer func(w *resp.Writer, n counts)) (look func()) {
	if n, enough := measure(); enough {
		s.Later(c)(func(w *resp.Writer) error { answer(w, n); return nil })
		return nil
	}
	// found is what was enough: who had it may be gone when the loop comes to the answer.
	var found atomic.Pointer[counts]
	forget := func() {}
	wake := s.Block(timeout, func(w *resp.Writer) {
		n := found.Load()
		if n == nil {
			now, _ := measure()
			n = &now
		}
		answer(w, *n)
	}, func() { forget() })
	look = func() {
		if n, enough := measure(); enough && found.CompareAndSwap(nil, &n) {
			wake()
		}
	}
	if r := s.engine.Replication(); r != nil {
		forget = r.Await(look)
	}
	return look
}

const errWaitOnReplica = resp.Error("ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.")

// waitNow is WAIT where it must not block, as inside EXEC.
func waitNow(c *Context) error {
	r := c.Engine.Replication()
	if r == nil {
		return c.Reply.Int(0)
	}
	if r.State().Replica {
		return errWaitOnReplica
	}
	applied, _ := r.Reached(r.Changed())
	return c.Reply.Int(int64(applied))
}

// multi is the state of a session between MULTI and EXEC. Owned by the session.
type multi struct {
	commands []queued
	bytes    int
	flags    Flags // of all of them, together
	common   Flags // that all of them have
	failed   bool  // a command was refused, so EXEC must be, too
}

type queued struct {
	command *Command
	args    [][]byte
}

// MULTI
func multiBegin(c *Context) error {
	if m := c.Session.multi; m != nil {
		// The client has lost track of its transactions. Redis would still run the
		// one under way; as in Valkey, EXEC refuses it.
		m.failed = true
		return resp.ErrMultiNested
	}
	c.Session.multi = &multi{common: ^Flags(0)}
	c.Session.info.multi.Store(0)
	c.Session.setFlag(flagMulti, true)
	return c.Reply.OK()
}

// DISCARD
func multiDiscard(c *Context) error {
	if c.Session.multi == nil {
		return resp.ErrDiscardNoMulti
	}
	c.Session.discard()
	return c.Reply.OK()
}

// UNWATCH
func unwatch(c *Context) error {
	// Inside MULTI it runs with EXEC, when nothing is watched any more.
	c.Session.dropWatch()
	return c.Reply.OK()
}

// discard ends MULTI and WATCH.
func (s *Session) discard() {
	s.multi = nil
	s.info.multi.Store(-1)
	s.info.argvBytes.Store(0)
	s.setFlag(flagMulti, false)
	s.dropWatch()
}

// dropWatch forgets the watched keys; the shards notice by themselves.
func (s *Session) dropWatch() {
	if s.client.Watch != nil {
		s.client.Watch.Drop()
		s.client.Watch = nil
		s.info.watch.Store(nil)
		s.info.watching.Store(0)
	}
}

// startWatch begins or extends the session's set of watched keys.
func startWatch(s *Session, c *Command, args [][]byte) bool {
	if s.multi != nil {
		// The transaction stays as it is.
		failed := s.multi.failed
		s.Refuse(c, resp.ErrWatchInMulti)
		s.multi.failed = failed
		return true
	}
	if s.client.Watch == nil {
		s.client.Watch = new(shard.WatchSet)
		s.info.watch.Store(s.client.Watch)
	}
	s.info.watching.Store(s.info.watching.Load() + int32(len(args)-1))
	done := s.route(c, args)
	s.flush() // args are the loop's, and the next command's will be there
	return done
}

// WATCH key [key ...]
func watch(c *shard.Call) error {
	for _, key := range c.Args[1:] {
		c.DB.Watch(key)
	}
	return c.Reply.OK()
}

// queue keeps a command for EXEC.
func (s *Session) queue(c *Command, args [][]byte) {
	m := s.multi
	m.commands = append(m.commands, queued{command: c, args: cloneArgs(args)})
	m.flags |= c.Flags
	m.common &= c.Flags
	for _, arg := range args {
		m.bytes += len(arg)
	}
	s.info.multi.Store(int32(len(m.commands)))
	s.info.argvBytes.Store(int64(m.bytes))
	w := s.here()
	w.Simple("QUEUED")
	s.keepHere(&w, s.takeDrop())
}

// EXEC
func multiExec(s *Session, c *Command, _ [][]byte) bool {
	l := s.loop
	e := l.engine
	m := s.multi
	switch {
	case m == nil:
		s.Refuse(c, resp.ErrExecNoMulti)
		return true
	case m.failed:
		s.Refuse(c, resp.ErrExecAbort)
		return true
	}
	s.info.commands.Add(1)
	s.promises = s.promises || m.flags&Write != 0
	x := &l.crossing
	x.begin(e)
	long, data := false, false
	for i := range m.commands {
		q := &m.commands[i]
		long = long || q.command.Is(Long)
		if q.command.Run == nil {
			continue
		}
		data = true
		// What is wrong with the keys, the body will say.
		_ = x.include(e, q.command, q.args)
	}
	if s.client.Watch != nil {
		s.client.Watch.AddShards(x.add)
	}
	if data && !slices.Contains(x.taken, true) {
		x.add(e.Shards.Shards[0]) // as for such a command alone: see plan
	}
	x.join()
	x.finish(e)
	t := &execution{session: s, commands: m.commands, drop: s.takeDrop(), exec: c}
	if len(x.shards) == 0 || !long && !e.foreignOnly && e.Shards.EnterAll(x.shards) {
		w := s.answer()
		mark := len(w.Buf)
		x.call.Bind(e.Shards, x.shards...)
		t.run(&x.call, &w, l.counter, &l.errors)
		e.Shards.ExitAll(x.shards)
		s.answered(&w, mark, t.drop)
		return true
	}
	t.pending.session = s
	t.txn.Shards = append([]*shard.Shard(nil), x.shards...)
	t.txn.Long = long
	t.txn.Body = t.runWhole
	t.txn.Done = func() { l.complete(&t.pending) }
	t.finished = func() {
		if s.Killed() {
			s.CloseAfterReply() // maybe it has killed itself
		}
	}
	s.hold = holdExec
	s.pipeline.wait(&t.pending, 0, t.drop)
	e.Shards.Submit(&t.txn)
	return true
}

// execution is an EXEC under way.
type execution struct {
	pending
	session  *Session
	txn      shard.Transaction
	commands []queued
	exec     *Command
	drop     bool
}

// runWhole runs the transaction on the goroutine of the last shard to arrive;
// the session waits, so that its state may be used here.
func (t *execution) runWhole() {
	l := t.session.loop
	w := resp.Writer{Proto: t.session.proto}
	var call shard.Call
	call.Bind(l.engine.Shards, t.txn.Shards...)
	// The loop's counter is not ours here; a shard's, whose turn we have, is.
	t.run(&call, &w, t.txn.Shards[0].CommandCounter(), &l.errors)
	t.reply = w.Buf
}

// run executes the queued commands under the turns of all shards they need.
func (t *execution) run(call *shard.Call, w *resp.Writer, counter *shard.CommandCounter, errors *errorCounts) {
	s := t.session
	e := s.engine
	start := clock.Monotonic()
	call.BeginClient(&s.client, w)
	defer call.EndClient()
	failed := false
	if set := s.client.Watch; set != nil {
		failed = set.Dirty()
		for _, sh := range call.Shards() {
			failed = failed || set.Expired(sh, call.Now)
		}
	}
	s.discard()
	if failed {
		w.NullArray()
		counter.Ran(t.exec.id, clock.Monotonic()-start)
		s.showExec(t.exec)
		return
	}
	w.Array(len(t.commands))
	call.BeginUnit()
	at := start
	for i := range t.commands {
		q := &t.commands[i]
		if e.Monitors.any() && !q.command.Is(SkipMonitor) {
			e.Monitors.feed(s, s.db, q.command, q.args)
		}
		w.Proto = s.proto
		if q.command.Run == nil {
			ctx := Context{Engine: e, Session: s, Args: q.args, Reply: w, Command: q.command, InTransaction: true}
			ctx.run(counter, errors)
			at = clock.Monotonic()
			continue
		}
		call.Begin(s.db, q.args)
		call.Command = q.command.id
		at = call.Execute(q.command.Run, at)
	}
	call.EndUnit()
	counter.Ran(t.exec.id, clock.Monotonic()-start)
	s.showExec(t.exec)
}

// showExec tells monitors that a transaction is over, after all that it did and
// also when it did nothing.
func (s *Session) showExec(c *Command) {
	if m := &s.engine.Monitors; m.any() {
		m.feed(s, s.db, c, [][]byte{[]byte("exec")})
	}
}
