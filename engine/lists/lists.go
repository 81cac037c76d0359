package lists

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of the commands on lists.
var Family = engine.Family{Name: "list", Commands: []engine.Command{{
	Name: "LPUSH", Arity: -3, Run: lpush,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds elements in front of a list, each before the last; an absent key counts as empty.",
	Since:   "1.0.0", Complexity: perPush, Syntax: "key element [element ...]",
	History: []string{"2.4.0: Accepts multiple `element` arguments."},
}, {
	Name: "RPUSH", Arity: -3, Run: rpush,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds elements at the end of a list; an absent key counts as empty.",
	Since:   "1.0.0", Complexity: perPush, Syntax: "key element [element ...]",
	History: []string{"2.4.0: Accepts multiple `element` arguments."},
}, {
	Name: "LPUSHX", Arity: -3, Run: lpushx,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds elements in front of a list if it exists.",
	Since:   "2.2.0", Complexity: perPush, Syntax: "key element [element ...]",
	History: []string{"4.0.0: Accepts multiple `element` arguments."},
}, {
	Name: "RPUSHX", Arity: -3, Run: rpushx,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds elements at the end of a list if it exists.",
	Since:   "2.2.0", Complexity: perPush, Syntax: "key element [element ...]",
	History: []string{"4.0.0: Accepts multiple `element` arguments."},
}, {
	Name: "LLEN", Arity: 2, Run: llen,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns the length of a list.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "LINDEX", Arity: 3, Run: lindex,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the element at a place of a list, counted from its end when negative.",
	Since:   "1.0.0", Complexity: "O(log(N)) where N is the length of the list.", Syntax: "key index",
}, {
	Name: "LRANGE", Arity: 4, Run: lrange,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the elements between two places of a list, both included.",
	Since:   "1.0.0",
	Complexity: "O(log(N)+M) where N is the length of the list and M is the number of elements in the " +
		"specified range.",
	Syntax: "key start stop",
}, {
	Name: "LPOS", Arity: -3, Run: lpos,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Finds where in a list elements equal to the given one are.",
	Since:   "6.0.6",
	Complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements " +
		"near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
	Syntax: "key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len]",
}, {
	Name: "LINSERT", Arity: 5, Run: linsert,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW insert"),
	Summary: "Adds an element before or after the first one that equals the pivot.",
	Since:   "2.2.0",
	Complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that " +
		"inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the " +
		"right end (tail) is O(N).",
	Syntax: "key where(BEFORE | AFTER) pivot element",
}, {
	Name: "LSET", Arity: 4, Run: lset,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW update"),
	Summary: "Replaces the element at a place of a list.",
	Since:   "1.0.0", Complexity: "O(log(N)) where N is the length of the list.", Syntax: "key index element",
}, {
	Name: "LREM", Arity: 4, Run: lrem,
	Flags: engine.Write, Keys: engine.OneKey("RW delete"),
	Summary:    "Removes elements equal to the given one: the first few, the last few, or all.",
	Since:      "1.0.0",
	Complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
	Syntax:     "key count element",
}, {
	Name: "LTRIM", Arity: 4, Run: ltrim,
	Flags: engine.Write, Keys: engine.OneKey("RW delete"),
	Summary: "Removes all elements of a list but those between two places, both included.",
	Since:   "1.0.0", Complexity: "O(N) where N is the number of elements to be removed by the operation.",
	Syntax: "key start stop",
}, {
	Name: "LPOP", Arity: -2, Run: lpop,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Removes and returns the first elements of a list.",
	Since:   "1.0.0", Complexity: "O(N) where N is the number of elements returned", Syntax: "key [count]",
	History: []string{"6.2.0: Added the `count` argument."},
}, {
	Name: "RPOP", Arity: -2, Run: rpop,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Removes and returns the last elements of a list, the last one first.",
	Since:   "1.0.0", Complexity: "O(N) where N is the number of elements returned", Syntax: "key [count]",
	History: []string{"6.2.0: Added the `count` argument."},
}, {
	Name: "LMPOP", Arity: -4, Run: lmpop,
	Flags: engine.Write, Keys: engine.CountedKeys(1, "RW access delete"),
	Summary:    "Removes and returns elements of the first list that has any.",
	Since:      "7.0.0",
	Complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
	Syntax:     "numkeys key [key ...] where(LEFT | RIGHT) [COUNT count]",
}, {
	Name: "BLPOP", Arity: -3, Run: blpop,
	Flags: engine.Write | engine.Blocking, Keys: engine.KeyRange(1, -2, 1, "RW access delete"),
	Summary: "Removes and returns the first element of the first list that has any, or waits for one.",
	Since:   "2.0.0", Complexity: "O(N) where N is the number of provided keys.",
	Syntax:  "key [key ...] timeout:double",
	History: []string{"6.0.0: `timeout` is interpreted as a double instead of an integer."},
}, {
	Name: "BRPOP", Arity: -3, Run: brpop,
	Flags: engine.Write | engine.Blocking, Keys: engine.KeyRange(1, -2, 1, "RW access delete"),
	Summary: "Removes and returns the last element of the first list that has any, or waits for one.",
	Since:   "2.0.0", Complexity: "O(N) where N is the number of provided keys.",
	Syntax:  "key [key ...] timeout:double",
	History: []string{"6.0.0: `timeout` is interpreted as a double instead of an integer."},
}, {
	Name: "BLMPOP", Arity: -5, Run: blmpop,
	Flags: engine.Write | engine.Blocking, Keys: engine.CountedKeys(2, "RW access delete"),
	Summary:    "Removes and returns elements of the first list that has any, or waits for one.",
	Since:      "7.0.0",
	Complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
	Syntax:     "timeout:double numkeys key [key ...] where(LEFT | RIGHT) [COUNT count]",
}, {
	Name: "LMOVE", Arity: 5, Run: lmove,
	Flags: engine.Write | engine.DenyOOM, Keys: sourceAndDestination,
	Summary: "Takes an element from one end of a list and pushes it to one end of another.",
	Since:   "6.2.0", Complexity: "O(1)",
	Syntax: "source destination wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT)",
}, {
	Name: "LMOVEM", Arity: -5, Run: lmovem,
	Flags: engine.Write | engine.DenyOOM, Keys: sourceAndDestination,
	Summary: "Takes elements from one end of a list and pushes them to one end of another.",
	Since:   "8.10.0", Complexity: "O(N) where N is the number of elements moved.",
	Syntax: "source destination wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT) " + howMany,
}, {
	Name: "RPOPLPUSH", Arity: 3, Run: rpoplpush,
	Flags: engine.Write | engine.DenyOOM, Keys: sourceAndDestination,
	Summary: "Takes the last element of a list and pushes it in front of another.",
	Since:   "1.2.0", Complexity: "O(1)", Syntax: "source destination",
	Deprecated: "6.2.0", Replacement: "`LMOVE` with the `RIGHT` and `LEFT` arguments",
}, {
	Name: "BLMOVE", Arity: 6, Run: blmove,
	Flags: engine.Write | engine.DenyOOM | engine.Blocking, Keys: sourceAndDestination,
	Summary: "Takes an element from one end of a list and pushes it to one end of another, or waits for one.",
	Since:   "6.2.0", Complexity: "O(1)",
	Syntax: "source destination wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT) timeout:double",
}, {
	Name: "BLMOVEM", Arity: -6, Run: blmovem,
	Flags: engine.Write | engine.DenyOOM | engine.Blocking, Keys: sourceAndDestination,
	Summary: "Takes elements from one end of a list and pushes them to one end of another, or waits for them.",
	Since:   "8.10.0", Complexity: "O(N) where N is the number of elements moved.",
	Syntax: "source destination wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT) timeout:double " + howMany,
}, {
	Name: "BRPOPLPUSH", Arity: 4, Run: brpoplpush,
	Flags: engine.Write | engine.DenyOOM | engine.Blocking, Keys: sourceAndDestination,
	Summary: "Takes the last element of a list and pushes it in front of another, or waits for one.",
	Since:   "2.2.0", Complexity: "O(1)", Syntax: "source destination timeout:double",
	Deprecated: "6.2.0", Replacement: "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
	History: []string{"6.0.0: `timeout` is interpreted as a double instead of an integer."},
}}}

const (
	perPush = "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."
	howMany = "how-many[selector(COUNT count | EXACTLY exactly:integer) ordering(OBO | BULK)]"
)

var sourceAndDestination = append(engine.KeyAt(1, "RW access delete"), engine.KeyAt(2, "RW insert")...)

// A side is one end of a list.
type side bool

const (
	left  side = true
	right side = false
)

// parseSide reads LEFT or RIGHT.
func parseSide(arg []byte) (side, error) {
	switch {
	case resp.WordIs(arg, "LEFT"):
		return left, nil
	case resp.WordIs(arg, "RIGHT"):
		return right, nil
	}
	return left, resp.ErrSyntax
}

// span turns two places of a list, both included and counted from the end when
// negative, into the range of what is between them, which may be empty.
func span(start, stop int64, length int) (from, to int) {
	n := int64(length)
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	if start > stop || start >= n {
		return 0, 0
	}
	return int(start), int(min(stop, n-1)) + 1
}

// place turns an index into the number of an element; false if there is none.
func place(index int64, length int) (number int, ok bool) {
	if index < 0 {
		index += int64(length)
	}
	return int(index), index >= 0 && index < int64(length)
}

// removed settles a list that has lost elements: if it has lost all, the key goes.
func removed(c *shard.Call, v *shard.Collection, event string, all bool) {
	key := v.Key()
	if all {
		c.DB.Drop(v)
	}
	c.Event(shard.EventList, event, key)
	if all {
		c.Event(shard.EventGeneric, "del", key)
	}
}

// openOrCreate is the list of a key that is about to get elements.
func openOrCreate(c *shard.Call, key []byte) (*shard.Collection, error) {
	v, err := c.DB.OpenForWrite(key, object.List)
	if v != nil || err != nil {
		return v, err
	}
	encoding, root := object.EmptyList(c.Limits())
	return c.DB.Create(key, object.List, encoding, root, 0), nil
}

// LPUSH key element [element ...]
func lpush(c *shard.Call) error { return push(c, left, "lpush", false) }

// RPUSH key element [element ...]
func rpush(c *shard.Call) error { return push(c, right, "rpush", false) }

// LPUSHX key element [element ...]
func lpushx(c *shard.Call) error { return push(c, left, "lpush", true) }

// RPUSHX key element [element ...]
func rpushx(c *shard.Call) error { return push(c, right, "rpush", true) }

func push(c *shard.Call, to side, event string, existing bool) error {
	key := c.Args[1]
	var v *shard.Collection
	var err error
	if existing {
		v, err = c.DB.OpenForWrite(key, object.List)
	} else {
		v, err = openOrCreate(c, key)
	}
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Int(0)
	}
	l := object.ListOf(v, c.Limits())
	l.Push(c.Args[2:], bool(to))
	c.CountChanges(len(c.Args) - 2)
	c.Event(shard.EventList, event, key)
	return c.Reply.Int(int64(l.Len()))
}

// LLEN key
func llen(c *shard.Call) error {
	v, err := c.DB.Open(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Int(0)
	}
	l := object.ListOf(v, c.Limits())
	return c.Reply.Int(int64(l.Len()))
}

// LINDEX key index
//
// As in Redis, the index of an absent list may be anything.
func lindex(c *shard.Call) error {
	v, err := c.DB.Open(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Null()
	}
	index, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	l := object.ListOf(v, c.Limits())
	number, ok := place(index, l.Len())
	if !ok {
		return c.Reply.Null()
	}
	return l.Index(number).Reply(c.Reply)
}

// LRANGE key start stop
func lrange(c *shard.Call) error {
	start, ok := resp.ParseInt(c.Args[2])
	stop, also := resp.ParseInt(c.Args[3])
	if !ok || !also {
		return resp.ErrNotInteger
	}
	v, err := c.DB.Open(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Array(0)
	}
	l := object.ListOf(v, c.Limits())
	from, to := span(start, stop, l.Len())
	l.Reply(c.Reply, from, to, false)
	return nil
}
