// Package lists holds the commands on lists.
//
// A list keeps its elements in the order in which they were pushed and is cheap
// at both ends. It is never left behind empty: whoever takes the last element
// deletes the key, so that "no such key" and "empty list" are one case. Events come
// when the change is over, and that of the deletion last.
//
//	lists.go   the table; push, read, search
//	edit.go    insert, set, remove, trim
//	pop.go     take from one end, of the first list that has something
//	move.go    take from one list and push to another
//
// The commands that wait are those that do not, and c.Block where these find
// nothing. Logs and replicas see what happened then and never the waiting: a
// replay must not block.
//
// Start with the table in lists.go.
package lists
