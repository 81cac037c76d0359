package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Durability is what keeps the data beyond the process, as far as the engine has to know.
// Immutable; its functions are safe for concurrent use.
type Durability struct {
	State func() DurabilityState
	// Snapshot asks for a snapshot, and returns what its end will be told to. While one is
	// taken it returns ErrSnapshotBusy, or, with queue, asks for another one behind it.
	Snapshot func(why SnapshotReason, queue bool) (over <-chan error, err error)
	// Sync makes durable what was recorded before it; Synced says that all of it is. Both
	// are of the log, if there is one.
	Sync   func() error
	Synced func() bool
	// Reload empties the dataset and recovers it from what is on disk, for DEBUG LOADAOF.
	Reload func() error
}

// A SnapshotReason says for whom a snapshot is taken.
type SnapshotReason uint8

// The reasons. Redis has two different things where HyperKV has only snapshots.
const (
	SnapshotSave    SnapshotReason = iota // SAVE, BGSAVE, the schedule
	SnapshotRewrite                       // BGREWRITEAOF, a log that has grown
)

// ErrSnapshotBusy says that a snapshot is being taken.
var ErrSnapshotBusy = errors.New("a snapshot is being taken")

// DurabilityState is how that is at the moment.
type DurabilityState struct {
	Log       bool   // there is one
	Failed    error  // why nothing can be kept in it, nil when it can
	Bytes     int64  // of it on disk, about
	Delayed   uint64 // how often writes have waited for the disk
	Snapshots SnapshotState
}

// SnapshotState is what INFO shows of snapshots.
type SnapshotState struct {
	Running   bool
	Reason    SnapshotReason // of the one that is running
	Scheduled bool           // another one is asked for behind it, by BGREWRITEAOF
	Began     time.Time      // of the one that is running
	Keys      uint64         // that it has stored so far
	KeysAtCut uint64

	Last        time.Time // the moment of the last that succeeded; zero if there was none
	LastError   error     // of the last that was tried
	LastTook    time.Duration
	LastBytes   int64
	Count       uint64 // that succeeded
	Rewrites    uint64 // of them, those for SnapshotRewrite
	RewriteTook time.Duration
	Dirty       uint64 // changes, as Stats counts them, that the last one holds
	Loaded      uint64 // keys that the one that was loaded had
}

// SetDurability says what keeps the data.
func (e *Engine) SetDurability(d Durability) { e.durability.Store(&d) }

// Durability is what keeps the data, nil if nothing does.
func (e *Engine) Durability() *Durability { return e.durability.Load() }

// DurabilityState is how the data is kept, if anything keeps it.
func (e *Engine) DurabilityState() (state DurabilityState, ok bool) {
	if d := e.durability.Load(); d != nil {
		return d.State(), true
	}
	return state, false
}

// SavesAtEnd says whether a snapshot is to be taken when the server stops.
func (e *Engine) SavesAtEnd() bool {
	return e.Params.String("save") != "" || e.Params.Bool("snapshot_enabled") && !e.Params.Bool("appendonly")
}

// LogFails is what writes are answered while the log cannot be written.
func LogFails(err error) resp.Error {
	return resp.Error("MISCONF Errors writing to the AOF file: " + err.Error())
}

// RefuseWrites makes every command that may change something fail with an error, and keeps
// what expires in its place, until that is empty. It is called by one goroutine.
func (e *Engine) RefuseWrites(refusal resp.Error) {
	if refusal == "" {
		if e.writesRefused.Swap(nil) != nil {
			e.Shards.ExpiryHeld.Add(-1)
		}
		return
	}
	if e.writesRefused.Swap(&refusal) == nil {
		e.Shards.ExpiryHeld.Add(1)
	}
}

// A Replayer repeats effects that were recorded, before the engine serves anybody.
// It belongs to one goroutine; several may work at once.
type Replayer struct {
	e      *Engine
	home   *shard.Shard // what its own effects concern, if the shards are those of then
	index  int          // of the shard that recorded it
	shards int          // how many there were

	all    *shard.Exclusive // for what concerns more than one shard
	caller shard.Client
	w      resp.Writer
}

// NewReplayer makes a Replayer for what a shard has recorded when there were so many.
func (e *Engine) NewReplayer(index, shards int) *Replayer {
	r := &Replayer{e: e, caller: shard.Client{Primary: true}, index: index, shards: shards, all: e.Shards.NewExclusive(), w: resp.Writer{Proto: 2}}
	if shards == len(e.Shards.Shards) {
		r.home = e.Shards.Shards[index]
	}
	return r
}

// Play repeats one effect; shared says that it was recorded as one of several shards. No
// limit of the server's refuses it.
func (r *Replayer) Play(database int, args [][]byte, shared bool) error {
	if len(args) == 0 {
		return errors.New("an effect without a command")
	}
	c, err := resolve(r.e.Table.Lookup(args[0]), args)
	if err != nil {
		return fmt.Errorf("%.64q: %w", args[0], err)
	}
	if c.Run == nil || database >= int(r.e.Params.Int("databases")) {
		return fmt.Errorf("%.64q in database %d cannot be repeated", args[0], database)
	}
	switch {
	case r.home != nil && !shared:
		for !r.home.Enter() {
			runtime.Gosched() // its keeper is at work
		}
		defer r.home.Exit()
		return r.run(r.home.Call(), c, database, args)
	case !shared && c.Scope == ScopeAll && r.shards > 1:
		return r.clear(c, database)
	}
	// The log of an only shard has what concerns all keys as the others share it.
	r.all.Run(false, func(call *shard.Call) { err = r.run(call, c, database, args) })
	return err
}

// run runs a command with a call whose shards' turns are held.
func (r *Replayer) run(call *shard.Call, c *Command, database int, args [][]byte) error {
	r.w.Buf = r.w.Buf[:0]
	call.BeginClient(&r.caller, &r.w)
	call.Begin(database, args)
	call.Command = c.id
	call.Execute(c.Run, clock.Monotonic())
	call.EndClient()
	if reply := r.w.Buf; len(reply) > 0 && reply[0] == '-' {
		return fmt.Errorf("%.64q: %.200q", args[0], reply[1:])
	}
	return nil
}

// clear repeats FLUSHDB or FLUSHALL of a shard when there were other shards than now:
// it removes the keys that the shard had.
func (r *Replayer) clear(c *Command, database int) error {
	from, to := database, database+1
	switch c.fullName {
	case "flushall":
		from, to = 0, int(r.e.Params.Int("databases"))
	case "flushdb":
	default:
		return fmt.Errorf("%q cannot be repeated on other shards", c.fullName)
	}
	r.all.Run(false, func(call *shard.Call) {
		call.BeginClient(&r.caller, &r.w)
		for number := from; number < to; number++ {
			db := call.DBAt(number)
			var keys [][]byte
			db.EachKey(func(key []byte) {
				if shard.IndexAmong(shard.RouteHash(key, shard.Hash(key)), r.shards) == r.index {
					keys = append(keys, bytes.Clone(key))
				}
			})
			call.Begin(number, nil)
			for _, key := range keys {
				db.Delete(key, db.Peek(key))
			}
		}
	})
	return nil
}
