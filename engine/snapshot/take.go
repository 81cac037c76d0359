package snapshot

import (
	"context"
	"errors"
	"sync"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/values"
	"hyperkv/internal/rdb"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// A Block is a piece of a snapshot.
type Block struct {
	Bytes []byte
	Keys  int
}

// A Sink stores the blocks of a snapshot. Each shard's come from one goroutine, in an
// order that means nothing; it may block.
type Sink interface {
	Write(shard int, b Block) error
}

// Options say how a snapshot is taken.
type Options struct {
	// Native keeps what only HyperKV understands; without it the blocks are of the RDB
	// version that Redis 7.0 reads, and what has expired is left out.
	Native bool
	// Compress compresses texts, which costs time under the turns.
	Compress bool
	// AtCut is called at the moment of the cut, under the turns of all shards.
	AtCut func(c *shard.Call)
	// Slice is how long a slice may hold a shard's turn; 0 for the default. Pause is called
	// between two slices of a shard; nil for one that gives way to clients.
	Slice time.Duration
	Pause func()
	// Reuse says that the Sink is done with a block when its Write returns, so that the
	// memory of it is used again.
	Reuse bool
	// Large is from how many elements on a collection is taken over several slices; 0 for
	// the default.
	Large int
}

// ErrTooFar says that more has changed before it could be stored than memory may be used
// for.
var ErrTooFar = errors.New("the snapshot fell too far behind what changed")

// The sizes of a snapshot's work.
const (
	// blockBytes is how long a block becomes before it is handed on; a single key may
	// make it longer.
	blockBytes = 64 << 10
	// spareMax bounds how many blocks' memory a shard keeps for the next ones.
	spareMax = 4
	// behindBytesMax bounds what a shard has taken and the Sink has not.
	behindBytesMax = 256 << 20
	// sliceDefault is how long one slice may hold a shard's turn.
	sliceDefault = 100 * time.Microsecond
	// nativeVersion is the RDB version of native blocks, portableVersion that of others.
	nativeVersion   = rdb.Version
	portableVersion = 10
	// timeless is a time before all deadlines: nothing has expired.
	timeless = 1
)

// Take takes a snapshot and returns when the Sink has all of it. Several wait for each
// other. It is not called by a goroutine that holds a turn.
func Take(ctx context.Context, e *engine.Engine, o Options, sink Sink) (keys uint64, err error) {
	if o.Slice == 0 {
		o.Slice = sliceDefault
	}
	if o.Large == 0 {
		o.Large = largeDefault
	}
	pace := newPace(len(e.Shards.Shards), e.Calls)
	e.Cutting.Lock()
	defer e.Cutting.Unlock()
	shards := e.Shards.Shards
	takers := make([]*taker, len(shards))
	e.Shards.NewExclusive().Run(false, func(c *shard.Call) {
		now := int64(timeless)
		if !o.Native {
			now = e.NowMillis()
		}
		c.BeginCut(func(i int) shard.Taker {
			takers[i] = newTaker(shards[i], c.Limits(), now, &o)
			return takers[i]
		})
		if o.AtCut != nil {
			o.AtCut(c)
		}
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(shards))
	var wg sync.WaitGroup
	for i, t := range takers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if errs[i] = t.run(ctx, pace, sink); errs[i] != nil {
				stop()
			}
		}()
	}
	wg.Wait()
	for i, t := range takers {
		keys += t.total
		if errs[i] != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = errs[i]
		}
	}
	return keys, err
}

// taker takes the part of one shard. Owned by the shard's turn but for run.
type taker struct {
	shard  *shard.Shard
	limits *object.Limits
	now    int64
	o      *Options

	w        *rdb.Writer
	database int // that the writer is in, -1 at the beginning of a block
	keys     int // in the writer
	ready    []Block
	spare    [][]byte // memory for blocks
	behind   int      // bytes of ready
	tooFar   bool
	total    uint64   // keys; of run
	large    []*large // that have been begun; the first is being written
	// unbounded says that all of it is to stay in memory.
	unbounded bool
}

func newTaker(s *shard.Shard, limits *object.Limits, now int64, o *Options) *taker {
	t := &taker{shard: s, limits: limits, now: now, o: o, database: -1}
	t.w = t.writer()
	return t
}

// writer makes a writer for what is taken.
func (t *taker) writer() *rdb.Writer {
	if t.o.Compress {
		return rdb.NewWriter(nil, t.version())
	}
	return rdb.NewPlainWriter(t.version())
}

// version is the RDB version of what is written.
func (t *taker) version() int {
	if t.o.Native {
		return nativeVersion
	}
	return portableVersion
}

// Take implements shard.Taker.
func (t *taker) Take(database int, e keyspace.Entry, v *shard.Collection) {
	start := t.w.Len()
	if database != t.database {
		t.w.SelectDB(database)
	}
	t.w.Key(e.Key(), e.Deadline())
	if !values.Write(t.w, e, v, t.limits, t.now, t.o.Native) {
		t.w.Undo(start)
		return
	}
	t.database = database
	t.keys++
	if t.w.Len() >= blockBytes {
		t.end()
	}
}

// Full implements shard.Taker.
func (t *taker) Full() bool { return len(t.ready) > 0 }

// end ends a block.
func (t *taker) end() {
	if t.keys == 0 {
		return
	}
	var next []byte
	if n := len(t.spare); n > 0 {
		next, t.spare = t.spare[n-1], t.spare[:n-1]
	}
	b := Block{Bytes: t.w.Take(next), Keys: t.keys}
	t.database, t.keys = -1, 0
	t.add(b)
}

// add hands a block on.
func (t *taker) add(b Block) {
	t.behind += len(b.Bytes)
	if t.behind > behindBytesMax && len(t.ready) > 0 && !t.unbounded {
		t.tooFar = true
		t.shard.AbandonCut()
		return
	}
	t.ready = append(t.ready, b)
}

// recycle takes back blocks that were stored.
func (t *taker) recycle(blocks []Block) {
	for i := range blocks {
		if p := blocks[i].Bytes; t.o.Reuse && cap(p) <= rdb.RoomMax && len(t.spare) < spareMax {
			t.spare = append(t.spare, p)
		}
		blocks[i] = Block{}
	}
}

// run takes slice after slice, and stores what was taken in between.
func (t *taker) run(ctx context.Context, p *pace, sink Sink) (err error) {
	var blocks []Block
	for more := true; more; {
		start, turn := p.begin()
		t.shard.Do(func() {
			t.recycle(blocks)
			if err != nil || ctx.Err() != nil {
				t.shard.AbandonCut()
			}
			if more = t.shard.TakeSlice(int64(t.o.Slice)); !more {
				t.end()
			}
			blocks, t.ready, t.behind = t.ready, blocks[:0], 0
			if t.tooFar {
				err = ErrTooFar
			}
		})
		for i := range blocks {
			if err == nil {
				err = sink.Write(t.shard.Index, blocks[i])
				t.total += uint64(blocks[i].Keys)
			}
		}
		p.end(start, turn)
		if more && t.o.Pause != nil {
			t.o.Pause()
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	return err
}
