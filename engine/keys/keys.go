package keys

import (
	"bytes"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Family is the table of all commands of this package, but for MemoryUsage and
// DebugObject, which stand under containers of another family.
var Family = engine.Family{
	Name:     "keyspace",
	Group:    "generic",
	Commands: slices.Concat(named, expiry, finding, spaces, objects, dumping),
}

// sumPerShard are the tips of commands that answer a sum over their keys.
var sumPerShard = []string{"request_policy:multi_shard", "response_policy:agg_sum"}

var named = []engine.Command{{
	Name: "DEL", Arity: -2, Run: del,
	Keys: engine.KeyRange(1, -1, 1, "RM delete"), Merge: engine.MergeSum,
	Flags: engine.Write, Tips: sumPerShard,
	Summary: "Deletes keys and answers how many there were.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys, plus O(M) for a collection of M elements among them",
	Syntax: "key [key ...]",
}, {
	Name: "UNLINK", Arity: -2, Run: del,
	Keys: engine.KeyRange(1, -1, 1, "RM delete"), Merge: engine.MergeSum,
	Flags: engine.Write | engine.Fast, Tips: sumPerShard,
	Summary: "Deletes keys and gives their memory back in the background.",
	Since:   "4.0.0", Complexity: "O(1) per key; freeing large values happens elsewhere",
	Syntax: "key [key ...]",
}, {
	Name: "EXISTS", Arity: -2, Run: exists,
	Keys: engine.KeyRange(1, -1, 1, "RO"), Merge: engine.MergeSum,
	Flags: engine.Read | engine.Fast, Tips: sumPerShard,
	Summary: "Counts how many of the given keys are there; a key named twice counts twice.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys",
	Syntax:  "key [key ...]",
	History: []string{"3.0.3: Several keys are accepted."},
}, {
	Name: "TYPE", Arity: 2, Run: typeOf,
	Keys: engine.OneKey("RO"), Flags: engine.Read | engine.Fast,
	Summary: "Names the type of the value under a key.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key",
}, {
	Name: "TOUCH", Arity: -2, Run: touch,
	Keys: engine.KeyRange(1, -1, 1, "RO"), Merge: engine.MergeSum,
	Flags: engine.Read | engine.Fast, Tips: sumPerShard,
	Summary: "Marks keys as used just now and counts those that are there.",
	Since:   "3.2.1", Complexity: "O(N) with the number of keys",
	Syntax: "key [key ...]",
}, {
	Name: "RENAME", Arity: 3, Run: rename,
	Keys:    append(engine.KeyAt(1, "RW access delete"), engine.KeyAt(2, "OW update")...),
	Flags:   engine.Write,
	Summary: "Gives a key another name; a key that had the name is overwritten.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key newkey",
}, {
	Name: "RENAMENX", Arity: 3, Run: renameNX,
	Keys:    append(engine.KeyAt(1, "RW access delete"), engine.KeyAt(2, "OW insert")...),
	Flags:   engine.Write | engine.Fast,
	Summary: "Gives a key another name unless the name is taken.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax:  "key newkey",
	History: []string{"3.2.0: Equal names are no longer an error."},
}, {
	Name: "COPY", Arity: -3, Run: copyKey,
	Keys:    append(engine.KeyAt(1, "RO access"), engine.KeyAt(2, "OW update")...),
	Flags:   engine.Write | engine.DenyOOM,
	Summary: "Copies the value of a key, with its deadline, to another key.",
	Since:   "6.2.0", Complexity: "O(N) with the number of elements; O(1) for strings",
	Syntax: "source destination [DB destination-db] [REPLACE]",
}, {
	Name: "MOVE", Arity: 3, Run: move,
	Keys: engine.OneKey("RW access update"), Flags: engine.Write | engine.Fast,
	Summary: "Moves a key to another database unless the key is there already.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key db",
}}

// DEL key [key ...]
// UNLINK key [key ...]
//
// One handler for both: what takes time about a deletion, the return of the
// memory, is bounded for either.
func del(c *shard.Call) error {
	n := int64(0)
	for _, key := range c.Args[1:] {
		e := c.DB.Peek(key)
		if !e.Exists() {
			continue
		}
		c.DB.Delete(key, e)
		c.Event(shard.EventGeneric, "del", key)
		n++
	}
	return c.Reply.Int(n)
}

// EXISTS key [key ...]
func exists(c *shard.Call) error {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if c.DB.Exists(key) {
			n++
		}
	}
	return c.Reply.Int(n)
}

// TYPE key
func typeOf(c *shard.Call) error {
	e := c.DB.Look(c.Key())
	if !e.Exists() {
		return c.Reply.Simple("none")
	}
	return c.Reply.Simple(e.Type().String())
}

// TOUCH key [key ...]
//
// Unlike any other command it touches keys even for a client in no-touch mode.
func touch(c *shard.Call) error {
	n := int64(0)
	for _, key := range c.Args[1:] {
		if e := c.DB.Lookup(key); e.Exists() {
			e.SetAccess(shard.AccessClock(c.Clock))
			n++
		}
	}
	return c.Reply.Int(n)
}

// RENAME key newkey
func rename(c *shard.Call) error {
	_, err := renameTo(c, true)
	if err != nil {
		return err
	}
	return c.Reply.OK()
}

// RENAMENX key newkey
func renameNX(c *shard.Call) error {
	renamed, err := renameTo(c, false)
	switch {
	case err != nil:
		return err
	case renamed:
		return c.Reply.Int(1)
	default:
		return c.Reply.Int(0)
	}
}

// renameTo renames Args[1] to Args[2], over an existing key only with replace.
func renameTo(c *shard.Call, replace bool) (renamed bool, err error) {
	key, newKey := c.Args[1], c.Args[2]
	e := c.DB.LookupWrite(key)
	if !e.Exists() {
		return false, resp.ErrNoSuchKey
	}
	if bytes.Equal(key, newKey) {
		return false, nil
	}
	if !replace && c.DB.LookupWrite(newKey).Exists() {
		return false, nil
	}
	relocate(c, c.DB, key, c.DB, newKey)
	c.CountChanges(1)
	c.Event(shard.EventGeneric, "rename_from", key)
	c.Event(shard.EventGeneric, "rename_to", newKey)
	return true, nil
}

// COPY source destination [DB destination-db] [REPLACE]
func copyKey(c *shard.Call) error {
	source, destination := c.Args[1], c.Args[2]
	to, replace := c.DB, false
	for i := 3; i < len(c.Args); i++ {
		switch {
		case resp.WordIs(c.Args[i], "REPLACE"):
			replace = true
		case resp.WordIs(c.Args[i], "DB") && i+1 < len(c.Args):
			i++
			number, err := databaseNumber(c, c.Args[i])
			if err != nil {
				return err
			}
			to = c.DBAt(number)
		default:
			return resp.ErrSyntax
		}
	}
	if to.Number == c.DB.Number && bytes.Equal(source, destination) {
		return resp.ErrSameObject
	}
	if !c.DB.Lookup(source).Exists() {
		return c.Reply.Int(0)
	}
	if to.LookupWrite(destination).Exists() && !replace {
		return c.Reply.Int(0)
	}
	duplicate(c.DB, source, to, destination)
	c.CountChanges(1)
	c.EventIn(to.Number, shard.EventGeneric, "copy_to", destination)
	return c.Reply.Int(1)
}

// MOVE key db
func move(c *shard.Call) error {
	key := c.Key()
	number, err := databaseNumber(c, c.Args[2])
	if err != nil {
		return err
	}
	if number == c.DB.Number {
		return resp.ErrSameObject
	}
	to := c.DBAt(number)
	if !c.DB.LookupWrite(key).Exists() || to.LookupWrite(key).Exists() {
		return c.Reply.Int(0)
	}
	relocate(c, c.DB, key, to, key)
	c.CountChanges(1)
	c.Event(shard.EventGeneric, "move_from", key)
	c.EventIn(number, shard.EventGeneric, "move_to", key)
	return c.Reply.Int(1)
}
