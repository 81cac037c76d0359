package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment begins with
//
//	magic 8 │ version 4 │ shard 4 │ first LSN 8 │ identity 8 │ zeros │ CRC-32C 4
//
// in 64 bytes; its records follow. The file is named for shard and first LSN, so that
// a listing is in order:
//
//	wal-0003-00000000000000004711.log
const (
	magic         = "HKVWAL\r\n"
	version       = 1
	segmentHeader = 64
)

func segmentName(shard int, first uint64) string {
	return fmt.Sprintf("%s%020d.log", FilePrefix(shard), first)
}

// FilePrefix begins the names of all files of a log.
func FilePrefix(shard int) string { return fmt.Sprintf("wal-%04d-", shard) }

// parseSegmentName reads a name that segmentName has made.
func parseSegmentName(name string) (shard int, first uint64, ok bool) {
	rest, found := strings.CutPrefix(name, "wal-")
	rest, ends := strings.CutSuffix(rest, ".log")
	number, lsn, parts := strings.Cut(rest, "-")
	if !found || !ends || !parts {
		return 0, 0, false
	}
	shard, err := strconv.Atoi(number)
	if err != nil {
		return 0, 0, false
	}
	first, err = strconv.ParseUint(lsn, 10, 64)
	return shard, first, err == nil && segmentName(shard, first) == name
}

// spareName is the name of a segment that is reserved and not yet in use.
func spareName(shard int, number uint64) string {
	return fmt.Sprintf("%sspare-%d.tmp", FilePrefix(shard), number)
}

func isSpare(name string, shard int) bool {
	return strings.HasPrefix(name, FilePrefix(shard)+"spare-") && strings.HasSuffix(name, ".tmp")
}

func segmentStart(shard int, first, identity uint64) []byte {
	h := make([]byte, segmentHeader)
	copy(h, magic)
	binary.LittleEndian.PutUint32(h[8:], version)
	binary.LittleEndian.PutUint32(h[12:], uint32(shard))
	binary.LittleEndian.PutUint64(h[16:], first)
	binary.LittleEndian.PutUint64(h[24:], identity)
	sealHeader(h)
	return h
}

// unwritten says that a segment may be one whose header was about to be written: what there
// is of it is right or zero, and so is what is not there.
func unwritten(segment, header []byte) bool {
	for i, b := range segment[:min(len(segment), len(header))] {
		if b != 0 && b != header[i] {
			return false
		}
	}
	return true
}

func sealHeader(h []byte) {
	binary.LittleEndian.PutUint32(h[segmentHeader-4:], crc32.Checksum(h[:segmentHeader-4], castagnoli))
}

// checkSegmentStart holds the header of a file against what it should be.
func checkSegmentStart(path string, h []byte, shard int, first, identity uint64) error {
	name := filepath.Base(path)
	switch {
	case len(h) < segmentHeader || string(h[:8]) != magic:
		return &DamageError{Path: path, Reason: "it does not begin as a segment of the log"}
	case crc32.Checksum(h[:segmentHeader-4], castagnoli) != binary.LittleEndian.Uint32(h[segmentHeader-4:]):
		return &DamageError{Path: path, Reason: "its header is damaged"}
	}
	if v := binary.LittleEndian.Uint32(h[8:]); v > version {
		return fmt.Errorf("%s has version %d of the log's format, and this HyperKV knows versions up to %d: "+
			"start the newer HyperKV that wrote it", name, v, version)
	}
	if n := binary.LittleEndian.Uint32(h[12:]); int(n) != shard {
		return &DamageError{Path: path, Reason: fmt.Sprintf("it belongs to shard %d, not to %d", n, shard)}
	}
	if n := binary.LittleEndian.Uint64(h[16:]); n != first {
		return &DamageError{Path: path, Reason: fmt.Sprintf("it begins with record %d, not with %d", n, first)}
	}
	if id := binary.LittleEndian.Uint64(h[24:]); id != identity {
		return fmt.Errorf("%s belongs to another data directory: it has identity %016x, and this one has %016x", name, id, identity)
	}
	return nil
}

// A DamageError says where a log cannot be read, and that it could be before.
type DamageError struct {
	Path   string // the file
	Offset int64  // where in it
	LSN    uint64 // of the record that should be there, 0 if it is not about one
	Lost   int    // how many good records are known to stand behind it
	Reason string
}

// Error implements error.
func (e *DamageError) Error() string {
	s := fmt.Sprintf("%s is damaged at byte %d: %s", e.Path, e.Offset, e.Reason)
	if e.LSN != 0 {
		s += fmt.Sprintf(" (record %d)", e.LSN)
	}
	return s
}
