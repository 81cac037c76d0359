package resp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// command is what a stream of bytes was understood as, one entry per command,
// with the bytes it took and the error that ended the stream.
type command struct {
	args string
	n    int
}

// parseAll reads all commands of a connection whose input arrives in the given
// pieces.
func parseAll(t testing.TB, lim *Limits, pieces ...[]byte) (cmds []command, rest int, failure string) {
	t.Helper()
	var p Parser
	var pending []byte
	var args [][]byte
	for _, piece := range pieces {
		pending = append(slices.Clone(pending), piece...) // the buffer moves
		for {
			need := p.Need()
			out, n, err := p.Next(pending, lim, args[:0])
			args = out
			if err != nil {
				if _, ok := err.(*ProtocolError); !ok {
					t.Fatalf("error of type %T", err)
				}
				if n != 0 || len(out) != 0 {
					t.Fatalf("error with n=%d and %d arguments", n, len(out))
				}
				return cmds, len(pending), err.Error()
			}
			if n == 0 {
				if len(out) != 0 {
					t.Fatalf("%d arguments of an incomplete command", len(out))
				}
				if got := p.Need(); got != 0 && got <= len(pending) {
					t.Fatalf("Need() = %d with %d bytes there", got, len(pending))
				}
				break
			}
			if n < 0 || n > len(pending) {
				t.Fatalf("n = %d of %d", n, len(pending))
			}
			if need > n {
				t.Fatalf("Need() asked for %d, the command had %d", need, n)
			}
			if p != (Parser{}) {
				t.Fatalf("state left behind after a command: %+v", p)
			}
			var words []string
			for _, arg := range out {
				words = append(words, strconv.Quote(string(arg)))
			}
			cmds = append(cmds, command{strings.Join(words, " "), n})
			pending = pending[n:]
		}
	}
	return cmds, len(pending), ""
}

func TestParser(t *testing.T) {
	small := &Limits{BulkBytesMax: 20, ArgsMax: 4, InlineBytesMax: 32}
	unauth := &UnauthLimits
	long := func(n int) string { return strings.Repeat("x", n) }
	// want is the commands, one per line, then what ended the stream: "more"
	// with the number of bytes left over, or the error.
	f := func(lim *Limits, input string, want ...string) {
		t.Helper()
		cmds, rest, failure := parseAll(t, lim, []byte(input))
		var got []string
		for _, c := range cmds {
			got = append(got, c.args)
		}
		switch {
		case failure != "":
			got = append(got, "! "+strings.TrimPrefix(failure, "Protocol error: "))
		case rest > 0:
			got = append(got, fmt.Sprint("more ", rest))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.80q:\n got %q\nwant %q", input, got, want)
		}
	}

	// Multibulk, the form of every client library.
	f(nil, "*1\r\n$4\r\nPING\r\n", `"PING"`)
	f(nil, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", `"SET" "k" ""`, `"PING"`)
	f(nil, "*2\r\n$3\r\nGET\r\n$11\r\n\r\n$5\r\n\x00\xff\r\n \r\n", `"GET" "\r\n$5\r\n\x00\xff\r\n "`)
	f(nil, "*2\r\n$3\r\nGET\r\n$100\r\n"+long(100)+"\r\n", `"GET" "`+long(100)+`"`)
	f(nil, "*11\r\n"+strings.Repeat("$1\r\na\r\n", 11), `"a"`+strings.Repeat(` "a"`, 10))

	// Redis ignores commands without arguments.
	f(nil, "*0\r\n*-1\r\n*-10\r\n\r\n\n  \t\r\n*1\r\n$1\r\na\r\n", "", "", "", "", "", "", `"a"`)

	// The bytes behind CR and behind an argument are skipped unseen.
	f(nil, "*1\rX$2\rXabXX*1\r\n$1\r\nc\r\n", `"ab"`, `"c"`)

	// Incomplete, at every kind of place.
	for _, input := range []string{"*", "*1", "*1\r", "*1\r\n", "*1\r\n$", "*1\r\n$4", "*1\r\n$4\r", "*1\r\n$4\r\nPIN", "*1\r\n$4\r\nPING\r", "PING", "PING\r"} {
		f(nil, input, fmt.Sprint("more ", len(input)))
	}

	// Counts.
	f(nil, "*\r\n", "! invalid multibulk length")
	f(nil, "*+1\r\n", "! invalid multibulk length")
	f(nil, "*01\r\n", "! invalid multibulk length")
	f(nil, "* 1\r\n", "! invalid multibulk length")
	f(nil, "*1 \r\n", "! invalid multibulk length")
	f(nil, "*a\r\n", "! invalid multibulk length")
	f(nil, "*-0\r\n", "! invalid multibulk length")
	f(nil, "*3000000000\r\n", "! invalid multibulk length")
	f(nil, "*99999999999999999999\r\n", "! invalid multibulk length")
	f(nil, "*1048577\r\n", "! invalid multibulk length")
	f(nil, "*1048576\r\n", "more 10")
	f(small, "*5\r\n", "! invalid multibulk length")
	f(small, "*4\r\n", "more 4")
	f(small, "*"+strings.Repeat("1", 31), "more 32")
	f(small, "*"+strings.Repeat("1", 32), "! too big mbulk count string")
	f(nil, "*"+strings.Repeat("1", 64<<10), "! too big mbulk count string")

	// Lengths. The line must be there before it is judged.
	f(nil, "*1\r\n$\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$-1\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$+1\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$00\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$x\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$536870913\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$9999999999\r\n", "! invalid bulk length")
	f(nil, "*1\r\n$536870912\r\n", "more 16")
	f(small, "*1\r\n$21\r\n", "! invalid bulk length")
	f(small, "*2\r\n$1\r\na\r\n"+long(32), "more 43")
	f(small, "*2\r\n$1\r\na\r\n"+long(33), "! too big bulk count string")
	f(nil, "*2\r\n$1\r\na\r\nb", "more 12")
	f(nil, "*2\r\n$1\r\na\r\nb\r\n", "! expected '$', got 'b'")
	f(nil, "*1\r\n\x01\r\n", "! expected '$', got ' '")
	f(nil, "*1\r\n\r\n", "! expected '$', got ' '")
	f(nil, "PING\r\n*1\r\n*1\r\n", `"PING"`, "! expected '$', got '*'")

	// Before AUTH.
	f(unauth, "*11\r\n", "! unauthenticated multibulk length")
	f(unauth, "*10\r\n", "more 5")
	f(unauth, "*1048577\r\n", "! invalid multibulk length")
	f(unauth, "*1\r\n$16385\r\n", "! unauthenticated bulk length")
	f(unauth, "*1\r\n$16384\r\n", "more 12")
	f(unauth, "*1\r\n$536870913\r\n", "! invalid bulk length")

	// A line with a zero byte never ends, and runs into the limit.
	f(small, "PI\x00NG\r\n", "more 7")
	f(small, "PI\x00NG\r\n"+long(32), "! too big inline request")
	f(small, "*\x001\r\n"+long(32), "! too big mbulk count string")
	f(small, "*1\r\n$\x001\r\n"+long(32), "! too big bulk count string")

	// Inline commands.
	f(nil, "PING\r\n", `"PING"`)
	f(nil, "  SET\tk  v \n", `"SET" "k" "v"`)
	f(nil, "a\vb \v c\r\n", `"a\vb" "c"`)
	f(nil, `SET "a b" 'c d' e`+"\r\n", `"SET" "a b" "c d" "e"`)
	f(nil, `"" ''`+"\r\n", `"" ""`)
	f(nil, `"\x41\xfg\n\r\t\b\a\q\"\\"`+"\r\n", `"Axfg\n\r\t\b\aq\"\\"`)
	f(nil, `'\x41\'\n'`+"\r\n", `"\\x41'\\n"`)
	f(nil, `ab"c d" e\n`+"\r\n", `"abc d" "e\\n"`)
	f(nil, `"\xff\x00"`+"\r\n", `"\xff\x00"`)
	f(nil, "\"a\"b\r\n", "! unbalanced quotes in request")
	f(nil, "'a'b\r\n", "! unbalanced quotes in request")
	f(nil, "\"a\r\n", "! unbalanced quotes in request")
	f(nil, "'a\r\n", "! unbalanced quotes in request")
	f(nil, "\"a\\\r\n", "! unbalanced quotes in request")
	f(nil, "\"a\\\"\r\n", "! unbalanced quotes in request")
	f(small, long(32)+"\n", `"`+long(32)+`"`)
	f(small, long(33)+"\n", "! too big inline request")
	f(small, long(32), "more 32")
	f(small, long(33), "! too big inline request")
}

func TestParserIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 40 {
		t.Errorf("a parser has %d bytes", size)
	}
}

func TestParserNeed(t *testing.T) {
	var p Parser
	input := "*2\r\n$3\r\nGET\r\n$1000\r\n" + strings.Repeat("v", 1000) + "\r\n"
	f := func(have, want int) {
		t.Helper()
		if _, n, err := p.Next([]byte(input[:have]), nil, nil); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if got := p.Need(); got != want {
			t.Errorf("with %d bytes: Need() = %d, want %d", have, got, want)
		}
	}
	f(1, 0)
	f(4, 0)
	f(8, 13)
	f(13, 0)
	f(20, len(input))
	f(500, len(input))
	f(len(input)-1, len(input))
	if args, n, _ := p.Next([]byte(input), nil, nil); n != len(input) || len(args[1]) != 1000 {
		t.Error(n, len(args))
	}
	if p.Need() != 0 {
		t.Error("Need after a command")
	}
}

// Arguments are appended behind those the caller has, and cannot grow into
// their neighbours.
func TestParserBorrows(t *testing.T) {
	var p Parser
	buf := []byte("*2\r\n$1\r\na\r\n$1\r\nb\r\n")
	args, n, err := p.Next(buf, nil, [][]byte{[]byte("0")})
	if err != nil || n != len(buf) || len(args) != 3 {
		t.Fatal(args, n, err)
	}
	if &args[1][0] != &buf[8] {
		t.Error("the argument is a copy")
	}
	_ = append(args[1], "XXXXXX"...)
	if string(args[2]) != "b" {
		t.Error("appending to an argument reached the next")
	}
}

// A command of many arguments that comes in small pieces is not parsed from its
// beginning each time.
func TestParserManyPieces(t *testing.T) {
	const count = 1 << 20
	buf := append([]byte("*1048576\r\n"), bytes.Repeat([]byte("$1\r\na\r\n"), count)...)
	var p Parser
	calls := 0
	for have := 1; have < len(buf); have += 101 {
		calls++
		if _, n, err := p.Next(buf[:have], nil, nil); n != 0 || err != nil {
			t.Fatal(have, n, err)
		}
	}
	args, n, err := p.Next(buf, nil, nil)
	if n != len(buf) || err != nil || len(args) != count {
		t.Fatal(len(args), n, err)
	}
	// Quadratic work would be 70,000 × 3.5 MB on average: minutes.
}

var parserSeeds = []string{
	"*1\r\n$4\r\nPING\r\n",
	"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
	"*2\r\n$4\r\nECHO\r\n$11\r\n\r\n$5\r\n\x00\xff\r\n \r\n",
	"*12\r\n" + strings.Repeat("$1\r\na\r\n", 12),
	"*0\r\n*-1\r\n\r\n  \r\n*1\r\n$0\r\n\r\n",
	"*1\rX$2\rXabXX",
	"*\r\n", "*01\r\n", "*99999999999999999999\r\n", "*21\r\n", "*1\r\n$\r\n", "*1\r\n$-1\r\n", "*1\r\n$33\r\n", "*1\r\nxyz\r\n", "*1\r\n\x00\r\n",
	"PING\r\nSET k v\n\n", "SET \"a b\" 'c\\'d' \"\\x41\\n\\q\"\r\n", "\"a\"b\r\n", "'open\r\n", "a\x00b\r\n",
	"*2\r\n$1\r\na\r\nPING\r\n", strings.Repeat("y", 70), "*" + strings.Repeat("1", 70), "*2\r\n$1\r\na\r\n$" + strings.Repeat("1", 70),
	"*11\r\n", "*1\r\n$30\r\n012345678901234567890123456789\r\n",
}

// Whatever the pieces an input comes in, it is the same commands, the same
// bytes and the same error.
func FuzzParser(f *testing.F) {
	for _, seed := range parserSeeds {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, unauth bool) {
		if len(input) > 300 {
			return
		}
		lim := &Limits{BulkBytesMax: 32, ArgsMax: 20, InlineBytesMax: 64, Unauthenticated: unauth}
		cmds, rest, failure := parseAll(t, lim, input)
		check := func(how string, pieces ...[]byte) {
			cmds2, rest2, failure2 := parseAll(t, lim, pieces...)
			if !slices.Equal(cmds, cmds2) || failure != failure2 || failure == "" && rest != rest2 {
				t.Fatalf("%s of %q:\n%v %d %q, but whole\n%v %d %q", how, input, cmds2, rest2, failure2, cmds, rest, failure)
			}
		}
		for i := range len(input) + 1 {
			check(fmt.Sprint("split at ", i), input[:i], input[i:])
		}
		var single [][]byte
		for i := range input {
			single = append(single, input[i:i+1])
		}
		check("single bytes", single...)
		for _, c := range failure {
			if c < ' ' || c == 0x7f {
				t.Fatalf("control byte in %q", failure)
			}
		}
		// What was read can be written again, and reads the same.
		for _, c := range cmds {
			if c.args == "" {
				continue
			}
			var args [][]byte
			for _, word := range splitQuoted(t, c.args) {
				args = append(args, []byte(word))
			}
			again, _, _ := parseAll(t, nil, AppendCommand(nil, args...))
			if len(again) != 1 || again[0].args != c.args {
				t.Fatalf("%q written again is %v", c.args, again)
			}
		}
	})
}

func splitQuoted(t *testing.T, s string) (words []string) {
	for s != "" {
		q, err := strconv.QuotedPrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		w, _ := strconv.Unquote(q)
		words = append(words, w)
		s = strings.TrimPrefix(s[len(q):], " ")
	}
	return words
}

// What AppendQuoted writes, SplitArgs reads.
func FuzzQuoted(f *testing.F) {
	f.Add([]byte("a \"b\" \\x41 \r\n\t\a\b\x00\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		line := AppendQuoted(AppendQuoted(nil, b), nil)
		line = append(line[:len(line)-2], " ''"...)
		args, ok := SplitArgs(line, nil)
		if !ok || len(args) != 2 || !bytes.Equal(args[0], b) || len(args[1]) != 0 {
			t.Fatalf("%q %v %q", b, ok, args)
		}
	})
}

func BenchmarkParser(b *testing.B) {
	run := func(name string, one []byte) {
		b.Run(name, func(b *testing.B) {
			burst := bytes.Repeat(one, 64)
			args := make([][]byte, 0, 64)
			var p Parser
			b.SetBytes(int64(len(one)))
			b.ReportAllocs()
			rest := burst
			for b.Loop() {
				if len(rest) == 0 {
					rest = burst
				}
				_, n, err := p.Next(rest, &DefaultLimits, args[:0])
				if n == 0 || err != nil {
					b.Fatal(n, err)
				}
				rest = rest[n:]
			}
		})
	}
	run("PING", AppendCommandString(nil, "PING"))
	run("GET", AppendCommandString(nil, "GET", "key:000000000042"))
	run("SET", AppendCommandString(nil, "SET", "key:000000000042", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
	run("MSET10", AppendCommandString(nil, append([]string{"MSET"}, strings.Fields(strings.Repeat("key:000000000042 value ", 10))...)...))
	run("inline", []byte("SET key:000000000042 xxx\r\n"))
}
