package replication

import (
	"context"
	"io"
)

// A Host is the server whose dataset is replicated.
type Host interface {
	// Exclusive calls f while nothing happens to the dataset.
	Exclusive(f func())
	// Record says whether what happens is to be handed to the Feed. It is called within
	// Exclusive.
	Record(on bool)
	// Undivided says whether what concerns all keys must happen at one moment.
	Undivided(on bool)
	// Snapshot writes the dataset of one moment, at which atCut is called while nothing
	// happens, as pieces of the body of an RDB file, from several goroutines. native: the
	// reader is a HyperKV.
	Snapshot(ctx context.Context, native bool, atCut func(), write func(piece []byte) error) error
	// Load replaces the dataset by that of an RDB file of so many bytes, and returns when that
	// is where it is kept. The Feed is not told.
	Load(ctx context.Context, file io.Reader, bytes int64) error
	// Apply does what the primary did. settled is called when it is done, before anything
	// else can happen to the same keys. It belongs to one goroutine. An error says that
	// something was left out.
	Apply(unit []Effect, settled func()) error
	// Commit lets what was applied go where it is kept.
	Commit()
	// Kept says whether a log keeps what is applied, and whether all that was applied
	// before the call is durable in it.
	Kept() (logged, synced bool)
	// Sync makes durable what was applied before the call. It waits for the disk, and is
	// false if there is no log, or none that can be written.
	Sync() bool

	// SetPrimary says which server is to be copied, "" for none.
	SetPrimary(host string, port int)
	// SetReplica is called when the server becomes a replica, and when it is none any
	// more; SetStale when what a replica knows may be out of date, or is not any more.
	SetReplica(on bool)
	SetStale(on bool)
	// SetGoodReplicas says how many replicas are there and not too far behind.
	SetGoodReplicas(n int)
	// Pause keeps clients from writing.
	Pause(on bool)
	// Linked tells of a connection to the primary, which end closes. over is called when
	// it is closed.
	Linked(remote, local string, end func()) (over func())
}

// Settings are the parameters of the server, by the names that Redis gives them. Safe for
// concurrent use.
type Settings interface {
	Int(name string) int64
	Bool(name string) bool
	String(name string) string
}

// A Link is the connection of a replica. Safe for concurrent use.
type Link interface {
	// Wake has Replica.Next called.
	Wake()
	Disconnect()
	Addresses() (remote, local string)
}
