package keys

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"hyperkv/shard"
)

// TestEffects runs commands and looks at what they record and announce.
func TestEffects(t *testing.T) {
	var got []string
	h := newHandlers(t, 1, shard.Hooks{
		Effects: func(_ []*shard.Shard, effects []shard.Effect) {
			for _, e := range effects {
				words := []string{}
				for _, arg := range e.Args {
					words = append(words, string(arg))
				}
				got = append(got, fmt.Sprintf("%d> %s", e.Database, strings.Join(words, " ")))
			}
		},
		Event: func(_ *shard.Shard, database int, class shard.EventClass, name string, key []byte) {
			got = append(got, fmt.Sprintf("%d! %c %s %s", database, class, name, key))
		},
	})
	c := &client{h: h}
	digits := regexp.MustCompile(`\d{10,}`)
	f := func(command string, want ...string) {
		t.Helper()
		got = nil
		if _, err := c.Do(strings.Fields(command)...); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] = digits.ReplaceAllString(got[i], "*")
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	set := func(keys ...string) {
		for _, key := range keys {
			c.do("SET", key, "x")
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

	f("FLUSHDB", "0> FLUSHDB")
	f("FLUSHALL ASYNC", "0> FLUSHALL ASYNC")
	f("SWAPDB 0 1", "0> SWAPDB 0 1")
	f("FLUSHDB now")
}

// What every client sends all the time must not make garbage.
func TestAllocations(t *testing.T) {
	h := newHandlers(t, 1, shard.Hooks{})
	c := &client{h: h}
	c.do("SET", "key", "value")
	s := h.set.Shards[0]
	for !s.Enter() {
	}
	defer s.Exit()
	call := s.Call()
	call.Reply = &c.reply
	call.Now = h.set.Now()
	f := func(most float64, handler shard.Handler, line string) {
		t.Helper()
		words := [][]byte{}
		for _, word := range strings.Fields(line) {
			words = append(words, []byte(word))
		}
		if n := testing.AllocsPerRun(100, func() {
			c.reply.Reset()
			call.Begin(0, words)
			call.Execute(handler, 0)
		}); n > most {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
	f(0, exists, "EXISTS key nokey")
	f(0, touch, "TOUCH key")
	f(0, typeOf, "TYPE key")
	f(0, ttl, "TTL key")
	f(0, pExpireAt, "PEXPIREAT key 9000000000000")
	f(1, expire, "EXPIRE key 100") // the digits of the recorded deadline
	f(1, expire, "EXPIRE key 100 GT")
	f(0, persist, "PERSIST key")
	f(0, objectEncoding, "OBJECT ENCODING key")
	f(0, memoryUsage, "MEMORY USAGE key")
	f(0, del, "DEL key nokey")
}
