package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A file begins with
//
//	magic 8 │ version 4 │ shard 4 │ shards 4 │ zeros 4 │ number 8 │ zeros │ CRC-32C 4
//
// in 64 bytes. Blocks follow, each behind
//
//	stored bytes 8 │ raw bytes 8 │ keys 4 │ codec 1 │ zeros 3 │ zeros 4 │ CRC-32C 4
//
// whose checksum is of these 28 bytes and of what is stored. The last block is the end:
// it stores how many blocks and keys there are before it.
const (
	magic       = "HKVSNAP\n"
	version     = 1
	headerBytes = 64
	blockHeader = 32
	endBytes    = 16
)

// How the bytes of a block are stored.
const (
	codecNone = 0
	codecZstd = 1
	codecEnd  = 255
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the beginning of a file.
func header(shard, shards int, number uint64) []byte {
	h := make([]byte, headerBytes)
	copy(h, magic)
	binary.LittleEndian.PutUint32(h[8:], version)
	binary.LittleEndian.PutUint32(h[12:], uint32(shard))
	binary.LittleEndian.PutUint32(h[16:], uint32(shards))
	binary.LittleEndian.PutUint64(h[24:], number)
	binary.LittleEndian.PutUint32(h[headerBytes-4:], crc32.Checksum(h[:headerBytes-4], castagnoli))
	return h
}

// checkHeader holds the beginning of a file against what it should be.
func checkHeader(path string, h []byte, shard, shards int, number uint64) error {
	switch {
	case string(h[:8]) != magic:
		return &DamageError{Path: path, Reason: "it does not begin as a snapshot"}
	case crc32.Checksum(h[:headerBytes-4], castagnoli) != binary.LittleEndian.Uint32(h[headerBytes-4:]):
		return &DamageError{Path: path, Reason: "its header is damaged"}
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v > version {
		return newerError(path, int(v), version)
	}
	if string(h) != string(header(shard, shards, number)) {
		return &DamageError{Path: path, Reason: "it belongs to another snapshot, or to another shard"}
	}
	return nil
}

func newerError(path string, has, knows int) error {
	return fmt.Errorf("%s has version %d of the snapshot's format, and this HyperKV knows versions up to %d: "+
		"start the newer HyperKV that wrote it", path, has, knows)
}

// blockHead is what stands before the stored bytes of a block.
type blockHead struct {
	stored, raw uint64
	keys        uint32
	codec       byte
}

// put writes the head, with the checksum of it and what is stored behind.
func (h *blockHead) put(p, stored []byte) {
	binary.LittleEndian.PutUint64(p, h.stored)
	binary.LittleEndian.PutUint64(p[8:], h.raw)
	binary.LittleEndian.PutUint32(p[16:], h.keys)
	p[20] = h.codec
	clear(p[21:28])
	binary.LittleEndian.PutUint32(p[28:], checksum(p, stored))
}

func readBlockHead(p []byte) (h blockHead) {
	h.stored = binary.LittleEndian.Uint64(p)
	h.raw = binary.LittleEndian.Uint64(p[8:])
	h.keys = binary.LittleEndian.Uint32(p[16:])
	h.codec = p[20]
	return h
}

func checksum(head, stored []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:28], castagnoli), castagnoli, stored)
}

// A DamageError says that a file is not what was written.
type DamageError struct {
	Path   string
	Offset int64 // of what is damaged
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
}
