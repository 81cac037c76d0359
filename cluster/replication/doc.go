// Package replication speaks Redis' replication protocol, as a primary and as a
// replica.
//
//	effects of all shards ─► Feed ─► Replica ─► connection          of each replica
//	                          ▲
//	stream of the primary ─► link ─► Host.Apply                     while there is one
//
// The Feed is one stream of bytes: commands, in an order in which they could have been
// run one after the other. Its positions count bytes; a name, the history, says whose
// they are. What was fed last is kept as the backlog, so that a replica that was away
// for a moment goes on where it was. A replica's own Feed is the stream of its primary,
// byte for byte: its replicas could be the primary's as well.
//
// A new replica is sent a snapshot of one moment and the stream from there. While
// nobody ever asked for that, the Feed is off, and an effect costs one atomic load.
//
// The package knows no engine and no sockets. A Host is the server whose dataset is
// replicated, a Link the connection of a replica.
//
// Start with Node in node.go; then feed.go, replica.go and snapshot.go for what a
// primary does; link.go, stream.go and report.go for what a
// replica does; standing.go for what a server takes from one life to the next.
package replication
