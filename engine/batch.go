package engine

import (
	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// A batch is a group of a burst on its way to shards that are busy. It owns
// copies of the commands, because the input they came in will be reused. A
// group of one shard travels as a job, one of several as a transaction.
type batch struct {
	shard.Node
	pending
	txn      shard.Transaction
	call     shard.Call // of a transaction
	client   shard.Client
	proto    int
	commands []item
	args     [][]byte
	bytes    []byte
	keys     []int
	hashes   []uint64
	ran      int    // how many commands have run
	sink     uint64 // keeps prefetches from being optimised away
	nextFree *batch
}

// postGroup puts a group of one shard into the shard's mailbox.
func (s *Session) postGroup(index int) {
	t := s.copyGroup(&s.loop.burst.groups[index])
	s.engine.Shards.Shards[index].Post(&t.Node, t)
}

// postAcross submits the group over several shards as one transaction.
func (s *Session) postAcross() {
	x := &s.loop.crossing
	t := s.copyGroup(&s.loop.burst.across)
	t.txn.Shards = append(t.txn.Shards[:0], x.shards...)
	s.engine.Shards.Submit(&t.txn)
}

// copyGroup makes a batch of a group, whose entries wait for it from now on.
func (s *Session) copyGroup(g *group) *batch {
	b := &s.loop.burst
	t := s.loop.takeBatch()
	t.session, t.client, t.proto = s, s.client, s.proto
	size := 0
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
		from, keysFrom := len(t.args), len(t.keys)
		for _, arg := range en.args {
			at := len(t.bytes)
			t.bytes = append(t.bytes, arg...)
			t.args = append(t.args, t.bytes[at:len(t.bytes):len(t.bytes)])
		}
		t.keys, t.hashes = append(t.keys, en.keys...), append(t.hashes, en.hashes...)
		t.commands = append(t.commands, item{
			command: en.command, db: en.db, hash: en.hash,
			args: t.args[from:], keys: t.keys[keysFrom:], hashes: t.hashes[keysFrom:],
		})
		en.remote = &t.pending
		t.replies = append(t.replies, replyRange{entry: i})
	}
	return t
}

// RunOn implements shard.Job.
func (t *batch) RunOn(sh *shard.Shard) {
	t.run(sh.Call())
	if t.ran < len(t.commands) {
		sh.Post(&t.Node, t) // behind who is to be served first
		return
	}
	sh.Publish()
	t.session.loop.complete(&t.pending)
}

// runAcross is the body of the transaction.
func (t *batch) runAcross() {
	t.call.Bind(t.txn.Shards[0].Set(), t.txn.Shards...)
	for t.ran < len(t.commands) {
		t.run(&t.call) // a transaction is not divided
	}
}

// run runs commands from where it has stopped before, until somebody is to be
// served first or all have run.
func (t *batch) run(call *shard.Call) {
	w := resp.Writer{Buf: t.reply, Proto: t.proto}
	call.BeginClient(&t.client, &w)
	var sink uint64
	rest := t.commands[t.ran:]
	for i := range rest {
		sink += rest[i].touchBuckets(call)
	}
	for i := range rest {
		sink += rest[i].touchRecords(call)
	}
	for i := range rest {
		rest[i].noteMembers(call)
	}
	t.sink = sink
	call.PrefetchMembers()
	at := clock.Monotonic()
	for t.ran < len(t.commands) {
		i := t.ran
		t.replies[i].start = len(w.Buf)
		at = t.commands[i].run(call, at)
		t.replies[i].end = len(w.Buf)
		if t.ran++; call.Overtaken() {
			break
		}
	}
	call.EndClient()
	t.reply = w.Buf
}

func (l *Loop) takeBatch() *batch {
	t := l.batches
	if t == nil {
		t = new(batch)
		t.free = func() { l.giveBatch(t) }
		t.txn.Body = t.runAcross
		t.txn.Done = func() { l.complete(&t.pending) }
		return t
	}
	l.batches, t.nextFree = t.nextFree, nil
	l.batchesFree--
	return t
}

const (
	// batchKeepBytes is the largest buffer that a batch keeps for its next use.
	batchKeepBytes = 64 << 10
	// batchesKept is how many batches a loop keeps for their next use.
	batchesKept = 256
)

// giveBatch takes a batch back whose replies have all left.
func (l *Loop) giveBatch(t *batch) {
	if l.batchesFree == batchesKept {
		return
	}
	l.batchesFree++
	clear(t.args)
	clear(t.commands)
	t.args, t.commands, t.bytes = t.args[:0], t.commands[:0], t.bytes[:0]
	t.keys, t.hashes = t.keys[:0], t.hashes[:0]
	if cap(t.bytes) > batchKeepBytes {
		t.bytes = nil
	}
	t.client, t.ran = shard.Client{}, 0
	t.pending.reset()
	t.nextFree, l.batches = l.batches, t
}
