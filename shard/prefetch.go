package shard

import (
	"hyperkv/shard/object"
)

// A burst of commands waits for memory once and not once per key: before it runs, the
// buckets of all its keys are touched, then the records, then the members of large
// collections, level by level. The results of the functions here only keep the
// compiler honest: use them.

// Prefetch touches the bucket in which a key would be.
func (c *Call) Prefetch(database int, key []byte, hash uint64) uint64 {
	if db := c.home(key, hash).databases[database]; db != nil {
		return db.PrefetchBucket(hash)
	}
	return 0
}

// PrefetchRecord touches the record that Prefetch has brought near.
func (c *Call) PrefetchRecord(database int, key []byte, hash uint64) uint64 {
	if db := c.home(key, hash).databases[database]; db != nil {
		return db.PrefetchRecord(hash)
	}
	return 0
}

func (c *Call) home(key []byte, hash uint64) *Shard {
	if c.only != nil {
		return c.only
	}
	return c.set.Of(RouteHash(key, hash))
}

// paths are the ways to the members that a burst is going to ask for. Owned by the turn.
type paths struct {
	list []object.Path
	// What was asked for last: bursts mostly stay with one key.
	key      []byte
	database int
	root     object.Path
	large    bool
}

// pathsMax is how many members are brought near at a time: their memory has to stay
// in the nearest caches until it is used.
const pathsMax = 64

// PrefetchMember notes a member of the collection under a key for PrefetchMembers. It
// says whether there is room for more. A call over several shards notes nothing.
func (c *Call) PrefetchMember(database int, key []byte, hash uint64, member []byte) bool {
	if c.only == nil {
		return false
	}
	p := &c.only.paths
	if len(p.list) == pathsMax {
		return false
	}
	if p.key == nil || p.database != database || string(p.key) != string(key) {
		p.key, p.database = key, database
		p.root, p.large = c.only.pathIn(database, key, hash)
	}
	if p.large {
		p.list = append(p.list, p.root.To(member))
	}
	return true
}

// pathIn is where the paths to the members of a key's collection begin.
func (s *Shard) pathIn(database int, key []byte, hash uint64) (p object.Path, ok bool) {
	db := s.databases[database]
	if db == nil {
		return p, false
	}
	e := db.Find(hash, key)
	if !e.Exists() || e.Type() == object.String {
		return p, false
	}
	v := db.Value(hash, e)
	return object.PathIn(v.Type(), v.Encoding(), v.Root(), v.Nodes())
}

// PrefetchMembers brings near the members noted since the last time.
func (c *Call) PrefetchMembers() {
	if c.only == nil {
		return
	}
	p := &c.only.paths
	depth := 0
	for i := range p.list {
		depth = max(depth, p.list[i].Depth())
	}
	for ; len(p.list) > 0; depth-- {
		for i := range p.list {
			if p.list[i].Depth() == depth {
				p.list[i].Touch()
			}
		}
		if depth == 0 {
			break
		}
		for i := range p.list {
			if p.list[i].Depth() == depth {
				p.list[i].Step()
			}
		}
	}
	p.list, p.key = p.list[:0], nil
}
