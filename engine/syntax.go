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
	Type string
	// Display is what to show for the argument; groups have none.
	Display  string
	Token    string
	KeySpec  int // of a key: index of its key specification
	Optional bool
	Multiple bool
	// MultipleToken repeats the token with every value.
	MultipleToken bool
	Arguments     []Argument
}

// ParseSyntax reads the notation in which a command's row describes its
// arguments. It is that of the reference documentation, with names for groups:
//
//	key                      a value; the type follows from the name (see typeOf)
//	name:integer             a value with its type said
//	name:key-pattern         a pattern of keys that only values name
//	NX                       a token alone
//	EX seconds               a token and its value
//	[ ... ]                  optional
//	( ... )                  several that belong together, a block
//	a | b                    one of; with brackets of either kind around it
//	name( ... ) name[ ... ]  the same with the group's name; else it has that of its first member
//	TOKEN ( ... )            a group that follows a token, which belongs to it as a whole
//	TOKEN a b                the same for plain values, if they are all that a
//	                         group or alternative holds; the block is named after the token
//	x [x ...]                one or more of x, whatever x is
//	[x [x ...]]              none or more
//	[TOKEN x [TOKEN x ...]]  none or more, each with its token
//
// What stands between [ and ...] is there for the reader: a repetition is one of
// what stands before it, each with its token when it begins with one. The names
// of keys that are found by one and the same key specification share its number:
// they are counted from 0, and COMMAND DOCS stops at the last specification. All
// patterns of keys share one, too.
func ParseSyntax(s string) ([]Argument, error) {
	p := syntaxParser{tokens: splitSyntax(s), text: s}
	args, err := p.sequence("")
	if err == nil && p.at < len(p.tokens) {
		err = p.fail("unexpected " + p.tokens[p.at])
	}
	if err != nil {
		return nil, err
	}
	numberKeySpecs(args, new(int), new(int))
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
			for _, alternative := range alternatives {
				if len(alternative) == 0 {
					return nil, p.fail("empty alternative")
				}
			}
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
				current[len(current)-1].MultipleToken = arg.MultipleToken && current[len(current)-1].Token != ""
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
	if a.Name == "" {
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
	name := p.groupName()
	t := p.peek()
	switch t {
	case "[":
		return p.bracket(name)
	case "(":
		arg, err := p.group(name)
		return arg, false, err
	case "":
		return arg, false, p.fail("argument missing")
	}
	leads := p.at == 0 || strings.Contains("[(|", p.tokens[p.at-1])
	p.at++
	if !isToken(t) {
		return value(t), false, nil
	}
	if p.peek() == "(" || strings.HasPrefix(p.peek(), "<") && p.at+1 < len(p.tokens) && p.tokens[p.at+1] == "(" {
		arg, err := p.group(p.groupName())
		arg.Token = t
		return arg, false, err
	}
	if !p.atValue() {
		name := tokenName(t)
		return Argument{Name: name, Type: "pure-token", Display: name, Token: t}, false, nil
	}
	arg = value(p.peek())
	p.at++
	if all := p.values(arg); leads && len(all) > 1 {
		arg = block(strings.ToLower(t), all)
	}
	arg.Token = t
	return arg, false, nil
}

// values reads plain values up to the end of the group that begins with a token
// and the given one. If there is something else it reads nothing.
func (p *syntaxParser) values(first Argument) []Argument {
	all, start := []Argument{first}, p.at
	for p.atValue() {
		all = append(all, value(p.peek()))
		p.at++
	}
	last := &all[len(all)-1]
	if end := p.repetitionOf(last.Name); end > 0 && len(all) > 1 {
		last.Multiple = true
		p.at = end
	}
	if t := p.peek(); t != "" && !strings.Contains(")]|", t) && p.repetitionOf("") == 0 {
		p.at = start
		return nil
	}
	if len(all) == 1 {
		p.at = start
	}
	return all
}

// groupName takes the name in front of a bracket, "" if there is none.
func (p *syntaxParser) groupName() string {
	if t := p.peek(); strings.HasPrefix(t, "<") {
		p.at++
		return t[1:]
	}
	return ""
}

// atValue says that the next is a plain value.
func (p *syntaxParser) atValue() bool {
	t := p.peek()
	return t != "" && t != "..." && !strings.ContainsAny(t, "[]()|<") && !isToken(t)
}

// repetitionOf returns the position behind "[word ...]", 0 if something else
// comes next. The empty word stands for any.
func (p *syntaxParser) repetitionOf(word string) (end int) {
	if p.peek() != "[" {
		return 0
	}
	p.at++
	if end, _ = p.repetition(); word != "" && p.peek() != word {
		end = 0
	}
	p.at--
	return end
}

// group reads ( ... ).
func (p *syntaxParser) group(name string) (arg Argument, err error) {
	p.at++
	args, err := p.sequence(name)
	if err != nil {
		return arg, err
	}
	if p.peek() != ")" {
		return arg, p.fail("missing )")
	}
	p.at++
	if len(args) == 0 {
		return arg, p.fail("empty group")
	}
	if only := args[0]; len(args) == 1 && (only.Type == "oneof" || only.Type == "block" && only.Token != "" && !only.Optional) {
		if name != "" {
			only.Name = name
		}
		return only, nil
	}
	return block(name, args), nil
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
	if len(args) == 0 {
		return arg, false, p.fail("empty brackets")
	}
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
				begin := p.at
				for strings.HasPrefix(p.tokens[begin], "<") || p.tokens[begin] == "(" {
					begin++
				}
				return i + 2, isToken(p.tokens[begin])
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

// tokenName is what a token is called; those that are no words have Redis' names.
func tokenName(token string) string {
	switch token {
	case "=":
		return "equal"
	case "~":
		return "approximately"
	case "*":
		return "auto-id"
	case "$":
		return "new-id"
	}
	return strings.ToLower(token)
}

func value(word string) Argument {
	name, kind, said := strings.Cut(word, ":")
	if !said {
		kind = typeOf(name)
	}
	if kind == "key-pattern" {
		return Argument{Name: name, Type: "pattern", Display: "pattern", KeySpec: noKeySpec}
	}
	return Argument{Name: name, Type: kind, Display: name}
}

// noKeySpec marks a pattern of keys whose specification is not numbered yet.
const noKeySpec = -1

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

// numberKeySpecs gives keys and patterns of keys the numbers of their specifications,
// next being that of the next and patterns that of all patterns, 0 before the first.
func numberKeySpecs(args []Argument, next, patterns *int) {
	for i := range args {
		a := &args[i]
		switch {
		case a.Type == "key":
			a.KeySpec = *next
			*next++
		case a.KeySpec == noKeySpec:
			if *patterns == 0 {
				*patterns = *next
				*next++
			}
			a.KeySpec = *patterns
		}
		numberKeySpecs(a.Arguments, next, patterns)
	}
}

// Usage writes arguments as reference documentation does:
//
//	key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]
//	numkeys key [key ...] [AGGREGATE <SUM | MIN | MAX>]
func Usage(args []Argument) string {
	parts := make([]string, len(args))
	for i := range args {
		parts[i] = args[i].usage()
	}
	return strings.Join(parts, " ")
}

func (a *Argument) usage() string {
	text, alternatives := a.Display, false
	switch a.Type {
	case "pure-token":
		text = ""
	case "block":
		text = Usage(a.Arguments)
	case "oneof":
		choices := make([]string, len(a.Arguments))
		for i := range a.Arguments {
			choices[i] = a.Arguments[i].usage()
		}
		text, alternatives = strings.Join(choices, " | "), true
	}
	// Within brackets a choice needs no others.
	if alternatives && (!a.Optional || a.Multiple || a.Token != "") {
		text = "<" + text + ">"
	}
	single := text
	if a.Token != "" {
		text = strings.TrimSpace(a.Token + " " + text)
		if a.MultipleToken {
			single = text
		}
	}
	if a.Multiple {
		text += " [" + single + " ...]"
	}
	if a.Optional {
		return "[" + text + "]"
	}
	return text
}
