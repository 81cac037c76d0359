package zsets

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	complexityRange = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned."
	complexityLimit = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. " +
		"If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N))."
	complexityCount  = "O(log(N)) with N being the number of elements in the sorted set."
	complexityRemove = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation."
)

var ranges = []engine.Command{{
	Name: "ZCOUNT", Arity: 4, Run: zcount,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns how many members have scores within a range.",
	Since:   "2.0.0", Complexity: complexityCount, Syntax: "key min:double max:double",
}, {
	Name: "ZLEXCOUNT", Arity: 4, Run: zlexcount,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns how many members lie between two texts, all scores being equal.",
	Since:   "2.8.9", Complexity: complexityCount, Syntax: "key min:string max:string",
}, {
	Name: "ZRANGE", Arity: -4, Run: zrange,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members within a range of ranks, scores or texts.",
	Since:   "1.2.0", Complexity: complexityRange,
	Syntax:  "key start:string stop:string sortby[BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
	History: []string{"6.2.0: Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options."},
}, {
	Name: "ZRANGESTORE", Arity: -5, Run: zrangestore,
	Flags:   engine.Write | engine.DenyOOM,
	Keys:    []engine.KeySpec{{Access: "OW update", First: 1, Step: 1}, {Access: "RO access", First: 2, Step: 1}},
	Summary: "Stores the members within a range of ranks, scores or texts under another key.",
	Since:   "6.2.0", Complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
	Syntax: "dst:key src:key min:string max:string sortby[BYSCORE | BYLEX] [REV] [LIMIT offset count]",
}, {
	Name: "ZRANGEBYSCORE", Arity: -4, Run: zrangebyscore,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members with scores within a range.",
	Since:   "1.0.5", Complexity: complexityLimit,
	Syntax:     "key min:double max:double [WITHSCORES] [LIMIT offset count]",
	History:    []string{"2.0.0: Added the `WITHSCORES` modifier."},
	Deprecated: "6.2.0", Replacement: "`ZRANGE` with the `BYSCORE` argument",
}, {
	Name: "ZREVRANGEBYSCORE", Arity: -4, Run: zrevrangebyscore,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members with scores within a range, the highest first.",
	Since:   "2.2.0", Complexity: complexityLimit,
	Syntax:     "key max:double min:double [WITHSCORES] [LIMIT offset count]",
	History:    []string{"2.1.6: `min` and `max` can be exclusive."},
	Deprecated: "6.2.0", Replacement: "`ZRANGE` with the `REV` and `BYSCORE` arguments",
}, {
	Name: "ZRANGEBYLEX", Arity: -4, Run: zrangebylex,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members between two texts, all scores being equal.",
	Since:   "2.8.9", Complexity: complexityLimit,
	Syntax:     "key min:string max:string [LIMIT offset count]",
	Deprecated: "6.2.0", Replacement: "`ZRANGE` with the `BYLEX` argument",
}, {
	Name: "ZREVRANGEBYLEX", Arity: -4, Run: zrevrangebylex,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members between two texts in reverse, all scores being equal.",
	Since:   "2.8.9", Complexity: complexityLimit,
	Syntax:     "key max:string min:string [LIMIT offset count]",
	Deprecated: "6.2.0", Replacement: "`ZRANGE` with the `REV` and `BYLEX` arguments",
}, {
	Name: "ZREVRANGE", Arity: -4, Run: zrevrange,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the members within a range of ranks, counted from the highest score.",
	Since:   "1.2.0", Complexity: complexityRange,
	Syntax:     "key start:integer stop:integer [WITHSCORES]",
	Deprecated: "6.2.0", Replacement: "`ZRANGE` with the `REV` argument",
}, {
	Name: "ZREMRANGEBYRANK", Arity: 4, Run: zremrangebyrank,
	Flags: engine.Write, Keys: engine.OneKey("RW delete"),
	Summary: "Removes the members within a range of ranks.",
	Since:   "2.0.0", Complexity: complexityRemove, Syntax: "key start:integer stop:integer",
}, {
	Name: "ZREMRANGEBYSCORE", Arity: 4, Run: zremrangebyscore,
	Flags: engine.Write, Keys: engine.OneKey("RW delete"),
	Summary: "Removes the members with scores within a range.",
	Since:   "1.2.0", Complexity: complexityRemove, Syntax: "key min:double max:double",
}, {
	Name: "ZREMRANGEBYLEX", Arity: 4, Run: zremrangebylex,
	Flags: engine.Write, Keys: engine.OneKey("RW delete"),
	Summary: "Removes the members between two texts, all scores being equal.",
	Since:   "2.8.9", Complexity: complexityRemove, Syntax: "key min:string max:string",
}}

const (
	errLimitByRank     resp.Error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
	errScoresWithTexts resp.Error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX"
)

// by is what the ends of a range are.
type by uint8

const (
	byRank by = iota
	byScore
	byText
)

// A selection is a range as the arguments give it.
type selection struct {
	by      by
	reverse bool

	ranks     ranks
	scores    object.ScoreRange
	low, high object.LexBound

	// Of the members in the range, offset are passed over, and count are taken;
	// all when it is negative.
	offset, count int64
	withScores    bool
}

// parse reads the ends of the range. In reverse, the upper end of scores and
// texts comes first; ranks count from the other side.
func (s *selection) parse(first, last []byte) (err error) {
	if s.reverse && s.by != byRank {
		first, last = last, first
	}
	switch s.by {
	case byRank:
		s.ranks, err = parseRanks(first, last)
	case byScore:
		s.scores, err = parseScores(first, last)
	case byText:
		s.low, s.high, err = parseTexts(first, last)
	}
	return err
}

// in are the ranks of a sorted set that are selected, from the lowest to the
// highest; from > to when there are none.
func (s *selection) in(z *object.ZSetView) (from, to int) {
	n := z.Len()
	switch s.by {
	case byRank:
		from, to = s.ranks.within(n)
		if s.reverse && from <= to {
			from, to = n-1-to, n-1-from
		}
		return from, to
	case byScore:
		from, to = z.RanksByScore(s.scores)
	case byText:
		from, to = z.RanksByLex(s.low, s.high)
	}
	found := int64(to - from + 1)
	if s.offset < 0 || s.offset >= found {
		return 0, -1
	}
	taken := found - s.offset
	if s.count >= 0 {
		taken = min(taken, s.count)
	}
	if s.reverse {
		to -= int(s.offset)
		return to - int(taken) + 1, to
	}
	from += int(s.offset)
	return from, from + int(taken) - 1
}

// ends makes a selection of two ends that are the last arguments.
func ends(c *shard.Call, kind by) (s selection, err error) {
	s = selection{by: kind, count: -1}
	return s, s.parse(c.Args[2], c.Args[3])
}

// ZCOUNT key min max
func zcount(c *shard.Call) error { return count(c, byScore) }

// ZLEXCOUNT key min max
func zlexcount(c *shard.Call) error { return count(c, byText) }

func count(c *shard.Call, kind by) error {
	s, err := ends(c, kind)
	if err != nil {
		return err
	}
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		return c.Reply.Int(0)
	}
	from, to := s.in(&z)
	return c.Reply.Int(int64(to - from + 1))
}

// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
func zrange(c *shard.Call) error {
	s, err := parseSelection(c.Args[2:], true, selection{}, false)
	if err != nil {
		return err
	}
	return s.reply(c)
}

// ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
func zrangestore(c *shard.Call) error {
	s, err := parseSelection(c.Args[3:], true, selection{}, true)
	if err != nil {
		return err
	}
	z, key, err := open(c, c.Args[2])
	if err != nil {
		return err
	}
	var result object.ZSetBuilder
	if key != nil {
		from, to := s.in(&z)
		z.Range(from, to, false, func(member object.Element, score float64) bool {
			result.Add(member, score)
			return true
		})
	}
	return store(c, &result, "zrangestore")
}

// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
func zrangebyscore(c *shard.Call) error { return rangeBy(c, selection{by: byScore}) }

// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
func zrevrangebyscore(c *shard.Call) error { return rangeBy(c, selection{by: byScore, reverse: true}) }

// ZRANGEBYLEX key min max [LIMIT offset count]
func zrangebylex(c *shard.Call) error { return rangeBy(c, selection{by: byText}) }

// ZREVRANGEBYLEX key max min [LIMIT offset count]
func zrevrangebylex(c *shard.Call) error { return rangeBy(c, selection{by: byText, reverse: true}) }

// ZREVRANGE key start stop [WITHSCORES]
func zrevrange(c *shard.Call) error { return rangeBy(c, selection{by: byRank, reverse: true}) }

// rangeBy is a command whose name says what kind of range it takes.
func rangeBy(c *shard.Call, s selection) error {
	s, err := parseSelection(c.Args[2:], false, s, false)
	if err != nil {
		return err
	}
	return s.reply(c)
}

// parseSelection reads two ends and the options behind them. free says that
// these may tell the kind and the direction, stored that there are no scores to
// ask for.
func parseSelection(args [][]byte, free bool, s selection, stored bool) (selection, error) {
	s.count = -1
	for i := 2; i < len(args); i++ {
		switch word := args[i]; {
		case !stored && resp.WordIs(word, "WITHSCORES"):
			s.withScores = true
		case resp.WordIs(word, "LIMIT") && i+2 < len(args):
			var okOffset, okCount bool
			s.offset, okOffset = resp.ParseInt(args[i+1])
			s.count, okCount = resp.ParseInt(args[i+2])
			if !okOffset || !okCount {
				return s, resp.ErrNotInteger
			}
			i += 2
		case free && !s.reverse && resp.WordIs(word, "REV"):
			s.reverse = true
		case free && s.by == byRank && resp.WordIs(word, "BYSCORE"):
			s.by = byScore
		case free && s.by == byRank && resp.WordIs(word, "BYLEX"):
			s.by = byText
		default:
			return s, resp.ErrSyntax
		}
	}
	switch {
	case s.by == byRank && s.count != -1:
		return s, errLimitByRank
	case s.by == byText && s.withScores:
		return s, errScoresWithTexts
	}
	return s, s.parse(args[0], args[1])
}

// reply answers the selected members of the first key.
func (s *selection) reply(c *shard.Call) error {
	z, key, err := open(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		return c.Reply.Array(0)
	}
	from, to := s.in(&z)
	pairs(c.Reply, to-from+1, s.withScores)
	if !s.withScores && !s.reverse {
		z.Reply(c.Reply, from, to)
		return nil
	}
	z.Range(from, to, s.reverse, func(member object.Element, score float64) bool {
		pair(c.Reply, member, score, s.withScores)
		return true
	})
	return nil
}

// ZREMRANGEBYRANK key start stop
func zremrangebyrank(c *shard.Call) error { return remove(c, byRank, "zremrangebyrank") }

// ZREMRANGEBYSCORE key min max
func zremrangebyscore(c *shard.Call) error { return remove(c, byScore, "zremrangebyscore") }

// ZREMRANGEBYLEX key min max
func zremrangebylex(c *shard.Call) error { return remove(c, byText, "zremrangebylex") }

func remove(c *shard.Call, kind by, event string) error {
	s, err := ends(c, kind)
	if err != nil {
		return err
	}
	z, key, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil {
		return c.Reply.Int(0)
	}
	from, to := s.in(&z)
	if from > to {
		return c.Reply.Int(0)
	}
	removeRange(c, &z, key, from, to, event)
	return c.Reply.Int(int64(to - from + 1))
}
