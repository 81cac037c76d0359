// Package datadir is what a data directory is, apart from what is in its files: which folders
// there are, and who uses them. One process does at a time, and says who it is.
//
//	LOCK         held by who uses it, with its name in it
//	journal      persist/journal
//	snapshots    persist/snapshot
//
// Start with Take in lock.go.
package datadir
