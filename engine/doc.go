// Package engine turns the bytes of clients into commands, finds the shards they
// belong to, runs them there, and puts the replies in order.
//
//	bytes ──► Session.Feed ──► parse ──► gate ──► burst, grouped by shard
//	                                                │
//	       shard free: enter, run the group here ◄──┼──► busy: batch into its mailbox
//	                                                │
//	            several shards: all turns at once ◄─┴──► or a transaction
//	                                                │
//	bytes ◄── reply pipeline, in the order of the requests
//
// A Session is one client. It belongs to a Loop, the goroutine that reads its
// socket; work that ran elsewhere comes back to the loop as a completion. A
// Command is a row of a Family's table (command.go), and everything that is said
// about it anywhere is read from that row.
//
// Start with Session.Feed in feed.go, then burst.go, then crossing.go for
// commands over several shards and multi.go for MULTI and EXEC.
package engine
