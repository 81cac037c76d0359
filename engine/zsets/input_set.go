package zsets

import (
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// setInput is the set in home as an input: all its members have the score 1.
func setInput(c *shard.Call, home *shard.Collection) (size int, members scored, err error) {
	s := object.SetOf(home, c.Limits(), c.Now)
	return s.Len(), &plainInput{s}, nil
}

// plainInput is a set as an input.
type plainInput struct{ s object.SetView }

func (p *plainInput) each(visit func(member object.Element, score float64) bool) {
	p.s.Each(func(member object.Element) bool { return visit(member, 1) })
}

func (p *plainInput) score(member []byte) (float64, bool) { return 1, p.s.Has(member) }
