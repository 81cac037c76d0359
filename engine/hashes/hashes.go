package hashes

import (
	"math"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of the commands on hashes.
var Family = engine.Family{Name: "hash", Commands: slices.Concat(basics, deadlines, combined)}

var basics = []engine.Command{{
	Name: "HSET", Arity: -4, Run: hset,
	Member: 2, MemberStep: 2,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Sets fields of a hash to values, and makes the hash if there is none.",
	Since:   "2.0.0",
	Complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is " +
		"called with multiple field/value pairs.",
	Syntax:  "key data(field value) [(field value) ...]",
	History: []string{"4.0.0: Accepts multiple `field` and `value` arguments."},
}, {
	Name: "HSETNX", Arity: 4, Run: hsetnx,
	Member: 2,
	Flags:  engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Sets a field of a hash if it is not there.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key field value",
}, {
	Name: "HMSET", Arity: -4, Run: hmset,
	Member: 2, MemberStep: 2,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Sets fields of a hash to values.",
	Since:   "2.0.0", Complexity: "O(N) where N is the number of fields being set.",
	Syntax:     "key data(field value) [(field value) ...]",
	Deprecated: "4.0.0", Replacement: "`HSET` with multiple field-value pairs",
}, {
	Name: "HGET", Arity: 3, Run: hget,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the value of a field.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key field",
}, {
	Name: "HMGET", Arity: -3, Run: hmget,
	Member: 2, MemberStep: 1,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the values of several fields.",
	Since:   "2.0.0", Complexity: "O(N) where N is the number of fields being requested.",
	Syntax: "key field [field ...]",
}, {
	Name: "HGETALL", Arity: 2, Run: hgetall,
	Flags: engine.Read, Keys: engine.OneKey("RO access"), Tips: orderVaries,
	Summary: "Returns all fields of a hash with their values.",
	Since:   "2.0.0", Complexity: "O(N) where N is the size of the hash.", Syntax: "key",
}, {
	Name: "HKEYS", Arity: 2, Run: hkeys,
	Flags: engine.Read, Keys: engine.OneKey("RO access"), Tips: orderVaries,
	Summary: "Returns all fields of a hash.",
	Since:   "2.0.0", Complexity: "O(N) where N is the size of the hash.", Syntax: "key",
}, {
	Name: "HVALS", Arity: 2, Run: hvals,
	Flags: engine.Read, Keys: engine.OneKey("RO access"), Tips: orderVaries,
	Summary: "Returns all values of a hash.",
	Since:   "2.0.0", Complexity: "O(N) where N is the size of the hash.", Syntax: "key",
}, {
	Name: "HLEN", Arity: 2, Run: hlen,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns how many fields a hash has.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "HSTRLEN", Arity: 3, Run: hstrlen,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns the length of the value of a field.",
	Since:   "3.2.0", Complexity: "O(1)", Syntax: "key field",
}, {
	Name: "HEXISTS", Arity: 3, Run: hexists,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Tells whether a hash has a field.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key field",
}, {
	Name: "HDEL", Arity: -3, Run: hdel,
	Member: 2, MemberStep: 1,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW delete"),
	Summary: "Removes fields from a hash, and the hash with the last one.",
	Since:   "2.0.0", Complexity: "O(N) where N is the number of fields to be removed.",
	Syntax:  "key field [field ...]",
	History: []string{"2.4.0: Accepts multiple `field` arguments."},
}, {
	Name: "HINCRBY", Arity: 4, Run: hincrby,
	Member: 2,
	Flags:  engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the integer in a field; an absent field counts as 0.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key field increment",
}, {
	Name: "HINCRBYFLOAT", Arity: 4, Run: hincrbyfloat,
	Member: 2,
	Flags:  engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the number in a field; an absent field counts as 0.",
	Since:   "2.6.0", Complexity: "O(1)", Syntax: "key field increment:double",
}, {
	Name: "HRANDFIELD", Arity: -2, Run: hrandfield,
	Flags: engine.Read, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Returns fields of a hash that are chosen at random.",
	Since:   "6.2.0", Complexity: "O(N) where N is the number of fields returned",
	Syntax: "key options[count [WITHVALUES]]",
}, {
	Name: "HSCAN", Arity: -3, Run: hscan,
	Flags: engine.Read, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Returns the fields of a hash with their values, a few with each call.",
	Since:   "2.8.0",
	Complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor " +
		"to return back to 0. N is the number of elements inside the collection.",
	Syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
}}

var orderVaries = []string{"nondeterministic_output_order"}

// Words of effects.
var (
	wordHSet       = []byte("HSET")
	wordHDel       = []byte("HDEL")
	wordHSetEx     = []byte("HSETEX")
	wordHPExpireAt = []byte("HPEXPIREAT")
	wordHPersist   = []byte("HPERSIST")
	wordFields     = []byte("FIELDS")
	wordPXAT       = []byte("PXAT")
	wordKeepTTL    = []byte("KEEPTTL")
	wordOne        = []byte("1")
)

// HSET key field value [field value ...]
func hset(c *shard.Call) error {
	created, err := setAll(c, "hset")
	if err != nil {
		return err
	}
	return c.Reply.Int(created)
}

// HMSET key field value [field value ...]
func hmset(c *shard.Call) error {
	if _, err := setAll(c, "hmset"); err != nil {
		return err
	}
	return c.Reply.OK()
}

// setAll sets the fields to the values that follow them, and lets none of them
// expire. It returns how many were not there.
func setAll(c *shard.Call, name string) (created int64, err error) {
	if len(c.Args)%2 != 0 {
		return 0, resp.WrongArity(name)
	}
	h, err := openForWrite(c)
	if err != nil {
		return 0, err
	}
	created = h.setPairs(c.Args[2:])
	c.CountChanges(len(c.Args)/2 - 1)
	c.Event(shard.EventHash, "hset", c.Key())
	return created, nil
}

// HSETNX key field value
func hsetnx(c *shard.Call) error {
	key, field, value := c.Key(), c.Args[2], c.Args[3]
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	if _, _, ok := h.get(field); ok {
		return c.Reply.Int(0)
	}
	h.settle()
	h.create()
	h.Set(field, value, 0)
	c.Event(shard.EventHash, "hset", key)
	c.Effect(wordHSet, key, field, value)
	return c.Reply.Int(1)
}

// HGET key field
func hget(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	value, _, ok := h.get(c.Args[2])
	if !ok {
		h.settle()
		return c.Reply.Null()
	}
	return value.Reply(c.Reply)
}

// HMGET key field [field ...]
func hmget(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, field := range c.Args[2:] {
		h.replyValue(field)
	}
	h.settle()
	return nil
}

// replyValue answers the value of a field, or null, and says whether it was there.
func (h *hash) replyValue(field []byte) bool {
	value, _, ok := h.get(field)
	if !ok {
		h.c.Reply.Null()
		return false
	}
	value.Reply(h.c.Reply)
	return true
}

// HGETALL key
func hgetall(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	if !h.exists() {
		return c.Reply.Map(0)
	}
	if !h.Expired() {
		c.Reply.Map(h.Len())
		h.Reply(c.Reply, true, true)
		return nil
	}
	at := c.Reply.Deferred()
	c.Reply.SetMap(at, h.Reply(c.Reply, true, true))
	return nil
}

// HKEYS key
func hkeys(c *shard.Call) error { return replyAll(c, true, false) }

// HVALS key
func hvals(c *shard.Call) error { return replyAll(c, false, true) }

func replyAll(c *shard.Call, fields, values bool) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	if !h.exists() {
		return c.Reply.Array(0)
	}
	at := c.Reply.Deferred()
	c.Reply.SetArray(at, h.Reply(c.Reply, fields, values))
	return nil
}

// HLEN key
func hlen(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	if !h.exists() {
		return c.Reply.Int(0)
	}
	return c.Reply.Int(int64(h.Len()))
}

// HSTRLEN key field
func hstrlen(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	value, _, _ := h.get(c.Args[2])
	c.Reply.Int(int64(value.Len()))
	h.settle()
	return nil
}

// HEXISTS key field
func hexists(c *shard.Call) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	n := int64(0)
	if _, _, ok := h.get(c.Args[2]); ok {
		n = 1
	}
	h.settle()
	return c.Reply.Int(n)
}

// HDEL key field [field ...]
//
// A field whose time has come counts, if it is still there, as in Redis.
func hdel(c *shard.Call) error {
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	removed := int64(0)
	for _, field := range c.Args[2:] {
		if h.remove(field) {
			removed++
		}
	}
	if removed > 0 {
		c.Event(shard.EventHash, "hdel", c.Key())
		h.dropIfEmpty()
		c.CountChanges(int(removed))
	}
	return c.Reply.Int(removed)
}

// HINCRBY key field increment
//
// The field keeps its deadline.
func hincrby(c *shard.Call) error {
	field := c.Args[2]
	by, ok := resp.ParseInt(c.Args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	n := int64(0)
	value, deadline, ok := h.get(field)
	if ok {
		if n, ok = value.Int(); !ok {
			return resp.ErrHashNotInteger
		}
	}
	if by < 0 && n < math.MinInt64-by || by > 0 && n > math.MaxInt64-by {
		return resp.ErrOverflow
	}
	n += by
	h.settle()
	h.create()
	var digits [20]byte
	h.Set(field, resp.AppendInt(digits[:0], n), deadline)
	c.Event(shard.EventHash, "hincrby", c.Key())
	return c.Reply.Int(n)
}

const errNaNOrInfinity resp.Error = "ERR value is NaN or Infinity"

// HINCRBYFLOAT key field increment
//
// The field keeps its deadline. The effect carries the sum: whoever applies it
// need not calculate alike.
func hincrbyfloat(c *shard.Call) error {
	key, field, by := c.Key(), c.Args[2], c.Args[3]
	if _, err := resp.AddFloatHuman([]byte("0"), by); err == resp.ErrNaNOrInfinity {
		return errNaNOrInfinity
	} else if err != nil {
		return err
	}
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	var digits [20]byte
	text := append(digits[:0], '0')
	value, deadline, ok := h.get(field)
	if ok {
		text = value.Bytes(digits[:])
	}
	sum, err := resp.AddFloatHuman(text, by)
	if err == resp.ErrNotFloat {
		return resp.ErrHashNotFloat
	} else if err != nil {
		return err
	}
	h.settle()
	h.create()
	h.Set(field, sum, deadline)
	c.Event(shard.EventHash, "hincrbyfloat", key)
	if deadline == 0 {
		c.Effect(wordHSet, key, field, sum)
	} else {
		c.Effect(wordHSetEx, key, wordKeepTTL, wordFields, wordOne, field, sum)
	}
	return c.Reply.Bulk(sum)
}

// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]
//
// A large hash is scanned in the order of the hashes of its fields, and the cursor
// is one of those: what is there all the time is visited exactly once.
func hscan(c *shard.Call) error {
	cursor, ok := shard.ParseCursor(c.Args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	h, err := open(c)
	if err != nil {
		return err
	}
	w := c.Reply
	if !h.exists() {
		w.Array(2)
		w.BulkInt(0)
		return w.Array(0)
	}
	values := true
	o, err := shard.ParseScan(c.Args[3:], func(args [][]byte) (used int, err error) {
		if !resp.WordIs(args[0], "NOVALUES") {
			return 0, nil
		}
		values = false
		return 1, nil
	})
	if err != nil {
		return err
	}
	at, n := w.Deferred(), 0
	var scratch [20]byte
	next := h.Scan(cursor, o.Count, func(field, value object.Element) {
		if o.Matched() && !o.Matches(field.Bytes(scratch[:])) {
			return
		}
		field.Reply(w)
		n++
		if values {
			value.Reply(w)
			n++
		}
	})
	w.SetArray(at, n)
	var space [32]byte
	head := resp.Writer{Buf: space[:0]}
	head.Array(2)
	head.BulkInt(int64(next))
	w.Buf = slices.Insert(w.Buf, at, head.Buf...)
	return nil
}
