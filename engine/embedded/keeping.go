package embedded

import (
	"context"
	"errors"
	"log/slog"

	"hyperkv/engine/durable"
	"hyperkv/internal/config"
)

// ErrNotKept says that a command was done, and what it has changed may be gone after the next
// start, because the log cannot be written at present. Further writes are refused until it can
// be.
var ErrNotKept = errors.New("the log cannot be written: what was done may be lost")

// ErrLost says that the store has ended by itself: aof_fsync_policy is always, and the log
// cannot be written. What is there is what it has after Close and Open.
var ErrLost = errors.New("the store has ended: aof_fsync_policy is always, and the log cannot be written")

// keep recovers what data_dir holds, and keeps what changes from then on.
func (kv *KV) keep(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	e := kv.engine
	d := durable.New(e, durable.Options{Config: cfg, Families: Families(), Log: log, By: "embedded",
		Lost: kv.lose, Rounds: kv.rounds})
	if err := d.Prepare(); err != nil {
		return err
	}
	e.BeginLoading(d.Size())
	if err := d.Start(ctx); err != nil {
		return errors.Join(err, d.Close())
	}
	e.EndLoading()
	kv.data = d
	return nil
}

// kept is engine.Client.Kept.
func (kv *KV) kept(promises bool) error {
	kv.commits.RLock()
	ticket := kv.data.Commit(true)
	kv.commits.RUnlock()
	switch {
	case kv.lost.Load():
		return ErrLost
	case promises && ticket == durable.Never:
		return ErrNotKept
	}
	return nil
}

// rounds waits for those who may use the log.
func (kv *KV) rounds(<-chan struct{}) {
	kv.commits.Lock()
	defer kv.commits.Unlock() // nothing is to be done meanwhile
}

// lose ends the store as a loss of power would. The caller may be in a command.
func (kv *KV) lose(error) {
	if !kv.lost.Swap(true) {
		go kv.disconnect()
	}
}

// onlyWithFolder is asked before the log is switched on in a store without a data_dir.
func onlyWithFolder(value string) error {
	if value == "yes" {
		return errors.New("there is no data_dir to keep anything in")
	}
	return nil
}
