package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// A world is a DB beside an obvious model of it.
type world struct {
	t     testing.TB
	db    *DB
	model map[string]modelValue
}

type modelValue struct {
	value    string
	encoding object.Encoding
	deadline int64
	access   uint32
}

func newWorld(t testing.TB) *world {
	return &world{t: t, db: New(), model: map[string]modelValue{}}
}

func (w *world) find(key string) Entry { return w.db.Find(Hash([]byte(key)), []byte(key)) }

func (w *world) put(key, value string, deadline int64, access uint32) {
	e := w.db.PutBytes(Hash([]byte(key)), []byte(key), []byte(value), deadline, access)
	encoding := object.Raw
	if len(value) <= object.EmbstrBytesMax {
		encoding = object.Embstr
	}
	w.model[key] = modelValue{value, encoding, deadline, access & 0xffffff}
	w.same(key, e)
}

func (w *world) putInt(key string, n, deadline int64, access uint32) {
	e := w.db.PutInt(Hash([]byte(key)), []byte(key), n, deadline, access)
	w.model[key] = modelValue{strconv.FormatInt(n, 10), object.Int, deadline, access & 0xffffff}
	w.same(key, e)
}

func (w *world) resize(key string, n int, fill byte) {
	e := w.find(key)
	m := w.model[key]
	e, value := w.db.Resize(Hash([]byte(key)), e, n)
	want := []byte(m.value)
	if n < len(want) {
		want = want[:n]
	}
	for len(want) < n {
		want = append(want, 0)
	}
	if !bytes.Equal(value, want) {
		w.t.Fatalf("resize of %.20q to %d: got %.50q, want %.50q", key, n, value, want)
	}
	if n > 0 {
		value[n-1], want[n-1] = fill, fill
	}
	m.value, m.encoding = string(want), object.Raw
	w.model[key] = m
	w.same(key, e)
}

func (w *world) setDeadline(key string, at int64) {
	e := w.db.SetDeadline(Hash([]byte(key)), w.find(key), at)
	m := w.model[key]
	m.deadline = at
	w.model[key] = m
	w.same(key, e)
}

func (w *world) delete(key string) {
	if e := w.find(key); e.Exists() {
		w.db.Delete(Hash([]byte(key)), e)
	}
	delete(w.model, key)
	if w.find(key).Exists() {
		w.t.Fatalf("%q exists after it was deleted", key)
	}
}

// same compares an entry with the model.
func (w *world) same(key string, e Entry) {
	w.t.Helper()
	m, ok := w.model[key]
	if e.Exists() != ok {
		w.t.Fatalf("%.20q exists: %v, want %v", key, e.Exists(), ok)
	}
	if !ok {
		return
	}
	if got := string(e.Key()); got != key {
		w.t.Fatalf("entry of %.20q has the key %.20q", key, got)
	}
	if got := string(e.AppendString(nil)); got != m.value || e.StringLen() != len(m.value) {
		w.t.Fatalf("%.20q = %.50q (%d), want %.50q (%d)", key, got, e.StringLen(), m.value, len(m.value))
	}
	if e.Encoding() != m.encoding || e.Type() != object.String || e.Deadline() != m.deadline || e.Access() != m.access {
		w.t.Fatalf("%.20q is %v %v at %d access %d, want %+v", key, e.Type(), e.Encoding(), e.Deadline(), e.Access(), m)
	}
	if n, isInt := e.Int(); isInt != (m.encoding == object.Int) || isInt && strconv.FormatInt(n, 10) != m.value {
		w.t.Fatalf("%.20q: integer %d, %v", key, n, isInt)
	}
	if !e.r.isInt() && string(e.Bytes()) != m.value {
		w.t.Fatalf("%.20q: bytes differ from the string", key)
	}
	if e.MemoryBytes() < len(key)+1 {
		w.t.Fatalf("%.20q costs only %d bytes", key, e.MemoryBytes())
	}
}

func (w *world) verify() {
	w.t.Helper()
	w.db.checkAlways()
	if w.db.Len() != len(w.model) {
		w.t.Fatalf("%d keys, want %d", w.db.Len(), len(w.model))
	}
	volatile := 0
	for key, m := range w.model {
		w.same(key, w.find(key))
		if m.deadline != 0 {
			volatile++
		}
	}
	if w.db.Volatile() != volatile {
		w.t.Fatalf("%d volatile keys, want %d", w.db.Volatile(), volatile)
	}
	if u := w.db.Usage(); u.Total() != w.db.Bytes() {
		w.t.Fatalf("usage %+v does not add up to %d", u, w.db.Bytes())
	}
	seen := map[string]bool{}
	for cursor := uint64(0); ; {
		cursor = w.db.Scan(cursor, func(e Entry) { seen[string(e.Key())] = true })
		if cursor == 0 {
			break
		}
	}
	if len(seen) != len(w.model) {
		w.t.Fatalf("a scan saw %d of %d keys", len(seen), len(w.model))
	}
}

func (w *world) empty() {
	w.t.Helper()
	for key := range w.model {
		w.delete(key)
	}
	w.verify()
	if w.db.Bytes() != 0 {
		w.t.Fatalf("an empty database accounts for %+v", w.db.Usage())
	}
	for w.db.Compact(1 << 20) {
	}
	if u := w.db.Usage(); u.Mapped != 0 || u.Resident != 0 {
		w.t.Fatalf("an empty, compacted database still holds %+v", u)
	}
}

func randomLen(r *rand.Rand) int {
	switch r.IntN(40) {
	case 0:
		return r.IntN(200_000)
	case 1:
		return r.IntN(40_000)
	case 2, 3, 4:
		return r.IntN(1000)
	}
	return r.IntN(80)
}

// noise is what values are cut from.
var noise = func() string {
	r := rand.New(rand.NewPCG(1, 1))
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return strings.Repeat(string(b), 8)
}()

func text(r *rand.Rand, n int) string {
	from := r.IntN(1 << 20)
	return noise[from : from+n]
}

func TestRandomOperationsAgreeWithAMap(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			defer w.db.Close()
			keys := []int{10, 300, 5000, 20000}[seed%4]
			key := func() string {
				n := r.IntN(keys)
				if n%97 == 0 {
					return fmt.Sprintf("%0*d", 100+n, n) // a long key
				}
				return fmt.Sprintf("key:%d", n)
			}
			deadline := func() int64 {
				switch r.IntN(4) {
				case 0:
					return 1 + r.Int64N(1000)
				case 1:
					return 1_700_000_000_000 + r.Int64N(1_000_000)
				case 2:
					return 1 + r.Int64N(1<<62)
				}
				return 0
			}
			for i := range effort(25_000) {
				k := key()
				_, exists := w.model[k]
				switch op := r.IntN(20); {
				case op < 5:
					w.put(k, text(r, randomLen(r)), 0, r.Uint32())
				case op < 8:
					w.put(k, text(r, randomLen(r)), deadline(), r.Uint32())
				case op < 10:
					w.putInt(k, r.Int64()>>r.IntN(64), deadline(), r.Uint32())
				case op < 12 && exists:
					n := len(w.model[k].value)
					switch r.IntN(3) {
					case 0:
						n += r.IntN(50)
					case 1:
						n = r.IntN(n + 1)
					case 2:
						n = randomLen(r)
					}
					w.resize(k, n, byte(i))
				case op < 14 && exists:
					w.setDeadline(k, deadline())
				case op < 18:
					w.delete(k)
				case op == 18:
					w.same(k, w.find(k))
				case op == 19 && i%50 == 0:
					w.db.Compact(r.IntN(200))
				}
				if i%10_000 == 0 {
					w.verify()
				}
			}
			w.verify()
			w.empty()
		})
	}
}

// TestBorrowedArguments sets keys to values and keys that lie in the DB itself.
func TestBorrowedArguments(t *testing.T) {
	for _, n := range []int{0, 1, 20, 44, 130, 3000, 33_000, 200_000, 5 << 20} {
		for _, cut := range []int{0, 1, 5, 100, 40_000} {
			for _, deadline := range []int64{0, 7} {
				w := newWorld(t)
				value := text(rand.New(rand.NewPCG(1, 2)), n)
				w.put("a", value, 0, 1)
				e := w.find("a")
				from := min(cut, n)
				w.db.PutBytes(Hash([]byte("a")), e.Key(), e.Bytes()[from:], deadline, 2)
				w.model["a"] = modelValue{value[from:], w.find("a").Encoding(), deadline, 2}
				w.verify()
				e = w.find("a")
				w.db.PutBytes(Hash([]byte("b")), []byte("b"), e.Bytes(), deadline, 2)
				w.model["b"] = w.model["a"]
				w.verify()
				w.empty()
				w.db.Close()
			}
		}
	}
	if got := ds.MappedBytes(); got != 0 {
		waitUnmapped(t)
	}
}

func waitUnmapped(t *testing.T) {
	t.Helper()
	eventually(t, func() bool { return ds.MappedBytes() == 0 })
}
