package lists

import (
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

var (
	wordLPop = []byte("LPOP")
	wordRPop = []byte("RPOP")
)

func (s side) popWord() []byte {
	if s == left {
		return wordLPop
	}
	return wordRPop
}

func (s side) popEvent() string {
	if s == left {
		return "lpop"
	}
	return "rpop"
}

func (s side) pushEvent() string {
	if s == left {
		return "lpush"
	}
	return "rpush"
}

// ends is the range of the n elements at one end of a list.
func (s side) ends(n, length int) (from, to int) {
	if s == left {
		return 0, n
	}
	return length - n, length
}

// taken removes n elements from one end of a list, which were answered already,
// and says so; the key goes with the last element.
func taken(c *shard.Call, v *shard.Collection, l *object.ListView, from side, n int) {
	at, _ := from.ends(n, l.Len())
	all := n == l.Len()
	if !all {
		l.Remove(at, n)
	}
	removed(c, v, from.popEvent(), all)
	c.CountChanges(n)
}

// popOne answers the element at one end of a list and removes it.
func popOne(c *shard.Call, v *shard.Collection, l *object.ListView, from side) {
	at, _ := from.ends(1, l.Len())
	l.Index(at).Reply(c.Reply)
	taken(c, v, l, from, 1)
}

// popMany answers up to count elements from one end of a list and removes them. It
// returns how many there were.
func popMany(c *shard.Call, v *shard.Collection, l *object.ListView, from side, count int64) (n int) {
	n = int(min(count, int64(l.Len())))
	at, to := from.ends(n, l.Len())
	l.Reply(c.Reply, at, to, from == right)
	taken(c, v, l, from, n)
	return n
}

// LPOP key [count]
func lpop(c *shard.Call) error { return pop(c, left) }

// RPOP key [count]
func rpop(c *shard.Call) error { return pop(c, right) }

func pop(c *shard.Call, from side) error {
	var count int64
	counted := len(c.Args) == 3
	if counted {
		var ok bool
		if count, ok = resp.ParseInt(c.Args[2]); !ok || count < 0 {
			return resp.ErrNotPositive
		}
	} else if len(c.Args) > 3 {
		return resp.WrongArity(from.popEvent())
	}
	v, err := c.DB.OpenForWrite(c.Args[1], object.List)
	switch {
	case err != nil:
		return err
	case v == nil && counted:
		return c.Reply.NullArray()
	case v == nil:
		return c.Reply.Null()
	case counted && count == 0:
		return c.Reply.Array(0)
	}
	l := object.ListOf(v, c.Limits())
	if counted {
		popMany(c, v, &l, from, count)
	} else {
		popOne(c, v, &l, from)
	}
	return nil
}

// firstOf opens the first of several lists that exists. A key of another type
// before it is an error.
func firstOf(c *shard.Call, keys [][]byte) (*shard.Collection, error) {
	for _, key := range keys {
		if v, err := c.DB.OpenForWrite(key, object.List); v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

// BLPOP key [key ...] timeout
func blpop(c *shard.Call) error { return blockingPop(c, left) }

// BRPOP key [key ...] timeout
func brpop(c *shard.Call) error { return blockingPop(c, right) }

func blockingPop(c *shard.Call, from side) error {
	last := len(c.Args) - 1
	until, err := c.BlockUntil(c.Args[last])
	if err != nil {
		return err
	}
	keys := c.Args[1:last]
	v, err := firstOf(c, keys)
	switch {
	case err != nil:
		return err
	case v == nil:
		return wait(c, keys, until)
	}
	c.Effect(from.popWord(), v.Key())
	c.Reply.Array(2)
	c.Reply.Bulk(v.Key())
	l := object.ListOf(v, c.Limits())
	popOne(c, v, &l, from)
	return nil
}

// wait blocks until there is something under one of the keys.
func wait(c *shard.Call, keys [][]byte, until int64) error {
	return c.Block(shard.Wait{Keys: keys, Type: object.List, Until: until, TimedOut: (*resp.Writer).NullArray})
}

const (
	errCount resp.Error = "ERR count should be greater than 0"
)

// LMPOP numkeys key [key ...] <LEFT | RIGHT> [COUNT count]
func lmpop(c *shard.Call) error {
	keys, from, count, err := parseMPop(c.Args[1:])
	if err != nil {
		return err
	}
	v, err := firstOf(c, keys)
	switch {
	case err != nil:
		return err
	case v == nil:
		return c.Reply.NullArray()
	}
	mpop(c, v, from, count)
	return nil
}

// BLMPOP timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]
func blmpop(c *shard.Call) error {
	keys, from, count, err := parseMPop(c.Args[2:])
	if err != nil {
		return err
	}
	until, err := c.BlockUntil(c.Args[1])
	if err != nil {
		return err
	}
	v, err := firstOf(c, keys)
	switch {
	case err != nil:
		return err
	case v == nil:
		return wait(c, keys, until)
	}
	mpop(c, v, from, count)
	return nil
}

// mpop answers the key of a list and what is removed from it.
func mpop(c *shard.Call, v *shard.Collection, from side, count int64) {
	c.Reply.Array(2)
	c.Reply.Bulk(v.Key())
	key := v.Key()
	l := object.ListOf(v, c.Limits())
	n := popMany(c, v, &l, from, count)
	c.Effect(from.popWord(), key, c.Int(int64(n)))
}

// parseMPop reads numkeys key [key ...] <LEFT | RIGHT> [COUNT count].
func parseMPop(args [][]byte) (keys [][]byte, from side, count int64, err error) {
	n, ok := resp.ParseInt(args[0])
	if !ok || n < 1 {
		return nil, left, 0, resp.ErrNumKeysPositive
	}
	if n > int64(len(args)-2) {
		return nil, left, 0, resp.ErrSyntax
	}
	keys, args = args[1:1+n], args[1+n:]
	if from, err = parseSide(args[0]); err != nil {
		return nil, left, 0, err
	}
	switch args = args[1:]; {
	case len(args) == 0:
		return keys, from, 1, nil
	case len(args) < 2 || !resp.WordIs(args[0], "COUNT"):
		return nil, left, 0, resp.ErrSyntax
	}
	if count, ok = resp.ParseInt(args[1]); !ok || count < 1 {
		return nil, left, 0, errCount
	}
	if len(args) > 2 {
		return nil, left, 0, resp.ErrSyntax
	}
	return keys, from, count, nil
}
