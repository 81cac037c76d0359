package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/shard"
)

// A Loop is the goroutine that some sessions belong to: an event loop of the
// network, or the caller of an embedded client. Its methods are called on that
// goroutine only, except where they say otherwise.
type Loop struct {
	engine *Engine
	index  int
	// wake makes Woken be called on the loop; safe for concurrent use.
	wake func()

	// done is the stack of work that finished elsewhere.
	done atomic.Pointer[pending]
	// tasks is work that others want done on the loop.
	tasks atomic.Pointer[task]
	// active says that the loop is between enter and leave and will look at done
	// and tasks before it sleeps, so that nobody need wake it.
	active atomic.Bool
	// depth counts nested entries: closing a connection inside Feed calls back.
	depth int

	burst    burst
	crossing crossingScratch
	current  [][]byte // the arguments of a command that runs behind a flush
	output   []byte   // what the current Feed has to send
	scratch  []byte   // replies that are not yet in order
	batches  *batch   // free list
	// batchesFree is how long the list is.
	batchesFree int

	// now is about the time, in Unix milliseconds: that of the last group or tick.
	now int64

	counter *shard.CommandCounter // of session commands
	// bytesIn and bytesOut count the traffic; written by the loop only.
	bytesIn, bytesOut atomic.Uint64
	errors            errorCounts
	// yielded are sessions that go on in the next round.
	yielded []*Session
	// trusted is the sum of the sessions' own.
	trusted int
	// sessions are those open on the loop.
	sessions map[*Session]struct{}
}

type task struct {
	next *task
	run  func()
}

// NewLoop adds a loop. wake is called from any goroutine when Woken should run.
// Any goroutine may call it.
func (e *Engine) NewLoop(index int, wake func()) *Loop {
	l := &Loop{
		engine:   e,
		index:    index,
		wake:     wake,
		counter:  shard.NewCommandCounter(len(e.Table.all)),
		sessions: make(map[*Session]struct{}),
	}
	l.burst.init(len(e.Shards.Shards))
	e.mu.Lock()
	e.loops = append(e.loops, l)
	e.mu.Unlock()
	return l
}

// Close removes the loop; its sessions must have been closed.
func (l *Loop) Close() {
	e := l.engine
	l.counter.Publish()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, other := range e.loops {
		if other == l {
			e.loops = append(e.loops[:i], e.loops[i+1:]...)
			e.retired.Merge(l.counter)
			e.retiredErrors.take(&l.errors)
			e.Totals.bytesIn.Add(l.bytesIn.Load())
			e.Totals.bytesOut.Add(l.bytesOut.Load())
			return
		}
	}
}

// enter marks the loop as active. Every entry from outside begins with it.
func (l *Loop) enter() {
	if l.depth == 0 {
		l.active.Store(true)
	}
	l.depth++
}

// leave handles what finished elsewhere and marks the loop as asleep.
func (l *Loop) leave() {
	if l.depth > 1 {
		l.depth--
		return
	}
	for range settleRoundsMax {
		l.settle()
		l.counter.Publish()
		l.active.Store(false)
		if l.done.Load() == nil && l.tasks.Load() == nil {
			l.depth = 0
			return
		}
		l.active.Store(true)
	}
	// The sockets come first; the loop will be back.
	l.active.Store(false)
	l.depth = 0
	l.wake()
}

// settleRoundsMax is how often a loop looks for finished work and tasks before
// it returns to its sockets.
const settleRoundsMax = 8

// settle runs the tasks and completions that are there.
func (l *Loop) settle() {
	var first *task
	for t := l.tasks.Swap(nil); t != nil; {
		next := t.next
		t.next = first
		first, t = t, next
	}
	for ; first != nil; first = first.next {
		first.run()
	}
	var finished *pending
	for p := l.done.Swap(nil); p != nil; {
		next := p.next
		p.next = finished
		finished, p = p, next
	}
	for finished != nil {
		p := finished
		finished, p.next = p.next, nil
		p.session.completed(p)
	}
}

// Woken handles what finished elsewhere and goes on with the sessions that have
// yielded; the network calls it after wake, once per round of its sockets.
func (l *Loop) Woken() {
	l.enter()
	if sessions := l.yielded; len(sessions) > 0 {
		l.yielded = nil // they may yield again
		for _, s := range sessions {
			s.yielded = false
			s.resume()
		}
	}
	l.leave()
}

// complete brings finished work back to the loop. Any goroutine may call it.
func (l *Loop) complete(p *pending) {
	for {
		head := l.done.Load()
		p.next = head
		if l.done.CompareAndSwap(head, p) {
			break
		}
	}
	if !l.active.Load() {
		l.wake()
	}
}

// Post has f run on the loop, between its rounds. Any goroutine may call it.
func (l *Loop) Post(f func()) { l.post(f) }

// post is Post for the engine's own.
func (l *Loop) post(run func()) {
	t := &task{run: run}
	for {
		head := l.tasks.Load()
		t.next = head
		if l.tasks.CompareAndSwap(head, t) {
			break
		}
	}
	if !l.active.Load() {
		l.wake()
	}
}

// Tick is called about every 100 ms: idle clients and slow readers are looked for.
func (l *Loop) Tick(now time.Time) {
	l.enter()
	l.now = l.engine.NowMillis()
	for s := range l.sessions {
		s.tick(now)
	}
	if cap(l.output) > outputKeepBytes {
		l.output = nil
	}
	if cap(l.scratch) > outputKeepBytes {
		l.scratch = nil
	}
	l.leave()
}

// errorCounts counts the error replies of session commands and refused commands
// by prefix. Errors are rare enough for a lock.
type errorCounts struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (c *errorCounts) count(err error) {
	prefix := shard.ErrorPrefix(err)
	c.mu.Lock()
	if c.counts == nil {
		c.counts = make(map[string]uint64)
	}
	c.counts[prefix]++
	c.mu.Unlock()
}

func (c *errorCounts) add(sum map[string]uint64) {
	c.mu.Lock()
	for prefix, n := range c.counts {
		sum[prefix] += n
	}
	c.mu.Unlock()
}

// take moves the counts of other, which nobody uses any more.
func (c *errorCounts) take(other *errorCounts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]uint64)
	}
	other.add(c.counts)
}

func (c *errorCounts) reset() {
	c.mu.Lock()
	clear(c.counts)
	c.mu.Unlock()
}
