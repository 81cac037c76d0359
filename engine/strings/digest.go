package strings

import (
	"hyperkv/resp"
	"hyperkv/shard"
)

// digestTextBytes is the length of a digest as text: 64 bits in hexadecimal.
const digestTextBytes = 16

const errDigestLength resp.Error = "ERR must be exactly 16 hexadecimal characters"

// DIGEST key
//
// The digest lets a client ask whether a value is still the one it knows
// without sending it. It is XXH3, as in Redis, because clients compute it
// themselves.
func digest(c *shard.Call) error {
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	if !e.Exists() {
		return c.Reply.Null()
	}
	var digits [intTextMax]byte
	var space [digestTextBytes]byte
	return c.Reply.Bulk(appendDigest(space[:0], text(e, digits[:0])))
}

// appendDigest appends the digest of value in lower case.
func appendDigest(dst, value []byte) []byte {
	const hex = "0123456789abcdef"
	h := xxh3(value)
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, hex[h>>shift&15])
	}
	return dst
}

// digestIs compares the digest of value with one from a client, who may write
// it in either case.
func digestIs(value, want []byte) bool {
	var space [digestTextBytes]byte
	have := appendDigest(space[:0], value)
	if len(have) != len(want) {
		return false
	}
	for i := range have {
		c := want[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != have[i] {
			return false
		}
	}
	return true
}
