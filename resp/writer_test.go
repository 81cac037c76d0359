package resp

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
	f := func(write func(*Writer), resp2, resp3 string) {
		t.Helper()
		for proto, want := range map[int]string{2: resp2, 3: resp3} {
			w := &Writer{Proto: proto}
			write(w)
			if got := string(w.Buf); got != want {
				t.Errorf("RESP%d: %q, want %q", proto, got, want)
			}
			if w.Len() != len(want) {
				t.Errorf("Len() = %d", w.Len())
			}
			if w.Reset(); w.Len() != 0 {
				t.Error("Reset left bytes")
			}
		}
	}
	same := func(write func(*Writer), want string) { t.Helper(); f(write, want, want) }

	for n, want := range map[int64]string{
		0: ":0\r\n", 9: ":9\r\n", 10: ":10\r\n", 99: ":99\r\n", 100: ":100\r\n", -1: ":-1\r\n",
		math.MaxInt64: ":9223372036854775807\r\n", math.MinInt64: ":-9223372036854775808\r\n",
	} {
		same(func(w *Writer) { w.Int(n) }, want)
	}
	same(func(w *Writer) { w.Bulk(nil) }, "$0\r\n\r\n")
	same(func(w *Writer) { w.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n")
	same(func(w *Writer) { w.BulkString(strings.Repeat("x", 100)) }, "$100\r\n"+strings.Repeat("x", 100)+"\r\n")
	same(func(w *Writer) { w.BulkInt(-12) }, "$3\r\n-12\r\n")
	same(func(w *Writer) { w.Bulks([]byte("k"), []byte("v")) }, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
	same(func(w *Writer) { w.BulkStrings() }, "*0\r\n")
	same(func(w *Writer) { w.OK() }, "+OK\r\n")
	same(func(w *Writer) { w.Simple("QUEUED") }, "+QUEUED\r\n")
	same(func(w *Writer) { w.Simple("a\r\nb") }, "+a  b\r\n")
	same(func(w *Writer) { w.Raw([]byte(":1\r\n")) }, ":1\r\n")
	same(func(w *Writer) { w.Array(12) }, "*12\r\n")

	same(func(w *Writer) { w.Error(ErrNoAuth) }, "-NOAUTH Authentication required.\r\n")
	same(func(w *Writer) { w.Error(errors.New("no\r\n+OK\x00\x7f")) }, "-ERR no  +OK  \r\n")
	same(func(w *Writer) { w.Error(errCount) }, "-ERR Protocol error: invalid multibulk length\r\n")

	f(func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n")
	f(func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n")
	f(func(w *Writer) { w.Map(3) }, "*6\r\n", "%3\r\n")
	f(func(w *Writer) { w.Set(3) }, "*3\r\n", "~3\r\n")
	f(func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n")
	same(func(w *Writer) { w.Attribute(1) }, "|1\r\n")
	f(func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n")
	f(func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n")
	f(func(w *Writer) { w.Double(1.5) }, "$3\r\n1.5\r\n", ",1.5\r\n")
	f(func(w *Writer) { w.HumanDouble([]byte("4.1")) }, "$3\r\n4.1\r\n", ",4.1\r\n")
	f(func(w *Writer) { w.BigNumber("-123") }, "$4\r\n-123\r\n", "(-123\r\n")
	f(func(w *Writer) { w.Verbatim("txt", "a\r\n") }, "$3\r\na\r\n\r\n", "=7\r\ntxt:a\r\n\r\n")

	// Lengths known at the end, one inside the other.
	f(func(w *Writer) {
		w.OK()
		outer := w.Deferred()
		w.Int(1)
		inner := w.Deferred()
		w.Int(2)
		w.Int(3)
		w.SetMap(inner, 1)
		set := w.Deferred()
		w.SetSet(set, 0)
		w.SetArray(outer, 300)
		w.Int(4)
	}, "+OK\r\n*300\r\n:1\r\n*2\r\n:2\r\n:3\r\n*0\r\n:4\r\n",
		"+OK\r\n*300\r\n:1\r\n%1\r\n:2\r\n:3\r\n~0\r\n:4\r\n")
	f(func(w *Writer) { at := w.Deferred(); w.Int(1); w.SetPush(at, 1) }, "*1\r\n:1\r\n", ">1\r\n:1\r\n")
}

func TestErrorTexts(t *testing.T) {
	f := func(got Error, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	bytes := func(words ...string) (args [][]byte) {
		for _, w := range words {
			args = append(args, []byte(w))
		}
		return args
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	f(WrongArity("GET"), "ERR wrong number of arguments for 'get' command")
	f(WrongArity("client|kill"), "ERR wrong number of arguments for 'client|kill' command")
	f(UnknownSubcommand("client", []byte("x")), "ERR unknown subcommand 'x'. Try CLIENT HELP.")
	f(UnknownSubcommand("client", []byte(x(200))), "ERR unknown subcommand '"+x(128)+"'. Try CLIENT HELP.")
	f(UnknownCommand([]byte("foo"), bytes("bar")), "ERR unknown command 'foo', with args beginning with: 'bar' ")
	f(UnknownCommand([]byte("foo"), nil), "ERR unknown command 'foo', with args beginning with: ")
	f(UnknownCommand([]byte("a\r\nb\x00c"), bytes("\x01\n", "d\x00e", "")), "ERR unknown command 'a  b', with args beginning with: '  ' 'd' '' ")
	f(UnknownCommand([]byte(x(200)), bytes(x(50), x(200), "never")),
		"ERR unknown command '"+x(128)+"', with args beginning with: '"+x(50)+"' '"+x(75)+"' ")
	f(Error(ErrOOM.Code()), "OOM")
}

func BenchmarkWriter(b *testing.B) {
	value := []byte("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	run := func(name string, write func(*Writer)) {
		b.Run(name, func(b *testing.B) {
			w := &Writer{Buf: make([]byte, 0, 1<<16), Proto: 3}
			b.ReportAllocs()
			for b.Loop() {
				if w.Len() > 1<<15 {
					w.Reset()
				}
				write(w)
			}
		})
	}
	run("OK", func(w *Writer) { w.OK() })
	run("Int", func(w *Writer) { w.Int(12345) })
	run("Bulk", func(w *Writer) { w.Bulk(value) })
	run("Double", func(w *Writer) { w.Double(3.25) })
	run("Error", func(w *Writer) { w.Error(ErrWrongType) })
	run("Deferred", func(w *Writer) {
		at := w.Deferred()
		w.Bulk(value)
		w.SetArray(at, 1)
	})
}
