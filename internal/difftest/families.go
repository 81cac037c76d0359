package difftest

import (
	"fmt"
	"slices"
)

// A Family is a set of command forms that are tested together. See form for what
// a line may hold; a line that starts with "N*" is chosen N times as often.
type Family struct {
	Name  string
	Forms []string
}

// Families are those that a run uses when it is not told otherwise.
var Families = []Family{
	Strings, Bitmaps, HyperLogLogs, Lists, Hashes, Sets, ZSets, Geo, Streams, Sorting, Dumps,
	Generic, Expiry, Connection, Transactions,
}

// Strings are the string commands of Redis 7.0.
var Strings = Family{"strings", []string{
	"6*SET key value",
	"4*SET key value [NX|XX] [GET] [EX seconds|PX millis|EXAT unix|PXAT unixmillis|KEEPTTL]",
	"SET key value (NX|XX|GET|EX seconds|PX millis|EXAT unix|PXAT unixmillis|KEEPTTL)...",
	"3*SET key number",
	"6*GET key",
	"2*GETEX key [EX seconds|PX millis|EXAT unix|PXAT unixmillis|PERSIST]",
	"GETEX key (EX seconds|PX millis|PERSIST)...",
	"2*GETDEL key",
	"2*GETSET key value",
	"2*SETNX key value",
	"SETEX key seconds value",
	"PSETEX key millis value",
	"2*MSET (key value)...",
	"2*MSETNX (key value)...",
	"2*MGET key...",
	"2*APPEND key value",
	"STRLEN key",
	"2*INCR key",
	"DECR key",
	"2*INCRBY key number",
	"DECRBY key number",
	"2*INCRBYFLOAT key float",
	"2*GETRANGE key index index",
	"SUBSTR key index index",
	"2*SETRANGE key offset value",
	"LCS key key [LEN] [IDX] [MINMATCHLEN small] [WITHMATCHLEN]",
}}

// Bitmaps are the bit commands.
var Bitmaps = Family{"bitmaps", []string{
	"4*SETBIT key bitoffset bit",
	"2*GETBIT key bitoffset",
	"3*BITCOUNT key [index index [BYTE|BIT]]",
	"3*BITPOS key bit [index [index [BYTE|BIT]]]",
	"3*BITOP (AND|OR|XOR) key key...",
	"BITOP NOT key key",
	"BITOP NOT key key...",
	"4*BITFIELD key (GET bittype fieldoffset|SET bittype fieldoffset number|INCRBY bittype fieldoffset number|OVERFLOW (WRAP|SAT))...",
	"2*BITFIELD_RO key (GET bittype fieldoffset)...",
	"BITFIELD_RO key SET bittype fieldoffset number",
	"BITFIELD key",
}}

// Generic are the commands for keys of any type.
var Generic = Family{"generic", []string{
	"3*DEL key...",
	"UNLINK key...",
	"2*EXISTS key...",
	"2*TYPE key",
	"TOUCH key...",
	"2*RENAME key key",
	"2*RENAMENX key key",
	"2*COPY key key [DB db] [REPLACE]",
	"2*MOVE key db",
	"2*OBJECT ENCODING key",
	"OBJECT (REFCOUNT|IDLETIME|FREQ) key",
	"DBSIZE",
	"KEYS pattern",
	"2*SCAN 0 [MATCH pattern] [COUNT count] [TYPE type]",
	"SCAN word",
	"RANDOMKEY",
	"FLUSHDB [ASYNC|SYNC]",
	"SWAPDB db db",
}}

// Expiry are the commands that set and show times to live.
var Expiry = Family{"expiry", []string{
	"3*EXPIRE key seconds [NX|XX|GT|LT]",
	"3*PEXPIRE key millis [NX|XX|GT|LT]",
	"3*EXPIREAT key unix [NX|XX|GT|LT]",
	"3*PEXPIREAT key unixmillis [NX|XX|GT|LT]",
	"EXPIRE key seconds (NX|XX|GT|LT)...",
	"3*TTL key",
	"3*PTTL key",
	"2*EXPIRETIME key",
	"2*PEXPIRETIME key",
	"3*PERSIST key",
}}

// Connection are the commands about the session itself.
var Connection = Family{"connection", []string{
	"PING [value]",
	"PING value...",
	"ECHO value",
	"2*SELECT db",
	"2*HELLO (2|3)",
	"HELLO [protocol] [AUTH word word] [SETNAME word]",
	"RESET",
	"CLIENT GETNAME",
	"CLIENT SETNAME word",
	"CLIENT ID",
	"CLIENT NO-EVICT (ON|OFF|word)",
	"CLIENT UNBLOCK number",
	"CLIENT KILL ID word",
	"CLIENT KILL word",
	"CLIENT REPLY (ON|word)",
	"CLIENT word",
	"AUTH word [word]",
	"word value...",
}}

// Transactions are MULTI and what belongs to it. The generator also closes the
// transactions that it has opened; see generator.next.
var Transactions = Family{"transactions", []string{
	"6*MULTI",
	"2*EXEC",
	"DISCARD",
	"4*WATCH key...",
	"UNWATCH",
	"MULTI word",
	"EXEC word",
}}

// Others creates keys of other types than string, so that wrong types are met. It
// is not among Families until the server under test has those types.
var Others = Family{"others", []string{
	"RPUSH key value...",
	"SADD key value...",
	"HSET key (value value)...",
	"ZADD key (float value)...",
	"LLEN key",
	"SCARD key",
	"HLEN key",
	"ZCARD key",
}}

const (
	// familiesMeet is up to how many families use all keys alike.
	familiesMeet = 4
	// ownKeys is how many keys a family mostly uses otherwise.
	ownKeys = 3
)

// compile parses the families' forms.
func compile(families []Family) ([]form, error) {
	var forms []form
	for i, family := range families {
		// Of many families each has keys of its own, or most commands would meet a
		// value of another type. They share them with some others.
		own := keys
		if len(families) > familiesMeet {
			from := i * ownKeys % len(keys)
			own = append(slices.Clone(keys[from:min(from+ownKeys, len(keys))]), keys[:max(from+ownKeys-len(keys), 0)]...)
		}
		for _, text := range family.Forms {
			f := form{family: family.Name, weight: 1, text: text, own: own}
			if n, err := fmt.Sscanf(text, "%d*", &f.weight); n == 1 && err == nil {
				for f.text[0] != '*' {
					f.text = f.text[1:]
				}
				f.text = f.text[1:]
			} else {
				f.weight = 1
			}
			var err error
			if f.root, err = parseForm(f.text); err != nil {
				return nil, fmt.Errorf("family %s: %w", family.Name, err)
			}
			forms = append(forms, f)
		}
	}
	if len(forms) == 0 {
		return nil, fmt.Errorf("no command forms")
	}
	return forms, nil
}
