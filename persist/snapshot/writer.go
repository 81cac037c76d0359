package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"hyperkv/persist/disk"
)

// A Writer writes one snapshot.
type Writer struct {
	s     *Store
	m     Manifest
	files []*fileWriter
}

// syncBytes is how much is written before it is synced: so that the disk is not asked for
// everything at the end, when it would be busy for long.
const syncBytes = 16 << 20

// Begin begins a snapshot of so many shards.
func (s *Store) Begin(shards int) (*Writer, error) {
	s.last++
	w := &Writer{s: s, m: Manifest{Version: manifestVersion, Number: s.last, Shards: shards}}
	for i := range shards {
		f, err := newFileWriter(s, s.last, i, shards)
		if err != nil {
			_ = w.Abort()
			return nil, err
		}
		w.files = append(w.files, f)
	}
	return w, nil
}

// Number is that of the snapshot.
func (w *Writer) Number() uint64 { return w.m.Number }

// Write adds a block of a shard. Different shards may write at once. A block of 0 keys is
// allowed, one without bytes is not.
func (w *Writer) Write(shard int, block []byte, keys int) error {
	return w.files[shard].write(block, keys)
}

// Commit makes the snapshot durable and one that is there, and returns its manifest:
// created is the moment of its cut, position where the journal was then. After an error
// it is not there.
func (w *Writer) Commit(by string, created int64, position *Position) (Manifest, error) {
	for _, f := range w.files {
		if err := f.end(); err != nil {
			_ = w.Abort()
			return Manifest{}, err
		}
		w.m.Files = append(w.m.Files, f.made)
		w.m.Keys += f.made.Keys
		w.m.Bytes += f.made.Bytes
	}
	w.m.By, w.m.Created, w.m.Journal = by, created, position
	if err := w.publish(); err != nil {
		_ = w.Abort()
		return Manifest{}, fmt.Errorf("write the snapshot's manifest: %w", err)
	}
	return w.m, nil
}

// publish writes the manifest.
func (w *Writer) publish() error {
	d := w.s.o.Disk
	if err := d.SyncDir(w.s.o.Dir); err != nil { // the files before what says that they are there
		return err
	}
	err := w.m.Write(d, w.s.o.Dir)
	if err != nil {
		_ = d.Remove(w.s.path(manifestName(w.m.Number)))
	}
	return err
}

// Abort gives the snapshot up and removes what there is of it. After Commit it does
// nothing useful.
func (w *Writer) Abort() error {
	var errs []error
	d := w.s.o.Disk
	for i, f := range w.files {
		f.close()
		errs = append(errs, d.Remove(w.s.path(fileName(w.m.Number, i))))
	}
	_ = d.Remove(w.s.path(manifestName(w.m.Number)) + ".tmp") // if it came to that
	return errors.Join(errs...)
}

// fileWriter writes the file of one shard. It belongs to one goroutine.
type fileWriter struct {
	file    disk.File
	made    File
	encoder *zstd.Encoder // nil: blocks are stored as they are
	space   []byte
	synced  int64
	err     error
}

// windowBytes is how far back a compressed block may refer, which is what compressing
// needs of memory, several times.
const windowBytes = 128 << 10

func newFileWriter(s *Store, number uint64, shard, shards int) (*fileWriter, error) {
	w := &fileWriter{made: File{Name: fileName(number, shard)}}
	var err error
	if s.o.Compress {
		w.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(windowBytes), zstd.WithEncoderCRC(false))
		if err != nil {
			return nil, err
		}
	}
	if w.file, err = s.o.Disk.Create(s.path(w.made.Name)); err != nil {
		return nil, fmt.Errorf("write a snapshot: %w", err)
	}
	if err := w.append(header(shard, shards, number)); err != nil {
		w.close()
		_ = s.o.Disk.Remove(s.path(w.made.Name))
		return nil, err
	}
	return w, nil
}

func (w *fileWriter) append(p []byte) error {
	if w.err != nil {
		return w.err
	}
	_, w.err = w.file.WriteAt(p, w.made.Bytes)
	w.made.Bytes += int64(len(p))
	if w.err == nil && w.made.Bytes-w.synced >= syncBytes {
		w.synced = w.made.Bytes
		w.err = w.file.Sync()
	}
	if w.err != nil {
		w.err = fmt.Errorf("write a snapshot: %w", w.err)
	}
	return w.err
}

func (w *fileWriter) write(block []byte, keys int) error {
	head := blockHead{raw: uint64(len(block)), keys: uint32(keys)}
	w.space = append(w.space[:0], make([]byte, blockHeader)...)
	if w.encoder != nil {
		w.space = w.encoder.EncodeAll(block, w.space)
		head.codec = codecZstd
	}
	if w.encoder == nil || len(w.space)-blockHeader >= len(block) {
		w.space = append(w.space[:blockHeader], block...)
		head.codec = codecNone
	}
	stored := w.space[blockHeader:]
	head.stored = uint64(len(stored))
	head.put(w.space, stored)
	if err := w.append(w.space); err != nil {
		return err
	}
	if cap(w.space) > spaceKeepBytes {
		w.space = nil
	}
	w.made.Blocks++
	w.made.Keys += uint64(keys)
	return nil
}

// spaceKeepBytes is the largest buffer that is kept for the next block.
const spaceKeepBytes = 4 << 20

// end writes the end of the file and makes it durable.
func (w *fileWriter) end() error {
	p := make([]byte, blockHeader+endBytes)
	binary.LittleEndian.PutUint64(p[blockHeader:], w.made.Blocks)
	binary.LittleEndian.PutUint64(p[blockHeader+8:], w.made.Keys)
	head := blockHead{stored: endBytes, raw: endBytes, codec: codecEnd}
	head.put(p, p[blockHeader:])
	if err := w.append(p); err != nil {
		return err
	}
	err := w.file.Sync()
	if err = errors.Join(err, w.close()); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return nil
}

func (w *fileWriter) close() error {
	if w.file == nil {
		return nil
	}
	f := w.file
	w.file = nil
	if w.encoder != nil {
		_ = w.encoder.Close()
	}
	return f.Close()
}
