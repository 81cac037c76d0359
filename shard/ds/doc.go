// Package ds holds the memory that the dataset lives in, outside the Go heap.
//
// The collector neither sees nor scans what is stored here, so its work does
// not grow with the data, every byte is counted, and memory that empties goes
// back to the operating system at once instead of at the next collection.
//
//	PageSource   one per process: address space in regions of 64 MiB, handed
//	    │        out in runs of 64 KiB; a run given back costs no memory
//	    ▼
//	Arena        one per structure of a database: slabs of equal slots by size
//	             class, and runs or mappings of their own for large objects
//
// An object is named by a Ref of four bytes, not by a pointer:
//
//	 31 30           14 13          0
//	┌──┬───────────────┬─────────────┐
//	│ 0│ slab (17 bit) │ slot (14)   │   slot of a slab
//	├──┼───────────────┴─────────────┤
//	│ 1│ number (31 bit)             │   large object
//	└──┴─────────────────────────────┘
//
// Refs stay valid while the object lives. Addresses (what At returns) stay
// valid until that object is freed or grown. The zero Ref names nothing.
//
// Package unsafe is used here and in the packages above that lay structures
// over arena memory. The rules that keep it sound: a Ref is checked against
// its slab before it becomes an address, so a wrong Ref panics and never reads
// memory that is not the arena's; addresses are kept in integers wherever they
// outlive a call, because the collector must not meet pointers to memory that
// is not its own; and nothing in an arena ever points into the Go heap.
//
// Start with Arena.Alloc and Arena.At in arena.go.
package ds
