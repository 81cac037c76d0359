package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

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
