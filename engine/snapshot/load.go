package snapshot

import (
	"fmt"

	"hyperkv/engine"
	"hyperkv/engine/values"
	"hyperkv/internal/rdb"
	"hyperkv/resp"
	"hyperkv/shard"
)

// A Loader gives back what one shard has taken. It belongs to one goroutine; several
// may work at once. Nothing of what it does is recorded as an effect.
type Loader struct {
	e         *engine.Engine
	home      *shard.Shard // whose the keys are; nil if there were other shards then
	index     int          // of the shard that has taken them
	shards    int          // how many there were
	databases int
	expected  int // keys of a shard in the end; 0: unknown

	client shard.Client
	reply  resp.Writer
	build  values.Builder
	args   [2][]byte
}

// NewLoader makes a Loader for what a shard has taken when there were so many.
func NewLoader(e *engine.Engine, index, shards int) *Loader {
	l := &Loader{e: e, client: shard.Client{Primary: true}, index: index, shards: shards, databases: int(e.Params.Int("databases"))}
	if shards == len(e.Shards.Shards) {
		l.home = e.Shards.Shards[index]
	}
	return l
}

// Expect says that each shard will have about so many keys in the end. The order of a
// snapshot is that of its hashes, which is not the order for which an index is made that
// grows (keyspace.DB.Expect).
func (l *Loader) Expect(keys int) { l.expected = keys }

// Load loads a block of so many keys. After an error some of it may be there. A *BlockError
// says that it is not a block that was taken.
func (l *Loader) Load(block []byte, keys int) (err error) {
	there := 0
	if l.home != nil {
		l.home.Do(func() { there, err = l.load(block, l.home) })
	} else {
		for _, s := range l.e.Shards.Shards {
			s.Do(func() { there, err = l.load(block, s) })
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	return counted(there, keys)
}

// load loads those keys of a block that are the shard's, and says how many there are in it.
// The shard's turn is held.
func (l *Loader) load(block []byte, s *shard.Shard) (keys int, err error) {
	c := s.Call()
	c.BeginClient(&l.client, &l.reply)
	defer c.EndClient()
	l.build.Call = c
	database := -1
	return each(block, func(body *rdb.Body, key *rdb.Key) error {
		if key.Database >= l.databases {
			return fmt.Errorf("a key in database %d, and there are %d", key.Database, l.databases)
		}
		hash := shard.Hash(key.Name)
		route := shard.RouteHash(key.Name, hash)
		if shard.IndexAmong(route, l.shards) != l.index {
			return strange(key, l.index)
		}
		if l.home == nil && l.e.Shards.Of(route) != s {
			return wrong(key, body.Value(key.Type, rdb.Nothing{}))
		}
		l.args[1] = key.Name
		c.Begin(key.Database, l.args[:])
		c.FirstKey, c.FirstHash = 1, hash
		if key.Database != database {
			database = key.Database
			c.DB.Expect(s, l.expected)
		}
		l.build.Key, l.build.Deadline = key.Name, key.Deadline
		return wrong(key, l.build.Build(body.Reader, key.Type))
	})
}
