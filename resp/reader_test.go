package resp

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestReadValue(t *testing.T) {
	f := func(input, want string) {
		t.Helper()
		v, n, err := ReadValue([]byte(input))
		if err != nil || n != len(input) {
			t.Errorf("%q: n = %d, %v", input, n, err)
			return
		}
		if got := v.String(); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", input, got, want)
		}
		if skipped, err := SkipValue([]byte(input + "+")); skipped != n || err != nil {
			t.Errorf("%q: skipped %d, %v", input, skipped, err)
		}
		for i := range len(input) {
			if _, n, err := ReadValue([]byte(input[:i])); n != 0 || err != nil {
				t.Errorf("%q: n = %d, %v", input[:i], n, err)
			}
		}
	}
	f("+OK\r\n", "OK")
	f("-ERR no\r\n", "(error) ERR no")
	f(":-12\r\n", "(integer) -12")
	f(":+5\r\n", "(integer) 5")
	f("$3\r\na\"\n\r\n", `"a\"\n"`)
	f("$4\r\n\x00\xff\\\a\r\n", `"\x00\xff\\\a"`)
	f("$-1\r\n", "(nil)")
	f("*-1\r\n", "(nil)")
	f("_\r\n", "(nil)")
	f("#t\r\n", "(true)")
	f("#f\r\n", "(false)")
	f(",3.10\r\n", "(double) 3.10")
	f(",-inf\r\n", "(double) -inf")
	f(",nan\r\n", "(double) nan")
	f("(-123456789012345678901234567890\r\n", "(big number) -123456789012345678901234567890")
	f("!5\r\nERR a\r\n", "(error) ERR a")
	f("=8\r\ntxt:a\r\nb\r\n", "a\r\nb")
	f("*0\r\n", "(empty array)")
	f("%0\r\n", "(empty hash)")
	f("~0\r\n", "(empty set)")
	f(">0\r\n", "(empty push)")
	f("*2\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n_\r\n", "1) \"a\"\n2) 1) (integer) 1\n   2) 1) (nil)")
	f("*10\r\n"+strings.Repeat(":1\r\n", 9)+"*2\r\n:2\r\n:3\r\n",
		" 1) (integer) 1\n 2) (integer) 1\n 3) (integer) 1\n 4) (integer) 1\n 5) (integer) 1\n"+
			" 6) (integer) 1\n 7) (integer) 1\n 8) (integer) 1\n 9) (integer) 1\n"+
			"10) 1) (integer) 2\n    2) (integer) 3")
	f("%2\r\n$1\r\nk\r\n$1\r\nv\r\n+b\r\n*2\r\n:1\r\n:2\r\n", "1# \"k\" => \"v\"\n2# b => \n   1) (integer) 1\n   2) (integer) 2")
	f("%1\r\n+a\r\n*1\r\n:1\r\n", "1# a => 1) (integer) 1")
	f("~2\r\n+a\r\n+b\r\n", "1~ a\n2~ b")
	f(">2\r\n+a\r\n+b\r\n", "1) a\n2) b")
	f("|1\r\n+ttl\r\n:3\r\n+OK\r\n", "OK")
	f("*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n|0\r\n:2\r\n:3\r\n", "1) (integer) 2\n2) (integer) 3")

	deep := strings.Repeat("*1\r\n", DepthMax) + ":1\r\n"
	if v, n, err := ReadValue([]byte(deep)); n != len(deep) || err != nil || v.Kind != KindArray {
		t.Error(n, err)
	}
	if n, err := SkipValue([]byte(deep)); n != len(deep) || err != nil {
		t.Error(n, err)
	}

	bad := func(input string) {
		t.Helper()
		if _, n, err := ReadValue([]byte(input)); n != 0 || err == nil {
			t.Errorf("%.40q: read %d, %v", input, n, err)
		}
		if n, err := SkipValue([]byte(input)); n != 0 || err == nil {
			t.Errorf("%.40q: skipped %d, %v", input, n, err)
		}
	}
	for _, input := range []string{
		"x\r\n", "\r\n", "+a\rb", ":\r\n", ":1a\r\n", ":+-1\r\n", "$-2\r\n", "$x\r\n", "$1\r\nabc", "*-2\r\n", "%-1\r\n", "*9999999999\r\n",
		"$99999999999999999\r\n", "_a\r\n", "#x\r\n", ",x\r\n", "(\r\n", "(1a\r\n", "=3\r\ntxt\r\n", "=4\r\ntxtx\r\n", "$?\r\n", "|-1\r\n",
		strings.Repeat("*1\r\n", DepthMax+1), strings.Repeat("*1\r\n", DepthMax) + "|0\r\n",
	} {
		bad(input)
	}
}

func TestValueFields(t *testing.T) {
	read := func(s string) Value {
		t.Helper()
		v, n, err := ReadValue([]byte(s))
		if n != len(s) || err != nil {
			t.Fatal(s, n, err)
		}
		return v
	}
	if v := read("|1\r\n+a\r\n:1\r\n:2\r\n"); len(v.Attrs) != 2 || v.Attrs[1].Int != 1 || v.Int != 2 {
		t.Errorf("%+v", v)
	}
	if v := read(",1e3\r\n"); v.Float != 1000 || v.Text() != "1e3" {
		t.Errorf("%+v", v)
	}
	if v := read(",nan\r\n"); !math.IsNaN(v.Float) {
		t.Errorf("%+v", v)
	}
	if v := read("=5\r\nmkd:a\r\n"); v.Format != "mkd" || v.Text() != "a" {
		t.Errorf("%+v", v)
	}
	if v := read("-WRONGTYPE x\r\n"); v.Err() != Error("WRONGTYPE x") || read("+a\r\n").Err() != nil {
		t.Errorf("%+v", v)
	}
	if v := read("*-1\r\n"); v.Kind != KindArray || !v.Null {
		t.Errorf("%+v", v)
	}
}

// FuzzReply holds ReadValue and SkipValue to the same verdict, at every length
// of the input.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR x\r\n", ":12\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "#t\r\n", ",1.5e3\r\n", ",inf\r\n", "(123\r\n",
		"!3\r\nERR\r\n", "=5\r\ntxt:a\r\n", "*2\r\n:1\r\n*1\r\n$0\r\n\r\n", "%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n", ">1\r\n+a\r\n",
		"|1\r\n+a\r\n|0\r\n:1\r\n*0\r\n", "*3\r\n|1\r\n%0\r\n*0\r\n:1\r\n:2\r\n:3\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n$1\r\na\r\n",
		strings.Repeat("*1\r\n", DepthMax+2), strings.Repeat("|1\r\n:1\r\n", DepthMax+2), "+a\rb\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1000 {
			return
		}
		for i := range len(input) + 1 {
			v, n, err := ReadValue(input[:i])
			skipped, skipErr := SkipValue(input[:i])
			if n != skipped || err != skipErr {
				t.Fatalf("%q: read %d, %v; skipped %d, %v", input[:i], n, err, skipped, skipErr)
			}
			if err != nil && n != 0 || n > i {
				t.Fatalf("%q: %d, %v", input[:i], n, err)
			}
			if n > 0 {
				_ = v.String()
			}
		}
	})
}

func TestAppendCommand(t *testing.T) {
	got := AppendCommand([]byte("x"), []byte("SET"), nil)
	if string(got) != "x*2\r\n$3\r\nSET\r\n$0\r\n\r\n" || !bytes.Equal(got, AppendCommandString([]byte("x"), "SET", "")) {
		t.Errorf("%q", got)
	}
}

func BenchmarkReply(b *testing.B) {
	bulk := []byte("$32\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")
	array := append([]byte("*10\r\n"), bytes.Repeat(bulk, 10)...)
	skip := func(name string, buf []byte) {
		b.Run("Skip"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n, _ := SkipValue(buf); n != len(buf) {
					b.Fatal(n)
				}
			}
		})
	}
	skip("OK", []byte("+OK\r\n"))
	skip("Int", []byte(":1\r\n"))
	skip("Bulk", bulk)
	skip("Array10", array)
	b.Run("ReadArray10", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ReadValue(array)
		}
	})
}
