package connection

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/internal/testkit"
)

// field is one field of a line of CLIENT INFO or CLIENT LIST.
func field(line, name string) string {
	for _, item := range strings.Fields(line) {
		if key, value, _ := strings.Cut(item, "="); key == name {
			return value
		}
	}
	return "(missing)"
}

func number(t testing.TB, line, name string) int {
	t.Helper()
	n, err := strconv.Atoi(field(line, name))
	if err != nil {
		t.Fatalf("%s in %q: %v", name, line, err)
	}
	return n
}

// ids are the clients that a list is about.
func ids(list string) (ids []string) {
	for line := range strings.Lines(list) {
		ids = append(ids, field(line, "id"))
	}
	return ids
}

func TestFieldsInOrder(t *testing.T) {
	s := serve(t, nil)
	c := s.Dial(t)
	line := ask(t, c, "CLIENT", "INFO")
	var names []string
	for _, item := range strings.Fields(line) {
		name, _, _ := strings.Cut(item, "=")
		names = append(names, name)
	}
	const want = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free argv-mem multi-mem " +
		"rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver tot-net-in tot-net-out tot-cmds"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if field(line, "laddr") != s.Addr {
		t.Errorf("laddr is %s, the server listens at %s", field(line, "laddr"), s.Addr)
	}
}

func TestCountersGrow(t *testing.T) {
	c := serve(t, nil).Dial(t)
	before := ask(t, c, "CLIENT", "INFO")
	after := ask(t, c, "CLIENT", "INFO")
	if grown := number(t, after, "tot-net-in") - number(t, before, "tot-net-in"); grown != len("*2\r\n$6\r\nCLIENT\r\n$4\r\nINFO\r\n") {
		t.Errorf("tot-net-in grew by %d", grown)
	}
	if grown := number(t, after, "tot-net-out") - number(t, before, "tot-net-out"); grown < len(before) {
		t.Errorf("tot-net-out grew by %d, after a reply of %d bytes", grown, len(before))
	}
	if grown := number(t, after, "tot-cmds") - number(t, before, "tot-cmds"); grown != 1 {
		t.Errorf("tot-cmds grew by %d", grown)
	}
}

func TestFlags(t *testing.T) {
	s := serve(t, nil)
	c, observer := s.Dial(t), s.Dial(t)
	id := ask(t, c, "CLIENT", "ID")
	f := func(want string, args ...string) {
		t.Helper()
		ask(t, c, args...)
		if got := field(ask(t, observer, "CLIENT", "LIST", "ID", id), "flags"); got != want {
			t.Errorf("after %v: %s, want %s", args, got, want)
		}
	}
	f("N", "PING")
	f("e", "CLIENT", "NO-EVICT", "ON")
	f("eT", "CLIENT", "NO-TOUCH", "ON")
	f("xeT", "MULTI")
	f("eT", "DISCARD")
	f("T", "CLIENT", "NO-EVICT", "OFF")
	f("N", "RESET")
	if err := c.Send("WAIT", "1", "0"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return field(ask(t, observer, "CLIENT", "LIST", "ID", id), "flags") == "b" })
}

func waitFor(t testing.TB, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}

func TestReply(t *testing.T) {
	for _, target := range []testkit.Target{testkit.Redis(t), serve(t, nil)} {
		t.Run(target.Name(), func(t *testing.T) { testReply(t, target.Dial(t)) })
	}
}

func testReply(t *testing.T, c testkit.Client) {
	defer c.Close()
	send := func(commands ...string) {
		t.Helper()
		for _, command := range commands {
			if err := c.Send(strings.Fields(command)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	receive := func(want string) {
		t.Helper()
		v, err := c.Receive(5 * time.Second)
		if err != nil || v.Text() != want {
			t.Fatalf("got %q, %v; want %q", v.Text(), err, want)
		}
	}
	send("CLIENT REPLY OFF", "PING one", "GET key", "NOSUCH", "CLIENT REPLY nonsense", "CLIENT REPLY ON")
	receive("OK")
	send("CLIENT REPLY SKIP", "PING two", "PING three")
	receive("three")
	send("CLIENT REPLY SKIP", "SET key value", "GET key")
	receive("value")
	send("CLIENT REPLY SKIP", "NOSUCH", "PING four")
	receive("four")
	send("CLIENT REPLY OFF", "CLIENT REPLY SKIP", "PING five", "RESET")
	receive("RESET")
	send("PING six")
	receive("six")
	send("CLIENT REPLY SKIP", "CLIENT REPLY ON")
	receive("OK")
	send("PING seven")
	receive("seven")
	send("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING eight", "PING nine")
	receive("nine")
	send("CLIENT REPLY SKIP", "CLIENT REPLY OFF", "PING ten", "CLIENT REPLY ON")
	receive("OK")
}

func TestKill(t *testing.T) {
	s := serve(t, nil)
	me := s.Dial(t)
	f := func(want string, filters func(id, addr, laddr string) []string) {
		t.Helper()
		victim, bystander := s.Dial(t), s.Dial(t)
		info := ask(t, victim, "CLIENT", "INFO")
		ask(t, bystander, "PING")
		args := append([]string{"CLIENT", "KILL"}, filters(field(info, "id"), field(info, "addr"), field(info, "laddr"))...)
		expect(t, want, me, args...)
		// At once, not when its loop gets to it.
		if list := ask(t, me, "CLIENT", "LIST"); strings.Contains(list, "id="+field(info, "id")+" ") {
			t.Errorf("after %v it is still listed:\n%s", args, list)
		}
		gone(t, victim)
		expect(t, "PONG", bystander, "PING")
		bystander.Close()
	}
	f("OK", func(_, addr, _ string) []string { return []string{addr} })
	f("1", func(id, _, _ string) []string { return []string{"ID", id} })
	f("1", func(id, _, _ string) []string { return []string{"ID", "1000000", id, id} })
	f("1", func(id, _, _ string) []string { return []string{"id", "1000000", "id", id} })
	f("1", func(_, addr, _ string) []string { return []string{"ADDR", addr} })
	f("1", func(_, addr, laddr string) []string {
		return []string{"LADDR", laddr, "ADDR", addr, "USER", "default", "TYPE", "normal"}
	})
	f("1", func(id, _, _ string) []string { return []string{"NOT-FLAGS", "x", "ID", id} })

	expect(t, "0", me, "CLIENT", "KILL", "ID", ask(t, me, "CLIENT", "ID"))
	expect(t, "1", me, "CLIENT", "KILL", "ID", ask(t, me, "CLIENT", "ID"), "SKIPME", "no")
	gone(t, me)
	me = s.Dial(t)
	expect(t, "OK", me, "CLIENT", "KILL", field(ask(t, me, "CLIENT", "INFO"), "addr"))
	gone(t, me)
}

func TestKillInsideTransaction(t *testing.T) {
	s := serve(t, nil)
	me := s.Dial(t)
	expect(t, "OK", me, "MULTI")
	expect(t, "QUEUED", me, "CLIENT", "KILL", "SKIPME", "NO", "TYPE", "NORMAL")
	expect(t, "QUEUED", me, "PING")
	v, err := me.Do("EXEC")
	if err != nil || len(v.Elems) != 2 || v.Elems[0].Int != 1 || v.Elems[1].Text() != "PONG" {
		t.Fatalf("%v, %v", v, err)
	}
	gone(t, me)
}

func TestSelection(t *testing.T) {
	s := serve(t, nil)
	dial := func() (c testkit.Client, id string) {
		c = s.Dial(t)
		return c, ask(t, c, "CLIENT", "ID")
	}
	a, idA := dial()
	b, idB := dial()
	me, idMe := dial()
	ask(t, a, "CLIENT", "SETNAME", "alice")
	ask(t, a, "CLIENT", "SETINFO", "LIB-NAME", "lib")
	ask(t, a, "CLIENT", "SETINFO", "LIB-VER", "1.0")
	ask(t, b, "CLIENT", "SETNAME", "bob")
	ask(t, b, "SELECT", "3")
	ask(t, b, "CLIENT", "NO-TOUCH", "ON")
	addrA := field(ask(t, a, "CLIENT", "INFO"), "addr")
	f := func(want string, filters ...string) {
		t.Helper()
		names := map[string]string{idA: "a", idB: "b", idMe: "me"}
		var got []string
		for _, id := range ids(ask(t, me, append([]string{"CLIENT", "LIST"}, filters...)...)) {
			got = append(got, names[id])
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%v: got %q, want %q", filters, got, want)
		}
	}
	f("a b me")
	f("a b me", "TYPE", "normal")
	f("", "NOT-TYPE", "normal")
	f("a b me", "NOT-TYPE", "pubsub")
	f("", "TYPE", "primary")
	f("b a", "ID", idB, idA, idB)
	f("b", "ID", idB, idA, "NAME", "bob")
	f("a me", "NOT-ID", idB, "1000000")
	f("me", "NOT-ID", idB, idA, "TYPE", "normal")
	f("a", "NAME", "alice")
	f("", "NAME", "alic")
	f("b me", "NOT-NAME", "alice")
	f("b", "NAME", "alice", "NAME", "bob")
	f("a b", "SKIPME", "yes")
	f("a b me", "SKIPME", "no")
	f("a", "LIB-NAME", "lib")
	f("b me", "NOT-LIB-NAME", "lib")
	f("a", "LIB-VER", "1.0")
	f("b", "DB", "3")
	f("a me", "NOT-DB", "3")
	f("b", "FLAGS", "T")
	f("a me", "NOT-FLAGS", "T")
	f("", "FLAGS", "TN")
	f("a", "ADDR", addrA)
	f("b me", "NOT-ADDR", addrA)
	f("a b me", "LADDR", s.Addr)
	f("a b me", "IP", "127.0.0.1")
	f("", "NOT-IP", "127.0.0.1")
	f("a b me", "USER", "default")
	f("", "NOT-USER", "default")
	f("", "MAXAGE", "1000")
	f("", "IDLE", "1000")

	refused := func(want string, filters ...string) {
		t.Helper()
		expect(t, want, me, append([]string{"CLIENT", "LIST"}, filters...)...)
	}
	refused("ERR syntax error", "NOT-SKIPME", "yes")
	refused("ERR syntax error", "NOT-MAXAGE", "1")
	refused("ERR syntax error", "NOT-NOT-ID", "1")
	refused("ERR syntax error", "ID", "1", "NAME")
	refused("ERR syntax error", strings.Repeat("x", 1000), "y")
	refused("ERR Invalid client ID", "ID", "1", "NOT-MAXAGE", "5")
	refused("ERR Unknown client type 'x'", "NOT-TYPE", "x\x00y")
	refused("ERR No such user 'nobody'", "NOT-USER", "nobody")
	refused("ERR Unknown flags found in the provided filter: TZ", "FLAGS", "TZ")
	refused("ERR Unknown flags found in the NOT-FLAGS filter: ZT", "NOT-FLAGS", "ZT")
	refused("ERR DB is not an integer or out of range", "DB", "x")
	refused("ERR DB number should be between 0 and 15", "DB", "16")
	refused("ERR NOT-DB number should be between 0 and 15", "NOT-DB", "-1")
	refused("ERR idle is not an integer or out of range", "IDLE", "x")
	refused("ERR idle should be greater than 0", "IDLE", "0")
}

// The judge is asked as well: WAIT is a blocking command that it knows.
func TestUnblock(t *testing.T) {
	for _, target := range []testkit.Target{testkit.Redis(t), serve(t, nil)} {
		t.Run(target.Name(), func(t *testing.T) {
			waiter, c := target.Dial(t), target.Dial(t)
			defer waiter.Close()
			defer c.Close()
			id := ask(t, waiter, "CLIENT", "ID")
			f := func(want string, args ...string) {
				t.Helper()
				expect(t, "0", c, "CLIENT", "UNBLOCK", id)
				if err := waiter.Send("WAIT", "1", "0"); err != nil {
					t.Fatal(err)
				}
				waitFor(t, func() bool { return ask(t, c, append([]string{"CLIENT", "UNBLOCK", id}, args...)...) == "1" })
				if v, err := waiter.Receive(5 * time.Second); err != nil || v.Text() != want {
					t.Fatalf("%v: got %q, %v; want %q", args, v.Text(), err, want)
				}
				expect(t, "PONG", waiter, "PING")
			}
			f("0")
			f("0", "timeout")
			f("UNBLOCKED client unblocked via CLIENT UNBLOCK", "ERROR")
		})
	}
}

func TestHelp(t *testing.T) {
	c := serve(t, nil).Dial(t)
	v, err := c.Do("CLIENT", "HELP")
	if err != nil || len(v.Elems) == 0 || !strings.HasPrefix(v.Elems[0].Text(), "CLIENT <subcommand> ") {
		t.Fatalf("%v, %v", v, err)
	}
	var names []string
	for _, line := range v.Elems[1:] {
		if text := line.Text(); !strings.HasPrefix(text, " ") {
			names = append(names, strings.Fields(text)[0])
		}
	}
	const want = "CACHING GETNAME GETREDIR ID INFO KILL LIST NO-EVICT NO-TOUCH PAUSE REPLY SETINFO SETNAME " +
		"TRACKING TRACKINGINFO UNBLOCK UNPAUSE HELP"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s", got)
	}
}

// A pause lasts as long as asked for, even when that is longer than any clock runs.
func TestPauseForever(t *testing.T) {
	s := serve(t, nil)
	c := s.Dial(t)
	expect(t, "OK", c, "CLIENT", "PAUSE", "9223372036854775807", "WRITE")
	if actions, left := s.PauseInfo(); actions != "write" || left < 99*365*24*time.Hour {
		t.Errorf("%s for %v", actions, left)
	}
	expect(t, "OK", c, "CLIENT", "UNPAUSE")
	if actions, _ := s.PauseInfo(); actions != "none" {
		t.Error(actions)
	}
	expect(t, "OK", c, "SET", "key", "value")
}

// A client inside the process is listed like any other, though it has no address.
func TestEmbeddedClient(t *testing.T) {
	s := serve(t, nil)
	c, err := s.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Do("CLIENT", "LIST", "IP", "?")
	if err != nil {
		t.Fatal(err)
	}
	if line := v.Text(); field(line, "addr") != "?:0" || field(line, "laddr") != "?:0" || field(line, "fd") != "-1" || field(line, "resp") != "3" {
		t.Error(line)
	}
	if v, err := c.Do("CLIENT", "KILL", "?:0"); err != nil || v.Text() != "OK" {
		t.Errorf("%v, %v", v, err)
	}
}

func TestAtLeast(t *testing.T) {
	f := func(age time.Duration, seconds string, want bool) {
		t.Helper()
		holds, err := filters["MAXAGE"].read(nil, "MAXAGE", []byte(seconds))
		if err != nil {
			t.Fatal(err)
		}
		if got := holds(&peer{info: engine.ClientInfo{Age: age}}); got != want {
			t.Errorf("%v is at least %s s: %t", age, seconds, got)
		}
	}
	f(999*time.Millisecond, "1", false)
	f(time.Second, "1", true)
	f(time.Hour, "3600", true)
	f(time.Hour, "3601", false)
	f(time.Hour, "9223372036854775807", false)
}

// Comparing prefixes with each other is bounded, whatever a client sends.
func TestManyPrefixes(t *testing.T) {
	c := serve(t, nil).Dial(t)
	args := []string{"CLIENT", "TRACKING", "ON", "BCAST"}
	for range 100 * prefixesMax {
		args = append(args, "PREFIX", "same")
	}
	expect(t, errTracking.Error(), c, args...)
}
