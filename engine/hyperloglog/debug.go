package hyperloglog

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

const (
	errNoKey     resp.Error = "ERR The specified key does not exist"
	errNotSparse resp.Error = "ERR HLL encoding is not sparse"
)

// PFDEBUG GETREG | DECODE | ENCODING | TODENSE key
//
// Redis looks at the key before it looks at the subcommand.
func pfdebug(c *shard.Call) error {
	key := c.Args[2]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	if !e.Exists() {
		return errNoKey
	}
	s, err := sketchOf(e)
	if err != nil {
		return err
	}
	switch strings.ToUpper(string(c.Args[1])) {
	case "GETREG":
		s, err := makeDense(c, key, e, s)
		if err != nil {
			return err
		}
		c.Reply.Array(registers)
		for i := range registers {
			c.Reply.Int(int64(s.register(i)))
		}
		return nil
	case "DECODE":
		if s.dense() {
			return errNotSparse
		}
		c.Reply.Bulk(s.describe())
	case "ENCODING":
		c.Reply.Simple([]string{encodingDense: "dense", encodingSparse: "sparse"}[s[encodingAt]])
	case "TODENSE":
		if s.dense() {
			c.Reply.Int(0)
			break
		}
		if _, err := makeDense(c, key, e, s); err != nil {
			return err
		}
		return c.Reply.Int(1)
	default:
		word, _, _ := strings.Cut(string(c.Args[1]), "\x00") // where C's formatting stops
		return resp.Error("ERR Unknown PFDEBUG subcommand '" + word + "'")
	}
	c.DB.MakeRaw(key, e)
	return nil
}

// makeDense makes the sketch of a key dense, and returns it, borrowed.
func makeDense(c *shard.Call, key []byte, e keyspace.Entry, s sketch) (sketch, error) {
	if s.dense() {
		return s, nil
	}
	d, ok := s.densified()
	if !ok {
		return nil, errCorrupted
	}
	copy(c.DB.Resize(key, e, len(d)), d)
	return d, nil
}

// describe shows the runs of a sparse sketch: "z:3" and "Z:100" are zeros in the
// short and the long form, "v:2,4" is four times 2.
func (s sketch) describe() []byte {
	var text []byte
	for ops := s[headerBytes:]; len(ops) > 0; {
		r := firstRun(ops)
		if len(text) > 0 {
			text = append(text, ' ')
		}
		switch {
		case r.value > 0:
			text = append(text, "v:"...)
			text = append(strconv.AppendInt(text, int64(r.value), 10), ',')
		case ops[0]&kindMask == longZeroMark:
			text = append(text, "Z:"...)
		default:
			text = append(text, "z:"...)
		}
		text = strconv.AppendInt(text, int64(r.count), 10)
		ops = ops[r.bytes:]
	}
	return text
}

// The sizes of the self-test, which takes a few milliseconds: while it runs, other
// clients of the same loop wait.
const (
	selfTestRounds   = 10
	selfTestElements = 100_000
)

// PFSELFTEST
//
// Redis tests with random elements, and fails once in a while; these are always
// the same.
func pfselftest(c *engine.Context) error {
	if err := selfTest(); err != nil {
		return err
	}
	return c.Reply.OK()
}

func selfTest() error {
	random := rand.New(rand.NewPCG(registers, hashSeed))
	dense, _ := emptySketch(nil).densified()
	// Each register keeps what it is given and leaves the others alone.
	var t table
	for range selfTestRounds {
		for i := range t {
			t[i] = uint8(random.Uint32() & valueMax)
			dense.setRegister(i, t[i])
		}
		for i, want := range t {
			if have := dense.register(i); have != want {
				return resp.Error(fmt.Sprintf("ERR TESTFAILED Register %d should be %d but is %d", i, want, have))
			}
		}
	}
	// Both encodings count the same, and err no more than the theory says.
	clear(dense[headerBytes:])
	w := writer{sketch: emptySketch(nil), sparseBytesMax: spaceBytes}
	salt := random.Uint64()
	checkpoint := 1
	for n := 1; n <= selfTestElements; n++ {
		var element [8]byte
		binary.LittleEndian.PutUint64(element[:], uint64(n)^salt)
		register, value := place(element[:])
		w.raise(register, value)
		dense.setRegister(register, max(dense.register(register), value))
		if n != checkpoint {
			continue
		}
		if n < spaceBytes/2 && w.dense() {
			return resp.Error("ERR TESTFAILED sparse encoding not used")
		}
		have, _ := dense.cardinality()
		if other, ok := w.cardinality(); !ok || other != have {
			return resp.Error("ERR TESTFAILED dense/sparse disagree")
		}
		standardError := 1.04 / math.Sqrt(registers)
		if off := math.Abs(float64(have - int64(n))); off > math.Ceil(6*standardError*float64(n)) {
			return resp.Error(fmt.Sprintf("ERR TESTFAILED Too big error. card:%d abserr:%.0f", n, off))
		}
		checkpoint *= 10
	}
	return nil
}
