package main

import (
	"context"
	"io"

	"hyperkv/engine/interchange"
	"hyperkv/internal/rdb"
	"hyperkv/shard"
)

// replaceDataset replaces the dataset by that of an RDB file. Nothing of it is recorded:
// who is to know of it gets the whole dataset.
func (r *replicating) replaceDataset(ctx context.Context, file io.Reader) error {
	r.engine.Shards.NewExclusive().Run(true, func(c *shard.Call) { c.FlushAll(false) })
	f, err := rdb.OpenFile(&measured{file, r.engine.Loaded, 0})
	if err != nil {
		return err
	}
	f.Native = true // the primary may be a HyperKV
	f.Function = func([]byte) error {
		r.log.Warn("a library of functions is left out")
		return nil
	}
	_, err = interchange.Load(ctx, r.engine, f, interchange.LoadOptions{KeepExpired: true, Replace: true})
	return err
}

// measured tells how much was read.
type measured struct {
	io.Reader
	tell func(bytes int64)
	read int64
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.read += int64(n)
	m.tell(m.read)
	return n, err
}
