// Package migrate moves datasets between servers and files that speak Redis' formats.
//
//	Source                               Target
//	  RDB    an RDB file                   Server   RESTORE to a server, pipelined
//	  Sync   a running server, by SYNC     Spread   the same over several connections
//	                                       RDBFile  an RDB file
//	                                       RESP     the commands that make the data
//	                                       JSON     a line for each key
//
// What travels is a key with its value as it stands in an RDB file: most targets pass it
// on without looking into it. A Source may be anything that can show keys so, and a Target
// anything that takes them; package main adds those that need an engine.
//
// Start with Source and Target in migrate.go.
package migrate
