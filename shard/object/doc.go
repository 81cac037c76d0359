// Package object names what a key can hold: its type, as TYPE answers it, and
// the encoding of its value, as OBJECT ENCODING answers it.
//
// Both fit into one byte of a record of shard/keyspace. The layouts of
// collections live here too, as they come.
package object
