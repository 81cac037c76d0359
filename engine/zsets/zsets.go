package zsets

import (
	"math"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of the commands on sorted sets.
//
// What they do follows from the arguments and from what is there, so they are
// recorded as sent; but for those that wait, or choose the key they take from.
var Family = engine.Family{
	Name: "sortedset", Group: "sorted-set",
	Commands: slices.Concat(members, ranges, pops, combinations, samples),
}

var members = []engine.Command{{
	Name: "ZADD", Arity: -4, Run: zadd,
	Member: 3, MemberStep: 2,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Adds members to a sorted set, or changes the scores of those that are there.",
	Since:   "1.2.0", Complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
	Syntax: "key condition[NX | XX] comparison[GT | LT] change[CH] increment[INCR] data(score:double member) [(score member) ...]",
	History: []string{
		"2.4.0: Accepts multiple elements.",
		"3.0.2: Added the `XX`, `NX`, `CH` and `INCR` options.",
		"6.2.0: Added the `GT` and `LT` options.",
	},
}, {
	Name: "ZINCRBY", Arity: 4, Run: zincrby,
	Member: 3,
	Flags:  engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW access update"),
	Summary: "Adds to the score of a member; one that is absent counts as 0.",
	Since:   "1.2.0", Complexity: "O(log(N)) where N is the number of elements in the sorted set.",
	Syntax: "key increment:integer member",
}, {
	Name: "ZREM", Arity: -3, Run: zrem,
	Member: 2, MemberStep: 1,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW delete"),
	Summary: "Removes members from a sorted set.",
	Since:   "1.2.0", Complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
	Syntax:  "key member [member ...]",
	History: []string{"2.4.0: Accepts multiple elements."},
}, {
	Name: "ZCARD", Arity: 2, Run: zcard,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO"),
	Summary: "Returns how many members a sorted set has.",
	Since:   "1.2.0", Complexity: "O(1)", Syntax: "key",
}, {
	Name: "ZSCORE", Arity: 3, Run: zscore,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the score of a member.",
	Since:   "1.2.0", Complexity: "O(log(N)) where N is the number of elements in the sorted set.", Syntax: "key member",
}, {
	Name: "ZMSCORE", Arity: -3, Run: zmscore,
	Member: 2, MemberStep: 1,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns the scores of several members.",
	Since:   "6.2.0", Complexity: "O(N) where N is the number of members being requested.",
	Syntax: "key member [member ...]",
}, {
	Name: "ZRANK", Arity: -3, Run: zrank,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns how many members come before a member.",
	Since:   "2.0.0", Complexity: "O(log(N))",
	Syntax:  "key member [WITHSCORE]",
	History: []string{"7.2.0: Added the optional `WITHSCORE` argument."},
}, {
	Name: "ZREVRANK", Arity: -3, Run: zrevrank,
	Member: 2,
	Flags:  engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns how many members come behind a member.",
	Since:   "2.0.0", Complexity: "O(log(N))",
	Syntax:  "key member [WITHSCORE]",
	History: []string{"7.2.0: Added the optional `WITHSCORE` argument."},
}}

const (
	errNXAndXX  resp.Error = "ERR XX and NX options at the same time are not compatible"
	errGTAndLT  resp.Error = "ERR GT, LT, and/or NX options at the same time are not compatible"
	errIncrMany resp.Error = "ERR INCR option supports a single increment-element pair"
)

// addition is what ZADD is to do.
type addition struct {
	nx, xx, gt, lt bool
	changed        bool // count what has changed, too
	incr           bool
	pairs          [][]byte // score, member, …
	scores         []float64
}

// fewScores backs the scores of an addition while they are few.
type fewScores [4]float64

// parseAddition reads what ZADD is to do; scores is where the scores go.
func parseAddition(args [][]byte, scores []float64) (a addition, err error) {
options:
	for ; len(args) > 0; args = args[1:] {
		switch word := args[0]; {
		case resp.WordIs(word, "NX"):
			a.nx = true
		case resp.WordIs(word, "XX"):
			a.xx = true
		case resp.WordIs(word, "GT"):
			a.gt = true
		case resp.WordIs(word, "LT"):
			a.lt = true
		case resp.WordIs(word, "CH"):
			a.changed = true
		case resp.WordIs(word, "INCR"):
			a.incr = true
		default:
			break options
		}
	}
	a.pairs = args
	switch {
	case len(args) == 0 || len(args)%2 != 0:
		return a, resp.ErrSyntax
	case a.nx && a.xx:
		return a, errNXAndXX
	case a.gt && a.nx, a.lt && a.nx, a.gt && a.lt:
		return a, errGTAndLT
	case a.incr && len(args) > 2:
		return a, errIncrMany
	}
	a.scores, err = appendScores(scores, a.pairs)
	return a, err
}

// appendScores reads the scores of pairs of a score and a member.
func appendScores(scores []float64, pairs [][]byte) ([]float64, error) {
	for i := 0; i < len(pairs); i += 2 {
		score, ok := resp.ParseFloat(pairs[i])
		if !ok {
			return nil, resp.ErrNotFloat
		}
		scores = append(scores, score)
	}
	return scores, nil
}

// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
func zadd(c *shard.Call) error {
	var space fewScores
	a, err := parseAddition(c.Args[2:], space[:0])
	if err != nil {
		return err
	}
	return a.run(c)
}

// ZINCRBY key increment member
func zincrby(c *shard.Call) error {
	var space fewScores
	scores, err := appendScores(space[:0], c.Args[2:])
	if err != nil {
		return err
	}
	a := addition{incr: true, pairs: c.Args[2:], scores: scores}
	return a.run(c)
}

func (a *addition) run(c *shard.Call) error {
	z, key, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	if a.incr {
		return a.increment(c, z, key)
	}
	if key == nil {
		if a.xx {
			return c.Reply.Int(0)
		}
		z = a.create(c)
	} else {
		z.Expect(len(a.scores))
	}
	added, updated := 0, 0
	for i, score := range a.scores {
		member := a.pairs[2*i+1]
		if a.nx || a.xx || a.gt || a.lt {
			was, ok := z.Score(member)
			if !a.allows(was, score, ok) {
				continue
			}
		}
		switch was, existed := z.Add(member, score); {
		case !existed:
			added++
		case was != score:
			updated++
		}
	}
	if added+updated > 0 {
		c.CountChanges(added + updated)
		c.Event(shard.EventZSet, "zadd", c.Key())
	}
	if a.changed {
		added += updated
	}
	return c.Reply.Int(int64(added))
}

// allows tells whether the conditions allow a score for a member that has the
// score was, if it is there.
func (a *addition) allows(was, score float64, there bool) bool {
	if !there {
		return !a.xx
	}
	return !a.nx && (!a.gt || score > was) && (!a.lt || score < was)
}

// create makes the sorted set, to which at least one member will be added.
func (a *addition) create(c *shard.Call) object.ZSetView {
	longest := 0
	for i := 1; i < len(a.pairs); i += 2 {
		longest = max(longest, len(a.pairs[i]))
	}
	encoding, root := object.ZSetFor(c.Limits(), len(a.scores), longest)
	return object.ZSetOf(c.DB.Create(c.Key(), object.ZSet, encoding, root, 0), c.Limits())
}

// increment is ZINCRBY, and ZADD with INCR, which answers the score or null.
func (a *addition) increment(c *shard.Call, z object.ZSetView, key *shard.Collection) error {
	member, score := a.pairs[1], a.scores[0]
	was, there := 0.0, false
	if key != nil {
		was, there = z.Score(member)
	}
	if there {
		if a.nx {
			return c.Reply.Null()
		}
		if score += was; math.IsNaN(score) {
			return resp.ErrScoreNaN
		}
	}
	if !a.allows(was, score, there) {
		return c.Reply.Null()
	}
	if key == nil {
		z = a.create(c)
	}
	if !there || was != score {
		z.Add(member, score)
		c.Event(shard.EventZSet, "zincr", c.Key())
	}
	return c.Reply.Double(score)
}

// ZREM key member [member ...]
func zrem(c *shard.Call) error {
	z, key, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	count := 0
	if key != nil {
		for _, member := range c.Args[2:] {
			if z.Remove(member) {
				count++
			}
		}
	}
	if count > 0 {
		removed(c, &z, key, "zrem")
		c.CountChanges(count)
	}
	return c.Reply.Int(int64(count))
}

// ZCARD key
func zcard(c *shard.Call) error {
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		return c.Reply.Int(0)
	}
	return c.Reply.Int(int64(z.Len()))
}

// ZSCORE key member
func zscore(c *shard.Call) error {
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key != nil {
		if score, ok := z.Score(c.Args[2]); ok {
			return c.Reply.Double(score)
		}
	}
	return c.Reply.Null()
}

// ZMSCORE key member [member ...]
func zmscore(c *shard.Call) error {
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		score, ok := 0.0, false
		if key != nil {
			score, ok = z.Score(member)
		}
		if ok {
			c.Reply.Double(score)
		} else {
			c.Reply.Null()
		}
	}
	return nil
}

// ZRANK key member [WITHSCORE]
func zrank(c *shard.Call) error { return rank(c, false) }

// ZREVRANK key member [WITHSCORE]
func zrevrank(c *shard.Call) error { return rank(c, true) }

func rank(c *shard.Call, reverse bool) error {
	withScore := len(c.Args) > 3
	switch {
	case len(c.Args) > 4:
		return resp.WrongArity(string(c.Args[0]))
	case withScore && !resp.WordIs(c.Args[3], "WITHSCORE"):
		return resp.ErrSyntax
	}
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key != nil {
		if rank, score, ok := z.Rank(c.Args[2]); ok {
			if reverse {
				rank = z.Len() - 1 - rank
			}
			if !withScore {
				return c.Reply.Int(int64(rank))
			}
			c.Reply.Array(2)
			c.Reply.Int(int64(rank))
			return c.Reply.Double(score)
		}
	}
	if withScore {
		return c.Reply.NullArray()
	}
	return c.Reply.Null()
}
