package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// A fileKey is a key of a file as the tests think of it.
type fileKey struct {
	database  int
	name      string
	deadline  int64
	idle      int64
	frequency int
	model     model
}

func (k fileKey) String() string {
	return fmt.Sprintf("%d %q %d %d %d %v", k.database, k.name, k.deadline, k.idle, k.frequency, k.model)
}

// readFile reads a file to its end; with raw, the values are passed over first.
func readFile(src io.Reader, raw bool) (keys []fileKey, f *File, err error) {
	if f, err = OpenFile(src); err != nil {
		return nil, nil, err
	}
	for {
		k, err := f.Next()
		if k == nil || err != nil {
			return keys, f, err
		}
		key := fileKey{k.Database, string(k.Name), k.Deadline, k.Idle, k.Frequency, model{}}
		var c collector
		if raw {
			var b []byte
			if b, err = f.Raw(); err == nil {
				r := NewBytesReader(bytes.Clone(b))
				if err = r.Value(k.Type, &c); err == nil && r.Offset() != int64(len(b)) {
					err = fmt.Errorf("%d bytes of %d were read", r.Offset(), len(b))
				}
			}
		} else {
			err = f.Value(k.Type, &c)
		}
		if err != nil {
			return keys, f, err
		}
		key.model = c.model
		keys = append(keys, key)
	}
}

func randomFile(r *rand.Rand, count int) (file []byte, keys []fileKey) {
	var out bytes.Buffer
	w := NewFileWriter(&out, Version)
	w.Aux("redis-ver", "7.4.0")
	w.Aux("ctime", "1700000000")
	w.Function([]byte("#!lua name=lib"))
	database := -1
	for i := range count {
		k := fileKey{database: max(database, 0), name: fmt.Sprint(i, randomText(r)), idle: -1, frequency: -1, model: randomModel(r)}
		if database < 0 || r.IntN(20) == 0 {
			database += 1 + r.IntN(100)
			w.SelectDB(database)
			w.ResizeDB(uint64(r.IntN(1000)), uint64(r.IntN(100)))
			k.database = database
		}
		switch r.IntN(4) {
		case 0:
			k.deadline = 1 + r.Int64N(1<<42)
		case 1:
			k.idle = r.Int64N(1 << r.IntN(36))
		case 2:
			k.frequency = r.IntN(256)
		}
		w.Usage(k.idle, k.frequency)
		w.Key([]byte(k.name), k.deadline)
		write(w.Writer, k.model)
		keys = append(keys, k)
	}
	if err := w.End(); err != nil {
		panic(err)
	}
	return out.Bytes(), keys
}

func sameKeys(t *testing.T, have, want []fileKey) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d keys, want %d", len(have), len(want))
	}
	for i := range have {
		if have[i].String() != want[i].String() {
			t.Fatalf("key %d is\n%.300v\nwant\n%.300v", i, have[i], want[i])
		}
	}
}

// A file reads as it was written, in whichever pieces it comes, and whether values are read
// or passed over; and what stands behind it stays.
func TestFileRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for i := range 30 {
		file, want := randomFile(r, 1+r.IntN(60))
		file = append(file, "what follows"...)
		for _, src := range []io.Reader{bytes.NewReader(file), iotest.HalfReader(bytes.NewReader(file)), iotest.DataErrReader(bytes.NewReader(file))} {
			keys, f, err := readFile(src, i%2 == 0)
			if err != nil {
				t.Fatal(err)
			}
			sameKeys(t, keys, want)
			if rest, err := io.ReadAll(f.Rest()); err != nil || string(rest) != "what follows" {
				t.Fatalf("%q %v stand behind the file", rest, err)
			}
			if k, err := f.Next(); k != nil || err != nil {
				t.Fatalf("behind the end: %v %v", k, err)
			}
		}
	}
}

// What a file says beside its keys is told.
func TestFileTells(t *testing.T) {
	var out bytes.Buffer
	w := NewFileWriter(&out, 0)
	w.Aux("ctime", "1700000000")
	w.SelectDB(3)
	w.ResizeDB(1, 2)
	w.Function([]byte("#!lua name=lib"))
	if err := w.Block([]byte{opSelectDB, 2, 0, 1, 'k', 1, 'v'}); err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	if !IsFile(out.Bytes()) || IsFile([]byte("*1\r\n$4\r\nPING\r\n")) {
		t.Error("a file is not taken for one, or something else is")
	}
	f, err := OpenFile(&out)
	if err != nil {
		t.Fatal(err)
	}
	if f.Version != 10 || f.Valkey {
		t.Errorf("version %d", f.Version)
	}
	var told []string
	f.Aux = func(name, value string) error { told = append(told, name+"="+value); return nil }
	f.Function = func(source []byte) error { told = append(told, string(source)); return nil }
	f.Resize = func(keys, volatile uint64) { told = append(told, fmt.Sprint(keys, volatile)) }
	k, err := f.Next()
	if err != nil || k.Database != 2 || string(k.Name) != "k" {
		t.Fatalf("%+v %v", k, err)
	}
	if _, err := f.Raw(); err != nil {
		t.Fatal(err)
	}
	if k, err := f.Next(); k != nil || err != nil {
		t.Fatalf("%+v %v", k, err)
	}
	if have := strings.Join(told, " "); have != "ctime=1700000000 1 2 #!lua name=lib" {
		t.Errorf("told: %s", have)
	}
	// Who is told ends the reading with an error.
	stop := errors.New("stop")
	f, _ = OpenFile(bytes.NewReader([]byte("REDIS0009\xfa\x01a\x01b\xff")))
	f.Aux = func(string, string) error { return stop }
	if _, err := f.Next(); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// sealed gives a body a header, an end and a checksum.
func sealed(header, body string) []byte {
	b := append([]byte(header+body), opEnd)
	return binary.LittleEndian.AppendUint64(b, Checksum(0, b))
}

// valueOf is a payload without type and footer.
func valueOf(payload []byte) string { return string(payload[1 : len(payload)-footerBytes]) }

// Files of all versions, made by hand as their servers wrote them.
func TestOldFiles(t *testing.T) {
	old := oldPayloads()
	key := func(before string, t Type, name, value string) string {
		return before + string([]byte{byte(t), byte(len(name))}) + name + value
	}
	form := func(name string) string { return valueOf(old[name].payload) }
	plain := func(name string, m model) fileKey { return fileKey{name: name, idle: -1, frequency: -1, model: m} }
	text := model{kind: String, texts: []string{"text"}}
	seconds := func(k fileKey, deadline int64) fileKey { k.deadline = deadline; return k }

	f := func(what string, file []byte, want ...fileKey) {
		t.Helper()
		for _, raw := range []bool{false, true} {
			keys, _, err := readFile(bytes.NewReader(file), raw)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			sameKeys(t, keys, want)
		}
	}
	oldest := key("\xfe\x00", TypeString, "s", "\x04text") + key("\xfd\x00\xf1\x53\x65", TypeString, "e", "\x04text")
	f("Redis 1.2 has no checksum", append([]byte("REDIS0001"+oldest), opEnd),
		plain("s", text), seconds(plain("e", text), 0x6553f100*1000))
	f("Redis 2.4", append([]byte("REDIS0002"+key("\xfe\x00", TypeHashZipmap, "h", form("hash of zipmap"))), opEnd),
		plain("h", old["hash of zipmap"].want))
	f("Redis 2.6", sealed("REDIS0006", "\xfe\x00"+
		key("\xfd\x00\xf1\x53\x65", TypeHashZiplist, "h", form("hash of ziplist"))+
		key("\xfc\x01\x02\x00\x00\x00\x00\x00\x00", TypeListZiplist, "l", form("list of ziplist"))+
		key("", TypeZSetZiplist, "z", form("zset of ziplist"))+
		key("", TypeZSet, "y", form("zset"))+
		key("", TypeSetIntset, "i", "\x0c\x02\x00\x00\x00\x02\x00\x00\x00\xff\xff\x07\x00")),
		seconds(plain("h", old["hash of ziplist"].want), 0x6553f100*1000), seconds(plain("l", old["list of ziplist"].want), 0x201),
		plain("z", old["zset of ziplist"].want), plain("y", old["zset"].want), plain("i", model{kind: Set, texts: []string{"-1", "7"}}))
	f("Redis 4", sealed("REDIS0008", "\xfa\x09redis-ver\x054.0.0\xfe\x01\xfb\x01\x00"+
		key("", TypeListQuicklist, "l", form("quicklist of ziplists"))),
		fileKey{1, "l", 0, -1, -1, old["quicklist of ziplists"].want})
	f("Redis 5", sealed("REDIS0009", "\xfe\x00"+key("\xf8\x07", TypeStream, "x", form("stream of Redis 5"))+key("\xf9\x07", TypeString, "f", "\x04text")+
		"\xf7\x81aaaaaaaa\x02\x02\x05\x03end\x04aaaaaaaa\x03bbbb\x01\x07\x00"), // and a module
		fileKey{0, "x", 0, 7, -1, old["stream of Redis 5"].want}, fileKey{0, "f", 0, -1, 7, text})
	f("Redis 7.2", sealed("REDIS0011", key("\xfe\x00", TypeSetListpack, "s", form("set of listpack"))), plain("s", old["set of listpack"].want))
	f("Redis 7.4", sealed("REDIS0012", key("\xfe\x00\xf4\x01\x02\x03", TypeHashMetadata, "h", form("hash with deadlines"))+
		key("", TypeHashListpackEx, "l", form("hash of listpack with deadlines"))),
		plain("h", old["hash with deadlines"].want), plain("l", old["hash of listpack with deadlines"].want))
	f("a later Redis", sealed("REDIS0013", key("\xfe\x00", TypeString, "s", "\x04text")), plain("s", text))
	valkey := "\x03\x01a\x011" + "\x88\x13\x00\x00\x00\x00\x00\x00" + "\x01b\x012" + strings.Repeat("\xff", 8) + "\x01c\x013" + "\xff\xff\xff\xff\xff\x3f\x00\x00"
	f("Valkey 9", sealed("VALKEY080", key("\xfe\x00", TypeHashMetadataPreGA, "h", valkey)),
		plain("h", model{kind: Hash, texts: []string{"a", "1", "b", "2", "c", "3"}, times: []int64{5000, 0, deadlineMax}}))
	f("a checksum that nobody wanted", append([]byte("REDIS0010"+oldest), opEnd, 0, 0, 0, 0, 0, 0, 0, 0),
		plain("s", text), seconds(plain("e", text), 0x6553f100*1000))
	f("nothing", sealed("REDIS0010", ""))
}

func TestFileRefused(t *testing.T) {
	f := func(file []byte, kind error, words ...string) {
		t.Helper()
		for _, raw := range []bool{false, true} {
			_, _, err := readFile(bytes.NewReader(file), raw)
			if !errors.Is(err, kind) {
				t.Errorf("%.40q: %v", file, err)
				return
			}
			for _, word := range words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%.40q: %v does not say %s", file, err, word)
				}
			}
		}
	}
	f(nil, ErrNotRDB)
	f([]byte("REDIS001"), ErrNotRDB)
	f([]byte("*1\r\n$4\r\nPING\r\n"), ErrNotRDB, `"*1\r\n$4\r\nP"`)
	f([]byte("REDIS000x\xff"), ErrNotRDB)
	f([]byte("REDIS0000\xff"), ErrNotRDB)
	f([]byte("VALKEY-10\xff"), ErrNotRDB)
	f([]byte("REDIS0010"), ErrCorrupt, "ends at byte 9")
	f(sealed("REDIS0014", "\xfe\x00\x21\x03key\x04text"), ErrUnsupported, "type 33", "at 11", `"key"`)
	f(sealed("REDIS0014", "\xfe\x00\x08\x03key\x04text"), ErrUnsupported, "type 8", "at 11", `"key"`)
	f(sealed("REDIS0009", "\xfe\x00\x07\x03key\x04text"), ErrUnsupported, "module", "type 7", "at 11", `"key"`)
	f(sealed("REDIS0009", "\xfe\x00\xc8\x03key\x01\x01a"), ErrUnsupported, "type 200", `"key"`)
	f(sealed("VALKEY080", "\xfe\x00\xc9\x03key\x01\x01a\x01b\xff\xff\xff\xff\xff\xff\xff\xff"), ErrUnsupported, "type 201", `"key"`)
	f(sealed("REDIS0014", "\xf3"), ErrUnsupported, "type 243", "at 9")
	f(sealed("REDIS0009", "\xfe\x81\x00\x00\x00\x01\x00\x00\x00\x00"), ErrCorrupt, "database")
	f(sealed("VALKEY080", "\xfe\x00\x16\x03key\x01\x01a\x01b\xfe\xff\xff\xff\xff\xff\xff\xff"), ErrCorrupt, "deadline")
	f(sealed("REDIS0009", "\xfe\x00\x00\x03key\x80\x20\x00\x00\x01"), ErrCorrupt, "536870913 bytes")
	wrong := sealed("REDIS0009", "\xfe\x00\x00\x03key\x04text")
	wrong[len(wrong)-1] ^= 1
	f(wrong, ErrCorrupt, "checksum")
}

// Wherever a file is cut off or a bit of it is another, that is an error, or what is read is
// what was written.
func TestFileDamage(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	cut, flipped, same := 0, 0, 0
	for range 6 {
		file, want := randomFile(r, 4)
		for len(file) > 2500 {
			file, want = randomFile(r, 4)
		}
		for n := range file {
			for _, raw := range []bool{false, true} {
				if _, _, err := readFile(bytes.NewReader(file[:n]), raw); err == nil {
					t.Fatalf("%d bytes of %d are taken for a file", n, len(file))
				}
			}
			cut++
		}
		for bit := range 8 * len(file) {
			b := bytes.Clone(file)
			b[bit/8] ^= 1 << (bit % 8)
			keys, _, err := readFile(bytes.NewReader(b), bit%2 == 0)
			if err == nil {
				sameKeys(t, keys, want)
				same++
			}
			flipped++
		}
	}
	t.Logf("%d cuts, %d bits, of which %d did not matter", cut, flipped, same)
}

// Passing over a value takes exactly what reading it does.
func TestSkip(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	var seeds [][]byte
	for _, row := range oldPayloads() {
		seeds = append(seeds, row.payload)
	}
	for range 100 {
		w := NewWriter(nil, Version)
		write(w, randomModel(r))
		seeds = append(seeds, w.Payload())
	}
	passed := 0
	f := func(payload []byte) {
		p, err := OpenPayload(payload)
		if err != nil {
			return
		}
		value, over := NewBytesReader(p.body), NewBytesReader(p.body)
		if value.Value(p.Type, &Nothing{}) != nil {
			return
		}
		if err := over.skip(p.Type); err != nil || over.Offset() != value.Offset() {
			t.Fatalf("type %d: %v: %d bytes were passed over, and %d read", p.Type, err, over.Offset(), value.Offset())
		}
		passed++
	}
	for _, seed := range seeds {
		f(seed)
		if len(seed) < 50_000 {
			mutants(r, seed, 100, f)
		}
	}
	t.Logf("%d values were passed over", passed)
}

// Whatever form a value has, it is written in one that Redis 7.0 reads, if there is one.
func TestWriteRaw(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	f := func(payload []byte, want model) {
		t.Helper()
		p, err := OpenPayload(payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, newest := range []int{10, 11, 12} {
			w := NewWriter(nil, newest)
			if err := w.Value(p.Type, p.body); err != nil {
				t.Fatal(err)
			}
			timed := false
			for _, at := range want.times {
				timed = timed || at != 0
			}
			if timed == (w.Version() < 12) || !timed && w.Version() > newest {
				t.Fatalf("type %d needs version %d", p.Type, w.Version())
			}
			got, err := read(w.Payload())
			expected := want
			if newest == 10 && p.Type == TypeStream3 {
				expected.groups = nil
				for _, g := range want.groups {
					consumers := g.consumers
					g.consumers = nil
					for _, c := range consumers {
						g.consumers = append(g.consumers, modelConsumer{c.name, c.seen, c.seen})
					}
					expected.groups = append(expected.groups, g)
				}
			}
			if err != nil || got.String() != expected.String() {
				t.Fatalf("type %d for version %d: %v: got %.300v\nwant %.300v", p.Type, newest, err, got, expected)
			}
		}
	}
	for _, row := range oldPayloads() {
		f(row.payload, row.want)
	}
	for range 200 {
		m := randomModel(r)
		w := NewWriter(nil, Version)
		write(w, m)
		f(w.Payload(), m)
	}
	w := NewWriter(nil, Version)
	if err := w.Value(TypeHashValkey, []byte("\x01\x01a\x01b\x88\x13\x00\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(w.Payload()); err != nil || got.times[0] != 5000 {
		t.Errorf("%v %v", got, err)
	}
	w = NewWriter(nil, Version)
	if err := w.Value(TypeSetMetadata, []byte("\x88\x13\x00\x00\x00\x00\x00\x00\x02\x01\x01a\x00\x01b")); err != nil {
		t.Fatal(err)
	}
	if got, err := read(w.Payload()); err != nil || len(got.texts) != 2 || got.times != nil || w.Version() > 10 {
		t.Errorf("%v %v", got, err)
	}
}

// A file that needs a newer reader than its header says is not completed.
func TestFileVersion(t *testing.T) {
	w := NewFileWriter(io.Discard, 10)
	w.SelectDB(0)
	w.Key([]byte("k"), 0)
	write(w.Writer, model{kind: Hash, texts: []string{"f", "v"}, times: []int64{5000}})
	if err := w.End(); err == nil {
		t.Error("a file of version 10 has fields with deadlines")
	}
}

// Lengths that are a lie cost nothing.
func TestFileBelievesNoLength(t *testing.T) {
	for _, lie := range []string{
		"\x01\x01k\x81\x00\x00\x01\x00\x00\x00\x00\x00",                     // a list of 2^40 elements
		"\x00\x01k\x80\x1f\xff\xff\xff",                                     // a string of 512 MiB
		"\x00\x01k\xc3\x41\x00\x80\x1f\xff\xff\xff",                         // one that says to become so long
		"\x00\x80\x1f\xff\xff\xff",                                          // a key
		"\xfa\x80\x1f\xff\xff\xff",                                          // what the file says of itself
		"\xf5\x80\x1f\xff\xff\xff",                                          // a library
		"\x0f\x01k\x81\x00\x00\x01\x00\x00\x00\x00\x00",                     // a stream
		"\x18\x01k\x01\x00\x00\x00\x00\x00\x00\x00\x80\xff\xff\xff\xff\x01", // a hash
	} {
		for _, raw := range []bool{false, true} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := readFile(strings.NewReader("REDIS0012\xfe\x00"+lie+strings.Repeat("\x01", 1000)), raw)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%q is taken", lie)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%q: %d bytes", lie, grown)
			}
		}
	}
}

// After a long value the room that it took is given back.
func TestFileGivesRoomBack(t *testing.T) {
	var out bytes.Buffer
	w := NewFileWriter(&out, 10)
	w.SelectDB(0)
	long := []byte(randomBytes(rand.New(rand.NewPCG(1, 1)), 8<<20))
	for i := range 3 {
		w.Key([]byte{byte('a' + i)}, 0)
		w.Type(TypeString)
		w.Text(long[:len(long)>>(8*i)])
	}
	for i := range 20_000 {
		w.Key(fmt.Append(nil, i), 0)
		w.Type(TypeString)
		w.Text(long[:10])
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(&out)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		k, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		if k == nil {
			break
		}
		raw, err := f.Raw()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 && !bytes.HasSuffix(raw, long) {
			t.Fatal("the long value is another")
		}
	}
	if cap(f.buf) > 1<<20 {
		t.Errorf("%d bytes are kept", cap(f.buf))
	}
}

func FuzzFile(f *testing.F) {
	r := rand.New(rand.NewPCG(29, 30))
	for range 20 {
		if file, _ := randomFile(r, 1+r.IntN(5)); len(file) < 3000 {
			f.Add(file)
		}
	}
	for name, row := range oldPayloads() {
		f.Add(sealed("REDIS0012", "\xfe\x00"+string(row.payload[0])+"\x01k"+valueOf(row.payload)))
		f.Add(sealed("VALKEY080", "\xfc\x01\x00\x00\x00\x00\x00\x00\x00"+string(row.payload[0])+"\x01"+name[:1]+valueOf(row.payload)))
	}
	f.Add(sealed("REDIS0009", "\xf7\x81aaaaaaaa\x02\x02\x05\x03end\x00\xfa\x01a\x01b\xf4\x01\x02\x03\xf5\x01f\xfb\x01\x02"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		keys, _, err := readFile(bytes.NewReader(file), false)
		passed, _, other := readFile(bytes.NewReader(file), true)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 3000*uint64(len(file))+1<<21 {
			t.Fatalf("%d bytes for a file of %d", grown, len(file))
		}
		if err != nil || other != nil {
			return // passing over looks at less
		}
		sameKeys(t, passed, keys)
	})
}
