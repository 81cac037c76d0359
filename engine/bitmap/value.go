package bitmap

import (
	"strconv"

	"hyperkv/resp"
	"hyperkv/shard/keyspace"
)

// BytesMax is the length of the longest bitmap: Redis' proto-max-bulk-len at its
// default, and what the keyspace can hold.
const BytesMax = keyspace.StringBytesMax

// intTextMax is the length of the longest text of a 64-bit integer.
const intTextMax = 20

// text returns the bytes of a string. Those of an integer are appended to
// scratch, all others are borrowed from the entry; an absent key reads as empty.
func text(e keyspace.Entry, scratch []byte) []byte {
	if !e.Exists() {
		return nil
	}
	if n, ok := e.Int(); ok {
		return strconv.AppendInt(scratch, n, 10)
	}
	return e.Bytes()
}

// length is the length of the string's text, 0 for an absent key.
func length(e keyspace.Entry) int {
	if !e.Exists() {
		return 0
	}
	return e.StringLen()
}

// bitOffset reads the number of a bit that a string can have.
func bitOffset(arg []byte) (int64, error) {
	n, ok := resp.ParseInt(arg)
	if !ok || n < 0 || n>>3 >= BytesMax {
		return 0, resp.ErrBitOffset
	}
	return n, nil
}
