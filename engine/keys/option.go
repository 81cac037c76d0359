package keys

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
)

const errIntRange resp.Error = "ERR value is out of range, value must between -2147483648 and 2147483647"

// is says whether arg is the given word, which is in upper case, in any case.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i, c := range arg {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// databaseNumber reads the number of an existing database.
func databaseNumber(c *shard.Call, arg []byte) (int, error) {
	n, ok := resp.ParseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case n < math.MinInt32 || n > math.MaxInt32:
		return 0, errIntRange
	case n < 0 || n >= int64(c.Databases()):
		return 0, resp.ErrDBIndex
	}
	return int(n), nil
}
