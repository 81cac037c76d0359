package keyspace

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzOperations reads a program from the input: two bytes choose an operation
// and a key, two more a size or a time.
func FuzzOperations(f *testing.F) {
	f.Add([]byte("\x00a\x10\x00\x01a\x20\x00\x02a\xff\x00\x03a\x00\x01"))
	f.Add([]byte(strings.Repeat("\x00\x01\x20\x00\x05\x01\x00\x00", 20)))
	f.Fuzz(func(t *testing.T, program []byte) {
		w := newWorld(t)
		defer w.db.Close()
		for ; len(program) >= 4; program = program[4:] {
			op, key := program[0], fmt.Sprint("key", program[1])
			n := int(program[2]) | int(program[3])<<8
			_, exists := w.model[key]
			switch op % 10 {
			case 0:
				w.put(key, strings.Repeat("v", n), 0, uint32(n))
			case 1:
				w.put(key, strings.Repeat("w", n%100), int64(n), uint32(n))
			case 2:
				w.putInt(key, int64(n)<<(op%48), int64(program[2]), 0)
			case 3:
				if exists {
					w.resize(key, n, op)
				}
			case 4:
				if exists {
					w.setDeadline(key, int64(n))
				}
			case 5:
				w.delete(key)
			case 6:
				w.popDue(int64(n))
			case 7:
				w.db.Compact(n)
			case 8: // many keys at once, so that segments split
				for i := range n % 600 {
					w.put(fmt.Sprint(program[1], "/", i), "", int64(i%2), 0)
				}
			case 9:
				for i := range n % 600 {
					w.delete(fmt.Sprint(program[1], "/", i))
				}
			}
		}
		w.verify()
		w.empty()
	})
}
