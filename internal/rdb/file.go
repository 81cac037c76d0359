package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// An RDB file is a header, a body, and, from version 5 on, a checksum of all before it,
// which is zero if none was wanted:
//
//	REDIS0010 │ opcodes and keys … │ 255 │ CRC-64 8
//	VALKEY080 │ …
const (
	magicRedis  = "REDIS"
	magicValkey = "VALKEY"
	headerBytes = len(magicRedis) + 4

	// versionChecksum is the version that brought the checksum.
	versionChecksum = 5
)

// ErrNotRDB says that a file is none of Redis' snapshots.
var ErrNotRDB = errors.New("not an RDB file")

// IsFile tells by its first bytes whether something is an RDB file.
func IsFile(start []byte) bool {
	return bytes.HasPrefix(start, []byte(magicRedis)) || bytes.HasPrefix(start, []byte(magicValkey))
}

// A File reads an RDB file. Versions that are not known yet are read as far as all that
// is in them is known.
type File struct {
	Body
	// Version is that of the header, and Valkey says that it counts those of Valkey.
	Version int
	Valkey  bool
	// Native reads also what only HyperKV writes.
	Native bool

	closed bool // the checksum was read
}

// OpenFile reads the header of a file. The File reads ahead of what it was asked for.
func OpenFile(src io.Reader) (*File, error) {
	f := &File{Body: Body{Reader: NewReader(src)}}
	f.sums = true
	header, err := f.take(uint64(headerBytes))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%w: it has no header", ErrNotRDB)
	}
	if err != nil {
		return nil, err
	}
	digits, redis := bytes.CutPrefix(header, []byte(magicRedis))
	if !redis {
		if digits, f.Valkey = bytes.CutPrefix(header, []byte(magicValkey)); !f.Valkey {
			return nil, fmt.Errorf("%w: it begins with %q", ErrNotRDB, header)
		}
	}
	version, err := strconv.ParseUint(string(digits), 10, 16)
	if err != nil || version == 0 {
		return nil, fmt.Errorf("%w: it begins with %q", ErrNotRDB, header)
	}
	f.Version, f.valkey = int(version), f.Valkey
	return f, nil
}

// Next is Body.Next. It returns nil when the file has come to its end and its checksum is
// right.
func (f *File) Next() (*Key, error) {
	if f.closed {
		return nil, nil
	}
	k, err := f.Body.Next()
	if err == nil && k == nil {
		err = f.end()
	}
	if err != nil {
		return nil, f.where(err)
	}
	if k != nil && k.Type == TypeSetMetadata && !f.Native {
		return nil, unsupported("the key %.64q has a value of the unknown type %d", k.Name, k.Type)
	}
	return k, nil
}

// Value is Reader.Value for the key that Next has returned.
func (f *File) Value(t Type, v Visitor) error { return f.where(f.Body.Value(t, v)) }

// Raw is Body.Raw.
func (f *File) Raw() ([]byte, error) {
	raw, err := f.Body.Raw()
	return raw, f.where(err)
}

// where says of a file that is cut off where it ends.
func (f *File) where(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("the file ends at byte %d, before its end", f.past+int64(len(f.buf)))
	}
	return err
}

// end reads the checksum.
func (f *File) end() error {
	f.closed = true
	if !f.Valkey && f.Version < versionChecksum {
		return nil
	}
	f.digest()
	sum := f.sum
	eight, err := f.take(8)
	if err != nil {
		return err
	}
	if stored := binary.LittleEndian.Uint64(eight); stored != 0 && stored != sum {
		return corrupt("the checksum of the file is %016x, and its bytes have %016x", stored, sum)
	}
	return nil
}

// Rest reads what stands behind the file, once Next has returned nil.
func (f *File) Rest() io.Reader {
	return io.MultiReader(bytes.NewReader(f.buf[f.at:]), f.src)
}
