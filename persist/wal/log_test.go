package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hyperkv/persist/disk"
	"hyperkv/persist/disk/frail"
)

const testIdentity = 0x1234

func options(d disk.Disk) Options {
	return Options{Disk: d, Dir: "log", Shard: 3, Identity: testIdentity, SegmentBytes: segmentBytesMin}
}

// payloadOf is what a test writes as the record with a number: it can be told apart
// from that of every other number.
func payloadOf(lsn uint64) []byte {
	r := rand.New(rand.NewPCG(lsn, 7))
	p := make([]byte, 8+r.IntN(r.IntN(700)+1))
	binary.LittleEndian.PutUint64(p, lsn)
	for i := 8; i < len(p); i++ {
		p[i] = byte(r.Uint32())
	}
	return p
}

// reader collects what a log replays and checks that it is what payloadOf says.
type reader struct {
	lsns []uint64
	err  error
}

func (r *reader) replay(rec Record) error {
	r.lsns = append(r.lsns, rec.LSN)
	if !bytes.Equal(rec.Payload, payloadOf(rec.LSN)) || rec.Kind != KindFirst || rec.Group != uint16(rec.LSN) {
		r.err = fmt.Errorf("record %d reads as %+v", rec.LSN, rec)
	}
	return nil
}

func add(l *Log) (lsn uint64) {
	// Append may put a mark before it, so the number is known only afterwards.
	l.mu.Lock()
	next := l.next
	if l.durable.Load() > l.marked {
		next++
	}
	l.mu.Unlock()
	p := payloadOf(next)
	return l.Append(KindFirst, uint16(next), p[:len(p)/2], p[len(p)/2:])
}

func open(t testing.TB, o Options) (*Log, Recovery, *reader) {
	t.Helper()
	var r reader
	l, found, err := Open(o, false, r.replay)
	if err != nil {
		t.Fatal(err)
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return l, found, &r
}

// Whatever happens, what comes back is a beginning of what was appended, and has
// at least what was durable; after the end of the process alone, what was written.
func TestPowerLoss(t *testing.T) {
	seeds := 3000
	if testing.Short() {
		seeds = 300
	}
	cuts := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := frail.New()
		var last uint64 // number of the last record that is known to be there
		for life := range 4 {
			o := options(d)
			o.Begun = life > 0
			l, found, read := open(t, o)
			if got := found.Last; got < last {
				t.Fatalf("seed %d, life %d: it ends with record %d, and %d was promised", seed, life, got, last)
			}
			for i, lsn := range read.lsns {
				if i > 0 && lsn <= read.lsns[i-1] {
					t.Fatalf("seed %d: record %d after %d", seed, lsn, read.lsns[i-1])
				}
			}
			if found.CutPath != "" {
				cuts++
			}
			for range r.IntN(60) {
				switch r.IntN(12) {
				case 0:
					if err := l.Sync(); err != nil {
						t.Fatal(err)
					}
				case 1, 2:
					if err := l.Write(); err != nil {
						t.Fatal(err)
					}
				case 3:
					if err := l.Prepare(); err != nil {
						t.Fatal(err)
					}
				case 4:
					before := l.Durable() / 2
					if r.IntN(2) == 0 {
						before = l.Appended() + 1
					}
					if err := l.DropBefore(before); err != nil {
						t.Fatal(err)
					}
				default:
					add(l)
				}
			}
			switch r.IntN(4) {
			case 0: // the process ends by itself
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				last = l.Durable()
			case 1: // it is killed
				last = l.Written()
			default: // the machine loses power
				last = l.Durable()
				d.Crash(r)
			}
		}
		o := options(d)
		o.Begun = true
		_, found, _ := open(t, o)
		if found.Last < last {
			t.Fatalf("seed %d: it ends with record %d, and %d was promised", seed, found.Last, last)
		}
	}
	if cuts < seeds/20 {
		t.Errorf("%d of %d logs had a torn end", cuts, seeds)
	}
}

// A bit that has changed is noticed: by refusing to open, or, behind the last mark, by
// ending there. It is never replayed, and nothing behind it is.
func TestFlippedBits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	refused, shortened := 0, 0
	for range 2000 {
		d := frail.New()
		l, _, _ := open(t, options(d))
		for i := range 40 {
			add(l)
			if i%8 == 7 {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		whole := l.Appended()
		s := l.segments[r.IntN(len(l.segments))]
		f, _ := d.Open(s.path)
		size, _ := f.Size()
		d.Flip(s.path, r.Int64N(size), uint(r.IntN(8)))
		var read reader
		reopened, found, err := Open(options(d), false, read.replay)
		if read.err != nil {
			t.Fatal(read.err)
		}
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			refused++
			if damage.Path != s.path && damage.LSN == 0 {
				t.Fatalf("%v, and it is %s", err, s.path)
			}
			// The repair cuts it there, and then it is whole.
			l, cut, err := Open(options(d), true, nil)
			if err != nil || cut.Last >= whole {
				t.Fatalf("repaired: %+v, %v", cut, err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, again, _ := open(t, options(d)); again.CutPath != "" {
				t.Fatalf("after the repair: %+v", again)
			}
		case err != nil: // the version, or the identity
			refused++
		case found.Last < whole:
			shortened++
		case found.CutPath == "":
			// It was in what nobody reads: the zeros behind a record or the header's.
		}
		if err == nil {
			_ = reopened.Close()
		}
	}
	if refused < 1000 || shortened > 400 {
		t.Errorf("%d refused, %d shortened", refused, shortened)
	}
}

// A log that was cut at any byte of its last records, and was not promised there,
// opens without them and goes on.
func TestEveryCut(t *testing.T) {
	whole := frail.New()
	o := options(whole)
	l, _, _ := open(t, o)
	for range 5 {
		add(l)
	}
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
	end := l.offset
	for at := int64(0); at <= end; at++ {
		for _, zeroed := range []bool{false, true} {
			d := frail.New()
			f, _ := d.Create(l.segments[0].path)
			content := make([]byte, end)
			from, _ := whole.Open(l.segments[0].path)
			if _, err := from.ReadAt(content, 0); err != nil {
				t.Fatal(err)
			}
			if zeroed {
				clear(content[at:])
			} else {
				content = content[:at]
			}
			if _, err := f.WriteAt(content, 0); err != nil {
				t.Fatal(err)
			}
			o.Disk = d
			short, found, read := open(t, o)
			// What was found is durable now, which a mark says before the next record.
			lsn := add(short)
			if lsn != found.Last+1 && lsn != found.Last+2 {
				t.Fatalf("cut at %d: record %d after %d", at, lsn, found.Last)
			}
			if err := short.Close(); err != nil {
				t.Fatal(err)
			}
			_, again, reread := open(t, o)
			if again.CutPath != "" || len(reread.lsns) != len(read.lsns)+1 {
				t.Fatalf("cut at %d, and opened again: %+v, %v and %v", at, again, read.lsns, reread.lsns)
			}
		}
	}
}

// A disk that is full costs nothing but time.
func TestFullDisk(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	d := frail.New()
	full := false
	d.Fault = func(op, name string) error {
		if full && (op == "write" || op == "reserve" || op == "create" || op == "rename") && r.IntN(3) == 0 {
			return syscall.ENOSPC
		}
		return nil
	}
	l, _, _ := open(t, options(d))
	refused := 0
	var lsn uint64
	for i := range 3000 {
		full = i%100 < 50
		lsn = add(l)
		if err := l.Write(); err != nil {
			if refused++; !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if l.Written() >= lsn {
				t.Fatalf("record %d counts as written: %v", lsn, err)
			}
		} else if l.Written() != lsn {
			t.Fatalf("written %d, want %d", l.Written(), lsn)
		}
		if i%10 == 0 {
			_ = l.Prepare()
		}
	}
	full = false
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, found, read := open(t, options(d))
	if refused < 100 || found.Last < lsn || len(read.lsns) != 3000 {
		t.Errorf("%d refused; %+v, want the last of %d", refused, found, lsn)
	}
}

// After a sync that failed nothing more is promised, also if the next one would succeed.
func TestFailedSync(t *testing.T) {
	for _, op := range []string{"sync", "syncdir"} {
		d := frail.New()
		l, _, _ := open(t, options(d))
		add(l)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		durable := l.Durable()
		for range 40 {
			add(l)
		}
		d.Fault = func(what, name string) error {
			if what == op {
				return syscall.EIO
			}
			return nil
		}
		if err := l.Sync(); !errors.Is(err, ErrBroken) || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: %v", op, err)
		}
		d.Fault = nil
		if err := l.Sync(); !errors.Is(err, ErrBroken) || l.Durable() != durable {
			t.Errorf("%s has failed: %v, durable %d, want %d", op, err, l.Durable(), durable)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	d := frail.New()
	l, _, _ := open(t, options(d))
	add(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := l.segments[0].path
	f := func(name string, change func(o *Options), want string) {
		t.Helper()
		o := options(d)
		change(&o)
		if _, _, err := Open(o, false, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	f("another directory's", func(o *Options) { o.Identity++ },
		"wal-0003-00000000000000000001.log belongs to another data directory: it has identity 0000000000001234, and this one has 0000000000001235")
	header := segmentStart(3, 1, testIdentity)
	binary.LittleEndian.PutUint32(header[8:], 2)
	sealHeader(header)
	file, _ := d.Open(path)
	if _, err := file.WriteAt(header, 0); err != nil {
		t.Fatal(err)
	}
	f("newer", func(o *Options) {}, "wal-0003-00000000000000000001.log has version 2 of the log's format, and this HyperKV knows versions up to 1: "+
		"start the newer HyperKV that wrote it")
	// A missing segment in the middle of what was promised is damage.
	d = frail.New()
	l, _, _ = open(t, options(d))
	for range 100 {
		add(l)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(l.segments[1].path); err != nil {
		t.Fatal(err)
	}
	var damage *DamageError
	if _, _, err := Open(options(d), false, nil); !errors.As(err, &damage) || damage.Path != l.segments[2].path {
		t.Errorf("without its second segment: %v", err)
	}
	if found, err := Check(options(d), nil, nil); !errors.As(err, &damage) || found.Segments != 1 {
		t.Errorf("checked: %+v, %v", found, err)
	}
}

// A log that was begun has a beginning: whatever becomes of that is damage, and not how a
// loss of power leaves a log that nobody was promised anything of.
func TestBegun(t *testing.T) {
	for name, change := range map[string]func(f disk.File) error{
		"missing":        nil,
		"empty":          func(f disk.File) error { return f.Truncate(0) },
		"cut":            func(f disk.File) error { return f.Truncate(segmentHeader - 1) },
		"zero":           func(f disk.File) error { _, err := f.WriteAt(make([]byte, segmentHeader), 0); return err },
		"something else": func(f disk.File) error { _, err := f.WriteAt([]byte("something else"), 0); return err },
	} {
		d := frail.New()
		l, _, _ := open(t, options(d))
		path := l.segments[0].path
		d.Crash(rand.New(rand.NewPCG(1, 1))) // its beginning is durable although nothing was synced
		o := options(d)
		o.Begun = true
		l, _, _ = open(t, o)
		add(l)
		if err := l.Write(); err != nil {
			t.Fatal(err)
		}
		l.Abandon()
		if change == nil {
			if err := d.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			f, err := d.Open(path)
			if err == nil {
				err = change(f)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var damage *DamageError
		if _, _, err := Open(o, false, nil); !errors.As(err, &damage) || damage.Path != path {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Check(o, nil, nil); !errors.As(err, &damage) || damage.Path != path {
			t.Errorf("%s, checked: %v", name, err)
		}
		l, _, err := Open(o, true, nil)
		if err != nil {
			t.Fatalf("%s, repaired: %v", name, err)
		}
		l.Abandon()
		open(t, o)
	}
}

// A later segment may have no header yet when power is lost. But it never has another one.
func TestHeaderOfLaterSegment(t *testing.T) {
	for _, zero := range []bool{true, false} {
		d := frail.New()
		l, _, _ := open(t, options(d))
		for len(l.segments) < 2 {
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			add(l)
			if err := l.Write(); err != nil {
				t.Fatal(err)
			}
		}
		path := l.segments[1].path
		l.Abandon()
		f, err := d.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		size, _ := f.Size()
		junk := make([]byte, size)
		if !zero {
			copy(junk[segmentHeader-8:], "otherwise")
		}
		if _, err := f.WriteAt(junk, 0); err != nil {
			t.Fatal(err)
		}
		var damage *DamageError
		if _, _, err := Open(options(d), false, nil); zero && err != nil || !zero && (!errors.As(err, &damage) || damage.Path != path) {
			t.Errorf("zero %v: %v", zero, err)
		}
	}
}

// One appends, many wait for a sync: each finds its records durable, on a real disk.
func TestGroupCommit(t *testing.T) {
	o := Options{Disk: disk.OS{}, Dir: t.TempDir(), Identity: testIdentity, SegmentBytes: 32 << 10}
	l, _, err := Open(o, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 200
	var turn sync.Mutex
	var wg sync.WaitGroup
	for range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				turn.Lock()
				lsn := l.Append(KindFirst, 0, []byte("some payload"))
				turn.Unlock()
				if i%3 == 0 {
					if err := l.Write(); err != nil || l.Written() < lsn {
						t.Errorf("record %d: written %d, %v", lsn, l.Written(), err)
					}
					continue
				}
				if err := l.Sync(); err != nil || l.Durable() < lsn {
					t.Errorf("record %d: durable %d, %v", lsn, l.Durable(), err)
				}
				if i%16 == 0 {
					if err := l.Prepare(); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	records := 0
	_, found, err := Open(o, false, func(Record) error { records++; return nil })
	if err != nil || records != writers*each || found.Segments < 2 || found.Durable != found.Last-1 {
		t.Errorf("%d records, %+v, %v", records, found, err)
	}
	if names, _ := filepath.Glob(filepath.Join(o.Dir, "*.tmp")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// A record that is longer than a segment has one to itself.
func TestLongRecord(t *testing.T) {
	d := frail.New()
	l, _, _ := open(t, options(d))
	long := bytes.Repeat([]byte("long"), 10_000)
	l.Append(KindFirst, 1, []byte("before"))
	l.Append(KindFirst, 2, long)
	l.Append(KindFirst, 3, []byte("behind"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var lengths []int
	_, found, err := Open(options(d), false, func(r Record) error {
		lengths = append(lengths, len(r.Payload))
		return nil
	})
	if err != nil || found.Segments < 3 || fmt.Sprint(lengths) != "[6 40000 6]" {
		t.Errorf("%v, %+v, %v", lengths, found, err)
	}
}

// No file makes Open panic, or take long, or replay what was not written.
func FuzzOpen(f *testing.F) {
	d := frail.New()
	l, _, _ := open(f, options(d))
	for range 12 {
		add(l)
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	file, _ := d.Open(l.segments[0].path)
	content := make([]byte, l.offset)
	if _, err := file.ReadAt(content, 0); err != nil {
		f.Fatal(err)
	}
	f.Add(content, uint16(100), byte(1))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, content []byte, at uint16, with byte) {
		if len(content) > 0 {
			content[int(at)%len(content)] ^= with
		}
		d := frail.New()
		o := options(d)
		file, _ := d.Create(filepath.Join(o.Dir, segmentName(o.Shard, 1)))
		if _, err := file.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		l, found, err := Open(o, true, func(Record) error { return nil })
		if err != nil {
			return
		}
		l.Append(KindFirst, 0, []byte("x"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, again, err := Open(o, false, nil); err != nil || again.CutPath != "" || again.Last < found.Last+1 {
			t.Fatalf("opened: %+v; opened again: %+v, %v", found, again, err)
		}
	})
}

// BenchmarkAppend is what a command pays for its record, written in batches of 64.
func BenchmarkAppend(b *testing.B) {
	l, _, err := Open(Options{Disk: disk.OS{}, Dir: b.TempDir()}, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	payload := bytes.Repeat([]byte("x"), 64)
	b.SetBytes(int64(recordBytes(len(payload))))
	for i := range b.N {
		l.Append(KindFirst, 0, payload)
		if i%64 == 63 {
			if err := l.Write(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// What a log has lost at its end, and something else has kept, is there again, and stays;
// a hole before the copies is damage.
func TestCopies(t *testing.T) {
	d := frail.New()
	o := Options{Disk: d, Dir: "wal", SegmentBytes: 4096, Identity: 7}
	l, _, err := Open(o, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload := func(lsn uint64) string { return strings.Repeat("p", int(lsn*37%400+1)) }
	put := func(n int) {
		for range n {
			l.Append(KindFirst, uint16(l.Next()), []byte(payload(l.Next())))
		}
	}
	put(20)
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	put(2)
	if copied, first, _, err := l.WriteCopy(nil, 100); err != nil || first != 0 || len(copied) != 0 {
		t.Errorf("%d bytes from record %d on, %v", len(copied), first, err)
	}
	put(30)
	kept := l.Next() // of the mark that comes first
	put(30)
	copied, first, last, err := l.WriteCopy([]byte{}, 1<<20)
	if err != nil || last != l.Appended() || first >= kept {
		t.Fatalf("records %d to %d, %v", first, last, err)
	}
	if more, first, _, err := l.WriteCopy(copied, 1<<20); err != nil || first != 0 || len(more) != len(copied) {
		t.Errorf("without anything new %d bytes more, from record %d on, %v", len(more)-len(copied), first, err)
	}
	l.Abandon()

	read := func(o Options, open bool) (numbers []uint64, found Recovery, err error) {
		replay := func(r Record) error {
			if string(r.Payload) != payload(r.LSN) || r.Group != uint16(r.LSN) {
				t.Errorf("record %d reads as %+v", r.LSN, r)
			}
			numbers = append(numbers, r.LSN)
			return nil
		}
		if !open {
			found, err = Check(o, replay, nil)
			return numbers, found, err
		}
		l, found, err := Open(o, false, replay)
		if err == nil {
			l.Abandon()
		}
		return numbers, found, err
	}
	whole, _, err := read(o, false)
	if err != nil {
		t.Fatal(err)
	}
	// Of the segments only the first is left: all of it was synced, but the copies begin later.
	names, _ := d.List("wal")
	for _, name := range names[1:] {
		if err := d.Remove("wal/" + name); err != nil {
			t.Fatal(err)
		}
	}
	o.Copies = copied
	var damage *DamageError
	if _, _, err := read(o, false); !errors.As(err, &damage) {
		t.Errorf("a hole before the copies: %v", err)
	}
	if _, _, err := read(o, true); !errors.As(err, &damage) {
		t.Errorf("a hole before the copies, opening it: %v", err)
	}
	// A log of which nothing is left begins where the copies do.
	for _, name := range names[:1] {
		if err := d.Remove("wal/" + name); err != nil {
			t.Fatal(err)
		}
	}
	o.First = first
	for i, open := range []bool{false, true, true} {
		numbers, found, err := read(o, open)
		if err != nil || !slices.Equal(numbers, whole[len(whole)-len(numbers):]) || numbers[0] > kept || found.Last != last {
			t.Fatalf("%d: %d, %+v, %v", i, numbers, found, err)
		}
		if restored := found.Restored > 0; restored != (i < 2) {
			t.Errorf("%d: %d records were restored", i, found.Restored)
		}
	}
	o.Copies = copied[:len(copied)-8]
	o.Dir = "other"
	if _, _, err := read(o, true); err == nil {
		t.Error("a torn copy was taken for a whole one")
	}
}

// Bytes is what was written, to the byte, whatever was reserved, before and after a start.
func TestBytes(t *testing.T) {
	d := frail.New()
	o := options(d)
	l, _, err := Open(o, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := int64(segmentHeader)
	for n := range 100 {
		payload := make([]byte, 1+n*7%200)
		l.Append(KindFirst, 0, payload)
		if err := l.Write(); err != nil {
			t.Fatal(err)
		}
		want += int64(recordBytes(len(payload)))
	}
	want += int64(len(l.segments)-1) * segmentHeader
	if len(l.segments) < 3 || l.Bytes() != want {
		t.Errorf("%d bytes in %d segments, want %d", l.Bytes(), len(l.segments), want)
	}
	second := l.segments[1].first
	l.Abandon()
	if l, _, err = Open(o, false, nil); err != nil {
		t.Fatal(err)
	}
	if l.Bytes() != want {
		t.Errorf("%d bytes after a start, want %d", l.Bytes(), want)
	}
	first := l.segments[0].used
	if err := l.DropBefore(second); err != nil {
		t.Fatal(err)
	}
	if l.Bytes() != want-first {
		t.Errorf("%d bytes without the first segment, want %d", l.Bytes(), want-first)
	}
	l.Abandon()
}
