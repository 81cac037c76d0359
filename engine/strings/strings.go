package strings

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Family is the table of the commands on strings.
//
// Whatever a command was told under a condition or relative to now, its effect
// says only the outcome: SET with the value and an absolute time, DEL, PERSIST.
// Everything that can be refused is refused before anything changes, and an old
// value is answered before it goes.
var Family = engine.Family{Name: "string", Commands: []engine.Command{{
	Name: "GET", Arity: 2, Run: get,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the string that a key holds.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "SET", Arity: -3, Run: set,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW access update variable_flags"),
	Summary: "Makes a key hold a string, whatever it held before, if a condition allows it.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key value condition[NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] " +
		"expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
	History: []string{
		"2.6.12: Added the `EX`, `PX`, `NX` and `XX` options.",
		"6.0.0: Added the `KEEPTTL` option.",
		"6.2.0: Added the `GET`, `EXAT` and `PXAT` option.",
		"7.0.0: Allowed the `NX` and `GET` options to be used together.",
		"8.4.0: Added the `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE` options.",
	},
}, {
	Name: "SETNX", Arity: 3, Run: setnx,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("OW insert"),
	Summary: "Makes a key hold a string if it does not exist.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key value",
	Deprecated: "2.6.12", Replacement: "`SET` with the `NX` argument",
}, {
	Name: "SETEX", Arity: 4, Run: setex,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("OW update"),
	Summary: "Makes a key hold a string for a number of seconds.",
	Since:   "2.0.0", Complexity: "O(1)", Syntax: "key seconds value",
	Deprecated: "2.6.12", Replacement: "`SET` with the `EX` argument",
}, {
	Name: "PSETEX", Arity: 4, Run: psetex,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("OW update"),
	Summary: "Makes a key hold a string for a number of milliseconds.",
	Since:   "2.6.0", Complexity: "O(1)", Syntax: "key milliseconds value",
	Deprecated: "2.6.12", Replacement: "`SET` with the `PX` argument",
}, {
	Name: "GETSET", Arity: 3, Run: getset,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Makes a key hold a string and returns the one it held.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key value",
	Deprecated: "6.2.0", Replacement: "`SET` with the `!GET` argument",
}, {
	Name: "GETDEL", Arity: 2, Run: getdel,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Returns the string that a key holds and removes the key.",
	Since:   "6.2.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "GETEX", Arity: -2, Run: getex,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Returns the string that a key holds and changes when the key expires.",
	Since:   "6.2.0", Complexity: "O(1)",
	Syntax: "key expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
}, {
	Name: "MGET", Arity: -2, Run: mget, Merge: engine.MergeOrder,
	Flags: engine.Read | engine.Fast, Keys: engine.KeyRange(1, -1, 1, "RO access"),
	Summary: "Returns the strings that several keys hold.",
	Since:   "1.0.0", Complexity: "O(N) where N is the number of keys to retrieve.",
	Syntax: "key [key ...]", Tips: []string{"request_policy:multi_shard"},
}, {
	Name: "MSET", Arity: -3, Run: mset, Merge: engine.MergeFirst, Check: pairsComplete,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.KeyRange(1, -1, 2, "OW update"),
	Summary: "Makes several keys hold strings, all at one moment.",
	Since:   "1.0.1", Complexity: "O(N) where N is the number of keys to set.",
	Syntax: "data(key value) [(key value) ...]",
	Tips:   []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
}, {
	Name: "MSETNX", Arity: -3, Run: msetnx,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.KeyRange(1, -1, 2, "OW insert"),
	Summary: "Makes several keys hold strings if none of them exists.",
	Since:   "1.0.1", Complexity: "O(N) where N is the number of keys to set.",
	Syntax: "data(key value) [(key value) ...]",
}, {
	Name: "MSETEX", Arity: -4, Run: msetex,
	Flags:   engine.Write | engine.DenyOOM,
	Keys:    []engine.KeySpec{{Access: "OW update", First: 1, Counted: true, KeyNum: 0, FirstKey: 1, Step: 2}},
	Summary: "Makes several keys hold strings with one time to live, if a condition allows it.",
	Since:   "8.4.0", Complexity: "O(N) where N is the number of keys to set.",
	Syntax: "numkeys data(key value) [(key value) ...] condition[NX | XX] " +
		"expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
	Tips: []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
}, {
	Name: "APPEND", Arity: 3, Run: appendTo,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW insert"),
	Summary: "Adds bytes at the end of a string; an absent key counts as empty.",
	Since:   "2.0.0",
	Complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and " +
		"the string may be of any size, since room is kept behind it.",
	Syntax: "key value",
}, {
	Name: "STRLEN", Arity: 2, Run: strlen,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns the length of a string.",
	Since:   "2.2.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "GETRANGE", Arity: 4, Run: getrange,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the part of a string between two places, both included.",
	Since:   "2.4.0", Complexity: "O(N) where N is the length of the returned string.",
	Syntax: "key start end",
}, {
	Name: "SUBSTR", Arity: 4, Run: getrange,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the part of a string between two places, both included.",
	Since:   "1.0.0", Complexity: "O(N) where N is the length of the returned string.",
	Syntax: "key start end", Deprecated: "2.0.0", Replacement: "`GETRANGE`",
}, {
	Name: "SETRANGE", Arity: 4, Run: setrange,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW update"),
	Summary: "Overwrites part of a string, which grows with zero bytes as far as needed.",
	Since:   "2.2.0",
	Complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very " +
		"small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
	Syntax: "key offset value",
}, {
	Name: "INCR", Arity: 2, Run: incr,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds one to the integer that a key holds; an absent key counts as 0.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "DECR", Arity: 2, Run: decr,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Takes one from the integer that a key holds; an absent key counts as 0.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "INCRBY", Arity: 3, Run: incrby,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the integer that a key holds; an absent key counts as 0.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key increment",
}, {
	Name: "DECRBY", Arity: 3, Run: decrby,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Takes from the integer that a key holds; an absent key counts as 0.",
	Since:   "1.0.0", Complexity: "O(1)", Syntax: "key decrement",
}, {
	Name: "INCRBYFLOAT", Arity: 3, Run: incrbyfloat,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the number that a key holds; an absent key counts as 0.",
	Since:   "2.6.0", Complexity: "O(1)", Syntax: "key increment:double",
}, {
	Name: "INCREX", Arity: -2, Run: increx,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the number that a key holds, between bounds, and sets when the key expires; an absent key counts as 0.",
	Since:   "8.8.0", Complexity: "O(1)",
	Syntax: "key increment[BYFLOAT float:double | BYINT integer:integer] [SATURATE] [LBOUND lowerbound] [UBOUND upperbound] " +
		"expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]",
}, {
	Name: "CL.THROTTLE", Arity: -5, Run: throttle,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Tells whether something may happen once more, at a rate and with bursts, and counts that it does.",
	Since:   "redis-cell 0.1.0", Complexity: "O(1)",
	Syntax: "key max-burst:integer count period:integer [quantity:integer]",
}, {
	Name: "LCS", Arity: -3, Run: lcs,
	Flags: engine.Read | engine.Long, Keys: engine.KeyRange(1, 2, 1, "RO access"),
	Summary: "Finds the longest common subsequence of two strings.",
	Since:   "7.0.0", Complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
	Syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len:integer] [WITHMATCHLEN]",
}, {
	Name: "DELEX", Arity: -2, Run: delex,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW delete variable_flags"),
	Summary: "Removes a key if what it holds compares as asked.",
	Since:   "8.4.0", Complexity: "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
	Syntax: "key condition[IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]",
}, {
	Name: "DELIFEQ", Arity: 3, Run: delifeq,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RM access delete"),
	Summary: "Removes a key if it holds the given string.",
	Since:   "Valkey 9.0.0", Complexity: "O(1)", Syntax: "key value",
}, {
	Name: "DIGEST", Arity: 2, Run: digest,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the XXH3 digest of a string.",
	Since:   "8.4.0", Complexity: "O(N) where N is the length of the string value.", Syntax: "key",
}}}

// Words of effects.
var (
	wordSet       = []byte("SET")
	wordMSet      = []byte("MSET")
	wordDel       = []byte("DEL")
	wordPXAT      = []byte("PXAT")
	wordKeepTTL   = []byte("KEEPTTL")
	wordPExpireAt = []byte("PEXPIREAT")
	wordPersist   = []byte("PERSIST")
)

// GET key
func get(c *shard.Call) error {
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	return replyValue(c, e)
}

// SET key value [condition] [GET] [expiration]
func set(c *shard.Call) error {
	if len(c.Args) > 3 {
		return setWith(c)
	}
	c.DB.Set(c.Args[1], c.Args[2], 0)
	c.Event(shard.EventString, "set", c.Args[1])
	return c.Reply.OK()
}

// SETNX key value
func setnx(c *shard.Call) error {
	key, value := c.Args[1], c.Args[2]
	if c.DB.LookupWrite(key).Exists() {
		return c.Reply.Int(0)
	}
	c.DB.Set(key, value, 0)
	c.Event(shard.EventString, "set", key)
	c.Effect(wordSet, key, value)
	return c.Reply.Int(1)
}

const (
	errExpireSet    resp.Error = "ERR invalid expire time in 'set' command"
	errExpireSetEx  resp.Error = "ERR invalid expire time in 'setex' command"
	errExpirePSetEx resp.Error = "ERR invalid expire time in 'psetex' command"
	errExpireGetEx  resp.Error = "ERR invalid expire time in 'getex' command"
	errExpireMSetEx resp.Error = "ERR invalid expire time in 'msetex' command"
)

// SETEX key seconds value
func setex(c *shard.Call) error { return setFor(c, inSeconds, errExpireSetEx) }

// PSETEX key milliseconds value
func psetex(c *shard.Call) error { return setFor(c, inMillis, errExpirePSetEx) }

func setFor(c *shard.Call, unit expiry, invalid resp.Error) error {
	key, value := c.Args[1], c.Args[3]
	at, err := deadline(c.Args[2], unit, c.Clock, invalid)
	if err != nil {
		return err
	}
	setUntil(c, key, value, at)
	c.Effect(wordSet, key, value, wordPXAT, c.Int(at))
	return c.Reply.OK()
}

// setUntil sets a key that expires.
func setUntil(c *shard.Call, key, value []byte, at int64) {
	c.DB.Set(key, value, at)
	c.Event(shard.EventString, "set", key)
	c.Event(shard.EventGeneric, "expire", key)
}

// GETSET key value
func getset(c *shard.Call) error {
	key, value := c.Args[1], c.Args[2]
	e, err := c.DB.String(key)
	if err != nil {
		return err
	}
	replyValue(c, e)
	c.DB.Set(key, value, 0)
	c.Event(shard.EventString, "set", key)
	c.Effect(wordSet, key, value)
	return nil
}

// GETDEL key
func getdel(c *shard.Call) error {
	key := c.Args[1]
	e, err := c.DB.String(key)
	if err != nil {
		return err
	}
	replyValue(c, e)
	if e.Exists() {
		remove(c, key, e)
	}
	return nil
}

// MGET key [key ...]
func mget(c *shard.Call) error {
	keys := c.Args[1:]
	c.Reply.Array(len(keys))
	for _, key := range keys {
		e, err := c.DB.String(key)
		if err != nil {
			c.Reply.Null() // another type reads as absent here
			continue
		}
		replyValue(c, e)
	}
	return nil
}

var (
	errArityMSet   = resp.WrongArity("mset")
	errArityMSetNX = resp.WrongArity("msetnx")
	errArityDelEx  = resp.WrongArity("delex")
)

// pairsComplete refuses a key without a value before any pair is written.
func pairsComplete(args [][]byte) error {
	if len(args)%2 == 0 {
		return errArityMSet
	}
	return nil
}

// MSET key value [key value ...]
func mset(c *shard.Call) error {
	if err := pairsComplete(c.Args); err != nil {
		return err
	}
	setPairs(c, c.Args[1:], 0)
	return c.Reply.OK()
}

// MSETNX key value [key value ...]
func msetnx(c *shard.Call) error {
	if len(c.Args)%2 == 0 {
		return errArityMSetNX
	}
	pairs := c.Args[1:]
	for i := 0; i < len(pairs); i += 2 {
		if c.DB.LookupWrite(pairs[i]).Exists() {
			return c.Reply.Int(0)
		}
	}
	setPairs(c, pairs, 0)
	effect := append(make([][]byte, 0, len(c.Args)), wordMSet)
	c.Effect(append(effect, pairs...)...)
	return c.Reply.Int(1)
}

// setPairs sets keys that expire at the given time, 0 for never.
func setPairs(c *shard.Call, pairs [][]byte, at int64) {
	for i := 0; i < len(pairs); i += 2 {
		c.DB.Set(pairs[i], pairs[i+1], at)
		c.Event(shard.EventString, "set", pairs[i])
		if at != 0 {
			c.Event(shard.EventGeneric, "expire", pairs[i])
		}
	}
}

// APPEND key value
func appendTo(c *shard.Call) error {
	key, value := c.Args[1], c.Args[2]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	had := length(e)
	if len(value) > StringBytesMax-had {
		return resp.ErrStringTooLong
	}
	if e.Exists() {
		copy(c.DB.Resize(key, e, had+len(value))[had:], value)
	} else {
		c.DB.Set(key, value, 0)
	}
	c.Event(shard.EventString, "append", key)
	return c.Reply.Int(int64(had + len(value)))
}

// STRLEN key
func strlen(c *shard.Call) error {
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	return c.Reply.Int(int64(length(e)))
}

// GETRANGE key start end
//
// Places count from 0, negative ones from the end; what lies outside is cut off.
func getrange(c *shard.Call) error {
	start, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	end, ok := resp.ParseInt(c.Args[3])
	if !ok {
		return resp.ErrNotInteger
	}
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	b := text(e, digits[:0])
	if start < 0 && end < 0 && start > end {
		return c.Reply.Bulk(nil)
	}
	n := int64(len(b))
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	end = min(end, n-1)
	if start > end {
		return c.Reply.Bulk(nil)
	}
	return c.Reply.Bulk(b[start : end+1])
}

// SETRANGE key offset value
func setrange(c *shard.Call) error {
	key, value := c.Args[1], c.Args[3]
	offset, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if offset < 0 {
		return resp.ErrOffset
	}
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	n := length(e)
	if len(value) == 0 {
		return c.Reply.Int(int64(n)) // nothing to write creates and grows nothing
	}
	if offset > int64(StringBytesMax-len(value)) {
		return resp.ErrStringTooLong
	}
	n = max(n, int(offset)+len(value))
	copy(c.DB.Resize(key, e, n)[offset:], value)
	c.Event(shard.EventString, "setrange", key)
	return c.Reply.Int(int64(n))
}
