package interchange

import (
	"context"
	"io"
	"strconv"
	"sync"

	"hyperkv/engine"
	"hyperkv/engine/snapshot"
	"hyperkv/internal/rdb"
	"hyperkv/shard"
)

// WriteOptions say how an RDB file is written.
type WriteOptions struct {
	// Compress compresses texts, as Redis does by default.
	Compress bool
	// AOFBase says that the file begins an append-only file.
	AOFBase bool
	// AtCut is called at the moment whose dataset is written, under the turns of all shards.
	// What it returns is what the file says of itself beside the usual: names and values.
	AtCut func() (aux [][2]string)
	// Functions are the sources of libraries.
	Functions [][]byte
}

// Written is what was written.
type Written struct {
	Keys    uint64
	Version int // of the file
}

// The versions of files: that of Redis 7.0, and that of 7.4, which has fields that expire.
const (
	versionUsual  = 10
	versionFields = 12
)

// Write writes the dataset of a moment as an RDB file, of the oldest version that has a form
// for all of it. Clients are served meanwhile. Members of sets become members that stay:
// the format has no place for their deadlines.
func Write(ctx context.Context, e *engine.Engine, out io.Writer, o WriteOptions) (Written, error) {
	w := &writing{out: out, o: &o}
	keys, err := snapshot.Take(ctx, e, snapshot.Options{
		Compress: o.Compress,
		Reuse:    true,
		AtCut:    func(c *shard.Call) { w.look(e, c) },
	}, w)
	if err == nil {
		err = w.end()
	}
	return Written{Keys: keys, Version: w.version}, err
}

// writing is the Sink that makes one file of the blocks of all shards.
type writing struct {
	out io.Writer
	o   *WriteOptions

	// What was seen at the cut.
	version   int
	moment    int64 // in Unix milliseconds
	bytes     int64 // that the dataset took up
	databases []database
	aux       [][2]string

	mu   sync.Mutex // guards what follows: each shard writes its blocks by itself
	file *rdb.FileWriter
}

// A database is how many keys a database has, and how many of them expire.
type database struct{ number, keys, volatile int }

// look sees what has to be known before the first block. All turns are held.
func (w *writing) look(e *engine.Engine, c *shard.Call) {
	w.version, w.moment, w.bytes = versionUsual, e.NowMillis(), e.Shards.Bytes()
	for number := range c.Databases() {
		db := c.DBAt(number)
		if keys := db.Len(); keys > 0 {
			w.databases = append(w.databases, database{number, keys, db.Volatile()})
		}
		if db.WithFields() > 0 {
			w.version = versionFields
		}
	}
	if w.o.AtCut != nil {
		w.aux = w.o.AtCut()
	}
}

// Write implements snapshot.Sink.
func (w *writing) Write(_ int, b snapshot.Block) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin()
	return w.file.Block(b.Bytes)
}

// begin writes what stands before the keys, once.
func (w *writing) begin() {
	if w.file != nil {
		return
	}
	w.file = rdb.NewFileWriter(w.out, w.version)
	w.file.Aux("redis-ver", engine.RedisVersion)
	w.file.Aux("redis-bits", "64")
	w.file.Aux("ctime", strconv.FormatInt(w.moment/1000, 10))
	w.file.Aux("used-mem", strconv.FormatInt(w.bytes, 10))
	for _, field := range w.aux {
		w.file.Aux(field[0], field[1])
	}
	base := "0"
	if w.o.AOFBase {
		base = "1"
	}
	w.file.Aux("aof-base", base)
	w.file.Aux("hyperkv-ver", engine.Version)
	for _, source := range w.o.Functions {
		w.file.Function(source)
	}
	for _, db := range w.databases {
		w.file.SelectDB(db.number)
		w.file.ResizeDB(uint64(db.keys), uint64(db.volatile))
	}
}

func (w *writing) end() error {
	w.begin()
	return w.file.End()
}
