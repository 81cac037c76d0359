package object

import (
	"fmt"
	"testing"
)

// A path ends at the leaf with its member, whatever the collection has gone through.
func TestPaths(t *testing.T) {
	const members = 20_000
	name := func(i int) []byte { return fmt.Appendf(nil, "member:%d", i) }
	check := func(h *memberHome, typ Type, tree func() *Tree, has func(leaf []byte, member []byte) bool) {
		t.Helper()
		p, ok := PathIn(typ, h.encoding, h.root, h.Nodes())
		if !ok {
			t.Fatal("no paths in a large ", typ)
		}
		for i := range members {
			to := p.To(name(i))
			for to.Touch(); to.Depth() > 0; to.Touch() {
				to.Step()
			}
			if leaf := tree().Leaf(to.ref); !has(leaf, name(i)) {
				t.Fatalf("the path to %q of a %v leads elsewhere", name(i), typ)
			}
		}
	}
	for _, values := range []bool{true, false} {
		h := &memberHome{}
		d := newDict(h, values)
		for i := range 2 * members {
			d.put(name(i), []byte("value"), 0)
		}
		for i := members; i < 2*members; i++ {
			d.remove(name(i))
		}
		d.save()
		typ := Set
		if values {
			typ = Hash
		}
		check(h, typ, func() *Tree { return &d.members }, func(leaf, member []byte) bool {
			_, found := d.search(leaf, memberHash(member), ElementOf(member))
			return found
		})
	}
	h := &memberHome{encoding: Skiplist, root: make([]byte, 2*TreeStateBytes)}
	z := ZSetOf(h, &DefaultLimits)
	for i := range members {
		z.Add(name(i), float64(i%100))
	}
	check(h, ZSet, func() *Tree { return &z.byMember }, func(leaf, member []byte) bool {
		key := Key{Hi: uint64(memberHash(member))}
		at := searchMember(leaf, key)
		return at < len(leaf) && memberKey(leaf[at:]).Hi == key.Hi
	})
	for _, small := range []*memberHome{{encoding: Listpack, root: []byte{0}}, {encoding: Hashtable, root: make([]byte, 2*TreeStateBytes)}} {
		if _, ok := PathIn(Set, small.encoding, small.root, small.Nodes()); ok {
			t.Error("paths in a small set")
		}
	}
}
