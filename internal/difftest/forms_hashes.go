package difftest

import "strconv"

// Hashes are the commands on hashes of Redis 7.0. What chance decides is compared by
// its shape.
var Hashes = Family{"hashes", []string{
	"6*HSET key field value",
	"3*HSET key (field value)...",
	"HSET key field value field",
	"2*HSETNX key field value",
	"HMSET key (field value)...",
	"4*HGET key field",
	"2*HMGET key field...",
	"3*HGETALL key",
	"HKEYS key",
	"HVALS key",
	"2*HLEN key",
	"2*HSTRLEN key field",
	"2*HEXISTS key field",
	"4*HDEL key field...",
	"3*HINCRBY key field number",
	"3*HINCRBYFLOAT key field float",
	"2*HRANDFIELD key [(0|1|3|-3|1000000|word|-9223372036854775808) [WITHVALUES|word]]",
	"2*HSCAN key 0 [MATCH pattern] [COUNT count]",
	"HSCAN key (0|word) [MATCH pattern] [COUNT count]",
	"OBJECT ENCODING key",
}}

func init() {
	Rules = append(Rules,
		Rule{"HKEYS", Unordered, 0, "hashes have no order"},
		Rule{"HVALS", Unordered, 0, "hashes have no order"},
		Rule{"HRANDFIELD", Shape, 0, "it is random"},
		Rule{"HSCAN", Cursor, 0, "hashes have no order"},
	)
}

// field is one of few, so that it is often there.
func field(g *generator) string {
	switch g.rand.IntN(10) {
	case 0:
		return pick(g, []string{"", "\x00", "01", "-1", "70000", "field\r\n"})
	case 1:
		return text(g, 60+g.rand.IntN(10)) // fields of packed hashes have up to 64 bytes
	case 2, 3:
		return strconv.Itoa(g.rand.IntN(5))
	default:
		return pick(g, []string{"f", "g", "h", "n"})
	}
}
