package difftest

import (
	"bytes"
	"slices"
	"strings"

	"hyperkv/resp"
)

// A Rule says how the replies of two right servers to one command may differ.
type Rule struct {
	Command string // "TTL", or with its subcommand "OBJECT IDLETIME"
	Mode    Mode
	Delta   int64 // for Near
	Because string
}

// Mode is a way of comparing replies. Errors are compared byte for byte in all of
// them.
type Mode int

const (
	// Same wants the same bytes. It is the mode of commands without a rule.
	Same Mode = iota

	// Near lets integers of at least 1 differ by Delta.
	Near

	// Idle lets the third integers of an array's rows, as of XPENDING, differ by Delta.
	Idle

	// Info leaves the integers behind "radix-tree-nodes" and "consumers" alone.
	Info

	// Unordered compares the elements as a multiset.
	Unordered

	// Shape wants the same types, and leaves the contents alone.
	Shape

	// Cursor follows a SCAN to its end on both servers, and compares what was
	// seen as sets.
	Cursor

	// Digits lets numbers be printed in different ways, at all depths.
	Digits

	// Swept lets both servers forget their expired keys before the command.
	Swept
)

// Rules are those that hold for every pair of servers.
var Rules = []Rule{
	{"TTL", Near, 2, "the clocks and the moments of the commands differ"},
	{"PTTL", Near, 500, "the clocks and the moments of the commands differ"},
	{"EXPIRETIME", Near, 2, "relative deadlines start at the moment of the command"},
	{"PEXPIRETIME", Near, 500, "relative deadlines start at the moment of the command"},
	{"KEYS", Unordered, 0, "the order of keys is nobody's promise"},
	{"SCAN", Cursor, 0, "the order of keys is nobody's promise"},
	{"ZSCAN", Cursor, 0, "the order of members is nobody's promise"},
	{"ZRANDMEMBER", Shape, 0, "it is random"},
	{"RANDOMKEY", Shape, 0, "it is random"},
	{"DBSIZE", Swept, 0, "Redis counts a key that has expired until it meets it"},
	{"OBJECT IDLETIME", Shape, 0, "the moments of the commands differ"},
	{"OBJECT REFCOUNT", Shape, 0, "shared integers are an implementation's affair"},
	{"OBJECT FREQ", Shape, 0, "the counter is probabilistic"},
	{"HELLO", Shape, 0, "version, name and client id are the server's own"},
	{"CLIENT ID", Shape, 0, "ids are the server's own"},
	{"DUMP", Shape, 0, "a value has several forms, and forms have versions"},
	{"SMEMBERS", Unordered, 0, "sets have no order"},
	{"SINTER", Unordered, 0, "sets have no order"},
	{"SUNION", Unordered, 0, "sets have no order"},
	{"SDIFF", Unordered, 0, "sets have no order"},
	{"SRANDMEMBER", Shape, 0, "it is random"},
	{"SSCAN", Cursor, 0, "sets have no order"},
	{"HGETALL", Unordered, 0, "hashes have no order"},
	{"XINFO STREAM", Info, 0, "blocks are not in a radix tree"},
	{"XINFO GROUPS", Info, 0, "since Redis 7.2 a consumer is made even if it claims nothing"},
	{"XGROUP CREATECONSUMER", Shape, 0, "since Redis 7.2 a consumer is made even if it claims nothing"},
	{"XPENDING", Idle, 500, "the clocks and the moments of the commands differ"},
}

func init() {
	for _, command := range []string{
		"ZADD", "ZINCRBY", "ZSCORE", "ZMSCORE", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE",
		"ZPOPMIN", "ZPOPMAX", "ZMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "ZUNION", "ZINTER", "ZDIFF",
	} {
		Rules = append(Rules, Rule{command, Digits, 0, "Redis before 7.2 prints 17 digits of a score"})
	}
}

// rulebook finds the rule of a command.
type rulebook map[string]Rule

func newRulebook(rules ...[]Rule) rulebook {
	book := rulebook{}
	for _, some := range rules {
		for _, r := range some {
			book[strings.ToUpper(r.Command)] = r
		}
	}
	return book
}

func (b rulebook) rule(args []string) Rule {
	if len(args) > 1 {
		if r, ok := b[strings.ToUpper(args[0])+" "+strings.ToUpper(args[1])]; ok {
			return r
		}
	}
	if len(args) > 0 {
		return b[strings.ToUpper(args[0])]
	}
	return Rule{}
}

// agree reports whether two replies to a command may both be right.
func (r Rule) agree(a, b resp.Value) bool {
	switch r.Mode {
	case Near:
		if a.Kind == resp.KindInt && b.Kind == resp.KindInt && a.Int > 0 && b.Int > 0 {
			return a.Int-b.Int <= r.Delta && b.Int-a.Int <= r.Delta
		}
	case Idle:
		if isAggregate(a) && sameHead(a, b) {
			return sameRows(a, b, r.Delta)
		}
	case Info:
		return identical(withoutCounts(a), withoutCounts(b))
	case Unordered:
		if isAggregate(a) && isAggregate(b) {
			return sameHead(a, b) && sameMultiset(groups(a), groups(b))
		}
	case Shape:
		return sameShape(a, b)
	case Cursor:
		return sameScan(a, b)
	case Digits:
		return sameNumbers(a, b)
	case Same, Swept:
	}
	return identical(a, b)
}

// sameRows compares rows but for the third integer of each, which is a duration.
func sameRows(a, b resp.Value, delta int64) bool {
	for i := range a.Elems {
		x, y := a.Elems[i], b.Elems[i]
		if len(x.Elems) == 4 && sameHead(x, y) && x.Elems[2].Kind == resp.KindInt && y.Elems[2].Kind == resp.KindInt {
			if d := x.Elems[2].Int - y.Elems[2].Int; d > delta || -d > delta {
				return false
			}
			x.Elems, y.Elems = slices.Clone(x.Elems), slices.Clone(y.Elems)
			x.Elems[2], y.Elems[2] = resp.Value{}, resp.Value{}
		}
		if !identical(x, y) {
			return false
		}
	}
	return true
}

// withoutCounts is a reply of XINFO without the integers that Info leaves alone.
func withoutCounts(v resp.Value) resp.Value {
	v.Elems = slices.Clone(v.Elems)
	for i := range v.Elems {
		if i > 0 && v.Elems[i].Kind == resp.KindInt {
			if name := v.Elems[i-1].Text(); name == "radix-tree-nodes" || name == "consumers" {
				v.Elems[i] = resp.Value{}
			}
		}
		if isAggregate(v.Elems[i]) {
			v.Elems[i] = withoutCounts(v.Elems[i])
		}
	}
	return v
}

// identical compares values that were decoded from replies.
func identical(a, b resp.Value) bool {
	if a.Err() != nil && b.Err() != nil {
		return sameError(a.Str, b.Str)
	}
	if !sameHead(a, b) || !bytes.Equal(a.Str, b.Str) || a.Format != b.Format {
		return false
	}
	for i := range a.Elems {
		if !identical(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}

// sameNumbers compares values in which a text that is a number may be another text
// that is the same one.
func sameNumbers(a, b resp.Value) bool {
	if a.Kind == resp.KindBulk && b.Kind == resp.KindBulk {
		x, okA := resp.ParseFloat(a.Str)
		y, okB := resp.ParseFloat(b.Str)
		return okA && okB && x == y || identical(a, b)
	}
	if a.Kind != resp.KindArray || !sameHead(a, b) {
		return a.Kind == resp.KindDouble && b.Kind == resp.KindDouble && a.Float == b.Float || identical(a, b)
	}
	for i := range a.Elems {
		if !sameNumbers(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}

func sameHead(a, b resp.Value) bool {
	return a.Kind == b.Kind && a.Null == b.Null && len(a.Elems) == len(b.Elems)
}

// sameShape compares types, at all depths. Keys of maps are compared as they are.
func sameShape(a, b resp.Value) bool {
	if a.Err() != nil || b.Err() != nil {
		return identical(a, b)
	}
	if !sameHead(a, b) {
		return false
	}
	for i := range a.Elems {
		if a.Kind == resp.KindMap && i%2 == 0 {
			if !identical(a.Elems[i], b.Elems[i]) {
				return false
			}
		} else if !sameShape(a.Elems[i], b.Elems[i]) {
			return false
		}
	}
	return true
}

// sameScan compares single replies of a SCAN, which may hold anything; see pair.follow.
func sameScan(a, b resp.Value) bool {
	if a.Err() != nil || b.Err() != nil || !isScanReply(a) || !isScanReply(b) {
		return identical(a, b)
	}
	return true
}

func isScanReply(v resp.Value) bool {
	return v.Kind == resp.KindArray && len(v.Elems) == 2 && v.Elems[0].Kind == resp.KindBulk &&
		v.Elems[1].Kind == resp.KindArray
}

func isAggregate(v resp.Value) bool {
	switch v.Kind {
	case resp.KindArray, resp.KindMap, resp.KindSet, resp.KindPush:
		return true
	default:
		return false
	}
}

// groups returns the texts of an aggregate's elements, or of a map's pairs.
func groups(v resp.Value) []string {
	var all []string
	for i := 0; i < len(v.Elems); i++ {
		s := v.Elems[i].String()
		if v.Kind == resp.KindMap && i+1 < len(v.Elems) {
			i++
			s += " => " + v.Elems[i].String()
		}
		all = append(all, s)
	}
	return all
}

func sameMultiset(a, b []string) bool {
	count := map[string]int{}
	for _, s := range a {
		count[s]++
	}
	for _, s := range b {
		count[s]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// newerErrors are what Redis 7.2 and later, and so HyperKV, answer to arguments that
// the installed reference looks at in another order, or lets pass. The commands have
// no effect either way.
var newerErrors = []struct{ command, text string }{
	{"SCAN", "ERR invalid cursor"},
	{"ZSCAN", "ERR invalid cursor"},
	{"SSCAN", "ERR invalid cursor"},
	{"BITCOUNT", "ERR "},
	{"BITPOS", "ERR "},
	{"LPOS", "ERR value is out of range"},
	{"HELLO", "ERR "},
	{"XREAD", "ERR Unbalanced "},
	{"XREADGROUP", "ERR Unbalanced "},
	{"XREADGROUP", "ERR The + ID "},
	{"HSCAN", "ERR invalid cursor"},
}

// newer says whether two replies differ because the reference is older than what
// HyperKV follows.
func newer(args []string, ours, reference resp.Value) bool {
	if len(args) == 0 {
		return false
	}
	if strings.EqualFold(args[0], "XREAD") && slices.Contains(args, "+") && reference.Err() != nil {
		return true // the last entry, since 7.4
	}
	if err := ours.Err(); err != nil {
		for _, e := range newerErrors {
			if strings.EqualFold(args[0], e.command) && strings.HasPrefix(err.Error(), e.text) {
				return true
			}
		}
		return false
	}
	// Small lists have an encoding of their own since Redis 7.2.
	if strings.EqualFold(args[0], "OBJECT") && string(ours.Str) == "listpack" && string(reference.Str) == "quicklist" {
		return true
	}
	// Sets have listpacks since Redis 7.2, and become intsets more often.
	if len(args) == 3 && strings.EqualFold(args[0], "OBJECT") && reference.Text() == "hashtable" {
		return ours.Text() == "listpack" || ours.Text() == "intset"
	}
	if strings.HasPrefix(strings.ToUpper(args[0]), "SORT") && isAggregate(ours) && sameHead(ours, reference) {
		return unsortedSet(args) || equalUpToZero(ours, reference)
	}
	// Redis 7.0 does not forget that some number was out of range, and takes the next
	// one that it sorts by for it.
	if err := reference.Err(); err != nil && strings.HasPrefix(strings.ToUpper(args[0]), "SORT") {
		return strings.HasPrefix(err.Error(), "ERR One or more scores")
	}
	// BITCOUNT key start, without an end.
	return strings.EqualFold(args[0], "BITCOUNT") && len(args) == 3 && reference.Err() != nil
}

// equalUpToZero compares the elements as Redis does that it sorts as texts: up to
// their first zero byte. HyperKV looks further.
func equalUpToZero(a, b resp.Value) bool {
	for i := range a.Elems {
		x, _, _ := bytes.Cut(a.Elems[i].Str, []byte{0})
		y, _, _ := bytes.Cut(b.Elems[i].Str, []byte{0})
		if a.Elems[i].Kind != b.Elems[i].Kind || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// unsortedSet says that a command is a SORT of what may be a set by nothing: its
// order is nobody's promise, nor is which elements a LIMIT leaves.
func unsortedSet(args []string) bool {
	if len(args) < 4 || strings.Contains(args[1], "list") || strings.Contains(args[1], "zset") {
		return false
	}
	for i, arg := range args[2 : len(args)-1] {
		if strings.EqualFold(arg, "BY") && !strings.Contains(args[i+3], "*") {
			return true
		}
	}
	return false
}

// sameError compares the texts of errors. Redis repeats control bytes of a client's
// arguments; HyperKV puts spaces there.
func sameError(a, b []byte) bool {
	printable := func(r byte) byte {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}
	return slices.EqualFunc(a, b, func(x, y byte) bool { return printable(x) == printable(y) })
}
