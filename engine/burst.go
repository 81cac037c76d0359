package engine

import (
	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// burstMax is how many commands of one client are taken together.
const burstMax = 128

// A burst is what one client has sent at once, as far as it can run together:
// commands on single shards, grouped by shard, and session commands that need
// not wait for them. One per loop.
//
//	entries   0:GET a   1:SET b   2:PING   3:GET c   4:GET d
//	shard 0   0 ──────────────────────────► 3
//	shard 1             1 ─────────────────────────► 4
//	here                          2 (has run)
//
// Each group runs under one turn. The replies come out group by group and are
// put back into the order of the entries. Commands over several shards form a
// group as well, which runs under the turns of all of them; it is never in one
// burst with groups of single shards, because those have to run before or after.
type burst struct {
	args    [][]byte // of all entries; slices of the input
	keys    []int    // positions of keys within the args of an entry
	hashes  []uint64 // of those keys
	entries [burstMax]entry
	count   int
	groups  []group // by shard
	touched []int   // shards with a group
	across  group   // the commands over several shards
	mixed   bool    // some reply was written while parsing, or is to be dropped
	sink    uint64  // keeps prefetches from being optimised away
}

// item is one command with what the router has found out about it.
type item struct {
	command *Command
	args    [][]byte
	db      int
	hash    uint64 // of the only key, if the command has a simple one
	// keys are the positions of its keys otherwise, hashes those of the keys.
	keys   []int
	hashes []uint64
}

// entry is one command of a burst.
type entry struct {
	item
	next int // the next entry of the same group, -1 at the end
	// start and end are where its reply is in the loop's scratch buffer.
	start, end int
	remote     *pending // where it runs, if not here
	drop       bool     // the client wants no reply
}

type group struct{ first, last, count int }

var noGroup = group{first: -1}

func (b *burst) init(shards int) {
	b.groups = make([]group, shards)
	for i := range b.groups {
		b.groups[i] = noGroup
	}
	b.across = noGroup
}

func (b *burst) reset() {
	for _, i := range b.touched {
		b.groups[i] = noGroup
	}
	b.across = noGroup
	clear(b.args)
	b.args, b.keys, b.hashes = b.args[:0], b.keys[:0], b.hashes[:0]
	b.touched = b.touched[:0]
	b.count = 0
	b.mixed = false
}

// add appends a command to a group.
func (b *burst) add(g *group, c *Command, args [][]byte, db int, drop bool) *entry {
	i := b.count
	b.count++
	b.entries[i] = entry{item: item{command: c, args: args, db: db}, next: -1, drop: drop}
	if drop {
		b.mixed = true
	}
	if g.first < 0 {
		g.first = i
	} else {
		b.entries[g.last].next = i
	}
	g.last = i
	g.count++
	return &b.entries[i]
}

// group is the group of a shard.
func (b *burst) group(shardIndex int) *group {
	g := &b.groups[shardIndex]
	if g.first < 0 {
		b.touched = append(b.touched, shardIndex)
	}
	return g
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
	// Replies that need no reordering go straight to the output.
	direct := len(b.touched) <= 1 && !b.mixed && s.pipeline.empty()
	out := &l.scratch
	if direct {
		out = &l.output
	}
	all := false
	if b.across.count > 0 {
		all = s.runAcross(out)
	} else {
		all = s.runGroups(out)
	}
	if direct && !all {
		// What has run is in the output already, ahead of what has not.
		for i := range b.count {
			b.entries[i].start, b.entries[i].end = 0, 0
		}
	}
	if !direct || !all {
		s.assemble()
	}
	b.reset()
}

// runGroups runs the groups of single shards, here or, where a shard stays busy,
// by its mailbox. It says whether all have run here.
func (s *Session) runGroups(out *[]byte) (all bool) {
	b := &s.loop.burst
	var busy [16]int
	waiting := busy[:0]
	all = true
	for _, i := range b.touched {
		ran, rest := s.runGroup(i, out)
		if !ran {
			waiting = append(waiting, i)
		}
		all = all && !rest
	}
	for _, i := range waiting {
		// Others had the turn a moment ago; our other groups have run since.
		if len(b.touched) > 1 {
			if ran, rest := s.runGroup(i, out); ran {
				all = all && !rest
				continue
			}
		}
		s.postGroup(i)
		all = false
	}
	return all
}

// runGroup runs the entries of one shard here, if the shard is free, and
// appends their replies to out. rest says that some of them had to be posted,
// because somebody is to be served between them.
func (s *Session) runGroup(index int, out *[]byte) (ran, rest bool) {
	e := s.engine
	sh := e.Shards.Shards[index]
	if e.foreignOnly || !sh.Enter() {
		return false, false
	}
	g := &s.loop.burst.groups[index]
	s.prefetch(sh.Call(), g)
	if rest = s.runEntries(sh.Call(), g, out); rest {
		s.postGroup(index)
	}
	sh.Exit()
	return true, rest
}

// runAcross runs the commands over several shards, here or, where a shard is busy,
// by a transaction. It says whether all have run here.
func (s *Session) runAcross(out *[]byte) (all bool) {
	e := s.engine
	x := &s.loop.crossing
	x.finish(e)
	if e.foreignOnly || !e.Shards.EnterAll(x.shards) {
		s.postAcross()
		return false
	}
	g := &s.loop.burst.across
	x.call.Bind(e.Shards, x.shards...)
	s.prefetch(&x.call, g)
	rest := s.runEntries(&x.call, g, out)
	if rest {
		s.postAcross()
	}
	e.Shards.ExitAll(x.shards)
	return !rest
}

// runEntries runs a group with a call that is bound to its shards, whose turns
// are held. rest says that the group is now what must come behind somebody who
// waits and is to be served first.
func (s *Session) runEntries(call *shard.Call, g *group, out *[]byte) (rest bool) {
	b := &s.loop.burst
	w := resp.Writer{Buf: *out, Proto: s.proto}
	call.BeginClient(&s.client, &w)
	s.loop.now = call.Now
	at := clock.Monotonic()
	for i := g.first; i >= 0; i = b.entries[i].next {
		en := &b.entries[i]
		en.start = len(w.Buf)
		at = en.run(call, at)
		en.end = len(w.Buf)
		if call.Overtaken() && en.next >= 0 {
			g.first, rest = en.next, true
			break
		}
	}
	call.EndClient()
	*out = w.Buf
	return rest
}

// run executes the command with a call that is bound to its shards. start and
// end are readings of the monotonic clock.
func (m *item) run(call *shard.Call, start int64) (end int64) {
	call.Begin(m.db, m.args)
	call.Command = m.command.id
	call.FirstKey, call.FirstHash = m.command.simpleKey, m.hash
	call.Keys, call.Hashes = m.keys, m.hashes
	return call.Execute(m.command.Run, start)
}

// prefetch brings the memory of a group's keys near: first all buckets, then all
// records, then the members of large collections, so that the misses overlap instead
// of adding up.
func (s *Session) prefetch(call *shard.Call, g *group) {
	b := &s.loop.burst
	if g.count == 1 && !b.entries[g.first].several() {
		return
	}
	var sink uint64
	for i := g.first; i >= 0; i = b.entries[i].next {
		sink += b.entries[i].touchBuckets(call)
	}
	for i := g.first; i >= 0; i = b.entries[i].next {
		sink += b.entries[i].touchRecords(call)
	}
	for i := g.first; i >= 0; i = b.entries[i].next {
		b.entries[i].noteMembers(call)
	}
	b.sink += sink
	call.PrefetchMembers()
}

// several says that the command has more than one place in memory to go to.
func (m *item) several() bool {
	c := m.command
	return len(m.keys) > 1 || c.MemberStep > 0 && len(m.args) > c.Member+c.MemberStep
}

// noteMembers tells the call which members the command is about.
func (m *item) noteMembers(call *shard.Call) {
	c := m.command
	if c.Member == 0 || c.simpleKey == 0 {
		return
	}
	for at := c.Member; at < len(m.args); at += c.MemberStep {
		if !call.PrefetchMember(m.db, m.args[c.simpleKey], m.hash, m.args[at]) || c.MemberStep == 0 {
			return
		}
	}
}

func (m *item) touchBuckets(call *shard.Call) (sink uint64) {
	if m.command.simpleKey > 0 {
		return call.Prefetch(m.db, m.args[m.command.simpleKey], m.hash)
	}
	for i, at := range m.keys {
		sink += call.Prefetch(m.db, m.args[at], m.hashes[i])
	}
	return sink
}

func (m *item) touchRecords(call *shard.Call) (sink uint64) {
	if m.command.simpleKey > 0 {
		return call.PrefetchRecord(m.db, m.args[m.command.simpleKey], m.hash)
	}
	for i, at := range m.keys {
		sink += call.PrefetchRecord(m.db, m.args[at], m.hashes[i])
	}
	return sink
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
	if cap(l.scratch) > outputRoundBytes {
		l.scratch = nil
	}
	l.scratch = l.scratch[:0]
}

// here returns a writer for the reply of a command that runs while the burst is
// gathered, and keepHere puts that reply into the burst's order.
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
