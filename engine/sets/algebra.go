package sets

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// storeKeys are those of "destination key [key ...]".
var storeKeys = []engine.KeySpec{
	{Access: "OW update", First: 1, Step: 1},
	{Access: "RO access", First: 2, Last: -1, Step: 1},
}

const (
	complexityInter = "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
	complexityAll   = "O(N) where N is the total number of elements in all given sets."
)

var algebra = []engine.Command{{
	Name: "SINTER", Arity: -2, Run: func(c *shard.Call) error { return combined(c, intersection) },
	Flags: engine.Read, Keys: engine.KeyRange(1, -1, 1, "RO access"),
	Tips:    []string{"nondeterministic_output_order"},
	Summary: "Returns the members that all of several sets have.",
	Since:   "1.0.0", Complexity: complexityInter, Syntax: "key [key ...]",
}, {
	Name: "SINTERCARD", Arity: -3, Run: func(c *shard.Call) error { return counted(c, intersection) },
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the number of members that all of several sets have.",
	Since:   "7.0.0", Complexity: complexityInter, Syntax: "numkeys key [key ...] [LIMIT limit:integer]",
}, {
	Name: "SINTERSTORE", Arity: -3, Run: func(c *shard.Call) error { return stored(c, intersection, "sinterstore") },
	Flags: engine.Write | engine.DenyOOM, Keys: storeKeys,
	Summary: "Makes a key the set of the members that all of several sets have.",
	Since:   "1.0.0", Complexity: complexityInter, Syntax: "destination key [key ...]",
}, {
	Name: "SUNION", Arity: -2, Run: func(c *shard.Call) error { return combined(c, union) },
	Flags: engine.Read, Keys: engine.KeyRange(1, -1, 1, "RO access"),
	Tips:    []string{"nondeterministic_output_order"},
	Summary: "Returns the members that any of several sets has.",
	Since:   "1.0.0", Complexity: complexityAll, Syntax: "key [key ...]",
}, {
	Name: "SUNIONCARD", Arity: -3, Run: func(c *shard.Call) error { return counted(c, union) },
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the number of members that any of several sets has.",
	Since:   "8.10.0", Complexity: complexityAll, Syntax: "numkeys key [key ...] [APPROX] [LIMIT limit:integer]",
}, {
	Name: "SUNIONSTORE", Arity: -3, Run: func(c *shard.Call) error { return stored(c, union, "sunionstore") },
	Flags: engine.Write | engine.DenyOOM, Keys: storeKeys,
	Summary: "Makes a key the set of the members that any of several sets has.",
	Since:   "1.0.0", Complexity: complexityAll, Syntax: "destination key [key ...]",
}, {
	Name: "SDIFF", Arity: -2, Run: func(c *shard.Call) error { return combined(c, difference) },
	Flags: engine.Read, Keys: engine.KeyRange(1, -1, 1, "RO access"),
	Tips:    []string{"nondeterministic_output_order"},
	Summary: "Returns the members of the first set that no other set has.",
	Since:   "1.0.0", Complexity: complexityAll, Syntax: "key [key ...]",
}, {
	Name: "SDIFFCARD", Arity: -3, Run: func(c *shard.Call) error { return counted(c, difference) },
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the number of members of the first set that no other set has.",
	Since:   "8.10.0", Complexity: complexityAll, Syntax: "numkeys key [key ...] [LIMIT limit:integer]",
}, {
	Name: "SDIFFSTORE", Arity: -3, Run: func(c *shard.Call) error { return stored(c, difference, "sdiffstore") },
	Flags: engine.Write | engine.DenyOOM, Keys: storeKeys,
	Summary: "Makes a key the set of the members of the first set that no other set has.",
	Since:   "1.0.0", Complexity: complexityAll, Syntax: "destination key [key ...]",
}}

// operation is one of the ways to combine sets.
type operation uint8

const (
	intersection operation = iota
	union
	difference
)

// A combination is an operation on sets that are there. An absent key is an empty
// set: it adds nothing to a union, and takes nothing from the first set of a
// difference; when it decides that there is nothing, it is vain.
type combination struct {
	op    operation
	vain  bool
	merge object.SetMerge
}

// combine opens the sets. That is done twice: keys and members that have expired are
// removed when they are first met, which may move others, and afterwards all stay in place.
func combine(c *shard.Call, op operation, keys [][]byte) (combination, error) {
	for _, key := range keys {
		if _, _, err := open(c, key); err != nil {
			return combination{}, err
		}
	}
	all := combination{op: op, merge: object.MergeSets(len(keys))}
	for i, key := range keys {
		e := c.DB.Peek(key)
		if !e.Exists() {
			all.vain = all.vain || op == intersection || op == difference && i == 0
			continue
		}
		s := object.SetOf(c.DB.OpenEntry(key, e), c.Limits(), c.Now)
		all.merge.Add(&s)
	}
	return all, nil
}

// each visits the members of the result.
func (all *combination) each(visit object.Visit) {
	switch {
	case all.vain:
	case all.op == intersection:
		all.merge.Intersect(visit)
	case all.op == union:
		all.merge.Unite(visit)
	default:
		all.merge.Subtract(visit)
	}
}

// SINTER key [key ...]
// SUNION key [key ...]
// SDIFF key [key ...]
func combined(c *shard.Call, op operation) error {
	all, err := combine(c, op, c.Args[1:])
	if err != nil {
		return err
	}
	at, n := c.Reply.Deferred(), 0
	all.each(func(e object.Element, _ uint32) bool {
		e.Reply(c.Reply)
		n++
		return true
	})
	c.Reply.SetSet(at, n)
	return nil
}

const errLimitNegative resp.Error = "ERR LIMIT can't be negative"

// SINTERCARD numkeys key [key ...] [LIMIT limit]
// SUNIONCARD numkeys key [key ...] [APPROX] [LIMIT limit]
// SDIFFCARD numkeys key [key ...] [LIMIT limit]
//
// Who asks for an approximation gets the exact number: nothing is kept in memory
// to find it, so there is nothing to save.
func counted(c *shard.Call, op operation) error {
	keys, ok := resp.ParseInt(c.Args[1])
	switch {
	case !ok || keys < 1:
		return resp.ErrNumKeysPositive
	case keys > int64(len(c.Args)-2):
		return resp.ErrKeysBeyondArgs
	}
	limit := int64(0)
	for options := c.Args[2+keys:]; len(options) > 0; {
		switch {
		case resp.WordIs(options[0], "LIMIT") && len(options) > 1:
			if limit, ok = resp.ParseInt(options[1]); !ok || limit < 0 {
				return errLimitNegative
			}
			options = options[2:]
		case resp.WordIs(options[0], "APPROX") && op == union:
			options = options[1:]
		default:
			return resp.ErrSyntax
		}
	}
	all, err := combine(c, op, c.Args[2:2+keys])
	if err != nil {
		return err
	}
	n := int64(0)
	all.each(func(object.Element, uint32) bool {
		n++
		return n != limit
	})
	return c.Reply.Int(n)
}

// SINTERSTORE destination key [key ...]
// SUNIONSTORE destination key [key ...]
// SDIFFSTORE destination key [key ...]
//
// The result is complete before the destination changes, for that may be one of
// the sources. Its members do not expire.
func stored(c *shard.Call, op operation, event string) error {
	to := c.Args[1]
	all, err := combine(c, op, c.Args[2:])
	if err != nil {
		return err
	}
	result := object.NewSetResult(c.Limits(), &all.merge)
	all.each(result.Add)
	if result.Len() == 0 {
		if e := c.DB.LookupWrite(to); e.Exists() {
			c.DB.Delete(to, e)
			c.Event(shard.EventGeneric, "del", to)
		}
		return c.Reply.Int(0)
	}
	e, root := result.Root()
	result.Fill(c.DB.Create(to, object.Set, e, root, 0))
	c.Event(shard.EventSet, event, to)
	return c.Reply.Int(int64(result.Len()))
}
