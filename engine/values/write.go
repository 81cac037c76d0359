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
	var digits [20]byte
	if e.Type() == object.String {
		w.Type(rdb.TypeString)
		if _, ok := e.Int(); ok {
			w.Text(e.AppendString(digits[:0]))
		} else {
			w.Text(e.Bytes())
		}
		return true
	}
	switch e.Type() {
	case object.List:
		list := object.ListOf(v, limits)
		writeList(w, &list)
	case object.Set:
		set := object.SetOf(v, limits, now)
		if native && v.MemberDeadline() != 0 {
			writeSetMetadata(w, &set, v.MemberDeadline())
			return true
		}
		return writeSet(w, &set, e.Encoding())
	case object.ZSet:
		zset := object.ZSetOf(v, limits)
		writeZSet(w, &zset, e.Encoding())
	case object.Hash:
		hash := object.HashOf(v, limits, now)
		return writeHash(w, &hash, e.Encoding())
	case object.Stream:
		stream := object.StreamOf(v, limits)
		writeStream(w, &stream)
	}
	return true
}

func writeList(w *rdb.Writer, list *object.ListView) {
	var digits [20]byte
	out := w.List()
	list.Each(0, list.Len(), func(e object.Element) bool {
		out.Count(e.Len())
		return true
	})
	list.Each(0, list.Len(), func(e object.Element) bool {
		out.Element(e.Bytes(digits[:0]))
		return true
	})
	out.End()
}

// writeSet leaves out when members expire: the format has no place for it.
func writeSet(w *rdb.Writer, set *object.SetView, encoding object.Encoding) bool {
	count := set.Len()
	if count == 0 {
		return false
	}
	if encoding == object.Intset {
		members := make([]int64, 0, count)
		set.Each(func(e object.Element) bool {
			n, _ := e.Int()
			members = append(members, n)
			return true
		})
		w.Intset(members)
		return true
	}
	var digits [20]byte
	w.Type(rdb.TypeSet)
	w.Length(uint64(count))
	set.Each(func(e object.Element) bool {
		w.Text(e.Bytes(digits[:0]))
		return true
	})
	return true
}

// writeSetMetadata writes a set with the deadlines of its members, of which first is the
// earliest.
func writeSetMetadata(w *rdb.Writer, set *object.SetView, first int64) {
	var digits [20]byte
	w.Type(rdb.TypeSetMetadata)
	w.Millis(first)
	w.Length(uint64(set.Len()))
	set.EachUntil(func(e object.Element, deadline int64) bool {
		w.FieldDeadline(first, deadline)
		w.Text(e.Bytes(digits[:0]))
		return true
	})
}

func writeZSet(w *rdb.Writer, zset *object.ZSetView, encoding object.Encoding) {
	var digits [20]byte
	if encoding == object.Listpack {
		w.Type(rdb.TypeZSetListpack)
		var list rdb.Listpack
		list.Reset()
		zset.Range(0, zset.Len()-1, false, func(e object.Element, score float64) bool {
			list.Text(e.Bytes(digits[:0]))
			list.Score(score)
			return true
		})
		w.Packed(&list)
		return
	}
	w.Type(rdb.TypeZSet2)
	w.Length(uint64(zset.Len()))
	// From the highest score, which is how Redis is fastest at reading it.
	zset.Range(0, zset.Len()-1, true, func(e object.Element, score float64) bool {
		w.Text(e.Bytes(digits[:0]))
		w.Double(score)
		return true
	})
}

func writeHash(w *rdb.Writer, hash *object.HashView, encoding object.Encoding) bool {
	// Fields that have expired may still be there, and the deadlines of the others
	// have to be known before the first field is written.
	count, first := 0, int64(0)
	hash.Each(func(_, _ object.Element, deadline int64) bool {
		count++
		if deadline != 0 && (first == 0 || deadline < first) {
			first = deadline
		}
		return true
	})
	if count == 0 {
		return false
	}
	var list rdb.Listpack
	packed := first == 0 && encoding != object.Hashtable
	switch {
	case first != 0:
		w.Type(rdb.TypeHashMetadata)
		w.Millis(first)
		w.Length(uint64(count))
	case packed:
		w.Type(rdb.TypeHashListpack)
		list.Reset()
	default:
		w.Type(rdb.TypeHash)
		w.Length(uint64(count))
	}
	var digits [20]byte
	hash.Each(func(field, value object.Element, deadline int64) bool {
		if packed {
			list.Text(field.Bytes(digits[:0]))
			list.Text(value.Bytes(digits[:0]))
			return true
		}
		if first != 0 {
			w.FieldDeadline(first, deadline)
		}
		w.Text(field.Bytes(digits[:0]))
		w.Text(value.Bytes(digits[:0]))
		return true
	})
	if packed {
		w.Packed(&list)
	}
	return true
}

func writeStream(w *rdb.Writer, stream *object.StreamView) {
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
	out := w.Stream()
	stream.EachEntry(func(e *object.StreamEntry) bool {
		out.Count(texts(e))
		return true
	})
	stream.EachEntry(func(e *object.StreamEntry) bool {
		out.Entry(rdb.StreamID(e.ID), texts(e))
		return true
	})
	out.State(rdb.StreamState{
		Last:       rdb.StreamID(stream.LastID()),
		MaxDeleted: rdb.StreamID(stream.MaxDeletedID()),
		Added:      stream.Added(),
	}, stream.Groups())
	stream.EachGroup(func(g *object.StreamGroup) bool {
		writeGroup(out, g)
		return true
	})
}

func writeGroup(out *rdb.StreamWriter, g *object.StreamGroup) {
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
		return true
	})
	out.Group(rdb.StreamGroup{Name: g.Name(), Last: rdb.StreamID(g.LastID()), Read: g.Read()}, consumers, pending)
}
