// Package rdb reads and writes Redis' RDB files and DUMP payloads: those of all versions
// up to 7.4, and what newer ones of Redis and Valkey write in forms that are known.
//
// The format has several forms for each type, one for each way in which some
// Redis kept such a value in memory. None of that reaches the outside: a Reader
// shows a value to a Visitor element by element, whatever the form, and a Writer
// is handed elements.
//
//	file           header 9 │ body: keys with their values … │ CRC-64 8
//	DUMP payload   type 1 │ value … │ version 2 │ CRC-64 8
//	value          lengths, texts and doubles one after the other, or a text
//	               that is a listpack, a ziplist, an intset or a zipmap
//
// A Reader may be given any bytes. It believes no length that the bytes before it
// do not bear out, so that it neither panics nor allocates more than a fixed
// multiple of what it was given, and what a Visitor is shown fits together:
// integers are in range, scores are numbers, IDs ascend, every pending entry has a
// consumer. Only duplicates are up to the Visitor; Checker looks for them.
//
// A Writer takes the oldest form that has room for all of a value, because a
// server refuses payloads and files of versions that it does not know. Whoever only
// passes values on leaves them as they are: Body.Raw finds where one ends, and Writer.Value
// writes it again.
//
// Start with Reader.Value in value.go, Writer in writer.go, or File in file.go.
package rdb
