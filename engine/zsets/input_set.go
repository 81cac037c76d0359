package zsets

import (
	"hyperkv/resp"
	"hyperkv/shard"
)

// setInput is the set in home as an input.
func setInput(c *shard.Call, home *shard.Collection) (size int, members scored, err error) {
	return 0, nil, resp.ErrWrongType
}
