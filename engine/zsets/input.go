package zsets

import (
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// An input is one of the keys that ZUNION and its relatives read: a sorted set, a
// set, whose members all have the score 1, or nothing. It is valid until
// something changes.
type input struct {
	key    []byte
	weight float64
	size   int // how many members there are
	scored scored
}

// scored is what has members with scores.
type scored interface {
	each(visit func(member object.Element, score float64) bool)
	score(member []byte) (score float64, ok bool)
}

// openInputs finds the inputs under some keys. What has expired of them is removed first, so
// that a replay, which may see it as alive, has been told.
func openInputs(c *shard.Call, keys [][]byte) ([]input, error) {
	for _, key := range keys {
		if e := c.DB.Lookup(key); e.Exists() && e.Type() == object.Set {
			c.DB.ExpireDueMembers(c.DB.OpenEntry(key, e))
		}
	}
	inputs := make([]input, len(keys))
	for i, key := range keys {
		in := &inputs[i]
		in.key, in.weight = key, 1
		e := c.DB.Peek(key)
		if !e.Exists() {
			continue
		}
		// A copy, because a call keeps only a few collections open.
		home := *c.DB.OpenEntry(key, e)
		switch e.Type() {
		case object.ZSet:
			z := object.ZSetOf(&home, c.Limits())
			in.size, in.scored = z.Len(), &sortedInput{z}
		case object.Set:
			set := object.SetOf(&home, c.Limits(), c.Now)
			in.size, in.scored = set.Len(), &setInput{set}
		default:
			return nil, resp.ErrWrongType
		}
	}
	return inputs, nil
}

// each visits all members of the input, in no particular order.
func (in *input) each(visit func(member object.Element, score float64) bool) {
	if in.size > 0 {
		in.scored.each(visit)
	}
}

// find returns the score of a member.
func (in *input) find(member []byte) (score float64, ok bool) {
	if in.size == 0 {
		return 0, false
	}
	return in.scored.score(member)
}

// sortedInput is a sorted set as an input.
type sortedInput struct{ z object.ZSetView }

func (s *sortedInput) each(visit func(member object.Element, score float64) bool) {
	s.z.Range(0, s.z.Len()-1, false, visit)
}

func (s *sortedInput) score(member []byte) (float64, bool) { return s.z.Score(member) }

// setInput is a set as an input.
type setInput struct{ s object.SetView }

func (s *setInput) each(visit func(member object.Element, score float64) bool) {
	s.s.Each(func(member object.Element) bool { return visit(member, 1) })
}

func (s *setInput) score(member []byte) (float64, bool) { return 1, s.s.Has(member) }
