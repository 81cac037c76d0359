package engine

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"

	"hyperkv/internal/clock"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Durability is what the engine shows of what keeps the data beyond the process.
// Immutable; State is safe for concurrent use.
type Durability struct {
	State func() DurabilityState
}

// DurabilityState is how that is at the moment.
type DurabilityState struct {
	Failed  error  // why nothing can be kept, nil when it can
	Bytes   int64  // on disk, about
	Delayed uint64 // how often writes have waited for the disk
}

// SetDurability says what keeps the data.
func (e *Engine) SetDurability(d Durability) { e.durability.Store(&d) }

// Durable says whether anything keeps the data, and how that is.
func (e *Engine) Durable() (state DurabilityState, ok bool) {
	if d := e.durability.Load(); d != nil {
		return d.State(), true
	}
	return state, false
}

// RefuseWrites makes every command that may change something fail, and keeps what
// expires in its place, until err is nil. It is called by one goroutine.
func (e *Engine) RefuseWrites(err error) {
	if err == nil {
		if e.writesRefused.Swap(nil) != nil {
			e.Shards.ExpiryHeld.Add(-1)
		}
		return
	}
	refusal := resp.Error("MISCONF Errors writing to the AOF file: " + err.Error())
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
	r := &Replayer{e: e, index: index, shards: shards, all: e.Shards.NewExclusive(), w: resp.Writer{Proto: 2}}
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
	case !shared && c.Scope == ScopeAll:
		return r.clear(c, database)
	}
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
