package engine

import (
	"errors"
	"testing"
)

// The connection learns which replies promise something: those of what may have changed
// anything, wherever it ran, with all that leaves together with them.
func TestPromises(t *testing.T) {
	eachArrangement(t, func(t *testing.T, e *Engine) {
		p := connect(t, e)
		f := func(promises bool, send, want string) {
			t.Helper()
			p.free = 0
			p.feed(send)
			p.expect(want)
			if p.free != 0 && p.free != len(want) || promises != (p.free == 0) {
				t.Errorf("%q: %d of %d bytes promise nothing", send, p.free, len(want))
			}
		}
		f(false, "GET a\r\n", "$-1\r\n")
		f(true, "SET a 1\r\n", "+OK\r\n")
		f(false, "GET a\r\nECHO x\r\nGET b\r\n", "$1\r\n1\r\n$1\r\nx\r\n$-1\r\n")
		f(true, "MSET b 2 c 3 d 4\r\n", "+OK\r\n")
		f(false, "MGET b c d\r\n", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n")
		f(false, "MULTI\r\nGET a\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n")
		p.ask("+OK\r\n", "MULTI")
		p.ask("+QUEUED\r\n", "DEL", "a", "b", "c")
		f(true, "EXEC\r\n", "*1\r\n:3\r\n")
		f(false, "LGET d\r\n", "$1\r\n4\r\n")

		// So do those that come later.
		taker := connect(t, e)
		taker.send("TAKE", "slot", "0")
		waitBlocked(t, e, taker, 1)
		f(true, "PUT slot x\r\n", ":1\r\n")
		taker.expect("*2\r\n$4\r\nslot\r\n$1\r\nx\r\n")
		release := busy(t, e, 0)
		p.send("SET", keyOn(e, 0, 1), "1")
		release()
		p.expect("+OK\r\n")
		if taker.free != 0 || p.free != 0 {
			t.Error("what came later promises nothing")
		}

		e.RefuseWrites(LogFails(errors.New("full")))
		f(false, "SET a 1\r\n", "-MISCONF Errors writing to the AOF file: full\r\n")
		f(false, "GET a\r\n", "$-1\r\n")
		e.RefuseWrites("")
		f(true, "SET a 1\r\n", "+OK\r\n")
	})
}
