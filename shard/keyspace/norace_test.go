//go:build !race

package keyspace

const underRace = false
