package keys

import (
	"errors"
	"sync"

	"hyperkv/engine"
	"hyperkv/engine/values"
	"hyperkv/internal/invariant"
	"hyperkv/internal/rdb"
	"hyperkv/resp"
	"hyperkv/shard"
)

var restoreHistory = []string{
	"3.0.0: Added the `REPLACE` modifier.",
	"5.0.0: Added the `ABSTTL` modifier.",
	"5.0.0: Added the `IDLETIME` and `FREQ` options.",
}

const restoreSyntax = "key ttl:integer serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds:integer] [FREQ frequency:integer]"

var dumping = []engine.Command{{
	Name: "DUMP", Arity: 2, Run: dump,
	Keys: engine.OneKey("RO access"), Flags: engine.Read,
	Tips:    []string{"nondeterministic_output"},
	Summary: "Returns the value of a key in the format of RDB files.",
	Since:   "2.6.0", Complexity: "O(N) with the size of the value",
	Syntax: "key",
}, {
	Name: "RESTORE", Arity: -4, Run: restore,
	Keys: engine.OneKey("OW update"), Flags: engine.Write | engine.DenyOOM | engine.Dangerous,
	Summary: "Makes a key of what DUMP has returned.",
	Since:   "2.6.0", Complexity: "O(N) with the size of the value; O(N*log(N)) for a sorted set of N members",
	Syntax: restoreSyntax, History: restoreHistory,
}, {
	Name: "RESTORE-ASKING", Arity: -4, Run: restore, Group: "server",
	Keys: engine.OneKey("OW update"), Flags: engine.Write | engine.DenyOOM | engine.Asking | engine.Dangerous,
	Summary: "Makes a key of what DUMP has returned, while its slot moves between nodes.",
	Since:   "3.0.0", Complexity: "O(N) with the size of the value; O(N*log(N)) for a sorted set of N members",
	Syntax: restoreSyntax, History: restoreHistory,
}}

// dumpVersion is the RDB version that readers of a payload are taken to know, that
// of Redis 7.0: who dumps a value may want to restore it somewhere else.
const dumpVersion = 10

// DUMP key
func dump(c *shard.Call) error {
	e := c.DB.Lookup(c.Key())
	if !e.Exists() {
		return c.Reply.Null()
	}
	w := rdb.NewWriter(nil, dumpVersion)
	if !values.Write(w, e, c.DB.OpenCollection(c.Key(), e), c.Limits(), c.Now, false) {
		return c.Reply.Null()
	}
	return c.Reply.Bulk(w.Payload())
}

const (
	errIdleTime   resp.Error = "ERR Invalid IDLETIME value, must be >= 0"
	errFrequency  resp.Error = "ERR Invalid FREQ value, must be >= 0 and <= 255"
	errDataFormat resp.Error = "ERR Bad data format"

	frequencyMax = 255
)

// restoreOptions are the words behind the payload.
type restoreOptions struct {
	replace, absolute bool
	// idle is for how many seconds the key was not used; hasIdle that it was said,
	// and hasFrequency that it was said how often, which nobody here wants to know.
	idle                  int64
	hasIdle, hasFrequency bool
}

func parseRestore(args [][]byte) (o restoreOptions, err error) {
	for i := 0; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case resp.WordIs(args[i], "REPLACE"):
			o.replace = true
		case resp.WordIs(args[i], "ABSTTL"):
			o.absolute = true
		case resp.WordIs(args[i], "IDLETIME") && more && !o.hasFrequency:
			i++
			var ok bool
			if o.idle, ok = resp.ParseInt(args[i]); !ok {
				return o, resp.ErrNotInteger
			}
			if o.idle < 0 {
				return o, errIdleTime
			}
			o.hasIdle = true
		case resp.WordIs(args[i], "FREQ") && more && !o.hasIdle:
			i++
			n, ok := resp.ParseInt(args[i])
			if !ok {
				return o, resp.ErrNotInteger
			}
			if n < 0 || n > frequencyMax {
				return o, errFrequency
			}
			o.hasFrequency = true
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

var (
	wordRestore = []byte("RESTORE")
	wordReplace = []byte("REPLACE")
	wordAbsTTL  = []byte("ABSTTL")
)

// A restorer is what RESTORE works with, which is more than a small value is worth making
// anew.
type restorer struct {
	check *rdb.Checker
	build values.Builder
}

var restorers = sync.Pool{New: func() any { return &restorer{check: rdb.NewChecker()} }}

// done gives it back.
func (r *restorer) done() {
	r.build = values.Builder{}
	restorers.Put(r)
}

// RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
// RESTORE-ASKING key ttl serialized-value [...]
//
// The payload is read twice, because only the first reading shows whether it is
// right, and nothing may change if it is not.
func restore(c *shard.Call) error {
	key, ttl, bytes := c.Args[1], c.Args[2], c.Args[3]
	options, err := parseRestore(c.Args[4:])
	if err != nil {
		return err
	}
	old := c.DB.LookupWrite(key)
	if old.Exists() && !options.replace {
		return resp.ErrBusyKey
	}
	deadline, ok := resp.ParseInt(ttl)
	switch {
	case !ok:
		return resp.ErrNotInteger
	case deadline < 0:
		return resp.ErrInvalidTTL
	}
	payload, err := rdb.OpenPayload(bytes)
	if errors.Is(err, rdb.ErrChecksum) {
		return resp.ErrBadDumpPayload
	}
	r := restorers.Get().(*restorer)
	defer r.done()
	if err == nil {
		err = r.check.Check(payload)
	}
	if err != nil {
		return errDataFormat
	}
	if deadline != 0 && !options.absolute {
		deadline += c.Clock
	}
	b := &r.build
	*b = values.Builder{Call: c, Key: key, Deadline: deadline, OldStream: payload.Type == rdb.TypeStream}
	if deadline == 0 || deadline > c.Now {
		err := r.check.Visit(payload, b)
		invariant.Assert(err == nil, "a payload that was checked is refused")
		b.End()
	}
	e := c.DB.Peek(key)
	switch {
	case b.Built():
		if options.hasIdle {
			e.SetAccess(shard.AccessClock(c.Clock - 1000*options.idle))
		}
		if deadline != 0 && !options.absolute {
			c.Effect(wordRestore, key, c.Int(deadline), bytes, wordReplace, wordAbsTTL)
		}
		c.Event(shard.EventGeneric, "restore", key)
	case e.Exists():
		// What was to take its place has expired already.
		c.EffectRemoved(key)
		c.DB.Delete(key, e)
		c.Event(shard.EventGeneric, "del", key)
	}
	return c.Reply.OK()
}
