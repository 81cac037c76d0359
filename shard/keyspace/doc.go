// Package keyspace is one numbered database of one shard: its keys, their
// values, and the order in which they expire.
//
// A DB is three structures over memory outside the Go heap (package ds), which
// refer to each other by four-byte references:
//
//	hash ──► index ──► record ◄── deadlines
//	         bucket    key, value   order of the volatile keys
//
// Only the index and the deadlines refer to a record, and a record contains
// its key, so records can be moved, and sparse memory given back (Compact).
// There is no Go pointer and no heap object per key. Each step is bounded: no
// insert, delete or expiry does more than a few hundred entries' work.
//
// Nothing here knows about commands, time or randomness: deadlines are numbers
// handed in, and so are access words and seeds (the one secret of crowd.go never
// shows). A DB belongs to its shard's turn; it has no locks.
//
// DESIGN.md beside this file draws the layouts and gives the measurements.
// Start with Find in db.go, then put.go.
package keyspace
