package snapshot

import (
	"bytes"
	"iter"

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
	database int
	name     []byte
	deadline int64
	kind     object.Type

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
		return l.Len() >= t.o.Large
	case object.Set:
		s := object.SetOf(v, t.limits, timeless)
		return s.Len() >= t.o.Large
	case object.Hash:
		h := object.HashOf(v, t.limits, timeless)
		return h.Len() >= t.o.Large
	case object.ZSet:
		z := object.ZSetOf(v, t.limits)
		return z.Len() >= t.o.Large
	case object.Stream:
		s := object.StreamOf(v, t.limits)
		return s.Len() >= t.o.Large
	}
	return false
}

// Begin implements shard.Taker.
func (t *taker) Begin(database int, e keyspace.Entry, home object.Home) {
	l := &large{database: database, name: bytes.Clone(e.Key()), deadline: e.Deadline(), kind: e.Type()}
	t.write(l, home)
	t.large = append(t.large, l)
}

// Restart implements shard.Taker.
func (t *taker) Restart(home object.Home) {
	t.large[0].stop()
	t.write(t.large[0], home)
}

// write begins to write what is at home.
func (t *taker) write(l *large, home object.Home) {
	l.w = t.writer()
	l.w.SelectDB(l.database)
	l.w.Key(l.name, l.deadline)
	l.next, l.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if r := recover(); r != nil && r != any(abandoned{}) {
				panic(r)
			}
		}()
		l.any = values.WriteCollection(l.w, home, l.kind, t.limits, t.now, t.o.Native, func() {
			if l.steps++; l.steps%max(t.o.Large/looks, 1) == 0 && clock.Monotonic() >= l.until && !yield(struct{}{}) {
				panic(abandoned{})
			}
		})
	})
}

// abandoned unwinds the writing of what is not wanted any more.
type abandoned struct{}

// Continue implements shard.Taker.
func (t *taker) Continue(nanos int64) (more bool) {
	l := t.large[0]
	l.until = clock.Monotonic() + nanos
	if _, more = l.next(); more {
		return true
	}
	t.large = t.large[1:]
	if l.any {
		t.add(Block{Bytes: l.w.Take([]byte{}), Keys: 1})
	}
	return false
}

// Abandon implements shard.Taker.
func (t *taker) Abandon() {
	for _, l := range t.large {
		l.stop()
	}
	t.large, t.ready, t.behind = nil, nil, 0
}
