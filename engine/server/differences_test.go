package server_test

// differences are the places where COMMAND and COMMAND DOCS say something else
// than Redis 7.0.15 does, by the reason for it: "command what".
var differences = byPlace(map[string][]string{
	"Redis 7.2 gave arguments other names": {
		"acl|cat names", "bitcount names", "bitfield names", "bitfield_ro names", "bitop names", "bitpos names",
		"client|kill names", "client|list names", "client|reply names", "client|unblock names", "config|get names",
		"config|set names", "flushall names", "flushdb names", "function|flush names", "geoadd names", "georadius names",
		"georadius_ro names", "georadiusbymember names", "georadiusbymember_ro names", "geosearch names",
		"geosearchstore names", "hello names", "hmset names", "hset names", "lcs names", "mset names", "msetnx names",
		"script|flush names", "set names", "shutdown names", "zadd names", "zrange names", "zrangebylex names",
		"zrangebyscore names", "zrangestore names", "zrevrangebylex names", "zrevrangebyscore names",
		"sort names", "sort_ro names",
	},
	"Redis 7.2 describes the arguments better": {
		"client|kill arguments", "client|list arguments", "command|getkeys arguments", "command|getkeys names",
		"command|getkeysandflags arguments", "command|getkeysandflags names", "config|get arguments", "geohash arguments",
		"geopos arguments", "georadius arguments", "georadiusbymember arguments", "pfmerge arguments",
	},
	"Redis 7.2 lowered the arity, so that GETKEYS says itself what is wrong": {
		"command|getkeys arity", "command|getkeysandflags arity",
	},
	"a later version of Redis or Valkey added to the command": {
		"bitcount arguments", "bitcount history", "bitop arguments", "bitop history", "client|kill history",
		"client|list history", "geosearch arguments", "geosearch history", "geosearchstore arguments",
		"geosearchstore history", "hscan arguments", "hscan names", "set arguments", "set history", "zrank arguments",
		"zrank arity", "zrank history", "zrank names", "zrevrank arguments", "zrevrank arity", "zrevrank history",
		"zrevrank names", "zscan arguments", "zscan history", "zscan names",
	},
	"Redis 7.2 and later have it in scripts, where it does not block": {
		"blmove flags", "blpop flags", "brpop flags", "brpoplpush flags", "bzpopmax flags", "bzpopmin flags",
	},
	"Redis 7.4 says that the destination is overwritten": {
		"sinterstore key specs",
	},
	"Redis 7.2 deprecated the command": {
		"quit deprecated since", "quit flags",
	},
	"Redis 7.2 and later say so": {
		"client|pause since", "georadius_ro history", "georadiusbymember history", "georadiusbymember_ro history",
		"psetex deprecated since", "psetex flags", "setex deprecated since", "setex flags", "setnx deprecated since",
		"setnx flags",
	},
	"Redis 7.2 and later give the tips": {
		"client|setname tips", "config|resetstat tips", "config|rewrite tips", "latency|reset tips", "msetnx tips",
		"randomkey tips", "scan tips",
	},
	"Redis 7.2 gave arguments of streams other names": {
		"xadd names", "xclaim names", "xgroup|create names", "xgroup|createconsumer names", "xgroup|delconsumer names",
		"xgroup|destroy names", "xgroup|setid names", "xinfo|consumers names", "xinfo|stream names", "xreadgroup names",
		"xsetid names", "xtrim names",
	},
	"Redis 7.2 and 8.2 added to the commands on streams": {
		"xadd arguments", "xadd history", "xinfo|consumers history", "xinfo|stream arguments", "xinfo|stream history",
		"xtrim arguments", "xtrim history",
	},
	"the session shows EXEC to monitors itself": {
		"exec flags",
	},
	"WAIT stands beside MULTI here": {
		"wait categories", "wait flags",
	},
	"HELP has one row for all containers": {
		"object|help since",
	},
})

func byPlace(byReason map[string][]string) map[string]string {
	m := make(map[string]string)
	for reason, places := range byReason {
		for _, place := range places {
			m[place] = reason
		}
	}
	return m
}
