package shard

import (
	"hyperkv/internal/clock"
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
)

// A cut is the dataset of a moment, taken key by key while commands go on: the way
// in which snapshots are made without a copy of the process. It begins on all shards at
// one moment, under all their turns; then each shard takes its part in slices, and a
// key that is about to change is taken before (Shard.apply). So every key is taken
// once, as it was at that moment. Owned by the shard's turn.
type cut struct {
	taker Taker
	left  []cutDatabase // those that have not come to their end; the first is at work
}

// cutDatabase is a database as it was called when the cut began. It may be called
// otherwise by now, or be flushed: then it is the cut's to close.
type cutDatabase struct {
	number int
	db     *keyspace.DB
	cursor uint64
	gone   bool
}

// A Taker takes what is of a cut. Its methods are called under the turn of the
// shard that it was made for, and must not block.
type Taker interface {
	// Take takes a key, which is borrowed as everything of a database; v is its value if
	// it is a collection. Keys and members whose time has come may be among what is taken.
	Take(database int, e keyspace.Entry, v *Collection)
	// Full says that it has taken enough for now. A key that changes has to be taken
	// all the same.
	Full() bool
}

// BeginCut begins a cut on all shards of the call, each with its own Taker. There must
// be no other. Each shard's TakeSlice is to be called until it has come to its end.
func (c *Call) BeginCut(taker func(shard int) Taker) {
	for _, s := range c.shards {
		invariant.Assert(s.cut == nil, "a cut begins while another is taken")
		s.cut = &cut{taker: taker(s.Index)}
		for number, db := range s.databases {
			if db != nil && db.Len() > 0 {
				db.BeginCut()
				s.cut.left = append(s.cut.left, cutDatabase{number: number, db: db})
			}
		}
	}
}

// cutScans is how many steps of a scan lie between two looks at the clock.
const cutScans = 4

// TakeSlice takes keys of the cut for about so many nanoseconds, a few in any case, or
// until the Taker is full, and tells whether there are more. Owned by the turn.
func (s *Shard) TakeSlice(nanos int64) (more bool) {
	if s.cut == nil {
		return false
	}
	start := clock.Monotonic()
	for len(s.cut.left) > 0 {
		at := &s.cut.left[0]
		for scans := 1; ; scans++ {
			at.cursor = at.db.Scan(at.cursor, func(e keyspace.Entry) { s.take(at.number, e) })
			if at.cursor == 0 {
				break
			}
			if (scans%cutScans == 0 || nanos <= 0) && (clock.Monotonic()-start > nanos || s.cut.taker.Full()) {
				return true
			}
		}
		if at.gone {
			go at.db.Close()
		}
		s.cut.left = s.cut.left[1:]
	}
	s.cut = nil
	return false
}

// AbandonCut lets nobody take what is left of the cut. TakeSlice has to come to its end
// all the same. Owned by the turn.
func (s *Shard) AbandonCut() {
	if s.cut != nil {
		s.cut.taker = nobody{}
	}
}

// nobody takes what is not wanted any more.
type nobody struct{}

func (nobody) Take(int, keyspace.Entry, *Collection) {}
func (nobody) Full() bool                            { return false }

// take takes an entry if it is of the cut and was not taken.
func (s *Shard) take(number int, e keyspace.Entry) {
	db := e.DB()
	if !db.Take(e) {
		return
	}
	if e.IsString() {
		s.cut.taker.Take(number, e, nil)
		return
	}
	key := e.Key()
	hash := Hash(key)
	v := Collection{Value: db.Value(hash, e), shard: s, database: number, hash: hash, key: key}
	s.cut.taker.Take(number, e, &v)
}

// takeBefore takes what a mutation is about to change.
func (c *cut) takeBefore(s *Shard, db *keyspace.DB, hash uint64, m *mutation) {
	number, ours := c.place(db)
	if !ours {
		return
	}
	e := m.entry
	if !e.Exists() {
		e = db.Find(hash, m.key)
	}
	if e.Exists() {
		s.take(c.left[number].number, e)
	}
	if m.op == opMoveValue {
		s.take(c.left[number].number, m.from.Entry())
	}
}

// place is where a database stands among those that are left.
func (c *cut) place(db *keyspace.DB) (int, bool) {
	for i := range c.left {
		if c.left[i].db == db {
			return i, true
		}
	}
	return 0, false
}

// keep takes over a database that is emptied, if some of it is still to be taken.
func (c *cut) keep(db *keyspace.DB) bool {
	i, ours := c.place(db)
	if ours {
		c.left[i].gone = true
	}
	return ours
}
