package values

import (
	"hyperkv/internal/rdb"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// A Builder makes a key of a value that is shown to it, as an rdb.Visitor, in the selected
// database of its call. There is no way back once it has begun; an old value of the
// key is replaced. It may be used again for the next key.
type Builder struct {
	Call     *shard.Call
	Key      []byte
	Deadline int64
	// OldStream says that the groups of a stream do not know how many entries they have
	// read, as in rdb.TypeStream.
	OldStream bool

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
}

// Build reads a value of the given type. After an error, the key may have some of it.
func (b *Builder) Build(r *rdb.Reader, t rdb.Type) error {
	b.built, b.OldStream = false, t == rdb.TypeStream
	if err := r.Value(t, b); err != nil {
		return err
	}
	b.End()
	return nil
}

// End completes what was shown.
func (b *Builder) End() {
	if b.zset.Len() > 0 {
		limits := b.Call.Limits()
		encoding, root := b.zset.Root(limits)
		b.zset.Fill(b.create(object.ZSet, encoding, root), limits)
		b.zset = object.ZSetBuilder{}
	}
}

// Built says that the key is there.
func (b *Builder) Built() bool { return b.built }

// create makes the key, with the root of a collection.
func (b *Builder) create(t object.Type, e object.Encoding, root []byte) *shard.Collection {
	b.built = true
	return b.Call.DB.Create(b.Key, t, e, root, b.Deadline)
}

func (b *Builder) String(text []byte) error {
	b.built = true
	b.Call.DB.Set(b.Key, text, b.Deadline)
	return nil
}

func (b *Builder) ListElement(text []byte) error {
	if !b.built {
		limits := b.Call.Limits()
		encoding, root := object.EmptyList(limits)
		b.list = object.ListOf(b.create(object.List, encoding, root), limits)
	}
	b.list.PushBack(object.ElementOf(text))
	return nil
}

// SetMember leaves out a member that has expired on its way here.
func (b *Builder) SetMember(member []byte, deadline int64) error {
	if deadline != 0 && deadline <= b.Call.Now {
		return nil
	}
	if !b.built {
		limits := b.Call.Limits()
		encoding, root := object.EmptySet(limits, object.ElementOf(member))
		b.set = object.SetOf(b.create(object.Set, encoding, root), limits, b.Call.Now)
	}
	if deadline == 0 {
		b.set.Add(member)
	} else {
		b.set.AddUntil(member, deadline)
	}
	return nil
}

func (b *Builder) ZSetMember(member []byte, score float64) error {
	b.zset.Add(object.ElementOf(member), score)
	return nil
}

// HashField leaves out a field that has expired on its way here.
func (b *Builder) HashField(field, value []byte, deadline int64) error {
	if deadline != 0 && deadline <= b.Call.Now {
		return nil
	}
	if !b.built {
		limits := b.Call.Limits()
		encoding, root := object.EmptyHash(limits)
		b.hash = object.HashOf(b.create(object.Hash, encoding, root), limits, b.Call.Now)
	}
	b.hash.Set(field, value, deadline)
	return nil
}

// openStream makes the key a stream, if it is not yet.
func (b *Builder) openStream() *object.StreamView {
	if !b.built {
		b.stream = object.StreamOf(b.create(object.Stream, object.StreamTree, object.EmptyStream), b.Call.Limits())
	}
	return &b.stream
}

func (b *Builder) StreamEntry(id rdb.StreamID, fields [][]byte) error {
	b.openStream().Append(object.StreamID(id), fields)
	return nil
}

func (b *Builder) StreamState(s rdb.StreamState) error {
	b.openStream().SetMeta(object.StreamID(s.Last), object.StreamID(s.MaxDeleted), s.Added)
	return nil
}

func (b *Builder) StreamGroup(g rdb.StreamGroup) error {
	last, read := object.StreamID(g.Last), g.Read
	if b.OldStream {
		read = b.stream.ReadUpTo(last)
	}
	b.group = b.stream.AddGroup(g.Name, last, read)
	b.consumers = b.consumers[:0]
	return nil
}

func (b *Builder) StreamConsumer(s rdb.StreamConsumer) error {
	b.consumers = append(b.consumers, b.group.AddConsumer(s.Name, s.Seen, s.Active).Number())
	return nil
}

func (b *Builder) StreamPending(p rdb.StreamPending) error {
	b.group.AddPending(&object.StreamPending{
		ID: object.StreamID(p.ID), Consumer: b.consumers[p.Consumer], Time: p.Delivered, Count: p.Count,
	})
	return nil
}
