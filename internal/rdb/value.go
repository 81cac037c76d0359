package rdb

import (
	"math"
	"strconv"
)

// A Visitor is shown a value, in whichever of its methods belong to the kind. What
// it is handed is borrowed until it returns; an error of its own ends the reading.
type Visitor interface {
	String(text []byte) error
	// ListElement is shown the elements of a list from its head.
	ListElement(text []byte) error
	// SetMember is shown a member with its deadline in Unix milliseconds, 0 for none.
	SetMember(member []byte, deadline int64) error
	// ZSetMember is shown the members of a sorted set in any order.
	ZSetMember(member []byte, score float64) error
	// HashField is shown a field with its deadline in Unix milliseconds, 0 for none.
	HashField(field, value []byte, deadline int64) error
	// StreamEntry is shown the entries of a stream from the first, each with its
	// fields and values in turn; then StreamState what else it knows; and then the
	// groups, each followed by its consumers and then what is pending, from the
	// first ID.
	StreamEntry(id StreamID, fields [][]byte) error
	StreamState(StreamState) error
	StreamGroup(StreamGroup) error
	StreamConsumer(StreamConsumer) error
	StreamPending(StreamPending) error
}

// Value reads a value of a type and shows it to v.
func (r *Reader) Value(t Type, v Visitor) error {
	switch t {
	case TypeString:
		text, err := r.Text()
		if err != nil {
			return err
		}
		return v.String(text)
	case TypeList:
		return r.texts(v.ListElement)
	case TypeSet:
		return r.texts(memberOf(v))
	case TypeZSet:
		return r.scores(r.textScore, v)
	case TypeZSet2:
		return r.scores(r.Double, v)
	case TypeHash:
		return r.fields(v)
	case TypeHashMetadata, TypeHashMetadataPreGA:
		return r.withDeadlines(t, func(deadline int64) error { return r.field(deadline, v) })
	case TypeSetMetadata:
		return r.withDeadlines(t, func(deadline int64) error {
			member, err := r.Text()
			if err != nil {
				return err
			}
			return v.SetMember(member, deadline)
		})
	case TypeHashValkey:
		return r.valkeyHash(v)
	case TypeListQuicklist, TypeListQuicklist2:
		return r.quicklist(t, v)
	case TypeStream, TypeStream2, TypeStream3:
		return r.streamValue(t, v)
	}
	if t.Kind() == Unknown {
		return ErrUnsupported
	}
	if t == TypeHashListpackEx {
		// The first deadline of all, which the fields themselves say again.
		if _, err := r.Millis(); err != nil {
			return err
		}
	}
	blob, err := r.Text()
	if err != nil {
		return err
	}
	if t == TypeSetIntset {
		return eachInteger(blob, func(n int64) error {
			r.digits = strconv.AppendInt(r.digits[:0], n, 10)
			return v.SetMember(r.digits, 0)
		})
	}
	list, err := openPacked(t, blob)
	if err != nil {
		return err
	}
	switch t {
	case TypeListZiplist:
		err = r.elements(list, v.ListElement)
	case TypeSetListpack:
		err = r.elements(list, memberOf(v))
	case TypeZSetZiplist, TypeZSetListpack:
		err = r.tuples(list, 2, func(member []byte, rest []element) error {
			score, err := rest[0].score()
			if err != nil {
				return err
			}
			return showMember(member, score, v)
		})
	case TypeHashZipmap, TypeHashZiplist, TypeHashListpack:
		err = r.tuples(list, 2, func(field []byte, rest []element) error {
			return v.HashField(field, rest[0].bytes(r.digits[:0]), 0)
		})
	case TypeHashListpackEx, TypeHashListpackExPreGA:
		err = r.tuples(list, 3, func(field []byte, rest []element) error {
			at := rest[1].n
			if !rest[1].isInt || at < 0 || at > deadlineMax {
				return corrupt("a field with an impossible deadline")
			}
			return v.HashField(field, rest[0].bytes(r.digits[:0]), at)
		})
	}
	return err
}

func openPacked(t Type, blob []byte) (packed, error) {
	switch t {
	case TypeHashZipmap:
		return openZipmap(blob)
	case TypeListZiplist, TypeZSetZiplist, TypeHashZiplist:
		return openZiplist(blob)
	default:
		return openListpack(blob)
	}
}

// memberOf shows the members of a set that stay.
func memberOf(v Visitor) func([]byte) error {
	return func(member []byte) error { return v.SetMember(member, 0) }
}

// count reads how many elements follow; there is at least one.
func (r *Reader) count() (uint64, error) {
	n, err := r.Length()
	if err == nil && n == 0 {
		err = ErrEmpty
	}
	return n, err
}

func (r *Reader) texts(visit func([]byte) error) error {
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var text []byte
		if text, err = r.Text(); err == nil {
			err = visit(text)
		}
	}
	return err
}

func (r *Reader) scores(read func() (float64, error), v Visitor) error {
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var member []byte
		var score float64
		if member, err = r.firstText(); err != nil {
			break
		}
		if score, err = read(); err == nil {
			err = showMember(member, score, v)
		}
	}
	return err
}

func showMember(member []byte, score float64, v Visitor) error {
	if math.IsNaN(score) {
		return corrupt("a score that is not a number")
	}
	return v.ZSetMember(member, score)
}

func (r *Reader) fields(v Visitor) error {
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		err = r.field(0, v)
	}
	return err
}

func (r *Reader) field(deadline int64, v Visitor) error {
	field, err := r.firstText()
	if err != nil {
		return err
	}
	value, err := r.Text()
	if err != nil {
		return err
	}
	return v.HashField(field, value, deadline)
}

// valkeyHash reads a hash in which a deadline stands behind each value, -1 for none.
func (r *Reader) valkeyHash(v Visitor) error {
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var field, value []byte
		if field, err = r.firstText(); err != nil {
			break
		}
		if value, err = r.secondText(); err != nil {
			break
		}
		var at int64
		if at, err = r.Millis(); err != nil {
			break
		}
		if at < -1 || at > deadlineMax {
			return corrupt("a field with an impossible deadline")
		}
		err = v.HashField(field, value, max(at, 0))
	}
	return err
}

// deadlineMax is the last moment that a command can name for a field, in Unix
// milliseconds.
const deadlineMax = 1<<46 - 1

// withDeadlines reads a collection of which each element begins with its deadline:
// 0 for none, else 1 for the first of all and so on; before 7.4.0 the deadline.
func (r *Reader) withDeadlines(t Type, element func(deadline int64) error) error {
	base := uint64(0)
	if t != TypeHashMetadataPreGA {
		first, err := r.Millis()
		if err != nil {
			return err
		}
		if first < 0 || first > deadlineMax {
			return corrupt("a collection with an impossible deadline")
		}
		base = uint64(first) - 1
	}
	n, err := r.count()
	for ; err == nil && n > 0; n-- {
		var at uint64
		if at, err = r.Length(); err != nil {
			break
		}
		if at != 0 {
			if at > deadlineMax || at+base > deadlineMax {
				return corrupt("an element with an impossible deadline")
			}
			at += base
		}
		err = element(int64(at))
	}
	return err
}

// The containers of a quicklist's nodes.
const (
	nodePlain  = 1 // one large element
	nodePacked = 2
)

func (r *Reader) quicklist(t Type, v Visitor) error {
	n, err := r.count()
	if err != nil {
		return err
	}
	empty := true
	show := func(text []byte) error {
		empty = false
		return v.ListElement(text)
	}
	for ; n > 0; n-- {
		container := uint64(nodePacked)
		if t == TypeListQuicklist2 {
			if container, err = r.Length(); err != nil {
				return err
			}
		}
		blob, err := r.Text()
		if err != nil {
			return err
		}
		switch {
		case container == nodePlain && len(blob) > 0:
			err = show(blob)
		case container == nodePacked:
			var list packed
			if t == TypeListQuicklist2 {
				list, err = openListpack(blob)
			} else {
				list, err = openZiplist(blob)
			}
			if err == nil {
				err = r.elements(list, show)
			}
			if err == ErrEmpty { // a node may be
				err = nil
			}
		default:
			err = corrupt("a quicklist with a node that is neither packed nor plain")
		}
		if err != nil {
			return err
		}
	}
	if empty {
		return ErrEmpty
	}
	return nil
}

// elements shows the elements of a packed list.
func (r *Reader) elements(list packed, visit func([]byte) error) error {
	empty := true
	for {
		e, more, err := list.next()
		switch {
		case err != nil:
			return err
		case !more && empty:
			return ErrEmpty
		case !more:
			return nil
		}
		empty = false
		r.digits = r.digits[:0]
		if err := visit(e.bytes(r.digits)); err != nil {
			return err
		}
	}
}

// tuples shows the elements of a packed list, so many at a time: the text of the
// first, and the others.
func (r *Reader) tuples(list packed, size int, visit func(first []byte, rest []element) error) error {
	var rest [2]element
	empty := true
	for {
		first, more, err := list.next()
		switch {
		case err != nil:
			return err
		case !more && empty:
			return ErrEmpty
		case !more:
			return nil
		}
		empty = false
		for i := range size - 1 {
			if rest[i], more, err = list.next(); err != nil {
				return err
			}
			if !more {
				return corrupt("a packed list that ends inside a pair")
			}
		}
		r.first = append(r.first[:0], first.bytes(r.digits[:0])...)
		if err := visit(r.first, rest[:size-1]); err != nil {
			return err
		}
	}
}

// score is the element of a packed sorted set that is a score.
func (e element) score() (float64, error) {
	if e.isInt {
		return float64(e.n), nil
	}
	return parseScore(e.text)
}
