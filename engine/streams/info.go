package streams

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var info = engine.Command{
	Name: "XINFO", Arity: -2,
	Summary: "Looks at a stream and its groups.",
	Since:   "5.0.0", Complexity: "Depends on subcommand.",
	Subcommands: []engine.Command{{
		Name: "CONSUMERS", Arity: 4, Run: xinfoConsumers,
		Keys: engine.KeyAt(2, "RO access"), Flags: engine.Read,
		Summary: "Answers the consumers of a group.",
		Since:   "5.0.0", Complexity: "O(1)", Syntax: "key group",
		History: []string{"7.2.0: Added the `inactive` field, and changed the meaning of `idle`."},
		Tips:    []string{"nondeterministic_output"},
	}, {
		Name: "GROUPS", Arity: 3, Run: xinfoGroups,
		Keys: engine.KeyAt(2, "RO access"), Flags: engine.Read,
		Summary: "Answers the groups of a stream.",
		Since:   "5.0.0", Complexity: "O(1)", Syntax: "key",
		History: []string{"7.0.0: Added the `entries-read` and `lag` fields"},
	}, {
		Name: "STREAM", Arity: -3, Run: xinfoStream,
		Keys: engine.KeyAt(2, "RO access"), Flags: engine.Read,
		Summary: "Answers what is known of a stream.",
		Since:   "5.0.0", Complexity: "O(1)", Syntax: "key full-block[FULL [COUNT count]]",
		History: []string{
			"6.0.0: Added the `FULL` modifier.",
			"7.0.0: Added the `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag` fields",
			"7.2.0: Added the `active-time` field, and changed the meaning of `seen-time`.",
		},
	}},
}

// openInfo is the stream that a subcommand of XINFO names.
func openInfo(c *shard.Call) (s object.StreamView, err error) {
	s, found, err := open(c, c.Args[2])
	if err == nil && !found {
		err = resp.ErrNoSuchKey
	}
	return s, err
}

// XINFO CONSUMERS key group
func xinfoConsumers(c *shard.Call) error {
	s, err := openInfo(c)
	if err != nil {
		return err
	}
	g, found := s.Group(c.Args[3])
	if !found {
		return noGroup("No such consumer group '%s' for key name '%s'", c.Args[3], c.Args[2])
	}
	w := c.Reply
	w.Array(g.Consumers())
	g.EachConsumer(func(consumer object.StreamConsumer) bool {
		w.Map(4)
		w.BulkString("name")
		w.Bulk(consumer.Name())
		w.BulkString("pending")
		w.Int(int64(consumer.Pending()))
		w.BulkString("idle")
		w.Int(max(c.Clock-consumer.Seen(), 0))
		w.BulkString("inactive")
		if at := consumer.Active(); at >= 0 {
			w.Int(c.Clock - at)
		} else {
			w.Int(at)
		}
		return true
	})
	return nil
}

// XINFO GROUPS key
func xinfoGroups(c *shard.Call) error {
	s, err := openInfo(c)
	if err != nil {
		return err
	}
	w := c.Reply
	w.Array(s.Groups())
	s.EachGroup(func(g *object.StreamGroup) bool {
		w.Map(6)
		w.BulkString("name")
		w.Bulk(g.Name())
		w.BulkString("consumers")
		w.Int(int64(g.Consumers()))
		w.BulkString("pending")
		w.Int(int64(g.Pending()))
		replyProgress(w, g)
		return true
	})
	return nil
}

// replyProgress answers three pairs: how far a group has come.
func replyProgress(w *resp.Writer, g *object.StreamGroup) {
	w.BulkString("last-delivered-id")
	replyID(w, g.LastID())
	w.BulkString("entries-read")
	if read := g.Read(); read >= 0 {
		w.Int(read)
	} else {
		w.Null()
	}
	w.BulkString("lag")
	if lag, known := g.Lag(); known {
		w.Int(lag)
	} else {
		w.Null()
	}
}

// infoCount is of how much XINFO STREAM FULL answers the first ones, if it is not
// told otherwise.
const infoCount = 10

// XINFO STREAM key [FULL [COUNT count]]
func xinfoStream(c *shard.Call) error {
	s, err := openInfo(c)
	if err != nil {
		return err
	}
	full, count := len(c.Args) > 3, int64(infoCount)
	if full {
		n := len(c.Args)
		if n != 4 && n != 6 || !resp.WordIs(c.Args[3], "FULL") || n == 6 && !resp.WordIs(c.Args[4], "COUNT") {
			return resp.SubcommandSyntax("xinfo", c.Args[1])
		}
		if n == 6 {
			var ok bool
			if count, ok = resp.ParseInt(c.Args[5]); !ok {
				return resp.ErrNotInteger
			}
			if count < 0 {
				count = infoCount
			}
		}
	}
	w := c.Reply
	if full {
		w.Map(9)
	} else {
		w.Map(10)
	}
	blocks := int64(s.Blocks())
	w.BulkString("length")
	w.Int(int64(s.Len()))
	w.BulkString("radix-tree-keys")
	w.Int(blocks)
	w.BulkString("radix-tree-nodes")
	w.Int(blocks + 1) // as many as a radix tree has at least
	w.BulkString("last-generated-id")
	replyID(w, s.LastID())
	w.BulkString("max-deleted-entry-id")
	replyID(w, s.MaxDeletedID())
	w.BulkString("entries-added")
	w.Int(s.Added())
	w.BulkString("recorded-first-entry-id")
	replyID(w, s.FirstID())
	if full {
		w.BulkString("entries")
		at, n := w.Deferred(), int64(0)
		s.EachEntry(func(e *object.StreamEntry) bool {
			replyEntry(w, e)
			n++
			return n != count
		})
		w.SetArray(at, int(n))
		w.BulkString("groups")
		w.Array(s.Groups())
		s.EachGroup(func(g *object.StreamGroup) bool {
			replyFullGroup(w, g, count)
			return true
		})
		return nil
	}
	w.BulkString("groups")
	w.Int(int64(s.Groups()))
	w.BulkString("first-entry")
	replyOrNull(w, &s, s.FirstID())
	w.BulkString("last-entry")
	replyOrNull(w, &s, s.LastEntryID())
	return nil
}

// replyOrNull answers an entry, or nothing.
func replyOrNull(w *resp.Writer, s *object.StreamView, id object.StreamID) {
	if s.Len() == 0 || !replyExisting(w, s, id) {
		w.Null()
	}
}

// replyFullGroup answers a group with the first of what is pending, and its
// consumers with theirs; a count of 0 is all.
func replyFullGroup(w *resp.Writer, g *object.StreamGroup, count int64) {
	w.Map(7)
	w.BulkString("name")
	w.Bulk(g.Name())
	replyProgress(w, g)
	w.BulkString("pel-count")
	w.Int(int64(g.Pending()))
	w.BulkString("pending")
	at, n := w.Deferred(), int64(0)
	g.EachPending(object.StreamID{}, func(p *object.StreamPending) bool {
		w.Array(4)
		replyID(w, p.ID)
		w.Bulk(g.ConsumerOf(p).Name())
		w.Int(p.Time)
		w.Int(p.Count)
		n++
		return n != count
	})
	w.SetArray(at, int(n))
	w.BulkString("consumers")
	w.Array(g.Consumers())
	g.EachConsumer(func(consumer object.StreamConsumer) bool {
		w.Map(5)
		w.BulkString("name")
		w.Bulk(consumer.Name())
		w.BulkString("seen-time")
		w.Int(consumer.Seen())
		w.BulkString("active-time")
		w.Int(consumer.Active())
		w.BulkString("pel-count")
		w.Int(int64(consumer.Pending()))
		w.BulkString("pending")
		at, n := w.Deferred(), int64(0)
		consumer.EachPending(object.StreamID{}, func(p *object.StreamPending) bool {
			w.Array(3)
			replyID(w, p.ID)
			w.Int(p.Time)
			w.Int(p.Count)
			n++
			return n != count
		})
		w.SetArray(at, int(n))
		return true
	})
}
