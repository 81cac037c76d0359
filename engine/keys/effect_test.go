package keys

import (
	"regexp"
	"strings"
	"testing"

	"hyperkv/internal/familykit"
	"hyperkv/internal/testkit"
)

// TestEffects runs commands and looks at what they record and announce.
func TestEffects(t *testing.T) {
	h := handlers(t, familykit.Options{Record: true})
	c := h.Client(t)
	digits := regexp.MustCompile(`\d{10,}`)
	f := func(command string, want ...string) {
		t.Helper()
		h.Take()
		if _, err := c.Do(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
		got := h.Take().All
		for i := range got {
			got[i] = digits.ReplaceAllString(got[i], "*")
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	set := func(keys ...string) {
		for _, key := range keys {
			c.Must("SET", key, "x")
		}
	}

	set("a", "b", "c")
	f("DEL a nokey b", "0! g del a", "0! g del b", "0> DEL a nokey b")
	f("UNLINK c", "0! g del c", "0> UNLINK c")
	f("DEL nokey")
	f("EXISTS a")
	f("TOUCH a")

	set("a")
	f("RENAME a b", "0! g rename_from a", "0! g rename_to b", "0> RENAME a b")
	f("RENAME b b")
	f("RENAMENX b b")
	f("RENAMENX b c", "0! g rename_from b", "0! g rename_to c", "0> RENAMENX b c")
	f("RENAME a b")
	f("COPY c d DB 3", "3! g copy_to d", "0> COPY c d DB 3")
	f("COPY c d DB 3")
	f("MOVE c 3", "0! g move_from c", "3! g move_to c", "0> MOVE c 3")
	f("MOVE c 3")

	set("a")
	f("EXPIRE a 100", "0! g expire a", "0> PEXPIREAT a *")
	f("PEXPIRE a 100000 XX", "0! g expire a", "0> PEXPIREAT a *")
	f("EXPIREAT a 9000000000", "0! g expire a", "0> PEXPIREAT a *")
	f("PEXPIREAT a 9000000000001", "0! g expire a", "0> PEXPIREAT a *")
	f("PEXPIREAT a 9000000000000 LT", "0! g expire a", "0> PEXPIREAT a *")
	f("EXPIRE a 100 NX")
	f("PERSIST a", "0! g persist a", "0> PERSIST a")
	f("PERSIST a")
	f("EXPIRE a -1", "0! g del a", "0> DEL a")
	f("EXPIRE a -1")
	set("a")
	f("PEXPIREAT a 0", "0! g del a", "0> DEL a")

	// The effect of RESTORE has the moment at which the key expires.
	c.Must("SET", "r", "foo")
	payload := c.Must("DUMP", "r").Text()
	c.Must("DEL", "r")
	quoted := testkit.Quote(payload)
	f("RESTORE r 0 "+payload, "0! g restore r", "0> RESTORE r 0 "+quoted)
	f("RESTORE r 0 " + payload)
	f("RESTORE r 1000 "+payload+" REPLACE", "0! g restore r", "0> RESTORE r * "+quoted+" REPLACE ABSTTL")
	f("RESTORE r 9000000000000 "+payload+" ABSTTL REPLACE", "0! g restore r", "0> RESTORE r * "+quoted+" ABSTTL REPLACE")
	f("RESTORE r 1 "+payload+" ABSTTL REPLACE", "0! g del r", "0> DEL r")
	f("RESTORE r 1 " + payload + " ABSTTL")
	f("DUMP r")

	f("FLUSHDB", "0> FLUSHDB")
	f("FLUSHALL ASYNC", "0> FLUSHALL ASYNC")
	f("SWAPDB 0 1", "0> SWAPDB 0 1")
	f("FLUSHDB now")
}

// What every client sends all the time must not make garbage.
func TestAllocations(t *testing.T) {
	c := handlers(t, familykit.Options{}).Client(t)
	c.Must("SET", "key", "value")
	f := func(most float64, line string) {
		t.Helper()
		if n := c.Allocations(line); n > most {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
	f(0, "EXISTS key nokey")
	f(0, "TOUCH key")
	f(0, "TYPE key")
	f(0, "TTL key")
	f(0, "PEXPIREAT key 9000000000000")
	f(1, "EXPIRE key 100") // the digits of the recorded deadline
	f(1, "EXPIRE key 100 GT")
	f(0, "PERSIST key")
	f(0, "OBJECT ENCODING key")
	f(0, "MEMORY USAGE key")
	f(0, "DEL key nokey")
}
