package ds

import "github.com/cespare/xxhash/v2"

// Hash is the hash of a key, a member or a field: xxhash64.
func Hash(b []byte) uint64 { return xxhash.Sum64(b) }
