// Package object is what a key can hold, seen from inside: its type, as TYPE
// answers it, its encoding, as OBJECT ENCODING answers it, and the layouts of
// collections.
//
// A collection has a Home: the value part of its key's record, which is its root,
// and an arena for what does not fit there. Small collections are packed into the
// root; large ones are one or two counted trees over packed leaves:
//
//	list          packed elements          tree by position
//	set           integers, or packed      tree by hash
//	hash          packed pairs             tree by hash, and one by deadline
//	sorted set    packed pairs by score    tree by (score, member), tree by hash
//	stream        tree by ID, and one of the groups
//
// So there is no pointer anywhere, every step touches a leaf of a few hundred
// bytes, and a collection of any size has an order that depends on what is in it
// and not on how it came to be: the same on every replica.
//
// Everything is owned by the turn of the shard that holds the key. Start with
// Home in home.go, then Element and Tree, then the type of your choice.
package object
