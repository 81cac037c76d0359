package resp

import "testing"

func TestWordIs(t *testing.T) {
	f := func(arg, word string, want bool) {
		t.Helper()
		if got := WordIs([]byte(arg), word); got != want {
			t.Errorf("%q is %q: %v", arg, word, got)
		}
	}
	f("COUNT", "COUNT", true)
	f("count", "COUNT", true)
	f("CoUnT", "COUNT", true)
	f("COUN", "COUNT", false)
	f("COUNTS", "COUNT", false)
	f("", "COUNT", false)
	f("", "", true)
	f("c\x00unt", "C\x00UNT", true)
	f("\xe4", "\xc4", false)
}
