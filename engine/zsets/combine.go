package zsets

import (
	"cmp"
	"slices"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const (
	complexityUnion = "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set."
	complexityInter = "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets " +
		"and M being the number of elements in the resulting sorted set."
	complexityDiff = "O(N*K)+O(M*log(M)) worst case with N being the size of the first set, K being the number of input sorted sets " +
		"and M being the number of elements in the resulting sorted set."

	syntaxCombine = "numkeys key [key ...] [WEIGHTS weight:integer [weight ...]] [AGGREGATE aggregate(SUM | MIN | MAX)]"
)

// intoKey is where the keys of a command stand that stores what it makes of others.
var intoKey = append(engine.OneKey("OW update"), engine.CountedKeys(2, "RO access")...)

var combinations = []engine.Command{{
	Name: "ZUNION", Arity: -3, Run: zunion,
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the members that are in any of several sorted sets.",
	Since:   "6.2.0", Complexity: complexityUnion, Syntax: syntaxCombine + " [WITHSCORES]",
}, {
	Name: "ZINTER", Arity: -3, Run: zinter,
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the members that are in all of several sorted sets.",
	Since:   "6.2.0", Complexity: complexityInter, Syntax: syntaxCombine + " [WITHSCORES]",
}, {
	Name: "ZDIFF", Arity: -3, Run: zdiff,
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns the members of a sorted set that are in none of some others.",
	Since:   "6.2.0", Complexity: complexityDiff, Syntax: "numkeys key [key ...] [WITHSCORES]",
}, {
	Name: "ZINTERCARD", Arity: -3, Run: zintercard,
	Flags: engine.Read, Keys: engine.CountedKeys(1, "RO access"),
	Summary: "Returns how many members are in all of several sorted sets.",
	Since:   "7.0.0", Complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
	Syntax: "numkeys key [key ...] [LIMIT limit:integer]",
}, {
	Name: "ZUNIONSTORE", Arity: -4, Run: zunionstore,
	Flags: engine.Write | engine.DenyOOM, Keys: intoKey,
	Summary: "Stores the members that are in any of several sorted sets.",
	Since:   "2.0.0", Complexity: complexityUnion, Syntax: "destination:key " + syntaxCombine,
}, {
	Name: "ZINTERSTORE", Arity: -4, Run: zinterstore,
	Flags: engine.Write | engine.DenyOOM, Keys: intoKey,
	Summary: "Stores the members that are in all of several sorted sets.",
	Since:   "2.0.0", Complexity: complexityInter, Syntax: "destination:key " + syntaxCombine,
}, {
	Name: "ZDIFFSTORE", Arity: -4, Run: zdiffstore,
	Flags: engine.Write | engine.DenyOOM, Keys: intoKey,
	Summary: "Stores the members of a sorted set that are in none of some others.",
	Since:   "6.2.0", Complexity: complexityDiff, Syntax: "destination:key numkeys key [key ...]",
}}

const (
	errWeight        resp.Error = "ERR weight value is not a float"
	errLimitNegative resp.Error = "ERR LIMIT can't be negative"
)

// A combination is what ZUNION and its relatives are to do.
type combination struct {
	inputs     []input
	aggregate  func(a, b float64) float64
	withScores bool
	limit      int64 // of ZINTERCARD; 0 for none
}

// accepted says which options a command has.
type accepted struct{ weights, scores, limit bool }

// parseCombination opens the inputs, counted by the first argument, and reads the
// options behind them. A wrong type comes before a wrong option, as in Redis.
func parseCombination(c *shard.Call, name string, args [][]byte, options accepted) (p combination, err error) {
	n, ok := resp.ParseInt(args[0])
	switch {
	case !ok:
		return p, resp.ErrNotInteger
	case n < 1:
		return p, resp.Error("ERR at least 1 input key is needed for '" + name + "' command")
	case n > int64(len(args)-1):
		return p, resp.ErrSyntax
	}
	if p.inputs, err = openInputs(c, args[1:1+n]); err != nil {
		return p, err
	}
	p.aggregate = sum
	for args = args[1+n:]; len(args) > 0; {
		switch word := args[0]; {
		case options.weights && int64(len(args)) > n && resp.WordIs(word, "WEIGHTS"):
			for i := range p.inputs {
				if p.inputs[i].weight, ok = resp.ParseFloat(args[1+i]); !ok {
					return p, errWeight
				}
			}
			args = args[1+n:]
		case options.weights && len(args) > 1 && resp.WordIs(word, "AGGREGATE"):
			if p.aggregate = aggregateNamed(args[1]); p.aggregate == nil {
				return p, resp.ErrSyntax
			}
			args = args[2:]
		case options.scores && resp.WordIs(word, "WITHSCORES"):
			p.withScores = true
			args = args[1:]
		case options.limit && len(args) > 1 && resp.WordIs(word, "LIMIT"):
			if p.limit, ok = resp.ParseInt(args[1]); !ok || p.limit < 0 {
				return p, errLimitNegative
			}
			args = args[2:]
		default:
			return p, resp.ErrSyntax
		}
	}
	return p, nil
}

func aggregateNamed(word []byte) func(a, b float64) float64 {
	switch {
	case resp.WordIs(word, "SUM"):
		return sum
	case resp.WordIs(word, "MIN"):
		return lower
	case resp.WordIs(word, "MAX"):
		return higher
	}
	return nil
}

// numberOr0 is f, or 0 where f is none, such as the sum of both infinities.
func numberOr0(f float64) float64 {
	if f != f {
		return 0
	}
	return f
}

func sum(a, b float64) float64 { return numberOr0(a + b) }

// lower and higher keep a where b is not a number.
func lower(a, b float64) float64 {
	if b < a {
		return b
	}
	return a
}

func higher(a, b float64) float64 {
	if b > a {
		return b
	}
	return a
}

// bySize puts the inputs in the order in which Redis works through them: the
// smallest first. The last digits of a sum depend on it.
func (p *combination) bySize() {
	slices.SortStableFunc(p.inputs, func(a, b input) int { return cmp.Compare(a.size, b.size) })
}

// union collects what is in any of the inputs.
func (p *combination) union(result *object.ZSetBuilder) {
	p.bySize()
	for i := range p.inputs {
		in := &p.inputs[i]
		in.each(func(member object.Element, score float64) bool {
			result.Merge(member, numberOr0(in.weight*score), p.aggregate)
			return true
		})
	}
}

// inter visits what is in all inputs.
func (p *combination) inter(visit func(member object.Element, score float64) bool) {
	p.bySize()
	var scratch [20]byte
	first, others := &p.inputs[0], p.inputs[1:]
	first.each(func(member object.Element, score float64) bool {
		total := numberOr0(first.weight * score)
		text := member.Bytes(scratch[:0])
		for i := range others {
			found, ok := others[i].find(text)
			if !ok {
				return true
			}
			total = p.aggregate(total, others[i].weight*found)
		}
		return visit(member, total)
	})
}

// diff visits what is in the first input and in none of the others.
func (p *combination) diff(visit func(member object.Element, score float64) bool) {
	others := p.inputs[1:]
	// In the largest it is found soonest.
	slices.SortStableFunc(others, func(a, b input) int { return cmp.Compare(b.size, a.size) })
	var scratch [20]byte
	p.inputs[0].each(func(member object.Element, score float64) bool {
		text := member.Bytes(scratch[:0])
		for i := range others {
			if _, ok := others[i].find(text); ok {
				return true
			}
		}
		return visit(member, score)
	})
}

// An operation says what of the inputs the result is.
type operation struct {
	name    string // of the commands, and of the event
	options accepted
	run     func(p *combination, result *object.ZSetBuilder)
}

func adding(result *object.ZSetBuilder) func(member object.Element, score float64) bool {
	return func(member object.Element, score float64) bool {
		result.Add(member, score)
		return true
	}
}

var (
	unionOf = operation{"zunion", accepted{weights: true}, (*combination).union}
	interOf = operation{"zinter", accepted{weights: true}, func(p *combination, result *object.ZSetBuilder) {
		p.inter(adding(result))
	}}
	diffOf = operation{"zdiff", accepted{}, func(p *combination, result *object.ZSetBuilder) {
		p.diff(adding(result))
	}}
)

// ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
func zunion(c *shard.Call) error { return unionOf.reply(c) }

// ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>] [WITHSCORES]
func zinter(c *shard.Call) error { return interOf.reply(c) }

// ZDIFF numkeys key [key ...] [WITHSCORES]
func zdiff(c *shard.Call) error { return diffOf.reply(c) }

// reply answers the result.
func (o operation) reply(c *shard.Call) error {
	o.options.scores = true
	p, err := parseCombination(c, o.name, c.Args[1:], o.options)
	if err != nil {
		return err
	}
	var result object.ZSetBuilder
	o.run(&p, &result)
	pairs(c.Reply, result.Len(), p.withScores)
	result.Each(func(member object.Element, score float64) {
		pair(c.Reply, member, score, p.withScores)
	})
	return nil
}

// ZINTERCARD numkeys key [key ...] [LIMIT limit]
func zintercard(c *shard.Call) error {
	p, err := parseCombination(c, "zintercard", c.Args[1:], accepted{limit: true})
	if err != nil {
		return err
	}
	n := int64(0)
	p.inter(func(object.Element, float64) bool {
		n++
		return n != p.limit
	})
	return c.Reply.Int(n)
}

// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]
func zunionstore(c *shard.Call) error { return unionOf.store(c) }

// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]
func zinterstore(c *shard.Call) error { return interOf.store(c) }

// ZDIFFSTORE destination numkeys key [key ...]
func zdiffstore(c *shard.Call) error { return diffOf.store(c) }

// store makes the first key the result.
func (o operation) store(c *shard.Call) error {
	name := o.name + "store"
	p, err := parseCombination(c, name, c.Args[2:], o.options)
	if err != nil {
		return err
	}
	var result object.ZSetBuilder
	o.run(&p, &result)
	return store(c, &result, name)
}

// store makes the first key a sorted set, or removes it if that has no members,
// and answers how many it has.
func store(c *shard.Call, result *object.ZSetBuilder, event string) error {
	key := c.Key()
	if result.Len() == 0 {
		if e := c.DB.LookupWrite(key); e.Exists() {
			c.DB.Delete(key, e)
			c.Event(shard.EventGeneric, "del", key)
		}
		return c.Reply.Int(0)
	}
	encoding, root := result.Root(c.Limits())
	result.Fill(c.DB.Create(key, object.ZSet, encoding, root, 0), c.Limits())
	c.Event(shard.EventZSet, event, key)
	return c.Reply.Int(int64(result.Len()))
}
