package hashes

import (
	"math"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

// combined are the commands that take or set values and deadlines in one step.
var combined = []engine.Command{{
	Name: "HGETDEL", Arity: -5, Run: hgetdel,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Returns the values of fields and removes the fields, and the hash with the last one.",
	Since:   "8.0.0", Complexity: eachField,
	Syntax: "key (FIELDS numfields:integer field [field ...])",
}, {
	Name: "HGETEX", Arity: -5, Run: hgetex,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Returns the values of fields and changes when the fields expire.",
	Since:   "8.0.0", Complexity: eachField,
	Syntax: "key expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] " +
		"(FIELDS numfields:integer field [field ...])",
}, {
	Name: "HSETEX", Arity: -6, Run: hsetex,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Sets fields of a hash and when they expire, if a condition allows it.",
	Since:   "8.0.0", Complexity: "O(N) where N is the number of fields being set.",
	Syntax: "key condition[FNX | FXX] " +
		"expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] " +
		"(FIELDS numfields:integer data(field value) [(field value) ...])",
}}

// HGETDEL key FIELDS numfields field [field ...]
func hgetdel(c *shard.Call) error {
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
		if h.replyValue(field) {
			h.remove(field)
			changed.deleted = append(changed.deleted, field)
		}
	}
	h.settle()
	changed.tell(&h)
	return nil
}

// An expiry is an option that says when fields expire.
type expiry struct {
	name       string // "" when none was given
	base, unit int64  // of the time that follows; unit 0 if none does
}

func expiryNamed(word []byte, now int64) expiry {
	switch {
	case resp.WordIs(word, "EX"):
		return expiry{"EX", now, 1000}
	case resp.WordIs(word, "PX"):
		return expiry{"PX", now, 1}
	case resp.WordIs(word, "EXAT"):
		return expiry{"EXAT", 0, 1000}
	case resp.WordIs(word, "PXAT"):
		return expiry{"PXAT", 0, 1}
	case resp.WordIs(word, "PERSIST"):
		return expiry{name: "PERSIST"}
	case resp.WordIs(word, "KEEPTTL"):
		return expiry{name: "KEEPTTL"}
	}
	return expiry{}
}

// HGETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]
func hgetex(c *shard.Call) error {
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	rest := c.Args[2:]
	x := expiryNamed(rest[0], c.Clock)
	var at int64
	switch {
	case x.name == "PERSIST":
		rest = rest[1:]
	case x.unit != 0:
		if at, err = shard.MemberDeadline(rest[1], "hgetex", x.base, x.unit); err != nil {
			return err
		}
		rest = rest[2:]
	}
	fields, err := fieldsAt(rest, errFieldsPositive)
	if err != nil {
		return err
	}
	c.Reply.Array(len(fields))
	changed := changes{at: at}
	for _, field := range fields {
		value, deadline, ok := h.get(field)
		if !ok {
			c.Reply.Null()
			continue
		}
		value.Reply(c.Reply)
		switch {
		case x.unit != 0 && at <= c.Now:
			h.remove(field)
			changed.deleted = append(changed.deleted, field)
		case x.unit != 0:
			h.Expire(field, at)
			changed.expiring = append(changed.expiring, field)
		case x.name == "PERSIST" && deadline != 0:
			h.Expire(field, 0)
			changed.persisted = append(changed.persisted, field)
		}
	}
	h.settle()
	changed.tell(&h)
	return nil
}

// setOptions is what HSETEX is told.
type setOptions struct {
	onlyNew, onlyOld bool // FNX: none of the fields exists; FXX: all do
	expiry           expiry
	at               int64    // if a time was given
	pairs            [][]byte // fields and values
}

const (
	errOneCondition  resp.Error = "ERR Only one of FXX or FNX arguments can be specified"
	errOneExpiry     resp.Error = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
	errFieldsInvalid resp.Error = "ERR invalid number of fields"
	errExpireMissing resp.Error = "ERR missing expire time"
)

func parseSetOptions(args [][]byte, now int64) (o setOptions, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		x := expiryNamed(word, now)
		switch {
		case resp.WordIs(word, "FNX"), resp.WordIs(word, "FXX"):
			if o.onlyNew || o.onlyOld {
				return o, errOneCondition
			}
			o.onlyNew, o.onlyOld = resp.WordIs(word, "FNX"), resp.WordIs(word, "FXX")
		case x.name != "" && x.name != "PERSIST":
			if o.expiry.name != "" {
				return o, errOneExpiry
			}
			o.expiry = x
			if x.unit == 0 {
				break
			}
			i++
			if i == len(args) {
				return o, errExpireMissing
			}
			if o.at, err = shard.MemberDeadline(args[i], "hsetex", x.base, x.unit); err != nil {
				return o, err
			}
		case resp.WordIs(word, "FIELDS"):
			// The fields end the command.
			rest := args[i+1:]
			if len(rest) < 3 {
				return o, resp.WrongArity("hsetex")
			}
			n, ok := resp.ParseInt(rest[0])
			if !ok || n < 1 || n > math.MaxInt32 {
				return o, errFieldsInvalid
			}
			if o.pairs = rest[1:]; int64(len(o.pairs)) != 2*n {
				return o, resp.WrongArity("hsetex")
			}
			return o, nil
		default:
			return o, resp.Error("ERR unknown argument: " + string(word))
		}
	}
	return o, errFieldsMissing
}

// HSETEX key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields field value [field value ...]
func hsetex(c *shard.Call) error {
	o, err := parseSetOptions(c.Args[2:], c.Clock)
	if err != nil {
		return err
	}
	h, err := openForWrite(c)
	if err != nil {
		return err
	}
	if !o.met(&h) {
		h.settle()
		return c.Reply.Int(0)
	}
	h.settle()
	c.Reply.Int(1)
	if o.expiry.unit != 0 && o.at <= c.Now {
		o.removeAll(&h)
		return nil
	}
	h.create()
	for i := 0; i < len(o.pairs); i += 2 {
		field, value, at := o.pairs[i], o.pairs[i+1], o.at
		if o.expiry.name == "KEEPTTL" {
			if _, deadline, ok := h.Get(field); ok {
				at = deadline
			}
		}
		h.Set(field, value, at)
	}
	c.CountChanges(len(o.pairs) / 2)
	key := c.Key()
	c.Event(shard.EventHash, "hset", key)
	words := [][]byte{wordHSetEx, key}
	switch {
	case o.expiry.unit != 0:
		c.Event(shard.EventHash, "hexpire", key)
		words = append(words, wordPXAT, c.Int(o.at))
	case o.expiry.name == "KEEPTTL":
		words = append(words, wordKeepTTL)
	}
	words = append(words, wordFields, c.Int(int64(len(o.pairs)/2)))
	c.Effect(append(words, o.pairs...)...)
	return nil
}

// met tells whether the condition holds.
func (o *setOptions) met(h *hash) bool {
	if !o.onlyNew && !o.onlyOld {
		return true
	}
	for i := 0; i < len(o.pairs); i += 2 {
		if _, _, ok := h.get(o.pairs[i]); ok == o.onlyNew {
			return false
		}
	}
	return true
}

// removeAll is what setting fields comes to that expire at once.
func (o *setOptions) removeAll(h *hash) {
	var changed changes
	for i := 0; i < len(o.pairs); i += 2 {
		if field := o.pairs[i]; h.remove(field) {
			changed.deleted = append(changed.deleted, field)
		}
	}
	changed.tell(h)
}
