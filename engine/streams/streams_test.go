package streams

import (
	"slices"
	"strings"
	"testing"

	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
)

// What is recorded and announced of a command: nothing when nothing changed.
func TestEffectsAndEvents(t *testing.T) {
	const entries = "XADD s 1-1 n 1; XADD s 2-1 n 2; XADD s 3-1 n 3; "
	const group = entries + "XGROUP CREATE s g 0; "
	const read = group + "XREADGROUP GROUP g ann STREAMS s >; "
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "XADD s 1-1 a b", []string{"XADD s 1-1 a b"}, []string{"t xadd s"}},
		{"", "XADD s * a b", []string{"XADD s 5000-0 a b"}, []string{"t xadd s"}},
		{"", "XADD s 7-* a b", []string{"XADD s 7-0 a b"}, []string{"t xadd s"}},
		{"", "XADD s NOMKSTREAM * a b", nil, nil},
		{entries, "XADD s MAXLEN 3 4-1 a b", []string{"XADD s MAXLEN 3 4-1 a b"}, []string{"t xadd s", "t xtrim s"}},
		{entries, "XADD s MAXLEN 3 * a b", []string{"XADD s MAXLEN = 3 5000-0 a b"}, []string{"t xadd s", "t xtrim s"}},
		{entries, "XADD s MAXLEN ~ 3 4-1 a b", []string{"XADD s 4-1 a b"}, []string{"t xadd s"}},
		{entries, "XADD s MINID 2 DELREF * a b", []string{"XADD s MAXLEN = 3 DELREF 5000-0 a b"}, []string{"t xadd s", "t xtrim s"}},
		{entries, "XTRIM s MAXLEN 2", []string{"XTRIM s MAXLEN 2"}, []string{"t xtrim s"}},
		{entries, "XTRIM s MAXLEN 5", nil, nil},
		{entries, "XTRIM s MINID ~ 4", []string{"XTRIM s MAXLEN = 0"}, []string{"t xtrim s"}},
		{entries, "XDEL s 2-1 9-9", []string{"XDEL s 2-1 9-9"}, []string{"t xdel s"}},
		{entries, "XDEL s 9-9", nil, nil},
		{entries, "XSETID s 9-9", []string{"XSETID s 9-9"}, []string{"t xsetid s"}},
		{entries, "XREAD STREAMS s 0", nil, nil},

		{"", "XGROUP CREATE s g $ MKSTREAM", []string{"XGROUP CREATE s g $ MKSTREAM"}, []string{"t xgroup-create s"}},
		{group, "XGROUP SETID s g 1", []string{"XGROUP SETID s g 1"}, []string{"t xgroup-setid s"}},
		{group, "XGROUP DESTROY s g", []string{"XGROUP DESTROY s g"}, []string{"t xgroup-destroy s"}},
		{group, "XGROUP DESTROY s x", nil, nil},
		{group, "XGROUP CREATECONSUMER s g ann", []string{"XGROUP CREATECONSUMER s g ann"}, []string{"t xgroup-createconsumer s"}},
		{read, "XGROUP CREATECONSUMER s g ann", nil, nil},
		{read, "XGROUP DELCONSUMER s g ann", []string{"XGROUP DELCONSUMER s g ann"}, []string{"t xgroup-delconsumer s"}},
		{read, "XGROUP DELCONSUMER s g bob", nil, nil},

		{group, "XREADGROUP GROUP g ann COUNT 2 STREAMS s >", []string{
			"XGROUP CREATECONSUMER s g ann",
			"XCLAIM s g ann 0 1-1 2-1 TIME 5000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1",
			"XGROUP SETID s g 2-1 ENTRIESREAD 2",
		}, []string{"t xgroup-createconsumer s"}},
		{group, "XREADGROUP GROUP g ann NOACK STREAMS s >", []string{
			"XGROUP CREATECONSUMER s g ann", "XGROUP SETID s g 3-1 ENTRIESREAD 3",
		}, []string{"t xgroup-createconsumer s"}},
		{read, "XREADGROUP GROUP g ann STREAMS s >", nil, nil},
		{read, "XREADGROUP GROUP g bob STREAMS s >", []string{"XGROUP CREATECONSUMER s g bob"}, []string{"t xgroup-createconsumer s"}},
		{read, "XREADGROUP GROUP g ann STREAMS s 1-1",
			[]string{"XCLAIM s g ann 0 2-1 3-1 TIME 5000 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1"}, nil},
		{read, "XACK s g 1-1 9-9", []string{"XACK s g 1-1 9-9"}, nil},
		{read, "XACK s g 9-9", nil, nil},
		{read, "XCLAIM s g ann 100 1-1", nil, nil},
		{read, "XCLAIM s g ann 0 1-1 2-1 IDLE 300", []string{
			"XCLAIM s g ann 0 1-1 2-1 TIME 4700 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1"}, nil},
		{read, "XCLAIM s g ann 100 1-1 LASTID 8-8", []string{"XGROUP SETID s g 8-8 ENTRIESREAD 3"}, nil},
		{read + "XDEL s 2-1", "XCLAIM s g bob 0 2-1", []string{"XGROUP CREATECONSUMER s g bob", "XACK s g 2-1"},
			[]string{"t xgroup-createconsumer s"}},
		{read + "XDEL s 2-1; XCLAIM s g ann 0 3-1 RETRYCOUNT 9", "XAUTOCLAIM s g ann 0 -", []string{
			"XACK s g 2-1",
			"XCLAIM s g ann 0 1-1 TIME 5000 RETRYCOUNT 2 FORCE JUSTID LASTID 3-1",
			"XCLAIM s g ann 0 3-1 TIME 5000 RETRYCOUNT 10 FORCE JUSTID LASTID 3-1",
		}, nil},
		{read, "XDELEX s DELREF IDS 1 1-1", []string{"XDELEX s DELREF IDS 1 1-1"}, []string{"t xdel s"}},
		{read, "XDELEX s ACKED IDS 1 1-1", nil, nil},
		{read, "XACKDEL s g ACKED IDS 1 1-1", []string{"XACKDEL s g ACKED IDS 1 1-1"}, []string{"t xdel s"}},
		{read, "XACKDEL s g IDS 1 9-9", nil, nil},
	} {
		h := familykit.NewHandlers(t, familykit.Options{Clock: clock.NewManual(5000), Record: true}, Family)
		c := h.Client(t)
		for line := range strings.SplitSeq(test.before, "; ") {
			if line != "" {
				c.Must(strings.Fields(line)...)
			}
		}
		h.Take()
		c.Must(strings.Fields(test.command)...)
		told := h.Take()
		if !slices.Equal(told.Effects, test.effects) {
			t.Errorf("%s%s: effects %q, want %q", test.before, test.command, told.Effects, test.effects)
		}
		if !slices.Equal(told.Events, test.events) {
			t.Errorf("%s%s: events %q, want %q", test.before, test.command, told.Events, test.events)
		}
	}
}

func TestParseID(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		id, err := parseID([]byte(text), 7)
		got := string(id.Append(nil))
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	f("1-2", "1-2")
	f("1", "1-7")
	f("0-0", "0-0")
	f("01-+2", "1-2")
	f(" 1-\t2", "1-2")
	f("1-2\x00rest", "1-2")
	f("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551615")
	f("9223372036854775808-1", "9223372036854775808-1")
	f("1--01", "1-18446744073709551615") // strtoull takes a sign
	for _, text := range []string{
		"", "-", "+", "*", "-1", "1-", "1-x", "x-1", "1-2-3", "1--1", "1 -1", "18446744073709551616", "1-99999999999999999999999",
		strings.Repeat("0", 127) + "1", "1-*",
	} {
		f(text, "")
	}
}

// What clients send all the time must not make garbage.
func TestAllocations(t *testing.T) {
	c := familykit.NewHandlers(t, familykit.Options{}, Family).Client(t)
	c.Must("XADD", "s", "1-1", "n", "1")
	c.Must("XGROUP", "CREATE", "s", "g", "0")
	f := func(most float64, line string) {
		t.Helper()
		if n := c.Allocations(line); n > most {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
	f(1, "XADD s * field value number 12345") // the ID that is recorded
	f(0, "XLEN s")
	f(1, "XRANGE s - + COUNT 10") // the entry that is answered
	f(1, "XREVRANGE s + - COUNT 10")
	f(2, "XREAD COUNT 10 STREAMS s 0")
	f(4, "XREADGROUP GROUP g ann COUNT 10 STREAMS s >")
	f(0, "XACK s g 1-1")
	f(0, "XDEL s 1-2")
}
