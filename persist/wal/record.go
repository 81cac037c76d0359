package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Kind says what a record is. The log itself knows marks; all others are its users'.
type Kind uint8

const (
	// kindMark says in its payload up to which LSN the log was durable.
	kindMark Kind = 1
	// KindFirst is the first kind for users.
	KindFirst Kind = 16
)

// A record, little endian, at a multiple of 8:
//
//	length 4 │ CRC-32C 4 │ LSN 8 │ kind 1 │ 0 │ group 2 │ 0 0 0 0 │ payload │ zeros
//
// length is that of the payload; the checksum is of everything behind itself, but for
// the zeros that fill up to a multiple of 8. A length of 0 never stands in a record:
// a payload has at least a byte, so that what was never written reads as the end.
const (
	recordHeader = 24
	recordAlign  = 8
	// PayloadMax is how long a payload may be.
	PayloadMax = 1 << 31
)

// A Record is one entry of the log. Payload is borrowed.
type Record struct {
	LSN     uint64
	Kind    Kind
	Group   uint16
	Payload []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// recordBytes is how much room a payload takes as a record.
func recordBytes(payload int) int {
	return (recordHeader + payload + recordAlign - 1) &^ (recordAlign - 1)
}

// appendHeader begins a record in dst, whose payload is to be appended.
func appendHeader(dst []byte, lsn uint64, kind Kind, group uint16) []byte {
	var h [recordHeader]byte
	binary.LittleEndian.PutUint64(h[8:], lsn)
	h[16] = byte(kind)
	binary.LittleEndian.PutUint16(h[18:], group)
	return append(dst, h[:]...)
}

// finish completes the record that begins at from and ends with dst.
func finish(dst []byte, from int) []byte {
	r := dst[from:]
	binary.LittleEndian.PutUint32(r, uint32(len(r)-recordHeader))
	binary.LittleEndian.PutUint32(r[4:], crc32.Checksum(r[8:], castagnoli))
	return append(dst, zeros[:recordBytes(len(r)-recordHeader)-len(r)]...)
}

// verdict is what stands at a place where a record may be.
type verdict uint8

const (
	good verdict = iota
	none         // nothing was written here
	bad          // something else
)

// readRecord reads the record at the start of p, and says how long it is; the zeros at
// its end may be missing in p.
func readRecord(p []byte) (r Record, size int, v verdict) {
	if len(p) < recordHeader {
		if isZero(p) {
			return r, 0, none
		}
		return r, 0, bad
	}
	length := binary.LittleEndian.Uint32(p)
	if length == 0 {
		if isZero(p[:recordHeader]) {
			return r, 0, none
		}
		return r, 0, bad
	}
	if uint64(length) > PayloadMax || uint64(recordHeader)+uint64(length) > uint64(len(p)) {
		return r, 0, bad
	}
	end := recordHeader + int(length)
	if crc32.Checksum(p[8:end], castagnoli) != binary.LittleEndian.Uint32(p[4:]) {
		return r, 0, bad
	}
	r = Record{
		LSN: binary.LittleEndian.Uint64(p[8:]), Kind: Kind(p[16]), Group: binary.LittleEndian.Uint16(p[18:]),
		Payload: p[recordHeader:end:end],
	}
	return r, recordBytes(int(length)), good
}

// errTorn is about a copy that is not what WriteCopy has returned.
var errTorn = errors.New("the copy of a record is not whole")

// Records hands the records of copies, as WriteCopy returns them, to f, and ends with the
// first error of it.
func Records(copies []byte, f func(Record) error) error {
	for len(copies) > 0 {
		r, size, v := readRecord(copies)
		if v != good {
			return errTorn
		}
		if err := f(r); err != nil {
			return err
		}
		copies = copies[min(size, len(copies)):]
	}
	return nil
}

var zeros [4096]byte

func isZero(p []byte) bool {
	for len(p) > 0 {
		n := min(len(p), len(zeros))
		if !bytes.Equal(p[:n], zeros[:n]) {
			return false
		}
		p = p[n:]
	}
	return true
}
