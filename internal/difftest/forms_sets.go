package difftest

import "strings"

// Sets are the commands on sets of Redis 7.0, but for SPOP: two servers would not
// remove the same.
var Sets = Family{"sets", []string{
	"6*SADD key member...",
	"2*SADD key (member member member member member)...",
	"2*SADD key value...",
	"2*SADD key" + strings.Repeat(" number", 60), // large sets of integers, and of anything
	"SADD key" + strings.Repeat(" value", 40),
	"3*SREM key member...",
	"SREM key value...",
	"2*SISMEMBER key member",
	"2*SMISMEMBER key member...",
	"2*SCARD key",
	"2*SMEMBERS key",
	"3*SMOVE key key member",
	"SRANDMEMBER key [(0|1|3|-3|1000000|word)]",
	"2*SINTER key...",
	"2*SUNION key...",
	"2*SDIFF key...",
	"2*SINTERCARD small key... [LIMIT small]",
	"SINTERCARD 2 key key [LIMIT number] [LIMIT small]",
	"2*SINTERSTORE key key...",
	"2*SUNIONSTORE key key...",
	"2*SDIFFSTORE key key...",
	"2*SSCAN key 0 [MATCH pattern] [COUNT count]",
	"SSCAN key (0|word) [MATCH pattern] [COUNT count] [TYPE type]",
}}
