package server

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/keys"
	"hyperkv/internal/glob"
	"hyperkv/resp"
	"hyperkv/shard"
)

// ofDebug are the flags of every row of DEBUG: it does nothing unless
// enable-debug-command allows it.
const ofDebug = ofOperator | engine.Protected

// DEBUG is for the test suites of Redis and Valkey. Switches of things that do
// not exist here are accepted; what would damage the server does not exist.
var debugging = engine.Command{
	Name: "DEBUG", Arity: -2, Flags: ofDebug,
	Summary: "Does what tests need and nobody else should.",
	Since:   "1.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{
		keys.DebugObject,
		{
			Name: "RELOAD", Arity: -2, Start: debugReload, Flags: ofDebug | engine.NoMulti,
			Summary: "Writes the dataset as a snapshot does, into memory, empties it and loads it again.",
			Since:   "1.0.0", Complexity: "O(N) with the size of the dataset", Syntax: "[NOFLUSH] [MERGE]",
		}, {
			Name: "LOADAOF", Arity: 2, Start: debugLoadAOF, Flags: ofDebug | engine.NoMulti,
			Summary: "Empties the dataset and recovers it from what the log and the snapshots on disk hold.",
			Since:   "1.0.0", Complexity: "O(N) with the size of the dataset and the log",
		},
		digestRow,
		digestValueRow,
		{
			Name: "SLEEP", Arity: 3, Run: debugSleep, Scope: engine.ScopeAll, Flags: ofDebug | engine.Long,
			Summary: "Holds all shards for some time.",
			Since:   "1.0.0", Complexity: "O(1)", Syntax: "seconds:double",
		}, {
			Name: "SET-ACTIVE-EXPIRE", Arity: 3, Session: debugSetActiveExpire, Flags: ofDebug,
			Summary: "Switches the deletion of expired keys that nobody asks for, with 1 or 0.",
			Since:   "1.0.0", Complexity: "O(1)", Syntax: "enabled:integer",
		}, {
			Name: "POPULATE", Arity: -3, Run: debugPopulate, Scope: engine.ScopeAll, Flags: ofDebug | engine.Long,
			Summary: "Makes string keys named prefix:number, as far as they are not there.",
			Since:   "1.0.0", Complexity: "O(N) with the number of keys", Syntax: "count [prefix [size:integer]]",
		}, {
			Name: "PROTOCOL", Arity: 3, Session: debugProtocol, Flags: ofDebug,
			Summary: "Answers an example of a type of the protocol.",
			Since:   "6.0.0", Complexity: "O(1)", Syntax: "type",
		}, {
			Name: "ERROR", Arity: 3, Session: debugError, Flags: ofDebug,
			Summary: "Answers the given error.",
			Since:   "3.0.0", Complexity: "O(1)", Syntax: "message",
		}, {
			Name: "LOG", Arity: 3, Session: debugLog, Flags: ofDebug,
			Summary: "Writes a message into the server's log.",
			Since:   "6.2.0", Complexity: "O(1)", Syntax: "message",
		}, {
			Name: "STRINGMATCH-LEN", Arity: 4, Session: debugStringMatch, Flags: ofDebug,
			Summary: "Matches a pattern against as many letters a as said.",
			Since:   "7.0.9", Complexity: "O(N) with the length times that of the pattern", Syntax: "length:integer pattern",
		}, {
			Name: "REPLYBUFFER", Arity: 4, Session: debugReplyBuffer, Flags: ofDebug,
			Summary: "Is accepted; the output buffers of HyperKV take care of themselves.",
			Since:   "7.0.0", Complexity: "O(1)", Syntax: "setting(PEAK-RESET-TIME time | RESIZING enabled:integer)",
		}, {
			Name: "QUICKLIST-PACKED-THRESHOLD", Arity: 3, Session: debugPackedThreshold, Flags: ofDebug,
			Summary: "Is accepted; there are no lists.",
			Since:   "7.0.0", Complexity: "O(1)", Syntax: "size",
		}, {
			Name: "CONFIG-REWRITE-FORCE-ALL", Arity: 2, Session: configRewrite, Flags: ofDebug,
			Summary: "Writes changed settings into the configuration file.",
			Since:   "7.0.0", Complexity: "O(1)",
		},
		accepted("PAUSE-CRON", "7.0.0", "enabled:integer", "there is no periodic job"),
		accepted("SET-DISABLE-DENY-SCRIPTS", "7.0.0", "enabled:integer", "there are no scripts"),
		accepted("SET-SKIP-CHECKSUM-VALIDATION", "6.2.0", "enabled:integer", "there are no checksums to check"),
		accepted("AOF-FLUSH-SLEEP", "6.2.0", "microseconds:integer", "there is no append-only log"),
		accepted("DICT-RESIZING", "7.2.0", "enabled:integer", "tables here grow in pieces"),
		accepted("DELAY-RDB-CLIENT-FREE-SECONDS", "7.2.0", "seconds", "there is no child process"),
		{
			Name: "CHANGE-REPL-ID", Arity: 2, Session: debugChangeReplID, Flags: ofDebug,
			Summary: "Gives the dataset another replication ID, so that replicas that come back get a snapshot.",
			Since:   "4.0.0", Complexity: "O(1)",
		}, {
			Name: "HELP", Arity: 2, Session: engine.Help, Flags: ofDebug,
			Summary: "Prints the subcommands and what they do.",
			Since:   "5.0.0", Complexity: "O(1)",
		},
	},
}

// accepted is the row of a switch that has nothing to switch.
func accepted(name, since, syntax, why string) engine.Command {
	arity := 3
	if syntax == "" {
		arity = 2
	}
	return engine.Command{
		Name: name, Arity: arity, Flags: ofDebug,
		Session: func(c *engine.Context) error { return c.Reply.OK() },
		Summary: "Is accepted; " + why + ".",
		Since:   since, Complexity: "O(1)", Syntax: syntax,
	}
}

// sleepSecondsMax bounds how long tests may stop everybody.
const sleepSecondsMax = 3600

// DEBUG SLEEP seconds
//
// What is not a number is none at all, as with C's strtod. It runs on a keeper,
// so that the event loops still serve what needs no shard.
func debugSleep(c *shard.Call) error {
	seconds, ok := resp.ParseFloat(c.Args[2])
	if ok && seconds > 0 {
		time.Sleep(time.Duration(min(seconds, sleepSecondsMax) * float64(time.Second)))
	}
	return c.Reply.OK()
}

// DEBUG SET-ACTIVE-EXPIRE 0 | 1
func debugSetActiveExpire(c *engine.Context) error {
	n, _ := strconv.Atoi(string(c.Args[2]))
	c.Engine.Shards.ActiveExpiry.Store(n != 0)
	return c.Reply.OK()
}

const (
	populateKeysMax = 1 << 28
	populateSizeMax = 512 << 20
)

// DEBUG POPULATE count [prefix [size]]
//
// Number n gets the value "value:n", cut or filled up with zero bytes to the
// size. A repetition makes the same keys, so it is recorded as it was sent.
func debugPopulate(c *shard.Call) error {
	if len(c.Args) > 5 {
		return resp.SubcommandSyntax("debug", c.Args[1])
	}
	count, ok := resp.ParseInt(c.Args[2])
	if !ok || count < 0 || count > populateKeysMax {
		return resp.ErrNotPositive
	}
	size := int64(-1)
	if len(c.Args) == 5 {
		if size, ok = resp.ParseInt(c.Args[4]); !ok || size < 0 || size > populateSizeMax {
			return resp.ErrNotPositive
		}
	}
	prefix := []byte("key")
	if len(c.Args) > 3 {
		prefix = bytes.Clone(c.Args[3])
	}
	key := append(prefix, ':')
	stem := len(key)
	value := append(make([]byte, 0, max(size, 32)), "value:"...)
	for n := range count {
		key = strconv.AppendInt(key[:stem], n, 10)
		if c.DB.Peek(key).Exists() {
			continue
		}
		value = strconv.AppendInt(value[:len("value:")], n, 10)
		text := value
		if size >= 0 {
			text = value[:size]
			if used := len(value); int(size) > used {
				clear(text[used:])
			}
		}
		c.DB.Set(key, text, 0)
	}
	return c.Reply.OK()
}

// DEBUG ERROR message
func debugError(c *engine.Context) error { return resp.Error(c.Args[2]) }

// logBytesMax bounds what DEBUG LOG writes.
const logBytesMax = 4096

// DEBUG LOG message
func debugLog(c *engine.Context) error {
	message := c.Args[2]
	c.Engine.Log.Warn("DEBUG LOG: " + string(message[:min(len(message), logBytesMax)]))
	return c.Reply.OK()
}

// stringMatchMax bounds the text that DEBUG STRINGMATCH-LEN makes.
const stringMatchMax = 1 << 20

// DEBUG STRINGMATCH-LEN length pattern
func debugStringMatch(c *engine.Context) error {
	n, ok := resp.ParseInt(c.Args[2])
	if !ok || n < 0 || n > stringMatchMax {
		return resp.ErrNotPositive
	}
	if glob.Match(c.Args[3], bytes.Repeat([]byte{'a'}, int(n))) {
		return c.Reply.Int(1)
	}
	return c.Reply.Int(0)
}

// DEBUG REPLYBUFFER PEAK-RESET-TIME time | RESIZING 0|1
func debugReplyBuffer(c *engine.Context) error {
	switch {
	case resp.WordIs(c.Args[2], "PEAK-RESET-TIME"):
		if resp.WordIs(c.Args[3], "NEVER") || resp.WordIs(c.Args[3], "RESET") {
			break
		}
		if _, ok := resp.ParseInt(c.Args[3]); !ok {
			return resp.ErrNotInteger
		}
	case resp.WordIs(c.Args[2], "RESIZING"):
	default:
		return subcommandSyntax(c)
	}
	return c.Reply.OK()
}

// packedThresholdMax is Redis' bound.
const packedThresholdMax = 4 << 30

// DEBUG QUICKLIST-PACKED-THRESHOLD size
func debugPackedThreshold(c *engine.Context) error {
	digits := bytes.TrimRight(bytes.ToLower(c.Args[2]), "bkmg")
	n, err := strconv.ParseFloat(string(digits), 64)
	scale := 1.0
	switch unit := string(bytes.ToLower(c.Args[2])[len(digits):]); unit {
	case "", "b":
	case "k", "kb":
		scale = 1 << 10
	case "m", "mb":
		scale = 1 << 20
	case "g", "gb":
		scale = 1 << 30
	default:
		scale = math.Inf(1)
	}
	if err != nil || n < 0 || n*scale >= packedThresholdMax {
		return resp.Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
	}
	return c.Reply.OK()
}
