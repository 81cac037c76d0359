package bitmap

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// operation is one of the ways in which BITOP combines its sources.
type operation uint8

const (
	opAnd   operation = iota
	opOr              // in any
	opXor             // in an odd number of them
	opNot             // of one source
	opDiff            // in the first and in none of the others
	opDiff1           // in any of the others and not in the first
	opAndOr           // in the first and in any of the others
	opOne             // in exactly one
)

func operationNamed(word []byte) (op operation, ok bool) {
	switch {
	case resp.WordIs(word, "AND"):
		return opAnd, true
	case resp.WordIs(word, "OR"):
		return opOr, true
	case resp.WordIs(word, "XOR"):
		return opXor, true
	case resp.WordIs(word, "NOT"):
		return opNot, true
	case resp.WordIs(word, "DIFF"):
		return opDiff, true
	case resp.WordIs(word, "DIFF1"):
		return opDiff1, true
	case resp.WordIs(word, "ANDOR"):
		return opAndOr, true
	case resp.WordIs(word, "ONE"):
		return opOne, true
	}
	return 0, false
}

const (
	errNotSources   resp.Error = "ERR BITOP NOT must be called with a single source key."
	errDiffSources  resp.Error = "ERR BITOP DIFF must be called with at least two source keys."
	errDiff1Sources resp.Error = "ERR BITOP DIFF1 must be called with at least two source keys."
	errAndOrSources resp.Error = "ERR BITOP ANDOR must be called with at least two source keys."
)

// check refuses a number of sources that the operation cannot take.
func (op operation) check(sources int) error {
	switch {
	case op == opNot && sources != 1:
		return errNotSources
	case op == opDiff && sources < 2:
		return errDiffSources
	case op == opDiff1 && sources < 2:
		return errDiff1Sources
	case op == opAndOr && sources < 2:
		return errAndOrSources
	}
	return nil
}

// BITOP operation destkey key [key ...]
//
// The result is written where it will stay, without a copy of it in between.
// That makes the destination as long as the longest source first, which does no
// harm when it is a source itself: its bytes stay, and the zeros behind them are
// what it would have read as.
func bitop(c *shard.Call) error {
	op, ok := operationNamed(c.Args[1])
	if !ok {
		return resp.ErrSyntax
	}
	to, keys := c.Args[2], c.Args[3:]
	if err := op.check(len(keys)); err != nil {
		return err
	}
	size := 0
	for _, key := range keys {
		e, err := c.DB.String(key)
		if err != nil {
			return err
		}
		size = max(size, length(e))
	}
	e := c.DB.LookupWrite(to)
	if size == 0 {
		if e.Exists() {
			c.DB.Delete(to, e)
			c.Event(shard.EventGeneric, "del", to)
		}
		return c.Reply.Int(0)
	}
	switch {
	case !e.Exists():
	case e.Type() != object.String:
		e = c.DB.SetBytes(to, nil, 0)
	case e.Deadline() != 0:
		e = c.DB.SetDeadline(to, e, 0)
	}
	out := c.DB.Resize(to, e, size)
	sources := make([][]byte, len(keys))
	for i, key := range keys {
		if bytes.Equal(key, to) {
			sources[i] = out
		} else {
			sources[i] = text(c.DB.Peek(key), nil)
		}
	}
	combine(op, out, sources)
	c.CountChanges(1)
	c.Event(shard.EventString, "set", to)
	return c.Reply.Int(int64(size))
}

// blockBytes is how much is combined at a time: few enough bytes that the
// intermediate results stay in the first-level cache.
const blockBytes = 4096

type block [blockBytes]byte

// combine writes the combination of the sources to out, which may be one of
// them. What a source is short of out reads as 0.
func combine(op operation, out []byte, sources [][]byte) {
	var result, other block
	for at := 0; at < len(out); at += blockBytes {
		n := min(blockBytes, len(out)-at)
		acc, more := result[:n], other[:n]
		load(acc, sources[0], at)
		switch op {
		case opAnd:
			for _, s := range sources[1:] {
				and(acc, from(s, at))
			}
		case opOr:
			for _, s := range sources[1:] {
				or(acc, from(s, at))
			}
		case opXor:
			for _, s := range sources[1:] {
				xor(acc, from(s, at))
			}
		case opNot:
			invert(acc)
		case opOne:
			clear(more) // what is in several
			for _, s := range sources[1:] {
				once(acc, more, from(s, at))
			}
			andNot(acc, more)
		default:
			load(more, sources[1], at)
			for _, s := range sources[2:] {
				or(more, from(s, at))
			}
			switch op {
			case opDiff:
				andNot(acc, more)
			case opDiff1:
				andNot(more, acc)
				acc = more
			case opAndOr:
				and(acc, more)
			}
		}
		copy(out[at:], acc)
	}
}

// from is what there is of b from the given offset on.
func from(b []byte, at int) []byte { return b[min(at, len(b)):] }

// load copies what there is of b from the given offset on, and zeros.
func load(to, b []byte, at int) {
	clear(to[copy(to, from(b, at)):])
}

// The functions below combine as much of b as there is with a, four words at a
// stride. The conversion to an array checks the bounds once per stride, and the
// compiler makes each load and store of a word one instruction.

const strideBytes = 32

type stride = [strideBytes]byte

func and(a, b []byte) {
	if len(b) < len(a) {
		clear(a[len(b):])
		a = a[:len(b)]
	}
	b = b[:len(a)]
	for ; len(a) >= strideBytes && len(b) >= strideBytes; a, b = a[strideBytes:], b[strideBytes:] {
		x, y := (*stride)(a), (*stride)(b)
		put(x[0:], word(x[0:])&word(y[0:]))
		put(x[8:], word(x[8:])&word(y[8:]))
		put(x[16:], word(x[16:])&word(y[16:]))
		put(x[24:], word(x[24:])&word(y[24:]))
	}
	for i := range a {
		a[i] &= b[i]
	}
}

func or(a, b []byte) {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	for ; len(a) >= strideBytes && len(b) >= strideBytes; a, b = a[strideBytes:], b[strideBytes:] {
		x, y := (*stride)(a), (*stride)(b)
		put(x[0:], word(x[0:])|word(y[0:]))
		put(x[8:], word(x[8:])|word(y[8:]))
		put(x[16:], word(x[16:])|word(y[16:]))
		put(x[24:], word(x[24:])|word(y[24:]))
	}
	for i := range a {
		a[i] |= b[i]
	}
}

func andNot(a, b []byte) {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	for ; len(a) >= strideBytes && len(b) >= strideBytes; a, b = a[strideBytes:], b[strideBytes:] {
		x, y := (*stride)(a), (*stride)(b)
		put(x[0:], word(x[0:])&^word(y[0:]))
		put(x[8:], word(x[8:])&^word(y[8:]))
		put(x[16:], word(x[16:])&^word(y[16:]))
		put(x[24:], word(x[24:])&^word(y[24:]))
	}
	for i := range a {
		a[i] &^= b[i]
	}
}

func xor(a, b []byte) { subtle.XORBytes(a, a, b[:min(len(a), len(b))]) }

func invert(a []byte) {
	for ; len(a) >= strideBytes; a = a[strideBytes:] {
		x := (*stride)(a)
		put(x[0:], ^word(x[0:]))
		put(x[8:], ^word(x[8:]))
		put(x[16:], ^word(x[16:]))
		put(x[24:], ^word(x[24:]))
	}
	for i := range a {
		a[i] = ^a[i]
	}
}

// once adds b to what was seen and, where it was seen before, to several.
func once(seen, several, b []byte) {
	n := min(len(seen), len(b))
	seen, several, b = seen[:n], several[:n], b[:n]
	for len(seen) >= strideBytes && len(several) >= strideBytes && len(b) >= strideBytes {
		x, y, z := (*stride)(seen), (*stride)(several), (*stride)(b)
		onceWord(x[0:], y[0:], z[0:])
		onceWord(x[8:], y[8:], z[8:])
		onceWord(x[16:], y[16:], z[16:])
		onceWord(x[24:], y[24:], z[24:])
		seen, several, b = seen[strideBytes:], several[strideBytes:], b[strideBytes:]
	}
	for i := range seen {
		several[i] |= seen[i] & b[i]
		seen[i] |= b[i]
	}
}

func onceWord(seen, several, b []byte) {
	s, x := word(seen), word(b)
	put(several, word(several)|s&x)
	put(seen, s|x)
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func put(b []byte, w uint64) { binary.LittleEndian.PutUint64(b, w) }
