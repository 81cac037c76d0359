// Package shard owns one partition of the keyspace.
//
// A Shard is everything that only one goroutine at a time may touch: the keys
// of its databases, the order in which they expire, who watches them, and the
// record of what was written. Whoever holds the shard's turn may touch it: as a
// rule an event loop that found it idle, sometimes the shard's own keeper, the
// goroutine that expires keys and runs what is too long for a loop.
//
//	batch ──► turn free? ──► enter: drain the mailbox, run, exit, look again
//	               no    ──► mailbox: whoever holds the turn will come to it
//
// Nobody waits while holding a turn, so nothing can deadlock, and work that
// reached the mailbox first runs first.
//
// A Set is all shards of one process. It routes keys to shards and orders the
// transactions that need several of them: such a transaction enters all its
// mailboxes at one instant, so any two shards see any two transactions in the
// same order, which makes the whole strictly serializable.
//
// Start with Enter and Exit in turn.go, the life of every batch; then
// transaction.go; then Call in call.go, which is all a command handler sees, and
// mutate.go, the only way in which a key changes.
package shard
