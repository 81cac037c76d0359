package engine

import (
	"fmt"
	"strings"
	"testing"
)

// shown is a tree on one line: name:type, the token in front, ? * and + for the
// flags optional, multiple and multiple_token.
func shown(args []Argument) string {
	parts := make([]string, len(args))
	for i, a := range args {
		text := a.Name + ":" + a.Type
		if a.Token != "" {
			text = a.Token + "=" + text
		}
		if a.Type == "key" {
			text += fmt.Sprint(a.KeySpec)
		}
		for _, f := range []struct {
			set  bool
			mark string
		}{{a.Optional, "?"}, {a.Multiple, "*"}, {a.MultipleToken, "+"}} {
			if f.set {
				text += f.mark
			}
		}
		if len(a.Arguments) > 0 {
			text += "(" + shown(a.Arguments) + ")"
		}
		parts[i] = text
	}
	return strings.Join(parts, " ")
}

func TestParseSyntax(t *testing.T) {
	f := func(syntax, tree, usage string) {
		t.Helper()
		args, err := ParseSyntax(syntax)
		if err != nil {
			t.Error(err)
			return
		}
		if got := shown(args); got != tree {
			t.Errorf("%s\nwant %s\ngot  %s", syntax, tree, got)
		}
		if usage == "" {
			usage = syntax
		}
		if got := Usage(args); got != usage {
			t.Errorf("%s\nwant usage %s\ngot        %s", syntax, usage, got)
		}
	}
	f("", "", "")
	f("key", "key:key0", "")
	f("key newkey", "key:key0 newkey:key1", "")
	f("value name:double", "value:string name:double", "value name")
	f("key [key ...]", "key:key0*", "")
	f("[key [key ...]]", "key:key0?*", "")
	f("NX", "NX=nx:pure-token", "")
	f("[NX]", "NX=nx:pure-token?", "")
	f("EX seconds", "EX=seconds:integer", "")
	f("[MATCH pattern] [COUNT count]", "MATCH=pattern:pattern? COUNT=count:integer?", "")
	f("condition[NX | XX]", "condition:oneof?(NX=nx:pure-token XX=xx:pure-token)", "[NX | XX]")
	f("[NX | XX]", "nx:oneof?(NX=nx:pure-token XX=xx:pure-token)", "")
	f("where(LEFT | RIGHT)", "where:oneof(LEFT=left:pure-token RIGHT=right:pure-token)", "<LEFT | RIGHT>")
	f("[range(start [end])]", "range:block?(start:integer end:integer?)", "[start [end]]")

	// Pairs.
	f("data(key value) [(key value) ...]", "data:block*(key:key0 value:string)", "key value [key value ...]")
	f("[data(key value) [data(key value) ...]]", "data:block?*(key:key0 value:string)", "[key value [key value ...]]")
	f("parameter(parameter) [(parameter) ...]", "parameter:block*(parameter:string)", "parameter [parameter ...]")

	// Tokens before several values.
	f("[LIMIT offset count]", "LIMIT=limit:block?(offset:integer count:integer)", "")
	f("[LIMIT bounds(offset count)]", "LIMIT=bounds:block?(offset:integer count:integer)", "[LIMIT offset count]")
	f("[bounds(LIMIT offset count)]", "LIMIT=bounds:block?(offset:integer count:integer)", "[LIMIT offset count]")
	f("[AGGREGATE how(SUM | MIN)]", "AGGREGATE=how:oneof?(SUM=sum:pure-token MIN=min:pure-token)", "[AGGREGATE <SUM | MIN>]")
	f("[COUNT count [ANY]]", "count:block?(COUNT=count:integer ANY=any:pure-token?)", "")
	f("box(BYBOX width:double height:double unit(M | KM))",
		"box:block(BYBOX=width:double height:double unit:oneof(M=m:pure-token KM=km:pure-token))", "BYBOX width height <M | KM>")
	f("op(GET encoding offset | ANY)", "op:oneof(GET=get:block(encoding:string offset:integer) ANY=any:pure-token)",
		"<GET encoding offset | ANY>")
	f("(FIELDS numfields:integer field [field ...])", "FIELDS=fields:block(numfields:integer field:string*)",
		"FIELDS numfields field [field ...]")

	// Repeated tokens.
	f("[PREFIX prefix [PREFIX prefix ...]]", "PREFIX=prefix:string?*+", "")
	f("[IDS id [id ...]]", "IDS=id:string?*", "")
	f("[get(GET encoding offset) [get(GET encoding offset) ...]]", "GET=get:block?*+(encoding:string offset:integer)",
		"[GET encoding offset [GET encoding offset ...]]")
	f("op(INC | DEC) [op(INC | DEC) ...]", "op:oneof*(INC=inc:pure-token DEC=dec:pure-token)", "<INC | DEC> [<INC | DEC> ...]")
}

func TestParseSyntaxErrors(t *testing.T) {
	f := func(syntax, want string) {
		t.Helper()
		if _, err := ParseSyntax(syntax); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", syntax, err)
		}
	}
	f("[key", "missing ]")
	f("(key", "missing )")
	f("key]", "unexpected ]")
	f("key)", "unexpected )")
	f("[]", "empty brackets")
	f("()", "empty group")
	f("[NX | ]", "empty alternative")
	f("[key ...]", "nothing to repeat")
}

func FuzzParseSyntax(f *testing.F) {
	for _, syntax := range []string{"key [key ...]", "a(b | C d e [e ...])", "[X y(z) [X y ...]]", "<", "...", "a[(|)]"} {
		f.Add(syntax)
	}
	f.Fuzz(func(t *testing.T, syntax string) {
		if args, err := ParseSyntax(syntax); err == nil {
			Usage(args)
		}
	})
}
