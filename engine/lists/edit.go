package lists

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// LINSERT key <BEFORE | AFTER> pivot element
func linsert(c *shard.Call) error {
	behind := 0
	switch where := c.Args[2]; {
	case resp.WordIs(where, "AFTER"):
		behind = 1
	case !resp.WordIs(where, "BEFORE"):
		return resp.ErrSyntax
	}
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Int(0)
	}
	l := object.ListOf(v, c.Limits())
	pivot := -1
	l.Find(object.ElementOf(c.Args[3]), 0, l.Len(), false, func(number int) bool {
		pivot = number
		return false
	})
	if pivot < 0 {
		return c.Reply.Int(-1)
	}
	l.Insert(pivot+behind, object.ElementOf(c.Args[4]))
	c.Event(shard.EventList, "linsert", c.Args[1])
	return c.Reply.Int(int64(l.Len()))
}

// LSET key index element
func lset(c *shard.Call) error {
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return resp.ErrNoSuchKey
	}
	index, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	l := object.ListOf(v, c.Limits())
	number, ok := place(index, l.Len())
	if !ok {
		return resp.ErrOutOfRange
	}
	l.Set(number, object.ElementOf(c.Args[3]))
	c.Event(shard.EventList, "lset", c.Args[1])
	return c.Reply.OK()
}

// LREM key count element
func lrem(c *shard.Call) error {
	count, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case count == math.MinInt64:
		return errNotLowest
	}
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.Int(0)
	}
	l := object.ListOf(v, c.Limits())
	limit := l.Len()
	if count != 0 {
		limit = int(min(max(count, -count), int64(limit)))
	}
	n := l.RemoveEqual(object.ElementOf(c.Args[3]), limit, count < 0)
	if n > 0 {
		removed(c, v, "lrem", l.Len() == 0)
		c.CountChanges(n)
	}
	return c.Reply.Int(int64(n))
}

// LTRIM key start stop
//
// As in Redis there is an event, and whoever watches the key hears of it, even if
// nothing was removed.
func ltrim(c *shard.Call) error {
	start, ok := resp.ParseInt(c.Args[2])
	stop, also := resp.ParseInt(c.Args[3])
	if !ok || !also {
		return resp.ErrNotInteger
	}
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.OK()
	}
	l := object.ListOf(v, c.Limits())
	length := l.Len()
	from, to := span(start, stop, length)
	switch {
	case to-from == length:
		c.DB.Signal(c.Args[1])
	case from < to:
		l.Trim(from, to)
	}
	removed(c, v, "ltrim", from == to)
	c.CountChanges(length - (to - from))
	return c.Reply.OK()
}
