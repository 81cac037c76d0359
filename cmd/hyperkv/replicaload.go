package main

import (
	"context"
	"io"

	"hyperkv/engine/interchange"
	"hyperkv/internal/rdb"
)

// replaceDataset replaces the dataset by that of an RDB file. Nothing of it is recorded:
// who is to know of it gets the whole dataset.
func (r *replicating) replaceDataset(ctx context.Context, file io.Reader) error {
	r.data.Empty()
	read := int64(0)
	f, err := rdb.OpenFile(&countedReader{file, func(n int) {
		read += int64(n)
		r.engine.Loaded(read)
	}})
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
