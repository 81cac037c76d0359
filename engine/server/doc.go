// Package server is the family of commands about the server itself: what it is
// doing, how it is set up, which commands it knows, and how to stop it.
//
// The family keeps one promise: asking costs the clients nothing. What INFO and
// its kin answer was published by the shards and loops at the end of their
// turns; nobody is waited for. Only commands that concern all shards at once
// (CONFIG RESETSTAT, MEMORY MALLOC-STATS, DEBUG SLEEP, DEBUG POPULATE, DEBUG DIGEST)
// take turns.
//
//	server.go       the table: all rows of the files below
//	info.go         INFO: which sections; section.go writes their lines
//	sections.go     the sections of Redis; hyperkv.go the one of HyperKV
//	process.go      what the operating system and the Go runtime say of the process
//	config.go       CONFIG
//	command.go      COMMAND; keyspec.go, docs.go: its larger replies
//	categories.go   ACL categories; acl.go: ACL, as far as there is one user
//	memory.go       MEMORY
//	slowlog.go      SLOWLOG
//	latency.go      LATENCY; histogram.go, graph.go: two of its replies
//	latencymonitor.go  notes what took long, from what is counted anyway
//	debug.go        DEBUG; protocol.go: DEBUG PROTOCOL, digest.go: DEBUG DIGEST
//	lifecycle.go    TIME, ROLE, MONITOR, REPLICAOF
//	persistence.go  SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, SHUTDOWN
//	scripting.go    FUNCTION, SCRIPT and MODULE as far as there is nothing to list
//	lolwut.go       LOLWUT
//	reference.go    the command reference of the documentation
package server
