package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"

	"hyperkv/persist/wal"
)

// A commitLog keeps copies of what several logs have recorded, so that one sync makes all of
// it durable, however many shards there are. Each log is synced by itself once a second:
// until then the copies stand for what a loss of power takes from its end.
//
// It is a log itself, in the folder of the generation. A record of it is of the kind
// kindCopy, has the number of a log as its group, and records of that log as its payload.
// It is there only while it may be needed.
type commitLog struct {
	log  atomic.Pointer[wal.Log] // nil as long as it is not needed
	off  atomic.Bool             // it cannot be written at present; set back by superfluous
	copy []byte                  // for its next record; of who commits
}

const (
	// commitShard takes the place of a shard's number in the names of its segments.
	commitShard = shardsMax
	// commitSegmentBytes is how long its segments are: it is soon deleted again.
	commitSegmentBytes = 16 << 20
	// copyMax is how much of one log is copied at most. What is longer is better written once.
	copyMax = 64 << 10
)

// commit makes durable what was recorded before it. Owned by the goroutine of the rounds.
func (j *Journal) commit() error {
	var few [8]*shardLog
	due := few[:0]
	for _, l := range j.logs {
		if l.safe() < l.Appended() {
			due = append(due, l)
		}
	}
	if len(due) > 1 && !j.commits.off.Load() {
		var err error
		if due, err = j.share(due); err != nil {
			return err
		}
	}
	if len(due) == 1 {
		return due[0].Sync()
	}
	return each(len(due), func(i int) error { return due[i].Sync() })
}

// share makes durable what some logs have recorded by one sync of the commit log, and returns
// those for which that cannot be: all of them if there is no room for it.
func (j *Journal) share(logs []*shardLog) (rest []*shardLog, err error) {
	c, err := j.commitLog()
	if err != nil {
		j.noCommitLog(err)
		return logs, nil
	}
	type shared struct {
		log  *shardLog
		last uint64
	}
	var few [8]shared
	done := few[:0]
	for _, l := range logs {
		p, first, last, err := l.WriteCopy(j.commits.copy[:0], copyMax)
		if err != nil {
			return nil, err
		}
		j.commits.copy = p
		// What comes before the copies has to be as safe as they are: somebody else may have
		// written it.
		if first == 0 || first > l.safe()+1 {
			rest = append(rest, l)
			continue
		}
		c.Append(kindCopy, l.number, p)
		done = append(done, shared{l, last})
	}
	if len(done) == 0 {
		return rest, nil
	}
	if err := c.Sync(); errors.Is(err, wal.ErrBroken) {
		return nil, err
	} else if err != nil {
		j.noCommitLog(err)
		return logs, nil
	}
	for _, s := range done {
		s.log.copied.Store(s.last)
	}
	return rest, nil
}

// commitLog begins the commit log if it is not there.
func (j *Journal) commitLog() (*wal.Log, error) {
	if l := j.commits.log.Load(); l != nil {
		return l, nil
	}
	o := j.options(j.meta.Load().last(), commitShard)
	o.SegmentBytes = commitSegmentBytes
	if n := j.o.SegmentBytes; n > 0 {
		o.SegmentBytes = min(o.SegmentBytes, n)
	}
	l, _, err := wal.Open(o, false, nil)
	if err == nil {
		j.commits.log.Store(l)
	}
	return l, err
}

// noCommitLog lets logs be synced by themselves for a while.
func (j *Journal) noCommitLog(err error) {
	j.o.Log.Warn("the commit log cannot be written: each log is synced by itself", "err", err)
	j.commits.off.Store(true)
}

// safe is the LSN up to which the log survives a loss of power, by itself or by its copies.
func (l *shardLog) safe() uint64 { return max(l.copied.Load(), l.Durable()) }

// next is the LSN of the next record of the commit log, 0 if it is not there.
func (c *commitLog) next() uint64 {
	if l := c.log.Load(); l != nil {
		return l.Next()
	}
	return 0
}

// superfluous says that what was copied before a record, which next has returned, is durable
// in the logs themselves.
func (c *commitLog) superfluous(before uint64) error {
	c.off.Store(false)
	l := c.log.Load()
	if l == nil || before == 0 {
		return nil
	}
	_ = l.Prepare() // as for the logs: see upkeep
	return l.DropBefore(before)
}

// copies are what the commit log of a generation holds of each log, nil if there is none.
func (j *Journal) copies(g generation) (all [][]byte, err error) {
	for range 3 { // while a server uses it, its segments come and go
		all = make([][]byte, g.Shards)
		_, err = wal.Check(j.options(g, commitShard), func(r wal.Record) error {
			if r.Kind != kindCopy || int(r.Group) >= g.Shards {
				return fmt.Errorf("%w: kind %d in the commit log", errFormat, r.Kind)
			}
			all[r.Group] = append(all[r.Group], r.Payload...)
			return nil
		}, nil)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return all, err
}

// removeCommitLog deletes the commit log of a generation, all of whose logs are durable.
func (j *Journal) removeCommitLog(g generation) error {
	names, err := j.o.Disk.List(j.folder(g))
	if err != nil {
		return fmt.Errorf("delete the commit log: %w", err)
	}
	removed := false
	for _, name := range names {
		if strings.HasPrefix(name, wal.FilePrefix(commitShard)) {
			if err := j.o.Disk.Remove(filepath.Join(j.folder(g), name)); err != nil {
				return fmt.Errorf("delete the commit log: %w", err)
			}
			removed = true
		}
	}
	if !removed {
		return nil
	}
	return j.o.Disk.SyncDir(j.folder(g))
}
