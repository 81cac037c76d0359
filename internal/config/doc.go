// Package config knows every setting of the server: where its value came from,
// whether it makes sense, and what CONFIG GET and SET say about it.
//
// There is one table. A row (Key) is a setting with its names, its syntax, its
// default and what it is for; the YAML keys, the HYPERKV_* variables, the
// flags, the CONFIG parameters and docs/configuration.md are all read from it.
// Rows with a field fill the struct Config; the others are parameters that
// Redis has and HyperKV keeps without acting on them.
//
//	defaults < file < HYPERKV_* < flags ──Load──► Config ──NewParams──► Params ◄── CONFIG SET
//	                                              (frozen)             (live)        │
//	        the file ◄───────────────────── Rewrite ◄───────────────────────────────┘
//
// Load never stops at the first mistake: it returns all of them, each with the
// line, the variable or the flag it was found in. A feature that this version
// does not have is a mistake too, so that nothing is accepted and ignored.
//
// Start with keys.go, the settings that act, then Load in load.go. redis.go
// holds the rest of Redis' parameters, syntax.go says what a value may look
// like, and params.go is the run-time side.
package config
