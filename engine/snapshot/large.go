package snapshot

import (
	"bytes"
	"iter"
	"math"

	"hyperkv/engine/values"
	"hyperkv/internal/clock"
	"hyperkv/internal/rdb"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

const (
	// largeDefault is how many elements make a collection a large one.
	largeDefault = 1024
	// looks is how often the clock is looked at, at least, while as many elements are
	// written as make a large one.
	looks = 16
)

// large is a large collection that is being written, slice by slice, into a buffer of its
// own. It becomes a block when all of it was. Owned by the shard's turn.
type large struct {
	w     *rdb.Writer
	next  func() (struct{}, bool) // goes on until the time is over, or all was written
	stop  func()
	until int64 // of the monotonic clock
	steps int
	any   bool // something was written
}

// Large implements shard.Taker.
func (t *taker) Large(v *shard.Collection) bool {
	switch v.Type() {
	case object.List:
		l := object.ListOf(v, t.limits)
		return l.Len() >= t.largeMin
	case object.Set:
		s := object.SetOf(v, t.limits, timeless)
		return s.Len() >= t.largeMin
	case object.Hash:
		h := object.HashOf(v, t.limits, timeless)
		return h.Len() >= t.largeMin
	case object.ZSet:
		z := object.ZSetOf(v, t.limits)
		return z.Len() >= t.largeMin
	case object.Stream:
		s := object.StreamOf(v, t.limits)
		return s.Len() >= t.largeMin
	}
	return false
}

// Begin implements shard.Taker.
func (t *taker) Begin(database int, e keyspace.Entry, v *shard.Collection) {
	l := &large{w: rdb.NewPlainWriter(t.version())}
	l.w.SelectDB(database)
	l.w.Key(bytes.Clone(e.Key()), e.Deadline())
	home := object.Freeze(v)
	kind := v.Type()
	l.next, l.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(abandoned{}) {
				panic(r)
			}
		}()
		l.any = values.WriteCollection(l.w, home, kind, t.limits, t.now, t.native, func() {
			if l.steps++; l.steps%max(t.largeMin/looks, 1) == 0 && clock.Monotonic() >= l.until && !yield(struct{}{}) {
				panic(abandoned{})
			}
		})
	})
	t.large = l
}

// abandoned unwinds the writing of what is not wanted any more.
type abandoned struct{}

// Continue implements shard.Taker.
func (t *taker) Continue(nanos int64) (more bool) {
	l := t.large
	l.until = math.MaxInt64
	if nanos >= 0 {
		l.until = clock.Monotonic() + nanos
	}
	if _, more = l.next(); more {
		return true
	}
	if l.any {
		t.add(Block{Bytes: l.w.Take(), Keys: 1})
	}
	t.large = nil
	return false
}

// Abandon implements shard.Taker.
func (t *taker) Abandon() {
	if t.large != nil {
		t.large.stop()
		t.large = nil
	}
	t.ready, t.behind = nil, 0
}
