package engine

import (
	"strings"

	"hyperkv/shard"
)

// Flags says what a command is like. The first group are Redis' command flags
// and answer COMMAND INFO; the second is ours.
type Flags uint64

// Redis' command flags.
const (
	Write Flags = 1 << iota
	Read
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	MayReplicate
	NoAsyncLoading
	NoMulti
	AllowBusy
	MovableKeys
	Protected

	// Dangerous adds the category @dangerous to a command that is not Admin.
	Dangerous
	// Long keeps a command off event loops: it may take longer than a client of
	// another key should wait.
	Long
	// Immediate marks a session command that neither sees nor changes data, so
	// that it need not wait for the commands before it in a pipeline.
	Immediate
	// Transparent marks a command that runs at once inside MULTI.
	Transparent
)

// A Command is declared once, as a row of its family's table. What the
// surroundings need to know of it is read from the row: routing, transaction
// planning, COMMAND and COMMAND DOCS, ACL categories, the reference documentation.
type Command struct {
	// Name is in upper case; of a subcommand only its own word.
	Name string
	// Arity counts the name (of a subcommand also its container's): exact when
	// positive, a minimum when negative.
	Arity int
	Flags Flags
	// Categories are ACL categories beyond those that the flags imply, without
	// the @; the family's own is added by itself.
	Categories string
	// Keys says which arguments are keys; a command without any belongs to the
	// session or, with Scope, to the whole keyspace.
	Keys []KeySpec
	// Find returns the positions of the keys when Keys cannot say it all.
	Find func(args [][]byte) ([]int, error)
	// Scope of a command without keys that works on data.
	Scope Scope
	// Member is the position of the first member, field or the like that the command
	// looks for in the collection under its only key, and MemberStep how far apart
	// more of them are. 0 where there is none: it is a hint, by which the memory of
	// many is brought near at once.
	Member, MemberStep int
	// Wide, if set, says that arguments lead to keys that they do not name, so that
	// the command needs all shards.
	Wide func(args [][]byte) bool

	// Run is the body of a command on keys. Session is the body of a command
	// that belongs to the session. Exactly one is set, none on a container.
	Run     shard.Handler
	Session func(c *Context) error
	// Merge lets a command over several keys run in parts, one per shard, and
	// says how the parts' replies become one. Without it such a command runs
	// once, with the turns of all its shards.
	Merge Merge
	// Waits, if set, says whether a Blocking command with these arguments may have to
	// wait; one that may not runs like any other.
	Waits func(args [][]byte) bool
	// Check, if set, refuses arguments before the command is split over shards.
	Check func(args [][]byte) error
	// Redact, if set, returns the arguments as MONITOR and the slow log may show
	// them; it must not change args.
	Redact func(args [][]byte) [][]byte

	Subcommands []Command

	// Summary is one sentence; Since names the Redis version (or the system)
	// that brought the command; Syntax describes the arguments after the name in
	// the notation of the reference documentation, see syntax.go.
	Summary    string
	Since      string
	Complexity string
	Syntax     string
	// Group is the documentation group; the family's by default.
	Group string
	// History and Tips answer COMMAND DOCS and COMMAND INFO.
	History []string // "7.0.0: Added the NX option."
	Tips    []string
	// Deprecated is the version that deprecated the command, Replacement what to use.
	Deprecated, Replacement string

	// Start, if set, sees a command off that manages its own reply; false means
	// that it has to be parsed again later.
	Start func(s *Session, c *Command, args [][]byte) bool

	// aborts marks EXEC: when it is refused, the transaction is over.
	aborts bool

	// What NewTable derives.
	id        int
	fullName  string // lower case; "config|get" for a subcommand
	parent    *Command
	family    string
	simpleKey int // position of the only key of a command with exactly one, else 0
	byName    map[string]*Command
	docs      []Argument
}

// Scope says which shards a command without keys works on.
type Scope uint8

const (
	// ScopeKeys: those of its keys; none without keys.
	ScopeKeys Scope = iota
	// ScopeAll: every shard.
	ScopeAll
	// ScopeCursor: the shard that a SCAN cursor in the first argument names.
	ScopeCursor
)

// Merge says how the replies of a command's parts become one reply.
type Merge uint8

const (
	MergeNone   Merge = iota
	MergeSum          // integers are added
	MergeOrder        // arrays, one element per key, are put in the order of the keys
	MergeFirst        // all parts answer the same
	MergeConcat       // arrays are joined
)

// A KeySpec says where keys stand among the arguments, in the terms of Redis'
// key specifications.
type KeySpec struct {
	// Access is Redis' words for what happens to the keys: "RO access",
	// "RW update", "OW insert", "RM delete", ...
	Access string
	// First is the position of the first key. With Keyword the search begins
	// behind that word, looked for from position From on (from the end when negative).
	First   int
	Keyword string
	From    int
	// Last is the position of the last key relative to First, or from the end
	// when negative; Step is the distance between keys. With Limit only the first
	// 1/Limit of the arguments up to Last are keys.
	Last, Step, Limit int
	// KeyNum, with Counted, is the position relative to First of the argument
	// that counts the keys; FirstKey is where they start, relative to First.
	Counted          bool
	KeyNum, FirstKey int
	// Unknown says that nobody can tell from the arguments' places; Notes why.
	Unknown bool
	Notes   string
}

// OneKey is the specification of a command with a single key behind its name.
func OneKey(access string) []KeySpec { return []KeySpec{{Access: access, First: 1, Step: 1}} }

// KeyAt is the specification of a single key at the given position.
func KeyAt(position int, access string) []KeySpec {
	return []KeySpec{{Access: access, First: position, Step: 1}}
}

// KeyRange is the specification of keys from first to last (from the end when
// negative), step arguments apart.
func KeyRange(first, last, step int, access string) []KeySpec {
	if last >= 0 {
		last -= first
	}
	return []KeySpec{{Access: access, First: first, Last: last, Step: step}}
}

// CountedKeys is the specification of "numkeys key [key ...]" with the count at
// the given position.
func CountedKeys(position int, access string) []KeySpec {
	return []KeySpec{{Access: access, First: position, Counted: true, KeyNum: 0, FirstKey: 1, Step: 1}}
}

// positions appends where the keys of args are. It tolerates any arguments.
func (k *KeySpec) positions(args [][]byte, to []int) []int {
	if k.Unknown {
		return to
	}
	first := k.First
	if k.Keyword != "" {
		first = k.findKeyword(args)
		if first == 0 {
			return to
		}
	}
	if k.Counted {
		at := first + k.KeyNum
		if at >= len(args) {
			return to
		}
		n, ok := parseCount(args[at])
		from := first + k.FirstKey
		step := max(k.Step, 1)
		if !ok || n <= 0 || from+(n-1)*step >= len(args) {
			return to
		}
		for i := range n {
			to = append(to, from+i*step)
		}
		return to
	}
	last := first + k.Last
	if k.Last < 0 {
		last = len(args) + k.Last
	}
	if k.Limit > 1 {
		last = first + (last-first+1)/k.Limit - 1
	}
	for at := first; at <= last && at < len(args); at += max(k.Step, 1) {
		to = append(to, at)
	}
	return to
}

// findKeyword returns the position behind the keyword, 0 if it is not there.
func (k *KeySpec) findKeyword(args [][]byte) int {
	if k.From >= 0 {
		for i := k.From; i < len(args)-1; i++ {
			if strings.EqualFold(string(args[i]), k.Keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := len(args) + k.From; i > 0; i-- {
		if i < len(args)-1 && strings.EqualFold(string(args[i]), k.Keyword) {
			return i + 1
		}
	}
	return 0
}

func parseCount(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// KeyPositions returns where the keys of a command stand in args, the name first.
func (c *Command) KeyPositions(args [][]byte) ([]int, error) {
	if c.Find != nil {
		return c.Find(args)
	}
	var to []int
	for i := range c.Keys {
		to = c.Keys[i].positions(args, to)
	}
	return to, nil
}

// A Family is a table of commands that belong together.
type Family struct {
	// Name is the family's ACL category and, unless Group says otherwise, its
	// documentation group.
	Name     string
	Group    string
	Commands []Command
	// Attach, if set, makes what the family keeps for one server; its commands
	// find it with Engine.State.
	Attach func(e *Engine) any
}

// FullName is the name in lower case, "config|get" for a subcommand.
func (c *Command) FullName() string { return c.fullName }

// ID identifies the command in statistics.
func (c *Command) ID() int { return c.id }

// Parent is the container of a subcommand, nil for a command.
func (c *Command) Parent() *Command { return c.parent }

// Family is the name of the family that declares the command.
func (c *Command) Family() string { return c.family }

// Arguments describes the arguments, as read from Syntax.
func (c *Command) Arguments() []Argument { return c.docs }

// Is says whether all the given flags are set.
func (c *Command) Is(f Flags) bool { return c.Flags&f == f }
