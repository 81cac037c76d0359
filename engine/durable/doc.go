// Package durable keeps an engine's data on disk: a log of what its shards do, snapshots, and
// the recovery from both. It is where the engine meets persist/journal and persist/snapshot.
//
// The server in cmd/hyperkv and the library in engine/embedded each have one Data, and call
// its Commit before they let anybody know what was done.
//
// Start with Data in data.go; recovery.go has how the data comes back, saver.go when snapshots
// are taken and how the log is switched on and off, basis.go what a start builds on, which
// hyperkv check finds out as well. The tests are where there are programs to be killed: in
// engine/embedded and cmd/hyperkv.
package durable
