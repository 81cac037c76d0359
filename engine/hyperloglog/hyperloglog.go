package hyperloglog

import (
	"hyperkv/engine"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

// Family is the table of the commands on HyperLogLogs.
//
// A key that holds no string at all is the wrong type, as everywhere; one that
// holds another string is so in words of its own. A command that is refused has
// changed nothing, even if only the last of its elements met corrupted bytes.
var Family = engine.Family{Name: "hyperloglog", Commands: []engine.Command{{
	Name: "PFADD", Arity: -2, Run: pfadd,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Lets a HyperLogLog see elements; an absent key is one that has seen none.",
	Since:   "2.8.9", Complexity: "O(1) to add every element.", Syntax: "key [element [element ...]]",
}, {
	Name: "PFCOUNT", Arity: -2, Run: pfcount,
	Flags: engine.Read | engine.MayReplicate, Keys: engine.KeyRange(1, -1, 1, "RW access"),
	Summary: "Estimates how many distinct elements one HyperLogLog, or several together, have seen.",
	Since:   "2.8.9",
	Complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the " +
		"number of keys, and much bigger constant times, when called with multiple keys.",
	Syntax: "key [key ...]",
}, {
	Name: "PFMERGE", Arity: -2, Run: pfmerge,
	Flags: engine.Write | engine.DenyOOM,
	Keys: []engine.KeySpec{
		{Access: "RW access insert", First: 1, Step: 1},
		{Access: "RO access", First: 2, Last: -1, Step: 1},
	},
	Summary: "Lets a HyperLogLog see all that others have seen.",
	Since:   "2.8.9", Complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
	Syntax: "destkey [sourcekey:key [sourcekey:key ...]]",
}, {
	Name: "PFDEBUG", Arity: 3, Run: pfdebug,
	Flags: engine.Write | engine.DenyOOM | engine.Admin, Keys: engine.KeyAt(2, "RW access"),
	Summary: "Looks inside a HyperLogLog, or makes it dense.",
	Since:   "2.8.9", Complexity: "N/A", Syntax: "subcommand key",
}, {
	Name: "PFSELFTEST", Arity: 1, Session: pfselftest,
	Flags:   engine.Admin,
	Summary: "Tests the implementation of HyperLogLogs.",
	Since:   "2.8.9", Complexity: "N/A",
}}}

// PFADD key [element ...]
func pfadd(c *shard.Call) error {
	key, elements := c.Args[1], c.Args[2:]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	var space [spaceBytes]byte
	w := writer{sparseBytesMax: c.Limits().HLLSparseBytes}
	changes := 0 // that there is a sketch, and each register raised
	if !e.Exists() {
		w.sketch = emptySketch(space[:0])
		changes++
	} else {
		s, err := sketchOf(e)
		if err != nil {
			return err
		}
		if s.dense() {
			return addDense(c, key, e, s, elements)
		}
		w.sketch = append(space[:0], s...)
	}
	for _, element := range elements {
		switch w.raise(place(element)) {
		case changed:
			changes++
		case corrupted:
			return errCorrupted
		}
	}
	if changes == 0 {
		// Redis shows in OBJECT ENCODING that the string was about to be written.
		c.DB.MakeRaw(key, e)
		return c.Reply.Int(0)
	}
	w.forget()
	copy(c.DB.Resize(key, e, len(w.sketch)), w.sketch)
	c.CountChanges(changes)
	c.Event(shard.EventString, "pfadd", key)
	return c.Reply.Int(1)
}

// spaceBytes is room for a sparse sketch of the usual size while it is changed.
const spaceBytes = 3072

// addDense is PFADD for a dense sketch, which is changed where it is.
func addDense(c *shard.Call, key []byte, e keyspace.Entry, s sketch, elements [][]byte) error {
	changes := 0
	for _, element := range elements {
		at, value := place(element)
		if s.register(at) >= value {
			continue
		}
		if changes == 0 {
			s = c.DB.Resize(key, e, denseBytes)
		}
		changes++
		s.setRegister(at, value)
	}
	if changes == 0 {
		return c.Reply.Int(0)
	}
	s.forget()
	c.CountChanges(changes)
	c.Event(shard.EventString, "pfadd", key)
	return c.Reply.Int(1)
}

// PFCOUNT key [key ...]
//
// The cardinality of a single key is remembered in its string, so that counting
// is a change unless it has been counted before.
func pfcount(c *shard.Call) error {
	if len(c.Args) > 2 {
		return countUnion(c)
	}
	key := c.Args[1]
	e, err := c.DB.String(key)
	if err != nil {
		return err
	}
	if !e.Exists() {
		return c.Reply.Int(0)
	}
	s, err := sketchOf(e)
	if err != nil {
		return err
	}
	if n, ok := s.cached(); ok {
		c.DB.MakeRaw(key, e)
		return c.Reply.Int(n)
	}
	n, ok := s.cardinality()
	if !ok {
		return errCorrupted
	}
	sketch(c.DB.Resize(key, e, len(s))).cache(n)
	return c.Reply.Int(n)
}

// countUnion is PFCOUNT with several keys.
func countUnion(c *shard.Call) error {
	var t table
	if _, err := includeAll(c, &t); err != nil {
		return err
	}
	var h histogram
	t.count(&h)
	return c.Reply.Int(h.estimate())
}

// includeAll raises the table to all the keys of the command; dense says that one
// of them is.
func includeAll(c *shard.Call, t *table) (dense bool, err error) {
	for _, key := range c.Args[1:] {
		e, err := c.DB.String(key)
		if err != nil {
			return false, err
		}
		if !e.Exists() {
			continue
		}
		s, err := sketchOf(e)
		if err != nil {
			return false, err
		}
		dense = dense || s.dense()
		if !t.include(s) {
			return false, errCorrupted
		}
	}
	return dense, nil
}

// PFMERGE destkey [sourcekey ...]
//
// What the destination has seen before counts as well.
func pfmerge(c *shard.Call) error {
	var t table
	dense, err := includeAll(c, &t)
	if err != nil {
		return err
	}
	key := c.Args[1]
	e := c.DB.LookupWrite(key)
	var space [spaceBytes]byte
	w := writer{sparseBytesMax: c.Limits().HLLSparseBytes}
	if !e.Exists() {
		w.sketch = emptySketch(space[:0])
	} else {
		w.sketch = append(space[:0], e.Bytes()...)
	}
	if dense {
		w.sketch = t.denseOf(w.sketch)
	} else {
		for register, value := range t {
			if value > 0 {
				w.raise(register, value)
			}
		}
	}
	w.forget()
	copy(c.DB.Resize(key, e, len(w.sketch)), w.sketch)
	c.Event(shard.EventString, "pfadd", key)
	return c.Reply.OK()
}
