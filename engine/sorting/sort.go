package sorting

import (
	"bytes"
	"math"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	patternNotes = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort"
	storeNotes   = "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"

	syntaxRO = "key [BY by-pattern:key-pattern] [LIMIT offset count] [GET get-pattern:key-pattern [GET get-pattern:key-pattern ...]] " +
		"order[ASC | DESC] sorting[ALPHA]"
)

// Family is the table of the commands that sort. Lists are their category, as
// sets and sorted sets are.
var Family = engine.Family{Name: "list", Group: "generic", Commands: []engine.Command{{
	Name: "SORT", Arity: -2, Run: sort, Find: findKeys, Wide: leadsElsewhere,
	Flags: engine.Write | engine.DenyOOM | engine.Dangerous, Categories: "set sortedset",
	Keys: []engine.KeySpec{
		{Access: "RO access", First: 1, Step: 1},
		{Access: "RO access", Unknown: true, Notes: patternNotes},
		{Access: "OW update", Unknown: true, Notes: storeNotes},
	},
	Summary: "Sorts a list, a set or a sorted set, by its elements or by the values of other keys, and returns or stores the result.",
	Since:   "1.0.0",
	Complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of " +
		"returned elements. When the elements are not sorted, complexity is O(N).",
	Syntax: syntaxRO + " [STORE destination]",
}, {
	Name: "SORT_RO", Arity: -2, Run: sortRO, Wide: leadsElsewhere,
	Flags: engine.Read | engine.Dangerous, Categories: "set sortedset",
	Keys: []engine.KeySpec{
		{Access: "RO access", First: 1, Step: 1},
		{Access: "RO access", Unknown: true, Notes: patternNotes},
	},
	Summary: "Sorts a list, a set or a sorted set, by its elements or by the values of other keys, and returns the result.",
	Since:   "7.0.0",
	Complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of " +
		"returned elements. When the elements are not sorted, complexity is O(N).",
	Syntax: syntaxRO,
}}}

// SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]
func sort(c *shard.Call) error { return run(c, false) }

// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]
func sortRO(c *shard.Call) error { return run(c, true) }

func run(c *shard.Call, readOnly bool) error {
	o, err := parse(c.Args, readOnly)
	if err != nil {
		return err
	}
	s := sorter{c: c, options: &o}
	if err := s.load(c.Key()); err != nil {
		return err
	}
	if !o.unsorted {
		if err := s.weigh(); err != nil {
			return err
		}
		s.sort()
	}
	if o.store > 0 {
		return s.store(c.Args[o.store])
	}
	return s.reply()
}

// A sorter is one SORT under way.
type sorter struct {
	c       *shard.Call
	options *options
	rows    []row
	// from and count say which of the rows are wanted, as soon as they are in order.
	from, count int
	room        []byte // for the names of keys
}

// A row is an element and what it is sorted by.
type row struct {
	element []byte
	score   float64
	// weight is a text to sort by, nil for none; that it is there at all is heavier
	// than none, whatever it is.
	weight []byte
}

const (
	errWrongScore resp.Error = "ERR One or more scores can't be converted into double"

	// chunkBytes is how much room is made for copies at a time.
	chunkBytes = 4 << 10
)

// load copies the elements: in the order that they have, as far as they have one,
// and only those that are wanted if that is the order of the result.
func (s *sorter) load(key []byte) error {
	e := s.c.DB.Lookup(key)
	if !e.Exists() {
		return nil
	}
	o := s.options
	var texts copies
	add := func(e object.Element) bool {
		s.rows = append(s.rows, row{element: texts.add(e)})
		return true
	}
	// span is where in the order of so many elements those that are wanted begin
	// and end; what is sorted needs all of them.
	span := func(length int) (from, to int) {
		from, count := o.limits(length)
		s.from, s.count = from, count
		if !o.unsorted {
			return 0, length
		}
		s.from = 0
		if o.descending {
			from = length - from - count
		}
		return from, from + count
	}
	limits := s.c.Limits()
	switch e.Type() {
	case object.List:
		list := object.ListOf(s.c.DB.OpenEntry(key, e), limits)
		from, to := span(list.Len())
		list.Each(from, to, add)
		if o.unsorted && o.descending {
			slices.Reverse(s.rows)
		}
	case object.ZSet:
		zset := object.ZSetOf(s.c.DB.OpenEntry(key, e), limits)
		length := zset.Len()
		from, to := span(length)
		if from == to {
			break
		}
		zset.Range(from, to-1, o.unsorted && o.descending, func(member object.Element, _ float64) bool { return add(member) })
	case object.Set:
		if o.unsorted && o.store > 0 {
			// A set has no order that a list could keep, so it gets one.
			o.unsorted, o.alpha, o.by = false, true, nil
		}
		v := s.c.DB.OpenEntry(key, e)
		if s.c.DB.ExpireDueMembers(v) {
			return nil
		}
		set := object.SetOf(v, limits, s.c.Now)
		s.from, s.count = o.limits(set.Len())
		set.Each(add)
	default:
		return resp.ErrWrongType
	}
	return nil
}

// copies keeps copies of elements, many in one piece of memory.
type copies struct{ chunk []byte }

func (k *copies) add(e object.Element) []byte {
	n := e.Len()
	if k.chunk == nil || cap(k.chunk)-len(k.chunk) < n {
		k.chunk = make([]byte, 0, max(n, chunkBytes))
	}
	from := len(k.chunk)
	k.chunk = e.Append(k.chunk)
	return k.chunk[from:len(k.chunk):len(k.chunk)]
}

// weigh finds out what each row is sorted by.
func (s *sorter) weigh() error {
	o := s.options
	if o.alpha && o.by == nil {
		return nil // by the elements themselves
	}
	wrong := false
	var texts copies
	for i := range s.rows {
		r := &s.rows[i]
		if o.by == nil {
			var ok bool
			if r.score, ok = score(r.element); !ok {
				wrong = true
			}
			continue
		}
		var f finding
		f, s.room = o.by.find(s.c, r.element, s.room)
		switch {
		case !f.found:
		case o.alpha && f.isInt:
			r.weight = texts.add(object.IntElement(f.n))
		case o.alpha:
			r.weight = texts.add(object.ElementOf(f.text))
		case f.isInt:
			r.score = float64(f.n)
		default:
			var ok bool
			if r.score, ok = score(f.text); !ok {
				wrong = true
			}
		}
	}
	if wrong {
		return errWrongScore
	}
	return nil
}

// score reads a number to sort by as C does: an empty text is 0, space may stand
// before a number, and a zero byte ends it.
func score(text []byte) (float64, bool) {
	if n, ok := resp.ParseInt(text); ok {
		return float64(n), true
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	if len(text) == 0 {
		return 0, true
	}
	f, ok := resp.ParseFloat(bytes.TrimLeft(text, " \t\n\v\f\r"))
	if f != 0 && math.Abs(f) < smallestNormal {
		return 0, false // out of the range that has all digits
	}
	return f, ok
}

// smallestNormal is the smallest double that is not denormal.
const smallestNormal = 0x1p-1022

// sort puts the rows in order. Rows of equal scores are in the order of their
// elements, rows of equal weights stay as they are.
func (s *sorter) sort() {
	o := s.options
	compare := func(a, b *row) int {
		switch {
		case !o.alpha && a.score < b.score:
			return -1
		case !o.alpha && a.score > b.score:
			return 1
		case o.alpha && o.by != nil:
			return compareWeights(a.weight, b.weight)
		}
		return bytes.Compare(a.element, b.element)
	}
	order := func(a, b row) int {
		if o.descending {
			return -compare(&a, &b)
		}
		return compare(&a, &b)
	}
	if o.alpha && o.by != nil {
		slices.SortStableFunc(s.rows, order)
		return
	}
	slices.SortFunc(s.rows, order) // what compares equal is equal
}

func compareWeights(a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return bytes.Compare(a, b)
}

// each shows the wanted rows, as GET asks for them.
func (s *sorter) each(visit func(f finding)) {
	for _, r := range s.rows[s.from : s.from+s.count] {
		if len(s.options.get) == 0 {
			visit(finding{text: r.element, found: true})
			continue
		}
		for i := range s.options.get {
			var f finding
			f, s.room = s.options.get[i].find(s.c, r.element, s.room)
			visit(f)
		}
	}
}

func (s *sorter) reply() error {
	w := s.c.Reply
	w.Array(s.count * max(len(s.options.get), 1))
	s.each(func(f finding) {
		switch {
		case !f.found:
			w.Null()
		case f.isInt:
			w.BulkInt(f.n)
		default:
			w.Bulk(f.text)
		}
	})
	return nil
}

// store makes the result a list; what is missing is empty there.
func (s *sorter) store(to []byte) error {
	c := s.c
	var texts copies
	result := make([][]byte, 0, s.count*max(len(s.options.get), 1))
	s.each(func(f finding) {
		e := object.ElementOf(f.text)
		if f.isInt {
			e = object.IntElement(f.n)
		}
		result = append(result, texts.add(e))
	})
	if len(result) == 0 {
		if e := c.DB.LookupWrite(to); e.Exists() {
			c.DB.Delete(to, e)
			c.Event(shard.EventGeneric, "del", to)
		}
		return c.Reply.Int(0)
	}
	limits := c.Limits()
	encoding, root := object.EmptyList(limits)
	list := object.ListOf(c.DB.Create(to, object.List, encoding, root, 0), limits)
	list.Push(result, false)
	c.CountChanges(len(result))
	c.Event(shard.EventList, "sortstore", to)
	return c.Reply.Int(int64(len(result)))
}
