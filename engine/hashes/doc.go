// Package hashes holds the commands on hashes.
//
// A hash is never left behind empty: whoever takes the last field deletes the
// key. Its fields may expire one by one. A field whose time has come is gone for
// every command but HLEN and HDEL, which look at what is there; the command that
// meets it while it looks for it by name removes it in passing, if the keeper has
// not been faster, and that is recorded as the HDEL that it is.
//
//	handler ──► hash (hash.go): the view, and the fields met past their deadline
//	               │
//	               ▼ settle
//	            DB.ExpireMembers ──► "hexpired", and "del" when it was the last one
//
// The effect of a command that works relative to now, under a condition or on
// what happened to be there says only the outcome: HPEXPIREAT, HDEL, HSET.
//
// Start with the table in hashes.go, then hash.go. The commands about deadlines
// are in expire.go, and those that set or take values and deadlines at once in
// combined.go.
package hashes
