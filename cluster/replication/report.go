package replication

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/resp"
)

// A report is what this server tells its primary over one connection: up to where it has
// applied the stream, and up to where that survives a loss of power here.
//
//	every second ─────────────────────────► ACK applied FACK durable
//	GETACK ─► ACK applied FACK durable
//	       └► Host.Sync, if not all is durable yet ─► ACK applied FACK durable
//
// What is called durable was applied before the sync began that made it so. Safe for
// concurrent use.
type report struct {
	link *link
	// durable is NotDurable until something is known; asked is where this server was when
	// the primary asked last.
	durable, asked atomic.Int64
	wanted         chan struct{} // a sync
	over           chan struct{}

	saying sync.Mutex // held by who tells the primary; guards ended
	ended  bool       // the connection is over: what comes behind it is another story
}

// reportEvery is how often the primary is told without having asked.
const reportEvery = time.Second

// syncPause bounds the syncs that the primary asks for: between two of them the disk has so
// many times as long as the last one took, up to syncPauseMax. WAIT asks as well as WAITAOF.
const (
	syncPause    = 9
	syncPauseMax = time.Second
)

// report begins to tell the primary how far this server has come. stop waits for the end
// of that, and of a sync under way.
func (l *link) report() (stop func()) {
	r := &report{link: l, wanted: make(chan struct{}, 1), over: make(chan struct{})}
	r.durable.Store(NotDurable)
	l.reported.Store(r)
	syncs := make(chan struct{})
	go func() {
		defer close(syncs)
		r.sync()
	}()
	r.answer()
	stopTelling := l.every(reportEvery, func() {
		r.say()
		if r.durable.Load() < r.asked.Load() {
			r.want() // there was no log, or it could not be written
		}
	})
	return func() {
		r.saying.Lock()
		r.ended = true
		r.saying.Unlock()
		close(r.over)
		stopTelling()
		<-syncs
	}
}

// say tells the primary how far this server has come.
func (r *report) say() {
	r.saying.Lock()
	defer r.saying.Unlock()
	if r.ended {
		return
	}
	applied := r.link.applied.Load()
	words := []string{"REPLCONF", "ACK", strconv.FormatInt(applied, 10)}
	logged, synced := r.link.node.o.Host.Kept()
	if synced {
		raise(&r.durable, applied)
	}
	if durable := r.durable.Load(); logged && durable != NotDurable {
		words = append(words, "FACK", strconv.FormatInt(durable, 10))
	}
	// An error will be found by whoever reads.
	_ = r.link.write(resp.AppendCommandString(nil, words...))
}

// answer tells the primary how far this server has come because it asks, and again when
// that is durable.
func (r *report) answer() {
	r.asked.Store(r.link.applied.Load())
	r.say()
	if r.durable.Load() < r.asked.Load() {
		r.want()
	}
}

func (r *report) want() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// sync makes durable what was applied, whenever that is wanted.
func (r *report) sync() {
	for {
		select {
		case <-r.wanted:
		case <-r.over:
			return
		}
		applied, began := r.link.applied.Load(), time.Now()
		if r.link.node.o.Host.Sync() {
			raise(&r.durable, applied)
			r.say()
		}
		select {
		case <-time.After(min(syncPause*time.Since(began), syncPauseMax)):
		case <-r.over:
			return
		}
	}
}

// raise makes a number at least n.
func raise(a *atomic.Int64, n int64) {
	for old := a.Load(); n > old && !a.CompareAndSwap(old, n); old = a.Load() {
	}
}
