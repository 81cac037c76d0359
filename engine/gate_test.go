package engine

import (
	"strings"
	"testing"

	"hyperkv/resp"
)

func TestPassword(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	before := connect(t, e)
	set(t, e, "requirepass", "secret")
	p := connect(t, e)
	noAuth := "-" + resp.ErrNoAuth.Error() + "\r\n"
	p.ask(noAuth, "GET", "a")
	p.ask(noAuth, "MGET", "a", "b")
	p.ask(noAuth, "MULTI")
	p.ask(noAuth, "HERE", "x")
	p.ask("$-1\r\n", "HELLO", "2")
	before.ask("$-1\r\n", "GET", "a")
	p.session.SetAuthenticated(true)
	p.ask("$-1\r\n", "GET", "a")
	p.session.Reset()
	p.ask(noAuth, "GET", "a")
	// Before a client has proved who it is, it may not send much.
	p.feed("*1\r\n$100000\r\n")
	p.expect("-ERR Protocol error: unauthenticated bulk length\r\n")
	q := connect(t, e)
	set(t, e, "requirepass", "")
	q.ask("$-1\r\n", "GET", "a")
	if !q.session.Authenticated() {
		t.Error("still to be authenticated")
	}
}

func TestProtectedCommands(t *testing.T) {
	debug := Family{Name: "debugging", Commands: []Command{{Name: "DEBUG", Arity: 1, Flags: Protected, Session: func(c *Context) error { return c.Reply.OK() }}}}
	for setting, want := range map[string][2]bool{"no": {false, false}, "local": {true, false}, "yes": {true, true}} {
		settings := onShards(1)
		settings["enable_debug_command"] = setting
		e := newEngine(t, Options{Families: []Family{debug}}, settings)
		for i, remote := range []string{"127.0.0.1:5", "192.0.2.1:5"} {
			p := connect(t, e)
			p.session.info.conn.RemoteAddr = remote
			p.send("DEBUG")
			out := p.take()
			if allowed := out == "+OK\r\n"; allowed != want[i] || !allowed && !strings.HasPrefix(out, "-ERR DEBUG command not allowed. If the enable-debug-command option") {
				t.Errorf("%s from %s: %q", setting, remote, out)
			}
		}
	}
}

func TestReplicasMissing(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	set(t, e, "min-replicas-to-write", "1")
	refused := "-" + resp.ErrNoReplicas.Error() + "\r\n"
	p.ask(refused, "SET", "a", "b")
	p.ask("$-1\r\n", "GET", "a")
	set(t, e, "min-replicas-to-write", "0")
	p.ask("+OK\r\n", "MULTI")
	p.ask("+QUEUED\r\n", "SET", "a", "b")
	set(t, e, "min-replicas-to-write", "1")
	p.send("EXEC")
	if out := p.take(); !strings.HasPrefix(out, "-EXECABORT ") {
		t.Errorf("%q", out)
	}
	set(t, e, "min-replicas-to-write", "0")
	p.ask("$-1\r\n", "GET", "a")
}

func TestReset(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	s := p.session
	p.feed(repeat(1, "SELECT", "1") + repeat(1, "NAME", "x") + repeat(1, "MONITOR") + repeat(1, "WATCH", "a") + repeat(1, "MULTI") + repeat(1, "GET", "a"))
	s.SetNoTouch(true)
	s.SetNoEvict(true)
	p.take()
	if info := s.Info(); !info.Monitor || !info.NoTouch || !info.NoEvict || !info.InMulti || info.Multi != 1 || info.Watching != 1 || info.Name != "x" || info.DB != 1 {
		t.Errorf("%+v", info)
	}
	if u := e.ClientUsage(); u.Watching != 1 || u.WatchedKeys != 1 || u.Bytes == 0 {
		t.Errorf("%+v", u)
	}
	s.Reset()
	p.take()
	if info := s.Info(); info.Monitor || info.NoTouch || info.NoEvict || info.InMulti || info.Multi != -1 || info.Watching != 0 || info.Name != "" || info.DB != 0 || info.ArgvBytes != 0 {
		t.Errorf("%+v", info)
	}
	if e.Monitors.any() {
		t.Error("still a monitor")
	}
	p.ask("$-1\r\n", "GET", "a")
}

func TestRedact(t *testing.T) {
	args := words("auth user secret")
	c := &Command{Redact: RedactFrom(1)}
	got := Redact(c, args)
	if string(got[0]) != "auth" || string(got[1]) != "(redacted)" || string(got[2]) != "(redacted)" || string(args[2]) != "secret" {
		t.Errorf("%q, and the arguments are %q", got, args)
	}
	if got := Redact(&Command{}, args); &got[0] != &args[0] {
		t.Error("copied for nothing")
	}
}

// CLIENT REPLY in the words of the toys.
func TestReplyModes(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	for _, held := range []bool{false, true} {
		p := connect(t, e)
		release := func() {}
		if held {
			release = busy(t, e, 0)
		}
		key := keyOn(e, 0, 0)
		p.feed(repeat(1, "REPLY", "skip") + repeat(1, "GET", key) + repeat(1, "ECHO", "1") +
			repeat(1, "REPLY", "skip") + repeat(1, "NOSUCH") + repeat(1, "REPLY", "skip") + repeat(1, "REPLY", "skip") + repeat(1, "MGET", key, "b") +
			repeat(1, "REPLY", "off") + repeat(3, "GET", key) + transaction([]string{"GET", key}) + repeat(1, "REPLY", "skip") + repeat(1, "HERE", "no") + repeat(1, "NOSUCH") +
			repeat(1, "REPLY", "on") + repeat(1, "ECHO", "2"))
		release()
		p.expect("$1\r\n1\r\n+OK\r\n$1\r\n2\r\n")
	}
}
