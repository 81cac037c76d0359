package shard

import (
	"bytes"
	"slices"
	"sync/atomic"

	"hyperkv/internal/invariant"
)

// An Effect is what a command did, as the command that does it again: absolute
// times instead of relative ones, the outcome instead of the condition.
// Applied in order to the state before, effects give the state after.
type Effect struct {
	Database int
	Args     [][]byte
}

// EffectSink receives what happened in one atomic unit (a command, a transaction,
// an expiry) on the given shards, whose turns are held. The record is borrowed
// until the sink returns, and the sink must not block.
type EffectSink func(shards []*Shard, effects []Effect)

// effectBuffer collects the effects of one unit. Its arrays are reused.
type effectBuffer struct {
	// spoken says that the handler of the current command named its effects.
	spoken bool
	// list is what the unit has done so far; the effects from command on are
	// those of the current command.
	list    []Effect
	command int
	// open says that a transaction collects the effects of several commands.
	open bool
	args [][]byte // backs the Args of the current command's effects
}

// Effect says that this command's effect is the given one, in place of the
// command as it was sent. It may be called several times; the arguments are
// borrowed until the command is settled, right after its handler has returned. A handler whose command depends on the
// time, on chance or on what it found calls it; all others are recorded as sent.
func (c *Call) Effect(args ...[]byte) { c.EffectIn(c.DB.Number, args...) }

// SetEffects says who receives what changes from now on, nil for nobody. The call has all
// shards.
func (c *Call) SetEffects(sink EffectSink) {
	invariant.Assert(len(c.shards) == len(c.set.Shards), "the effect sink changes under some turns only")
	c.set.effects = sink
}

// Recorded says whether anybody listens to effects: a handler whose effects are much
// work may leave them out otherwise.
func (c *Call) Recorded() bool { return c.set.effects != nil }

// EffectIn is Effect for a change in another database than the selected one.
func (c *Call) EffectIn(database int, args ...[]byte) {
	b := &c.effects
	b.spoken = true
	if c.set.effects == nil {
		return
	}
	from := len(b.args)
	b.args = append(b.args, args...)
	b.list = append(b.list, Effect{Database: database, Args: b.args[from:len(b.args):len(b.args)]})
}

// BeginUnit makes the effects of all commands until EndUnit one record.
func (c *Call) BeginUnit() { c.effects.open = true }

// EndUnit hands over what has collected since BeginUnit, and serves those who
// waited for it.
func (c *Call) EndUnit() {
	c.effects.open = false
	c.handOver()
	c.serveReady()
}

// settleEffects completes the effects of a command that changed something.
func (c *Call) settleEffects() {
	b := &c.effects
	if c.set.effects == nil {
		b.spoken = false
		return
	}
	if !b.spoken {
		b.list = append(b.list, Effect{Database: c.DB.Number, Args: c.Args})
	}
	b.spoken = false
	if !b.open {
		c.handOver()
		return
	}
	// The arguments outlive the command that lent them.
	for i := b.command; i < len(b.list); i++ {
		args := make([][]byte, len(b.list[i].Args))
		for j, arg := range b.list[i].Args {
			args[j] = bytes.Clone(arg)
		}
		b.list[i].Args = args
	}
	b.command = len(b.list)
	b.args = b.args[:0]
}

// dropEffects forgets the effects of a command that failed.
func (c *Call) dropEffects() {
	b := &c.effects
	b.spoken = false
	b.list = b.list[:b.command]
	b.args = b.args[:0]
}

func (c *Call) handOver() {
	b := &c.effects
	if len(b.list) != 0 {
		c.set.effects(c.shards, b.list)
	}
	clear(b.list)
	b.list, b.command, b.args = b.list[:0], 0, b.args[:0]
}

var (
	effectDelete = []byte("DEL")
	effectUnlink = []byte("UNLINK")
)

// deletion is the command that deletes a key, in the background if that is wished.
func deletion(lazy *atomic.Bool) []byte {
	if lazy.Load() {
		return effectUnlink
	}
	return effectDelete
}

// EffectExpired records that the command has deleted a key because it gave it a deadline
// that had passed.
func (c *Call) EffectExpired(key []byte) { c.Effect(deletion(&c.set.LazyExpiry), key) }

// EffectRemoved records that the command has deleted a key as a consequence of what it was
// asked for.
func (c *Call) EffectRemoved(key []byte) { c.Effect(deletion(&c.set.LazyRemoval), key) }

// emitDelete records that the shard itself removed a key.
func (s *Shard) emitDelete(c *Call, database int, key []byte) {
	if s.set.effects != nil {
		s.emit(c, database, [][]byte{deletion(&s.set.LazyExpiry), key})
	}
}

// emit records what the shard itself did: at once, or, when a transaction met the
// reason for it, at its place in the transaction's record, between the commands
// that are done and the current one.
func (s *Shard) emit(c *Call, database int, args [][]byte) {
	effect := Effect{Database: database, Args: args}
	if c == nil || !c.effects.open {
		s.set.effects(s.set.Shards[s.Index:s.Index+1], []Effect{effect})
		return
	}
	for i := 1; i < len(args); i++ {
		args[i] = bytes.Clone(args[i])
	}
	b := &c.effects
	b.list = slices.Insert(b.list, b.command, effect)
	b.command++
}
