package strings

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/clock"
	"hyperkv/internal/familykit"
)

// What is told of a command: the outcome, with absolute times, and nothing when
// nothing changed. The clock stands at 1 000 000.
func TestEffectsAndEvents(t *testing.T) {
	for _, test := range []struct {
		before, command string
		effects, events []string
	}{
		{"", "SET k v", []string{"SET k v"}, []string{"$ set k"}},
		{"", "SET k v NX", []string{"SET k v"}, []string{"$ set k"}},
		{"SET k v", "SET k w NX GET", nil, nil},
		{"SET k v", "SET k w XX GET", []string{"SET k w"}, []string{"$ set k"}},
		{"", "SET k v EX 10", []string{"SET k v PXAT 1010000"}, []string{"$ set k", "g expire k"}},
		{"", "SET k v PX 10 NX GET", []string{"SET k v PXAT 1000010"}, []string{"$ set k", "g expire k"}},
		{"", "SET k v EXAT 1001", []string{"SET k v PXAT 1001000"}, []string{"$ set k", "g expire k"}},
		{"", "SET k v PXAT 1000000", nil, nil},
		{"SET k v", "SET k w PXAT 1000000", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "SET k w KEEPTTL", []string{"SET k w"}, []string{"$ set k"}},
		{"SET k v EX 10", "SET k w KEEPTTL", []string{"SET k w KEEPTTL"}, []string{"$ set k"}},
		{"SET k v", "SET k w IFEQ v", []string{"SET k w"}, []string{"$ set k"}},
		{"SET k v", "SET k w IFEQ x", nil, nil},
		{"", "SETNX k v", []string{"SET k v"}, []string{"$ set k"}},
		{"SET k v", "SETNX k v", nil, nil},
		{"", "SETEX k 1 v", []string{"SET k v PXAT 1001000"}, []string{"$ set k", "g expire k"}},
		{"", "PSETEX k 1 v", []string{"SET k v PXAT 1000001"}, []string{"$ set k", "g expire k"}},
		{"", "GETSET k v", []string{"SET k v"}, []string{"$ set k"}},
		{"", "GETDEL k", nil, nil},
		{"SET k v", "GETDEL k", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "GETEX k", nil, nil},
		{"SET k v", "GETEX k EX 1", []string{"PEXPIREAT k 1001000"}, []string{"g expire k"}},
		{"SET k v", "GETEX k PXAT 5", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "GETEX k PERSIST", nil, nil},
		{"SET k v EX 10", "GETEX k PERSIST", []string{"PERSIST k"}, []string{"g persist k"}},
		{"", "MSET a 1 b 2", []string{"MSET a 1 b 2"}, []string{"$ set a", "$ set b"}},
		{"", "MSETNX a 1 b 2", []string{"MSET a 1 b 2"}, []string{"$ set a", "$ set b"}},
		{"SET b 1", "MSETNX a 1 b 2", nil, nil},
		{"", "MSETEX 2 a 1 b 2 EX 1", []string{"SET a 1 PXAT 1001000", "SET b 2 PXAT 1001000"},
			[]string{"$ set a", "g expire a", "$ set b", "g expire b"}},
		{"SET a 1 EX 1", "MSETEX 2 a 1 b 2 KEEPTTL", []string{"SET a 1 KEEPTTL", "SET b 2"}, []string{"$ set a", "$ set b"}},
		{"SET a 1", "MSETEX 2 a 1 b 2 PXAT 7", []string{"DEL a"}, []string{"g del a"}},
		{"SET a 1", "MSETEX 2 a 1 b 2 XX", nil, nil},
		{"", "APPEND k v", []string{"APPEND k v"}, []string{"$ append k"}},
		{"SET k v", "APPEND k \"\"", []string{"APPEND k \"\""}, []string{"$ append k"}},
		{"", "SETRANGE k 1 v", []string{"SETRANGE k 1 v"}, []string{"$ setrange k"}},
		{"SET k v", "SETRANGE k 9 \"\"", nil, nil},
		{"", "INCR k", []string{"INCR k"}, []string{"$ incrby k"}},
		{"", "DECRBY k 3", []string{"DECRBY k 3"}, []string{"$ incrby k"}},
		{"SET k 0.1", "INCRBYFLOAT k 0.2", []string{"SET k 0.3 KEEPTTL"}, []string{"$ incrbyfloat k"}},
		{"", "INCREX k", []string{"SET k 1"}, []string{"$ incrby k"}},
		{"SET k 1 EX 10", "INCREX k BYINT 2", []string{"SET k 3 KEEPTTL"}, []string{"$ incrby k"}},
		{"SET k 1 EX 10", "INCREX k EX 20 ENX", []string{"SET k 2 KEEPTTL"}, []string{"$ incrby k"}},
		{"SET k 1", "INCREX k EX 20 ENX", []string{"SET k 2 PXAT 1020000"}, []string{"$ incrby k", "g expire k"}},
		{"SET k 1 EX 10", "INCREX k PERSIST", []string{"SET k 2"}, []string{"$ incrby k", "g persist k"}},
		{"SET k 1", "INCREX k PERSIST", []string{"SET k 2"}, []string{"$ incrby k"}},
		{"SET k 1", "INCREX k UBOUND 1 EX 10", nil, nil},
		{"SET k 1", "INCREX k PXAT 5", []string{"DEL k"}, []string{"g del k"}},
		{"", "INCREX k PXAT 5", nil, nil},
		{"SET k 0.1", "INCREX k BYFLOAT 0.2", []string{"SET k 0.3"}, []string{"$ incrbyfloat k"}},
		{"", "CL.THROTTLE k 1 3 1", []string{"SET k 1000333333333 PXAT 1000334"}, []string{"$ set k", "g expire k"}},
		{"", "CL.THROTTLE k 1 3 1 0", nil, nil},
		{"", "CL.THROTTLE k 1 3 1 3", nil, nil},
		{"SET k v", "DELEX k", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "DELEX k IFEQ v", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "DELEX k IFEQ w", nil, nil},
		{"SET k v", "DELIFEQ k v", []string{"DEL k"}, []string{"g del k"}},
		{"SET k v", "DELIFEQ k w", nil, nil},
	} {
		h := handlers(t, familykit.Options{Clock: clock.NewManual(1_000_000), Record: true})
		c := h.Client(t)
		if test.before != "" {
			c.Line(test.before)
			h.Take()
		}
		c.Line(test.command)
		told := h.Take()
		if !slices.Equal(told.Effects, test.effects) {
			t.Errorf("%s; %s: effects %q, want %q", test.before, test.command, told.Effects, test.effects)
		}
		if !slices.Equal(told.Events, test.events) {
			t.Errorf("%s; %s: events %q, want %q", test.before, test.command, told.Events, test.events)
		}
	}
}

// Whatever was done, its effects do it again on a server with another clock.
func TestEffectsReplay(t *testing.T) {
	// @ stands for a key, # for a value.
	commands := []string{
		"SET @ #", "SET @ # NX", "SET @ # XX GET", "SET @ # EX 5", "SET @ # PX 1500 NX", "SET @ # KEEPTTL",
		"SET @ # EXAT 1001", "SET @ # PXAT 900000", "SET @ # IFEQ #", "SET @ # IFNE # KEEPTTL", "SETNX @ #", "SETEX @ 3 #",
		"GETSET @ #", "GETDEL @", "GETEX @ EX 2", "GETEX @ PERSIST", "GETEX @ PXAT 5", "MSET @ # @ #", "MSETNX @ # @ #",
		"MSETEX 2 @ # @ # EX 4", "MSETEX 2 @ # @ # KEEPTTL", "MSETEX 2 @ # @ # XX PXAT 3", "APPEND @ #", "SETRANGE @ 7 #",
		"INCR @", "INCRBY @ 40", "DECRBY @ 7", "INCRBYFLOAT @ 0.3", "INCREX @ EX 3 ENX",
		"INCREX @ BYFLOAT 0.5 UBOUND 40 SATURATE", "INCREX @ BYINT -4 PXAT 1200000", "CL.THROTTLE @ 2 1 3", "DELEX @ IFNE #", "DELIFEQ @ #",
	}
	values := []string{"1", "-3", "2.5", "x", "12345", `""`}
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		now := clock.NewManual(1_000_000)
		h := handlers(t, familykit.Options{Clock: now, Record: true})
		c := h.Client(t)
		for range 300 {
			var line []byte
			for _, b := range []byte(commands[r.IntN(len(commands))]) {
				switch b {
				case '@':
					line = strconv.AppendInt(append(line, 'k'), int64(r.IntN(6)), 10)
				case '#':
					line = append(line, values[r.IntN(len(values))]...)
				default:
					line = append(line, b)
				}
			}
			c.Line(string(line))
			if r.IntN(4) == 0 {
				now.Advance(time.Duration(r.IntN(900)) * time.Millisecond)
			}
		}
		later := clock.NewManual(1)
		replica := handlers(t, familykit.Options{Clock: later}).Client(t)
		for _, effect := range h.Take().Effects {
			if reply := replica.Line(effect); len(reply) > 7 && reply[:7] == "(error)" {
				t.Fatalf("seed %d: %s: %s", seed, effect, reply)
			}
		}
		later.Set(now.NowMillis())
		for i := range 6 {
			key := "k" + strconv.Itoa(i)
			for _, question := range []string{"GET ", "PTTL ", "OBJECT ENCODING "} {
				if have, want := replica.Line(question+key), c.Line(question+key); have != want {
					t.Fatalf("seed %d: %s%s: %s replayed, %s before", seed, question, key, have, want)
				}
			}
		}
	}
}

// The commands that make up nearly all of the load do not allocate.
func TestNoAllocations(t *testing.T) {
	c := handlers(t, familykit.Options{}).Client(t)
	for _, line := range []string{
		"SET k value", "GET k", "SET n 5", "GET n", "INCR n", "INCRBY n 7", "MSET a 1 b 2 c 3", "MGET a b c d k",
		"SETNX k w", "STRLEN k", "GETRANGE k 1 2", "SETRANGE k 0 x", "SET k value XX", "GETEX k",
	} {
		if n := c.Allocations(line); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}
