package sets

import (
	"bytes"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of the commands on sets.
var Family = engine.Family{Name: "set", Commands: slices.Concat([]engine.Command{{
	Name: "SADD", Arity: -3, Run: sadd,
	Member: 2, MemberStep: 1,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds members to a set, which is created if it does not exist.",
	Since:   "1.0.0",
	Complexity: "O(1) for each element added, so O(N) to add N elements when the command is called " +
		"with multiple arguments.",
	Syntax: "key member [member ...]", History: []string{"2.4.0: Accepts multiple `member` arguments."},
}, {
	Name: "SREM", Arity: -3, Run: srem,
	Member: 2, MemberStep: 1,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW delete"),
	Summary: "Removes members from a set, and the set with its last member.",
	Since:   "1.0.0", Complexity: "O(N) where N is the number of members to be removed.",
	Syntax: "key member [member ...]", History: []string{"2.4.0: Accepts multiple `member` arguments."},
}, {
	Name: "SISMEMBER", Arity: 3, Run: sismember,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Tells whether a member belongs to a set.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key member",
}, {
	Name: "SMISMEMBER", Arity: -3, Run: smismember,
	Member: 2, MemberStep: 1,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Tells which of several members belong to a set.",
	Since:   "6.2.0", Complexity: "O(N) where N is the number of elements being checked for membership",
	Syntax: "key member [member ...]",
}, {
	Name: "SCARD", Arity: 2, Run: scard,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns the number of members of a set.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "SMEMBERS", Arity: 2, Run: smembers,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Tips:    []string{"nondeterministic_output_order"},
	Summary: "Returns all members of a set.",
	Since:   "1.0.0", Complexity: "O(N) where N is the set cardinality.", Syntax: "key",
}, {
	Name: "SMOVE", Arity: 4, Run: smove,
	Flags: engine.Write | engine.Fast,
	Keys: []engine.KeySpec{
		{Access: "RW access delete", First: 1, Step: 1},
		{Access: "RW insert", First: 2, Step: 1},
	},
	Summary: "Moves a member from one set to another.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "source destination member",
}, {
	Name: "SSCAN", Arity: -3, Run: sscan,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Tips:    []string{"nondeterministic_output"},
	Summary: "Returns the members of a set, some with each call.",
	Since:   "2.8.0",
	Complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for " +
		"the cursor to return back to 0. N is the number of elements inside the collection.",
	Syntax: "key cursor [MATCH pattern] [COUNT count]",
}}, picking, algebra, expiring)}

// open is the set that a command reads; ok is false when there is none.
func open(c *shard.Call, key []byte) (s object.SetView, ok bool, err error) {
	v, err := c.DB.Open(key, object.Set)
	if v == nil || c.DB.ExpireDueMembers(v) {
		return s, false, err
	}
	s = object.SetOf(v, c.Limits(), c.Now)
	return s, s.Len() > 0, nil
}

// openForWrite is the set that a command is about to change. v is nil when there
// is none. While expiry is held there may be one whose members have all expired.
func openForWrite(c *shard.Call, key []byte) (s object.SetView, v *shard.Collection, err error) {
	v, err = c.DB.OpenForWrite(key, object.Set)
	if v == nil || c.DB.ExpireDueMembers(v) {
		return s, nil, err
	}
	return object.SetOf(v, c.Limits(), c.Now), v, nil
}

// create makes a set of the given members, and returns how many different ones
// they are.
func create(c *shard.Call, key []byte, members [][]byte) int {
	e, root, others := object.NewSet(c.Limits(), members)
	v := c.DB.Create(key, object.Set, e, root, 0)
	s := object.SetOf(v, c.Limits(), c.Now)
	s.Expect(len(members))
	for _, member := range others {
		s.Add(member)
	}
	return s.Len()
}

// dropEmpty removes the key of a set that has lost its last member.
func dropEmpty(c *shard.Call, v *shard.Collection, s *object.SetView) {
	if s.Len() == 0 {
		c.DB.Drop(v)
		c.Event(shard.EventGeneric, "del", v.Key())
	}
}

// SADD key member [member ...]
func sadd(c *shard.Call) error {
	key, members := c.Args[1], c.Args[2:]
	s, v, err := openForWrite(c, key)
	if err != nil {
		return err
	}
	added := 0
	if v == nil {
		added = create(c, key, members)
	} else {
		s.Expect(len(members))
		for _, member := range members {
			if s.Add(member) {
				added++
			}
		}
	}
	if added > 0 {
		c.CountChanges(added)
		c.Event(shard.EventSet, "sadd", key)
	}
	return c.Reply.Int(int64(added))
}

// SREM key member [member ...]
func srem(c *shard.Call) error {
	key := c.Args[1]
	s, v, err := openForWrite(c, key)
	if v == nil {
		return orInt(c, err, 0)
	}
	removed := 0
	for _, member := range c.Args[2:] {
		if s.Remove(member) {
			removed++
		}
	}
	if removed > 0 {
		c.Event(shard.EventSet, "srem", key)
		dropEmpty(c, v, &s)
		c.CountChanges(removed)
	}
	return c.Reply.Int(int64(removed))
}

// orInt is the error, if there is one, or the reply n.
func orInt(c *shard.Call, err error, n int64) error {
	if err != nil {
		return err
	}
	return c.Reply.Int(n)
}

// SISMEMBER key member
func sismember(c *shard.Call) error {
	s, ok, err := open(c, c.Args[1])
	if !ok {
		return orInt(c, err, 0)
	}
	return c.Reply.Int(oneIf(s.Has(c.Args[2])))
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

// SMISMEMBER key member [member ...]
func smismember(c *shard.Call) error {
	s, ok, err := open(c, c.Args[1])
	if err != nil {
		return err
	}
	members := c.Args[2:]
	c.Reply.Array(len(members))
	for _, member := range members {
		c.Reply.Int(oneIf(ok && s.Has(member)))
	}
	return nil
}

// SCARD key
func scard(c *shard.Call) error {
	s, ok, err := open(c, c.Args[1])
	if !ok {
		return orInt(c, err, 0)
	}
	return c.Reply.Int(int64(s.Len()))
}

// SMEMBERS key
func smembers(c *shard.Call) error {
	s, ok, err := open(c, c.Args[1])
	if err != nil {
		return err
	}
	if !ok {
		return c.Reply.Set(0)
	}
	c.Reply.Set(s.Len())
	s.Reply(c.Reply)
	return nil
}

// SMOVE source destination member
//
// A member that expires is moved without its deadline, as SADD adds it.
func smove(c *shard.Call) error {
	from, to, member := c.Args[1], c.Args[2], c.Args[3]
	source, v, err := openForWrite(c, from)
	if v == nil {
		return orInt(c, err, 0) // whatever the destination is
	}
	if bytes.Equal(from, to) {
		return c.Reply.Int(oneIf(source.Has(member)))
	}
	destination, there, err := openForWrite(c, to)
	if err != nil {
		return err
	}
	if !source.Remove(member) {
		return c.Reply.Int(0)
	}
	c.Event(shard.EventSet, "srem", from)
	dropEmpty(c, v, &source)
	c.CountChanges(1)
	if there == nil && create(c, to, c.Args[3:]) == 1 || there != nil && destination.Add(member) {
		c.Event(shard.EventSet, "sadd", to)
	}
	return c.Reply.Int(1)
}

const errNoValues resp.Error = "ERR NOVALUES option can only be used in HSCAN"

// SSCAN key cursor [MATCH pattern] [COUNT count]
//
// Options of a scan of nothing are not looked at, as in Redis.
func sscan(c *shard.Call) error {
	cursor, ok := shard.ParseCursor(c.Args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	s, ok, err := open(c, c.Args[1])
	if err != nil {
		return err
	}
	if !ok {
		c.Reply.Array(2)
		c.Reply.BulkInt(0)
		return c.Reply.Array(0)
	}
	o, err := shard.ParseScan(c.Args[3:], func(args [][]byte) (used int, err error) {
		if resp.WordIs(args[0], "NOVALUES") {
			return 0, errNoValues
		}
		return 0, nil
	})
	if err != nil {
		return err
	}
	var scratch [32]byte
	start := len(c.Reply.Buf)
	n := 0
	next := s.Scan(cursor, o.Count, func(e object.Element) {
		if o.Matches(e.Bytes(scratch[:])) {
			e.Reply(c.Reply)
			n++
		}
	})
	var space [64]byte
	head := resp.Writer{Buf: space[:0]}
	head.Array(2)
	head.BulkInt(int64(next))
	head.Array(n)
	c.Reply.Buf = slices.Insert(c.Reply.Buf, start, head.Buf...)
	return nil
}
