package difftest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A form describes the calls of a command:
//
//	SET key value [NX|XX] [GET] [EX seconds|PX millis|KEEPTTL]
//	MSET (key value)...
//
// Capital words stand for themselves and small ones for a class of values (see
// values.go). [a|b] is one of the alternatives or nothing, (a|b) is one of them,
// and x... is x once or a few times. An alternative may be empty.
type form struct {
	family string
	text   string
	weight int
	root   node
	own    []string // keys that commands of the family mostly use
}

// A node writes the arguments it stands for.
type node interface {
	write(g *generator, args []string) []string
}

type (
	literal  string
	class    func(g *generator) string
	sequence []node
	choice   struct {
		of       []node
		optional bool
	}
	repeat struct{ of node }
)

// repeatMax bounds how often "..." repeats.
const repeatMax = 4

func (l literal) write(_ *generator, args []string) []string { return append(args, string(l)) }

func (c class) write(g *generator, args []string) []string { return append(args, c(g)) }

func (s sequence) write(g *generator, args []string) []string {
	for _, n := range s {
		args = n.write(g, args)
	}
	return args
}

func (c choice) write(g *generator, args []string) []string {
	if c.optional && g.rand.IntN(2) == 0 {
		return args
	}
	return c.of[g.rand.IntN(len(c.of))].write(g, args)
}

func (r repeat) write(g *generator, args []string) []string {
	for n := 1 + geometric(g.rand, repeatMax-1); n > 0; n-- {
		args = r.of.write(g, args)
	}
	return args
}

// geometric returns 0 half of the time, 1 a quarter of the time, and so on.
func geometric(r *rand.Rand, limit int) int {
	n := 0
	for n < limit && r.IntN(2) == 0 {
		n++
	}
	return n
}

// parseForm reads a form. Classes are looked up in values.go.
func parseForm(text string) (node, error) {
	p := formParser{tokens: formTokens(text)}
	n, err := p.alternatives("")
	if err != nil {
		return nil, fmt.Errorf("form %q: %w", text, err)
	}
	return n, nil
}

func formTokens(text string) []string {
	for _, mark := range []string{"[", "]", "(", ")", "|", "..."} {
		text = strings.ReplaceAll(text, mark, " "+mark+" ")
	}
	return strings.Fields(text)
}

type formParser struct {
	tokens []string
}

// alternatives reads up to the closing token, "" being the end of the form.
func (p *formParser) alternatives(end string) (node, error) {
	all, current := []node{}, sequence{}
	for {
		token := ""
		if len(p.tokens) > 0 {
			token, p.tokens = p.tokens[0], p.tokens[1:]
		}
		switch {
		case token == end:
			if len(all) == 0 {
				return current, nil
			}
			return choice{of: append(all, current)}, nil
		case token == "":
			return nil, fmt.Errorf("%q is missing", end)
		case token == "|":
			all, current = append(all, current), sequence{}
		case token == "...":
			if len(current) == 0 {
				return nil, fmt.Errorf("nothing before %q", token)
			}
			current[len(current)-1] = repeat{current[len(current)-1]}
		default:
			n, err := p.item(token)
			if err != nil {
				return nil, err
			}
			current = append(current, n)
		}
	}
}

func (p *formParser) item(token string) (node, error) {
	switch token {
	case "[":
		n, err := p.alternatives("]")
		if err != nil {
			return nil, err
		}
		if c, ok := n.(choice); ok {
			c.optional = true
			return c, nil
		}
		return choice{of: []node{n}, optional: true}, nil
	case "(":
		return p.alternatives(")")
	}
	if token == strings.ToLower(token) && token[0] >= 'a' && token[0] <= 'z' {
		c, ok := classes[token]
		if !ok {
			return nil, fmt.Errorf("no class of values %q", token)
		}
		return c, nil
	}
	return literal(token), nil
}
