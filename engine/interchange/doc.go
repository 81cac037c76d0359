// Package interchange gives datasets to Redis and takes them from it: RDB files in both
// directions, and the append-only files of a Redis.
//
//	Load   RDB file ─► one goroutine finds where values end ─► batches ─► a goroutine per
//	       shard checks them, without the turn, and builds the keys, under it
//	Write  snapshot.Take ─► blocks of all shards ─► one RDB file
//	Replay append-only file ─► Load for its base, then its commands, one after the other
//
// What package snapshot takes and gives back is our own: it is believed, and goes to the
// shard that it came from. What comes from elsewhere is not believed here, and may be of
// any version; and what leaves has to be read by an old Redis. That is why these are two
// packages.
//
// Start with Load in load.go.
package interchange
