package replication

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// all reads what comes at a cursor, in pieces.
func all(f *Feed, c *cursor, n int) []byte {
	var b []byte
	for {
		p := f.next(c, n)
		if len(p) == 0 {
			return b
		}
		b = append(b, p...)
	}
}

// Whoever reads from a position gets every byte behind it, however slowly, and a
// position can be found again for as long as the backlog says.
func TestFeed(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		backlog := int64(16<<10 + r.IntN(200<<10))
		f := newFeed("a", backlog)
		f.mu.Lock()
		f.open()
		f.mu.Unlock()
		var stream []byte // all of it
		type reader struct {
			cursor
			from int64
			got  []byte
		}
		var readers []*reader
		for range 400 {
			switch r.IntN(6) {
			case 0:
				position := max(int64(len(stream))-r.Int64N(2*backlog), 0)
				f.mu.Lock()
				c, ok := f.seek(position)
				first := f.first.start
				f.mu.Unlock()
				if ok != (position >= first) {
					t.Fatalf("seed %d: position %d, and the first is %d: found %v", seed, position, first, ok)
				}
				if int64(len(stream))-position < backlog && !ok {
					t.Fatalf("seed %d: %d of %d is lost from a backlog of %d", seed, position, len(stream), backlog)
				}
				if ok {
					readers = append(readers, &reader{cursor: c, from: position})
				}
			case 1:
				for _, x := range readers {
					x.got = append(x.got, f.next(&x.cursor, 1+r.IntN(100_000))...)
				}
			default:
				p := bytes.Repeat([]byte{byte(r.Uint32())}, 1+r.IntN(20_000))
				stream = append(stream, p...)
				f.Relay(p, 0)
			}
		}
		for _, x := range readers {
			x.got = append(x.got, all(f, &x.cursor, 70_000)...)
			if !bytes.Equal(x.got, stream[x.from:]) || x.position != int64(len(stream)) {
				t.Fatalf("seed %d: from %d: %d bytes up to %d, want %d", seed, x.from, len(x.got), x.position, len(stream)-int(x.from))
			}
		}
		held := 0
		for b := f.first; b != nil; b = b.next {
			held += cap(b.bytes)
		}
		if int64(held) > backlog+3*blockBytesMax {
			t.Errorf("seed %d: %d bytes are held for a backlog of %d", seed, held, backlog)
		}
	}
}

// Effects become commands: SELECT when the database changes, MULTI and EXEC around
// what happened at once.
func TestRecord(t *testing.T) {
	f := newFeed("a", 1<<20)
	f.mu.Lock()
	c := f.tail()
	f.mu.Unlock()
	record := func(units ...string) {
		var effects []Effect
		for _, unit := range units {
			words := strings.Fields(unit)
			args := make([][]byte, len(words)-1)
			for i := range args {
				args[i] = []byte(words[i+1])
			}
			var database int
			fmt.Sscan(words[0], &database)
			effects = append(effects, Effect{database, args})
		}
		f.Record(len(effects), func(i int) (int, [][]byte) { return effects[i].Database, effects[i].Args })
	}
	record("0 SET lost x")
	f.on.Store(true)
	record("0 SET a b")
	record("0 DEL a")
	record("12 INCR n", "12 INCR m")
	record("12 SWAPDB 1 2", "3 SET a 1")
	got := string(all(f, &c, 1<<20))
	want := "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n" + "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n" + "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n" +
		"*1\r\n$5\r\nMULTI\r\n" + "*2\r\n$6\r\nSELECT\r\n$2\r\n12\r\n" + "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" + "*2\r\n$4\r\nINCR\r\n$1\r\nm\r\n" +
		"*1\r\n$4\r\nEXEC\r\n" + "*1\r\n$5\r\nMULTI\r\n" + "*3\r\n$6\r\nSWAPDB\r\n$1\r\n1\r\n$1\r\n2\r\n" + "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n" +
		"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n" + "*1\r\n$4\r\nEXEC\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	changed := f.Changed()
	if changed != int64(len(want)) {
		t.Errorf("changed at %d, want %d", changed, len(want))
	}
	f.ask()
	f.ask()
	f.ping()
	if got := string(all(f, &c, 1<<20)); got != "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n*1\r\n$4\r\nPING\r\n" {
		t.Errorf("asked twice: %q", got)
	}
	if f.Changed() != changed {
		t.Error("a question has changed something")
	}
	// A new name makes the stream say where it is.
	f.mu.Lock()
	f.rename("b")
	old := f.continued("a", changed) && f.continued("b", changed) && !f.continued("c", 0) && !f.continued("a", f.position+1)
	f.mu.Unlock()
	if !old {
		t.Error("the old history does not go on")
	}
	record("3 DEL a")
	if got := string(all(f, &c, 1<<20)); !strings.HasPrefix(got, "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n") {
		t.Errorf("behind a new name: %q", got)
	}
}
