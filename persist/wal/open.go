package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"hyperkv/persist/disk"
)

// A Recovery says what Open or Check has found.
type Recovery struct {
	Segments    int
	Records     uint64 // marks included
	Bytes       int64  // of records
	First, Last uint64 // LSNs; Last is below First when there are no records
	Durable     uint64 // what the last mark says
	// CutPath and CutOffset are where the log has ended in something that was not
	// promised to anybody; CutRecords is how many records stood behind that whole.
	// CutPath is empty if it has not.
	CutPath    string
	CutOffset  int64
	CutRecords int
	// Restored is how many of the records were only in the copies of the options.
	Restored int
}

// Check reads a log as Open does and changes nothing. If it cannot be read on at a
// place, behind is shown the whole records that are found from there on; nil if nobody
// wants them.
func Check(o Options, replay func(Record) error, behind func(Record)) (Recovery, error) {
	s, err := newScan(o.withDefaults())
	if err != nil {
		return Recovery{}, err
	}
	defer s.close()
	s.behind = behind
	if err = s.run(replay); err == nil {
		err = s.complete(replay)
	}
	return s.found, err
}

// Open reads a log, hands its records to replay in their order, and opens it for more.
// A log that is not there begins with record o.First. The end of what was not promised to
// anybody is cut off. A *DamageError says that something is missing that was; with
// repair, the log is cut there all the same.
//
// Payloads are borrowed until replay returns. An error of replay ends it.
func Open(o Options, repair bool, replay func(Record) error) (*Log, Recovery, error) {
	o = o.withDefaults()
	if err := o.Disk.MakeDir(o.Dir); err != nil {
		return nil, Recovery{}, fmt.Errorf("open the log: %w", err)
	}
	s, err := newScan(o)
	if err != nil {
		return nil, Recovery{}, err
	}
	for _, read := range []func(func(Record) error) error{s.run, s.complete} {
		err := read(replay)
		var damage *DamageError
		if errors.As(err, &damage) && repair {
			err = nil
		}
		if err != nil {
			s.close()
			return nil, s.found, err
		}
	}
	l, err := s.open()
	if err != nil {
		s.close()
		return nil, s.found, err
	}
	return l, s.found, nil
}

// A scan reads the segments of a log.
type scan struct {
	o        Options
	segments []segment
	files    []disk.File // of segments
	sizes    []int64     // of those that were loaded
	buffer   []byte
	found    Recovery
	behind   func(Record) // may be nil: see Check

	expected uint64   // LSN of the next record
	restored []Record // that were only in the copies; borrowed from those
	// end is where the log ends: in this segment, at this offset. A segment of -1 is
	// no segment at all.
	end    int
	offset int64
	cut    bool // there is something behind the end
}

func newScan(o Options) (*scan, error) {
	names, err := o.Disk.List(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	s := &scan{o: o, end: -1, expected: o.First}
	for _, name := range names {
		shard, first, ok := parseSegmentName(name)
		if !ok || shard != o.Shard {
			continue
		}
		path := (&Log{o: o}).path(name)
		f, err := o.Disk.Open(path)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("read the log: %w", err)
		}
		s.segments, s.files = append(s.segments, segment{path: path, first: first}), append(s.files, f)
	}
	if len(s.segments) > 0 {
		s.expected = s.segments[0].first
	}
	s.found.First, s.found.Last = s.expected, s.expected-1
	return s, nil
}

func (s *scan) close() {
	for _, f := range s.files {
		_ = f.Close()
	}
}

// load reads a whole segment.
func (s *scan) load(i int) ([]byte, error) {
	size, err := s.files[i].Size()
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	if int64(cap(s.buffer)) < size {
		s.buffer = make([]byte, size)
	}
	if i == len(s.sizes) {
		s.sizes = append(s.sizes, size)
	}
	p := s.buffer[:size]
	if n, err := s.files[i].ReadAt(p, 0); err != nil && (err != io.EOF || n < len(p)) {
		return nil, fmt.Errorf("read %s: %w", s.segments[i].path, err)
	}
	return p, nil
}

// run reads records until the log ends, and then finds out whether it may end there.
func (s *scan) run(replay func(Record) error) error {
	if len(s.segments) == 0 && s.o.Begun {
		return s.damaged("it is missing")
	}
	for i := range s.segments {
		p, err := s.load(i)
		if err != nil {
			return err
		}
		reason, certain := "", false
		err = checkSegmentStart(s.segments[i].path, p, s.o.Shard, s.segments[i].first, s.o.Identity)
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			reason = damage.Reason
			certain = i == 0 && s.o.Begun || !unwritten(p, segmentStart(s.o.Shard, s.segments[i].first, s.o.Identity))
		case err != nil:
			return err
		case s.segments[i].first != s.expected:
			reason = fmt.Sprintf("records %d to %d are missing before it", s.expected, s.segments[i].first-1)
		}
		if reason != "" {
			return s.ends(i, 0, p, reason, certain)
		}
		s.found.Segments++
		s.end, s.offset = i, segmentHeader
		for rest := p[segmentHeader:]; ; {
			r, size, v := readRecord(rest)
			if v == good && r.LSN != s.expected {
				v, reason = bad, fmt.Sprintf("a record with number %d", r.LSN)
			}
			if v == none && !isZero(rest) {
				v, reason = bad, "something stands behind the end"
			}
			if v == bad {
				if reason == "" {
					reason = "not a whole record"
				}
				return s.ends(i, s.offset, rest, reason, false)
			}
			if v == none {
				break
			}
			if err := s.record(r, replay); err != nil {
				return fmt.Errorf("replay record %d of %s: %w", r.LSN, s.segments[i].path, err)
			}
			s.offset += int64(size)
			rest = rest[min(size, len(rest)):]
		}
		s.segments[i].used = s.offset
	}
	return nil
}

// record takes the next record of the log.
func (s *scan) record(r Record, replay func(Record) error) error {
	if r.Kind == kindMark {
		if len(r.Payload) == 8 {
			s.found.Durable = max(s.found.Durable, binary.LittleEndian.Uint64(r.Payload))
		}
	} else if replay != nil {
		if err := replay(r); err != nil {
			return err
		}
	}
	s.found.Records++
	s.found.Bytes += int64(recordBytes(len(r.Payload)))
	s.found.Last = r.LSN
	s.expected++
	return nil
}

// complete takes those of the copies that follow on what the log holds. Whoever has kept them
// knew that all before them was durable: if it is not there, the log is damaged. So it is if it
// still ends before what the options say.
func (s *scan) complete(replay func(Record) error) error {
	err := Records(s.o.Copies, func(r Record) error {
		if r.LSN < s.expected {
			return nil
		}
		if r.LSN > s.expected {
			return s.damaged(fmt.Sprintf("records %d to %d are missing at its end, and there is a copy of record %d", s.expected, r.LSN-1, r.LSN))
		}
		if err := s.record(r, replay); err != nil {
			return fmt.Errorf("replay the copy of record %d: %w", r.LSN, err)
		}
		s.restored = append(s.restored, r)
		s.found.Restored++
		return nil
	})
	switch {
	case err == errTorn:
		return s.damaged("the copy of a record behind its end is not whole")
	case err == nil && s.expected <= s.o.Durable:
		return s.damaged(fmt.Sprintf("it ends with record %d, and record %d was durable", s.expected-1, s.o.Durable))
	}
	return err
}

// damaged is the error about a record that should stand where the log ends.
func (s *scan) damaged(reason string) error {
	d := &DamageError{Path: filepath.Join(s.o.Dir, segmentName(s.o.Shard, s.expected)), LSN: s.expected, Reason: reason}
	if s.end >= 0 {
		d.Path, d.Offset = s.segments[s.end].path, s.offset
	}
	return d
}

// lookFactor and lookMin bound the work of looking for records behind the end: bytes
// may be taken for the beginning of a record at every eighth place.
const (
	lookFactor = 16
	lookMin    = 1 << 20
)

// ends decides what it means that the log cannot be read on at a place. What is left
// of the segment there is given. certain says that no loss of power does such a thing.
func (s *scan) ends(i int, at int64, rest []byte, reason string, certain bool) error {
	s.cut = true
	s.found.CutPath, s.found.CutOffset = s.segments[i].path, at
	promised := s.found.Durable
	// Records behind the end have greater numbers, but not greater than fits there.
	behind := int64(len(rest))
	for _, f := range s.files[i+1:] {
		size, err := f.Size()
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		behind += size
	}
	lsnMax := s.expected + uint64(behind)/recordHeader
	budget := lookFactor*behind + lookMin
	look := func(p []byte) {
		for ; len(p) >= recordHeader && budget > 0; p = p[recordAlign:] {
			length, lsn := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint64(p[8:])
			if length == 0 || lsn < s.expected || lsn > lsnMax {
				continue
			}
			r, _, v := readRecord(p)
			if budget -= int64(min(uint64(length), uint64(len(p)))); v != good {
				continue
			}
			s.found.CutRecords++
			if s.behind != nil {
				s.behind(r)
			}
			if r.Kind == kindMark && len(r.Payload) == 8 {
				promised = max(promised, binary.LittleEndian.Uint64(r.Payload))
			}
		}
	}
	look(rest)
	for later := i + 1; later < len(s.segments); later++ {
		p, err := s.load(later)
		if err != nil {
			return err
		}
		look(p)
	}
	if budget <= 0 {
		promised, reason = math.MaxUint64, reason+", and too much behind it looks like records"
	}
	if certain || promised >= s.expected {
		return &DamageError{Path: s.segments[i].path, Offset: at, LSN: s.expected, Lost: s.found.CutRecords, Reason: reason}
	}
	return nil
}

// open makes a Log of what was read. Whatever is there is durable afterwards.
func (s *scan) open() (*Log, error) {
	next := s.expected - uint64(len(s.restored)) // of what the segments hold
	l := &Log{o: s.o, next: next, marked: s.found.Durable, length: min(segmentBytesFirst, s.o.SegmentBytes)}
	l.o.Copies = nil
	if err := s.sweep(); err != nil {
		return nil, err
	}
	for i := range s.end + 1 {
		if i == s.end && s.cut {
			if err := s.zeroTail(); err != nil {
				return nil, err
			}
		}
		// What a process has written before it was killed is durable only now.
		if err := s.files[i].Sync(); err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
	}
	if s.end < 0 { // from here on it counts as begun: see Options
		if err := l.begin(next, l.length); err != nil {
			return nil, err
		}
		if err := l.file.Sync(); err != nil {
			l.Abandon()
			return nil, fmt.Errorf("open the log: %w", err)
		}
		l.unlisted = false
	}
	if err := s.o.Disk.SyncDir(s.o.Dir); err != nil {
		l.Abandon()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if s.end >= 0 {
		for i, f := range s.files[:s.end] {
			_ = f.Close()
			s.files[i] = nil
		}
		l.segments = s.segments[:s.end+1]
		l.file, l.offset = s.files[s.end], s.offset
		l.length = min(max(l.length, int(s.sizes[s.end])), s.o.SegmentBytes)
	}
	l.position = int(l.offset)
	l.appended.Store(l.next - 1)
	l.written.Store(l.next - 1)
	l.durable.Store(l.next - 1)
	for _, r := range s.restored {
		l.append(r.Kind, r.Group, r.Payload)
	}
	if err := l.Sync(); err != nil {
		l.Abandon()
		return nil, err
	}
	return l, nil
}

// sweep removes what does not belong to the log: spare segments, and those behind its end.
func (s *scan) sweep() error {
	if err := s.sweepSpares(); err != nil {
		return err
	}
	for i := len(s.segments) - 1; i > s.end; i-- {
		_ = s.files[i].Close()
		if err := s.o.Disk.Remove(s.segments[i].path); err != nil {
			return fmt.Errorf("open the log: %w", err)
		}
	}
	return nil
}

// sweepSpares removes segments that were reserved and never used.
func (s *scan) sweepSpares() error {
	names, err := s.o.Disk.List(s.o.Dir)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	for _, name := range names {
		if isSpare(name, s.o.Shard) {
			if err := s.o.Disk.Remove((&Log{o: s.o}).path(name)); err != nil {
				return fmt.Errorf("open the log: %w", err)
			}
		}
	}
	return nil
}

// zeroTail makes everything behind the end zero, so that no remains of records are
// taken for records later.
func (s *scan) zeroTail() error {
	f := s.files[s.end]
	size, err := f.Size()
	if err == nil {
		err = f.Truncate(s.offset)
	}
	if err == nil {
		err = f.Reserve(size)
	}
	if err != nil {
		return fmt.Errorf("cut the end off the log: %w", err)
	}
	return nil
}
