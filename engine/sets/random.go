package sets

import (
	"math"
	"math/bits"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var picking = []engine.Command{{
	Name: "SPOP", Arity: -2, Run: spop,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Tips:       []string{"nondeterministic_output"},
	Summary:    "Removes and returns members of a set that chance chooses, and the set with its last member.",
	Since:      "1.0.0",
	Complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
	Syntax:     "key [count]", History: []string{"3.2.0: Added the `count` argument."},
}, {
	Name: "SRANDMEMBER", Arity: -2, Run: srandmember,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Tips:       []string{"nondeterministic_output"},
	Summary:    "Returns members of a set that chance chooses.",
	Since:      "1.0.0",
	Complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
	Syntax:     "key [count]", History: []string{"2.6.0: Added the optional `count` argument."},
}}

var (
	wordSRem = []byte("SREM")
)

// SPOP key [count]
//
// The effect is the SREM of what chance has chosen, or the DEL of the key.
func spop(c *shard.Call) error {
	if len(c.Args) > 3 {
		return resp.ErrSyntax
	}
	many := len(c.Args) == 3
	count := int64(1)
	if many {
		n, ok := resp.ParseInt(c.Args[2])
		if !ok || n < 0 {
			return resp.ErrNotPositive
		}
		count = n
	}
	key := c.Args[1]
	s, v, err := openForWrite(c, key)
	if err != nil {
		return err
	}
	size := 0
	if v != nil {
		size = s.Len()
	}
	switch {
	case !many && size == 0:
		return c.Reply.Null()
	case size == 0 || count == 0:
		return c.Reply.Set(0)
	}
	if many {
		c.Reply.Set(int(min(count, int64(size))))
	}
	if count >= int64(size) {
		s.Reply(c.Reply)
		c.DB.Drop(v)
		c.CountChanges(size)
		c.Event(shard.EventSet, "spop", key)
		c.Event(shard.EventGeneric, "del", key)
		c.EffectRemoved(key)
		return nil
	}
	if count == 1 {
		var gone []byte
		s.TakeAt(below(c, size), func(e object.Element) {
			e.Reply(c.Reply)
			gone = c.Word(e.Append)
		})
		c.Event(shard.EventSet, "spop", key)
		c.Effect(wordSRem, key, gone)
		return nil
	}
	ranks := choose(c, int(count), size)
	// The members are answered, and copied for the effect, before they go.
	gone := make([]byte, 0, 16*len(ranks))
	ends := make([]int, 0, len(ranks))
	s.EachAt(ranks, func(e object.Element) {
		e.Reply(c.Reply)
		gone = e.Append(gone)
		ends = append(ends, len(gone))
	})
	s.RemoveAt(ranks)
	c.CountChanges(len(ranks))
	c.Event(shard.EventSet, "spop", key)
	effectRemoved(c, key, gone, ends)
	return nil
}

// removedMax is how many members one SREM removes that stands for a SPOP.
const removedMax = 1024

// effectRemoved says that the effect of the command is that members were removed,
// whose texts end at the given places.
func effectRemoved(c *shard.Call, key, texts []byte, ends []int) {
	start := 0
	for len(ends) > 0 {
		n := min(len(ends), removedMax)
		args := append(make([][]byte, 0, 2+n), wordSRem, key)
		for _, end := range ends[:n] {
			args = append(args, texts[start:end:end])
			start = end
		}
		c.Effect(args...)
		ends = ends[n:]
	}
}

const errCountRange resp.Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"

// SRANDMEMBER key [count]
//
// A count below 0 asks for that many, the same ones maybe several times.
func srandmember(c *shard.Call) error {
	if len(c.Args) > 3 {
		return resp.ErrSyntax
	}
	if len(c.Args) == 2 {
		s, ok, err := open(c, c.Args[1])
		if err != nil {
			return err
		}
		if !ok {
			return c.Reply.Null()
		}
		return s.At(below(c, s.Len())).Reply(c.Reply)
	}
	count, ok := resp.ParseInt(c.Args[2])
	switch {
	case !ok:
		return resp.ErrNotInteger
	case count == math.MinInt64:
		return errCountRange
	}
	s, ok, err := open(c, c.Args[1])
	if err != nil {
		return err
	}
	if !ok || count == 0 {
		return c.Reply.Array(0)
	}
	size := s.Len()
	switch {
	case count < 0:
		return replyRepeatedly(c, &s, -count)
	case count >= int64(size):
		c.Reply.Array(size)
		s.Reply(c.Reply)
	default:
		c.Reply.Array(int(count))
		s.EachAt(choose(c, int(count), size), func(e object.Element) { e.Reply(c.Reply) })
	}
	return nil
}

// repeatedBytesMax bounds the reply to a count below 0, which is not bounded by
// what there is. A longer one is refused.
const repeatedBytesMax = 256 << 20

// replyRepeatedly answers count members, each chosen from all.
func replyRepeatedly(c *shard.Call, s *object.SetView, count int64) error {
	size, start := s.Len(), len(c.Reply.Buf)
	if count > repeatedBytesMax {
		return resp.ErrValueRange
	}
	c.Reply.Array(int(count))
	for range count {
		s.At(below(c, size)).Reply(c.Reply)
		if len(c.Reply.Buf)-start > repeatedBytesMax {
			return resp.ErrValueRange
		}
	}
	return nil
}

// below is a random number from 0 to n-1, each exactly as likely as any other.
func below(c *shard.Call, n int) int {
	high, low := bits.Mul64(c.Random(), uint64(n))
	if low < uint64(n) {
		for uneven := -uint64(n) % uint64(n); low < uneven; {
			high, low = bits.Mul64(c.Random(), uint64(n))
		}
	}
	return int(high)
}

// chosenFew is up to how many ranks are kept in a sorted slice while they are
// chosen; more are kept as bits.
const chosenFew = 256

// choose returns count of the ranks below size, ascending, each combination as
// likely as any other. It is Floyd's algorithm: one random number for each.
func choose(c *shard.Call, count, size int) []int {
	ranks := make([]int, 0, count)
	if count <= chosenFew {
		for last := size - count; last < size; last++ {
			rank := below(c, last+1)
			at, taken := slices.BinarySearch(ranks, rank)
			if taken {
				rank, at = last, len(ranks)
			}
			ranks = slices.Insert(ranks, at, rank)
		}
		return ranks
	}
	chosen := make([]uint64, (size+63)/64)
	for last := size - count; last < size; last++ {
		rank := below(c, last+1)
		if chosen[rank/64]>>(rank%64)&1 != 0 {
			rank = last
		}
		chosen[rank/64] |= 1 << (rank % 64)
	}
	for i, word := range chosen {
		for ; word != 0; word &= word - 1 {
			ranks = append(ranks, 64*i+bits.TrailingZeros64(word))
		}
	}
	return ranks
}
