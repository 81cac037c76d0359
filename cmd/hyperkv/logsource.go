package main

import (
	"context"
	"io"
	"sync"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	"hyperkv/engine/interchange"
	"hyperkv/engine/snapshot"
	"hyperkv/internal/aof"
	"hyperkv/internal/config"
	"hyperkv/internal/rdb"
	"hyperkv/migrate"
)

// A logSource is an append-only file.
type logSource struct {
	log       *aof.Log
	truncated bool // it may end in the middle of a command
	r         reading
}

func openLog(path string, truncated bool, r reading) (migrate.Source, error) {
	log, err := aof.Open(path)
	if err != nil {
		return nil, err
	}
	return &logSource{log, truncated, r}, nil
}

// Copy implements migrate.Source. What no command concerns is handed over while the files
// are read, and the rest when that is over.
func (s *logSource) Copy(ctx context.Context, t migrate.Target) error {
	s.r.progress.total.Add(2 * s.log.Size())
	return s.replay(ctx, t.Key, func(e *engine.Engine, done interchange.Replayed) error {
		for _, library := range done.Libraries {
			if err := t.Library(library); err != nil {
				return err
			}
		}
		_, err := snapshot.Take(ctx, e, snapshot.Options{Reuse: true}, &handOver{target: t, now: e.NowMillis()})
		return err
	})
}

// writeRDB implements rdbSource.
func (s *logSource) writeRDB(ctx context.Context, out io.Writer) error {
	s.r.progress.total.Add(s.log.Size())
	return s.replay(ctx, nil, func(e *engine.Engine, done interchange.Replayed) error {
		w, err := interchange.Write(ctx, e, out, interchange.WriteOptions{Compress: true, Functions: done.Libraries})
		s.r.progress.keys.Add(int64(w.Keys))
		return err
	})
}

// readersEngine makes an engine for data that is read from files, which may use as many
// databases as can be configured.
func readersEngine(settings map[string]string) (*engine.Engine, *config.Config, error) {
	settings["databases"] = "65536"
	cfg, err := config.FromMap(settings)
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(engine.Options{Config: cfg, Families: embedded.Families()})
	return e, cfg, err
}

// replay does what is in the log in an engine of this process: it is only there that the
// commands meet what they met when they were recorded (see interchange.Replay). What none
// of them concerns goes to untouched, if that is set.
func (s *logSource) replay(ctx context.Context, untouched func(*rdb.Key, []byte) error,
	then func(*engine.Engine, interchange.Replayed) error) error {
	e, _, err := readersEngine(map[string]string{})
	if err != nil {
		return err
	}
	defer e.Close()
	done, err := interchange.Replay(ctx, e, s.log, interchange.ReplayOptions{
		Truncated: s.truncated, Wrap: s.r.progress.wrap, Untouched: untouched,
	})
	if err != nil {
		return err
	}
	if done.Cut != nil {
		s.r.note("%v", done.Cut)
	}
	return then(e, done)
}

// handOver is the snapshot.Sink that hands the keys of an engine to a target, but for those
// that have expired.
type handOver struct {
	mu     sync.Mutex // each shard has a goroutine that writes
	target migrate.Target
	now    int64
}

// Write implements snapshot.Sink.
func (h *handOver) Write(_ int, b snapshot.Block) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	body := rdb.Body{Reader: rdb.NewBytesReader(b.Bytes)}
	for {
		k, err := body.Next()
		if k == nil || err != nil {
			return err
		}
		raw, err := body.Raw()
		if err != nil {
			return err
		}
		if k.Deadline != 0 && k.Deadline <= h.now {
			continue
		}
		if err := h.target.Key(k, raw); err != nil {
			return err
		}
	}
}
