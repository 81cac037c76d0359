package strings

import (
	"strconv"

	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

// StringBytesMax is the length of the longest string that a command may build
// out of shorter ones: Redis' proto-max-bulk-len at its default, and what the
// keyspace can hold. The parser holds single arguments to the same limit.
const StringBytesMax = keyspace.StringBytesMax

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

// replyValue answers the string, or null for an absent key.
func replyValue(c *shard.Call, e keyspace.Entry) error {
	if !e.Exists() {
		return c.Reply.Null()
	}
	if n, ok := e.Int(); ok {
		return c.Reply.BulkInt(n)
	}
	return c.Reply.Bulk(e.Bytes())
}
