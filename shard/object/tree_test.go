package object

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hyperkv/shard/ds"
)

// modelLeaf is what the model remembers of a leaf: id is written into it.
type modelLeaf struct {
	id    uint64
	key   Key
	count int
}

// A Tree against a slice of leaves, under random changes.
func TestTreeModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var arena ds.Arena
			defer arena.Close()
			tree := Tree{arena: &arena}
			var model []modelLeaf
			ids := uint64(0)
			make := func(key Key) (ds.Ref, modelLeaf) {
				ids++
				ref := tree.NewLeaf(8, r.IntN(50))
				binary.LittleEndian.PutUint64(tree.Leaf(ref), ids)
				return ref, modelLeaf{ids, key, 1 + r.IntN(40)}
			}
			idOf := func(ref ds.Ref) uint64 { return binary.LittleEndian.Uint64(tree.Leaf(ref)) }
			// Keys are even; twins share theirs, and are told apart by id.
			spread := uint64(1 << (4 + 6*seed))
			steps := 6000
			for step := range steps {
				grow := 3
				if step > steps/2 {
					grow = 1
				}
				switch op := r.IntN(grow + 3); {
				case op < grow || len(model) == 0:
					key := Key{Hi: r.Uint64N(spread) * 2, Lo: r.Uint64N(2)}
					if len(model) == 0 {
						ref, m := make(key)
						tree.Append(ref, key, m.count)
						model = append(model, m)
						break
					}
					c := tree.Seek(key, func(ds.Ref) int { return -1 }) // behind all equals
					at := 0
					for i, m := range model {
						if !key.Less(m.key) {
							at = i
						}
					}
					if got := idOf(c.Leaf()); got != model[at].id {
						t.Fatalf("step %d: Seek(%v) finds %d, want %d", step, key, got, model[at].id)
					}
					ref, m := make(key)
					if key.Less(model[0].key) && at == 0 {
						// Before the first: it takes that leaf's place, which moves behind.
						first := model[0]
						old := c.Leaf()
						c.Set(ref, key, m.count)
						c.InsertAfter(old, first.key, first.count)
						model = slices.Insert(model, 0, m)
						break
					}
					c.InsertAfter(ref, key, m.count)
					if got := idOf(c.Leaf()); got != m.id {
						t.Fatalf("step %d: the cursor is at %d after inserting %d", step, got, m.id)
					}
					model = slices.Insert(model, at+1, m)
				case op == grow:
					at := r.IntN(len(model))
					c := tree.First()
					for range at {
						c.Next()
					}
					model[at].count = 1 + r.IntN(60)
					c.Set(c.Leaf(), model[at].key, model[at].count)
				default:
					at := r.IntN(len(model))
					rank := 0
					for _, m := range model[:at] {
						rank += m.count
					}
					within := r.IntN(model[at].count)
					c, offset := tree.AtRank(rank + within)
					if offset != within || idOf(c.Leaf()) != model[at].id || c.Rank() != rank || c.Count() != model[at].count {
						t.Fatalf("step %d: AtRank(%d) is wrong", step, rank+within)
					}
					tree.FreeLeaf(c.Leaf())
					c.Remove()
					model = slices.Delete(model, at, at+1)
				}
				if step%97 != 0 && step != steps-1 {
					continue
				}
				i := 0
				tree.check(func(ref ds.Ref, key Key, count int) {
					if m := model[i]; idOf(ref) != m.id || key != m.key || count != m.count {
						t.Fatalf("step %d: leaf %d is %d %v %d, want %v", step, i, idOf(ref), key, count, m)
					}
					i++
				})
				if i != len(model) {
					t.Fatalf("step %d: %d leaves, want %d", step, i, len(model))
				}
				if len(model) > 0 {
					for c := tree.Last(); ; {
						i--
						if idOf(c.Leaf()) != model[i].id {
							t.Fatal("backwards is another way")
						}
						if !c.Prev() {
							break
						}
					}
				}
				state := [TreeStateBytes]byte{}
				tree.Save(state[:])
				if back := LoadTree(&arena, state[:]); back != tree {
					t.Fatal("the state is not what was saved")
				}
			}
			var other ds.Arena
			defer other.Close()
			twin := Tree{arena: &other}
			twin.CopyFrom(&tree)
			twin.check(func(ds.Ref, Key, int) {})
			if twin.Len() != tree.Len() {
				t.Fatal("a copy has another length")
			}
			for tree.FreeSome(10) {
			}
			tree.check(nil)
			if arena.Stats().Objects != 0 || arena.Bytes() != 0 {
				t.Fatalf("%d objects are left", arena.Stats().Objects)
			}
		})
	}
}

// Splice against a slice of bytes.
func TestSpliceModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var arena ds.Arena
	defer arena.Close()
	tree := Tree{arena: &arena}
	ref := tree.NewLeaf(0, 0)
	var model []byte
	for step := range 4000 {
		at := r.IntN(len(model) + 1)
		old := r.IntN(len(model) - at + 1)
		fresh := r.IntN(1 << r.IntN(8))
		if step%500 == 499 {
			fresh = r.IntN(200 << 10)
		}
		if len(model) > 300<<10 {
			old = len(model) - at
		}
		text := make([]byte, fresh)
		for i := range text {
			text[i] = byte(r.Uint32())
		}
		var gap []byte
		ref, gap = tree.Splice(ref, at, old, fresh)
		copy(gap, text)
		model = slices.Replace(model, at, at+old, text...)
		if string(tree.Leaf(ref)) != string(model) {
			t.Fatalf("step %d: the leaf differs", step)
		}
		if tree.bytes != arena.Occupied(ref) {
			t.Fatalf("step %d: %d bytes are counted, %d occupied", step, tree.bytes, arena.Occupied(ref))
		}
	}
}

func TestElements(t *testing.T) {
	f := func(text string, packed int) {
		t.Helper()
		e := ElementOf([]byte(text))
		p := e.AppendPacked([]byte("x"))[1:]
		if len(p) != packed || e.PackedSize() != packed || PackedLen(p) != packed {
			t.Errorf("%.20q packs into %d bytes, want %d", text, len(p), packed)
		}
		back, size := Unpack(append(p, "behind"...))
		if size != packed || string(back.Append(nil)) != text || back.Len() != len(text) || !back.Is(e) || !e.PackedIs(p) || back.Compare(e) != 0 {
			t.Errorf("%.20q comes back as %.20q of %d", text, back.Append(nil), size)
		}
		if string(back.Bytes(make([]byte, 0, 20))) != text {
			t.Errorf("%.20q has the bytes %.20q", text, back.Bytes(nil))
		}
	}
	f("", 1)
	f("0", 1)
	f("127", 1)
	f("128", 2)
	f("-1", 2)
	f("-4096", 2)
	f("4095", 2)
	f("4096", 3)
	f("-32768", 3)
	f("32768", 4)
	f("-8388608", 4)
	f("8388608", 5)
	f("-2147483648", 5)
	f("2147483648", 9)
	f("9223372036854775807", 9)
	f("-9223372036854775808", 9)
	f("9223372036854775808", 20)
	f("-0", 3)
	f("01", 3)
	f("+1", 3)
	f("a", 2)
	f(string(make([]byte, 63)), 64)
	f(string(make([]byte, 64)), 66)
	f(string(make([]byte, 4095)), 4097)
	f(string(make([]byte, 4096)), 4101)
}
