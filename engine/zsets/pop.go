package zsets

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var pops = []engine.Command{{
	Name: "ZPOPMIN", Arity: -2, Run: zpopmin,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Removes and returns the members with the lowest scores.",
	Since:   "5.0.0", Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
	Syntax: "key [count]",
}, {
	Name: "ZPOPMAX", Arity: -2, Run: zpopmax,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW access delete"),
	Summary: "Removes and returns the members with the highest scores.",
	Since:   "5.0.0", Complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
	Syntax: "key [count]",
}, {
	Name: "ZMPOP", Arity: -4, Run: zmpop,
	Flags: engine.Write, Keys: engine.CountedKeys(1, "RW access delete"),
	Summary: "Removes and returns members of the first sorted set that is there.",
	Since:   "7.0.0",
	Complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, " +
		"and M being the number of elements popped.",
	Syntax: "numkeys key [key ...] where(MIN | MAX) [COUNT count]",
}, {
	Name: "BZPOPMIN", Arity: -3, Run: bzpopmin,
	Flags: engine.Write | engine.Fast | engine.Blocking, Keys: engine.KeyRange(1, -2, 1, "RW access delete"),
	Summary: "Removes and returns the member with the lowest score of the first sorted set that is there, or waits for one.",
	Since:   "5.0.0", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
	Syntax:  "key [key ...] timeout:double",
	History: []string{"6.0.0: `timeout` is interpreted as a double instead of an integer."},
}, {
	Name: "BZPOPMAX", Arity: -3, Run: bzpopmax,
	Flags: engine.Write | engine.Fast | engine.Blocking, Keys: engine.KeyRange(1, -2, 1, "RW access delete"),
	Summary: "Removes and returns the member with the highest score of the first sorted set that is there, or waits for one.",
	Since:   "5.0.0", Complexity: "O(log(N)) with N being the number of elements in the sorted set.",
	Syntax:  "key [key ...] timeout:double",
	History: []string{"6.0.0: `timeout` is interpreted as a double instead of an integer."},
}, {
	Name: "BZMPOP", Arity: -5, Run: bzmpop,
	Flags: engine.Write | engine.Blocking, Keys: engine.CountedKeys(2, "RW access delete"),
	Summary: "Removes and returns members of the first sorted set that is there, or waits for one.",
	Since:   "7.0.0",
	Complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, " +
		"and M being the number of elements popped.",
	Syntax: "timeout:double numkeys key [key ...] where(MIN | MAX) [COUNT count]",
}}

var (
	wordPopMin = []byte("ZPOPMIN")
	wordPopMax = []byte("ZPOPMAX")
)

const errCountPositive resp.Error = "ERR count should be greater than 0"

// end is the end of a sorted set from which members are taken.
type end struct {
	max   bool
	event string
	word  []byte // the command that takes from there
}

var (
	lowest  = end{false, "zpopmin", wordPopMin}
	highest = end{true, "zpopmax", wordPopMax}
)

// take answers count pairs of a sorted set, of which at least as many are there,
// and removes them.
func (e *end) take(c *shard.Call, z *object.ZSetView, key *shard.Collection, count int, pair func(member object.Element, score float64)) {
	from, to := 0, count-1
	if e.max {
		from, to = z.Len()-count, z.Len()-1
	}
	z.Range(from, to, e.max, func(member object.Element, score float64) bool {
		pair(member, score)
		return true
	})
	removeRange(c, z, key, from, to, e.event)
}

// ZPOPMIN key [count]
func zpopmin(c *shard.Call) error { return pop(c, lowest) }

// ZPOPMAX key [count]
func zpopmax(c *shard.Call) error { return pop(c, highest) }

func pop(c *shard.Call, from end) error {
	count := int64(1)
	switch len(c.Args) {
	case 2:
	case 3:
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok || count < 0 {
			return resp.ErrNotPositive
		}
	default:
		return resp.ErrSyntax
	}
	z, key, err := openForWrite(c, c.Key())
	if err != nil {
		return err
	}
	if key == nil || count == 0 {
		return c.Reply.Array(0)
	}
	n := int(min(count, int64(z.Len())))
	nested := c.Reply.Proto == 3 && len(c.Args) == 3
	if nested {
		c.Reply.Array(n)
	} else {
		c.Reply.Array(2 * n)
	}
	from.take(c, &z, key, n, func(member object.Element, score float64) {
		if nested {
			c.Reply.Array(2)
		}
		member.Reply(c.Reply)
		c.Reply.Double(score)
	})
	return nil
}

// A popMany is what ZMPOP and BZMPOP are to do.
type popMany struct {
	keys  [][]byte
	from  end
	count int64
}

func parsePopMany(args [][]byte) (p popMany, err error) {
	n, ok := resp.ParseInt(args[0])
	if !ok || n < 1 {
		return p, resp.ErrNumKeysPositive
	}
	if n >= int64(len(args)-1) {
		return p, resp.ErrSyntax
	}
	p.keys = args[1 : 1+n]
	switch where := args[1+n]; {
	case resp.WordIs(where, "MIN"):
		p.from = lowest
	case resp.WordIs(where, "MAX"):
		p.from = highest
	default:
		return p, resp.ErrSyntax
	}
	p.count = 1
	switch args = args[2+n:]; {
	case len(args) == 0:
		return p, nil
	case len(args) == 1 || !resp.WordIs(args[0], "COUNT"):
		return p, resp.ErrSyntax
	}
	if p.count, ok = resp.ParseInt(args[1]); !ok || p.count < 1 {
		return p, errCountPositive
	}
	if len(args) > 2 {
		return p, resp.ErrSyntax
	}
	return p, nil
}

// run takes from the first key that is there; done is false when none is.
func (p *popMany) run(c *shard.Call) (done bool, err error) {
	for _, name := range p.keys {
		z, key, err := openForWrite(c, name)
		if err != nil {
			return false, err
		}
		if key == nil {
			continue
		}
		n := int(min(p.count, int64(z.Len())))
		c.Reply.Array(2)
		c.Reply.Bulk(name)
		c.Reply.Array(n)
		p.from.take(c, &z, key, n, func(member object.Element, score float64) {
			c.Reply.Array(2)
			member.Reply(c.Reply)
			c.Reply.Double(score)
		})
		c.Effect(p.from.word, name, c.Int(int64(n)))
		return true, nil
	}
	return false, nil
}

// ZMPOP numkeys key [key ...] <MIN | MAX> [COUNT count]
func zmpop(c *shard.Call) error {
	p, err := parsePopMany(c.Args[1:])
	if err != nil {
		return err
	}
	if done, err := p.run(c); done || err != nil {
		return err
	}
	return c.Reply.NullArray()
}

// BZPOPMIN key [key ...] timeout
func bzpopmin(c *shard.Call) error { return popOrWait(c, lowest) }

// BZPOPMAX key [key ...] timeout
func bzpopmax(c *shard.Call) error { return popOrWait(c, highest) }

func popOrWait(c *shard.Call, from end) error {
	last := len(c.Args) - 1
	until, err := c.BlockUntil(c.Args[last])
	if err != nil {
		return err
	}
	keys := c.Args[1:last]
	for _, name := range keys {
		z, key, err := openForWrite(c, name)
		if err != nil {
			return err
		}
		if key == nil {
			continue
		}
		c.Reply.Array(3)
		c.Reply.Bulk(name)
		from.take(c, &z, key, 1, func(member object.Element, score float64) {
			member.Reply(c.Reply)
			c.Reply.Double(score)
		})
		c.Effect(from.word, name)
		return nil
	}
	return wait(c, keys, until)
}

// BZMPOP timeout numkeys key [key ...] <MIN | MAX> [COUNT count]
func bzmpop(c *shard.Call) error {
	p, err := parsePopMany(c.Args[2:])
	if err != nil {
		return err
	}
	until, err := c.BlockUntil(c.Args[1])
	if err != nil {
		return err
	}
	if done, err := p.run(c); done || err != nil {
		return err
	}
	return wait(c, p.keys, until)
}

func wait(c *shard.Call, keys [][]byte, until int64) error {
	return c.Block(shard.Wait{
		Keys: keys, Type: object.ZSet, Until: until,
		TimedOut: func(w *resp.Writer) error { return w.NullArray() },
	})
}
