package replication

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a Node is built.
type Options struct {
	Host     Host
	Settings Settings
	Log      *slog.Logger
	History  string        // the first, 40 hexadecimal digits
	Folder   func() string // of temporary files
	// Port is where clients connect to this server.
	Port func() int
}

// A Node is a server's part in replication. Safe for concurrent use.
type Node struct {
	o    Options
	log  *slog.Logger
	feed *Feed

	// changes of the role are made one after the other, by a goroutine of their own.
	tasks  chan func()
	kick   chan struct{}   // somebody waits for a snapshot
	ctx    context.Context // until Close
	cancel context.CancelFunc
	ended  sync.WaitGroup

	bytesIn, bytesOut                       atomic.Uint64
	fullSyncs, partialSyncs, refusedPartial atomic.Uint64
	leftOut                                 atomic.Uint64 // commands of the primary
	complained                              atomic.Int64  // when that was logged, in Unix nanoseconds
	stopping                                atomic.Bool   // nothing is to be added to the stream

	mu       sync.Mutex
	replicas []*Replica
	waits    []*wait
	alone    time.Time // since when there are no replicas
	primary  primary
	failover failover
	link     *link // of the goroutine of tasks

	lastPing, lastSecond time.Time // of the clock's goroutine
}

// primary is the server that this one is to copy. Guarded by Node.mu.
type primary struct {
	host  string // "" when this is a primary itself
	port  int
	state linkState
	down  time.Time // since when there is no link; zero: there never was one
	heard time.Time
	sync  syncProgress
}

// tasksMax is how many changes of role may be asked for at a time.
const tasksMax = 64

// New makes a node, which is a primary at first.
func New(o Options) *Node {
	n := &Node{
		o: o, log: o.Log, feed: newFeed(o.History, o.Settings.Int("repl-backlog-size")),
		tasks: make(chan func(), tasksMax), kick: make(chan struct{}, 1),
		alone: time.Now(), lastPing: time.Now(),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.ended.Add(3)
	go n.work()
	go n.keepTime()
	go n.snapshots()
	return n
}

// Feed is the stream of what happens.
func (n *Node) Feed() *Feed { return n.feed }

// Close ends all that the node does.
func (n *Node) Close() {
	n.cancel()
	n.ended.Wait()
	if n.link != nil {
		n.link.stop()
	}
	for _, r := range n.all() {
		r.Gone()
	}
}

// work makes the changes of the role.
func (n *Node) work() {
	defer n.ended.Done()
	for {
		select {
		case task := <-n.tasks:
			task()
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *Node) post(task func()) {
	select {
	case n.tasks <- task:
	default:
		go func() { // there is a queue already: this one may be overtaken
			select {
			case n.tasks <- task:
			case <-n.ctx.Done():
			}
		}()
	}
}

// Follow makes the server a copy of another one. over is called when it is to be one.
func (n *Node) Follow(host string, port int, over func()) {
	n.mu.Lock()
	same := n.primary.host == host && n.primary.port == port
	first := n.primary.host == ""
	if !same {
		n.primary = primary{host: host, port: port, down: n.primary.down}
	}
	n.mu.Unlock()
	if same {
		over()
		return
	}
	n.post(func() {
		n.follow(first, false)
		over()
	})
}

// follow begins to copy the primary. first says that the server was none's copy before.
// Only work calls it.
func (n *Node) follow(first, failover bool) {
	if n.link != nil {
		n.link.stop()
		n.link = nil
	}
	n.mu.Lock()
	p := n.primary
	n.mu.Unlock()
	if p.host == "" {
		return // another change is on its way
	}
	n.o.Host.SetPrimary(p.host, p.port)
	if first {
		n.o.Host.SetReplica(true)
		n.o.Host.Exclusive(func() {
			n.feed.mu.Lock()
			n.feed.relayed = true
			n.feed.mu.Unlock()
			n.feed.on.Store(false)
			n.o.Host.Record(false)
		})
		n.log.Info("this server becomes a replica", "of", address(p.host, p.port))
	}
	n.o.Host.SetStale(true)
	n.link = startLink(n, p.host, p.port, failover)
}

// Lead makes the server a primary. What it has copied stays, and so does the name of its
// history for those that have it, too.
func (n *Node) Lead(over func()) {
	n.mu.Lock()
	was := n.primary.host != ""
	n.primary = primary{}
	n.mu.Unlock()
	if !was {
		over()
		return
	}
	n.post(func() {
		n.lead()
		over()
	})
}

// lead makes the server a primary. Only work calls it.
func (n *Node) lead() {
	if n.link != nil {
		n.link.stop()
		n.link = nil
	}
	n.mu.Lock()
	follows := n.primary.host != ""
	n.mu.Unlock()
	if follows {
		return // another change is on its way
	}
	f := n.feed
	n.o.Host.Undivided(true)
	n.o.Host.Exclusive(func() {
		f.mu.Lock()
		f.rename(newHistory())
		f.relayed = false
		on := f.last != nil
		f.mu.Unlock()
		f.on.Store(on)
		n.o.Host.Record(on)
	})
	n.disconnect("the history has a new name")
	n.o.Host.SetPrimary("", 0)
	n.o.Host.SetStale(false)
	n.o.Host.SetReplica(false)
	n.mu.Lock()
	n.alone = time.Now()
	n.mu.Unlock()
	n.log.Info("this server is a primary now")
}

// NewHistory gives the dataset a new name, as if it were another one.
func (n *Node) NewHistory() {
	n.feed.mu.Lock()
	n.feed.history, n.feed.old, n.feed.oldEnd = newHistory(), noHistory, -1
	n.feed.mu.Unlock()
}

// follows says whose copy the server is, and in which state the link is.
func (n *Node) follows() (host string, port int, state linkState) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.primary.host, n.primary.port, n.primary.state
}

// Errors that a replica is told.
var (
	ErrNoPrimary = errors.New("NOMASTERLINK Can't SYNC while not connected with my master")
	ErrNeedsEOF  = errors.New("ERR Filtered replica requires EOF capability")
)

// Serve begins to send the dataset to a replica.
func (n *Node) Serve(link Link, w Wishes) (*Replica, error) {
	if host, _, state := n.follows(); host != "" && state != linkConnected {
		return nil, ErrNoPrimary
	}
	if w.WithoutKeys && !w.EOF {
		return nil, ErrNeedsEOF
	}
	r := newReplica(n, link, w)
	n.mu.Lock()
	n.replicas = append(n.replicas, r)
	n.mu.Unlock()
	if w.Continue {
		if n.resume(r) {
			n.partialSyncs.Add(1)
			n.log.Info("a replica goes on where it was", "replica", r.name(), "position", w.Position)
			n.countGood()
			return r, nil
		}
		n.refusedPartial.Add(1)
		n.log.Info("a replica cannot go on where it was, and gets a snapshot", "replica", r.name(), "history", w.History, "position", w.Position)
	}
	n.fullSyncs.Add(1)
	select {
	case n.kick <- struct{}{}:
	default:
	}
	return r, nil
}

// resume lets a replica go on where it was, if that is possible.
func (n *Node) resume(r *Replica) bool {
	f := n.feed
	f.mu.Lock()
	at, ok := cursor{}, f.continued(r.wishes.History, r.wishes.Position)
	if ok {
		at, ok = f.seek(r.wishes.Position)
	}
	words := "+CONTINUE\r\n"
	if r.wishes.PSYNC2 {
		words = "+CONTINUE " + f.history + "\r\n"
	}
	if ok {
		r.cursor = at
		f.readers = append(f.readers, r)
	}
	f.mu.Unlock()
	if ok {
		r.acked.Store(r.wishes.Position)
		r.begin(online, words)
	}
	return ok
}

// name is how the log calls a replica.
func (r *Replica) name() string { return address(r.wishes.Host, r.wishes.Port) }

// all are the replicas.
func (n *Node) all() []*Replica {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.replicas)
}

// forget takes a replica off the list.
func (n *Node) forget(r *Replica) {
	n.mu.Lock()
	was := len(n.replicas)
	n.replicas = slices.DeleteFunc(n.replicas, func(other *Replica) bool { return other == r })
	there := len(n.replicas) < was
	if there && len(n.replicas) == 0 {
		n.alone = time.Now()
	}
	n.mu.Unlock()
	n.feed.mu.Lock()
	n.feed.readers = slices.DeleteFunc(n.feed.readers, func(other *Replica) bool { return other == r })
	r.cursor = cursor{} // what it has not read may go
	n.feed.mu.Unlock()
	if there {
		n.log.Info("a replica has gone", "replica", r.name())
		n.countGood()
	}
}

// disconnect ends the connections of all replicas.
func (n *Node) disconnect(why string) {
	for _, r := range n.all() {
		n.log.Info("disconnecting a replica", "replica", r.name(), "why", why)
		r.link.Disconnect()
		r.Gone()
	}
}

func address(host string, port int) string { return fmt.Sprintf("%s:%d", host, port) }
