package sets

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

const eachMember = "O(N) where N is the number of specified members"

var expiring = []engine.Command{{
	Name: "SADDEX", Arity: -4, Run: saddex,
	Flags: engine.Write | engine.DenyOOM | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Adds members that may expire to a set, all if a condition allows it.",
	Since:   "8.12.0", Complexity: "O(N) where N is the number of members being added.",
	Syntax: "key condition[MNX | MXX] " +
		"expiration[EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] " +
		"(MEMBERS nummembers:integer member [member ...])",
	History: []string{"Dragonfly: The form `key [KEEPTTL] seconds member [member ...]`, which counts new members."},
}, {
	Name: "SEXPIRE", Arity: -6, Run: func(c *shard.Call) error { return expire(c, "sexpire", c.Clock, 1000) },
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets members of a set expire in a number of seconds.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key seconds condition[NX | XX | GT | LT] (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SPEXPIRE", Arity: -6, Run: func(c *shard.Call) error { return expire(c, "spexpire", c.Clock, 1) },
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets members of a set expire in a number of milliseconds.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key milliseconds condition[NX | XX | GT | LT] (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SEXPIREAT", Arity: -6, Run: func(c *shard.Call) error { return expire(c, "sexpireat", 0, 1000) },
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets members of a set expire at a Unix time in seconds.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key unix-time-seconds condition[NX | XX | GT | LT] (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SPEXPIREAT", Arity: -6, Run: func(c *shard.Call) error { return expire(c, "spexpireat", 0, 1) },
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets members of a set expire at a Unix time in milliseconds.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key unix-time-milliseconds condition[NX | XX | GT | LT] (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "STTL", Arity: -5, Run: func(c *shard.Call) error { return replyDeadlines(c, c.Clock, 1000) },
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Answers in how many seconds members expire; -1 is never, -2 is no such member.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SPTTL", Arity: -5, Run: func(c *shard.Call) error { return replyDeadlines(c, c.Clock, 1) },
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"), Tips: []string{"nondeterministic_output"},
	Summary: "Answers in how many milliseconds members expire; -1 is never, -2 is no such member.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SEXPIRETIME", Arity: -5, Run: func(c *shard.Call) error { return replyDeadlines(c, 0, 1000) },
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Answers the Unix times in seconds at which members expire; -1 is never, -2 is no such member.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SPEXPIRETIME", Arity: -5, Run: func(c *shard.Call) error { return replyDeadlines(c, 0, 1) },
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Answers the Unix times in milliseconds at which members expire; -1 is never, -2 is no such member.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key (MEMBERS nummembers:integer member [member ...])",
}, {
	Name: "SPERSIST", Arity: -5, Run: spersist,
	Flags: engine.Write | engine.Fast, Keys: engine.OneKey("RW update"),
	Summary: "Lets members of a set stay for good.",
	Since:   "8.12.0", Complexity: eachMember,
	Syntax: "key (MEMBERS nummembers:integer member [member ...])",
}}

// Words of effects.
var (
	wordSAddEx     = []byte("SADDEX")
	wordSPExpireAt = []byte("SPEXPIREAT")
	wordSPersist   = []byte("SPERSIST")
	wordPXAT       = []byte("PXAT")
	wordMembers    = []byte("MEMBERS")
)

// What the commands of this file answer for each member.
const (
	noMember      = -2
	noDeadline    = -1
	conditionNo   = 0
	deadlineSet   = 1
	memberDeleted = 2
)

const (
	errExpireMissing   resp.Error = "ERR missing expire time"
	errOneCondition    resp.Error = "ERR Only one of MXX or MNX arguments can be specified"
	errOneExpiry       resp.Error = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
	errConditions      resp.Error = "ERR Multiple condition flags specified"
	errMembersTwice    resp.Error = "ERR MEMBERS keyword specified multiple times"
	errMembersMissing  resp.Error = "ERR missing MEMBERS argument"
	errMembersPlace    resp.Error = "ERR Mandatory argument MEMBERS is missing or not at the right position"
	errMembersInvalid  resp.Error = "ERR invalid number of members"
	errMembersCount    resp.Error = "ERR Parameter `numMembers` should be greater than 0"
	errMembersPositive resp.Error = "ERR Number of members must be a positive integer"
	errMembersMatch    resp.Error = "ERR The `nummembers` parameter must match the number of arguments"
	errWrongNumber     resp.Error = "ERR wrong number of arguments"
	membersMax                    = 1<<31 - 1
)

func errUnknown(word []byte) error { return resp.Error("ERR unknown argument: " + string(word)) }

// membersFrom reads "nummembers member [member ...]" at the start of args, and
// returns what follows; invalid is the answer to a number that cannot be one.
func membersFrom(args [][]byte, invalid resp.Error) (members, rest [][]byte, err error) {
	if len(args) == 0 {
		return nil, nil, errWrongNumber
	}
	n, ok := resp.ParseInt(args[0])
	switch {
	case !ok || n < 1 || n > membersMax:
		return nil, nil, invalid
	case n > int64(len(args)-1):
		return nil, nil, errWrongNumber
	}
	return args[1 : 1+n], args[1+n:], nil
}

// addition is what SADDEX is told.
type addition struct {
	members          [][]byte
	onlyNew, onlyOld bool // MNX: none of the members is there; MXX: all are
	timed            bool // the members get the deadline at
	at               int64
	keep             bool // KEEPTTL
	counted          bool // the reply is the number of new members, as Dragonfly's
}

// parse reads the arguments behind the key, in Redis' form or Dragonfly's, which
// has a number in front of the members.
func (a *addition) parse(args [][]byte, now int64) error {
	first := 0
	if resp.WordIs(args[0], "KEEPTTL") {
		first = 1
	}
	if _, ok := resp.ParseInt(args[first]); ok && len(args) > first+1 {
		return a.parseSeconds(args[first:], first == 1, now)
	}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch base, unit := expiryNamed(word, now); {
		case resp.WordIs(word, "MEMBERS"):
			if a.members != nil {
				return errMembersTwice
			}
			if len(args) == 0 {
				return resp.WrongArity("saddex")
			}
			if a.members, args, err = membersFrom(args, errMembersInvalid); err != nil {
				return err
			}
		case unit != 0:
			if a.timed || a.keep {
				return errOneExpiry
			}
			if len(args) == 0 {
				return errExpireMissing
			}
			if a.at, err = shard.MemberDeadline(args[0], "saddex", base, unit); err != nil {
				return err
			}
			a.timed, args = true, args[1:]
		case resp.WordIs(word, "KEEPTTL"):
			if a.timed || a.keep {
				return errOneExpiry
			}
			a.keep = true
		case resp.WordIs(word, "MNX"), resp.WordIs(word, "MXX"):
			if a.onlyNew || a.onlyOld {
				return errOneCondition
			}
			a.onlyNew, a.onlyOld = resp.WordIs(word, "MNX"), resp.WordIs(word, "MXX")
		default:
			return errUnknown(word)
		}
	}
	if a.members == nil {
		return errMembersMissing
	}
	return nil
}

// parseSeconds reads Dragonfly's "seconds member [member ...]".
func (a *addition) parseSeconds(args [][]byte, keep bool, now int64) (err error) {
	if seconds, _ := resp.ParseInt(args[0]); seconds <= 0 {
		return resp.InvalidExpire("saddex")
	}
	if a.at, err = shard.MemberDeadline(args[0], "saddex", now, 1000); err != nil {
		return err
	}
	a.timed, a.keep, a.counted, a.members = true, keep, true, args[1:]
	return nil
}

// expiryNamed is what the time behind an option counts from, and in how many
// milliseconds; unit is 0 for other words.
func expiryNamed(word []byte, now int64) (base, unit int64) {
	switch {
	case resp.WordIs(word, "EX"):
		return now, 1000
	case resp.WordIs(word, "PX"):
		return now, 1
	case resp.WordIs(word, "EXAT"):
		return 0, 1000
	case resp.WordIs(word, "PXAT"):
		return 0, 1
	}
	return 0, 0
}

// met tells whether the condition holds.
func (a *addition) met(s *object.SetView, there bool) bool {
	if !a.onlyNew && !a.onlyOld {
		return true
	}
	for _, member := range a.members {
		if (there && s.Has(member)) == a.onlyNew {
			return false
		}
	}
	return true
}

// SADDEX key [MNX | MXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] MEMBERS nummembers member [member ...]
// SADDEX key [KEEPTTL] seconds member [member ...]
//
// Without a time, members stay for good, also those that were to expire, unless
// their deadlines are kept. A time that has come already removes them.
func saddex(c *shard.Call) error {
	var a addition
	if err := a.parse(c.Args[2:], c.Clock); err != nil {
		return err
	}
	key := c.Args[1]
	s, v, err := openForWrite(c, key)
	if err != nil {
		return err
	}
	if !a.met(&s, v != nil) {
		return c.Reply.Int(0)
	}
	if a.timed && a.at <= c.Now {
		if v != nil {
			var changed changes
			for _, member := range a.members {
				if s.Remove(member) {
					changed.deleted = append(changed.deleted, member)
				}
			}
			changed.tell(c, v, &s)
		}
		return c.Reply.Int(1)
	}
	if v == nil {
		e, root := object.EmptySet(c.Limits(), object.ElementOf(a.members[0]))
		v = c.DB.Create(key, object.Set, e, root, 0)
		s = object.SetOf(v, c.Limits(), c.Now)
	}
	s.Expect(len(a.members))
	changed := changes{at: a.at}
	added := 0
	for _, member := range a.members {
		deadline, there := s.Deadline(member)
		if there && (a.keep || deadline == a.at) {
			continue
		}
		s.AddUntil(member, a.at)
		changed.added = append(changed.added, member)
		if !there {
			added++
		}
	}
	changed.tell(c, v, &s)
	if a.counted {
		return c.Reply.Int(int64(added))
	}
	return c.Reply.Int(1)
}

// changes are what a command has done to members, for the record and for events.
type changes struct {
	deleted, persisted [][]byte
	added, expiring    [][]byte // with this deadline, 0 for none:
	at                 int64
}

// tell records the changes, tells of them, counts them, and removes the key if nothing is left.
// What is recorded has absolute times and no conditions.
func (x *changes) tell(c *shard.Call, v *shard.Collection, s *object.SetView) {
	key := c.Args[1]
	if len(x.deleted) > 0 {
		c.Effect(append([][]byte{wordSRem, key}, x.deleted...)...)
		c.Event(shard.EventSet, "srem", key)
	}
	if n := int64(len(x.added)); n > 0 {
		c.Event(shard.EventSet, "sadd", key)
		words := [][]byte{wordSAddEx, key}
		if x.at != 0 {
			c.Event(shard.EventSet, "sexpire", key)
			words = append(words, wordPXAT, c.Int(x.at))
		}
		words = append(words, wordMembers, c.Int(n))
		c.Effect(append(words, x.added...)...)
	}
	if n := int64(len(x.expiring)); n > 0 {
		c.Effect(append([][]byte{wordSPExpireAt, key, c.Int(x.at), wordMembers, c.Int(n)}, x.expiring...)...)
		c.Event(shard.EventSet, "sexpire", key)
	}
	if n := int64(len(x.persisted)); n > 0 {
		c.Effect(append([][]byte{wordSPersist, key, wordMembers, c.Int(n)}, x.persisted...)...)
		c.Event(shard.EventSet, "spersist", key)
	}
	if len(x.deleted) > 0 {
		dropEmpty(c, v, s)
	}
	c.CountChanges(len(x.deleted) + len(x.added) + len(x.expiring) + len(x.persisted))
}

// parseExpire reads "[NX | XX | GT | LT] MEMBERS nummembers member [member ...]",
// the condition in front or behind.
func parseExpire(args [][]byte) (when shard.DeadlineCondition, members [][]byte, err error) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch named := shard.DeadlineConditionOf(word); {
		case named != 0:
			if when != 0 && when != named {
				return when, nil, errConditions
			}
			when = named
		case resp.WordIs(word, "MEMBERS"):
			if members != nil {
				return when, nil, errMembersTwice
			}
			if members, args, err = membersFrom(args, errMembersCount); err != nil {
				return when, nil, err
			}
		default:
			return when, nil, errUnknown(word)
		}
	}
	if members == nil {
		return when, nil, errMembersMissing
	}
	return when, members, nil
}

// SEXPIRE key seconds [NX | XX | GT | LT] MEMBERS nummembers member [member ...]
// SPEXPIRE key milliseconds [NX | XX | GT | LT] MEMBERS nummembers member [member ...]
// SEXPIREAT key unix-time-seconds [NX | XX | GT | LT] MEMBERS nummembers member [member ...]
// SPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] MEMBERS nummembers member [member ...]
//
// A deadline that is not in the future removes the member.
func expire(c *shard.Call, name string, base, unit int64) error {
	s, v, err := openForWrite(c, c.Args[1])
	if err != nil {
		return err
	}
	at, err := shard.MemberDeadline(c.Args[2], name, base, unit)
	if err != nil {
		return err
	}
	when, members, err := parseExpire(c.Args[3:])
	if err != nil {
		return err
	}
	c.Reply.Array(len(members))
	changed := changes{at: at}
	for _, member := range members {
		deadline, there := int64(0), false
		if v != nil {
			deadline, there = s.Deadline(member)
		}
		switch {
		case !there:
			c.Reply.Int(noMember)
		case !when.Allow(deadline, at):
			c.Reply.Int(conditionNo)
		case at <= c.Now:
			s.Remove(member)
			changed.deleted = append(changed.deleted, member)
			c.Reply.Int(memberDeleted)
		default:
			s.AddUntil(member, at)
			changed.expiring = append(changed.expiring, member)
			c.Reply.Int(deadlineSet)
		}
	}
	changed.tell(c, v, &s)
	return nil
}

// membersAlone reads "MEMBERS nummembers member [member ...]" with nothing behind.
func membersAlone(args [][]byte) (members [][]byte, err error) {
	if !resp.WordIs(args[0], "MEMBERS") {
		return nil, errMembersPlace
	}
	n, ok := resp.ParseInt(args[1])
	switch {
	case !ok || n < 1:
		return nil, errMembersPositive
	case n != int64(len(args)-2):
		return nil, errMembersMatch
	}
	return args[2:], nil
}

// STTL key MEMBERS nummembers member [member ...]
// SPTTL key MEMBERS nummembers member [member ...]
// SEXPIRETIME key MEMBERS nummembers member [member ...]
// SPEXPIRETIME key MEMBERS nummembers member [member ...]
//
// Times are counted from base on, in units of so many milliseconds, rounded up.
func replyDeadlines(c *shard.Call, base, unit int64) error {
	s, ok, err := open(c, c.Args[1])
	if err != nil {
		return err
	}
	members, err := membersAlone(c.Args[2:])
	if err != nil {
		return err
	}
	c.Reply.Array(len(members))
	for _, member := range members {
		deadline, there := int64(0), false
		if ok {
			deadline, there = s.Deadline(member)
		}
		switch {
		case !there:
			c.Reply.Int(noMember)
		case deadline == 0:
			c.Reply.Int(noDeadline)
		default:
			c.Reply.Int((deadline - base + unit - 1) / unit)
		}
	}
	return nil
}

// SPERSIST key MEMBERS nummembers member [member ...]
func spersist(c *shard.Call) error {
	s, v, err := openForWrite(c, c.Args[1])
	if err != nil {
		return err
	}
	members, err := membersAlone(c.Args[2:])
	if err != nil {
		return err
	}
	c.Reply.Array(len(members))
	var changed changes
	for _, member := range members {
		deadline, there := int64(0), false
		if v != nil {
			deadline, there = s.Deadline(member)
		}
		switch {
		case !there:
			c.Reply.Int(noMember)
		case deadline == 0:
			c.Reply.Int(noDeadline)
		default:
			s.AddUntil(member, 0)
			changed.persisted = append(changed.persisted, member)
			c.Reply.Int(deadlineSet)
		}
	}
	changed.tell(c, v, &s)
	return nil
}
