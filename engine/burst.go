package engine

import (
	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// burstMax is how many commands of one client are taken together.
const burstMax = 128

// A burst is what one client has sent at once, as far as it can run together:
// commands on single keys, grouped by shard, and session commands that need not
// wait for them. One per loop.
//
//	entries   0:GET a   1:SET b   2:PING   3:GET c   4:GET d
//	shard 0   0 ──────────────────────────► 3
//	shard 1             1 ─────────────────────────► 4
//	here                          2 (has run)
//
// Each group runs under one turn. The replies come out group by group and are
// put back into the order of the entries.
type burst struct {
	args    [][]byte // of all entries; slices of the input
	entries [burstMax]entry
	count   int
	groups  []group // by shard
	touched []int   // shards with a group
	mixed   bool    // some reply was written while parsing, or is to be dropped
	sink    uint64  // keeps prefetches from being optimised away
}

// entry is one command of a burst.
type entry struct {
	command *Command
	args    [][]byte
	hash    uint64
	db      int
	next    int // the next entry of the same shard, -1 at the end
	// start and end are where its reply is in the loop's scratch buffer, or in
	// the reply of remote.
	start, end int
	remote     *pending
	drop       bool // the client wants no reply
}

type group struct{ first, last, count int }

func (b *burst) init(shards int) {
	b.groups = make([]group, shards)
	for i := range b.groups {
		b.groups[i].first = -1
	}
}

func (b *burst) reset() {
	for _, i := range b.touched {
		b.groups[i] = group{first: -1}
	}
	clear(b.args)
	b.args = b.args[:0]
	b.touched = b.touched[:0]
	b.count = 0
	b.mixed = false
}

// add puts a command on a single key into the group of its shard.
func (b *burst) add(c *Command, args [][]byte, hash uint64, db, shardIndex int, drop bool) {
	i := b.count
	b.count++
	b.entries[i] = entry{command: c, args: args, hash: hash, db: db, next: -1, drop: drop}
	if drop {
		b.mixed = true
	}
	g := &b.groups[shardIndex]
	if g.first < 0 {
		g.first = i
		b.touched = append(b.touched, shardIndex)
	} else {
		b.entries[g.last].next = i
	}
	g.last = i
	g.count++
}

// flush runs what has gathered in the loop's burst and orders the replies.
func (s *Session) flush() {
	l := s.loop
	b := &l.burst
	if b.count == 0 {
		b.args = b.args[:0]
		return
	}
	s.info.commands.Add(uint64(b.count))
	if len(b.touched) == 1 && !b.mixed && s.pipeline.empty() {
		if s.runGroup(b.touched[0], &l.output) {
			b.reset()
			return
		}
	} else {
		busy := b.touched[:0:0]
		for _, i := range b.touched {
			if !s.runGroup(i, &l.scratch) {
				busy = append(busy, i)
			}
		}
		for _, i := range busy {
			// Others had the turn a moment ago; ours have run since.
			if !s.runGroup(i, &l.scratch) {
				s.postGroup(i)
			}
		}
		s.assemble()
		b.reset()
		return
	}
	s.postGroup(b.touched[0])
	s.assemble()
	b.reset()
}

// runGroup runs the entries of one shard here, if the shard is free, and
// appends their replies to out.
func (s *Session) runGroup(index int, out *[]byte) bool {
	e := s.loop.engine
	b := &s.loop.burst
	sh := e.Shards.Shards[index]
	if e.foreignOnly || !sh.Enter() {
		return false
	}
	g := &b.groups[index]
	if g.count > 1 {
		s.prefetch(sh, g)
	}
	call := sh.Call()
	w := resp.Writer{Buf: *out, Proto: s.proto}
	call.Reply = &w
	call.Client = &s.client
	call.Now = e.Shards.Now()
	at := clock.Monotonic()
	for i := g.first; i >= 0; i = b.entries[i].next {
		en := &b.entries[i]
		en.start = len(w.Buf)
		call.Begin(en.db, en.args)
		call.Command = en.command.id
		call.FirstKey, call.FirstHash = en.command.simpleKey, en.hash
		at = call.Execute(en.command.Run, at)
		en.end = len(w.Buf)
	}
	call.Client, call.Reply = nil, nil
	*out = w.Buf
	sh.Exit()
	return true
}

// prefetch brings the memory of a group's keys near: first all buckets, then all
// records, so that the misses overlap instead of adding up.
func (s *Session) prefetch(sh *shard.Shard, g *group) {
	b := &s.loop.burst
	var sink uint64
	for i := g.first; i >= 0; i = b.entries[i].next {
		sink += sh.Prefetch(b.entries[i].db, b.entries[i].hash)
	}
	for i := g.first; i >= 0; i = b.entries[i].next {
		sink += sh.PrefetchRecord(b.entries[i].db, b.entries[i].hash)
	}
	b.sink += sink
}

// assemble appends the replies of the burst in the order of the requests to the
// loop's output, or to the session's pipeline when some of them are not there yet.
func (s *Session) assemble() {
	l := s.loop
	b := &l.burst
	for i := range b.count {
		en := &b.entries[i]
		switch {
		case en.remote != nil:
			s.pipeline.wait(en.remote, i, en.drop)
		case en.drop:
		case s.pipeline.empty():
			l.output = append(l.output, l.scratch[en.start:en.end]...)
		default:
			s.pipeline.ready(l.scratch[en.start:en.end])
		}
		en.remote = nil
	}
	if cap(l.scratch) > outputKeepBytes {
		l.scratch = nil
	}
	l.scratch = l.scratch[:0]
}

// here returns a writer for the reply of a command that runs while the burst is
// gathered, and keep puts that reply into the burst's order.
func (s *Session) here() resp.Writer {
	return resp.Writer{Buf: s.loop.scratch, Proto: s.proto}
}

func (s *Session) keepHere(w *resp.Writer, drop bool) {
	l := s.loop
	b := &l.burst
	b.entries[b.count] = entry{next: -1, start: len(l.scratch), end: len(w.Buf), drop: drop}
	b.count++
	b.mixed = true
	l.scratch = w.Buf
}

// A batch is a group on its way to a shard that is busy. It owns copies of the
// commands, because the input they came in will be reused.
type batch struct {
	shard.Node
	pending
	client   shard.Client
	proto    int
	commands []batchCommand
	args     [][]byte
	bytes    []byte
	nextFree *batch
}

type batchCommand struct {
	command  *Command
	from, to int // in args
	hash     uint64
	db       int
}

// postGroup copies a group into a batch and puts it into the shard's mailbox.
func (s *Session) postGroup(index int) {
	l := s.loop
	b := &l.burst
	t := l.takeBatch()
	t.session, t.client, t.proto = s, s.client, s.proto
	size := 0
	g := &b.groups[index]
	for i := g.first; i >= 0; i = b.entries[i].next {
		for _, arg := range b.entries[i].args {
			size += len(arg)
		}
	}
	if cap(t.bytes) < size {
		t.bytes = make([]byte, 0, size)
	}
	for i := g.first; i >= 0; i = b.entries[i].next {
		en := &b.entries[i]
		from := len(t.args)
		for _, arg := range en.args {
			at := len(t.bytes)
			t.bytes = append(t.bytes, arg...)
			t.args = append(t.args, t.bytes[at:len(t.bytes):len(t.bytes)])
		}
		t.commands = append(t.commands, batchCommand{command: en.command, from: from, to: len(t.args), hash: en.hash, db: en.db})
		en.remote = &t.pending
		t.replies = append(t.replies, replyRange{entry: i})
	}
	l.engine.Shards.Shards[index].Post(&t.Node, t)
}

// RunOn implements shard.Job.
func (t *batch) RunOn(sh *shard.Shard) {
	call := sh.Call()
	w := resp.Writer{Buf: t.reply, Proto: t.proto}
	call.Reply = &w
	call.Client = &t.client
	call.Now = call.Set().Now()
	at := clock.Monotonic()
	for i := range t.commands {
		c := &t.commands[i]
		t.replies[i].start = len(w.Buf)
		call.Begin(c.db, t.args[c.from:c.to])
		call.Command = c.command.id
		call.FirstKey, call.FirstHash = c.command.simpleKey, c.hash
		at = call.Execute(c.command.Run, at)
		t.replies[i].end = len(w.Buf)
	}
	call.Client, call.Reply = nil, nil
	t.reply = w.Buf
	t.session.loop.complete(&t.pending)
}

func (l *Loop) takeBatch() *batch {
	t := l.batches
	if t == nil {
		t = new(batch)
		t.free = func() { l.giveBatch(t) }
		return t
	}
	l.batches, t.nextFree = t.nextFree, nil
	return t
}

// batchKeepBytes is the largest buffer that a batch keeps for its next use.
const batchKeepBytes = 64 << 10

func (l *Loop) giveBatch(t *batch) {
	clear(t.args)
	t.args, t.commands, t.bytes = t.args[:0], t.commands[:0], t.bytes[:0]
	if cap(t.bytes) > batchKeepBytes {
		t.bytes = nil
	}
	t.client = shard.Client{}
	t.pending.reset()
	t.nextFree, l.batches = l.batches, t
}
