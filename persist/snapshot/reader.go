package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"hyperkv/persist/disk"
)

// Read shows the blocks of one shard of a snapshot, in the order in which they were
// written, with where in the file each begins. They are borrowed until visit returns; an
// error of visit ends it. A *DamageError says that the file is not what was written;
// what was shown before was.
func Read(d disk.Disk, dir string, m *Manifest, shard int, visit func(block []byte, keys int, at int64) error) error {
	want := m.Files[shard]
	path := filepath.Join(dir, want.Name)
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &DamageError{Path: path, Reason: "it is missing"}
	}
	if err != nil {
		return fmt.Errorf("read a snapshot: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	r := &reader{file: f, path: path, size: size}
	defer r.close()
	if size != want.Bytes {
		return r.damage("it has %d bytes, and had %d", size, want.Bytes)
	}
	h, err := r.next(headerBytes)
	if err != nil {
		return err
	}
	if err := checkHeader(path, h, shard, m.Shards, m.Number); err != nil {
		return err
	}
	var blocks, keys uint64
	for {
		at := r.at
		block, count, end, err := r.block()
		switch {
		case err != nil:
			return err
		case end:
			if r.at != size || binary.LittleEndian.Uint64(block) != blocks || binary.LittleEndian.Uint64(block[8:]) != keys ||
				blocks != want.Blocks || keys != want.Keys {
				return r.damage("blocks are missing")
			}
			return nil
		}
		blocks++
		keys += uint64(count)
		if err := visit(block, count, at); err != nil {
			return err
		}
	}
}

// reader reads one file. It belongs to one goroutine.
type reader struct {
	file    disk.File
	path    string
	size    int64
	at      int64
	space   []byte
	plain   []byte
	decoder *zstd.Decoder
}

func (r *reader) close() {
	if r.decoder != nil {
		r.decoder.Close()
	}
}

func (r *reader) damage(format string, args ...any) error {
	return &DamageError{Path: r.path, Offset: r.at, Reason: fmt.Sprintf(format, args...)}
}

// next reads n bytes.
func (r *reader) next(n uint64) ([]byte, error) {
	if n > uint64(r.size-r.at) {
		return nil, r.damage("it ends in the middle of a block")
	}
	if uint64(cap(r.space)) < n {
		r.space = make([]byte, n)
	}
	p := r.space[:n]
	if got, err := r.file.ReadAt(p, r.at); err != nil && (err != io.EOF || got < len(p)) {
		return nil, fmt.Errorf("read %s: %w", r.path, err)
	}
	r.at += int64(n)
	return p, nil
}

// ratioMax bounds what a block may become when it is decompressed: zstd does not reach
// that with what is stored here, but a file may say anything.
const ratioMax = 1 << 17

// block reads the next block, or the end.
func (r *reader) block() (block []byte, keys int, end bool, err error) {
	start := r.at
	var head [blockHeader]byte
	p, err := r.next(blockHeader)
	if err != nil {
		return nil, 0, false, err
	}
	copy(head[:], p)
	h := readBlockHead(head[:])
	stored, err := r.next(h.stored)
	if err != nil {
		return nil, 0, false, err
	}
	wrong := func(reason string) ([]byte, int, bool, error) {
		return nil, 0, false, &DamageError{Path: r.path, Offset: start, Reason: reason}
	}
	if checksum(head[:], stored) != binary.LittleEndian.Uint32(head[28:]) {
		return wrong("the checksum of a block is wrong")
	}
	switch {
	case h.codec == codecEnd && h.stored == endBytes:
		return stored, 0, true, nil
	case h.codec == codecNone && h.stored == h.raw:
		return stored, int(h.keys), false, nil
	case h.codec == codecZstd && h.raw <= h.stored*ratioMax:
	default:
		return wrong("a block in an unknown form")
	}
	if r.decoder == nil {
		if r.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<40)); err != nil {
			return nil, 0, false, err
		}
	}
	if r.plain, err = r.decoder.DecodeAll(stored, r.plain[:0]); err != nil || uint64(len(r.plain)) != h.raw {
		return wrong("a block that cannot be decompressed")
	}
	return r.plain, int(h.keys), false, nil
}
