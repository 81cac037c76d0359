package keys

import (
	"bytes"
	"math"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

var conditionsSince = []string{"7.0.0: The conditions NX, XX, GT and LT."}

var expiry = []engine.Command{{
	Name: "EXPIRE", Arity: -3, Run: expire,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Lets a key expire in a number of seconds.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key seconds condition[NX | XX | GT | LT]", History: conditionsSince,
}, {
	Name: "PEXPIRE", Arity: -3, Run: pExpire,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Lets a key expire in a number of milliseconds.",
	Since:   "2.6.0", Complexity: "O(1)",
	Syntax: "key milliseconds condition[NX | XX | GT | LT]", History: conditionsSince,
}, {
	Name: "EXPIREAT", Arity: -3, Run: expireAt,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Lets a key expire at a Unix time in seconds.",
	Since:   "1.2.0", Complexity: "O(1)",
	Syntax: "key unix-time-seconds condition[NX | XX | GT | LT]", History: conditionsSince,
}, {
	Name: "PEXPIREAT", Arity: -3, Run: pExpireAt,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Lets a key expire at a Unix time in milliseconds.",
	Since:   "2.6.0", Complexity: "O(1)",
	Syntax: "key unix-time-milliseconds condition[NX | XX | GT | LT]", History: conditionsSince,
}, {
	Name: "TTL", Arity: 2, Run: ttl,
	Keys: engine.OneKey("RO access"), Flags: engine.Read | engine.Fast,
	Summary: "Answers in how many seconds a key expires; -1 is never, -2 is no key.",
	Since:   "1.0.0", Complexity: "O(1)",
	Syntax: "key", History: []string{"2.8.0: The answer -2."}, Tips: []string{"nondeterministic_output"},
}, {
	Name: "PTTL", Arity: 2, Run: pTTL,
	Keys: engine.OneKey("RO access"), Flags: engine.Read | engine.Fast,
	Summary: "Answers in how many milliseconds a key expires; -1 is never, -2 is no key.",
	Since:   "2.6.0", Complexity: "O(1)",
	Syntax: "key", History: []string{"2.8.0: The answer -2."}, Tips: []string{"nondeterministic_output"},
}, {
	Name: "EXPIRETIME", Arity: 2, Run: expireTime,
	Keys: engine.OneKey("RO access"), Flags: engine.Read | engine.Fast,
	Summary: "Answers the Unix time in seconds at which a key expires; -1 is never, -2 is no key.",
	Since:   "7.0.0", Complexity: "O(1)",
	Syntax: "key",
}, {
	Name: "PEXPIRETIME", Arity: 2, Run: pExpireTime,
	Keys: engine.OneKey("RO access"), Flags: engine.Read | engine.Fast,
	Summary: "Answers the Unix time in milliseconds at which a key expires; -1 is never, -2 is no key.",
	Since:   "7.0.0", Complexity: "O(1)",
	Syntax: "key",
}, {
	Name: "PERSIST", Arity: 2, Run: persist,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Lets a key stay for good.",
	Since:   "2.2.0", Complexity: "O(1)",
	Syntax: "key",
}}

// EXPIRE key seconds [NX | XX | GT | LT]
func expire(c *shard.Call) error { return setDeadline(c, "expire", c.Clock, 1000) }

// PEXPIRE key milliseconds [NX | XX | GT | LT]
func pExpire(c *shard.Call) error { return setDeadline(c, "pexpire", c.Clock, 1) }

// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
func expireAt(c *shard.Call) error { return setDeadline(c, "expireat", 0, 1000) }

// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
func pExpireAt(c *shard.Call) error { return setDeadline(c, "pexpireat", 0, 1) }

const (
	errExpireNX resp.Error = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errExpireGT resp.Error = "ERR GT and LT options at the same time are not compatible"
)

func parseConditions(args [][]byte) (set shard.DeadlineCondition, err error) {
	for _, arg := range args {
		one := shard.DeadlineConditionOf(arg)
		if one == 0 {
			word, _, _ := bytes.Cut(arg, []byte{0}) // C ends a text there
			return 0, resp.Error("ERR Unsupported option " + string(word))
		}
		set |= one
	}
	switch {
	case set&shard.DeadlineNew != 0 && set != shard.DeadlineNew:
		return 0, errExpireNX
	case set&shard.DeadlineGreater != 0 && set&shard.DeadlineLess != 0:
		return 0, errExpireGT
	}
	return set, nil
}

var wordPExpireAt = []byte("PEXPIREAT")

// setDeadline is the body of EXPIRE and its kin: Args[2] counts units of so many
// milliseconds from base on. A deadline that is not in the future deletes the key.
func setDeadline(c *shard.Call, name string, base, unit int64) error {
	key := c.Key()
	conditions, err := parseConditions(c.Args[3:])
	if err != nil {
		return err
	}
	at, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if at > math.MaxInt64/unit || at < math.MinInt64/unit || at*unit > math.MaxInt64-base {
		return resp.Error("ERR invalid expire time in '" + name + "' command")
	}
	at = at*unit + base
	e := c.DB.LookupWrite(key)
	if !e.Exists() || conditions != 0 && !conditions.Allow(e.Deadline(), at) {
		return c.Reply.Int(0)
	}
	if at <= c.Now {
		c.EffectExpired(key)
		c.DB.Delete(key, e)
		c.Event(shard.EventGeneric, "del", key)
		return c.Reply.Int(1)
	}
	if base != 0 || unit != 1 || conditions != 0 {
		c.Effect(wordPExpireAt, key, c.Int(at))
	}
	c.DB.SetDeadline(key, e, at)
	c.Event(shard.EventGeneric, "expire", key)
	return c.Reply.Int(1)
}

// What TTL and its kin answer when there is no deadline.
const (
	noDeadline = -1
	noKey      = -2
)

// TTL key
func ttl(c *shard.Call) error { return replyDeadline(c, c.Clock, 1000) }

// PTTL key
func pTTL(c *shard.Call) error { return replyDeadline(c, c.Clock, 1) }

// EXPIRETIME key
func expireTime(c *shard.Call) error { return replyDeadline(c, 0, 1000) }

// PEXPIRETIME key
func pExpireTime(c *shard.Call) error { return replyDeadline(c, 0, 1) }

// replyDeadline answers the deadline of the key, counted from base on, in units
// of so many milliseconds, rounded to the nearest.
func replyDeadline(c *shard.Call, base, unit int64) error {
	e := c.DB.Look(c.Key())
	if !e.Exists() {
		return c.Reply.Int(noKey)
	}
	at := e.Deadline()
	if at == 0 {
		return c.Reply.Int(noDeadline)
	}
	left := max(at-base, 0)
	if unit == 1 {
		return c.Reply.Int(left)
	}
	return c.Reply.Int(left/unit + left%unit/(unit/2))
}

// PERSIST key
func persist(c *shard.Call) error {
	key := c.Key()
	e := c.DB.LookupWrite(key)
	if !e.Exists() || e.Deadline() == 0 {
		return c.Reply.Int(0)
	}
	c.DB.SetDeadline(key, e, 0)
	c.Event(shard.EventGeneric, "persist", key)
	return c.Reply.Int(1)
}
