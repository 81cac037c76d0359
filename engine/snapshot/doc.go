// Package snapshot takes the dataset of a moment while commands go on, and gives it
// back.
//
//	Take  ─► a transaction over all shards begins the cut              shard.Call.BeginCut
//	         a goroutine per shard: a slice under the turn,            shard.Shard.TakeSlice
//	         then what it has taken goes to the Sink, without the turn
//	Load  ─► a block under the turn of the shard that its keys belong to
//
// A block is a piece of the body of an RDB file: whole keys with their values,
// behind the number of their database. So a snapshot is an RDB file in pieces; where
// it is stored, and how, is the Sink's business.
//
// Start with Take in take.go; block.go says what a block has to be.
package snapshot
