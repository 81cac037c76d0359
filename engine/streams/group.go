package streams

import (
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var groups = []engine.Command{{
	Name: "XGROUP", Arity: -2,
	Summary: "Manages the groups of a stream.",
	Since:   "5.0.0", Complexity: "Depends on subcommand.",
	Subcommands: []engine.Command{{
		Name: "CREATE", Arity: -5, Run: xgroupCreate,
		Keys: engine.KeyAt(2, "RW insert"), Flags: engine.Write | engine.DenyOOM,
		Summary: "Makes a group that reads what is behind an ID.",
		Since:   "5.0.0", Complexity: "O(1)",
		Syntax:  "key group id-selector(id:string | $) [MKSTREAM] [ENTRIESREAD entriesread:integer]",
		History: []string{"7.0.0: Added the `entries_read` named argument."},
	}, {
		Name: "SETID", Arity: -5, Run: xgroupSetID,
		Keys: engine.KeyAt(2, "RW update"), Flags: engine.Write,
		Summary: "Sets the ID behind which a group reads.",
		Since:   "5.0.0", Complexity: "O(1)",
		Syntax:  "key group id-selector(id:string | $) [ENTRIESREAD entriesread:integer]",
		History: []string{"7.0.0: Added the optional `entries_read` argument."},
	}, {
		Name: "DESTROY", Arity: 4, Run: xgroupDestroy,
		Keys: engine.KeyAt(2, "RW delete"), Flags: engine.Write,
		Summary: "Removes a group.",
		Since:   "5.0.0", Complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
		Syntax: "key group",
	}, {
		Name: "CREATECONSUMER", Arity: 5, Run: xgroupCreateConsumer,
		Keys: engine.KeyAt(2, "RW insert"), Flags: engine.Write | engine.DenyOOM,
		Summary: "Makes a consumer of a group.",
		Since:   "6.2.0", Complexity: "O(1)", Syntax: "key group consumer",
	}, {
		Name: "DELCONSUMER", Arity: 5, Run: xgroupDelConsumer,
		Keys: engine.KeyAt(2, "RW delete"), Flags: engine.Write,
		Summary: "Removes a consumer of a group, with all that is pending for it.",
		Since:   "5.0.0", Complexity: "O(1)", Syntax: "key group consumer",
	}},
}, {
	Name: "XREADGROUP", Arity: -7, Run: xreadgroup, Find: streamKeys, Waits: waits,
	Keys:    []engine.KeySpec{{Access: "RO access", Keyword: "STREAMS", From: 4, Last: -1, Step: 1, Limit: 2}},
	Flags:   engine.Write | engine.Blocking,
	Summary: "Answers entries of streams that a group has not read, or those pending for a consumer, or waits for one.",
	Since:   "5.0.0",
	Complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always " +
		"asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, " +
		"XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
	Syntax: "GROUP group-block(group consumer) [COUNT count] [BLOCK milliseconds] [NOACK] " +
		"STREAMS streams(key [key ...] id [id ...])",
}, {
	Name: "XACK", Arity: -4, Run: xack,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Acknowledges entries that are pending in a group, and answers how many there were.",
	Since:   "5.0.0", Complexity: "O(1) for each message ID processed.",
	Syntax: "key group id [id ...]",
}, {
	Name: "XACKDEL", Arity: -6, Run: xackdel,
	Keys: engine.OneKey("RW delete"), Flags: engine.Write | engine.Fast,
	Summary: "Acknowledges entries that are pending in a group, and deletes them.",
	Since:   "8.2.0", Complexity: "O(1) for each entry ID processed.",
	Syntax: "key group condition[KEEPREF | DELREF | ACKED] IDS ids(numids:integer id [id ...])",
}, {
	Name: "XPENDING", Arity: -3, Run: xpending,
	Keys: engine.OneKey("RO access"), Flags: engine.Read,
	Summary: "Answers what is pending in a group, in short or one by one.",
	Since:   "5.0.0",
	Complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is " +
		"O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns " +
		"just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for " +
		"iterating every consumer.",
	Syntax:  "key group filters[[IDLE min-idle-time:integer] start:string end:string count [consumer]]",
	History: []string{"6.2.0: Added the `IDLE` option and exclusive range intervals."},
	Tips:    []string{"nondeterministic_output"},
}, {
	Name: "XCLAIM", Arity: -6, Run: xclaim,
	Keys: engine.OneKey("RW update"), Flags: engine.Write | engine.Fast,
	Summary: "Makes entries pending for another consumer.",
	Since:   "5.0.0", Complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
	Syntax: "key group consumer min-idle-time id [id ...] [IDLE ms:integer] [TIME unix-time-milliseconds] " +
		"[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
	Tips: []string{"nondeterministic_output"},
}, {
	Name: "XAUTOCLAIM", Arity: -6, Run: xautoclaim,
	Keys: engine.OneKey("RW delete"), Flags: engine.Write | engine.Fast,
	Summary: "Makes entries that have been pending for long pending for another consumer.",
	Since:   "6.2.0", Complexity: "O(1) if COUNT is small.",
	Syntax:  "key group consumer min-idle-time start:string [COUNT count] [JUSTID]",
	History: []string{"7.0.0: Added an element to the reply array, containing deleted entries the command cleared from the PEL"},
	Tips:    []string{"nondeterministic_output"},
}}

var (
	wordXGroup         = []byte("XGROUP")
	wordSetID          = []byte("SETID")
	wordEntriesRead    = []byte("ENTRIESREAD")
	wordCreateConsumer = []byte("CREATECONSUMER")
)

const (
	errEntriesRead resp.Error = "ERR value for ENTRIESREAD must be positive or -1"
	errKeyMissing  resp.Error = "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically."
)

// noGroup is the answer to a group that is not there; the form has the places of
// two names.
func noGroup(form string, first, second []byte) error {
	for _, name := range [2][]byte{first, second} {
		form = strings.Replace(form, "%s", string(text(name)), 1)
	}
	return resp.Error("NOGROUP " + form)
}

// groupOptions are the options of XGROUP CREATE and SETID.
type groupOptions struct {
	makes bool
	read  int64
}

// parse reads the options; what of them are there is up to the subcommand.
func (o *groupOptions) parse(c *shard.Call, creates bool) error {
	o.read = -1
	for i := 5; i < len(c.Args); i++ {
		switch arg := c.Args[i]; {
		case creates && resp.WordIs(arg, "MKSTREAM"):
			o.makes = true
		case resp.WordIs(arg, "ENTRIESREAD") && i+1 < len(c.Args):
			i++
			n, ok := resp.ParseInt(c.Args[i])
			if !ok {
				return resp.ErrNotInteger
			}
			if n < -1 {
				return errEntriesRead
			}
			o.read = n
		default:
			return resp.SubcommandSyntax("xgroup", c.Args[1])
		}
	}
	return nil
}

// openGroup is the stream and the group that a subcommand of XGROUP names.
func openGroup(c *shard.Call, s *object.StreamView) (g object.StreamGroup, err error) {
	var found bool
	if *s, found, err = openForWrite(c, c.Args[2]); err != nil {
		return g, err
	}
	if !found {
		return g, errKeyMissing
	}
	if g, found = s.Group(c.Args[3]); !found {
		return g, noGroup("No such consumer group '%s' for key name '%s'", c.Args[3], c.Args[2])
	}
	return g, nil
}

// XGROUP CREATE key group id [MKSTREAM] [ENTRIESREAD entries-read]
func xgroupCreate(c *shard.Call) error {
	var o groupOptions
	if err := o.parse(c, true); err != nil {
		return err
	}
	key, name := c.Args[2], c.Args[3]
	s, found, err := openForWrite(c, key)
	if err != nil {
		return err
	}
	if !found && !o.makes {
		return errKeyMissing
	}
	if len(c.Args) > 8 {
		return resp.SubcommandSyntax("xgroup", c.Args[1])
	}
	var last object.StreamID
	if string(text(c.Args[4])) != "$" {
		if last, err = parseID(c.Args[4], 0); err != nil {
			return err
		}
	} else if found {
		last = s.LastID()
	}
	if found {
		if _, there := s.Group(name); there {
			return resp.ErrBusyGroup
		}
	} else {
		s = create(c, key)
	}
	s.AddGroup(name, last, o.read)
	c.Event(shard.EventStream, "xgroup-create", key)
	return c.Reply.OK()
}

// XGROUP SETID key group id [ENTRIESREAD entries-read]
func xgroupSetID(c *shard.Call) error {
	var o groupOptions
	if err := o.parse(c, false); err != nil {
		return err
	}
	var s object.StreamView
	g, err := openGroup(c, &s)
	if err != nil {
		return err
	}
	if len(c.Args) > 7 {
		return resp.SubcommandSyntax("xgroup", c.Args[1])
	}
	last := s.LastID()
	if string(text(c.Args[4])) != "$" {
		if last, err = parseAnyID(c.Args[4], 0); err != nil {
			return err
		}
	}
	g.SetRead(last, o.read)
	c.Event(shard.EventStream, "xgroup-setid", c.Args[2])
	return c.Reply.OK()
}

// XGROUP DESTROY key group
func xgroupDestroy(c *shard.Call) error {
	s, found, err := openForWrite(c, c.Args[2])
	switch {
	case err != nil:
		return err
	case !found:
		return errKeyMissing
	case !s.RemoveGroup(c.Args[3]):
		return c.Reply.Int(0)
	}
	c.Event(shard.EventStream, "xgroup-destroy", c.Args[2])
	return c.Reply.Int(1)
}

// XGROUP CREATECONSUMER key group consumer
func xgroupCreateConsumer(c *shard.Call) error {
	var s object.StreamView
	g, err := openGroup(c, &s)
	if err != nil {
		return err
	}
	if _, there := g.Consumer(c.Args[4]); there {
		return c.Reply.Int(0)
	}
	g.AddConsumer(c.Args[4], c.Clock, -1)
	c.Event(shard.EventStream, "xgroup-createconsumer", c.Args[2])
	return c.Reply.Int(1)
}

// XGROUP DELCONSUMER key group consumer
func xgroupDelConsumer(c *shard.Call) error {
	var s object.StreamView
	g, err := openGroup(c, &s)
	if err != nil {
		return err
	}
	pending, found := g.RemoveConsumer(c.Args[4])
	if found {
		c.Event(shard.EventStream, "xgroup-delconsumer", c.Args[2])
	}
	return c.Reply.Int(int64(pending))
}

// consumerFor is a consumer that reads or claims: it was seen now, and is made,
// recorded, and counted, if it is not there.
func consumerFor(c *shard.Call, key []byte, g *object.StreamGroup, name []byte) object.StreamConsumer {
	consumer, found := g.Consumer(name)
	if found {
		consumer.SetSeen(c.Clock)
		return consumer
	}
	consumer = g.AddConsumer(name, c.Clock, -1)
	c.CountChanges(1)
	c.Effect(wordXGroup, wordCreateConsumer, key, g.Name(), consumer.Name())
	c.Event(shard.EventStream, "xgroup-createconsumer", key)
	return consumer
}

// XACK key group id [id ...]
func xack(c *shard.Call) error {
	s, found, err := openForWrite(c, c.Key())
	if err != nil || !found {
		return orZero(c, err)
	}
	g, found := s.Group(c.Args[2])
	if !found {
		return c.Reply.Int(0)
	}
	var space [idsSpace]object.StreamID
	ids, err := parseIDs(c.Args[3:], space[:0])
	if err != nil {
		return err
	}
	acknowledged := 0
	for _, id := range ids {
		if g.RemovePending(id) {
			acknowledged++
		}
	}
	c.CountChanges(acknowledged)
	return c.Reply.Int(int64(acknowledged))
}
