package main

import (
	"context"
	"io"

	"hyperkv/engine"
	"hyperkv/engine/durable"
	"hyperkv/engine/interchange"
	"hyperkv/engine/snapshot"
	"hyperkv/migrate"
)

// A dataSource is a data directory of ours that no server uses, or a backup of one. It is
// recovered in an engine of this process, as a start would, and not changed.
type dataSource struct {
	dir string
	r   reading
}

// Copy implements migrate.Source.
func (s *dataSource) Copy(ctx context.Context, t migrate.Target) error {
	return s.recover(ctx, func(e *engine.Engine) error {
		_, err := snapshot.Take(ctx, e, snapshot.Options{Native: true, Reuse: true}, &handOver{target: t, now: e.NowMillis()})
		return err
	})
}

// writeRDB implements rdbSource.
func (s *dataSource) writeRDB(ctx context.Context, out io.Writer) error {
	return s.recover(ctx, func(e *engine.Engine) error {
		w, err := interchange.Write(ctx, e, out, interchange.WriteOptions{Compress: true})
		s.r.progress.keys.Add(int64(w.Keys))
		return err
	})
}

// recover calls then with an engine that has the data.
func (s *dataSource) recover(ctx context.Context, then func(*engine.Engine) error) error {
	lock, err := lockUnused(s.dir, "export", true)
	if err != nil {
		return err
	}
	defer lock.Release()
	e, cfg, err := readersEngine(map[string]string{"data_dir": s.dir})
	if err != nil {
		return err
	}
	defer e.Close()
	e.Shards.ExpiryHeld.Add(1)
	d := durable.New(e, durable.Options{Config: cfg})
	s.r.progress.total.Add(d.Size())
	b, err := d.Play(ctx)
	if err != nil {
		return err
	}
	for _, damage := range b.Damaged {
		s.r.note("a snapshot is passed over: %v", damage)
	}
	s.r.progress.bytes.Add(d.Read())
	return then(e)
}
