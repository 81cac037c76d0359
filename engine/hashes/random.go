package hashes

import (
	"math"
	"math/bits"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	// repeatedBytesMax bounds the reply to a count below 0, which is not bounded by
	// what there is. A longer one is refused; Redis runs out of memory.
	repeatedBytesMax = 256 << 20
	// randomSparse says when fields are picked one by one: when the hash has at
	// least so many times as many as are wanted. Else they are drawn in one walk.
	randomSparse = 4

	errCountRange resp.Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)

// HRANDFIELD key [count [WITHVALUES]]
func hrandfield(c *shard.Call) error {
	count, withValues := int64(1), false
	if len(c.Args) > 2 {
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok {
			return resp.ErrNotInteger
		}
		if count == math.MinInt64 {
			return errCountRange
		}
		withValues = len(c.Args) == 4
		if len(c.Args) > 4 || withValues && !resp.WordIs(c.Args[3], "WITHVALUES") {
			return resp.ErrSyntax
		}
		if withValues && (count < -math.MaxInt64/2 || count > math.MaxInt64/2) {
			return resp.ErrValueRange
		}
	}
	h, err := open(c)
	if err != nil {
		return err
	}
	h.expireDue()
	d := draw{hash: &h, withValues: withValues}
	d.findAlive()
	switch {
	case len(c.Args) == 2:
		if d.size == 0 {
			return c.Reply.Null()
		}
		field, _ := d.at(d.random(d.size))
		return field.Reply(c.Reply)
	case d.size == 0:
		return c.Reply.Array(0)
	case count < 0:
		return d.repeated(-count)
	default:
		d.distinct(int(min(count, int64(d.size))))
	}
	return nil
}

// A draw chooses among the fields of a hash at random and answers them.
type draw struct {
	*hash
	withValues bool
	size       int
	// alive are the ranks of the fields to choose from, nil for all of them: while
	// expiry is held there may be others.
	alive []int
}

func (d *draw) findAlive() {
	if !d.exists() {
		return
	}
	d.size = d.Len()
	if !d.Expired() {
		return
	}
	for rank := range d.Len() {
		if _, _, deadline := d.At(rank); deadline == 0 || deadline > d.c.Now {
			d.alive = append(d.alive, rank)
		}
	}
	d.size = len(d.alive)
}

func (d *draw) at(i int) (field, value object.Element) {
	if d.alive != nil {
		i = d.alive[i]
	}
	field, value, _ = d.At(i)
	return field, value
}

// random is a number from 0 up to n, exclusive, each as likely as any other but for
// one in 2^64/n.
func (d *draw) random(n int) int {
	high, _ := bits.Mul64(d.c.Random(), uint64(n))
	return int(high)
}

// head begins a reply of n fields.
func (d *draw) head(n int) {
	if d.withValues && d.c.Reply.Proto < 3 {
		n *= 2
	}
	d.c.Reply.Array(n)
}

func (d *draw) reply(field, value object.Element) {
	w := d.c.Reply
	if !d.withValues {
		field.Reply(w)
		return
	}
	if w.Proto >= 3 {
		w.Array(2)
	}
	field.Reply(w)
	value.Reply(w)
}

// repeated answers n fields, each chosen anew.
func (d *draw) repeated(n int64) error {
	if n > repeatedBytesMax {
		return resp.ErrValueRange
	}
	start := d.c.Reply.Len()
	d.head(int(n))
	for range n {
		if d.c.Reply.Len()-start > repeatedBytesMax {
			return resp.ErrValueRange
		}
		d.reply(d.at(d.random(d.size)))
	}
	return nil
}

// distinct answers n different fields, at most all there are.
func (d *draw) distinct(n int) {
	d.head(n)
	if d.size/randomSparse >= n {
		// Floyd's method: each round adds one rank, all of them equally likely.
		chosen := make(map[int]struct{}, n)
		for last := d.size - n; last < d.size; last++ {
			rank := d.random(last + 1)
			if _, taken := chosen[rank]; taken {
				rank = last
			}
			chosen[rank] = struct{}{}
			d.reply(d.at(rank))
		}
		return
	}
	left := d.size
	d.Each(func(field, value object.Element, _ int64) bool {
		if n == left || d.random(left) < n {
			d.reply(field, value)
			n--
		}
		left--
		return n > 0
	})
}
