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
	databases int
	keys      uint64

	client shard.Client
	reply  resp.Writer
	build  values.Builder
	args   [2][]byte
}

// NewLoader makes a Loader for what a shard has taken when there were so many.
func NewLoader(e *engine.Engine, index, shards int) *Loader {
	l := &Loader{e: e, client: shard.Client{Primary: true}, databases: int(e.Params.Int("databases"))}
	if shards == len(e.Shards.Shards) {
		l.home = e.Shards.Shards[index]
	}
	return l
}

// Keys is how many keys were loaded.
func (l *Loader) Keys() uint64 { return l.keys }

// Load loads a block. After an error some of it may be there.
func (l *Loader) Load(block []byte) (err error) {
	if l.home != nil {
		l.home.Do(func() { err = l.load(block, l.home, false) })
		return err
	}
	for _, s := range l.e.Shards.Shards {
		s.Do(func() { err = l.load(block, s, true) })
		if err != nil {
			return err
		}
	}
	return nil
}

// load loads those keys of a block that are the shard's; others are an error unless they
// are expected. The shard's turn is held.
func (l *Loader) load(block []byte, s *shard.Shard, others bool) error {
	c := s.Call()
	c.BeginClient(&l.client, &l.reply)
	defer c.EndClient()
	l.build.Call = c
	body := rdb.Body{Reader: rdb.NewBytesReader(block)}
	for {
		key, err := body.Next()
		if key == nil || err != nil {
			return err
		}
		if key.Database >= l.databases {
			return fmt.Errorf("a key in database %d, and there are %d", key.Database, l.databases)
		}
		hash := shard.Hash(key.Name)
		if l.e.Shards.Of(shard.RouteHash(key.Name, hash)) != s {
			if !others {
				return fmt.Errorf("the key %.64q is not one of shard %d", key.Name, s.Index)
			}
			if err := body.Value(key.Type, passOver{}); err != nil {
				return err
			}
			continue
		}
		l.args[1] = key.Name
		c.Begin(key.Database, l.args[:])
		c.FirstKey, c.FirstHash = 1, hash
		l.build.Key, l.build.Deadline = key.Name, key.Deadline
		if err := l.build.Build(body.Reader, key.Type); err != nil {
			return fmt.Errorf("the key %.64q: %w", key.Name, err)
		}
		l.keys++
	}
}

// passOver is an rdb.Visitor that wants nothing.
type passOver struct{}

func (passOver) String([]byte) error                      { return nil }
func (passOver) ListElement([]byte) error                 { return nil }
func (passOver) SetMember([]byte, int64) error            { return nil }
func (passOver) ZSetMember([]byte, float64) error         { return nil }
func (passOver) HashField(_, _ []byte, _ int64) error     { return nil }
func (passOver) StreamEntry(rdb.StreamID, [][]byte) error { return nil }
func (passOver) StreamState(rdb.StreamState) error        { return nil }
func (passOver) StreamGroup(rdb.StreamGroup) error        { return nil }
func (passOver) StreamConsumer(rdb.StreamConsumer) error  { return nil }
func (passOver) StreamPending(rdb.StreamPending) error    { return nil }
