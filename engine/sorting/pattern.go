package sorting

import (
	"bytes"

	"hyperkv/shard"
	"hyperkv/shard/object"
)

// A pattern names a value for each element:
//
//	#                the element itself
//	before*after     the string under the key that has the element in place of *
//	before*after->f  field f of the hash under that key
//
// All else names nothing. C's strings end at a zero byte, and so does the search
// for what is special.
type pattern struct {
	self          bool
	named         bool // there is a *
	before, after []byte
	field         []byte // nil for none
}

func parsePattern(text []byte) (p pattern) {
	special, _, _ := bytes.Cut(text, []byte{0})
	if string(special) == "#" {
		return pattern{self: true}
	}
	star := bytes.IndexByte(special, '*')
	if star < 0 {
		return pattern{}
	}
	p = pattern{named: true, before: text[:star], after: text[star+1:]}
	arrow := bytes.Index(special[star+1:], []byte("->"))
	if arrow >= 0 && star+1+arrow+2 < len(special) {
		p.field = p.after[arrow+2:]
		p.after = p.after[:arrow]
	}
	return p
}

// A finding is what a pattern names: a text, an integer, or nothing. It is
// borrowed until the next look-up.
type finding struct {
	text  []byte
	n     int64
	isInt bool
	found bool
}

// find looks up what the pattern names for an element. key is room for the key,
// which is returned to be used again.
func (p *pattern) find(c *shard.Call, element, key []byte) (f finding, room []byte) {
	switch {
	case p.self:
		return finding{text: element, found: true}, key
	case !p.named:
		return finding{}, key
	}
	key = append(append(append(key[:0], p.before...), element...), p.after...)
	if p.field != nil {
		v, err := c.DB.Open(key, object.Hash)
		if err != nil || v == nil || c.DB.ExpireDueMembers(v) {
			return finding{}, key
		}
		hash := object.HashOf(v, c.Limits(), c.Now)
		value, _, ok := hash.Get(p.field)
		if !ok {
			return finding{}, key
		}
		if f.n, f.isInt = value.Int(); !f.isInt {
			f.text = value.Bytes(nil)
		}
		f.found = true
		return f, key
	}
	e, err := c.DB.String(key)
	if err != nil || !e.Exists() {
		return finding{}, key
	}
	if f.n, f.isInt = e.Int(); !f.isInt {
		f.text = e.Bytes()
	}
	f.found = true
	return f, key
}
