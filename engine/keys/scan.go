package keys

import (
	"bytes"
	"slices"
	"strings"

	"hyperkv/engine"
	"hyperkv/internal/glob"
	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

var finding = []engine.Command{{
	Name: "RANDOMKEY", Arity: 1, Run: randomKey,
	Scope: engine.ScopeAll, Flags: engine.Read,
	Tips:    []string{"request_policy:all_shards", "response_policy:special", "nondeterministic_output"},
	Summary: "Names some key of the database, each about equally likely.",
	Since:   "1.0.0", Complexity: "O(1)",
}, {
	Name: "KEYS", Arity: 2, Run: keys,
	Scope: engine.ScopeAll, Merge: engine.MergeConcat,
	Flags:   engine.Read | engine.Long | engine.Dangerous,
	Tips:    []string{"request_policy:all_shards", "nondeterministic_output_order"},
	Summary: "Names all keys that fit a pattern.",
	Since:   "1.0.0", Complexity: "O(N) with the number of keys in the database",
	Syntax: "pattern",
}, {
	Name: "SCAN", Arity: -2, Run: scan,
	Scope: engine.ScopeCursor, Flags: engine.Read,
	Tips:    []string{"nondeterministic_output", "request_policy:special", "response_policy:special"},
	Summary: "Names the keys of the database, a few with each call.",
	Since:   "2.8.0", Complexity: "O(1) per call, O(N) for all N keys",
	Syntax:  "cursor [MATCH pattern] [COUNT count] [TYPE type]",
	History: []string{"6.0.0: The option TYPE."},
}}

// RANDOMKEY
func randomKey(c *shard.Call) error {
	e := c.DB.Random()
	if !e.Exists() {
		return c.Reply.Null()
	}
	return c.Reply.Bulk(e.Key())
}

// KEYS pattern
func keys(c *shard.Call) error {
	pattern := c.Args[1]
	if glob.IsLiteral(pattern) {
		return keyIfThere(c, pattern)
	}
	all := glob.IsAll(pattern)
	at, n := c.Reply.Deferred(), 0
	c.DB.Each(func(e keyspace.Entry) {
		if key := e.Key(); all || glob.Match(pattern, key) {
			c.Reply.Bulk(key)
			n++
		}
	})
	c.Reply.SetArray(at, n)
	return nil
}

// keyIfThere is KEYS for the one key that a pattern without special bytes names.
// The call may be the part of a shard that does not own the key.
func keyIfThere(c *shard.Call, key []byte) error {
	owner := c.Set().Of(shard.RouteHash(key, shard.Hash(key)))
	if !slices.Contains(c.Shards(), owner) || !c.DB.Peek(key).Exists() {
		return c.Reply.Array(0)
	}
	return c.Reply.Bulks(key)
}

// scanGroupsPerCount bounds the groups visited per key asked for, so that a
// database that is nearly empty after having been full does not hold up others.
const scanGroupsPerCount = 10

// scanOptions is what a SCAN asks for.
type scanOptions struct {
	shard.ScanOptions
	typed bool // only keys of this kind
	kind  object.Type
}

func parseScanOptions(args [][]byte) (o scanOptions, err error) {
	o.ScanOptions, err = shard.ParseScan(args, func(args [][]byte) (used int, err error) {
		if len(args) == 1 || !resp.WordIs(args[0], "TYPE") {
			return 0, nil
		}
		o.typed, o.kind = true, typeNamed(args[1])
		return 2, nil
	})
	return o, err
}

// typeNamed returns the type of that name; None, which no key has, when there is
// no such type. Redis 7 answers then that nothing was found, and Redis 8 an error.
func typeNamed(name []byte) object.Type {
	for kind := object.String; kind <= object.Stream; kind++ {
		if strings.EqualFold(kind.String(), string(name)) {
			return kind
		}
	}
	return object.None
}

func (o *scanOptions) wants(e keyspace.Entry) bool {
	return (!o.typed || e.Type() == o.kind) && o.Matches(e.Key())
}

// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
//
// A call stays on the shard that its cursor names. The filters apply to what
// COUNT has let it look at. Keys that have expired are removed in passing, as
// far as they pass the filters, as in Redis.
func scan(c *shard.Call) error {
	cursor, ok := shard.ParseCursor(c.Args[1])
	if !ok {
		return resp.ErrInvalidCursor
	}
	options, err := parseScanOptions(c.Args[2:])
	if err != nil {
		return err
	}
	at, n := c.Reply.Deferred(), 0
	shards := c.Set().Shards
	next := uint64(0)
	if index, inner := shard.DecodeCursor(cursor); index < len(shards) {
		n, inner = scanShard(c, shards[index], inner, &options)
		next = shard.NextCursor(index, inner, len(shards))
	}
	c.Reply.SetArray(at, n)
	var space [32]byte
	head := resp.Writer{Buf: space[:0]}
	head.Array(2)
	head.BulkInt(int64(next))
	c.Reply.Buf = slices.Insert(c.Reply.Buf, at, head.Buf...)
	return nil
}

// scanShard writes keys of one shard from its cursor inner on, and returns how
// many there were and the cursor to continue with, 0 after the last.
func scanShard(c *shard.Call, s *shard.Shard, inner uint64, o *scanOptions) (n int, next uint64) {
	if invariant.Enabled {
		invariant.Assert(slices.Contains(c.Shards(), s), "SCAN was not sent to the shard of its cursor")
	}
	var expired [][]byte
	seen := 0
	visit := func(e keyspace.Entry, isExpired bool) {
		seen++
		switch {
		case !o.wants(e):
		case isExpired:
			expired = append(expired, bytes.Clone(e.Key()))
		default:
			c.Reply.Bulk(e.Key())
			n++
		}
	}
	next = inner
	for range o.Count * scanGroupsPerCount {
		next = c.DB.ScanAll(s, next, visit)
		if next == 0 || seen >= o.Count {
			break
		}
	}
	for _, key := range expired {
		c.DB.Peek(key) // removes it
	}
	return n, next
}
