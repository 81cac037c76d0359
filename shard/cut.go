package shard

import (
	"bytes"

	"hyperkv/internal/clock"
	"hyperkv/internal/invariant"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// A cut is the dataset of a moment, taken key by key while commands go on: the way
// in which snapshots are made without a copy of the process. It begins on all shards at
// one moment, under all their turns; then each shard takes its part in slices, and a
// key that is about to change is taken before (Shard.apply). So every key is taken
// once, as it was at that moment. A large collection is taken over several slices; when it
// is about to change before that is over, a copy of it is taken instead, because to copy
// nodes is quicker than to take what is in them. Owned by the shard's turn.
type cut struct {
	taker Taker
	left  []cutDatabase // those that have not come to their end; the first is at work
	met   [][]byte      // names of large collections that the scan of the first has met
	large []cutLarge    // that are being taken, one after the other
}

// cutDatabase is a database as it was called when the cut began. It may be called
// otherwise by now, or be flushed: then it is the cut's to close.
type cutDatabase struct {
	number int
	db     *keyspace.DB
	cursor uint64
	all    bool // the scan has come round
	gone   bool
}

// cutLarge is a large collection that is being taken: that of a key, or a copy, which is
// the cut's to free.
type cutLarge struct {
	db   *keyspace.DB
	name []byte
	copy object.Home // nil if it is that of the key
	typ  object.Type
}

// A Taker takes what is of a cut. Its methods are called under the turn of the
// shard that it was made for, and must not block.
type Taker interface {
	// Take takes a key, which is borrowed as everything of a database; v is its value if
	// it is a collection. Keys and members whose time has come may be among what is taken.
	Take(database int, e keyspace.Entry, v *Collection)
	// Large says that a collection is better taken in parts. Begin puts one behind those
	// that have been begun: it is at home, and does not change until it was taken. Restart
	// says that the first of them is now there. Continue goes on with the first for about so
	// many nanoseconds, and tells whether there is more of it.
	Large(v *Collection) bool
	Begin(database int, e keyspace.Entry, home object.Home)
	Restart(home object.Home)
	Continue(nanos int64) (more bool)
	// Full says that it has taken enough for now. A key that changes has to be taken
	// all the same.
	Full() bool
	// Abandon says that nothing more will come, and that what was taken is not wanted.
	Abandon()
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
	c := s.cut
	if c == nil {
		return false
	}
	s.set.LongAhead()
	end := clock.Monotonic() + nanos
	for len(c.left) > 0 {
		at := &c.left[0]
		for !at.all {
			if s.takeLarge(at, end) {
				return true
			}
			for scans := 0; scans < cutScans && !at.all && len(c.met) == 0; scans++ {
				at.cursor = at.db.Scan(at.cursor, func(e keyspace.Entry) { s.meet(at, e) })
				at.all = at.cursor == 0
				if nanos <= 0 {
					break
				}
			}
			if !at.all && (clock.Monotonic() > end || c.taker.Full()) {
				return true
			}
		}
		if s.takeLarge(at, end) {
			return true
		}
		if at.gone {
			go at.db.Close()
		}
		c.left = c.left[1:]
	}
	s.cut = nil
	return false
}

// meet takes what a scan has met, or leaves it for takeLarge.
func (s *Shard) meet(at *cutDatabase, e keyspace.Entry) {
	if e.IsString() {
		s.take(at.number, e)
		return
	}
	if !at.db.Pending(e) {
		return
	}
	if v := s.collectionOf(at.number, e); s.cut.taker.Large(&v) {
		s.cut.met = append(s.cut.met, bytes.Clone(e.Key()))
		return
	}
	s.take(at.number, e)
}

// takeLarge takes the large collections that were met, until the end of the slice, and
// tells whether there is more of them.
func (s *Shard) takeLarge(at *cutDatabase, end int64) (more bool) {
	c := s.cut
	for {
		for len(c.large) > 0 {
			if c.taker.Continue(max(end-clock.Monotonic(), 0)) {
				return true
			}
			c.large[0].free()
			c.large = c.large[1:]
		}
		if len(c.met) == 0 {
			return false
		}
		name := c.met[0]
		c.met = c.met[1:]
		// It may be gone by now, or have been taken because it changed.
		if e := at.db.Find(Hash(name), name); e.Exists() && at.db.Take(e) {
			v := s.collectionOf(at.number, e)
			c.taker.Begin(at.number, e, object.Freeze(&v))
			c.large = append(c.large, cutLarge{db: at.db, name: name})
		}
	}
}

// is says whether it is the collection of a key, of which there is one at a time, the first.
func (l *cutLarge) is(db *keyspace.DB, name []byte) bool {
	return l.copy == nil && l.db == db && bytes.Equal(l.name, name)
}

// free gives back what the cut has of a collection.
func (l *cutLarge) free() {
	if l.copy != nil {
		l.db.Discard(l.typ, l.copy)
	}
}

// AbandonCut lets nobody take what is left of the cut. TakeSlice has to come to its end
// all the same. Owned by the turn.
func (s *Shard) AbandonCut() {
	if s.cut != nil {
		s.cut.taker.Abandon()
		for i := range s.cut.large {
			s.cut.large[i].free()
		}
		s.cut.taker, s.cut.large = nobody{}, nil
	}
}

// nobody takes what is not wanted any more.
type nobody struct{}

func (nobody) Take(int, keyspace.Entry, *Collection)  {}
func (nobody) Large(*Collection) bool                 { return false }
func (nobody) Begin(int, keyspace.Entry, object.Home) {}
func (nobody) Restart(object.Home)                    {}
func (nobody) Continue(int64) bool                    { return false }
func (nobody) Full() bool                             { return false }
func (nobody) Abandon()                               {}

// take takes an entry if it is of the cut and was not taken.
func (s *Shard) take(number int, e keyspace.Entry) {
	if !e.DB().Take(e) {
		return
	}
	if e.IsString() {
		s.cut.taker.Take(number, e, nil)
		return
	}
	v := s.collectionOf(number, e)
	s.cut.taker.Take(number, e, &v)
}

// collectionOf is the collection of an entry, for one who only reads.
func (s *Shard) collectionOf(number int, e keyspace.Entry) Collection {
	key := e.Key()
	hash := Hash(key)
	return Collection{Value: e.DB().Value(hash, e), shard: s, database: number, hash: hash, key: key}
}

// takeBefore takes what a mutation is about to change.
func (c *cut) takeBefore(s *Shard, db *keyspace.DB, hash uint64, m *mutation) {
	place, ours := c.place(db)
	if !ours {
		return
	}
	e := m.entry
	if !e.Exists() {
		e = db.Find(hash, m.key)
	}
	if e.Exists() {
		c.takeNow(s, place, e)
	}
	if m.op == opMoveValue {
		c.takeNow(s, place, m.from.Entry())
	}
}

// takeNow takes an entry, or makes a copy of what is large.
func (c *cut) takeNow(s *Shard, place int, e keyspace.Entry) {
	db, number := e.DB(), c.left[place].number
	if e.IsString() {
		s.take(number, e)
		return
	}
	if len(c.large) > 0 && c.large[0].is(db, e.Key()) {
		v := s.collectionOf(number, e)
		c.large[0] = copied(&v)
		c.taker.Restart(c.large[0].copy)
		return
	}
	if !db.Pending(e) {
		return
	}
	v := s.collectionOf(number, e)
	if !c.taker.Large(&v) {
		s.take(number, e)
		return
	}
	db.Take(e)
	l := copied(&v)
	c.taker.Begin(number, e, l.copy)
	c.large = append(c.large, l)
}

func copied(v *Collection) cutLarge {
	return cutLarge{db: v.Entry().DB(), copy: v.FreezeCopy(), typ: v.Type()}
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
