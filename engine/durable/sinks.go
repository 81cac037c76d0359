package durable

import "hyperkv/shard"

// effectSinks are those who receive what shards do: the journal and the feed of
// replication, each while there is one. Guarded by the turns of all shards.
type effectSinks struct{ journal, feed shard.EffectSink }

// listen brings a change of the sinks into force. The call has all shards.
func (s *effectSinks) listen(c *shard.Call) {
	switch journal, feed := s.journal, s.feed; {
	case journal == nil:
		c.SetEffects(feed)
	case feed == nil:
		c.SetEffects(journal)
	default:
		c.SetEffects(func(shards []*shard.Shard, effects []shard.Effect) {
			journal(shards, effects)
			feed(shards, effects)
		})
	}
}
