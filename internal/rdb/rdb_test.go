package rdb

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChecksum(t *testing.T) {
	if got := Checksum(0, []byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("got %#x", got)
	}
	if got := Checksum(Checksum(0, []byte("1234")), []byte("56789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("in pieces: got %#x", got)
	}
}

func TestLZF(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	table := new(lzfTable)
	f := func(text string) {
		t.Helper()
		out, ok := lzfCompress([]byte("before"), []byte(text), math.MaxInt, table)
		if !ok {
			t.Fatalf("%.30q is refused", text)
		}
		back, ok := lzfExpand([]byte("front"), out[6:], len(text))
		if !ok || string(back) != "front"+text {
			t.Fatalf("%.30q of %d becomes %.30q of %d", text, len(text), back, len(back))
		}
		if small, ok := lzfCompress(nil, []byte(text), len(out)-6, table); ok {
			t.Fatalf("%d bytes, where fewer than %d are wanted", len(small), len(out)-6)
		}
	}
	for range 2000 {
		f(randomText(r))
	}
	f(strings.Repeat("a", 1_000_000))
	f(randomBytes(r, 100_000))
	f(strings.Repeat(randomBytes(r, 8191), 3))
	f(strings.Repeat(randomBytes(r, 8192), 3))
	f(strings.Repeat(randomBytes(r, 8193), 3))
}

// What is written reads back the same, in whichever pieces it comes.
func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 500 {
		m := randomModel(r)
		w := NewWriter(nil, Version)
		write(w, m)
		payload := bytes.Clone(w.Payload())
		got, err := read(payload)
		if err != nil || got.String() != m.String() {
			t.Fatalf("%d: %v:\n got %.300v\nwant %.300v", i, err, got, m)
		}
		if err := check(payload); err != nil {
			t.Fatalf("%d: %v: %.300v", i, err, m)
		}
		var out bytes.Buffer
		w = NewWriter(&out, Version)
		write(w, m)
		if err := w.Flush(); err != nil || !bytes.Equal(out.Bytes(), payload[:len(payload)-footerBytes]) {
			t.Fatalf("%d: %v: in pieces %d bytes, in one %d", i, err, out.Len(), len(payload)-footerBytes)
		}
		sources := []io.Reader{&out, iotest.HalfReader(bytes.NewReader(payload)), iotest.DataErrReader(bytes.NewReader(payload))}
		if len(payload) < 2000 {
			sources = append(sources, iotest.OneByteReader(bytes.NewReader(payload)))
		}
		for _, source := range sources {
			reader := NewReader(source)
			kind, err := reader.Type()
			if err != nil {
				t.Fatal(err)
			}
			var c collector
			if err := reader.Value(kind, &c); err != nil || c.model.String() != m.String() {
				t.Fatalf("%d: %v:\n got %.300v\nwant %.300v", i, err, c.model, m)
			}
		}
	}
}

// For readers of Redis 7.0 the Writer leaves out what that does not know.
func TestWriterVersions(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		m := randomModel(r)
		w := NewWriter(nil, 10)
		write(w, m)
		got, err := read(w.Payload())
		if err != nil {
			t.Fatal(err)
		}
		withTimes := false
		for _, at := range m.times {
			withTimes = withTimes || at != 0
		}
		if w.Version() > 10 && !withTimes {
			t.Fatalf("version %d for %.100v", w.Version(), m)
		}
		for i := range m.groups {
			for j := range m.groups[i].consumers {
				m.groups[i].consumers[j].active = m.groups[i].consumers[j].seen
			}
		}
		if got.String() != m.String() {
			t.Fatalf("got %.300v\nwant %.300v", got, m)
		}
	}
}

// oldPayloads are the forms that only a reader has to know, and what they hold.
func oldPayloads() map[string]struct {
	payload []byte
	want    model
} {
	type row = struct {
		payload []byte
		want    model
	}
	texts := []string{"", "a", "0", "12", "13", "-1", "127", "-129", "32767", "40000", "8388607", "-8388609",
		"2147483648", "-9223372036854775808", "01", strings.Repeat("x", 63), strings.Repeat("y", 64),
		strings.Repeat("z", 251), strings.Repeat("u", 252), strings.Repeat("v", 20000)}
	pairs := texts
	none := make([]int64, len(pairs)/2)
	ends := func(list *Writer, texts []string) {
		list.Length(uint64(len(texts)))
		for _, text := range texts {
			list.Text([]byte(text))
		}
	}
	later := []int64{5000, 0}
	return map[string]row{
		"list":            {payload(TypeList, func(w *Writer) { ends(w, texts) }), model{kind: List, texts: texts}},
		"list of ziplist": {blobPayload(TypeListZiplist, ziplistOf(texts...)), model{kind: List, texts: texts}},
		"quicklist of ziplists": {payload(TypeListQuicklist, func(w *Writer) {
			w.Length(3)
			w.blob(ziplistOf(texts[:5]...))
			w.blob(ziplistOf())
			w.blob(ziplistOf(texts[5:]...))
		}), model{kind: List, texts: texts}},
		"set":             {payload(TypeSet, func(w *Writer) { ends(w, texts) }), model{kind: Set, texts: texts}},
		"set of listpack": {packedPayload(TypeSetListpack, texts...), model{kind: Set, texts: texts}},
		"zset": {payload(TypeZSet, func(w *Writer) {
			w.Length(4)
			for _, score := range []string{"\x031.5", "\xfe", "\xff", "\x053e-01"} {
				w.Text([]byte(score))
				w.buf = append(w.buf, score...)
			}
		}), model{kind: ZSet, texts: []string{"\x031.5", "\xfe", "\xff", "\x053e-01"},
			scores: []float64{1.5, math.Inf(1), math.Inf(-1), 0.3}}},
		"zset of ziplist": {blobPayload(TypeZSetZiplist, ziplistOf("a", "-inf", "b", "1", "3", "2.5", "d", "1e400")),
			model{kind: ZSet, texts: []string{"a", "b", "3", "d"}, scores: []float64{math.Inf(-1), 1, 2.5, math.Inf(1)}}},
		"hash": {payload(TypeHash, func(w *Writer) {
			w.Length(2)
			w.Text([]byte("a"))
			w.Text([]byte("1"))
			w.Text([]byte("2"))
			w.Text([]byte("b"))
		}), model{kind: Hash, texts: []string{"a", "1", "2", "b"}, times: []int64{0, 0}}},
		"hash of zipmap":  {blobPayload(TypeHashZipmap, zipmapOf(pairs...)), model{kind: Hash, texts: pairs, times: none}},
		"hash of ziplist": {blobPayload(TypeHashZiplist, ziplistOf(pairs...)), model{kind: Hash, texts: pairs, times: none}},
		"hash of listpack with deadlines": {payload(TypeHashListpackEx, func(w *Writer) {
			w.Millis(5000)
			w.Packed(listpackOf("a", "1", "5000", "7", "b", "0"))
		}), model{kind: Hash, texts: []string{"a", "1", "7", "b"}, times: later}},
		"hash of listpack with deadlines, early": {packedPayload(TypeHashListpackExPreGA, "a", "1", "5000", "7", "b", "0"),
			model{kind: Hash, texts: []string{"a", "1", "7", "b"}, times: later}},
		"hash with deadlines": {payload(TypeHashMetadata, func(w *Writer) {
			w.Millis(5000)
			w.Length(2)
			w.Length(1)
			w.Text([]byte("a"))
			w.Text([]byte("1"))
			w.Length(0)
			w.Text([]byte("7"))
			w.Text([]byte("b"))
		}), model{kind: Hash, texts: []string{"a", "1", "7", "b"}, times: later}},
		"hash with deadlines, early": {payload(TypeHashMetadataPreGA, func(w *Writer) {
			w.Length(2)
			w.Length(5000)
			w.Text([]byte("a"))
			w.Text([]byte("1"))
			w.Length(0)
			w.Text([]byte("7"))
			w.Text([]byte("b"))
		}), model{kind: Hash, texts: []string{"a", "1", "7", "b"}, times: later}},
		"stream of Redis 5": {payload(TypeStream, func(w *Writer) {
			w.Length(1)
			w.blob(appendRawID(nil, StreamID{7, 1}))
			// Two entries, one of them deleted.
			w.Packed(listpackOf("1", "1", "1", "f", "0",
				"3", "0", "0", "gone", "4",
				"0", "5", "2", "2", "f", "1", "g", "2", "8"))
			w.Length(1)
			w.streamID(StreamID{12, 3})
			w.Length(1)
			w.Text([]byte("g"))
			w.streamID(StreamID{7, 1})
			w.Length(1)
			w.rawID(StreamID{7, 1})
			w.Millis(77)
			w.Length(3)
			w.Length(1)
			w.Text([]byte("c"))
			w.Millis(78)
			w.Length(1)
			w.rawID(StreamID{7, 1})
		}), model{kind: Stream, entries: []modelEntry{{StreamID{12, 3}, []string{"f", "1", "g", "2"}}},
			state: StreamState{Last: StreamID{12, 3}, Added: 1},
			groups: []modelGroup{{name: "g", last: StreamID{7, 1}, read: -1, consumers: []modelConsumer{{"c", 78, 78}},
				pending: []StreamPending{{StreamID{7, 1}, 0, 77, 3}}}}}},
	}
}

func TestOldForms(t *testing.T) {
	for name, row := range oldPayloads() {
		got, err := read(row.payload)
		if err != nil || got.String() != row.want.String() {
			t.Errorf("%s: %v:\n got %.300v\nwant %.300v", name, err, got, row.want)
		}
		if err := check(row.payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	f := func(name string, payload []byte, want error) {
		t.Helper()
		if err := check(payload); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	text := func(text string) func(w *Writer) { return func(w *Writer) { w.Text([]byte(text)) } }
	good := payload(TypeString, text("text"))
	f("nothing", nil, ErrChecksum)
	f("no more than a footer", NewWriter(nil, 0).Payload(), ErrCorrupt)
	f("another byte", append([]byte{0, 4, 'T'}, good[3:]...), ErrChecksum)
	f("another version", func() []byte {
		w := NewWriter(nil, 0)
		w.Type(TypeString)
		w.needed = Version + 1
		w.Text(nil)
		return w.Payload()
	}(), ErrChecksum)
	module := NewWriter(nil, 0)
	module.Byte(byte(TypeModule2))
	f("a module", module.Payload(), ErrUnsupported)
	for _, kind := range []Type{TypeList, TypeSet, TypeZSet, TypeZSet2, TypeHash, TypeListQuicklist, TypeListQuicklist2, TypeHashMetadataPreGA} {
		f("an empty collection", payload(kind, func(w *Writer) { w.Length(0) }), ErrEmpty)
		f("a huge one", payload(kind, func(w *Writer) { w.Length(math.MaxUint64) }), ErrCorrupt)
		f("no length", payload(kind, text("1")), ErrCorrupt)
	}
	for _, kind := range []Type{TypeListZiplist, TypeZSetZiplist, TypeHashZiplist} {
		f("an empty ziplist", blobPayload(kind, ziplistOf()), ErrEmpty)
	}
	for _, kind := range []Type{TypeSetListpack, TypeZSetListpack, TypeHashListpack, TypeHashListpackExPreGA} {
		f("an empty listpack", packedPayload(kind), ErrEmpty)
	}
	f("an empty zipmap", blobPayload(TypeHashZipmap, zipmapOf()), ErrEmpty)
	f("an empty intset", blobPayload(TypeSetIntset, []byte{2, 0, 0, 0, 0, 0, 0, 0}), ErrEmpty)
	f("empty nodes", payload(TypeListQuicklist, func(w *Writer) { w.Length(1); w.blob(ziplistOf()) }), ErrEmpty)
	f("half a pair", packedPayload(TypeHashListpack, "a", "1", "b"), ErrCorrupt)
	f("no score", packedPayload(TypeZSetListpack, "a", "x"), ErrCorrupt)
	f("not a number", packedPayload(TypeZSetListpack, "a", "nan"), ErrCorrupt)
	f("not a number", payload(TypeZSet2, func(w *Writer) { w.Length(1); w.Text([]byte("a")); w.Double(math.NaN()) }), ErrCorrupt)
	f("a deadline in the past", packedPayload(TypeHashListpackExPreGA, "a", "1", "-1"), ErrCorrupt)
	f("a member twice", packedPayload(TypeSetListpack, "a", "b", "a"), ErrDuplicate)
	f("a member twice", packedPayload(TypeZSetListpack, "a", "1", "a", "2"), ErrDuplicate)
	f("a field twice", blobPayload(TypeHashZiplist, ziplistOf("1", "1", "1", "2")), ErrDuplicate)
	f("an intset out of order", blobPayload(TypeSetIntset, []byte{2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 1, 0}), ErrCorrupt)
	f("a text that grows too much", payload(TypeString, func(w *Writer) {
		w.Byte(lengthEncoded | encodedLZF)
		w.Length(3)
		w.Length(1 << 29)
		w.buf = append(w.buf, 0xe0, 0xff, 0)
	}), ErrCorrupt)
}

// mutants makes payloads that are broken in one or a few places, with a checksum
// that says otherwise.
func mutants(r *rand.Rand, payload []byte, count int, visit func([]byte)) {
	body := payload[:len(payload)-footerBytes]
	for range count {
		b := bytes.Clone(body)
		for range 1 + r.IntN(3) {
			switch at := r.IntN(len(b)); r.IntN(6) {
			case 0:
				b[at] ^= 1 << r.IntN(8)
			case 1:
				b[at] = byte(r.Uint32())
			case 2:
				b[at] = []byte{0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff}[r.IntN(8)]
			case 3:
				b = append(b[:at:at], b[min(at+1+r.IntN(4), len(b)):]...)
			case 4:
				b = append(b[:at:at], append([]byte(randomBytes(r, 1+r.IntN(4))), b[at:]...)...)
			case 5:
				b = b[:max(at, 1)]
			}
			if len(b) == 0 {
				b = []byte{0}
			}
		}
		w := Writer{buf: b, needed: Version}
		visit(w.Payload())
	}
}

// Broken payloads are refused, or are other values: never more than the input
// bears out.
func TestMutants(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	seeds := [][]byte{}
	for _, row := range oldPayloads() {
		seeds = append(seeds, row.payload)
	}
	for range 100 {
		w := NewWriter(nil, Version)
		write(w, randomModel(r))
		if payload := w.Payload(); len(payload) < 50_000 {
			seeds = append(seeds, payload)
		}
	}
	accepted, tried := 0, 0
	for _, seed := range seeds {
		mutants(r, seed, 100, func(payload []byte) {
			tried++
			var before, after runtime.MemStats
			if tried%50 == 0 {
				runtime.ReadMemStats(&before)
			}
			err := check(payload)
			if tried%50 == 0 {
				runtime.ReadMemStats(&after)
				if grown := after.TotalAlloc - before.TotalAlloc; grown > 300*uint64(len(payload))+1<<18 {
					t.Fatalf("%d bytes for a payload of %d", grown, len(payload))
				}
			}
			if tried%10 == 0 {
				inPieces(t, payload)
			}
			if err != nil {
				return
			}
			accepted++
			again(t, payload)
		})
	}
	t.Logf("%d of %d mutants are values", accepted, tried)
}

// inPieces reads a payload, broken or not, from a source, which has to show the same.
func inPieces(t *testing.T, payload []byte) {
	t.Helper()
	p, err := OpenPayload(payload)
	if err != nil {
		t.Fatal(err)
	}
	var whole, pieces collector
	err = p.Visit(&whole)
	other := NewReader(iotest.HalfReader(bytes.NewReader(p.body))).Value(p.Type, &pieces)
	if (err == nil) != (other == nil) || whole.model.String() != pieces.model.String() {
		t.Fatalf("in pieces %v and %.300v\nas a whole %v and %.300v", other, pieces.model, err, whole.model)
	}
}

// again reads an accepted payload and writes it again.
func again(t *testing.T, payload []byte) {
	t.Helper()
	p, err := OpenPayload(payload)
	if err != nil {
		t.Fatal(err)
	}
	var c collector
	if err := p.Visit(&c); err != nil {
		t.Fatalf("the second time: %v", err)
	}
	w := NewWriter(nil, Version)
	write(w, c.model)
	got, err := read(w.Payload())
	if err != nil || got.String() != c.model.String() {
		t.Fatalf("%v: got %.300v\nwant %.300v", err, got, c.model)
	}
}

func FuzzValue(f *testing.F) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, row := range oldPayloads() {
		f.Add(row.payload[:len(row.payload)-footerBytes])
	}
	for range 30 {
		w := NewWriter(nil, Version)
		write(w, randomModel(r))
		if payload := w.Payload(); len(payload) < 2000 {
			f.Add(payload[:len(payload)-footerBytes])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := Writer{buf: bytes.Clone(body), needed: Version}
		payload := w.Payload()
		if check(payload) == nil {
			again(t, payload)
		}
	})
}
