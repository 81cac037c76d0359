package values

import (
	"hyperkv/internal/rdb"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// Write writes the value of a key; v is that of a collection, nil for a string. It writes
// nothing and says so when all of a collection has expired, element by element.
//
// Only with native are the deadlines of a set's members written: no Redis would
// understand that.
func Write(w *rdb.Writer, e keyspace.Entry, v *shard.Collection, limits *object.Limits, now int64, native bool) bool {
	if e.IsString() {
		writeString(w, e)
		return true
	}
	return WriteCollection(w, v, e.Type(), limits, now, native, nil)
}

func writeString(w *rdb.Writer, e keyspace.Entry) {
	var digits [20]byte
	w.Type(rdb.TypeString)
	if _, ok := e.Int(); ok {
		w.Text(e.AppendString(digits[:0]))
	} else {
		w.Text(e.Bytes())
	}
}

// WriteCollection is Write for the collection of a type that is at home. step, if there is
// one, is called for each element, and may pause for as long as the collection does not change.
func WriteCollection(w *rdb.Writer, home object.Home, t object.Type, limits *object.Limits, now int64, native bool, step func()) bool {
	x := writing{Writer: w, step: step, encoding: home.Encoding()}
	switch t {
	case object.List:
		list := object.ListOf(home, limits)
		x.list(&list)
	case object.Set:
		set := object.SetOf(home, limits, now)
		if first := home.MemberDeadline(); native && first != 0 {
			x.setMetadata(&set, first)
			return true
		}
		return x.set(&set)
	case object.ZSet:
		zset := object.ZSetOf(home, limits)
		x.zset(&zset)
	case object.Hash:
		hash := object.HashOf(home, limits, now)
		return x.hash(&hash)
	case object.Stream:
		stream := object.StreamOf(home, limits)
		x.stream(&stream)
	}
	return true
}

// writing is the writing of one collection.
type writing struct {
	*rdb.Writer
	step     func()
	encoding object.Encoding
	digits   [20]byte
}

// next is called for each element, in each passage over them. It returns true.
func (x *writing) next() bool {
	if x.step != nil {
		x.step()
	}
	return true
}

func (x *writing) list(list *object.ListView) {
	out := x.List()
	list.Each(0, list.Len(), func(e object.Element) bool {
		out.Count(e.Len())
		return x.next()
	})
	list.Each(0, list.Len(), func(e object.Element) bool {
		out.Element(e.Bytes(x.digits[:0]))
		return x.next()
	})
	out.End()
}

// set leaves out when members expire: the format has no place for it.
func (x *writing) set(set *object.SetView) bool {
	count := set.Len()
	if count == 0 {
		return false
	}
	if x.encoding == object.Intset {
		members := make([]int64, 0, count)
		set.Each(func(e object.Element) bool {
			n, _ := e.Int()
			members = append(members, n)
			return x.next()
		})
		x.Intset(members)
		return true
	}
	x.Type(rdb.TypeSet)
	x.Length(uint64(count))
	set.Each(func(e object.Element) bool {
		x.Text(e.Bytes(x.digits[:0]))
		return x.next()
	})
	return true
}

// setMetadata writes a set with the deadlines of its members, of which first is the
// earliest.
func (x *writing) setMetadata(set *object.SetView, first int64) {
	x.Type(rdb.TypeSetMetadata)
	x.Millis(first)
	x.Length(uint64(set.Len()))
	set.EachUntil(func(e object.Element, deadline int64) bool {
		x.FieldDeadline(first, deadline)
		x.Text(e.Bytes(x.digits[:0]))
		return x.next()
	})
}

func (x *writing) zset(zset *object.ZSetView) {
	if x.encoding == object.Listpack {
		x.Type(rdb.TypeZSetListpack)
		var list rdb.Listpack
		list.Reset()
		zset.Range(0, zset.Len()-1, false, func(e object.Element, score float64) bool {
			list.Text(e.Bytes(x.digits[:0]))
			list.Score(score)
			return x.next()
		})
		x.Packed(&list)
		return
	}
	x.Type(rdb.TypeZSet2)
	x.Length(uint64(zset.Len()))
	// From the highest score, which is how Redis is fastest at reading it.
	zset.Range(0, zset.Len()-1, true, func(e object.Element, score float64) bool {
		x.Text(e.Bytes(x.digits[:0]))
		x.Double(score)
		return x.next()
	})
}

func (x *writing) hash(hash *object.HashView) bool {
	// Fields that have expired may still be there, and the deadlines of the others
	// have to be known before the first field is written.
	count, first := 0, int64(0)
	hash.Each(func(_, _ object.Element, deadline int64) bool {
		count++
		if deadline != 0 && (first == 0 || deadline < first) {
			first = deadline
		}
		return x.next()
	})
	if count == 0 {
		return false
	}
	var list rdb.Listpack
	packed := first == 0 && x.encoding != object.Hashtable
	switch {
	case first != 0:
		x.Type(rdb.TypeHashMetadata)
		x.Millis(first)
		x.Length(uint64(count))
	case packed:
		x.Type(rdb.TypeHashListpack)
		list.Reset()
	default:
		x.Type(rdb.TypeHash)
		x.Length(uint64(count))
	}
	hash.Each(func(field, value object.Element, deadline int64) bool {
		if packed {
			list.Text(field.Bytes(x.digits[:0]))
			list.Text(value.Bytes(x.digits[:0]))
			return x.next()
		}
		if first != 0 {
			x.FieldDeadline(first, deadline)
		}
		x.Text(field.Bytes(x.digits[:0]))
		x.Text(value.Bytes(x.digits[:0]))
		return x.next()
	})
	if packed {
		x.Packed(&list)
	}
	return true
}

func (x *writing) stream(stream *object.StreamView) {
	var fields [][]byte
	var digits []byte
	add := func(e object.Element) {
		if _, isInt := e.Int(); !isInt {
			fields = append(fields, e.Bytes(nil))
			return
		}
		from := len(digits)
		digits = e.Append(digits)
		fields = append(fields, digits[from:])
	}
	texts := func(e *object.StreamEntry) [][]byte {
		fields, digits = fields[:0], digits[:0]
		e.Each(func(field, value object.Element) {
			add(field)
			add(value)
		})
		return fields
	}
	out := x.Stream()
	stream.EachEntry(func(e *object.StreamEntry) bool {
		out.Count(texts(e))
		return x.next()
	})
	stream.EachEntry(func(e *object.StreamEntry) bool {
		out.Entry(rdb.StreamID(e.ID), texts(e))
		return x.next()
	})
	out.State(rdb.StreamState{
		Last:       rdb.StreamID(stream.LastID()),
		MaxDeleted: rdb.StreamID(stream.MaxDeletedID()),
		Added:      stream.Added(),
	}, stream.Groups())
	stream.EachGroup(func(g *object.StreamGroup) bool {
		x.group(out, g)
		return true
	})
}

func (x *writing) group(out *rdb.StreamWriter, g *object.StreamGroup) {
	var consumers []rdb.StreamConsumer
	places := map[uint32]int{} // of consumers, by number
	g.EachConsumer(func(c object.StreamConsumer) bool {
		places[c.Number()] = len(consumers)
		consumers = append(consumers, rdb.StreamConsumer{Name: c.Name(), Seen: c.Seen(), Active: c.Active()})
		return true
	})
	var pending []rdb.StreamPending
	g.EachPending(object.StreamID{}, func(p *object.StreamPending) bool {
		pending = append(pending, rdb.StreamPending{
			ID: rdb.StreamID(p.ID), Consumer: places[p.Consumer], Delivered: p.Time, Count: p.Count,
		})
		return x.next()
	})
	out.Group(rdb.StreamGroup{Name: g.Name(), Last: rdb.StreamID(g.LastID()), Read: g.Read()}, consumers, pending)
}
