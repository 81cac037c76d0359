package wal

import (
	"encoding/binary"
	"fmt"
)

// Rebase makes a log begin with a record, because something else holds all that was
// before: then what is damaged there does no harm any more. Nobody else may use the log.
// Where the record is not to be found, the log begins with it all the same, empty; what
// may be left of it behind that is for Check to judge.
//
// The segment in which the record stands is written anew from there on, and only then do
// those before it go: so whenever this is interrupted, it may be done once more.
func Rebase(o Options, first uint64) error {
	o = o.withDefaults()
	if err := o.Disk.MakeDir(o.Dir); err != nil {
		return fmt.Errorf("rebase the log: %w", err)
	}
	s, err := newScan(o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.sweepSpares(); err != nil {
		return err
	}
	at := -1 // the segment in which the record should be
	for i := range s.segments {
		if s.segments[i].first <= first {
			at = i
		}
	}
	var p, rest []byte
	if at >= 0 {
		if p, err = s.load(at); err != nil {
			return err
		}
	}
	keep := (&Log{o: o}).path(segmentName(o.Shard, first))
	if at < 0 || s.segments[at].path != keep || checkSegmentStart(keep, p, o.Shard, first, o.Identity) != nil {
		if at >= 0 {
			if from := find(p, s.segments[at].first, first); from >= 0 {
				rest = p[from:]
			}
		}
		if err := s.restart(first, rest); err != nil {
			return fmt.Errorf("rebase the log: %w", err)
		}
	}
	for i := range at + 1 {
		if s.segments[i].path == keep {
			continue
		}
		if err := o.Disk.Remove(s.segments[i].path); err != nil {
			return fmt.Errorf("rebase the log: %w", err)
		}
	}
	if err := o.Disk.SyncDir(o.Dir); err != nil {
		return fmt.Errorf("rebase the log: %w", err)
	}
	return nil
}

// restart makes a segment that begins with a record, of which these are the bytes, with all
// that stands behind it.
func (s *scan) restart(first uint64, records []byte) error {
	l := &Log{o: s.o}
	fresh, err := l.reserve(max(segmentHeader+len(records), min(segmentBytesFirst, s.o.SegmentBytes)), false)
	if err != nil {
		return err
	}
	_, err = fresh.file.WriteAt(append(segmentStart(s.o.Shard, first, s.o.Identity), records...), 0)
	if err == nil {
		err = fresh.file.Sync()
	}
	if err != nil {
		l.discard(fresh)
		return err
	}
	if err := fresh.file.Close(); err != nil {
		return err
	}
	if err := s.o.Disk.Rename(fresh.path, l.path(segmentName(s.o.Shard, first))); err != nil {
		return err
	}
	return s.o.Disk.SyncDir(s.o.Dir)
}

// find is where in a segment a record stands, -1 if it does not. The segment may be damaged
// before.
func find(segment []byte, first, lsn uint64) int {
	budget := lookFactor*len(segment) + lookMin
	for at := segmentHeader; at+recordHeader <= len(segment) && budget > 0; {
		p := segment[at:]
		length, number := binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint64(p[8:])
		step := recordAlign
		if length != 0 && number >= first && number <= lsn {
			budget -= int(min(uint64(length), uint64(len(p))))
			if r, size, v := readRecord(p); v == good {
				if r.LSN == lsn {
					return at
				}
				step = size
			}
		}
		at += step
	}
	return -1
}

// IsSegment says that a file of such a name holds records of a log.
func IsSegment(name string) bool {
	_, _, ok := parseSegmentName(name)
	return ok
}
