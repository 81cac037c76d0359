package object

// removeAt takes out the members at the given places in the order of hashes,
// which ascend: one by one if they are few, otherwise by making leaves anew of
// those that stay, in a time that depends on the number of all and not of those.
func (d *dict) removeAt(places []int) {
	if len(places) < d.len()/rebuildShare {
		for i := len(places) - 1; i >= 0; i-- {
			c, at := d.place(places[i])
			d.cut(&c, at)
		}
		return
	}
	old := d.members
	d.members = Tree{arena: old.arena}
	fresh := dictBuilder{dict: d}
	place := 0
	for c := old.First(); c.Valid(); c.Next() {
		for p := old.Leaf(c.Leaf()); len(p) > 0; place++ {
			size := d.itemLen(p)
			if len(places) > 0 && places[0] == place {
				places = places[1:]
				if it, _ := d.unpack(p); it.deadline != 0 {
					d.noteDeadline(it.hash, it.deadline, 0)
				}
			} else {
				fresh.add(p[:size])
			}
			p = p[size:]
		}
	}
	fresh.flush()
	for old.FreeSome(freeLeaves) {
	}
}

const (
	// rebuildShare is which part of a dict has to go before it is made anew.
	rebuildShare = 4
	freeLeaves   = 256
)

// A dictBuilder fills an empty dict with items that come in order: its leaves are
// full. What was added is there after flush.
type dictBuilder struct {
	dict  *dict
	leaf  [dictLeafMax]byte
	used  int
	count int
}

// add appends a stored item, whose deadline, if it has one, is already noted.
func (b *dictBuilder) add(item []byte) {
	if b.used+len(item) > len(b.leaf) {
		b.flush()
	}
	if len(item) > len(b.leaf) {
		b.append(item, 1)
		return
	}
	b.used += copy(b.leaf[b.used:], item)
	b.count++
}

func (b *dictBuilder) flush() {
	if b.count > 0 {
		b.append(b.leaf[:b.used], b.count)
		b.used, b.count = 0, 0
	}
}

func (b *dictBuilder) append(items []byte, count int) {
	t := &b.dict.members
	ref := t.NewLeaf(len(items), 0)
	copy(t.Leaf(ref), items)
	t.Append(ref, b.dict.keyOf(items), count)
}
