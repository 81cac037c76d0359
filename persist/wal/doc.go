// Package wal is the log of one shard: what it did, record by record, in files that
// survive the process and, once synced, the machine.
//
//	Append (under the shard's turn) ──► buffer ──► Write ──► segment file ──► Sync ──► medium
//	                                     memory     kernel: survives kill -9     survives power loss
//
// A Log never delays who appends: Append copies into memory. Whoever is about to
// tell a client that something was done first calls Write, or Sync, according to the
// promise that was made; many appends share one of either (group commit).
//
// The log is a sequence of records with consecutive numbers (LSN), from 1. It lies in
// segments, files that are reserved before they are used, named for the first record
// they hold. A new segment is begun when the one before is full; the next Sync is of both.
//
// After a crash what was not synced may be anything, and end in any segment. What was synced is known from
// marks: a record that says up to where the log was durable when it was written. A bad
// record behind the last mark is the torn end of what nobody was promised; it is cut.
// One before it is damage, and Open refuses with the place. Stale bytes cannot pass
// for records: files are zero before they are used, and what is cut is zeroed.
//
// Records carry a group, so that several Raft groups can share a log and its syncs;
// what index and term are is the business of their payloads, and a suffix is
// truncated by a record that says so.
//
// Start with Log in log.go; the format is in record.go; Open is in open.go.
package wal
