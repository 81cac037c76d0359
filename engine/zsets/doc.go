// Package zsets holds the commands on sorted sets.
//
// A sorted set counts its members, so that every range, whether it is given by
// rank, by score or by text, is one of ranks as soon as the command has read its
// arguments: what comes after that is the same for counting, answering, storing
// and removing. A sorted set is never left behind empty; whoever takes the last
// member deletes the key.
//
//	zsets.go    the table, and the commands about named members
//	ranges.go   ranges: ZRANGE and its relatives, ZCOUNT, ZREMRANGEBY…
//	pop.go      taking from the ends, also with waiting
//	combine.go  ZUNION, ZINTER, ZDIFF and what stores them
//	input.go    what those read: sorted sets, and sets
//	random.go   ZRANDMEMBER, ZSCAN
//	words.go    words and numbers among the arguments, members in replies
//
// Scores are answered with the digits of Redis 7.2 and later: the fewest that
// read back as the same number.
package zsets
