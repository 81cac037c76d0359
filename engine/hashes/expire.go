package hashes

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

const eachField = "O(N) where N is the number of specified fields"

var deadlines = []engine.Command{{
	Name: "HEXPIRE", Arity: -6, Run: hexpire,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets fields of a hash expire in a number of seconds.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key seconds condition[NX | XX | GT | LT] (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HPEXPIRE", Arity: -6, Run: hpexpire,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets fields of a hash expire in a number of milliseconds.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key milliseconds condition[NX | XX | GT | LT] (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HEXPIREAT", Arity: -6, Run: hexpireat,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets fields of a hash expire at a Unix time in seconds.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key unix-time-seconds condition[NX | XX | GT | LT] (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HPEXPIREAT", Arity: -6, Run: hpexpireat,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets fields of a hash expire at a Unix time in milliseconds.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key unix-time-milliseconds condition[NX | XX | GT | LT] (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HTTL", Arity: -5, Run: httl,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Answers in how many seconds fields expire; -1 is never, -2 is no such field.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HPTTL", Arity: -5, Run: hpttl,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Answers in how many milliseconds fields expire; -1 is never, -2 is no such field.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HEXPIRETIME", Arity: -5, Run: hexpiretime,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Answers the Unix times in seconds at which fields expire; -1 is never, -2 is no such field.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HPEXPIRETIME", Arity: -5, Run: hpexpiretime,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Answers the Unix times in milliseconds at which fields expire; -1 is never, -2 is no such field.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HPERSIST", Arity: -5, Run: hpersist,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets fields of a hash stay for good.",
	Since:   "7.4.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}}

// What the commands of this file answer for each field.
const (
	noField      = -2
	noDeadline   = -1
	conditionNo  = 0
	deadlineSet  = 1
	fieldDeleted = 2
)

// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
func hexpire(c *shard.Call) error { return expire(c, "hexpire", c.Clock, 1000) }

// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
func hpexpire(c *shard.Call) error { return expire(c, "hpexpire", c.Clock, 1) }

// HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
func hexpireat(c *shard.Call) error { return expire(c, "hexpireat", 0, 1000) }

// HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]
func hpexpireat(c *shard.Call) error { return expire(c, "hpexpireat", 0, 1) }

const (
	errFieldsMissing  resp.Error = "ERR Mandatory argument FIELDS is missing or not at the right position"
	errFieldsCount    resp.Error = "ERR Parameter `numFields` should be greater than 0"
	errFieldsPositive resp.Error = "ERR Number of fields must be a positive integer"
	errFieldsMatch    resp.Error = "ERR The `numfields` parameter must match the number of arguments"
)

// fieldsAt reads "FIELDS numfields field [field ...]" from args, which it must
// fill; notPositive is the answer to a number that cannot be one.
func fieldsAt(args [][]byte, notPositive resp.Error) (fields [][]byte, err error) {
	if len(args) < 2 || !resp.WordIs(args[0], "FIELDS") {
		return nil, errFieldsMissing
	}
	n, ok := resp.ParseInt(args[1])
	if !ok || n < 1 {
		return nil, notPositive
	}
	if n != int64(len(args)-2) {
		return nil, errFieldsMatch
	}
	return args[2:], nil
}

// expire is the body of HEXPIRE and its kin. A deadline that is not in the future
// removes the field. As in Redis, what the key holds is looked at first.
func expire(c *shard.Call, name string, base, unit int64) error {
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	at, err := shard.MemberDeadline(c.Args[2], name, base, unit)
	if err != nil {
		return err
	}
	rest := c.Args[3:]
	when := shard.DeadlineConditionOf(rest[0])
	if when != 0 {
		rest = rest[1:]
	}
	fields, err := fieldsAt(rest, errFieldsCount)
	if err != nil {
		return err
	}
	c.Reply.Array(len(fields))
	changed := changes{at: at}
	for _, field := range fields {
		_, deadline, ok := h.get(field)
		switch {
		case !ok:
			c.Reply.Int(noField)
		case !when.Allow(deadline, at):
			c.Reply.Int(conditionNo)
		case at <= c.Now:
			h.remove(field)
			changed.deleted = append(changed.deleted, field)
			c.Reply.Int(fieldDeleted)
		default:
			h.Expire(field, at)
			changed.expiring = append(changed.expiring, field)
			c.Reply.Int(deadlineSet)
		}
	}
	h.settle()
	changed.tell(&h)
	return nil
}

// changes is what a command has done to fields, for the record and for events.
type changes struct {
	deleted   [][]byte
	persisted [][]byte
	expiring  [][]byte // at this time:
	at        int64
}

// tell records the changes, tells of them, counts them, and removes the key if nothing is
// left.
func (x *changes) tell(h *hash) {
	c, key := h.c, h.c.Key()
	if len(x.deleted) > 0 {
		c.Effect(append([][]byte{wordHDel, key}, x.deleted...)...)
		c.Event(shard.EventHash, "hdel", key)
	}
	if n := len(x.expiring); n > 0 {
		c.Effect(append([][]byte{wordHPExpireAt, key, c.Int(x.at), wordFields, c.Int(int64(n))}, x.expiring...)...)
		c.Event(shard.EventHash, "hexpire", key)
	}
	if n := len(x.persisted); n > 0 {
		c.Effect(append([][]byte{wordHPersist, key, wordFields, c.Int(int64(n))}, x.persisted...)...)
		c.Event(shard.EventHash, "hpersist", key)
	}
	if len(x.deleted) > 0 {
		h.dropIfEmpty()
	}
	c.CountChanges(len(x.deleted) + len(x.expiring) + len(x.persisted))
}

// HTTL key FIELDS numfields field [field ...]
func httl(c *shard.Call) error { return replyDeadlines(c, c.Clock, 1000) }

// HPTTL key FIELDS numfields field [field ...]
func hpttl(c *shard.Call) error { return replyDeadlines(c, c.Clock, 1) }

// HEXPIRETIME key FIELDS numfields field [field ...]
func hexpiretime(c *shard.Call) error { return replyDeadlines(c, 0, 1000) }

// HPEXPIRETIME key FIELDS numfields field [field ...]
func hpexpiretime(c *shard.Call) error { return replyDeadlines(c, 0, 1) }

// replyDeadlines answers the deadlines of fields, counted from base on, in units
// of so many milliseconds, rounded up.
func replyDeadlines(c *shard.Call, base, unit int64) error {
	h, err := open(c)
	if err != nil {
		return err
	}
	fields, err := fieldsAt(c.Args[2:], errFieldsPositive)
	if err != nil {
		return err
	}
	c.Reply.Array(len(fields))
	for _, field := range fields {
		_, deadline, ok := h.get(field)
		switch {
		case !ok:
			c.Reply.Int(noField)
		case deadline == 0:
			c.Reply.Int(noDeadline)
		default:
			c.Reply.Int((deadline - base + unit - 1) / unit)
		}
	}
	return nil
}

// HPERSIST key FIELDS numfields field [field ...]
func hpersist(c *shard.Call) error {
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	fields, err := fieldsAt(c.Args[2:], errFieldsPositive)
	if err != nil {
		return err
	}
	c.Reply.Array(len(fields))
	var changed changes
	for _, field := range fields {
		_, deadline, ok := h.get(field)
		switch {
		case !ok:
			c.Reply.Int(noField)
		case deadline == 0:
			c.Reply.Int(noDeadline)
		default:
			h.Expire(field, 0)
			changed.persisted = append(changed.persisted, field)
			c.Reply.Int(deadlineSet)
		}
	}
	changed.tell(&h)
	return nil
}
