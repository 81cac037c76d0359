package object

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hyperkv/resp"
)

// A hash against a map, under random changes, across its encodings.
func TestHashModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			l := DefaultLimits
			l.HashListpackEntries = 5 << seed
			l.HashListpackValue = 8 << (seed % 5)
			h := &memberHome{}
			var root []byte
			h.encoding, root = EmptyHash(&l)
			h.root = append(h.root, root...)
			model := map[string]modelMember{}
			for step := range 3000 {
				now := int64(step)
				hash := HashOf(h, &l, now)
				field := fmt.Sprint("f", r.IntN(4<<seed))
				if r.IntN(200) == 0 {
					field = randomText(r, 500)
				}
				m, there := model[field]
				alive := there && (m.deadline == 0 || m.deadline > now)
				changes := h.changes
				switch r.IntN(8) {
				case 0, 1, 2:
					m := modelMember{value: randomText(r, 20)}
					if len(m.value) > 300 {
						m.value = "x"
					}
					if seed%2 == 1 && r.IntN(4) == 0 {
						m.deadline = now + 1 + r.Int64N(1000)
					}
					if created := hash.Set([]byte(field), []byte(m.value), m.deadline); created == there {
						t.Fatalf("step %d: Set says created %v", step, created)
					}
					model[field] = m
				case 3:
					if !there {
						break
					}
					m.deadline = 0
					if seed%2 == 1 && r.IntN(2) == 0 {
						m.deadline = now + 1 + r.Int64N(1000)
					}
					hash.Expire([]byte(field), m.deadline)
					model[field] = m
				case 4, 5:
					if removed := hash.Delete([]byte(field)); removed != there {
						t.Fatalf("step %d: Delete says %v", step, removed)
					}
					if !there && h.changes != changes {
						t.Fatalf("step %d: a change was told that did not happen", step)
					}
					delete(model, field)
				case 6:
					budget := 1 + r.IntN(3)
					due := 0
					for _, m := range model {
						if m.deadline != 0 && m.deadline <= now {
							due++
						}
					}
					removed := 0
					left := ExpireMembers(h, Hash, now, budget, func(member Element) {
						text := string(member.Append(nil))
						m, ok := model[text]
						if !ok || m.deadline == 0 || m.deadline > now {
							t.Fatalf("step %d: %.20q expires", step, text)
						}
						delete(model, text)
						removed++
					})
					if removed != min(due, budget) || left != len(model) {
						t.Fatalf("step %d: %d of %d expire, %d are left of %d", step, removed, due, left, len(model))
					}
					if removed == 0 && h.changes != changes {
						t.Fatalf("step %d: a change was told that did not happen", step)
					}
				default:
					value, deadline, ok := hash.Get([]byte(field))
					if ok != alive || deadline != m.deadline || ok && string(value.Append(nil)) != m.value {
						t.Fatalf("step %d: Get(%.20q) is %.20q %d %v, want %v", step, field, value.Append(nil), deadline, ok, m)
					}
				}
				if step%17 == 0 {
					compareHash(t, h, &l, now, model)
				}
			}
			compareHash(t, h, &l, 0, model)
			hash := HashOf(h, &l, 0)
			for field := range model {
				hash.Delete([]byte(field))
			}
			compareHash(t, h, &l, 0, nil)
			h.empty(t)
		})
	}
}

// compareHash compares everything that reads a hash with the model.
func compareHash(t *testing.T, h *memberHome, l *Limits, now int64, model map[string]modelMember) {
	t.Helper()
	hash := HashOf(h, l, now)
	if hash.Len() != len(model) {
		t.Fatalf("%d fields in %v, want %d", hash.Len(), h.encoding, len(model))
	}
	if hash.large() {
		hash.dict.check()
	}
	alive, first := 0, int64(0)
	for field, m := range model {
		value, deadline, ok := hash.find([]byte(field))
		if !ok || deadline != m.deadline || string(value.Append(nil)) != m.value {
			t.Fatalf("%.20q is %.20q %d %v, want %v", field, value.Append(nil), deadline, ok, m)
		}
		if !hash.gone(m.deadline) {
			alive++
		}
		if m.deadline != 0 && (first == 0 || m.deadline < first) {
			first = m.deadline
		}
	}
	if h.deadline != first {
		t.Fatalf("the home says that the first field expires at %d, want %d", h.deadline, first)
	}
	each := map[string]bool{}
	hash.Each(func(field, value Element, deadline int64) bool {
		text := string(field.Append(nil))
		if m := model[text]; m.deadline != deadline || m.value != string(value.Append(nil)) || hash.gone(deadline) {
			t.Fatalf("Each visits %.20q", text)
		}
		each[text] = true
		return true
	})
	for _, want := range []struct{ fields, values bool }{{true, true}, {true, false}, {false, true}} {
		var fast, slow resp.Writer
		n := hash.Reply(&fast, want.fields, want.values)
		hash.Each(func(field, value Element, _ int64) bool {
			if want.fields {
				field.Reply(&slow)
			}
			if want.values {
				value.Reply(&slow)
			}
			return true
		})
		if n != alive || string(fast.Buf) != string(slow.Buf) {
			t.Fatalf("Reply(%v) of %d fields is %.80q, want %.80q", want, n, fast.Buf, slow.Buf)
		}
	}
	scanned := map[string]bool{}
	for cursor := uint64(0); ; {
		cursor = hash.Scan(cursor, 3, func(field, _ Element) { scanned[string(field.Append(nil))] = true })
		if cursor == 0 {
			break
		}
	}
	if len(each) != alive || len(scanned) != alive {
		t.Fatalf("Each visits %d, Scan %d, want %d", len(each), len(scanned), alive)
	}
	ranked := map[string]bool{}
	for rank := range hash.Len() {
		field, value, deadline := hash.At(rank)
		text := string(field.Append(nil))
		if m, ok := model[text]; !ok || m.deadline != deadline || m.value != string(value.Append(nil)) {
			t.Fatalf("At(%d) is %.20q", rank, text)
		}
		ranked[text] = true
	}
	if len(ranked) != len(model) {
		t.Fatalf("At finds %d, want %d", len(ranked), len(model))
	}
}

// The encodings, and the limits at which they change.
func TestHashEncodings(t *testing.T) {
	l := DefaultLimits
	l.HashListpackEntries, l.HashListpackValue = 300, 10
	fresh := func() *memberHome {
		e, root := EmptyHash(&l)
		return &memberHome{encoding: e, root: append([]byte(nil), root...)}
	}
	f := func(h *memberHome, want Encoding) {
		t.Helper()
		if h.encoding != want {
			t.Errorf("the encoding is %v, want %v", h.encoding, want)
		}
		hash := HashOf(h, &l, 0)
		for i := range hash.Len() {
			hash.At(i)
		}
	}
	h := fresh()
	hash := HashOf(h, &l, 0)
	for i := range 300 {
		hash.Set(fmt.Append(nil, i), []byte("0123456789"), 0)
	}
	f(h, Listpack)
	hash.Set([]byte("0"), []byte("x"), 0)
	f(h, Listpack)
	hash.Expire([]byte("299"), 5)
	f(h, ListpackEx)
	hash.Expire([]byte("299"), 0)
	f(h, ListpackEx)
	hash.Set([]byte("one more"), nil, 0)
	f(h, Hashtable)
	h = fresh()
	hash = HashOf(h, &l, 0)
	hash.Set([]byte("a"), []byte("b"), 7)
	f(h, ListpackEx)
	hash.Set([]byte("a"), []byte("0123456789x"), 7)
	f(h, Hashtable)
	if h.deadline != 7 {
		t.Error("the deadline is lost in the conversion")
	}
	// Packed at once, a hash is the same as field by field.
	texts := func(words ...string) (all [][]byte) {
		for _, word := range words {
			all = append(all, []byte(word))
		}
		return all
	}
	pack := func(want bool, words ...string) {
		t.Helper()
		root, ok := PackHash(&l, texts(words...))
		if ok != want {
			t.Fatalf("%q is packed at once: %v", words, ok)
		}
		h := fresh()
		hash := HashOf(h, &l, 0)
		for i := 0; i < len(words); i += 2 {
			hash.Set([]byte(words[i]), []byte(words[i+1]), 0)
		}
		if ok && string(root) != string(h.root) {
			t.Fatalf("%q packs as %q, want %q", words, root, h.root)
		}
	}
	pack(true, "a", "1", "", "", "3", "-77777")
	pack(false, "a", "1", "b", "2", "a", "3")
	pack(false, "a", "0123456789x")
	pack(false, slices.Repeat([]string{"a", "b"}, packAtOnceMax+1)...)
	// What a small hash costs beside its payload: a byte per string, and one.
	h = fresh()
	hash = HashOf(h, &l, 0)
	for i := range 10 {
		hash.Set(fmt.Append(nil, "field", i), fmt.Append(nil, "value", i), 0)
	}
	if len(h.root) != 1+10*(2+12) {
		t.Errorf("a hash of 10 fields takes %d bytes", len(h.root))
	}
}
