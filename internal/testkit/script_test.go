package testkit

import (
	"slices"
	"strings"
	"testing"

	"hyperkv/resp"
)

func TestParseScript(t *testing.T) {
	s, err := parseScript("x.txt", "# story\nclient=a\nSET \"a b\" 1\n----\nOK\n\n\n# differs: we know better\n# redis: >=7.4\nGET a\n----\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.blocks) != 2 || len(s.blocks[0].steps) != 2 || s.blocks[0].steps[1].args[1] != "a b" {
		t.Fatalf("blocks: %+v", s.blocks)
	}
	if b := s.blocks[1]; b.differs != "we know better" || b.since != (version{7, 4}) || len(b.want) != 0 || b.wantFrom != 11 {
		t.Fatalf("marks: %+v", b)
	}

	refused := func(text, want string) {
		t.Helper()
		if _, err := parseScript("x.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	refused("", "no blocks")
	refused("GET a\n", `block without "----"`)
	refused("GET \"a\n----\n", "unbalanced quotes")
	refused("\nproto=x\n----\n", "x.txt:2:")
	refused("sleep=10\n----\n", "missing unit")
	refused("order=some\n----\n", "order=any")
	refused("# differs:\nPING\n----\n", "without a reason")
	refused("# redis: 7.4\nPING\n----\n", "MAJOR.MINOR")
}

func TestMatchLines(t *testing.T) {
	f := func(want, got string, ok bool) {
		t.Helper()
		matched, err := matchLines(strings.Split(want, "|"), strings.Split(got, "|"))
		if err != nil || matched != ok {
			t.Errorf("%q against %q: %v, %v", got, want, matched, err)
		}
	}
	f(`OK`, `OK`, true)
	f(`OK`, `OK|OK`, false)
	f(`OK|OK`, `OK`, false)
	f(`(integer) /\d+/`, `(integer) 12`, true)
	f(`(integer) /\d/`, `(integer) 12`, false) // anchored
	f(`(integer) /\d+/`, `"12"`, false)
	f(`1) (integer) /\d+/`, `1) (integer) 12`, true)
	f(`~~.*b.*`, `abc`, true)
	f(`1) ~~"\d+"`, `1) "12"`, true)
	f(`1) ~~"\d+"`, `2) "12"`, false)
	f(`...`, `a|b`, true)
	f(`a|...|d`, `a|b|c|d`, true)
	f(`a|...|d`, `a|d`, true)
	f(`a|...|d`, `a|d|e`, false)
	f(`...|c|...|c`, `c|x|c`, true)

	if _, err := matchLines([]string{`~~(`}, []string{"x"}); err == nil {
		t.Error("a broken expression passed")
	}
}

func TestMergeKeepsPlaceholders(t *testing.T) {
	f := func(want, got, merged string) {
		t.Helper()
		split := func(s string) []string { return strings.Split(s, "|") }
		if have := merge(split(want), split(got)); !slices.Equal(have, split(merged)) {
			t.Errorf("merge %q, %q = %q", want, got, have)
		}
	}
	f(`old|(integer) /\d+/`, `new|(integer) 5`, `new|(integer) /\d+/`)
	f(`a|...`, `a|b|c`, `a|...`)
	f(`x|(integer) /\d+/`, `(integer) 5`, `(integer) 5`)
}

func TestSplitAndQuote(t *testing.T) {
	f := func(line string, want ...string) {
		t.Helper()
		got, err := Split(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Split(%s) = %q, %v", line, got, err)
		}
		if again, err := Split(Quote(want...)); err != nil || !slices.Equal(again, want) {
			t.Errorf("Split(Quote(%q)) = %q, %v", want, again, err)
		}
	}
	f(`SET key "a\x00\xFFb"`, "SET", "key", "a\x00\xffb")
	f(`  a	b  `, "a", "b")
	f(`"\n\r\t\a\b\q\""`, "\n\r\t\a\bq\"")
	f(`'a\'b\n' ""`, `a'b\n`, "")
	f(`"\x4" pre"fix"`, "x4", "prefix")
	f(``)

	for _, line := range []string{`"a`, `'a`, `"a"b`, `"a\`} {
		if args, err := Split(line); err == nil {
			t.Errorf("Split(%s) = %q", line, args)
		}
	}
}

func TestDifferences(t *testing.T) {
	all, err := Differences("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].Line != 2 || !slices.Equal(all[0].Commands, []string{"PING"}) ||
		!strings.HasPrefix(all[0].Reason, "this text") {
		t.Fatalf("%+v", all)
	}
}

// FuzzSplit compares two readings of redis-cli's quoting that were written apart.
func FuzzSplit(f *testing.F) {
	for _, line := range []string{`a "b\x00" 'c\''`, `"a"b`, `"\x4`, `a"b`, ``} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsRune(line, 0) {
			t.Skip("a C string ends there")
		}
		ours, err := Split(line)
		theirs, ok := resp.SplitArgs([]byte(line), nil)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, %v", line, err, ok)
		}
		if !ok {
			return
		}
		if len(ours) != len(theirs) {
			t.Fatalf("%q: %q, %q", line, ours, theirs)
		}
		for i := range ours {
			if ours[i] != string(theirs[i]) {
				t.Fatalf("%q: %q, %q", line, ours, theirs)
			}
		}
	})
}
