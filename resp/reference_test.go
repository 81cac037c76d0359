package resp

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The tests in this file ask a real redis-server for the right answer. They are
// skipped where none is installed.

// reference is a connection to a Redis of the test's own.
type reference struct {
	t    testing.TB
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func startReference(t testing.TB) *reference {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, port, _ := net.SplitHostPort(addr)
	server := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	r := &reference{t: t, addr: addr}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if r.dial() == nil {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
	}
}

func (r *reference) dial() error {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		return err
	}
	if r.conn != nil {
		r.conn.Close()
	}
	r.conn, r.in = conn, bufio.NewReader(conn)
	r.t.Cleanup(func() { conn.Close() })
	return nil
}

// do sends commands in one burst and returns their replies.
func (r *reference) do(cmds ...[]string) []Value {
	r.t.Helper()
	var out []byte
	for _, cmd := range cmds {
		out = AppendCommandString(out, cmd...)
	}
	r.conn.SetDeadline(time.Now().Add(20 * time.Second))
	go r.conn.Write(out)
	var buf []byte
	values := make([]Value, 0, len(cmds))
	for len(values) < len(cmds) {
		if v, n, err := ReadValue(buf); err != nil {
			r.t.Fatal(err)
		} else if n > 0 {
			values = append(values, v)
			buf = buf[n:]
			continue
		}
		chunk := make([]byte, 1<<16)
		n, err := r.in.Read(chunk)
		if err != nil {
			r.t.Fatal(err)
		}
		buf = append(bytes.Clone(buf), chunk[:n]...)
	}
	return values
}

func TestAddFloatHumanAgainstRedis(t *testing.T) {
	r := startReference(t)
	rng := rand.New(rand.NewPCG(5, 6))
	type pair struct{ a, b string }
	pairs := []pair{
		{"3.0", "1.1"}, {"10.5", "0.1"}, {"5.0e3", "2.0e2"}, {"1", "1e17"}, {"18446744073709551615", "2"}, {"0", "1e-18"}, {"0", "-1e-18"},
		{"-0", "-0"}, {"1e4932", "1e4932"}, {"1.18973149535723176502e+4932", "0"}, {"1.18973149535723176505e+4932", "0"}, {"1.18973149535723176509e+4932", "0"},
		{"1e4933", "0"}, {"3.6e-4951", "0"}, {"1.9e-4951", "0"}, {"1.8e-4951", "0"}, {"1e-4960", "0"}, {"inf", "-inf"}, {"inf", "1"},
		{"0x1p16383", "0x1p16383"}, {"0x1p16384", "0"}, {"0x1p-16445", "0"}, {"0x1p-16446", "0"}, {"0x1.1p-16446", "0"}, {"0x1p-16447", "0"},
		{"0xffffffffffffffff", "0x1p-1"}, {"0xffffffffffffffff8", "0"}, {"0xffffffffffffffff8.1", "0"}, {"0x123456789abcdef012345p-30", "1"},
		{"0." + strings.Repeat("1", 5000), "1"}, {strings.Repeat("1", 5117), "1"}, {strings.Repeat("9", 4932), "1"}, {strings.Repeat("0", 5119) + "1", "1"},
		{"0.000000000000000005", "0"}, {"0.5", "0.000000000000000005"}, {"0.000000000000000015", "0"},
	}
	for text := range goodFloats {
		pairs = append(pairs, pair{text, "0.25"})
	}
	for _, text := range badFloats {
		pairs = append(pairs, pair{text, "1"}, pair{"1", text})
	}
	for range 20_000 {
		pairs = append(pairs, pair{randomFloat(rng), randomFloat(rng)})
	}
	// Sums of sums, as a counter makes them.
	for total, i := "0", 0; i < 2000; i++ {
		step := strconv.FormatFloat(rng.Float64()*10-5, 'f', 1+rng.IntN(4), 64)
		pairs = append(pairs, pair{total, step})
		sum, err := AddFloatHuman([]byte(total), []byte(step))
		if err != nil {
			t.Fatal(err)
		}
		total = string(sum)
	}
	for len(pairs) > 0 {
		batch := pairs[:min(len(pairs), 1000)]
		pairs = pairs[len(batch):]
		var cmds [][]string
		for _, p := range batch {
			cmds = append(cmds, []string{"SET", "k", p.a}, []string{"INCRBYFLOAT", "k", p.b})
		}
		replies := r.do(cmds...)
		for i, p := range batch {
			got, err := AddFloatHuman([]byte(p.a), []byte(p.b))
			if err != nil {
				got = []byte(err.Error())
			}
			if want := replies[2*i+1].Text(); string(got) != want {
				t.Errorf("%.60s + %.60s = %.60s, Redis has %.60s", p.a, p.b, got, want)
			}
		}
	}
}

// Redis 7.2 changed how doubles are printed, so this checks the number and, from
// that version on, the digits.
func TestFormatDoubleAgainstRedis(t *testing.T) {
	r := startReference(t)
	shortest := false
	for _, line := range strings.Fields(r.do([]string{"INFO", "server"})[0].Text()) {
		if v, ok := strings.CutPrefix(line, "redis_version:"); ok {
			var major, minor int
			fmt.Sscanf(v, "%d.%d", &major, &minor)
			shortest = major > 7 || major == 7 && minor >= 2
		}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	var cmds [][]string
	var numbers []float64
	for range 2000 {
		x := math.Float64frombits(rng.Uint64())
		if rng.IntN(2) == 0 {
			x = math.Round(rng.NormFloat64()*1e6) / 1e3
		}
		if x != x || math.IsInf(x, 0) {
			continue
		}
		text := string(FormatDouble(nil, x))
		numbers = append(numbers, x)
		cmds = append(cmds, []string{"ZADD", "z", text, "m"}, []string{"ZSCORE", "z", "m"})
	}
	replies := r.do(cmds...)
	for i, x := range numbers {
		text := replies[2*i+1].Text()
		if back, ok := ParseFloat([]byte(text)); !ok || back != x {
			t.Errorf("%v: Redis understood %s", x, text)
		}
		if got := string(FormatDouble(nil, x)); shortest && got != text {
			t.Errorf("%v: %s, Redis has %s", x, got, text)
		}
	}
}

func TestParseNumbersAgainstRedis(t *testing.T) {
	r := startReference(t)
	var cmds [][]string
	var texts []string
	for text := range goodFloats {
		texts = append(texts, text)
	}
	texts = append(append(texts, badFloats...), "1e309", "1e-330", "4.9e-324", "2e-324", "2.5e-324", "01", "-0", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809")
	for _, text := range texts {
		cmds = append(cmds, []string{"ZADD", "z", text, "m"}, []string{"SET", "k", text}, []string{"INCRBY", "k", "0"})
	}
	replies := r.do(cmds...)
	for i, text := range texts {
		if _, ok := ParseFloat([]byte(text)); ok == (replies[3*i].Err() != nil) {
			t.Errorf("float %.40q: %v, but Redis %s", text, ok, replies[3*i])
		}
		if _, ok := ParseInt([]byte(text)); ok == (replies[3*i+2].Err() != nil) {
			t.Errorf("integer %.40q: %v, but Redis %s", text, ok, replies[3*i+2])
		}
	}
}

func TestErrorsAgainstRedis(t *testing.T) {
	r := startReference(t)
	f := func(want Error, cmd ...string) {
		t.Helper()
		w := &Writer{}
		w.Error(want)
		v, _, _ := ReadValue(w.Buf)
		if got := r.do(cmd)[0]; got.Text() != v.Text() {
			t.Errorf("%.30q:\ngot   %q\nRedis %q", cmd, v.Text(), got.Text())
		}
	}
	unknown := func(cmd ...string) {
		t.Helper()
		var args [][]byte
		for _, arg := range cmd[1:] {
			args = append(args, []byte(arg))
		}
		f(UnknownCommand([]byte(cmd[0]), args), cmd...)
	}
	long := strings.Repeat("x", 200)
	unknown("foo")
	unknown("foo", "bar")
	unknown("foo", "", "a b", "c'd")
	unknown("foo\r\nbar\x00baz", "a\r\nb", "c\x00d", "\xff\xfe")
	unknown(long, long)
	unknown("foo", long[:50], long[:60], long, "never")
	unknown("foo", long[:124], "b", "c")
	unknown("foo", long[:125], "b", "c")
	unknown("foo", long[:128], "b")
	f(UnknownSubcommand("client", []byte("nope")), "client", "nope")
	f(UnknownSubcommand("OBJECT", []byte(long)), "OBJECT", long)
	f(UnknownSubcommand("CONFIG", []byte("a\r\nb\x00c")), "CONFIG", "a\r\nb\x00c")
	f(WrongArity("GET"), "GET")
	f(InvalidExpire("SETEX"), "SETEX", "k", "0", "v")
	f(WrongArity("client|setname"), "CLIENT", "SETNAME")
	r.do([]string{"SET", "s", "x"}, []string{"RPUSH", "l", "x"}, []string{"SET", "max", "9223372036854775807"},
		[]string{"HSET", "h", "f", "x"}, []string{"ZADD", "z", "inf", "m"})
	f(ErrWrongType, "GET", "l")
	f(ErrSyntax, "SET", "s", "x", "nope")
	f(ErrNotInteger, "INCR", "s")
	f(ErrNotFloat, "INCRBYFLOAT", "s", "1")
	f(ErrNaNOrInfinity, "INCRBYFLOAT", "n", "inf")
	f(ErrOverflow, "INCR", "max")
	f(ErrDecrOverflow, "DECRBY", "max", "-9223372036854775808")
	f(ErrNoSuchKey, "RENAME", "none", "x")
	f(ErrOutOfRange, "LSET", "l", "5", "x")
	f(ErrHashNotInteger, "HINCRBY", "h", "f", "1")
	f(ErrHashNotFloat, "HINCRBYFLOAT", "h", "f", "1")
	f(ErrMinMaxNotFloat, "ZRANGEBYSCORE", "z", "a", "b")
	f(ErrMinMaxNotLex, "ZRANGEBYLEX", "z", "a", "b")
	f(ErrScoreNaN, "ZINCRBY", "z", "-inf", "m")
	f(ErrStringTooLong, "SETRANGE", "s", "536870912", "x")
	f(ErrOffset, "SETRANGE", "s", "-1", "x")
	f(ErrBitOffset, "SETBIT", "s", "-1", "1")
	f(ErrDBIndex, "SELECT", "99")
	f(ErrInvalidCursor, "SCAN", "x")
	f(ErrInvalidTTL, "RESTORE", "r", "-1", "x")
	f(ErrBadDumpPayload, "RESTORE", "r", "0", "x")
	f(ErrSameObject, "COPY", "s", "s")
	f(ErrNotPositive, "LPOP", "l", "-1")
	f(ErrTimeoutNotFloat, "BLPOP", "l", "x")
	f(ErrTimeoutNotInt, "WAIT", "0", "x")
	f(ErrTimeoutNegative, "BLPOP", "l", "-1")
	f(ErrNumKeysPositive, "SINTERCARD", "0", "l")
	f(ErrKeysBeyondArgs, "EVAL", "return 1", "3")
	f(ErrKeysNegative, "EVAL", "return 1", "-1")
	f(ErrStreamID, "XADD", "x", "x", "a", "b")
	f(ErrExecNoMulti, "EXEC")
	f(ErrDiscardNoMulti, "DISCARD")
	f(ErrNoScript, "EVALSHA", "x", "0")
	f(ErrNotBusy, "SCRIPT", "KILL")
	f(ErrNoCluster, "CLUSTER", "INFO")
	f(ErrWrongPass, "AUTH", "u", "p")
	f(ErrNoProto, "HELLO", "9")
	f(ErrNoSuchClient, "CLIENT", "KILL", "1.2.3.4:5")
	r.do([]string{"MULTI"})
	f(ErrMultiNested, "MULTI")
	f(ErrWatchInMulti, "WATCH", "a")
	r.do([]string{"GET"})
	f(ErrExecAbort, "EXEC")
	r.do([]string{"XGROUP", "CREATE", "st", "g", "$", "MKSTREAM"})
	f(SubcommandSyntax("xinfo", []byte("STREAM")), "XINFO", "STREAM", "st", "nope")
	f(ErrBusyGroup, "XGROUP", "CREATE", "st", "g", "$")
	dump := r.do([]string{"DUMP", "s"})[0].Text()
	f(ErrBusyKey, "RESTORE", "s", "0", dump)
	r.do([]string{"CONFIG", "SET", "min-replicas-to-write", "1"})
	f(ErrNoReplicas, "SET", "s", "x")
	r.do([]string{"CONFIG", "SET", "min-replicas-to-write", "0", "maxmemory", "1"})
	f(ErrOOM, "SET", "s", "x")
	r.do([]string{"CONFIG", "SET", "maxmemory", "0", "requirepass", "secret"})
	r.do([]string{"SUBSCRIBE", "ch"})
	f(NotInSubscribe("GET"), "GET", "s")
	if err := r.dial(); err != nil {
		t.Fatal(err)
	}
	f(ErrNoAuth, "GET", "s")
}

// What breaks a connection to Redis breaks one here, with the same words, and
// what does not leaves the same commands.
func TestProtocolAgainstRedis(t *testing.T) {
	r := startReference(t)
	inputs := append([]string{}, parserSeeds...)
	long := strings.Repeat("x", 64<<10)
	inputs = append(inputs,
		long, long+"x", "*"+strings.Repeat("1", 64<<10), "*1\r\n"+long+"x", "*3000000000\r\n", "*1\r\n$2000000000\r\n",
		"*1\r\n$x\r\n", "*1\r\n\x01\r\n", "*a\r\n", "*+1\r\n", "*-0\r\n", "*1\r\n$+1\r\n", "*1\r\n$01\r\n",
		"ECHO \"\\x41\\q\\n\"\r\n", "ECHO 'a\\'b\\n'\r\n", "ECHO a\vb\r\n", "\v\fECHO x\r\n", "ECHO \"a\"\vb\r\n", "ECHO a\"b c\"\r\n", "ECHO a\"b\"c\r\n",
		"ECHO \"\\xZZ\"\r\n", "ECHO \"\\", "ECHO \"\\\r\n", "ECHO 'a\\", "ECHO ''\r\n", "ECHO \"\\\"\"\r\n", "ECHO \"a\n", "*2\rX$4\rXECHOXX$1\rXaXX",
	)
	for _, input := range inputs {
		if err := r.dial(); err != nil {
			t.Fatal(err)
		}
		cmds, rest, failure := parseAll(t, nil, []byte(input))
		// Unless it broke or hangs in the middle of something, one more command
		// tells that all was read.
		const marker = "*2\r\n$4\r\nECHO\r\n$6\r\nmarker\r\n"
		r.conn.SetDeadline(time.Now().Add(5 * time.Second))
		sent := input
		if failure == "" && rest == 0 {
			sent += marker
		}
		go func(conn net.Conn) {
			conn.Write([]byte(sent))
			if failure == "" {
				conn.(*net.TCPConn).CloseWrite()
			}
		}(r.conn)
		out, err := io.ReadAll(r.in)
		if err != nil && len(out) == 0 && failure != "" {
			t.Errorf("%.40q: %v, want %q", input, err, failure)
			continue
		}
		var replies []string
		for len(out) > 0 {
			v, n, err := ReadValue(out)
			if n == 0 || err != nil {
				t.Fatalf("%.40q: %q, %v", input, out, err)
			}
			replies = append(replies, v.Text())
			out = out[n:]
		}
		last := ""
		if len(replies) > 0 {
			last = replies[len(replies)-1]
		}
		full := 0
		for _, c := range cmds {
			if c.args != "" {
				if word, ok := strings.CutPrefix(c.args, `"ECHO" `); ok && full < len(replies) {
					if want, err := strconv.Unquote(word); err == nil && replies[full] != want {
						t.Errorf("%.40q: Redis echoes %q, not %q", input, replies[full], want)
					}
				}
				full++
			}
		}
		switch {
		case failure != "":
			full++
			// Redis repeats an unexpected byte even if it is a control byte.
			last = strings.Map(func(c rune) rune { return rune(printable(byte(c))) }, last)
			if last != "ERR "+failure {
				t.Errorf("%.40q: %q, Redis says %q", input, failure, last)
			}
		case rest == 0:
			full++
			if last != "marker" {
				t.Errorf("%.40q: Redis did not read on: %q", input, replies)
			}
		}
		if len(replies) != full {
			t.Errorf("%.40q: %d replies, but Redis gave %.200q", input, full, replies)
		}
	}
}
