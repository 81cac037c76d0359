package keys

import (
	"hyperkv/internal/invariant"
	"hyperkv/internal/rdb"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// A builder makes a key of a value that is shown to it, which was checked before:
// there is no way back once it has begun.
type builder struct {
	c        *shard.Call
	key      []byte
	deadline int64
	// built says that the key is there. It is not if there was nothing to put into
	// it: all fields of a hash may have expired.
	built bool

	list object.ListView
	set  object.SetView
	zset object.ZSetBuilder
	hash object.HashView

	stream    object.StreamView
	group     object.StreamGroup
	consumers []uint32 // the numbers of those of the group
	// oldStream says that groups do not know how many entries they have read.
	oldStream bool
}

func (b *builder) build(payload rdb.Payload) {
	err := payload.Visit(b)
	invariant.Assert(err == nil, "a payload that was checked is refused")
	if b.zset.Len() > 0 {
		limits := b.c.Limits()
		encoding, root := b.zset.Root(limits)
		b.zset.Fill(b.create(object.ZSet, encoding, root), limits)
	}
}

// create makes the key, with the root of a collection.
func (b *builder) create(t object.Type, e object.Encoding, root []byte) *shard.Collection {
	b.built = true
	return b.c.DB.Create(b.key, t, e, root, b.deadline)
}

func (b *builder) String(text []byte) error {
	b.built = true
	b.c.DB.Set(b.key, text, b.deadline)
	return nil
}

func (b *builder) ListElement(text []byte) error {
	if !b.built {
		limits := b.c.Limits()
		encoding, root := object.EmptyList(limits)
		b.list = object.ListOf(b.create(object.List, encoding, root), limits)
	}
	b.list.PushBack(object.ElementOf(text))
	return nil
}

func (b *builder) SetMember(member []byte) error {
	if !b.built {
		limits := b.c.Limits()
		encoding, root := object.EmptySet(limits, object.ElementOf(member))
		b.set = object.SetOf(b.create(object.Set, encoding, root), limits, b.c.Now)
	}
	b.set.Add(member)
	return nil
}

func (b *builder) ZSetMember(member []byte, score float64) error {
	b.zset.Add(object.ElementOf(member), score)
	return nil
}

// HashField leaves out a field that has expired on its way here.
func (b *builder) HashField(field, value []byte, deadline int64) error {
	if deadline != 0 && deadline <= b.c.Now {
		return nil
	}
	if !b.built {
		limits := b.c.Limits()
		encoding, root := object.EmptyHash(limits)
		b.hash = object.HashOf(b.create(object.Hash, encoding, root), limits, b.c.Now)
	}
	b.hash.Set(field, value, deadline)
	return nil
}

// openStream makes the key a stream, if it is not yet.
func (b *builder) openStream() *object.StreamView {
	if !b.built {
		b.stream = object.StreamOf(b.create(object.Stream, object.StreamTree, object.EmptyStream), b.c.Limits())
	}
	return &b.stream
}

func (b *builder) StreamEntry(id rdb.StreamID, fields [][]byte) error {
	b.openStream().Append(object.StreamID(id), fields)
	return nil
}

func (b *builder) StreamState(s rdb.StreamState) error {
	b.openStream().SetMeta(object.StreamID(s.Last), object.StreamID(s.MaxDeleted), s.Added)
	return nil
}

func (b *builder) StreamGroup(g rdb.StreamGroup) error {
	last, read := object.StreamID(g.Last), g.Read
	if b.oldStream {
		read = b.stream.ReadUpTo(last)
	}
	b.group = b.stream.AddGroup(g.Name, last, read)
	b.consumers = b.consumers[:0]
	return nil
}

func (b *builder) StreamConsumer(s rdb.StreamConsumer) error {
	b.consumers = append(b.consumers, b.group.AddConsumer(s.Name, s.Seen, s.Active).Number())
	return nil
}

func (b *builder) StreamPending(p rdb.StreamPending) error {
	b.group.AddPending(&object.StreamPending{
		ID: object.StreamID(p.ID), Consumer: b.consumers[p.Consumer], Time: p.Delivered, Count: p.Count,
	})
	return nil
}
