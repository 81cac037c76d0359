package streams

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of all commands of this package.
var Family = engine.Family{Name: "stream", Commands: append(append(entries, groups...), info)}

var entries = []engine.Command{{
	Name: "XADD", Arity: -5, Run: xadd,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.DenyOOM | engine.Fast,
	Summary: "Adds an entry to a stream, which is created if it is not there.",
	Since:   "5.0.0", Complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
	Syntax: "key [NOMKSTREAM] references[KEEPREF | DELREF | ACKED] " +
		"trim[strategy(MAXLEN | MINID) operator[= | ~] threshold:string [LIMIT count]] " +
		"id-selector(* | id:string) data(field value) [(field value) ...]",
	History: []string{
		"6.2.0: Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.",
		"7.0.0: Added support for the `<ms>-*` explicit ID form.",
		"8.2.0: Added the `KEEPREF`, `DELREF` and `ACKED` options.",
	},
	Tips: []string{"nondeterministic_output"},
}, {
	Name: "XLEN", Arity: 2, Run: xlen,
	Keys: engine.OneKey("RO"), Flags: engine.Read | engine.Fast,
	Summary: "Answers how many entries a stream has.",
	Since:   "5.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "XRANGE", Arity: -4, Run: xrange,
	Keys: engine.OneKey("RO access"), Flags: engine.Read,
	Summary: "Answers the entries between two IDs.",
	Since:   "5.0.0",
	Complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the " +
		"first 10 elements with COUNT), you can consider it O(1).",
	Syntax: "key start:string end:string [COUNT count]", History: []string{"6.2.0: Added exclusive ranges."},
}, {
	Name: "XREVRANGE", Arity: -4, Run: xrevrange,
	Keys: engine.OneKey("RO access"), Flags: engine.Read,
	Summary: "Answers the entries between two IDs, from the last to the first.",
	Since:   "5.0.0",
	Complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first " +
		"10 elements with COUNT), you can consider it O(1).",
	Syntax: "key end:string start:string [COUNT count]", History: []string{"6.2.0: Added exclusive ranges."},
}, {
	Name: "XREAD", Arity: -4, Run: xread, Find: streamKeys, Waits: waits,
	Keys:    []engine.KeySpec{{Access: "RO access", Keyword: "STREAMS", From: 1, Last: -1, Step: 1, Limit: 2}},
	Flags:   engine.Read | engine.Blocking,
	Summary: "Answers the entries of streams behind given IDs, or waits for one.",
	Since:   "5.0.0",
	Syntax:  "[COUNT count] [BLOCK milliseconds] STREAMS streams(key [key ...] id [id ...])",
}, {
	Name: "XDEL", Arity: -3, Run: xdel,
	Keys: engine.OneKey("RW delete"), Flags: engine.Write | engine.Fast,
	Summary: "Deletes entries of a stream and answers how many there were.",
	Since:   "5.0.0", Complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
	Syntax: "key id [id ...]",
}, {
	Name: "XDELEX", Arity: -5, Run: xdelex,
	Keys: engine.OneKey("RW delete"), Flags: engine.Write | engine.Fast,
	Summary: "Deletes entries of a stream, with a say in what becomes of references to them.",
	Since:   "8.2.0", Complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
	Syntax: "key condition[KEEPREF | DELREF | ACKED] IDS ids(numids:integer id [id ...])",
}, {
	Name: "XTRIM", Arity: -4, Run: xtrim,
	Keys: engine.OneKey("RW delete"), Flags: engine.Write,
	Summary: "Deletes entries from the beginning of a stream.",
	Since:   "5.0.0",
	Complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are " +
		"organized in macro nodes containing multiple entries that can be released with a single deallocation.",
	Syntax: "key trim(strategy(MAXLEN | MINID) operator[= | ~] threshold:string [LIMIT count]) " +
		"references[KEEPREF | DELREF | ACKED]",
	History: []string{
		"6.2.0: Added the `MINID` trimming strategy and the `LIMIT` option.",
		"8.2.0: Added the `KEEPREF`, `DELREF` and `ACKED` options.",
	},
	Tips: []string{"nondeterministic_output"},
}, {
	Name: "XSETID", Arity: -3, Run: xsetid,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.DenyOOM | engine.Fast,
	Summary: "Sets the last ID of a stream, for what replicates it.",
	Since:   "5.0.0", Complexity: "O(1)",
	Syntax:  "key last-id:string [ENTRIESADDED entries-added:integer] [MAXDELETEDID max-deleted-id:string]",
	History: []string{"7.0.0: Added the `entries_added` and `max_deleted_entry_id` arguments."},
}}

// elementsBytesMax bounds what the fields and values of an entry are together.
const elementsBytesMax = 1 << 30

var (
	errArityXAdd = resp.WrongArity("xadd")

	wordXAdd  = []byte("XADD")
	wordXTrim = []byte("XTRIM")
)

const (
	errIDZero    resp.Error = "ERR The ID specified in XADD must be greater than 0-0"
	errIDSmall   resp.Error = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
	errExhausted resp.Error = "ERR The stream has exhausted the last possible ID, unable to add more items"
	errTooLarge  resp.Error = "ERR Elements are too large to be stored"
)

// open is the stream under a key that is read.
func open(c *shard.Call, key []byte) (s object.StreamView, found bool, err error) {
	v, err := c.DB.Open(key, object.Stream)
	if v == nil {
		return s, false, err
	}
	return object.StreamOf(v, c.Limits()), true, nil
}

// openForWrite is open for a key that is about to be changed.
func openForWrite(c *shard.Call, key []byte) (s object.StreamView, found bool, err error) {
	v, err := c.DB.OpenForWrite(key, object.Stream)
	if v == nil {
		return s, false, err
	}
	return object.StreamOf(v, c.Limits()), true, nil
}

// create makes an empty stream.
func create(c *shard.Call, key []byte) object.StreamView {
	return object.StreamOf(c.DB.Create(key, object.Stream, object.StreamTree, object.EmptyStream, 0), c.Limits())
}

// XADD key [NOMKSTREAM] [trim] id field value [field value ...]
func xadd(c *shard.Call) error {
	var a addition
	at, err := a.parse(c, true)
	if err != nil {
		return err
	}
	pairs := c.Args[min(at+1, len(c.Args)):]
	if len(pairs) < 2 || len(pairs)%2 != 0 {
		return errArityXAdd
	}
	if a.idGiven && a.seqGiven && a.id.IsZero() {
		return errIDZero
	}
	s, found, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	if !found && a.noStream {
		return c.Reply.Null()
	}
	last := object.StreamID{}
	if found {
		last = s.LastID()
	}
	if last == object.MaxStreamID {
		return errExhausted
	}
	id, ok := a.nextID(last, c.Clock)
	if !ok {
		return errIDSmall
	}
	bytes := 0
	for _, text := range pairs {
		bytes += len(text)
	}
	if bytes > elementsBytesMax {
		return errTooLarge
	}
	if !found {
		s = create(c, c.Key())
	}
	s.Append(id, pairs)
	c.Event(shard.EventStream, "xadd", c.Key())
	trimmed := false
	if a.trims {
		trimmed = trim(c, s, &a.trim) > 0
	}
	name := idText(c, id)
	if c.Recorded() && (!a.idGiven || !a.seqGiven || a.trim.Approx) {
		var space [16][]byte
		effect := append(space[:0], wordXAdd, c.Key())
		if trimmed {
			effect = a.effect(c, effect)
		}
		effect = append(effect, name)
		c.Effect(append(effect, pairs...)...)
	}
	return c.Reply.Bulk(name)
}

// XLEN key
func xlen(c *shard.Call) error {
	s, found, err := open(c, c.Key())
	if err != nil || !found {
		return orZero(c, err)
	}
	return c.Reply.Int(int64(s.Len()))
}

// orZero answers 0 unless there is an error.
func orZero(c *shard.Call, err error) error {
	if err != nil {
		return err
	}
	return c.Reply.Int(0)
}

// XRANGE key start end [COUNT count]
func xrange(c *shard.Call) error { return replyRange(c, c.Args[2], c.Args[3], false) }

// XREVRANGE key end start [COUNT count]
func xrevrange(c *shard.Call) error { return replyRange(c, c.Args[3], c.Args[2], true) }

func replyRange(c *shard.Call, start, end []byte, reverse bool) error {
	from, err := parseStart(start)
	if err != nil {
		return err
	}
	to, err := parseEnd(end)
	if err != nil {
		return err
	}
	count := int64(-1)
	for i := 4; i < len(c.Args); i += 2 {
		if !resp.WordIs(c.Args[i], "COUNT") || i+1 == len(c.Args) {
			return resp.ErrSyntax
		}
		var ok bool
		if count, ok = resp.ParseInt(c.Args[i+1]); !ok {
			return resp.ErrNotInteger
		}
		count = max(count, 0)
	}
	s, found, err := open(c, c.Key())
	switch {
	case err != nil:
		return err
	case !found:
		return c.Reply.Array(0)
	case count == 0:
		return c.Reply.NullArray()
	}
	w := c.Reply
	at, n := w.Deferred(), int64(0)
	reply := func(e *object.StreamEntry) bool {
		replyEntry(w, e)
		n++
		return n != count
	}
	if reverse {
		s.RevRange(to, from, reply)
	} else {
		s.Range(from, to, reply)
	}
	w.SetArray(at, int(n))
	return nil
}

// XDEL key id [id ...]
func xdel(c *shard.Call) error {
	s, found, err := openForWrite(c, c.Key())
	if err != nil || !found {
		return orZero(c, err)
	}
	var space [idsSpace]object.StreamID
	ids, err := parseIDs(c.Args[2:], space[:0])
	if err != nil {
		return err
	}
	deleted := 0
	for _, id := range ids {
		if s.Delete(id) {
			deleted++
		}
	}
	if deleted > 0 {
		c.CountChanges(deleted)
		c.Event(shard.EventStream, "xdel", c.Key())
	}
	return c.Reply.Int(int64(deleted))
}

// XTRIM key (MAXLEN | MINID) [= | ~] threshold [LIMIT count] [references]
func xtrim(c *shard.Call) error {
	var a addition
	if _, err := a.parse(c, false); err != nil {
		return err
	}
	s, found, err := openForWrite(c, c.Key())
	if err != nil || !found {
		return orZero(c, err)
	}
	removed := trim(c, s, &a.trim)
	c.CountChanges(removed)
	if removed > 0 && a.trim.Approx {
		c.Effect(a.effect(c, [][]byte{wordXTrim, c.Key()})...)
	}
	return c.Reply.Int(int64(removed))
}

const (
	errAddedNegative resp.Error = "ERR entries_added must be positive"
	errDeletedAbove  resp.Error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
	errBelowDeleted  resp.Error = "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
	errBelowTop      resp.Error = "ERR The ID specified in XSETID is smaller than the target stream top item"
	errAddedBelowLen resp.Error = "ERR The entries_added specified in XSETID is smaller than the target stream length"
)

// XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]
func xsetid(c *shard.Call) error {
	last, err := parseID(c.Args[2], 0)
	if err != nil {
		return err
	}
	added, deleted := int64(-1), object.StreamID{}
	for i := 3; i < len(c.Args); i += 2 {
		more := i+1 < len(c.Args)
		switch {
		case resp.WordIs(c.Args[i], "ENTRIESADDED") && more:
			var ok bool
			if added, ok = resp.ParseInt(c.Args[i+1]); !ok {
				return resp.ErrNotInteger
			}
			if added < 0 {
				return errAddedNegative
			}
		case resp.WordIs(c.Args[i], "MAXDELETEDID") && more:
			if deleted, err = parseID(c.Args[i+1], 0); err != nil {
				return err
			}
			if last.Less(deleted) {
				return errDeletedAbove
			}
		default:
			return resp.ErrSyntax
		}
	}
	s, found, err := openForWrite(c, c.Key())
	switch {
	case err != nil:
		return err
	case !found:
		return resp.ErrNoSuchKey
	case last.Less(s.MaxDeletedID()):
		return errBelowDeleted
	case s.Len() > 0 && last.Less(s.LastEntryID()):
		return errBelowTop
	case s.Len() > 0 && added >= 0 && added < int64(s.Len()):
		return errAddedBelowLen
	}
	if added < 0 {
		added = s.Added()
	}
	if deleted.IsZero() {
		deleted = s.MaxDeletedID()
	}
	s.SetMeta(last, deleted, added)
	c.Event(shard.EventStream, "xsetid", c.Key())
	return c.Reply.OK()
}
