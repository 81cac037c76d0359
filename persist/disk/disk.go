package disk

import "io"

// A Disk holds files by name; names are paths. Safe for concurrent use, but for
// calls about one name.
type Disk interface {
	// Create makes a file that is not there, open for reading and writing.
	Create(name string) (File, error)
	// Open opens a file that is there, for reading and writing.
	Open(name string) (File, error)
	// List returns the names in a folder, without the folder's own, in order.
	List(dir string) ([]string, error)
	// MakeDir makes a folder and those above it, if they are not there, and makes the
	// names of those durable.
	MakeDir(dir string) error
	// RemoveDir deletes a folder in which there is nothing.
	RemoveDir(dir string) error
	// Rename gives a file another name in the same folder, in place of what has it.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
}

// A File is open for reading and writing at any place. Safe for concurrent use as far
// as the places do not overlap.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is how many bytes there are.
	Size() (int64, error)
	// Truncate makes the file n bytes long; what is new is zero.
	Truncate(n int64) error
	// Reserve makes sure that the first n bytes have room on the disk, and that the
	// file is at least so long.
	Reserve(n int64) error
	// Sync makes what was written before it durable, with what is needed to read it.
	Sync() error
}
