package connection

import (
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/config"
	"hyperkv/internal/testkit"
)

// TestPassword tells the same story to the judge and to us, because scripts
// begin with a command that needs no password.
func TestPassword(t *testing.T) {
	const (
		noAuth    = "NOAUTH Authentication required."
		wrongPass = "WRONGPASS invalid username-password pair or user is disabled."
	)
	ours := serve(t, map[string]string{"auth_password": "sesame"})
	targets := []testkit.Target{ours}
	if judge := testkit.StartRedis(t, "--requirepass", "sesame"); judge != nil {
		targets = append(targets, testkit.Address("redis", judge.Network, judge.Addr))
	}
	for _, target := range targets {
		t.Run(target.Name(), func(t *testing.T) {
			c := target.Dial(t)
			defer c.Close()
			f := func(want string, args ...string) {
				t.Helper()
				expect(t, want, c, args...)
			}
			f(noAuth, "PING")
			f(noAuth, "ECHO", "x")
			f(noAuth, "SELECT", "1")
			f(noAuth, "CLIENT", "ID")
			f(noAuth, "MULTI")
			for _, args := range [][]string{{"HELLO"}, {"HELLO", "3"}, {"HELLO", "3", "SETNAME", "early"}} {
				// Redis 7.2 words the rest of it otherwise than 7.0.
				if got := ask(t, c, args...); !strings.HasPrefix(got, "NOAUTH HELLO must be called with the client already authenticated") {
					t.Fatalf("%v: %s", args, got)
				}
			}
			f("NOPROTO unsupported protocol version", "HELLO", "4")
			f(wrongPass, "AUTH", "open")
			f(wrongPass, "AUTH", "")
			f(wrongPass, "AUTH", "sesam")
			f(wrongPass, "AUTH", "sesame\x00")
			f(wrongPass, "AUTH", "Default", "sesame")
			f(wrongPass, "AUTH", "default", "open")
			f(wrongPass, "AUTH", "", "")
			f(wrongPass, "HELLO", "3", "AUTH", "default", "open")
			f(wrongPass, "HELLO", "3", "AUTH", "", "")
			f("ERR syntax error", "AUTH", "a", "b", "c")
			f(noAuth, "PING")
			f("OK", "AUTH", "sesame")
			f("PONG", "PING")
			if target.Name() != "redis" { // where the name has been taken by then
				f("", "CLIENT", "GETNAME")
			}
			// Who is in stays in, whatever is tried later.
			f(wrongPass, "AUTH", "open")
			f("PONG", "PING")
			f("RESET", "RESET")
			f(noAuth, "PING")
			f("OK", "AUTH", "default", "sesame")
			f("PONG", "PING")

			b := target.Dial(t)
			defer b.Close()
			expect(t, "", b, "HELLO", "3", "AUTH", "default", "sesame", "SETNAME", "b")
			expect(t, "b", b, "CLIENT", "GETNAME")

			q := target.Dial(t)
			defer q.Close()
			expect(t, "OK", q, "QUIT")
			gone(t, q)
		})
	}
	if got := ours.Totals.AuthFailures.Load(); got != 10 {
		t.Errorf("%d failures were counted, want 10", got)
	}
}

func TestPasswordChangesWhileClientsAreConnected(t *testing.T) {
	s := serve(t, nil)
	early := s.Dial(t)
	expect(t, "PONG", early, "PING")
	if err := s.Params.Set([]config.Pair{{Name: "requirepass", Value: "abc def"}}); err != nil {
		t.Fatal(err)
	}
	expect(t, "PONG", early, "PING")
	late := s.Dial(t)
	expect(t, "NOAUTH Authentication required.", late, "PING")
	expect(t, "WRONGPASS invalid username-password pair or user is disabled.", late, "AUTH", "abc")
	expect(t, "OK", late, "AUTH", "abc def")
	expect(t, "PONG", late, "PING")
}

func TestRedact(t *testing.T) {
	table, err := engine.NewTable(Family)
	if err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		words := make([][]byte, len(args))
		for i, arg := range args {
			words[i] = []byte(arg)
		}
		got := ""
		for i, arg := range engine.Redact(table.Lookup(words[0]), words) {
			if i > 0 {
				got += " "
			}
			got += string(arg)
		}
		if got != want {
			t.Errorf("%q is shown as %q, want %q", args, got, want)
		}
		for i, arg := range args {
			if string(words[i]) != arg {
				t.Errorf("argument %d was changed to %q", i, words[i])
			}
		}
	}
	f("auth (redacted)", "auth", "secret")
	f("auth (redacted) (redacted)", "auth", "user", "secret")
	f("hello", "hello")
	f("hello 3", "hello", "3")
	f("hello 3 AUTH (redacted) (redacted)", "hello", "3", "AUTH", "user", "secret")
	f("hello 3 auth (redacted) (redacted) SETNAME me", "hello", "3", "auth", "user", "secret", "SETNAME", "me")
	f("hello 3 SETNAME auth (redacted) (redacted) (redacted)", "hello", "3", "SETNAME", "auth", "auth", "user", "secret")
	f("hello 3 auth (redacted)", "hello", "3", "auth", "secret")
	f("hello 3 auth (redacted) (redacted) auth (redacted)", "hello", "3", "auth", "u", "s", "auth", "t")
	f("hello 3 auth (redacted)", "hello", "3", "auth", "t")
	f("echo auth secret", "echo", "auth", "secret")
}
