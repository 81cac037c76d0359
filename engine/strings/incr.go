package strings

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
)

// INCR key
func incr(c *shard.Call) error { return add(c, 1) }

// DECR key
func decr(c *shard.Call) error { return add(c, -1) }

// INCRBY key increment
func incrby(c *shard.Call) error {
	by, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	return add(c, by)
}

// DECRBY key decrement
func decrby(c *shard.Call) error {
	by, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if by == math.MinInt64 {
		return resp.ErrDecrOverflow // it has no counterpart to add
	}
	return add(c, -by)
}

// add adds to the integer of the first key, which keeps its time to live. Text
// that came to look like an integer (by APPEND, say) counts as one.
func add(c *shard.Call, by int64) error {
	key := c.Args[1]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	var n, expires int64
	if e.Exists() {
		expires = e.Deadline()
		var ok bool
		if n, ok = e.Int(); !ok {
			if n, ok = resp.ParseInt(e.Bytes()); !ok {
				return resp.ErrNotInteger
			}
		}
	}
	if by < 0 && n < math.MinInt64-by || by > 0 && n > math.MaxInt64-by {
		return resp.ErrOverflow
	}
	n += by
	c.DB.SetInt(key, n, expires)
	c.Event(shard.EventString, "incrby", key)
	return c.Reply.Int(n)
}

// INCRBYFLOAT key increment
//
// The effect carries the sum: whoever applies it need not calculate alike.
func incrbyfloat(c *shard.Call) error {
	key := c.Args[1]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	var expires int64
	var digits [intTextMax]byte
	value := append(digits[:0], '0')
	if e.Exists() {
		expires = e.Deadline()
		value = text(e, digits[:0])
	}
	sum, err := resp.AddFloatHuman(value, c.Args[2])
	if err != nil {
		return err
	}
	c.DB.SetBytes(key, sum, expires)
	c.Event(shard.EventString, "incrbyfloat", key)
	c.Effect(wordSet, key, sum, wordKeepTTL)
	return c.Reply.Bulk(sum)
}
