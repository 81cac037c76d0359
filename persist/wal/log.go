package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"hyperkv/internal/invariant"
	"hyperkv/persist/disk"
)

// Options say which log to open.
type Options struct {
	Disk     disk.Disk
	Dir      string
	Shard    int
	Identity uint64 // of the data directory: files of others are refused
	// SegmentBytes is how long a segment becomes; default 64 MiB. The first ones that a
	// process begins are shorter, so that little data takes little room; a single record
	// may make one longer.
	SegmentBytes int
	// First is the LSN that a log which is not there begins with; default 1.
	First uint64
	// Begun says that the log was opened before: so its first segment is durable, and damaged
	// if it is not there or has no header.
	Begun bool
	// Durable is a record up to which the log is known to have been durable, 0 if none is: it is
	// damaged if it ends before.
	Durable uint64
	// Copies are records of this log that something else has kept as well, in their order,
	// as WriteCopy returns them. Those that follow on what the log holds belong to it: they
	// are replayed, and Open adds them.
	Copies []byte
}

const (
	segmentBytesDefault = 64 << 20
	segmentBytesMin     = 4 << 10
	// segmentBytesFirst is how long the first segment of a process is; each one after
	// it is twice as long.
	segmentBytesFirst = 4 << 20
)

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = segmentBytesDefault
	}
	o.SegmentBytes = max(o.SegmentBytes, segmentBytesMin)
	o.First = max(o.First, 1)
	return o
}

// A Log is the log of one shard.
//
// Append belongs to one goroutine at a time, the holder of the shard's turn. All
// other methods are safe for concurrent use.
type Log struct {
	o Options

	mu       sync.Mutex // guards what follows
	buffer   []byte     // records that were appended and not yet taken by Write
	cuts     []cut      // where in it segments begin
	next     uint64     // LSN of the next record
	position int        // where in its segment the next record will be
	length   int        // of that segment
	marked   uint64     // what the last mark says

	appended atomic.Uint64 // LSN of the last record
	written  atomic.Uint64 // LSN of the last record in the kernel's hands
	durable  atomic.Uint64 // LSN of the last record on the medium

	writing sync.Mutex // held by who writes; guards what follows
	batch   batch
	file    disk.File // of the segment in use
	offset  int64     // where in it the next byte goes
	ready   *spare    // or nil
	// segments are the files of the log, in order; the last is in use.
	segments []segment
	waiting  []disk.File // of segments that are full and not synced
	unlisted bool        // some segment's name is not durable

	syncing sync.Mutex // held by who syncs; guards broken
	broken  error

	spares atomic.Uint64 // how many spare segments were made
}

// cut says that a segment begins before the byte at a place of a buffer.
type cut struct {
	at     int
	first  uint64
	length int
}

// segment is a file of the log.
type segment struct {
	path  string
	first uint64
	used  int64 // bytes up to the end of its last record; of that in use: see Log.offset
}

// spare is a segment that is reserved and not yet in use.
type spare struct {
	file disk.File
	path string
}

// batch is what a Write has taken from the buffer.
type batch struct {
	bytes []byte
	cuts  []cut
	done  int    // how much of it was written
	last  uint64 // LSN of its last record
}

// ErrBroken is wrapped by what Sync returns once it has failed: what the kernel had
// taken over may be lost, and asking again would be answered with success. Nothing
// that this Log has not called durable may be relied on any more.
var ErrBroken = errors.New("a sync of the log has failed")

// Appended is the LSN of the record that was appended last.
func (l *Log) Appended() uint64 { return l.appended.Load() }

// Written is the LSN up to which the log survives the end of the process.
func (l *Log) Written() uint64 { return l.written.Load() }

// Durable is the LSN up to which the log survives a loss of power.
func (l *Log) Durable() uint64 { return l.durable.Load() }

// Append adds a record and returns its LSN. It only copies: see Write and Sync. The
// payload, which is the parts in their order, has at least one byte.
func (l *Log) Append(kind Kind, group uint16, parts ...[]byte) (lsn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.markNews()
	return l.append(kind, group, parts...)
}

// Next is the LSN that AppendNext will give to the next record.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.markNews()
	return l.next
}

// AppendNext is Append for a record whose LSN is known from Next, which was called
// right before.
func (l *Log) AppendNext(kind Kind, group uint16, parts ...[]byte) (lsn uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(kind, group, parts...)
}

func (l *Log) append(kind Kind, group uint16, parts ...[]byte) (lsn uint64) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	invariant.Assert(size > 0 && size <= PayloadMax, "a record of the log without a payload, or with too long a one")
	if l.position+recordBytes(size) > l.length && l.position > segmentHeader {
		l.length = min(2*l.length, l.o.SegmentBytes)
		l.cuts = append(l.cuts, cut{len(l.buffer), l.next, l.length})
		l.position = segmentHeader
	}
	lsn = l.next
	l.next++
	from := len(l.buffer)
	l.buffer = appendHeader(l.buffer, lsn, kind, group)
	for _, p := range parts {
		l.buffer = append(l.buffer, p...)
	}
	l.buffer = finish(l.buffer, from)
	l.position += len(l.buffer) - from
	l.appended.Store(lsn)
	return lsn
}

// markNews records up to where the log is durable, unless it says so already.
func (l *Log) markNews() {
	if durable := l.durable.Load(); durable > l.marked {
		l.mark(durable)
	}
}

// mark records up to where the log is durable.
func (l *Log) mark(durable uint64) {
	var payload [8]byte
	binary.LittleEndian.PutUint64(payload[:], durable)
	l.marked = durable
	l.append(kindMark, 0, payload[:])
}

// Write hands everything that was appended before it to the kernel. After an error,
// such as a full disk, nothing is lost: the next Write goes on where this one has
// stopped.
func (l *Log) Write() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	for {
		if err := l.writeBatch(); err != nil {
			return err
		}
		if !l.take() {
			return nil
		}
	}
}

// WriteCopy is Write for somebody who keeps what is written elsewhere, too: it appends the
// records from first to last to dst, as they stand in the log. It copies nothing, and first
// is 0, if there is nothing new, or more than most bytes of it.
func (l *Log) WriteCopy(dst []byte, most int) (copied []byte, first, last uint64, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.writeBatch(); err != nil {
		return dst, 0, 0, err
	}
	before := l.written.Load()
	if !l.take() {
		return dst, 0, 0, nil
	}
	if len(l.batch.bytes) <= most {
		dst, first, last = append(dst, l.batch.bytes...), before+1, l.batch.last
	}
	return dst, first, last, l.writeBatch()
}

// take makes what was appended the batch, which is written, and says whether there is any.
func (l *Log) take() bool {
	b := &l.batch
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buffer) == 0 {
		return false
	}
	l.buffer, b.bytes = b.bytes[:0], l.buffer
	l.cuts, b.cuts = b.cuts[:0], l.cuts
	b.done, b.last = 0, l.next-1
	return true
}

// bufferKeepBytes is the largest buffer that is kept for its next use.
const bufferKeepBytes = 4 << 20

// writeBatch writes what is left of the batch.
func (l *Log) writeBatch() error {
	b := &l.batch
	for b.done < len(b.bytes) {
		end := len(b.bytes)
		if len(b.cuts) > 0 {
			if b.cuts[0].at == b.done {
				if err := l.begin(b.cuts[0].first, b.cuts[0].length); err != nil {
					return err
				}
				b.cuts = b.cuts[1:]
				continue
			}
			end = b.cuts[0].at
		}
		n, err := l.file.WriteAt(b.bytes[b.done:end], l.offset)
		b.done += n
		l.offset += int64(n)
		if err != nil {
			return fmt.Errorf("write to the log: %w", err)
		}
	}
	if len(b.bytes) > 0 {
		l.written.Store(b.last)
	}
	b.cuts = nil
	if b.bytes = b.bytes[:0]; cap(b.bytes) > bufferKeepBytes {
		b.bytes = nil
	}
	b.done = 0
	return nil
}

// begin makes the segment that begins with a record the one in use.
func (l *Log) begin(first uint64, length int) (err error) {
	if l.ready == nil {
		if l.ready, err = l.reserve(length, false); err != nil {
			return err
		}
	}
	path := l.path(segmentName(l.o.Shard, first))
	_, err = l.ready.file.WriteAt(segmentStart(l.o.Shard, first, l.o.Identity), 0)
	if err == nil {
		err = l.o.Disk.Rename(l.ready.path, path)
	}
	if err != nil {
		return fmt.Errorf("begin a segment of the log: %w", err)
	}
	if l.file != nil {
		l.waiting = append(l.waiting, l.file)
		l.segments[len(l.segments)-1].used = l.offset
	}
	l.file, l.offset, l.unlisted = l.ready.file, segmentHeader, true
	l.ready = nil
	l.segments = append(l.segments, segment{path: path, first: first})
	return nil
}

func (l *Log) path(name string) string { return filepath.Join(l.o.Dir, name) }

// reserve makes a spare segment. Its bytes are zero; when they were also written, a
// later sync has less to do.
func (l *Log) reserve(length int, write bool) (*spare, error) {
	s := &spare{path: l.path(spareName(l.o.Shard, l.spares.Add(1)))}
	var err error
	if s.file, err = l.o.Disk.Create(s.path); err != nil {
		return nil, fmt.Errorf("reserve a segment of the log: %w", err)
	}
	err = s.file.Reserve(int64(length))
	if write {
		zeros := make([]byte, min(length, 1<<20))
		for at := 0; at < length && err == nil; at += len(zeros) {
			// Piece by piece: the syncs that replies wait for stand behind each.
			if _, err = s.file.WriteAt(zeros[:min(len(zeros), length-at)], int64(at)); err == nil {
				err = s.file.Sync()
			}
		}
	}
	if err != nil {
		l.discard(s)
		return nil, fmt.Errorf("reserve a segment of the log: %w", err)
	}
	return s, nil
}

func (l *Log) discard(s *spare) {
	if s != nil {
		_ = s.file.Close()
		_ = l.o.Disk.Remove(s.path)
	}
}

// Prepare makes sure that the next segment can be begun without waiting for the
// disk, which takes a while. It is called now and then by who has time.
func (l *Log) Prepare() error {
	l.writing.Lock()
	has := l.ready != nil
	l.writing.Unlock()
	if has {
		return nil
	}
	l.mu.Lock()
	length := min(2*l.length, l.o.SegmentBytes)
	l.mu.Unlock()
	s, err := l.reserve(length, true)
	if err != nil {
		return err
	}
	l.writing.Lock()
	if l.ready == nil && l.file != nil {
		l.ready, s = s, nil
	}
	l.writing.Unlock()
	l.discard(s)
	return nil
}

// Sync writes what was appended before it, and returns when that survives a loss of
// power. After ErrBroken there is no other attempt.
func (l *Log) Sync() error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if err := l.Write(); err != nil {
		return err
	}
	l.writing.Lock()
	target, current, unlisted := l.written.Load(), l.file, l.unlisted
	waiting := slices.Clone(l.waiting)
	if target == l.durable.Load() || current == nil {
		l.writing.Unlock()
		return nil
	}
	l.unlisted = false
	l.writing.Unlock()
	for _, f := range append(waiting, current) {
		if err := f.Sync(); err != nil {
			return l.breakDown(err)
		}
	}
	if unlisted {
		if err := l.o.Disk.SyncDir(l.o.Dir); err != nil {
			return l.breakDown(err)
		}
	}
	l.durable.Store(target)
	l.writing.Lock()
	l.waiting = l.waiting[len(waiting):]
	l.writing.Unlock()
	for _, f := range waiting {
		_ = f.Close() // it is durable
	}
	return nil
}

func (l *Log) breakDown(err error) error {
	l.broken = fmt.Errorf("%w: %w", ErrBroken, err)
	return l.broken
}

// DropBefore deletes the segments that hold only records below lsn, because
// something else holds what they say. The first that stays is durable: see Options.Begun.
func (l *Log) DropBefore(lsn uint64) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	for len(l.segments) > 1 && l.segments[1].first <= min(lsn, l.durable.Load()) {
		if err := l.o.Disk.Remove(l.segments[0].path); err != nil {
			return fmt.Errorf("drop a segment of the log: %w", err)
		}
		l.segments = l.segments[1:]
	}
	return nil
}

// Bytes is how much has been written to the segments that there are, without the room that
// they have to spare.
func (l *Log) Bytes() int64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	n := l.offset
	for _, s := range l.segments[:len(l.segments)-1] {
		n += s.used
	}
	return n
}

// FirstLSN is that of the first record that is still there, or of the next one.
func (l *Log) FirstLSN() uint64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.segments[0].first
}

// Close makes everything durable, says so in the log, and closes it.
func (l *Log) Close() error {
	err := l.Sync()
	if err == nil {
		l.mu.Lock()
		l.mark(l.durable.Load())
		l.mu.Unlock()
		err = l.Sync()
	}
	l.Abandon()
	return err
}

// Abandon closes the log as it is: what was not written is lost.
func (l *Log) Abandon() {
	l.writing.Lock()
	defer l.writing.Unlock()
	for _, f := range append(l.waiting, l.file) {
		if f != nil {
			_ = f.Close()
		}
	}
	l.discard(l.ready)
	l.waiting, l.file, l.ready = nil, nil, nil
}
