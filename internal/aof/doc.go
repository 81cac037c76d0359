// Package aof reads the append-only files of Redis: those of a directory with its
// manifest, as since 7.0, and the single file of versions before.
//
//	appendonlydir/
//	  appendonly.aof.manifest        which files there are, and in which order
//	  appendonly.aof.2.base.rdb      the dataset at some moment, or commands
//	  appendonly.aof.2.incr.aof      the commands since then
//
//	file   [ RDB file ] │ command │ # annotation │ command …
//
// A file may begin with an RDB file, whatever its name is. A transaction is shown when
// its end was read. What a Redis does when it starts is done here: a last file that ends
// in the middle of a command, or of a transaction, is read up to there; everything else
// that is wrong ends the reading, and is told with its file and its place. Files are only read.
//
// Start with Log.Read in read.go.
package aof
