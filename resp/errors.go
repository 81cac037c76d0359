package resp

import (
	"bytes"
	"strings"
)

// Error is an error as a client sees it: the code, a space, the text. The code
// is interface, and the text is Redis'.
type Error string

func (e Error) Error() string { return string(e) }

// Code is the first word, by which clients tell errors apart.
func (e Error) Code() string {
	code, _, _ := strings.Cut(string(e), " ")
	return code
}

// Errors that more than one command or layer answers.
const (
	ErrSyntax          Error = "ERR syntax error"
	ErrWrongType       Error = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ErrNoSuchKey       Error = "ERR no such key"
	ErrSameObject      Error = "ERR source and destination objects are the same"
	ErrOutOfRange      Error = "ERR index out of range"
	ErrNotInteger      Error = "ERR value is not an integer or out of range"
	ErrNotPositive     Error = "ERR value is out of range, must be positive"
	ErrValueRange      Error = "ERR value is out of range"
	ErrNotFloat        Error = "ERR value is not a valid float"
	ErrOverflow        Error = "ERR increment or decrement would overflow"
	ErrDecrOverflow    Error = "ERR decrement would overflow"
	ErrNaNOrInfinity   Error = "ERR increment would produce NaN or Infinity"
	ErrHashNotInteger  Error = "ERR hash value is not an integer"
	ErrHashNotFloat    Error = "ERR hash value is not a float"
	ErrMinMaxNotFloat  Error = "ERR min or max is not a float"
	ErrMinMaxNotLex    Error = "ERR min or max not valid string range item"
	ErrScoreNaN        Error = "ERR resulting score is not a number (NaN)"
	ErrStringTooLong   Error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	ErrOffset          Error = "ERR offset is out of range"
	ErrBitOffset       Error = "ERR bit offset is not an integer or out of range"
	ErrDBIndex         Error = "ERR DB index is out of range"
	ErrInvalidCursor   Error = "ERR invalid cursor"
	ErrInvalidTTL      Error = "ERR Invalid TTL value, must be >= 0"
	ErrTimeoutNotFloat Error = "ERR timeout is not a float or out of range"
	ErrTimeoutNotInt   Error = "ERR timeout is not an integer or out of range"
	ErrTimeoutNegative Error = "ERR timeout is negative"
	ErrTimeoutRange    Error = "ERR timeout is out of range"
	ErrKeysNegative    Error = "ERR Number of keys can't be negative"
	ErrKeysBeyondArgs  Error = "ERR Number of keys can't be greater than number of args"
	ErrNumKeysPositive Error = "ERR numkeys should be greater than 0"
	ErrStreamID        Error = "ERR Invalid stream ID specified as stream command argument"
	ErrMultiNested     Error = "ERR MULTI calls can not be nested"
	ErrExecNoMulti     Error = "ERR EXEC without MULTI"
	ErrDiscardNoMulti  Error = "ERR DISCARD without MULTI"
	ErrWatchInMulti    Error = "ERR WATCH inside MULTI is not allowed"
	ErrNoCluster       Error = "ERR This instance has cluster support disabled"
	ErrUnblocked       Error = "UNBLOCKED client unblocked via CLIENT UNBLOCK"
	ErrUnblockedRole   Error = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
	ErrNoScript        Error = "NOSCRIPT No matching script. Please use EVAL."
	ErrLoading         Error = "LOADING Redis is loading the dataset in memory"
	ErrBusyScript      Error = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
	ErrBusyFunction    Error = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
	ErrBusyModule      Error = "BUSY Redis is busy running a module command."
	ErrNotBusy         Error = "NOTBUSY No scripts in execution right now."
	ErrUnkillable      Error = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
	ErrMasterDown      Error = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	ErrMisconf         Error = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error."
	ErrReadOnly        Error = "READONLY You can't write against a read only replica."
	ErrNoAuth          Error = "NOAUTH Authentication required."
	ErrNoAuthHello     Error = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	ErrWrongPass       Error = "WRONGPASS invalid username-password pair or user is disabled."
	ErrNoProto         Error = "NOPROTO unsupported protocol version"
	ErrOOM             Error = "OOM command not allowed when used memory > 'maxmemory'."
	ErrExecAbort       Error = "EXECABORT Transaction discarded because of previous errors."
	ErrNoReplicas      Error = "NOREPLICAS Not enough good replicas to write."
	ErrBusyKey         Error = "BUSYKEY Target key name already exists."
	ErrBusyGroup       Error = "BUSYGROUP Consumer Group name already exists"
	ErrCrossSlot       Error = "CROSSSLOT Keys in request don't hash to the same slot"
	ErrClusterDown     Error = "CLUSTERDOWN The cluster is down"
	ErrClusterReadOnly Error = "CLUSTERDOWN The cluster is down and only accepts read commands"
	ErrSlotUnbound     Error = "CLUSTERDOWN Hash slot not served"
	ErrTryAgain        Error = "TRYAGAIN Multiple keys request during rehashing of slot"
	ErrMaxClients      Error = "ERR max number of clients reached"
	ErrBadDumpPayload  Error = "ERR DUMP payload version or checksum are wrong"
	ErrNoSuchClient    Error = "ERR No such client"
)

// WrongArity is the answer to a known command with too few or too many
// arguments. A subcommand is named in full, "client|kill".
func WrongArity(cmd string) Error {
	return Error("ERR wrong number of arguments for '" + strings.ToLower(cmd) + "' command")
}

// previewBytesMax bounds what errors repeat of a client's own words: the name
// of a command, and separately the preview of its arguments.
const previewBytesMax = 128

// UnknownCommand names the command and shows the beginning of its arguments,
// args being those after the name. The preview may end inside an argument and
// may be longer than its bound by the last pair of quotes, as in Redis.
func UnknownCommand(name []byte, args [][]byte) Error {
	text := append(make([]byte, 0, 64), "ERR unknown command '"...)
	text = appendPreview(text, name, previewBytesMax)
	text = append(text, "', with args beginning with: "...)
	start := len(text)
	for _, arg := range args {
		used := len(text) - start
		if used >= previewBytesMax {
			break
		}
		text = append(text, '\'')
		text = appendPreview(text, arg, previewBytesMax-used)
		text = append(text, "' "...)
	}
	return Error(text)
}

// UnknownSubcommand refers the client to the help of the container command.
func UnknownSubcommand(cmd string, sub []byte) Error {
	text := append(make([]byte, 0, 64), "ERR unknown subcommand '"...)
	text = appendPreview(text, sub, previewBytesMax)
	text = append(text, "'. Try "...)
	text = append(text, strings.ToUpper(cmd)...)
	return Error(append(text, " HELP."...))
}

// SubcommandSyntax is the answer of a container command to arguments that its
// subcommand cannot make sense of.
func SubcommandSyntax(cmd string, sub []byte) Error {
	text := append(make([]byte, 0, 96), "ERR unknown subcommand or wrong number of arguments for '"...)
	text = appendPreview(text, sub, previewBytesMax)
	text = append(text, "'. Try "...)
	text = append(text, strings.ToUpper(cmd)...)
	return Error(append(text, " HELP."...))
}

// InvalidExpire is the answer to a time to live that is not positive or leaves
// the range of the clock.
func InvalidExpire(cmd string) Error {
	return Error("ERR invalid expire time in '" + strings.ToLower(cmd) + "' command")
}

// NotInSubscribe is the answer to any other command while a RESP2 client is
// subscribed.
func NotInSubscribe(cmd string) Error {
	return Error("ERR Can't execute '" + strings.ToLower(cmd) + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
}

// MisconfAOF is the answer to a write while the log cannot be written.
func MisconfAOF(reason string) Error {
	return Error("MISCONF Errors writing to the AOF file: " + reason)
}

// ExecAborted is the answer to EXEC when a check of the whole transaction
// failed, reason being the error of that check.
func ExecAborted(reason Error) Error {
	return "EXECABORT Transaction discarded because of: " + reason
}

// appendPreview appends at most bytesMax bytes of what a client sent. It stops
// at a zero byte, as C's formatting does, and takes out what could break the
// line of an error.
func appendPreview(dst, b []byte, bytesMax int) []byte {
	b = b[:min(len(b), bytesMax)]
	if zero := bytes.IndexByte(b, 0); zero >= 0 {
		b = b[:zero]
	}
	for _, c := range b {
		dst = append(dst, printable(c))
	}
	return dst
}

// printable replaces control bytes by spaces.
func printable(c byte) byte {
	if c < ' ' || c == 0x7f {
		return ' '
	}
	return c
}

// ProtocolError says that the bytes of a client are not the protocol. Its text
// goes to the client, then the connection closes, since nobody knows where the
// next command would begin.
type ProtocolError struct{ text string }

func (e *ProtocolError) Error() string { return e.text }

var (
	errBigInline    = &ProtocolError{"Protocol error: too big inline request"}
	errQuotes       = &ProtocolError{"Protocol error: unbalanced quotes in request"}
	errBigCount     = &ProtocolError{"Protocol error: too big mbulk count string"}
	errCount        = &ProtocolError{"Protocol error: invalid multibulk length"}
	errUnauthCount  = &ProtocolError{"Protocol error: unauthenticated multibulk length"}
	errBigLength    = &ProtocolError{"Protocol error: too big bulk count string"}
	errLength       = &ProtocolError{"Protocol error: invalid bulk length"}
	errUnauthLength = &ProtocolError{"Protocol error: unauthenticated bulk length"}
)

func unexpectedByte(c byte) *ProtocolError {
	return &ProtocolError{"Protocol error: expected '$', got '" + string([]byte{printable(c)}) + "'"}
}
