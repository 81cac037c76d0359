package streams

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	errNumIDs     resp.Error = "ERR Number of IDs must be a positive integer"
	errNumIDsArgs resp.Error = "ERR The `numids` parameter must match the number of arguments"
)

// What XDELEX and XACKDEL answer for each ID.
const (
	codeMissing    = -1
	codeDeleted    = 1
	codeReferenced = 2 // not deleted, because a group still refers to it
)

// deletion is what XDELEX or XACKDEL is told.
type deletion struct {
	references object.References
	ids        []object.StreamID
}

// parse reads the options, which come in any order.
func (d *deletion) parse(args [][]byte) error {
	given := false
	for i := 0; i < len(args); i++ {
		if r, ok := parseReferences(args[i]); ok && !given {
			d.references, given = r, true
			continue
		}
		if !resp.WordIs(args[i], "IDS") || i+1 == len(args) || d.ids != nil {
			return resp.ErrSyntax
		}
		n, ok := resp.ParseInt(args[i+1])
		if !ok || n < 1 || n > math.MaxInt32 {
			return errNumIDs
		}
		from := i + 2
		if n > int64(len(args)-from) {
			return errNumIDsArgs
		}
		var err error
		if d.ids, err = parseIDs(args[from:from+int(n)], nil); err != nil {
			return err
		}
		i = from + int(n) - 1
	}
	if d.ids == nil {
		return resp.ErrSyntax
	}
	return nil
}

// remove deletes an entry as far as references allow it.
func (d *deletion) remove(s *object.StreamView, id object.StreamID) int64 {
	switch d.references {
	case object.KeepReferenced:
		if s.Referenced(id) {
			return codeReferenced
		}
	case object.DeleteReferences:
		s.Unreference(id)
	}
	if s.Delete(id) {
		return codeDeleted
	}
	return codeMissing
}

// XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
func xdelex(c *shard.Call) error {
	var d deletion
	if err := d.parse(c.Args[2:]); err != nil {
		return err
	}
	s, found, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	if !found {
		return replyMissing(c.Reply, len(d.ids))
	}
	w := c.Reply
	deleted := 0
	w.Array(len(d.ids))
	for _, id := range d.ids {
		code := d.remove(&s, id)
		if code == codeDeleted {
			deleted++
		}
		w.Int(code)
	}
	if deleted > 0 {
		c.CountChanges(deleted)
		c.Event(shard.EventStream, "xdel", c.Key())
	}
	return nil
}

// replyMissing answers that none of n entries is there.
func replyMissing(w *resp.Writer, n int) error {
	w.Array(n)
	for range n {
		w.Int(codeMissing)
	}
	return nil
}

// XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]
func xackdel(c *shard.Call) error {
	var d deletion
	if err := d.parse(c.Args[3:]); err != nil {
		return err
	}
	s, found, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	var g object.StreamGroup
	if found {
		g, found = s.Group(c.Args[2])
	}
	if !found {
		return replyMissing(c.Reply, len(d.ids))
	}
	w := c.Reply
	acknowledged, deleted := 0, false
	w.Array(len(d.ids))
	for _, id := range d.ids {
		// Only what is pending in this group is acknowledged, and then deleted.
		if !g.RemovePending(id) {
			w.Int(codeMissing)
			continue
		}
		acknowledged++
		code := d.remove(&s, id)
		if code == codeMissing {
			code = codeDeleted // it was gone before, and nothing refers to it here
		}
		deleted = deleted || code == codeDeleted
		w.Int(code)
	}
	c.CountChanges(acknowledged)
	if deleted {
		c.Event(shard.EventStream, "xdel", c.Key())
	}
	return nil
}
