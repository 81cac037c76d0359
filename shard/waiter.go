package shard

import (
	"bytes"
	"slices"
	"sync/atomic"

	"hyperkv/internal/clock"
	"hyperkv/resp"
)

// A Waiter is a client that waits in a blocking command. Nothing of the command
// is left half done: when one of its keys may have become ready, the command runs
// again from its beginning, under the turns of all shards it needs, and either
// answers or goes on waiting, in its old place.
//
//	found nothing ──► Register: waits in the queue of each of its keys
//	                       │ a mutation notes the key; after the command or the
//	                       │ transaction that did it, the key's queue is served
//	                       ▼
//	       the turns it needs are held ──► runs right there
//	       not all of them            ──► a transaction that is ahead of whatever
//	                                      reaches these shards later
//
// Registering and finding nothing happen under the same turns, so no change goes
// unnoticed in between. Whoever has waited longest is served first.
//
// State says who may end the wait: a server that has moved it from waiting to
// serving, or Cancel. Everything else is written before Register and then only
// under the turns of the shards.
type Waiter struct {
	// Run, Command, Args, Database, Client and Proto say what to run, for whom.
	// They belong to the waiter from Register on.
	Run      Handler
	Command  int
	Args     [][]byte
	Database int
	Client   *Client
	Proto    int
	// Shards are those whose turns the command needs, in ascending order.
	Shards []*Shard
	// Served takes the reply, once, on whatever goroutine; it must not block.
	Served func(reply []byte)

	wait  Wait
	order uint64 // of arrival, over all shards
	via   *Shard // whose holder has put txn into the mailboxes
	state atomic.Uint32
	txn   Transaction
}

const (
	waiterWaiting uint32 = iota
	waiterServing
	waiterDone
)

// Blocked says that the command which has just run through Execute wants to wait;
// what for is in the Wait it was lent.
func (c *Call) Blocked() bool { return c.blocked }

// LetBlock lets the next command block: Block fills in w. It is forgotten with
// the command.
func (c *Call) LetBlock(w *Wait) { c.wait = w }

// Register makes the waiter wait for what the command that blocked has said. The
// caller still holds the turns under which it ran, those of Shards.
func (w *Waiter) Register(set *Set, wait Wait) {
	w.wait = wait
	w.wait.Keys = make([][]byte, len(wait.Keys))
	for i, key := range wait.Keys {
		w.wait.Keys[i] = bytes.Clone(key)
	}
	if wait.Args != nil {
		w.Args = make([][]byte, len(wait.Args))
		for i, arg := range wait.Args {
			w.Args[i] = bytes.Clone(arg)
		}
		w.wait.Args = nil
	}
	w.order = set.arrivals.Add(1)
	for _, key := range w.wait.Keys {
		set.Of(RouteHash(key, Hash(key))).waiting.add(watchKey{w.Database, string(key)}, w)
	}
}

// Until is when the waiter gives up, in milliseconds since the epoch; 0 for never.
func (w *Waiter) Until() int64 { return w.wait.Until }

// TimedOut writes the reply of a wait that was given up.
func (w *Waiter) TimedOut(reply *resp.Writer) error { return w.wait.TimedOut(reply) }

// Cancel ends the wait, unless it is over or about to be. Safe for concurrent use.
// done says that it is over either way, and not by this call.
func (w *Waiter) Cancel() (cancelled, done bool) {
	if w.state.CompareAndSwap(waiterWaiting, waiterDone) {
		w.leave()
		return true, false
	}
	return false, w.state.Load() == waiterDone
}

// leave has the shards forget a waiter that was cancelled.
func (w *Waiter) leave() {
	for _, s := range w.Shards {
		l := &leaver{waiter: w}
		s.Post(&l.Node, l)
	}
}

// leaver takes a cancelled waiter out of the queues of one shard.
type leaver struct {
	Node
	waiter *Waiter
}

// RunOn implements Job.
func (l *leaver) RunOn(s *Shard) { s.waiting.remove(l.waiter, s) }

// waitTable holds those who wait for keys of one shard. Owned by the turn.
type waitTable struct {
	queues map[watchKey]*waitQueue // nil while nobody waits
	ready  []watchKey              // keys that may be ready, in the order in which they became so
	// onDeletion is how many of the queues have somebody whose wait ends when the
	// key is deleted.
	onDeletion int
	// ahead is how many waiters the holder of the turn has put into the mailboxes,
	// to be served before whatever comes next.
	ahead int
	// serving keeps what is made ready meanwhile for the loop that is under way.
	serving bool
	call    *Call // runs the commands of those who are served
}

// waitQueue is who waits for one key, in the order of arrival.
type waitQueue struct {
	waiters    []*Waiter
	noted      bool // the key is in ready
	onDeletion int  // waiters whose wait ends when the key is deleted
}

func (t *waitTable) add(at watchKey, w *Waiter) {
	if t.queues == nil {
		t.queues = make(map[watchKey]*waitQueue)
	}
	q := t.queues[at]
	if q == nil {
		q = new(waitQueue)
		t.queues[at] = q
	}
	if n := len(q.waiters); n > 0 && q.waiters[n-1] == w {
		return // a key may be named twice
	}
	q.waiters = append(q.waiters, w)
	if w.wait.Deletion {
		if q.onDeletion++; q.onDeletion == 1 {
			t.onDeletion++
		}
	}
}

// remove takes w out of the queues of its keys on s.
func (t *waitTable) remove(w *Waiter, s *Shard) {
	for _, key := range w.wait.Keys {
		if s.set.Of(RouteHash(key, Hash(key))) != s {
			continue
		}
		at := watchKey{w.Database, string(key)}
		q := t.queues[at]
		if q == nil {
			continue
		}
		if i := slices.Index(q.waiters, w); i >= 0 {
			q.waiters = slices.Delete(q.waiters, i, i+1)
			if w.wait.Deletion {
				if q.onDeletion--; q.onDeletion == 0 {
					t.onDeletion--
				}
			}
		}
		if len(q.waiters) == 0 {
			delete(t.queues, at)
			if len(t.queues) == 0 {
				t.queues = nil
			}
		}
	}
}

func (t *waitTable) any() bool { return t.queues != nil }

// note remembers that key may have become ready.
func (t *waitTable) note(database int, key []byte) {
	if q := t.queues[watchKey{database, string(key)}]; q != nil && !q.noted {
		q.noted = true
		t.ready = append(t.ready, watchKey{database, string(key)})
	}
}

// noteAll is note for all keys of a database.
func (t *waitTable) noteAll(database int) {
	var found []watchKey
	for at, q := range t.queues {
		if at.database == database && !q.noted {
			q.noted = true
			found = append(found, at)
		}
	}
	// Not in the order of a map, which is another each time.
	slices.SortFunc(found, func(a, b watchKey) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	t.ready = append(t.ready, found...)
}

// noted says that keys of the call's shards may have become ready.
func (c *Call) noted() bool {
	for _, s := range c.shards {
		if len(s.waiting.ready) != 0 {
			return true
		}
	}
	return false
}

// serveReady serves those who wait for keys that the call has made ready.
func (c *Call) serveReady() { serveReady(c.shards) }

// serveReady serves those who wait for keys of the given shards, whose turns are
// held. What serving makes ready is served as well.
func serveReady(held []*Shard) {
	for again := true; again; {
		again = false
		for _, s := range held {
			if len(s.waiting.ready) == 0 || s.waiting.serving {
				continue
			}
			s.waiting.serving = true
			for len(s.waiting.ready) > 0 {
				again = true
				at := s.waiting.ready[0]
				s.waiting.ready = s.waiting.ready[1:]
				if q := s.waiting.queues[at]; q != nil {
					q.noted = false
					s.serveKey(at, held, 0)
				}
			}
			s.waiting.ready = nil
			s.waiting.serving = false
		}
	}
}

// serveKey runs the commands of those who wait for a key, beginning behind the
// given place in the order, for as long as the key has something for them.
func (s *Shard) serveKey(at watchKey, held []*Shard, behind uint64) {
	for i := 0; ; {
		q := s.waiting.queues[at]
		if q == nil || i >= len(q.waiters) {
			return
		}
		w := q.waiters[i]
		if w.order <= behind || w.state.Load() == waiterDone || !s.concerns(at, w) {
			i++
			continue
		}
		if !containsAll(held, w.Shards) {
			if w.state.CompareAndSwap(waiterWaiting, waiterServing) {
				s.serveLater(w)
			}
			return // those behind come after it: see serveLater
		}
		if !w.state.CompareAndSwap(waiterWaiting, waiterServing) {
			if w.state.Load() == waiterServing {
				return // its transaction is on the way, and those behind come after it
			}
			i++
			continue
		}
		if !w.attempt(s) {
			i++
		}
	}
}

// concerns says whether the state of a key is something that w waits for. What has expired is
// not, and as in Redis nobody who waits removes it.
func (s *Shard) concerns(at watchKey, w *Waiter) bool {
	if w.wait.Deletion {
		return true
	}
	db := s.databases[at.database]
	if db == nil {
		return false
	}
	e := db.Find(Hash([]byte(at.key)), []byte(at.key))
	return e.Exists() && e.Type() == w.wait.Type && (e.Deadline() == 0 || e.Deadline() > s.set.Now())
}

func containsAll(held, wanted []*Shard) bool {
	for _, s := range wanted {
		if !slices.Contains(held, s) {
			return false
		}
	}
	return true
}

// attempt runs the command of w, whom the caller has made serving, and says
// whether its wait is over. s is a shard whose turn is held, as are those of w.
func (w *Waiter) attempt(s *Shard) (served bool) {
	t := &s.waiting
	c := t.call
	if c == nil {
		c = new(Call)
	}
	t.call = nil // another attempt inside this one brings its own
	var again Wait
	reply := resp.Writer{Proto: w.Proto}
	c.Bind(s.set, w.Shards...)
	c.BeginClient(w.Client, &reply)
	c.Begin(w.Database, w.Args)
	c.Command = w.Command
	c.LetBlock(&again)
	c.Execute(w.Run, clock.Monotonic())
	served = !c.Blocked()
	c.EndClient()
	c.Args = nil
	t.call = c
	if !served {
		w.state.Store(waiterWaiting)
		return false
	}
	w.state.Store(waiterDone)
	for _, other := range w.Shards {
		other.waiting.remove(w, other)
	}
	w.Served(reply.Buf)
	return true
}

// Overtaken says that somebody is to be served before the commands that follow:
// whoever has more of them for the call's shards must post the rest, and so put
// them behind.
func (c *Call) Overtaken() bool {
	if c.only != nil {
		return c.only.waiting.ahead != 0
	}
	for _, s := range c.shards {
		if s.waiting.ahead != 0 {
			return true
		}
	}
	return false
}

// serveLater has the command of w, whom the caller has made serving, run as a
// transaction: in the mailboxes of its shards it stands ahead of whatever reaches
// them from now on. The caller holds the turn of s, which is one of them.
func (s *Shard) serveLater(w *Waiter) {
	w.via = s
	s.waiting.ahead++
	set, t := s.set, &w.txn
	if t.Shards == nil {
		t.Shards = w.Shards
		t.Done = func() {}
		t.Body = func() { w.attemptLater() }
	}
	set.order.push(t)
	for _, s := range t.Shards {
		s.wakeKeeper() // not kick, which would run work of one shard inside another's
	}
}

// attemptLater is attempt in a transaction, after which those behind w in the
// queues of its keys have their turn.
func (w *Waiter) attemptLater() {
	w.via.waiting.ahead--
	behind := w.order
	if w.attempt(w.Shards[0]) {
		behind = 0
	}
	set := w.Shards[0].set
	for _, key := range w.wait.Keys {
		s := set.Of(RouteHash(key, Hash(key)))
		s.serveKey(watchKey{w.Database, string(key)}, w.Shards, behind)
	}
	serveReady(w.Shards)
}

// WaitingKeys is how many keys of the shard somebody waits for. Owned by the turn.
func (s *Shard) WaitingKeys() int { return len(s.waiting.queues) }
