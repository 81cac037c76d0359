// Package keys is the family of commands about keys, whatever they hold: whether
// they are there, how they are called, in which database they are, how long they
// live, and how to find them.
//
// The family keeps one promise: a value never changes on its way. Renaming,
// copying and moving take the value, its encoding and its deadline along, all
// through transfer.go; and what DUMP has written, here or in a Redis, RESTORE
// makes the same value of.
//
//	keys.go      the table, and the commands about named keys
//	expire.go    deadlines
//	scan.go      finding keys: KEYS, SCAN, RANDOMKEY
//	space.go     whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB
//	object.go    what a value is made of: OBJECT, MEMORY USAGE, DEBUG OBJECT
//	transfer.go  a value on its way to another key
//	dump.go      DUMP and RESTORE; dumpvalue.go and restorevalue.go know the types
//	option.go    words and numbers among the arguments
package keys
