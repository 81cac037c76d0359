package engine

import (
	"strings"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// dispatch sees one command off: into the burst, to its shards, or to its body
// if it belongs to the session. False means that it has to wait: the session is
// held and the command will be parsed again.
func (s *Session) dispatch(args [][]byte) bool {
	l := s.loop
	e := l.engine
	c := e.Table.Lookup(args[0])
	if c != nil && c.simpleKey > 0 && s.plain(c) && fits(c, len(args)) {
		key := args[c.simpleKey]
		hash := shard.Hash(key)
		if s.info.command.Load() != c {
			s.info.command.Store(c)
		}
		if l.burst.across.count > 0 {
			args = l.flushKeeping(s, args)
		}
		if c.Flags&Write != 0 {
			s.promises = true
		}
		g := l.burst.group(e.Shards.IndexOf(shard.RouteHash(key, hash)))
		l.burst.add(g, c, args, s.db, false).hash = hash
		return true
	}
	c, err := resolve(c, args)
	if err == nil {
		if e.pause.holds(s, c) {
			s.flush()
			s.hold = holdPause
			e.pause.enlist(s)
			return false
		}
		err = s.gate(c, args)
	}
	if err != nil {
		s.Refuse(c, err)
		return true
	}
	if s.info.command.Load() != c {
		s.info.command.Store(c)
	}
	if c.Is(Write) {
		s.promises = true
	}
	if s.multi != nil && !c.Is(Transparent) {
		s.queue(c, args)
		return true
	}
	return s.run(c, args)
}

// plain says that nothing about the session or the server wants a closer look at c.
func (s *Session) plain(c *Command) bool {
	e := s.engine
	return s.multi == nil && s.reply == replyOn && s.authenticated && c.Flags&(Long|Protected|Blocking) == 0 && c.Start == nil &&
		e.closed.load()&^closedTo(c.Flags) == 0 && !e.pause.any() && !e.Monitors.any() && (c.Flags&DenyOOM == 0 || e.limits.maxMemory.Load() == 0) &&
		(c.Flags&Write == 0 || !e.limits.replicasMissing() && e.writesRefused.Load() == nil)
}

// fits says whether a command may have n arguments, its name included.
func fits(c *Command, n int) bool {
	if c.Arity >= 0 {
		return n == c.Arity
	}
	return n >= -c.Arity
}

// gate refuses what the client or the server may not do now.
func (s *Session) gate(c *Command, args [][]byte) error {
	e := s.engine
	if c.Is(Protected) {
		if err := e.protected(s, c); err != nil {
			return err
		}
	}
	if !s.authenticated && !c.Is(NoAuth) {
		if *e.limits.password.Load() != "" {
			return resp.ErrNoAuth
		}
		s.authenticated = true // the password was taken away meanwhile
	}
	if s.multi != nil && c.Is(NoMulti) {
		return resp.Error("ERR Command not allowed inside a transaction")
	}
	flags, queued := c.Flags, false
	if m := s.multi; m != nil {
		queued = !c.Is(Transparent)
		if c.aborts {
			flags |= m.flags // EXEC does what is queued
		}
	}
	if max := e.limits.maxMemory.Load(); max > 0 && (flags&DenyOOM != 0 || queued) && e.Shards.Bytes() > max {
		return resp.ErrOOM
	}
	if flags&Write != 0 {
		if refusal := e.writesRefused.Load(); refusal != nil {
			return *refusal
		}
		if e.limits.replicasMissing() {
			return resp.ErrNoReplicas
		}
	}
	if closed := e.closed.load(); closed != 0 {
		exempt := c.Flags
		if s.multi != nil && c.aborts {
			exempt &= s.multi.common
		}
		if err := closed.refuse(flags, exempt); err != nil {
			return err
		}
	}
	if c.Check != nil && s.multi == nil {
		return c.Check(args) // EXEC does not split it, so there its body will say so
	}
	return nil
}

// protected refuses the commands that an operator has to allow first.
func (e *Engine) protected(s *Session, c *Command) error {
	root := c
	if c.parent != nil {
		root = c.parent
	}
	setting := "enable-" + root.fullName + "-command"
	switch e.Params.String(setting) {
	case "yes":
		return nil
	case "local":
		if s.local() {
			return nil
		}
	}
	name := "DEBUG"
	if root.fullName != "debug" {
		name = "MODULE"
	}
	return resp.Error("ERR " + name + " command not allowed. If the " + setting +
		" option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.")
}

// Refuse answers a command that does not run.
func (s *Session) Refuse(c *Command, err error) {
	if s.multi != nil {
		s.multi.failed = true
	}
	if c != nil && c.aborts {
		s.showExec(c)
	}
	if c != nil && c.aborts && err != resp.ErrExecNoMulti {
		// A refused EXEC ends the transaction, and the watch even without one.
		if err != resp.ErrExecAbort {
			err = resp.ExecAborted(resp.Error(strings.TrimPrefix(err.Error(), "ERR ")))
		}
		s.discard()
	}
	l := s.loop
	if c != nil {
		l.counter.Rejected(c.id)
	}
	l.errors.count(err)
	w := s.here()
	w.Error(err)
	s.keepHere(&w, s.takeDrop())
}

// takeDrop says whether the reply of the command at hand is unwanted.
func (s *Session) takeDrop() bool {
	switch s.reply {
	case replySkipNext:
		s.reply = replyOn
		return true
	case replyOff:
		return true
	}
	return false
}

// run sees off a command that has passed the gate, outside MULTI.
func (s *Session) run(c *Command, args [][]byte) bool {
	l := s.loop
	if l.engine.Monitors.any() && !c.Is(SkipMonitor) {
		l.engine.Monitors.feed(s, s.db, c, args)
	}
	switch {
	case c.Start != nil:
		args = l.setAside(args)
		return s.fence() && c.Start(s, c, args)
	case c.Session != nil:
		// When the slow log takes everything, its order matters.
		if !c.Is(Immediate) || l.engine.Shards.SlowNanos.Load() == 0 {
			args = l.setAside(args)
			if !s.fence() {
				return false
			}
			l.counter.Publish() // it may ask what has run so far
		}
		s.runHere(c, args)
		return true
	case c.Is(Blocking) && (c.Waits == nil || c.Waits(args)):
		return s.startBlocking(c, l.setAside(args))
	}
	return s.route(c, args)
}

// setAside moves the arguments of the command at hand out of the burst, whose
// own are forgotten when it is flushed.
func (l *Loop) setAside(args [][]byte) [][]byte {
	l.current = append(l.current[:0], args...)
	return l.current
}

// fence runs everything before the command at hand, and says whether all of it
// has been answered. If not, the session is held until it is.
func (s *Session) fence() bool {
	s.flush()
	if s.pipeline.empty() {
		return true
	}
	s.hold = holdFence
	return false
}

// runHere runs a session command on the loop.
func (s *Session) runHere(c *Command, args [][]byte) {
	w := s.here()
	// The command may be CLIENT REPLY, which decides about its own reply, too.
	s.muted = s.takeDrop()
	ctx := Context{Engine: s.engine, Session: s, Args: args, Reply: &w, Command: c}
	ctx.run(s.loop.counter, &s.loop.errors)
	s.keepHere(&w, s.muted)
}

// run executes the body of a session command and counts it.
func (c *Context) run(counter *shard.CommandCounter, errors *errorCounts) {
	start := clock.Monotonic()
	mark := len(c.Reply.Buf)
	if err := c.Command.Session(c); err != nil {
		c.Reply.Buf = c.Reply.Buf[:mark]
		c.Reply.Error(err)
		counter.Failed(c.Command.id)
		errors.count(err)
	}
	took := clock.Monotonic() - start
	counter.Ran(c.Command.id, took)
	if slow := c.Engine.Shards.SlowNanos.Load(); slow >= 0 && took >= slow {
		c.Engine.Slowlog.add(c.Engine, c.Session, c.Command, c.Args, took)
	}
	c.Reply.Proto = c.Session.proto
}

// flushKeeping runs the burst so far and puts the arguments of the command at
// hand at the beginning of the next.
func (l *Loop) flushKeeping(s *Session, args [][]byte) [][]byte {
	aside := l.setAside(args)
	s.flush()
	b := &l.burst
	b.args = append(b.args[:0], aside...)
	return b.args[:len(b.args):len(b.args)]
}

// crossKeysMax is up to how many keys a command over several shards joins a
// group that runs as a whole; from there on it pays to let each shard do its part.
const crossKeysMax = 64

// route sends a command on keys to the shards that they live on.
func (s *Session) route(c *Command, args [][]byte) bool {
	l := s.loop
	e := l.engine
	b, x := &l.burst, &l.crossing
	if c.Is(Admin) {
		l.counter.Publish() // CONFIG RESETSTAT forgets what is published
	}
	x.begin(e)
	if err := x.include(e, c, args); err != nil {
		s.Refuse(c, err)
		return true
	}
	only := x.only(e)
	switch {
	case c.Is(Long) || only < 0 && c.Merge != MergeNone && (c.Scope == ScopeAll || len(x.keys) > crossKeysMax):
		args = l.setAside(args)
		s.flush()
		s.cross(c, args, s.takeDrop())
		return true
	case only >= 0 && b.across.count > 0, only < 0 && len(b.touched) > 0:
		args = l.flushKeeping(s, args)
	}
	g := &b.across
	if only >= 0 {
		g = b.group(only)
	} else {
		x.join()
	}
	en := b.add(g, c, args, s.db, s.takeDrop())
	if c.simpleKey > 0 {
		en.hash = x.hashes[0]
		return true
	}
	from := len(b.keys)
	b.keys, b.hashes = append(b.keys, x.keys...), append(b.hashes, x.hashes...)
	en.keys, en.hashes = b.keys[from:], b.hashes[from:]
	return true
}
