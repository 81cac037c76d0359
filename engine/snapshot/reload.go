package snapshot

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

// Copy is the dataset of the call's shards, all of whose turns are held, in native blocks
// by shard. Other cuts may be under way.
func Copy(c *shard.Call) [][]Block {
	all := make([][]Block, len(c.Shards()))
	client := shard.Client{NoTouch: true}
	var reply resp.Writer
	for i, s := range c.Shards() {
		call := s.Call()
		call.BeginClient(&client, &reply)
		t := newTaker(s, c.Limits(), timeless, &Options{Native: true, Large: largeDefault})
		t.unbounded = true
		for number := range c.Databases() {
			call.Begin(number, nil)
			call.DB.EachOf(s, func(e keyspace.Entry) {
				t.Take(number, e, call.DB.OpenCollection(e.Key(), e))
			})
		}
		call.EndClient()
		t.end()
		all[i] = t.ready
	}
	return all
}

// Replace empties the dataset of the call's shards, all of whose turns are held, and loads
// blocks of so many shards instead. Nothing of it is recorded as an effect. After an
// error the dataset is what could be loaded.
func Replace(c *shard.Call, e *engine.Engine, all [][]Block) error {
	var reply resp.Writer
	c.BeginClient(&shard.Client{}, &reply)
	c.FlushAll(false)
	c.EndClient()
	for i, blocks := range all {
		l := NewLoader(e, i, len(all))
		for _, b := range blocks {
			for _, s := range c.Shards() {
				if l.home != nil && s != l.home {
					continue
				}
				if _, err := l.load(b.Bytes, s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
