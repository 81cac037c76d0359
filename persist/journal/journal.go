package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"hyperkv/persist/disk"
	"hyperkv/persist/wal"
)

// A Policy is what a reply to a write promises.
type Policy int32

// The policies, as Redis' appendfsync has them. None of them loses what was
// acknowledged when the process is killed.
const (
	Never       Policy = iota // the system writes to the medium when it likes
	EverySecond               // a loss of power costs the last second, two at most
	Always                    // a loss of power costs nothing
)

// Options say which journal to open.
type Options struct {
	Disk         disk.Disk
	Dir          string
	Shards       int
	Policy       Policy
	SegmentBytes int // of the logs; 0 for their default
	Log          *slog.Logger
	// Player makes what plays one log: number log of a generation of so many shards.
	Player func(log, shards int) Player
}

const shardsMax = 1 << 12

// A Player repeats what was recorded. It is used by one goroutine.
type Player interface {
	// Play repeats a unit. shared says that it is one of several shards, and not only
	// of the player's. The effects are borrowed.
	Play(effects []Effect, shared bool) error
	Close()
}

// A Journal is the logs of all shards. Record belongs to the holders of the turns of the
// shards it is called for; all other methods are safe for concurrent use.
type Journal struct {
	o      Options
	logs   []*shardLog
	policy atomic.Int32
	units  atomic.Uint64 // number of the last unit of several shards

	failed atomic.Pointer[failure] // why nothing can be promised; nil as a rule
	// syncStarted is when the sync of every second began, in nanoseconds of the clock
	// that since reads, or 0.
	syncStarted atomic.Int64
	delayed     atomic.Uint64 // how often a Commit had to wait for that

	stop chan struct{}
	done chan struct{}
}

// shardLog is the log of one shard; the rest is owned by the shard's turn.
type shardLog struct {
	*wal.Log
	scratch []byte
	places  []place
}

// failure is why nothing can be promised, and up to where the logs were told so.
type failure struct {
	err  error
	told []atomic.Uint64
}

// syncEvery is the period of EverySecond, and syncLate how long a sync may take before
// writes wait for it: Redis' two seconds.
const (
	syncEvery = time.Second
	syncLate  = 2 * time.Second
)

var start = time.Now()

func since() int64 { return int64(time.Since(start)) }

// Record writes what happened at once on some shards, all of whose turns are held:
// count effects, which effect returns one by one. It only copies; see Commit.
func (j *Journal) Record(shards []int, count int, effect func(i int) (database int, args [][]byte)) {
	home := j.logs[shards[0]]
	p := home.scratch[:0]
	if len(shards) > 1 {
		home.places = home.places[:0]
		for _, s := range shards {
			home.places = append(home.places, place{s, j.logs[s].Next()})
		}
		p = appendShared(p, j.units.Add(1), home.places)
	}
	p = binary.AppendUvarint(p, uint64(count))
	for i := range count {
		database, args := effect(i)
		p = appendEffect(p, database, args)
	}
	if len(shards) == 1 {
		home.Append(kindUnit, 0, p)
	} else {
		for _, s := range shards {
			j.logs[s].AppendNext(kindShared, 0, p)
		}
	}
	if home.scratch = p; cap(p) > scratchKeepBytes {
		home.scratch = nil
	}
}

// scratchKeepBytes is the largest buffer that a log keeps for its next unit.
const scratchKeepBytes = 64 << 10

// Commit keeps the promise of the policy for everything that was recorded before it.
// After an error nobody may be told that it was done. While the journal stays failed,
// a Commit that has nothing new to promise succeeds.
func (j *Journal) Commit() error {
	if f := j.failed.Load(); f != nil {
		return f.tell(j.logs, j.Policy() == Always)
	}
	policy := j.Policy()
	for _, l := range j.logs {
		var err error
		switch {
		case policy == Always:
			if l.Durable() < l.Appended() {
				err = l.Sync()
			}
		case l.Written() < l.Appended():
			if began := j.syncStarted.Load(); began != 0 && policy == EverySecond && since()-began > int64(syncLate) {
				j.delayed.Add(1)
				err = l.Sync()
			} else {
				err = l.Write()
			}
		}
		if err != nil {
			return j.fail(err)
		}
	}
	return nil
}

// fail notes that nothing can be promised for now, or for good.
func (j *Journal) fail(err error) error {
	f := &failure{err: err, told: make([]atomic.Uint64, len(j.logs))}
	if j.failed.CompareAndSwap(nil, f) {
		j.o.Log.Error("the journal cannot be written: writes are refused", "err", err)
	} else if now := j.failed.Load(); now != nil {
		f = now
	}
	return f.tell(j.logs, j.Policy() == Always)
}

// tell returns the error if something was recorded since it was last told that is not as
// safe as was promised.
func (f *failure) tell(logs []*shardLog, always bool) (err error) {
	for i, l := range logs {
		last, safe := l.Appended(), l.Written()
		if always {
			safe = l.Durable()
		}
		if told := f.told[i].Load(); last > told && last > safe && f.told[i].CompareAndSwap(told, last) {
			err = f.err
		}
	}
	return err
}

// Failed is why writes cannot be promised to survive, nil when they can.
func (j *Journal) Failed() error {
	if f := j.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

// Policy is the policy in force.
func (j *Journal) Policy() Policy { return Policy(j.policy.Load()) }

// SetPolicy changes it; replies that leave from now on promise that much.
func (j *Journal) SetPolicy(p Policy) { j.policy.Store(int32(p)) }

// Delayed is how often writes had to wait because the medium was behind.
func (j *Journal) Delayed() uint64 { return j.delayed.Load() }

// Bytes is how much there is in the segments of the logs, their room to spare included.
func (j *Journal) Bytes() (n int64) {
	for _, l := range j.logs {
		n += l.Bytes()
	}
	return n
}

// keep syncs every second, reserves segments, and tries again what has failed.
func (j *Journal) keep() {
	defer close(j.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			j.upkeep()
		case <-j.stop:
			return
		}
	}
}

func (j *Journal) upkeep() {
	failed := j.failed.Load()
	if failed != nil && errors.Is(failed.err, wal.ErrBroken) {
		return // for good
	}
	for _, l := range j.logs {
		err := l.Write()
		if err == nil && j.Policy() != Never {
			j.syncStarted.Store(since())
			err = l.Sync()
			j.syncStarted.Store(0)
		}
		if err != nil {
			_ = j.fail(err)
			return
		}
		// Without a spare the next segment is reserved when it is needed; whether there is
		// room for it is a question for then.
		_ = l.Prepare()
	}
	if failed != nil {
		j.failed.Store(nil)
		j.o.Log.Info("the journal is written again: writes are accepted")
	}
}

// Close makes everything durable and closes the logs. Nothing is recorded any more.
func (j *Journal) Close() error {
	close(j.stop)
	<-j.done
	var errs []error
	for _, l := range j.logs {
		errs = append(errs, l.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the journal: %w", err)
	}
	return nil
}

func (j *Journal) folder(g generation) string { return filepath.Join(j.o.Dir, g.folder()) }

// each runs f for a number of logs at once and joins the errors.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = f(i)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}
