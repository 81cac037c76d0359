// Package disk is what HyperKV asks of a file system, in words in which it can also
// be answered by a disk that loses power.
//
// A file's bytes are durable once Sync has returned; a name, new or changed, once
// SyncDir of its folder has. Until then a power failure may leave any part of what
// was written, sector by sector, and the old name or the new one. OS is the real
// disk; Frail, for tests, keeps account of all that and can crash.
//
// Start with Disk in disk.go.
package disk
