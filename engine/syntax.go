package engine

import (
	"fmt"
	"strings"
)

// An Argument is one node of the tree that COMMAND DOCS answers.
type Argument struct {
	Name string
	// Type is one of Redis' argument types: string, integer, double, key,
	// pattern, unix-time, pure-token, oneof, block.
	Type     string
	Display  string
	Token    string
	KeySpec  int // index of the key specification a key belongs to
	Optional bool
	Multiple bool
	// MultipleToken repeats the token with every value.
	MultipleToken bool
	Arguments     []Argument
}

// ParseSyntax reads the notation in which a command's row describes its arguments:
//
//	key                      a value; the type follows from the name (see typeOf)
//	name:integer             a value with its type said
//	EX seconds               a token and its value
//	NX                       a token alone
//	[ ... ]                  optional
//	a | b                    one of
//	( ... )                  several that belong together, or a grouped choice
//	x [x ...]                one or more; [x [x ...]] none or more
//	(a b) [(a b) ...]        pairs, one or more; [TOKEN x [TOKEN x ...]] with its token each time
//	<name> in front of ( or [ names the group: condition(NX | XX)
func ParseSyntax(s string) ([]Argument, error) {
	p := syntaxParser{tokens: splitSyntax(s), text: s}
	args, err := p.sequence("")
	if err == nil && p.at < len(p.tokens) {
		err = p.fail("unexpected " + p.tokens[p.at])
	}
	if err != nil {
		return nil, err
	}
	numberKeySpecs(args, new(int))
	return args, nil
}

func splitSyntax(s string) (tokens []string) {
	word := strings.Builder{}
	flush := func() {
		if word.Len() > 0 {
			tokens = append(tokens, word.String())
			word.Reset()
		}
	}
	for _, c := range s {
		switch c {
		case ' ', '\n', '\t':
			flush()
		case '(', '[':
			named := word.Len() > 0
			name := word.String()
			word.Reset()
			if named {
				tokens = append(tokens, "<"+name)
			}
			tokens = append(tokens, string(c))
		case ')', ']', '|':
			flush()
			tokens = append(tokens, string(c))
		default:
			word.WriteRune(c)
		}
	}
	flush()
	return tokens
}

type syntaxParser struct {
	tokens []string
	at     int
	text   string
}

func (p *syntaxParser) fail(why string) error { return fmt.Errorf("syntax %q: %s", p.text, why) }

func (p *syntaxParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

// sequence reads arguments up to a closing bracket; a sequence with | in it is
// returned as one oneof.
func (p *syntaxParser) sequence(name string) ([]Argument, error) {
	var alternatives [][]Argument
	var current []Argument
	for {
		switch t := p.peek(); t {
		case "", ")", "]":
			if alternatives == nil {
				return current, nil
			}
			alternatives = append(alternatives, current)
			return []Argument{oneOf(name, alternatives)}, nil
		case "|":
			p.at++
			alternatives = append(alternatives, current)
			current = nil
		default:
			arg, repeated, err := p.argument()
			if err != nil {
				return nil, err
			}
			if repeated {
				// x [x ...]: the bracket repeats what stands before it.
				if len(current) == 0 {
					return nil, p.fail("nothing to repeat")
				}
				current[len(current)-1].Multiple = true
				current[len(current)-1].MultipleToken = arg.MultipleToken
				continue
			}
			current = append(current, arg)
		}
	}
}

func oneOf(name string, alternatives [][]Argument) Argument {
	a := Argument{Name: name, Type: "oneof"}
	for _, alternative := range alternatives {
		if len(alternative) == 1 {
			a.Arguments = append(a.Arguments, alternative[0])
			continue
		}
		a.Arguments = append(a.Arguments, block("", alternative))
	}
	if a.Name == "" && len(a.Arguments) > 0 {
		a.Name = a.Arguments[0].Name
	}
	return a
}

func block(name string, args []Argument) Argument {
	if name == "" && len(args) > 0 {
		name = args[0].Name
	}
	return Argument{Name: name, Type: "block", Arguments: args}
}

// argument reads one argument; repeated says that it was a "[x ...]" which
// repeats the argument before it.
func (p *syntaxParser) argument() (arg Argument, repeated bool, err error) {
	name := ""
	if t := p.peek(); strings.HasPrefix(t, "<") {
		name = t[1:]
		p.at++
	}
	t := p.peek()
	switch t {
	case "[":
		return p.bracket(name)
	case "(":
		p.at++
		args, err := p.sequence(name)
		if err != nil {
			return arg, false, err
		}
		if p.peek() != ")" {
			return arg, false, p.fail("missing )")
		}
		p.at++
		if len(args) == 1 && args[0].Type == "oneof" {
			return args[0], false, nil
		}
		return block(name, args), false, nil
	case "":
		return arg, false, p.fail("argument missing")
	}
	p.at++
	if !isToken(t) {
		return value(t), false, nil
	}
	// A token takes the value behind it, if one follows.
	next := p.peek()
	if next != "" && !strings.ContainsAny(next, "[]()|<") && !isToken(next) && next != "..." {
		p.at++
		arg = value(next)
		arg.Token = t
		return arg, false, nil
	}
	return Argument{Name: strings.ToLower(t), Type: "pure-token", Token: t}, false, nil
}

// bracket reads an optional part, or the repetition of what stands before it.
func (p *syntaxParser) bracket(name string) (arg Argument, repeated bool, err error) {
	p.at++
	if end, token := p.repetition(); end > 0 {
		p.at = end
		return Argument{MultipleToken: token}, true, nil
	}
	args, err := p.sequence(name)
	if err != nil {
		return arg, false, err
	}
	if p.peek() != "]" {
		return arg, false, p.fail("missing ]")
	}
	p.at++
	if len(args) == 1 {
		arg = args[0]
		if name != "" {
			arg.Name = name
		}
	} else {
		arg = block(name, args)
	}
	arg.Optional = true
	return arg, false, nil
}

// repetition recognises "x ...]" with p.at behind the opening bracket; it
// returns the position behind the closing one, and whether a token is repeated.
func (p *syntaxParser) repetition() (end int, token bool) {
	depth := 0
	for i := p.at; i < len(p.tokens); i++ {
		switch p.tokens[i] {
		case "[", "(":
			depth++
		case ")":
			depth--
		case "]":
			if depth == 0 {
				return 0, false
			}
			depth--
		case "...":
			if depth == 0 && i+1 < len(p.tokens) && p.tokens[i+1] == "]" {
				return i + 2, isToken(p.tokens[p.at]) && i > p.at+1
			}
		}
	}
	return 0, false
}

func isToken(word string) bool {
	if strings.Contains(word, ":") {
		return false
	}
	return strings.ToUpper(word) == word && strings.ContainsAny(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ=~*\"'<>$")
}

func value(word string) Argument {
	name, kind, said := strings.Cut(word, ":")
	if !said {
		kind = typeOf(name)
	}
	return Argument{Name: name, Type: kind}
}

// typeOf is the type that a name stands for unless the syntax says otherwise.
func typeOf(name string) string {
	switch name {
	case "key", "source", "destination", "destkey", "newkey", "key1", "key2", "numkey":
		return "key"
	case "pattern":
		return "pattern"
	case "unix-time-seconds", "unix-time-milliseconds", "timestamp", "unix-time":
		return "unix-time"
	case "increment", "decrement", "offset", "start", "end", "stop", "count", "index", "seconds",
		"milliseconds", "cursor", "numkeys", "bit", "db", "destination-db", "timeout", "port", "index1",
		"index2", "len", "numreplicas", "client-id", "protover", "bitoffset":
		return "integer"
	}
	return "string"
}

func numberKeySpecs(args []Argument, next *int) {
	for i := range args {
		if args[i].Type == "key" {
			args[i].KeySpec = *next
			*next++
		}
		numberKeySpecs(args[i].Arguments, next)
	}
}
