package familykit

import (
	"slices"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/keys"
	"hyperkv/engine/strings"
	"hyperkv/internal/clock"
)

func TestHandlersRecord(t *testing.T) {
	h := NewHandlers(t, Options{Shards: 3, Clock: clock.NewManual(1_000_000), Record: true}, strings.Family, keys.Family)
	c := h.Client(t)
	c.Must("SELECT", "2")
	c.Must("SET", "k", "two words", "PX", "5")
	c.Must("GET", "k")
	c.Must("DEL", "k")
	want := Record{
		Effects: []string{`SET k "two words" PXAT 1000005`, "DEL k"},
		Events:  []string{"$ set k", "g expire k", "g del k"},
		All: []string{
			"2! $ set k", "2! g expire k", `2> SET k "two words" PXAT 1000005`, "2! g del k", "2> DEL k",
		},
	}
	got := h.Take()
	if !slices.Equal(got.Effects, want.Effects) || !slices.Equal(got.Events, want.Events) || !slices.Equal(got.All, want.All) {
		t.Errorf("got %q, want %q", got, want)
	}
	if again := h.Take(); again.All != nil {
		t.Errorf("taken twice: %q", again)
	}
}

// What handlers alone cannot do is an error of the test, not a reply.
func TestHandlersRefuse(t *testing.T) {
	c := NewHandlers(t, Options{}, keys.Family, engine.Transactions).Client(t)
	for _, args := range [][]string{{"MULTI"}, {"EXEC"}, {"WAIT", "0", "0"}, {"OBJECT", "HELP"}, {"HELLO", "3", "SETNAME", "x"}} {
		if v, err := c.Do(args...); err == nil {
			t.Errorf("%q: got %s", args, v)
		}
	}
	f := func(line, want string) {
		t.Helper()
		if got := c.Line(line); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
	f("nosuch", "(error) ERR unknown command 'nosuch', with args beginning with: ")
	f("EXISTS", "(error) ERR wrong number of arguments for 'exists' command")
	f("OBJECT nosuch k", "(error) ERR unknown subcommand 'nosuch'. Try OBJECT HELP.")
}
