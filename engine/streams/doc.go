// Package streams is the family of commands about streams: logs of entries, each
// with an ID that is above all before it, and groups of consumers that share the
// entries among them.
//
// An entry is read as often as one likes; what a group delivers to a consumer is
// pending until it is acknowledged. A stream may be empty, since it still knows
// its last ID and its groups.
//
// Effects say outcomes: XADD with the ID that was made and the length that was
// trimmed to; deliveries and claims as XCLAIM with absolute times, the place up
// to which a group has read as XGROUP SETID, and what a claim found deleted as
// XACK. Only when a consumer was last seen is not recorded, as little as when a
// key was last used.
//
//	streams.go   the table of commands on entries, and adding, reading, deleting
//	trim.go      the options of XADD and XTRIM
//	read.go      XREAD and XREADGROUP
//	group.go     the table of commands on groups, XGROUP and XACK
//	pending.go   XPENDING, XCLAIM, XAUTOCLAIM
//	reference.go XDELEX and XACKDEL
//	info.go      XINFO
//	id.go        IDs among the arguments and in replies
package streams
