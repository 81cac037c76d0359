package engine

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hyperkv/resp"
)

func TestMerge(t *testing.T) {
	f := func(how Merge, want string, replies ...string) {
		t.Helper()
		parts := make([]part, len(replies))
		for i, reply := range replies {
			parts[i].reply = []byte(reply)
		}
		if how == MergeOrder {
			parts[0].order, parts[1].order = []int{0, 2}, []int{1}
		}
		if got := string(merge(how, parts)); got != want {
			t.Errorf("%v: got %q, want %q", replies, got, want)
		}
	}
	f(MergeSum, ":7\r\n", ":3\r\n", ":4\r\n", ":0\r\n")
	f(MergeSum, ":-1\r\n", ":3\r\n", ":-4\r\n")
	f(MergeSum, "-ERR x\r\n", ":3\r\n", "-ERR x\r\n", "-ERR y\r\n")
	f(MergeFirst, "+OK\r\n", "+OK\r\n", "+OK\r\n")
	f(MergeFirst, "-ERR x\r\n", "+OK\r\n", "-ERR x\r\n")
	f(MergeConcat, "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*0\r\n", "*1\r\n$1\r\nc\r\n")
	f(MergeConcat, "*0\r\n", "*0\r\n", "*0\r\n")
	f(MergeConcat, "-ERR x\r\n", "*0\r\n", "-ERR x\r\n")
	f(MergeOrder, "*3\r\n$1\r\na\r\n_\r\n$3\r\n\r\nc\r\n", "*2\r\n$1\r\na\r\n$3\r\n\r\nc\r\n", "*1\r\n_\r\n")
	f(MergeOrder, "*3\r\n*1\r\n:1\r\n$-1\r\n:9\r\n", "*2\r\n*1\r\n:1\r\n:9\r\n", "*1\r\n$-1\r\n")
	f(MergeOrder, "-ERR x\r\n", "*2\r\n$1\r\na\r\n$1\r\nc\r\n", "-ERR x\r\n")
}

func words(text string) (args [][]byte) {
	for _, word := range strings.Split(text, " ") {
		args = append(args, []byte(word))
	}
	return args
}

func TestKeyPositions(t *testing.T) {
	f := func(k KeySpec, text string, want ...int) {
		t.Helper()
		if got := k.Positions(words(text)); !slices.Equal(got, want) {
			t.Errorf("%+v of %q: %v, want %v", k, text, got, want)
		}
	}
	one, all, pairs := OneKey("")[0], KeyRange(1, -1, 1, "")[0], KeyRange(1, -1, 2, "")[0]
	f(one, "get a b", 1)
	f(one, "get")
	f(all, "del a b c", 1, 2, 3)
	f(all, "del")
	f(pairs, "mset a 1 b 2", 1, 3)
	f(pairs, "mset a 1 b", 1, 3)
	f(KeyRange(1, -2, 1, "")[0], "blpop a b 0", 1, 2)
	f(KeyRange(1, -2, 1, "")[0], "blpop a")
	f(KeyRange(1, 2, 1, "")[0], "rename a b c", 1, 2)
	f(KeyRange(1, 2, 1, "")[0], "rename a", 1)
	counted := CountedKeys(2, "")[0]
	f(counted, "eval x 2 a b c", 3, 4)
	f(counted, "eval x 3 a b c", 3, 4, 5)
	for _, count := range []string{"4", "0", "-1", "x", "", "999999999", "9999999999999999999", "1.0", "+1"} {
		f(counted, "eval x "+count+" a b c")
	}
	f(counted, "eval x")
	f(KeySpec{First: 1, Counted: true, FirstKey: 1, Step: 2}, "msetex 2 a 1 b 2 EX 3", 2, 4)
	f(KeySpec{First: 1, Counted: true, FirstKey: 1}, "zunion 999999999 a b")
	after := KeySpec{Keyword: "STREAMS", From: 1, Last: -1, Step: 1}
	f(after, "xread COUNT 1 streams a 0", 4, 5)
	f(after, "xread COUNT 1 streams")
	f(after, "xread COUNT 1")
	f(KeySpec{Keyword: "KEYS", From: -2, Last: -1, Step: 1}, "migrate h p x 0 KEYS a b KEYS", 6, 7, 8)
	f(KeySpec{Keyword: "KEYS", From: -20, Last: -1, Step: 1}, "migrate KEYS")
	f(KeySpec{Keyword: "STORE", From: 3, Step: 1}, "sort a STORE b STORE c", 5)
	f(KeySpec{Keyword: "STORE", From: 9, Step: 1}, "sort a")
}

// Whatever a client sends, a specification finds positions that exist, in order.
func FuzzKeyPositions(f *testing.F) {
	f.Add("get a b c", 1, 0, 0, 1, false, 0, 1, "")
	f.Add("eval x 2 a b", 2, 0, 0, 1, true, 0, 1, "")
	f.Add("xread STREAMS a b", 1, 1, -1, 1, false, 0, 0, "streams")
	f.Fuzz(func(t *testing.T, text string, first, from, last, step int, counted bool, keyNum, firstKey int, keyword string) {
		small := func(n, low, high int) int { return low + int(uint(n)%uint(high-low+1)) }
		args := words(text)
		k := KeySpec{First: small(first, 1, 4), From: small(from, -4, 4), Last: small(last, -3, 3), Step: small(step, 0, 3),
			Counted: counted, KeyNum: small(keyNum, 0, 3), FirstKey: small(firstKey, 0, 3), Keyword: keyword}
		if !counted && k.Keyword != "" && k.From == 0 {
			k.From = 1
		}
		got := k.Positions(args)
		if len(got) > len(args) || !slices.IsSorted(got) {
			t.Fatalf("%+v of %q: %v", k, args, got)
		}
		for _, at := range got {
			if at < 1 || at >= len(args) {
				t.Fatalf("%+v of %q: %v", k, args, got)
			}
		}
	})
}

func TestTableLookup(t *testing.T) {
	var many Family
	names := []string{"A", "AB", "ABCDEFG", "ABCDEFGH", "ABCDEFGHI", "ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOPQ", "GET", "SET", "X-Y", "X.Y", "[", "{Z"}
	for i := range 600 {
		names = append(names, "CMD"+strings.Repeat("X", i%14)+string(rune('A'+i/26%26))+string(rune('A'+i%26))+string(rune('A'+i/676)))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		many.Commands = append(many.Commands, Command{Name: name, Arity: 1, Session: help})
	}
	table, err := NewTable(many)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for _, name := range names {
		mixed := []byte(name)
		for i := range mixed {
			if random.IntN(2) == 0 {
				mixed[i] = strings.ToLower(name)[i]
			}
		}
		for _, text := range []string{name, strings.ToLower(name), string(mixed)} {
			if c := table.Lookup([]byte(text)); c == nil || c.Name != name {
				t.Fatalf("%q finds %v", text, c)
			}
		}
		if c := table.Find(name); c == nil || c.Name != name || table.All()[c.ID()] != c {
			t.Fatalf("%s: %v", name, c)
		}
		// Odd bytes are not letters, even those that folding makes one.
		for i := range mixed {
			odd := []byte(name)
			for _, b := range []byte{odd[i] ^ 0x80, odd[i] &^ 0x40, 0, odd[i] ^ 0x60} {
				odd[i] = b
				if c := table.Lookup(odd); c != nil && !strings.EqualFold(c.Name, string(odd)) {
					t.Fatalf("%q finds %s", odd, c.Name)
				}
			}
		}
		if c := table.Lookup([]byte(name + "\x00")); c != nil {
			t.Fatalf("%q with a zero finds %s", name, c.Name)
		}
	}
	for _, text := range []string{"", " ", "\x00", "NOSUCH", strings.Repeat("x", 1000), "get ", " get", "gets", "ge", "{", "[z"} {
		if c := table.Lookup([]byte(text)); c != nil {
			t.Errorf("%q finds %s", text, c.Name)
		}
	}
}

func TestTableErrors(t *testing.T) {
	f := func(want string, c ...Command) {
		t.Helper()
		_, err := NewTable(Family{Name: "bad", Commands: c})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	run := toyGet
	f("declared twice", Command{Name: "A", Session: help}, Command{Name: "a", Session: help})
	f("exactly one body", Command{Name: "A"})
	f("exactly one body", Command{Name: "A", Session: help, Run: run, Keys: OneKey("")})
	f("neither keys nor a scope", Command{Name: "A", Run: run})
	f("arity", Command{Name: "A", Arity: 1, Run: run, Keys: OneKey("")})
	f("arity", Command{Name: "A", Arity: -2, Run: run, Keys: KeyAt(2, "")})
	f("b|x is declared twice", Command{Name: "B", Subcommands: []Command{{Name: "X", Session: help}, {Name: "x", Session: help}}})
	f("command b|x needs", Command{Name: "B", Subcommands: []Command{{Name: "X"}}})
	f("no body for EXEC", Command{Name: "A", Start: func(*Session, *Command, [][]byte) bool { return true }})
	f("command a:", Command{Name: "A", Session: help, Syntax: "[open"})
}

func TestSubcommands(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	p.ask("$1\r\nx\r\n", "box", "OpEn", "x")
	p.ask("$-1\r\n", "BOX", "at", "x")
	p.ask("-ERR wrong number of arguments for 'box|open' command\r\n", "BOX", "OPEN")
	p.ask("-ERR wrong number of arguments for 'box' command\r\n", "BOX")
	p.ask("-ERR unknown subcommand 'NOPE'. Try BOX HELP.\r\n", "BOX", "NOPE")
	p.send("BOX", "HELP")
	v, _, err := resp.ReadValue(p.out)
	if err != nil || len(v.Elems) != 7 || v.Elems[0].Text() != "BOX <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" {
		t.Errorf("%v %v", v, err)
	}
}

// Nothing that a client sends makes the engine panic or leaves a session stuck.
func FuzzFeed(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		g := &traffic{random: random}
		var request []byte
		for range 10 {
			request = resp.AppendCommandString(request, g.next()...)
		}
		f.Add(request, uint64(1))
	}
	for _, text := range []string{"MULTI\r\nSCAN x\r\nEXEC\r\n", "SCAN +281474976710656\r\n", "COUNTED 999999999 a\r\n", "*1\r\n$0\r\n\r\n",
		"MULTI\r\nCOUNTED 0\r\nMGET\r\nEXEC\r\n", "BOX\r\nBOX HELP\r\n", "PEXPIREAT a -1\r\nSWAPDB 0 99\r\n", "*-1\r\n*0\r\n\r\nGET \"\\x\r\n", "WAIT 1 -1\r\nWAIT 99999999999 1\r\n"} {
		f.Add([]byte(text), uint64(3))
	}
	e := newEngine(f, Options{}, onShards(3))
	f.Fuzz(func(t *testing.T, request []byte, seed uint64) {
		p := connect(t, e)
		s := &scene{e, p, rand.New(rand.NewPCG(seed, 1)), make(map[int]func())}
		s.inPieces(request)
		s.release()
		if p.session.blocked == nil && !p.closed {
			p.wait("an end", func() bool {
				return p.session.hold == holdNone && p.session.pipeline.empty() || p.session.blocked != nil
			})
		}
		p.session.Closed(nil)
	})
}

// Random words with random arguments are like what a confused client sends.
func TestRandomCommands(t *testing.T) {
	e := newEngine(t, Options{}, onShards(5))
	random := rand.New(rand.NewPCG(7, 7))
	values := []string{"", "0", "1", "-1", "2", "999999999", "18446744073709551615", "+5", "a", "{a}b", "{}", "\r\n", "\x00", "HELP", "AT", strings.Repeat("x", 300)}
	p := connect(t, e)
	for range 20_000 {
		c := e.Table.All()[random.IntN(len(e.Table.All()))]
		args := strings.Split(c.FullName(), "|")
		if slices.Contains([]string{"quit", "suicide", "monitor", "reply", "wait"}, args[0]) {
			continue
		}
		for range random.IntN(6) {
			args = append(args, values[random.IntN(len(values))])
		}
		p.send(args...)
		p.wait("an answer", func() bool { return p.session.hold == holdNone && p.session.pipeline.empty() && len(p.out) > 0 })
		out := p.take()
		if n, err := resp.SkipValue([]byte(out)); err != nil || n != len(out) {
			t.Fatalf("%q: %q", args, out)
		}
	}
}
