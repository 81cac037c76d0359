package engine

import (
	"bytes"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// crossingScratch is where a loop plans commands over several shards.
type crossingScratch struct {
	call   shard.Call
	shards []*shard.Shard // of the group or command that runs, in ascending order
	// taken marks the shards of the command at hand, all of them those of the
	// whole group, both by shard index.
	taken, all []bool
	keys       []int // positions of the keys in the arguments
	hashes     []uint64
}

func (x *crossingScratch) begin(e *Engine) {
	if x.taken == nil {
		x.taken = make([]bool, len(e.Shards.Shards))
		x.all = make([]bool, len(e.Shards.Shards))
	}
	clear(x.taken)
	x.keys, x.hashes = x.keys[:0], x.hashes[:0]
}

// add includes a shard.
func (x *crossingScratch) add(sh *shard.Shard) { x.taken[sh.Index] = true }

// only returns the index of the shard of a command that needs just one, -1 when
// it needs several. A command without keys where some belong, say because of a
// count that does not fit, runs on any shard: its body finds the right words.
func (x *crossingScratch) only(e *Engine) int {
	only := -1
	for i, in := range x.taken {
		if in {
			if only >= 0 {
				return -1
			}
			only = i
		}
	}
	return max(only, 0)
}

// join adds the shards of the command at hand to those of the group.
func (x *crossingScratch) join() {
	for i, in := range x.taken {
		x.all[i] = x.all[i] || in
	}
}

// finish lists the shards of the group in ascending order and forgets the group.
func (x *crossingScratch) finish(e *Engine) {
	x.shards = x.shards[:0]
	for i, in := range x.all {
		if in {
			x.shards = append(x.shards, e.Shards.Shards[i])
		}
	}
	clear(x.all)
}

// include adds the shards of one command.
func (x *crossingScratch) include(e *Engine, c *Command, args [][]byte) error {
	switch c.Scope {
	case ScopeAll:
		for i := range x.taken {
			x.taken[i] = true
		}
		return nil
	case ScopeCursor:
		if cursor, ok := shard.ParseCursor(args[1]); ok {
			x.taken[shard.CursorShard(cursor, len(e.Shards.Shards))] = true
		}
		return nil
	}
	if c.Wide != nil && c.Wide(args) {
		for i := range x.taken {
			x.taken[i] = true
		}
	}
	from := len(x.keys)
	if c.Find != nil {
		found, err := c.Find(args)
		if err != nil {
			return err
		}
		x.keys = append(x.keys, found...)
	} else {
		for i := range c.Keys {
			x.keys = c.Keys[i].positions(args, x.keys)
		}
	}
	for _, at := range x.keys[from:] {
		key := args[at]
		hash := shard.Hash(key)
		x.hashes = append(x.hashes, hash)
		x.add(e.Shards.Of(shard.RouteHash(key, hash)))
	}
	return nil
}

// cross runs a command by itself that needs all shards, or many keys on several,
// or long: at once if its shards are all free, as a transaction if not.
func (s *Session) cross(c *Command, args [][]byte, drop bool) {
	l := s.loop
	e := l.engine
	x := &l.crossing
	x.join()
	x.finish(e)
	if len(x.shards) == 0 {
		x.shards = append(x.shards, e.Shards.Shards[0])
	}
	s.info.commands.Add(1)
	if !c.Is(Long) && !e.foreignOnly && e.Shards.EnterAll(x.shards) {
		w := s.answer()
		mark := len(w.Buf)
		x.call.Bind(e.Shards, x.shards...)
		runOn(&x.call, c, args, s.db, &s.client, &w, false)
		e.Shards.ExitAll(x.shards)
		s.answered(&w, mark, drop)
		return
	}
	t := &crossing{command: c, args: cloneArgs(args), db: s.db, client: s.client, proto: s.proto}
	t.session = s
	t.txn.Shards = append([]*shard.Shard(nil), x.shards...)
	t.txn.Long = c.Is(Long)
	t.txn.Done = t.finish
	if c.Merge != MergeNone && len(t.txn.Shards) > 1 {
		t.split(e, x.keys)
		t.txn.Part = t.runPart
		if c.Scope == ScopeAll && c.Is(Write) {
			t.txn.Whole = t.runWhole
		}
	} else {
		t.txn.Body = t.runWhole
	}
	s.pipeline.wait(&t.pending, 0, drop)
	s.learnReply(replySizeFirst) // such commands may answer much: few at a time
	e.Shards.Submit(&t.txn)
}

// answer returns the writer for a reply that is next in the order of requests.
func (s *Session) answer() resp.Writer {
	if s.pipeline.empty() {
		return resp.Writer{Buf: s.loop.output, Proto: s.proto}
	}
	return resp.Writer{Proto: s.proto}
}

// answered takes over what was written to answer's writer behind mark.
func (s *Session) answered(w *resp.Writer, mark int, drop bool) {
	if drop {
		w.Buf = w.Buf[:mark]
	}
	if s.pipeline.empty() {
		s.loop.output = w.Buf
		return
	}
	s.pipeline.ready(w.Buf)
}

// runOn runs one command, or a part of one, with a call that is bound to its
// shards, and returns how long that took.
func runOn(call *shard.Call, c *Command, args [][]byte, db int, client *shard.Client, w *resp.Writer, part bool) (nanos int64) {
	call.BeginClient(client, w)
	call.Begin(db, args)
	call.Command, call.Part = c.id, part
	start := clock.Monotonic()
	nanos = call.Execute(c.Run, start) - start
	call.EndClient()
	return nanos
}

// crossing is a command over several shards that had to be handed to them.
type crossing struct {
	pending
	txn     shard.Transaction
	command *Command
	args    [][]byte
	db      int
	client  shard.Client
	proto   int
	parts   []part
}

// part is what one shard does of a crossing.
type part struct {
	args  [][]byte
	order []int // for MergeOrder: which key each of the part's keys was
	reply []byte
	nanos int64 // how long it took
}

func cloneArgs(args [][]byte) [][]byte {
	size := 0
	for _, arg := range args {
		size += len(arg)
	}
	all := make([]byte, 0, size)
	clone := make([][]byte, len(args))
	for i, arg := range args {
		at := len(all)
		all = append(all, arg...)
		clone[i] = all[at:len(all):len(all)]
	}
	return clone
}

// split gives every shard the arguments that concern its keys: the name, and
// each key with what belongs to it. A command without keys goes to all as it is.
func (t *crossing) split(e *Engine, keys []int) {
	t.parts = make([]part, len(t.txn.Shards))
	if len(keys) == 0 {
		for i := range t.parts {
			t.parts[i].args = t.args
		}
		return
	}
	place := make([]int, len(e.Shards.Shards))
	for i, sh := range t.txn.Shards {
		place[sh.Index] = i
		t.parts[i].args = [][]byte{t.args[0]}
	}
	step := max(t.command.Keys[0].Step, 1)
	for n, at := range keys {
		key := t.args[at]
		p := &t.parts[place[e.Shards.IndexOf(shard.RouteHash(key, shard.Hash(key)))]]
		p.args = append(p.args, t.args[at:min(at+step, len(t.args))]...)
		p.order = append(p.order, n)
	}
}

// runPart runs the part of one shard.
func (t *crossing) runPart(index int, sh *shard.Shard) {
	w := resp.Writer{Proto: t.proto}
	client := t.client
	p := &t.parts[index]
	p.nanos = runOn(sh.Call(), t.command, p.args, t.db, &client, &w, true)
	p.reply = w.Buf
}

// runWhole runs the command with all its shards in hand.
func (t *crossing) runWhole() {
	w := resp.Writer{Proto: t.proto}
	var call shard.Call
	call.Bind(t.txn.Shards[0].Set(), t.txn.Shards...)
	runOn(&call, t.command, t.args, t.db, &t.client, &w, false)
	t.reply = w.Buf
}

// finish merges the parts and brings the reply home.
func (t *crossing) finish() {
	if t.txn.Body == nil {
		t.reply = merge(t.command.Merge, t.parts)
		t.finished = t.count
	}
	t.session.loop.complete(&t.pending)
}

// count counts a command that ran in parts, as one. On the loop.
func (t *crossing) count() {
	l := t.session.loop
	var took int64
	for i := range t.parts {
		took += t.parts[i].nanos
	}
	if t.reply[0] == '-' {
		l.counter.Failed(t.command.id)
		l.errors.count(resp.Error(t.reply[1:]))
	}
	l.counter.Ran(t.command.id, took)
	if slow := l.engine.Shards.SlowNanos.Load(); slow >= 0 && took >= slow {
		l.engine.Slowlog.add(l.engine, t.session, t.command, t.args, took)
	}
}

// merge makes one reply of the replies of the parts. An error in any part is
// the reply of the whole.
func merge(how Merge, parts []part) []byte {
	for i := range parts {
		if len(parts[i].reply) > 0 && parts[i].reply[0] == '-' {
			return parts[i].reply
		}
	}
	w := resp.Writer{}
	switch how {
	case MergeSum:
		var sum int64
		for i := range parts {
			n, _ := resp.ParseInt(bytes.TrimSuffix(parts[i].reply[1:], []byte("\r\n")))
			sum += n
		}
		w.Int(sum)
	case MergeFirst:
		return parts[0].reply
	case MergeConcat:
		total := 0
		for i := range parts {
			n, _ := aggregate(parts[i].reply)
			total += n
		}
		w.Array(total)
		for i := range parts {
			_, elements := aggregate(parts[i].reply)
			w.Raw(elements)
		}
	case MergeOrder:
		total := 0
		for i := range parts {
			total += len(parts[i].order)
		}
		ordered := make([][]byte, total)
		for i := range parts {
			_, elements := aggregate(parts[i].reply)
			for _, n := range parts[i].order {
				size, _ := resp.SkipValue(elements)
				ordered[n], elements = elements[:size], elements[size:]
			}
		}
		w.Array(total)
		for _, element := range ordered {
			w.Raw(element)
		}
	}
	return w.Buf
}

// aggregate takes the header off an array reply.
func aggregate(reply []byte) (count int, elements []byte) {
	end := bytes.IndexByte(reply, '\n')
	n, _ := resp.ParseInt(reply[1 : end-1])
	return int(n), reply[end+1:]
}
