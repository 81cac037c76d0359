package shard

import (
	"bytes"

	"hyperkv/shard/keyspace"
)

// Hash is the hash under which a database files key.
func Hash(key []byte) uint64 { return keyspace.Hash(key) }

// RouteHash returns the hash that decides on which shard key lives, given
// Hash(key). A key with a {tag} lives where its tag lives, so that clients can
// keep keys together; the rule is that of Redis Cluster: the tag is what stands
// between the first '{' and the next '}', if it is not empty.
func RouteHash(key []byte, hash uint64) uint64 {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return hash
	}
	tag := key[open+1:]
	end := bytes.IndexByte(tag, '}')
	if end <= 0 {
		return hash
	}
	return keyspace.Hash(tag[:end])
}
