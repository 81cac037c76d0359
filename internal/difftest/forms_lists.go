package difftest

// Lists are the commands on lists that Redis 7.0 has, but for those that wait.
var Lists = Family{"lists", []string{
	"6*RPUSH key item...",
	"4*LPUSH key item...",
	"RPUSH key value...",
	"LPUSH key value",
	"2*LPUSHX key item...",
	"2*RPUSHX key item...",
	"2*LPOP key",
	"2*RPOP key",
	"2*LPOP key [small]",
	"2*RPOP key [count]",
	"LPOP key small small",
	"LLEN key",
	"5*LRANGE key index index",
	"2*LRANGE key 0 -1",
	"2*LINDEX key index",
	"3*LINSERT key (BEFORE|AFTER) item item",
	"LINSERT key word item item",
	"3*LSET key index item",
	"LSET key index value",
	"4*LREM key (0|1|-1|2|-2|3) item",
	"LREM key (100|-100|9223372036854775807|word) item",
	"2*LTRIM key index index",
	"2*LPOS key item",
	"3*LPOS key item [RANK rank] [COUNT small] [MAXLEN maxlen]",
	"LPOS key item (RANK rank|COUNT count|MAXLEN number|word)...",
	"4*LMOVE key key (LEFT|RIGHT) (LEFT|RIGHT)",
	"LMOVE key key (LEFT|word) (RIGHT|word)",
	"2*RPOPLPUSH key key",
	"LMPOP 1 key (LEFT|RIGHT)",
	"3*LMPOP 2 key key (LEFT|RIGHT) [COUNT small]",
	"LMPOP small key key (LEFT|RIGHT|word) [COUNT number] [COUNT count]",
}}

// Waiting are those that wait. Redis notices only ten times a second that a wait
// is over, which is why they are not among Families.
var Waiting = Family{"waiting", []string{
	"BLPOP key... (0.001|-1|X)",
	"BRPOP key... (0.001|1e-3)",
	"BLMOVE key key (LEFT|RIGHT) (LEFT|RIGHT) 0.001",
	"BLMOVE key key (LEFT|word) (RIGHT|word) (0.001|-1|X)",
	"BRPOPLPUSH key key 0.001",
	"BLMPOP 0.001 2 key key (LEFT|RIGHT) [COUNT small]",
	"BLMPOP (0.001|X) small key key (LEFT|RIGHT) [COUNT count]",
}}
