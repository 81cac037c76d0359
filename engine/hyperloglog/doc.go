// Package hyperloglog holds the commands that count distinct elements in
// constant space.
//
// A HyperLogLog is an ordinary string with the bytes that Redis gives it: GET and
// SET move it between servers, and DUMP files know nothing special about it.
//
//	"HYLL" | encoding | 3 unused | cardinality, 8 bytes | registers
//
// Each of the 16384 registers holds the longest run of zeros that the hash of an
// element of its own has begun with. They come in two encodings: dense, six bits
// for each, or sparse, runs of equal registers, which becomes dense when it grows
// beyond hll-sparse-max-bytes. Whatever writes goes by the same steps as Redis,
// because how a sparse sketch is cut into runs depends on its past.
//
// The string may have been written by anybody, so nothing here trusts it: a
// header that makes no sense is a wrong type, and runs that do not add up to all
// registers are a corrupted object.
//
//	hyperloglog.go  the table; PFADD PFCOUNT PFMERGE
//	debug.go        PFDEBUG PFSELFTEST
//	sketch.go       header, encodings, reading of registers
//	sparse.go       writing of runs
//	estimate.go     hash of an element, cardinality of the registers
//
// Start with sketch in sketch.go.
package hyperloglog
