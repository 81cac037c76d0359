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
	// From is what a snapshot that was loaded holds already; nil if there was none.
	From *Position
	// Loaded is the number of that snapshot, and Newest that of the newest that was ever
	// completed; 0 if there was none.
	Loaded, Newest uint64
	// Player makes what plays one log: number log of a generation of so many shards.
	Player func(log, shards int) Player
	// Progress is told what has been played, in bytes, by several goroutines; an error of
	// it ends that. Nil if nobody wants to know.
	Progress func(bytes int) error
	// Committed is called after the time of a ticket has come, on another goroutine. It
	// must not block. Nil if nobody wants to know.
	Committed func()
	// Blocks is called before a goroutine of the journal waits for the medium for longer
	// than a sync of Always takes, once a second while there are writes. Go's scheduler
	// may notice only after ten milliseconds that a processor is not in use meanwhile. Nil
	// if nobody wants to know.
	Blocks func()
}

const shardsMax = 1 << 12

// A Player repeats what was recorded. It is used by one goroutine.
type Player interface {
	// Play repeats a unit. shared says that it is one of several shards, and not only
	// of the player's. The effects are borrowed.
	Play(effects []Effect, shared bool) error
}

// A Journal is the logs of all shards. Record belongs to the holders of the turns of the
// shards it is called for; all other methods are safe for concurrent use.
type Journal struct {
	o        Options
	logs     []*shardLog
	identity uint64
	policy   atomic.Int32
	units    atomic.Uint64 // number of the last unit of several shards

	meta     atomic.Pointer[meta] // immutable; that of an open journal has a generation
	dropping sync.Mutex           // held by who replaces meta
	unlisted atomic.Bool          // it is not on the disk: see Begin

	failed atomic.Pointer[failure] // why nothing can be promised; nil as a rule
	// syncStarted is when the sync of every second began, in nanoseconds of the clock
	// that since reads, or 0.
	syncStarted atomic.Int64
	delayed     atomic.Uint64 // how often a Commit had to wait for that
	kept        atomic.Uint64 // see news

	rounds  rounds
	commits commitLog

	stop chan struct{}
	done chan struct{}
}

// rounds are the syncs of Always: one at a time over all logs, each for everybody who
// has asked since the one before began (group commit).
type rounds struct {
	asked chan struct{}
	ended atomic.Uint64 // number of the last round that has ended

	mu      sync.Mutex
	changed *sync.Cond // ended has
	begun   uint64     // number of the last round that has begun
}

// shardLog is the log of one shard; the rest is owned by the shard's turn.
type shardLog struct {
	*wal.Log
	number  uint16
	copied  atomic.Uint64 // LSN up to which the commit log has it, and that is durable
	scratch []byte
	places  []place
}

func newShardLog(number int, l *wal.Log) *shardLog { return &shardLog{Log: l, number: uint16(number)} }

// failure is why nothing can be promised.
type failure struct{ err error }

// syncEvery is the period of EverySecond, and syncLate how long a sync may take before
// writes wait for it: Redis' two seconds.
const (
	syncEvery = time.Second
	syncLate  = 2 * time.Second
)

var start = time.Now()

func since() int64 { return int64(time.Since(start)) }

// Record writes what happened at once on some shards, all of whose turns are held:
// count effects, which effect returns one by one. It only copies; see Commit. What is
// longer than unitBytesMax becomes several units.
func (j *Journal) Record(shards []int, count int, effect func(i int) (database int, args [][]byte)) {
	from := 0
	for size, i := 0, 0; i < count && count > 1; i++ {
		_, args := effect(i)
		for _, arg := range args {
			size += len(arg)
		}
		if size > unitBytesMax && i > from {
			j.record(shards, from, i, effect)
			from, size = i, 0
		}
	}
	j.record(shards, from, count, effect)
}

// unitBytesMax bounds a unit of more than one effect.
const unitBytesMax = 1 << 30

// record writes the effects from one number up to another.
func (j *Journal) record(shards []int, from, to int, effect func(i int) (database int, args [][]byte)) {
	home := j.logs[shards[0]]
	p := home.scratch[:0]
	if len(shards) > 1 {
		home.places = home.places[:0]
		for _, s := range shards {
			home.places = append(home.places, place{s, j.logs[s].Next()})
		}
		p = appendShared(p, j.units.Add(1), home.places)
	}
	head := len(p)
	p = binary.AppendUvarint(p, uint64(to-from))
	for i := from; i < to; i++ {
		database, args := effect(i)
		p = appendEffect(p, database, args)
	}
	if len(p) > wal.PayloadMax {
		// What cannot be written must not be acknowledged, nor anything behind it.
		_ = j.fail(fmt.Errorf("%w: an effect of %d bytes", wal.ErrBroken, len(p)))
		p = append(p[:head], 0)
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

// A Ticket stands for a sync that is under way or to come.
type Ticket uint64

// Commit keeps the promise of the policy for everything that was recorded before it. A
// ticket other than 0 says that this takes a sync, which has been asked for: see
// Committed. With wait it is over when Commit returns. After an error nobody may be
// told that anything was done; so it is until the journal works again.
func (j *Journal) Commit(wait bool) (Ticket, error) {
	if err := j.Failed(); err != nil {
		return 0, err
	}
	if j.Policy() == Always {
		for _, l := range j.logs {
			if l.safe() < l.Appended() {
				t := j.ask()
				if !wait {
					return t, nil
				}
				j.await(t)
				_, err := j.Committed(t)
				return 0, err
			}
		}
		return 0, nil
	}
	for _, l := range j.logs {
		if l.Written() >= l.Appended() {
			continue
		}
		var err error
		if began := j.syncStarted.Load(); began != 0 && since()-began > int64(syncLate) {
			j.delayed.Add(1)
			err = l.Sync()
		} else {
			err = l.Write()
		}
		if err != nil {
			return 0, j.fail(err)
		}
	}
	return 0, nil
}

// Committed tells whether the time of a ticket has come, or why it never will.
func (j *Journal) Committed(t Ticket) (bool, error) {
	if j.rounds.ended.Load() >= uint64(t) {
		return true, nil
	}
	return false, j.Failed()
}

// ask asks for a sync that begins from now on.
func (j *Journal) ask() Ticket {
	r := &j.rounds
	r.mu.Lock()
	t := Ticket(r.begun + 1)
	r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default:
	}
	return t
}

// await returns when the time of a ticket has come, or the journal has failed.
func (j *Journal) await(t Ticket) {
	r := &j.rounds
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.ended.Load() < uint64(t) && j.Failed() == nil {
		r.changed.Wait()
	}
}

// sync runs the rounds.
func (j *Journal) sync() {
	r := &j.rounds
	for {
		select {
		case <-j.stop:
			return
		case <-r.asked:
		}
		r.mu.Lock()
		r.begun++
		round := r.begun
		r.mu.Unlock()
		if err := j.commit(); err != nil {
			_ = j.fail(err)
		} else {
			r.ended.Store(round)
		}
		r.mu.Lock()
		r.changed.Broadcast()
		r.mu.Unlock()
		if j.o.Committed != nil {
			j.o.Committed()
		}
	}
}

// fail notes that nothing can be promised for now, or for good, and returns why.
func (j *Journal) fail(err error) error {
	f := &failure{err}
	if j.failed.CompareAndSwap(nil, f) {
		j.o.Log.Error("the journal cannot be written: writes are refused", "err", err)
	} else if errors.Is(err, wal.ErrBroken) {
		j.failed.Store(f) // what is for good takes the place of what may pass
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

// Bytes is how much there is in the segments of the logs, without their room to spare.
func (j *Journal) Bytes() (n int64) {
	for _, l := range j.logs {
		n += l.Bytes()
	}
	return n
}

// keep syncs every second, reserves segments, and tries again what has failed.
func (j *Journal) keep() {
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
	if j.news() && j.o.Blocks != nil {
		j.o.Blocks()
	}
	copied := j.commits.next()
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
	if j.Policy() != Never {
		if err := j.commits.superfluous(copied); err != nil {
			_ = j.fail(err)
			return
		}
	}
	if failed != nil && j.failed.CompareAndSwap(failed, nil) {
		j.o.Log.Info("the journal is written again: writes are accepted")
	}
}

// news says whether anything has been recorded since it was asked last.
func (j *Journal) news() bool {
	var recorded uint64
	for _, l := range j.logs {
		recorded += l.Appended()
	}
	return j.kept.Swap(recorded) != recorded
}

// halt ends the journal's goroutines.
func (j *Journal) halt() {
	close(j.stop)
	<-j.done
}

// Close makes everything durable and closes the logs. Nothing is recorded any more.
func (j *Journal) Close() error {
	j.halt()
	var errs []error
	for _, l := range j.logs {
		errs = append(errs, l.Close())
	}
	if c := j.commits.log.Load(); c != nil {
		c.Abandon()
	}
	err := errors.Join(errs...)
	if err == nil {
		err = j.removeCommitLog(j.meta.Load().last())
	}
	if err != nil {
		return fmt.Errorf("close the journal: %w", err)
	}
	if !j.unlisted.Load() {
		j.dropping.Lock()
		defer j.dropping.Unlock()
		j.meta.Store(j.ended(j.meta.Load()))
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
