package strings

import (
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

const (
	errLCSType     resp.Error = "ERR The specified keys must contain string values"
	errLCSBoth     resp.Error = "ERR If you want both the length and indexes, please just use IDX."
	errLCSTooLarge resp.Error = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
)

// lcsCellBytes is what Redis' table takes per pair of places; by it, and not by
// the 32 times smaller one here, the size of the task is limited, so that both
// refuse the same.
const lcsCellBytes = 4

// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
func lcs(c *shard.Call) error {
	first, second := c.DB.Lookup(c.Args[1]), c.DB.Lookup(c.Args[2])
	if !stringOrAbsent(first) || !stringOrAbsent(second) {
		return errLCSType
	}
	var wantLength, wantIndexes, withLength bool
	var least int64
	for i := 3; i < len(c.Args); i++ {
		switch word := c.Args[i]; {
		case resp.WordIs(word, "IDX"):
			wantIndexes = true
		case resp.WordIs(word, "LEN"):
			wantLength = true
		case resp.WordIs(word, "WITHMATCHLEN"):
			withLength = true
		case resp.WordIs(word, "MINMATCHLEN") && i+1 < len(c.Args):
			i++
			var ok bool
			if least, ok = resp.ParseInt(c.Args[i]); !ok {
				return resp.ErrNotInteger
			}
		default:
			return resp.ErrSyntax
		}
	}
	if wantLength && wantIndexes {
		return errLCSBoth
	}
	var firstDigits, secondDigits [intTextMax]byte
	a, b := text(first, firstDigits[:0]), text(second, secondDigits[:0])
	if int64(len(a)+1)*int64(len(b)+1)*lcsCellBytes > StringBytesMax {
		return errLCSTooLarge
	}
	t := newLCSTable(a, b, !wantLength)
	switch {
	case wantIndexes:
		replyMatches(c, t, max(least, 0), withLength)
		return nil
	case wantLength:
		return c.Reply.Int(int64(t.length))
	default:
		return c.Reply.Bulk(t.sequence())
	}
}

func stringOrAbsent(e keyspace.Entry) bool { return !e.Exists() || e.Type() == object.String }

// replyMatches answers the stretches in which the sequence is contiguous in both
// strings, the last one first.
func replyMatches(c *shard.Call, t *lcsTable, least int64, withLength bool) {
	c.Reply.Map(2)
	c.Reply.BulkString("matches")
	place := c.Reply.Deferred()
	count := 0
	t.stretches(func(a, b, n int) {
		if int64(n) < least {
			return
		}
		count++
		if withLength {
			c.Reply.Array(3)
		} else {
			c.Reply.Array(2)
		}
		for _, from := range [2]int{a, b} {
			c.Reply.Array(2)
			c.Reply.Int(int64(from))
			c.Reply.Int(int64(from + n - 1))
		}
		if withLength {
			c.Reply.Int(int64(n))
		}
	})
	c.Reply.SetArray(place, count)
	c.Reply.BulkString("len")
	c.Reply.Int(int64(t.length))
}

// lcsTable is the result of the classic dynamic programme over two strings: for
// the prefixes of lengths i of a and j of b, L(i,j) is the length of their
// longest common subsequence. Only one row of L is kept. To walk back from the
// end it takes no more than knowing, wherever the last bytes differ, which way
// is longer, so that is all that is remembered: one bit per pair.
type lcsTable struct {
	a, b   []byte
	length int
	// up has the bit (i-1)*len(b)+(j-1) set where L(i-1,j) > L(i,j-1). Where the
	// bytes are alike it means nothing.
	up []uint64
}

func newLCSTable(a, b []byte, walkable bool) *lcsTable {
	t := &lcsTable{a: a, b: b}
	row := make([]uint32, len(b)+1) // L(i,·), on its way from L(i-1,·)
	if walkable {
		t.up = make([]uint64, len(a)*len(b)/64+1)
	}
	// Which bytes are alike is hard to predict, so the inner loop is written for
	// conditional moves: it has no branch but the one that puts 64 bits away.
	at, word := uint(0), uint64(0)
	for _, x := range a {
		var diagonal, left uint32 // L(i-1,j-1), L(i,j-1)
		above := row[1:]
		for j, y := range b[:len(above)] {
			over := above[j]
			up := (uint64(left) - uint64(over)) >> 63 // 1 when over > left
			best := max(over, left)
			if x == y {
				best = diagonal + 1
			}
			word |= up << (at & 63)
			above[j] = best
			diagonal, left = over, best
			if at++; at&63 == 0 && walkable {
				t.up[at>>6-1] = word
				word = 0
			}
		}
	}
	if walkable {
		t.up[at>>6] |= word
	}
	t.length = int(row[len(b)])
	return t
}

// walk visits the pairs of places that the sequence is made of, from the end.
func (t *lcsTable) walk(visit func(i, j int)) {
	i, j := len(t.a)-1, len(t.b)-1
	for i >= 0 && j >= 0 {
		at := i*len(t.b) + j
		switch {
		case t.a[i] == t.b[j]:
			visit(i, j)
			i--
			j--
		case t.up[at>>6]>>(at&63)&1 != 0:
			i--
		default:
			j--
		}
	}
}

// sequence is the longest common subsequence itself.
func (t *lcsTable) sequence() []byte {
	out := make([]byte, t.length)
	at := t.length
	t.walk(func(i, j int) {
		at--
		out[at] = t.a[i]
	})
	return out
}

// stretches visits the runs of n pairs that follow each other in both strings,
// beginning at a and b, from the end.
func (t *lcsTable) stretches(visit func(a, b, n int)) {
	a, b, n := 0, 0, 0
	t.walk(func(i, j int) {
		if n > 0 && i == a-1 && j == b-1 {
			a, b, n = i, j, n+1
			return
		}
		if n > 0 {
			visit(a, b, n)
		}
		a, b, n = i, j, 1
	})
	if n > 0 {
		visit(a, b, n)
	}
}
