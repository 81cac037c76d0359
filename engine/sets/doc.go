// Package sets holds the commands on sets.
//
// How a set is stored is the business of package object: small ones are packed,
// large ones lie in the order of their members' hashes. Commands over several sets
// rest on that order: they go through all of them at once and collect nothing
// that is not asked for.
//
//	sets.go     the table, and the commands on single members and whole sets
//	random.go   SPOP and SRANDMEMBER: by rank, so every member is equally likely
//	algebra.go  SINTER, SUNION, SDIFF and what stores or counts their results
//	expire.go   members that expire: SADDEX, SEXPIRE, STTL and their kin
//
// A set is never left behind without members: whoever takes the last one deletes
// the key. A member that has expired is seen by nobody, whether or not it has been
// removed yet; a set that has only such members reads as absent.
//
// Start with the table in sets.go.
package sets
