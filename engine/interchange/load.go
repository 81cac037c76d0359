package interchange

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hyperkv/engine"
	"hyperkv/engine/values"
	"hyperkv/internal/rdb"
	"hyperkv/resp"
	"hyperkv/shard"
)

// LoadOptions say how a file is loaded.
type LoadOptions struct {
	// KeepExpired loads keys and fields whose time has come, for who will be told when they
	// go. What keeps them from going at once is up to the caller.
	KeepExpired bool
	// Replace lets keys of the file take the place of those that are there; without it
	// one that is there already is an error, also one that the file has twice.
	Replace bool
	// Pass, if set, is shown each key with its value as it stands in the file: of what it
	// takes for itself, nothing is loaded.
	Pass func(k *rdb.Key, raw []byte) (taken bool, err error)
}

// Loaded is what became of the keys of a file.
type Loaded struct {
	Keys    uint64 // that are there now
	Expired uint64 // that were left out because their time had come
	Empty   uint64 // that held nothing, which some versions of Redis have written
}

// Load loads the rest of an RDB file into an engine that may serve clients meanwhile; what
// the file says beside its keys goes to the functions of f. After an error some keys may be
// there. Nothing of it is recorded as an effect. It is not called by a goroutine that holds a turn.
func Load(ctx context.Context, e *engine.Engine, f *rdb.File, o LoadOptions) (Loaded, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	l := &loading{e: e, o: o, now: e.NowMillis(), databases: int(e.Params.Int("databases"))}
	var wg sync.WaitGroup
	for _, s := range e.Shards.Shards {
		w := newLoader(s, &l.o)
		l.loaders = append(l.loaders, w)
		wg.Go(func() { w.run(stop) })
	}
	err := l.read(ctx, f)
	if err != nil {
		stop(err)
	}
	for _, w := range l.loaders {
		close(w.full)
	}
	wg.Wait()
	sum := l.sum
	for _, w := range l.loaders {
		sum.Keys += w.sum.Keys
		sum.Expired += w.sum.Expired
		sum.Empty += w.sum.Empty
	}
	if ctx.Err() != nil {
		return sum, context.Cause(ctx)
	}
	return sum, nil
}

// loading is the part of one goroutine: it reads the file, and divides it among shards.
type loading struct {
	e         *engine.Engine
	o         LoadOptions
	now       int64
	databases int
	loaders   []*loader
	sum       Loaded
}

func (l *loading) read(ctx context.Context, f *rdb.File) error {
	for {
		k, err := f.Next()
		if err != nil {
			return err
		}
		if k == nil {
			break
		}
		if k.Database >= l.databases {
			return fmt.Errorf("the key %.64q is in database %d, and there are %d (databases)", k.Name, k.Database, l.databases)
		}
		raw, err := f.Raw()
		if err != nil {
			return named(k.Name, err)
		}
		if l.o.Pass != nil {
			taken, err := l.o.Pass(k, raw)
			if err != nil {
				return err
			}
			if taken {
				continue
			}
		}
		if k.Deadline != 0 && k.Deadline <= l.now && !l.o.KeepExpired {
			l.sum.Expired++
			continue
		}
		hash := shard.Hash(k.Name)
		w := l.loaders[l.e.Shards.IndexOf(shard.RouteHash(k.Name, hash))]
		if w.add(k, hash, raw) {
			if err := w.send(ctx); err != nil {
				return err
			}
		}
	}
	for _, w := range l.loaders {
		if err := w.send(ctx); err != nil {
			return err
		}
	}
	return nil
}

const (
	// batchBytes is how long a batch becomes before a shard is given it, and so how long
	// it has its turn taken away; a single value may make it longer.
	batchBytes = 64 << 10
	// batchesMax is how many may wait for a shard.
	batchesMax = 3
	// batchRoomMax is how much room a batch keeps for the next.
	batchRoomMax = 1 << 20
)

// A batch is keys of one shard.
type batch struct {
	bytes []byte
	items []item
}

// An item is a key in a batch: bytes[name:value] is its name, and bytes[value:end] its value.
type item struct {
	name, value, end int
	hash             uint64
	deadline, idle   int64
	database         int
	form             rdb.Type
	leave            bool
}

// loader loads the keys of one shard. The reader fills batches, the loader's goroutine
// empties them.
type loader struct {
	shard   *shard.Shard
	o       *LoadOptions
	filling *batch
	full    chan *batch
	empty   chan *batch

	sum    Loaded
	check  *rdb.Checker
	reader *rdb.Reader
	client shard.Client
	reply  resp.Writer
	build  values.Builder
	args   [2][]byte
}

func newLoader(s *shard.Shard, o *LoadOptions) *loader {
	return &loader{
		shard: s, o: o, filling: &batch{}, full: make(chan *batch, batchesMax), empty: make(chan *batch, batchesMax+2),
		check: rdb.NewChecker(), reader: rdb.NewBytesReader(nil), client: shard.Client{Primary: o.KeepExpired},
	}
}

// add puts a key into the batch, and tells whether that is full.
func (w *loader) add(k *rdb.Key, hash uint64, raw []byte) bool {
	b := w.filling
	it := item{name: len(b.bytes), hash: hash, deadline: k.Deadline, idle: k.Idle, database: k.Database, form: k.Type}
	b.bytes = append(b.bytes, k.Name...)
	it.value = len(b.bytes)
	b.bytes = append(b.bytes, raw...)
	it.end = len(b.bytes)
	b.items = append(b.items, it)
	return len(b.bytes) >= batchBytes
}

// send gives the batch away, and begins the next.
func (w *loader) send(ctx context.Context) error {
	select {
	case w.full <- w.filling:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case w.filling = <-w.empty:
	default:
		w.filling = &batch{}
	}
	return nil
}

// run loads batches until there are no more. After an error it only takes them.
func (w *loader) run(stop func(error)) {
	failed := false
	for b := range w.full {
		if !failed {
			err := w.inspect(b)
			if err == nil {
				w.shard.Do(func() { err = w.load(b) })
			}
			if err != nil {
				failed = true
				stop(err)
			}
		}
		if cap(b.bytes) > batchRoomMax {
			b.bytes = nil
		}
		b.bytes, b.items = b.bytes[:0], b.items[:0]
		select {
		case w.empty <- b:
		default:
		}
	}
}

func named(name []byte, err error) error { return fmt.Errorf("the key %.64q: %w", name, err) }

// inspect looks for what is wrong with the values of a batch. A string is not looked at: it
// is read in one piece, before anything is changed.
func (w *loader) inspect(b *batch) error {
	for i := range b.items {
		it := &b.items[i]
		if it.form == rdb.TypeString {
			continue
		}
		switch err := w.check.Check(rdb.RawPayload(it.form, b.bytes[it.value:it.end])); {
		case errors.Is(err, rdb.ErrEmpty):
			it.leave = true
			w.sum.Empty++
		case err != nil:
			return named(b.bytes[it.name:it.value], err)
		}
	}
	return nil
}

// load builds the keys of a batch. The shard's turn is held.
func (w *loader) load(b *batch) error {
	c := w.shard.Call()
	c.BeginClient(&w.client, &w.reply)
	defer c.EndClient()
	w.build.Call = c
	for i := range b.items {
		it := &b.items[i]
		if it.leave {
			continue
		}
		key := b.bytes[it.name:it.value:it.value]
		w.args[1] = key
		c.Begin(it.database, w.args[:])
		c.FirstKey, c.FirstHash = 1, it.hash
		if !w.o.Replace && c.DB.Peek(key).Exists() {
			return fmt.Errorf("the key %.64q is there already, in database %d", key, it.database)
		}
		w.build.Key, w.build.Deadline = key, it.deadline
		w.reader.Reset(b.bytes[it.value:it.end])
		if err := w.build.Build(w.reader, it.form); err != nil {
			return named(key, err)
		}
		if !w.build.Built() { // every field had expired
			w.sum.Expired++
			if old := c.DB.Peek(key); old.Exists() {
				c.DB.Delete(key, old)
				c.CountChanges(1)
			}
			continue
		}
		w.sum.Keys++
		c.CountChanges(1)
		if it.idle >= 0 && (it.deadline == 0 || it.deadline > c.Now) {
			c.DB.Peek(key).SetAccess(shard.AccessClock(c.Clock - 1000*it.idle))
		}
	}
	return nil
}
