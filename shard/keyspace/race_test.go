//go:build race

package keyspace

// underRace: the race detector makes everything slower and keeps memory of its
// own, so tests do less and do not look at the process.
const underRace = true
