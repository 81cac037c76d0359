package keys

import (
	"io"
	"math"
	"strconv"

	"hyperkv/engine"
	"hyperkv/engine/values"
	"hyperkv/internal/rdb"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

var objects = []engine.Command{{
	Name: "OBJECT", Arity: -2,
	Summary: "Looks at how the value of a key is stored.",
	Since:   "2.2.3", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "ENCODING", Arity: 3, Run: objectEncoding,
		Keys: engine.KeyAt(2, "RO"), Flags: engine.Read,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Names the representation of the value.",
		Since:   "2.2.3", Complexity: "O(1)",
		Syntax: "key",
	}, {
		Name: "FREQ", Arity: 3, Run: objectFreq,
		Keys: engine.KeyAt(2, "RO"), Flags: engine.Read,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Answers how often the key is used, on a logarithmic scale.",
		Since:   "4.0.0", Complexity: "O(1)",
		Syntax: "key",
	}, {
		Name: "IDLETIME", Arity: 3, Run: objectIdleTime,
		Keys: engine.KeyAt(2, "RO"), Flags: engine.Read,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Answers for how many seconds the key has not been used.",
		Since:   "2.2.3", Complexity: "O(1)",
		Syntax: "key",
	}, {
		Name: "REFCOUNT", Arity: 3, Run: objectRefCount,
		Keys: engine.KeyAt(2, "RO"), Flags: engine.Read,
		Tips:    []string{"nondeterministic_output"},
		Summary: "Answers how many references Redis would hold to the value.",
		Since:   "2.2.3", Complexity: "O(1)",
		Syntax: "key",
	}},
}}

// MemoryUsage is the row of USAGE under MEMORY.
var MemoryUsage = engine.Command{
	Name: "USAGE", Arity: -3, Run: memoryUsage,
	Keys: engine.KeyAt(2, "RO"), Flags: engine.Read,
	Summary: "Answers how many bytes a key and its value occupy.",
	Since:   "4.0.0", Complexity: "O(1)",
	Syntax: "key [SAMPLES count]",
}

// DebugObject is the row of OBJECT under DEBUG.
var DebugObject = engine.Command{
	Name: "OBJECT", Arity: -3, Run: debugObject,
	Keys:    engine.KeyAt(2, "RO"),
	Flags:   engine.Admin | engine.NoScript | engine.Loading | engine.Stale | engine.Protected,
	Summary: "Shows how the value of a key is stored.",
	Since:   "1.0.0", Complexity: "O(N) with the size of the value",
	Syntax: "key [FAST]",
}

// OBJECT ENCODING key
func objectEncoding(c *shard.Call) error {
	e := c.DB.Peek(c.Args[2])
	if !e.Exists() {
		return c.Reply.Null()
	}
	return c.Reply.BulkString(e.Encoding().String())
}

const errNoFrequency resp.Error = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. " +
	"Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

// OBJECT FREQ key
//
// The access word of a key holds a time, not a frequency.
func objectFreq(c *shard.Call) error {
	if !c.DB.Peek(c.Args[2]).Exists() {
		return c.Reply.Null()
	}
	return errNoFrequency
}

// OBJECT IDLETIME key
func objectIdleTime(c *shard.Call) error {
	e := c.DB.Peek(c.Args[2])
	if !e.Exists() {
		return c.Reply.Null()
	}
	return c.Reply.Int(idleSeconds(c, e))
}

// idleSeconds is how long e has not been used. The access clock wraps.
func idleSeconds(c *shard.Call, e keyspace.Entry) int64 {
	return int64((shard.AccessClock(c.Clock) - e.Access()) & 0xffffff)
}

// OBJECT REFCOUNT key
func objectRefCount(c *shard.Call) error {
	e := c.DB.Peek(c.Args[2])
	if !e.Exists() {
		return c.Reply.Null()
	}
	return c.Reply.Int(refCount(e))
}

const (
	// sharedIntegers is how many small integers Redis keeps as shared objects,
	// which never go away and say so by their count.
	sharedIntegers = 10000
	sharedRefCount = math.MaxInt32
)

// refCount is what Redis would answer: values are never shared here.
func refCount(e keyspace.Entry) int64 {
	if n, ok := e.Int(); ok && n >= 0 && n < sharedIntegers {
		return sharedRefCount
	}
	return 1
}

// MEMORY USAGE key [SAMPLES count]
//
// The answer is exact, so that the number of samples does not matter; it is
// checked all the same.
func memoryUsage(c *shard.Call) error {
	for i := 3; i < len(c.Args); i += 2 {
		if !resp.WordIs(c.Args[i], "SAMPLES") || i+1 == len(c.Args) {
			return resp.ErrSyntax
		}
		samples, ok := resp.ParseInt(c.Args[i+1])
		if !ok {
			return resp.ErrNotInteger
		}
		if samples < 0 {
			return resp.ErrSyntax
		}
	}
	e := c.DB.Peek(c.Args[2])
	if !e.Exists() {
		return c.Reply.Null()
	}
	return c.Reply.Int(int64(e.MemoryBytes()))
}

// DEBUG OBJECT key [FAST]
//
// What Redis calls the address is here the hash of the key: tools want a number
// in that place, and addresses are nobody's business.
func debugObject(c *shard.Call) error {
	if len(c.Args) > 4 {
		return resp.Error("ERR unknown subcommand or wrong number of arguments for '" + string(c.Args[1]) + "'. Try DEBUG HELP.")
	}
	e := c.DB.Peek(c.Args[2])
	if !e.Exists() {
		return resp.ErrNoSuchKey
	}
	text := append(make([]byte, 0, 160), "Value at:0x"...)
	text = strconv.AppendUint(text, e.Hash()>>16, 16)
	text = append(text, " refcount:"...)
	text = resp.AppendInt(text, refCount(e))
	text = append(text, " encoding:"...)
	text = append(text, e.Encoding().String()...)
	text = append(text, " serializedlength:"...)
	text = resp.AppendInt(text, serializedLength(c, c.Args[2], e))
	text = append(text, " lru:"...)
	text = resp.AppendInt(text, int64(e.Access()))
	text = append(text, " lru_seconds_idle:"...)
	text = resp.AppendInt(text, idleSeconds(c, e))
	return c.Reply.Simple(string(text))
}

// serializedLength is how long the value is in an RDB file, without its type.
func serializedLength(c *shard.Call, key []byte, e keyspace.Entry) int64 {
	w := rdb.NewWriter(io.Discard, dumpVersion)
	if !values.Write(w, e, c.DB.OpenCollection(key, e), c.Limits(), c.Now, false) {
		return 0
	}
	return w.Len() - 1
}
