package rdb

import (
	"math/rand/v2"
	"testing"
)

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
