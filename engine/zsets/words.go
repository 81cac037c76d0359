package zsets

import (
	"bytes"
	"math"
	"strconv"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// open finds the sorted set under a key that is read; key is nil when there is none.
func open(c *shard.Call, name []byte) (z object.ZSetView, key *shard.Collection, err error) {
	key, err = c.DB.Open(name, object.ZSet)
	if key != nil {
		z = object.ZSetOf(key, c.Limits())
	}
	return z, key, err
}

// openForWrite is open for a key that is about to be changed.
func openForWrite(c *shard.Call, name []byte) (z object.ZSetView, key *shard.Collection, err error) {
	key, err = c.DB.OpenForWrite(name, object.ZSet)
	if key != nil {
		z = object.ZSetOf(key, c.Limits())
	}
	return z, key, err
}

// removed is said of a sorted set that has lost members; event is why.
func removed(c *shard.Call, z *object.ZSetView, key *shard.Collection, event string) {
	name, empty := key.Key(), z.Len() == 0
	if empty {
		c.DB.Drop(key)
	}
	c.Event(shard.EventZSet, event, name)
	if empty {
		c.Event(shard.EventGeneric, "del", name)
	}
}

// removeRange removes the members with the ranks from to to.
func removeRange(c *shard.Call, z *object.ZSetView, key *shard.Collection, from, to int, event string) {
	name, all := key.Key(), from <= 0 && to >= z.Len()-1
	if all {
		c.DB.Drop(key) // at once, rather than one by one
	} else {
		z.RemoveRange(from, to)
	}
	c.CountChanges(to - from + 1)
	c.Event(shard.EventZSet, event, name)
	if all {
		c.Event(shard.EventGeneric, "del", name)
	}
}

// pairs begins a reply of n members, with their scores or without: RESP3 has an
// array for each pair, in RESP2 all is flat.
func pairs(w *resp.Writer, n int, scores bool) {
	if scores && w.Proto != 3 {
		n *= 2
	}
	w.Array(n)
}

// pair writes one of them.
func pair(w *resp.Writer, member object.Element, score float64, scores bool) {
	if scores && w.Proto == 3 {
		w.Array(2)
	}
	member.Reply(w)
	if scores {
		w.Double(score)
	}
}

// ranks reads two ranks, of which negative ones count from the end, for a sorted
// set of n members: the first and the last, and first > last when there are none.
type ranks struct{ first, last int64 }

func parseRanks(first, last []byte) (r ranks, err error) {
	var ok bool
	if r.first, ok = resp.ParseInt(first); !ok {
		return r, resp.ErrNotInteger
	}
	if r.last, ok = resp.ParseInt(last); !ok {
		return r, resp.ErrNotInteger
	}
	return r, nil
}

// within are the ranks among n members.
func (r ranks) within(n int) (from, to int) {
	length := int64(n)
	if r.first < 0 {
		r.first = max(r.first+length, 0)
	}
	if r.last < 0 {
		r.last += length
	}
	r.last = min(r.last, length-1)
	if r.first > r.last {
		return 0, -1
	}
	return int(r.first), int(r.last)
}

// parseScores reads the ends of a range of scores.
func parseScores(low, high []byte) (r object.ScoreRange, err error) {
	var okLow, okHigh bool
	r.Min, r.MinOpen, okLow = scoreBound(low)
	r.Max, r.MaxOpen, okHigh = scoreBound(high)
	if !okLow || !okHigh {
		return r, resp.ErrMinMaxNotFloat
	}
	return r, nil
}

// scoreBound reads one end of a range of scores, "(" before it for an open one.
// As in Redis it is all that C's strtod takes: space before the number, nothing
// at all for 0, numbers beyond all others for infinity, and a zero byte as the end.
func scoreBound(arg []byte) (score float64, isOpen, ok bool) {
	if len(arg) > 0 && arg[0] == '(' {
		arg, isOpen = arg[1:], true
	}
	if end := bytes.IndexByte(arg, 0); end >= 0 {
		arg = arg[:end]
	}
	if len(arg) == 0 {
		return 0, isOpen, true
	}
	arg = bytes.TrimLeft(arg, " \t\n\v\f\r")
	if score, ok = resp.ParseFloat(arg); ok {
		return score, isOpen, true
	}
	// Only what is too large or too small is left to accept.
	score, err := strconv.ParseFloat(string(arg), 64)
	tooLarge := err != nil && math.IsInf(score, 0)
	tooSmall := err == nil && score == 0
	return score, isOpen, (tooLarge || tooSmall) && bytes.IndexByte(arg, '_') < 0
}

// parseTexts reads the ends of a range of texts.
func parseTexts(low, high []byte) (from, to object.LexBound, err error) {
	from, okLow := textBound(low)
	to, okHigh := textBound(high)
	if !okLow || !okHigh {
		return from, to, resp.ErrMinMaxNotLex
	}
	return from, to, nil
}

func textBound(arg []byte) (b object.LexBound, ok bool) {
	if len(arg) == 0 {
		return b, false
	}
	switch arg[0] {
	case '-', '+':
		b.Infinite = 1
		if arg[0] == '-' {
			b.Infinite = -1
		}
		return b, len(arg) == 1 || arg[1] == 0
	case '(', '[':
		b.Text, b.Open = arg[1:], arg[0] == '('
		return b, true
	}
	return b, false
}
