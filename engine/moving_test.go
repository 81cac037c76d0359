package engine

import (
	"strings"
	"testing"
)

// move takes the client to another loop.
func (p *peer) move(to *Loop, wake chan struct{}) bool {
	if !p.session.Leave(to) {
		return false
	}
	p.wake = wake
	to.Arrive(p.session, 99)
	return true
}

// A session goes on on another loop as if nothing had happened, and is found there.
func TestMovingSession(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	p := connect(t, e)
	other, wake := loopOf(e)
	from := p.session.loop
	p.ask("+OK\r\n", "SET", "a", "1")
	p.session.Select(3)
	if !p.move(other, wake) {
		t.Fatal("an idle session stays")
	}
	if len(from.sessions) != 0 || len(other.sessions) != 1 || p.session.DB() != 3 || p.session.Info().FD != 99 {
		t.Errorf("%d and %d sessions, database %d, descriptor %d", len(from.sessions), len(other.sessions), p.session.DB(), p.session.Info().FD)
	}
	p.ask("$-1\r\n", "GET", "a")
	p.session.Select(0)
	p.ask("$1\r\n1\r\n", "GET", "a")
	p.session.Kill(nil)
	p.wait("the end", func() bool { return p.closed })
}

// What is under way or left over keeps a session where it is.
func TestWhatKeepsSession(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	other, wake := loopOf(e)
	for _, c := range []struct{ name, before, replies, after string }{
		{"a part of a command", "*2\r\n$3\r\nGET", "", "\r\n$1\r\na\r\n"},
		{"a transaction", repeat(1, "MULTI"), "+OK\r\n", repeat(1, "DISCARD")},
		{"watched keys", repeat(1, "WATCH", "a"), "+OK\r\n", repeat(1, "UNWATCH")},
		{"a blocking command", repeat(1, "WAIT", "1", "0"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connect(t, e)
			p.feed(c.before)
			p.expect(c.replies)
			if p.move(other, wake) {
				t.Fatal("it has left")
			}
			if c.after == "" {
				p.session.Unblock(false)
			}
			p.feed(c.after)
			p.wait("the end of it", func() bool { return len(p.out) > 0 })
			if !p.move(other, wake) {
				t.Error("it stays afterwards as well")
			}
		})
	}
	e.Pause(1<<40, true)
	p := connect(t, e)
	p.feed(repeat(1, "GET", "a"))
	if p.move(other, wake) {
		t.Error("a session that waits for the end of a pause has left")
	}
}

// Who has something to say to a session on its way is heard when it has arrived, on the loop
// where it is then.
func TestPostToMovingSession(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	p := connect(t, e)
	first := p.session.loop
	second, _ := loopOf(e)
	third, wake := loopOf(e)
	var heard []string
	say := func(what string) { p.session.post(func() { heard = append(heard, what) }) }
	is := func(want string) {
		t.Helper()
		if got := strings.Join(heard, " "); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	say("before") // and is on its way when the session leaves
	if !p.session.Leave(second) {
		t.Fatal("an idle session stays")
	}
	first.Woken()
	say("between")
	is("")
	second.Woken()
	is("")
	second.Arrive(p.session, 1)
	is("before between")
	say("late")
	if !p.session.Leave(third) {
		t.Fatal("an idle session stays")
	}
	third.Arrive(p.session, 2)
	second.Woken()
	is("before between")
	third.Woken()
	is("before between late")
	p.wake = wake
	p.ask("+OK\r\n", "SET", "a", "1")
}
