package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
