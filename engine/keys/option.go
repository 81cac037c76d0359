package keys

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
)

const errIntRange resp.Error = "ERR value is out of range, value must between -2147483648 and 2147483647"

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
