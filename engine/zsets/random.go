package zsets

import (
	"math"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var samples = []engine.Command{{
	Name: "ZRANDMEMBER", Arity: -2, Run: zrandmember,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns members of a sorted set that are chosen at random.",
	Since:   "6.2.0", Complexity: "O(N) where N is the number of members returned",
	Syntax: "key options[count [WITHSCORES]]",
	Tips:   []string{"nondeterministic_output"},
}, {
	Name: "ZSCAN", Arity: -3, Run: zscan,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns members and scores of a sorted set, a few with each call.",
	Since:   "2.8.0",
	Complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. " +
		"N is the number of elements inside the collection.",
	Syntax:  "key cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [NOSCORES]",
	History: []string{"Valkey 9: Added the `NOSCORES` option."},
	Tips:    []string{"nondeterministic_output"},
}}

const (
	errLongRange resp.Error = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"

	// repeatedMax bounds how many members, of which some come several times, one
	// command answers: more would not fit into memory as one reply.
	repeatedMax = 1 << 24
)

// ZRANDMEMBER key [count [WITHSCORES]]
func zrandmember(c *shard.Call) error {
	if len(c.Args) == 2 {
		z, key, err := open(c, c.Key())
		if err != nil {
			return err
		}
		if key == nil {
			return c.Reply.Null()
		}
		pick := int(c.Random() % uint64(z.Len()))
		z.Range(pick, pick, false, func(member object.Element, _ float64) bool {
			member.Reply(c.Reply)
			return true
		})
		return nil
	}
	count, ok := resp.ParseInt(c.Args[2])
	withScores := len(c.Args) == 4
	switch {
	case !ok:
		return resp.ErrNotInteger
	case count == math.MinInt64:
		return errLongRange
	case len(c.Args) > 4 || withScores && !resp.WordIs(c.Args[3], "WITHSCORES"):
		return resp.ErrSyntax
	case withScores && (count < -math.MaxInt64/2 || count > math.MaxInt64/2):
		return resp.ErrValueRange
	}
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		return c.Reply.Array(0)
	}
	if count < -repeatedMax {
		return resp.ErrValueRange
	}
	answer := func(member object.Element, score float64) bool {
		pair(c.Reply, member, score, withScores)
		return true
	}
	n := z.Len()
	if count < 0 {
		pairs(c.Reply, int(-count), withScores)
		for range -count {
			pick := int(c.Random() % uint64(n))
			z.Range(pick, pick, false, answer)
		}
		return nil
	}
	wanted := int(min(count, int64(n)))
	pairs(c.Reply, wanted, withScores)
	if wanted > n/3 {
		sample(c, &z, wanted, answer)
		return nil
	}
	for _, pick := range distinct(c, wanted, n) {
		z.Range(pick, pick, false, answer)
	}
	return nil
}

// sample visits wanted members of all, each as likely as any other, in order.
func sample(c *shard.Call, z *object.ZSetView, wanted int, visit func(member object.Element, score float64) bool) {
	left := z.Len()
	z.Range(0, left-1, false, func(member object.Element, score float64) bool {
		if wanted == left || c.Random()%uint64(left) < uint64(wanted) {
			visit(member, score)
			wanted--
		}
		left--
		return wanted > 0
	})
}

// distinct returns wanted of the numbers below n, each as likely as any other, in
// order.
func distinct(c *shard.Call, wanted, n int) []int {
	taken := make(map[int]struct{}, wanted)
	picks := make([]int, 0, wanted)
	for limit := n - wanted; limit < n; limit++ {
		pick := int(c.Random() % uint64(limit+1))
		if _, ok := taken[pick]; ok {
			pick = limit // which cannot be taken yet
		}
		taken[pick] = struct{}{}
		picks = append(picks, pick)
	}
	slices.Sort(picks)
	return picks
}

// ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]
func zscan(c *shard.Call) error {
	cursor, ok := shard.ParseCursor(c.Args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		c.Reply.Array(2)
		c.Reply.BulkInt(0)
		return c.Reply.Array(0)
	}
	scores := true
	o, err := shard.ParseScan(c.Args[3:], func(args [][]byte) (used int, err error) {
		if !resp.WordIs(args[0], "NOSCORES") {
			return 0, nil
		}
		scores = false
		return 1, nil
	})
	if err != nil {
		return err
	}
	var scratch [20]byte
	var found resp.Writer // the cursor comes before it
	n := 0
	next := z.Scan(cursor, o.Count, func(member object.Element, score float64) {
		if o.Matched() && !o.Matches(member.Bytes(scratch[:0])) {
			return
		}
		member.Reply(&found)
		n++
		if scores {
			var digits [32]byte
			found.Bulk(resp.FormatDouble(digits[:0], score))
			n++
		}
	})
	c.Reply.Array(2)
	c.Reply.BulkInt(int64(next))
	c.Reply.Array(n)
	return c.Reply.Raw(found.Buf)
}
