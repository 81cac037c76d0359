package shard

import (
	"bytes"

	"hyperkv/resp"
	"hyperkv/shard/object"
)

// A DeadlineCondition is a set of the conditions under which EXPIRE and its kin
// set a deadline, of a key or of a member; the empty set is none.
type DeadlineCondition uint8

const (
	DeadlineNew     DeadlineCondition = 1 << iota // NX: there is no deadline
	DeadlineOld                                   // XX: there is one
	DeadlineGreater                               // GT: the new one is later
	DeadlineLess                                  // LT: the new one is earlier
)

// DeadlineConditionOf is the condition that a word names, none if it is no such word.
func DeadlineConditionOf(word []byte) DeadlineCondition {
	switch {
	case bytes.EqualFold(word, []byte("NX")):
		return DeadlineNew
	case bytes.EqualFold(word, []byte("XX")):
		return DeadlineOld
	case bytes.EqualFold(word, []byte("GT")):
		return DeadlineGreater
	case bytes.EqualFold(word, []byte("LT")):
		return DeadlineLess
	}
	return 0
}

// Allow says whether the deadline now, 0 for none, may become at. No deadline
// counts as one that is infinitely far away.
func (set DeadlineCondition) Allow(now, at int64) bool {
	switch {
	case set&DeadlineNew != 0 && now != 0,
		set&DeadlineOld != 0 && now == 0,
		set&DeadlineGreater != 0 && (now == 0 || at <= now),
		set&DeadlineLess != 0 && now != 0 && at >= now:
		return false
	}
	return true
}

const errExpireNegative = resp.Error("ERR invalid expire time, must be >= 0")

// MemberDeadline reads when a member of a collection is to expire: arg counts units
// of so many milliseconds from base on; command is whose argument it is, in lower case.
func MemberDeadline(arg []byte, command string, base, unit int64) (at int64, err error) {
	at, ok := resp.ParseInt(arg)
	switch {
	case !ok:
		return 0, resp.ErrNotInteger
	case at < 0:
		return 0, errExpireNegative
	case at > object.MemberDeadlineMax/unit, at*unit > object.MemberDeadlineMax-base:
		return 0, resp.InvalidExpire(command)
	}
	return at*unit + base, nil
}
