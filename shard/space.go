package shard

import "hyperkv/shard/keyspace"

// Flush empties one database of the call's shards. The memory goes back at
// once, or, with async, on another goroutine: a detached database is nobody's.
func (c *Call) Flush(database int, async bool) {
	for _, s := range c.shards {
		s.flush(c, database, async)
	}
}

// FlushAll empties all databases of the call's shards, as Flush does.
func (c *Call) FlushAll(async bool) {
	for number := range c.Databases() {
		c.Flush(number, async)
	}
}

func (s *Shard) flush(c *Call, database int, async bool) {
	db := s.databases[database]
	if s.watched.any() {
		s.watched.replaced(database, db, nil, c.Now)
	}
	if s.waiting.any() {
		s.waiting.noteAll(database)
	}
	if db == nil {
		return
	}
	c.changes += db.Len()
	c.counted += db.Len()
	s.stats.dirty += uint64(db.Len())
	s.stats.touch(database)
	s.databases[database] = nil
	if s.cut != nil && s.cut.keep(db) {
		return
	}
	if async {
		go db.Close()
	} else {
		db.Close()
	}
}

// SwapDB exchanges two databases on the call's shards.
func (c *Call) SwapDB(a, b int) {
	c.changes++
	c.CountChanges(1)
	if a == b {
		return
	}
	for _, s := range c.shards {
		s.swap(c, a, b)
	}
}

func (s *Shard) swap(c *Call, a, b int) {
	if s.watched.any() {
		s.watched.replaced(a, s.databases[a], s.databases[b], c.Now)
		s.watched.replaced(b, s.databases[b], s.databases[a], c.Now)
	}
	if s.waiting.any() {
		s.waiting.noteAll(a)
		s.waiting.noteAll(b)
	}
	s.databases[a], s.databases[b] = s.databases[b], s.databases[a]
	s.stats.touch(a)
	s.stats.touch(b)
}

// DatabaseUsage adds up what the keyspace of the call's shards occupies.
func (c *Call) DatabaseUsage(database int) (sum keyspace.Usage) {
	for _, s := range c.shards {
		db := s.databases[database]
		if db == nil {
			continue
		}
		u := db.Usage()
		sum.Index += u.Index
		sum.Records += u.Records
		sum.Slack += u.Slack
		sum.Large += u.Large
		sum.Nodes += u.Nodes
		sum.Expiry += u.Expiry
		sum.Mapped += u.Mapped
	}
	return sum
}
