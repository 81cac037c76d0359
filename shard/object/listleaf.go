package object

import (
	"encoding/binary"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// How a list makes room in its root and in its leaves. Both are changed at the end
// that is nearer, and both keep what they have to spare where it was last needed.

// listFirst is where the entries begin, as the header says.
func listFirst(header []byte) int { return int(binary.LittleEndian.Uint16(header)) }

func setListFirst(header []byte, at int) { binary.LittleEndian.PutUint16(header, uint16(at)) }

// count counts elements of a packed list.
func (l *ListView) count(delta int) {
	root := l.home.Root()
	binary.LittleEndian.PutUint16(root, uint16(int(binary.LittleEndian.Uint16(root))+delta))
}

// rootAt is where in the root the entry with the given number begins.
func (l *ListView) rootAt(number int) int {
	root := l.home.Root()
	at := listFirst(root[2:])
	return at + entryAt(root[at:], l.Len(), number)
}

// openRoot makes the old bytes at a place of the root as many as fresh says, and
// returns them.
func (l *ListView) openRoot(at, old, fresh int) []byte {
	root := l.home.Root()
	begin, end := listFirst(root[2:]), len(root)
	content, more := end-begin, fresh-old
	gap := begin - listRootHeader
	nearFront := at-begin < end-at-old
	switch {
	case more == 0:
	case more <= gap && nearFront && gap-more <= listGapMax:
		copy(root[begin-more:], root[begin:at])
		setListFirst(root[2:], begin-more)
		if gap-more > (content+more)/2+listGapMin {
			return l.closeGap(at-more, fresh)
		}
		return root[at-more : at-more+fresh]
	case more > 0 && at == begin && content >= listGapMin:
		// It will grow here again: an eighth more makes that cheap.
		gap = min(content/8, listGapMax)
		root = l.home.Resize(end - begin + listRootHeader + gap + more)
		copy(root[listRootHeader+gap+more:], root[begin:end])
		setListFirst(root[2:], listRootHeader+gap)
		return root[listRootHeader+gap:][:fresh]
	case more > 0:
		root = l.home.Resize(end + more)
		copy(root[at+fresh:], root[at+old:end])
	default:
		copy(root[at+fresh:], root[at+old:])
		root = l.home.Resize(end + more)
	}
	return root[at : at+fresh]
}

// closeGap moves the entries of the root to its beginning. It returns n bytes that
// were at a place before.
func (l *ListView) closeGap(at, n int) []byte {
	root := l.home.Root()
	by := listFirst(root[2:]) - listRootHeader
	copy(root[listRootHeader:], root[listRootHeader+by:])
	setListFirst(root[2:], listRootHeader)
	root = l.home.Resize(len(root) - by)
	return root[at-by : at-by+n]
}

// run is the entries of a leaf, which is not plain.
func (l *ListView) run(ref ds.Ref) []byte {
	leaf := l.tree.Leaf(ref)
	invariant.Assert(plainSize(leaf) == 0, "a plain leaf is taken for another")
	return leaf[listFirst(leaf):]
}

// A listRun is some elements of a list that stand behind each other, borrowed: entries,
// or, if size is not 0, texts that are all size long.
type listRun struct {
	bytes []byte
	size  int
}

func (l *ListView) leafRun(ref ds.Ref) listRun {
	leaf := l.tree.Leaf(ref)
	if size := plainSize(leaf); size > 0 {
		return listRun{leaf[listLeafHeader:], size}
	}
	return listRun{leaf[listFirst(leaf):], 0}
}

// part is the elements of a run of count from one number up to another.
func (r listRun) part(count, from, to int) listRun {
	if r.size > 0 {
		return listRun{r.bytes[from*r.size : to*r.size], r.size}
	}
	return listRun{r.bytes[entryAt(r.bytes, count, from):entryAt(r.bytes, count, to)], 0}
}

// has tells whether a plain run has e from a number on.
func (r listRun) has(e Element, from int) bool {
	for at := from * r.size; at < len(r.bytes); at += r.size {
		if e.isText(r.bytes[at : at+r.size]) {
			return true
		}
	}
	return false
}

// entriesBytes is how long a run of count is as entries.
func (r listRun) entriesBytes(count int) int {
	if r.size > 0 {
		return count * (r.size + 2)
	}
	return len(r.bytes)
}

// appendEntries appends the run as entries.
func (r listRun) appendEntries(dst []byte) []byte {
	if r.size == 0 {
		return append(dst, r.bytes...)
	}
	for run := r.bytes; len(run) > 0; run = run[r.size:] {
		dst = append(dst, pack6BitText|byte(r.size))
		dst = append(dst, run[:r.size]...)
		dst = append(dst, byte(r.size+1))
	}
	return dst
}

const (
	// plainLeaf is set in the header of a plain leaf, beside the length of its texts.
	plainLeaf = 1 << 15
	// plainMin is how many elements a leaf must have to become a plain one.
	plainMin = 8
)

// plainSize is how long the texts of a plain leaf are, 0 if the leaf is not one.
func plainSize(leaf []byte) int {
	if h := binary.LittleEndian.Uint16(leaf); h&plainLeaf != 0 {
		return int(h &^ plainLeaf)
	}
	return 0
}

// evenSize is how long the texts are, if all count entries of a run are short texts of
// one length, and otherwise 0.
func evenSize(run []byte, count int) int {
	head := run[0]
	size := int(head &^ pack6BitText)
	if head <= pack6BitText || head >= pack13BitInt || count < plainMin || len(run) != count*(size+2) {
		return 0
	}
	for at := 0; at < len(run); at += size + 2 {
		if run[at] != head {
			return 0
		}
	}
	return size
}

// seal takes from a leaf that is full, at one end, what it does not need. A leaf that
// becomes plain may leave some elements at that end to another, which the cursor is
// moved to then: so many that it fills its memory.
func (l *ListView) seal(c *Cursor, front bool) (another bool) {
	t, old, count := &l.tree, c.Leaf(), c.Count()
	run := l.run(old)
	size := evenSize(run, count)
	if size == 0 {
		if exact := ds.SlotBytes(leafHeader + listLeafHeader + len(run)); exact < t.arena.Room(old) {
			l.move(c, 0, false)
		}
		return false
	}
	kept := count
	bytesOf := func(n int) int { return ds.SlotBytes(leafHeader + listLeafHeader + n*size) }
	for n := count - 1; n >= count-count/16; n-- {
		if bytesOf(n)*kept < bytesOf(kept)*n {
			kept = n
		}
	}
	from, rest := 0, run[kept*(size+2):]
	if front {
		from = count - kept
		rest = run[:from*(size+2)]
	}
	ref := t.NewLeaf(listLeafHeader+kept*size, 0)
	leaf := t.Leaf(ref)
	binary.LittleEndian.PutUint16(leaf, plainLeaf|uint16(size))
	for i := range kept {
		copy(leaf[listLeafHeader+i*size:], run[(from+i)*(size+2)+1:][:size])
	}
	c.Set(ref, Key{}, kept)
	if len(rest) > 0 {
		other := l.newLeaf(rest, nil, nil, listSpareMin(len(rest)), front)
		if front {
			l.insertBefore(c, other, count-kept)
			c.Prev()
		} else {
			c.InsertAfter(other, Key{}, count-kept)
		}
	}
	t.FreeLeaf(old)
	return len(rest) > 0
}

// unfold makes an ordinary leaf of the cursor's, if that is plain. It fits: it was one.
func (l *ListView) unfold(c *Cursor) {
	r := l.leafRun(c.Leaf())
	if r.size == 0 {
		return
	}
	t, old, count := &l.tree, c.Leaf(), c.Count()
	ref := t.NewLeaf(listLeafHeader+r.entriesBytes(count), 0)
	leaf := t.Leaf(ref)
	setListFirst(leaf, listLeafHeader)
	r.appendEntries(leaf[:listLeafHeader])
	c.Set(ref, Key{}, count)
	t.FreeLeaf(old)
}

// room is how many bytes a leaf can hold where it is, its header included.
func (l *ListView) room(ref ds.Ref) int { return l.tree.arena.Room(ref) - leafHeader }

// spare is how much room to give a leaf beyond n bytes of entries: an eighth of
// the list, so that little of it is unused, and as much again, so that it rarely moves.
func (l *ListView) spare(n int) int {
	if n > listLeafMax {
		return 0
	}
	room := min(max(2*n, l.tree.bytes/8), listLeafRoom)
	return max(room-listLeafHeader-n, 0)
}

// listSpareMin is the room to give the first n bytes of a leaf that will grow.
func listSpareMin(n int) int { return max(listRoomMin-listLeafHeader-n, 0) }

// An edge is the way to the first or the last leaf of a tree: what a cursor is,
// for changes that leave the nodes as they are.
type edge [levelsMax]*branch

// find returns the leaf at one end of a tree, which is not empty.
func (p *edge) find(t *Tree, front bool) ds.Ref {
	ref := t.root
	for level := range t.depth {
		n := t.node(ref)
		at := 0
		if !front {
			at = n.count() - 1
		}
		b := n.entry(at)
		p[level] = b
		ref = b.child
	}
	return ref
}

// count is how many elements the leaf has.
func (p *edge) count(t *Tree) int { return int(p[t.depth-1].count) }

// add counts elements of the leaf.
func (p *edge) add(t *Tree, delta int) {
	for _, b := range p[:t.depth] {
		b.count = uint32(int(b.count) + delta)
	}
	t.count += delta
}

// fits tells whether a leaf has room for size more bytes at one end as it is.
func (l *ListView) fits(ref ds.Ref, size int, front bool) bool {
	leaf := l.tree.Leaf(ref)
	if plainSize(leaf) > 0 {
		return false
	}
	begin, end := listFirst(leaf), len(leaf)
	if front {
		return begin-size >= listLeafHeader && end-begin+size <= listLeafMax
	}
	return end+size <= min(l.room(ref), listLeafRoom)
}

// extend returns size more bytes at one end of a leaf that has room for them.
func (l *ListView) extend(ref ds.Ref, size int, front bool) []byte {
	leaf := l.tree.Leaf(ref)
	if front {
		begin := listFirst(leaf)
		setListFirst(leaf, begin-size)
		return leaf[begin-size : begin]
	}
	end := len(leaf)
	l.tree.setUsed(ref, end+size)
	return l.tree.Leaf(ref)[end:]
}

// cut takes the entry at one end of a leaf away, which is not its only one.
func (l *ListView) cut(ref ds.Ref, front bool) {
	leaf := l.tree.Leaf(ref)
	if front {
		begin := listFirst(leaf)
		setListFirst(leaf, begin+entryLen(leaf[begin:]))
		return
	}
	l.tree.setUsed(ref, entryBefore(leaf, len(leaf)))
}

// newLeaf makes a leaf of the entries before, of e, if there is one, and of the
// entries behind, with room to spare at one end.
func (l *ListView) newLeaf(before []byte, e *Element, behind []byte, spare int, front bool) ds.Ref {
	size := 0
	if e != nil {
		size = e.entrySize()
	}
	t := &l.tree
	begin, n := listLeafHeader, len(before)+size+len(behind)
	ref := t.NewLeaf(begin+n, spare)
	if front && spare > 0 {
		room := l.room(ref)
		begin = room - n
		t.setUsed(ref, room)
	}
	leaf := t.Leaf(ref)
	setListFirst(leaf, begin)
	at := begin + copy(leaf[begin:], before)
	if size > 0 {
		e.putEntry(leaf[at : at+size])
	}
	copy(leaf[at+size:], behind)
	return ref
}

// move gives the cursor's leaf other memory, with room to spare at one end.
func (l *ListView) move(c *Cursor, spare int, front bool) {
	old := c.Leaf()
	c.Set(l.newLeaf(l.run(old), nil, nil, spare, front), Key{}, c.Count())
	l.tree.FreeLeaf(old)
}

// drop removes the cursor's leaf.
func (l *ListView) drop(c *Cursor) {
	l.tree.FreeLeaf(c.Leaf())
	c.Remove()
}

// insertBefore adds a leaf in front of the cursor's.
func (l *ListView) insertBefore(c *Cursor, leaf ds.Ref, count int) {
	old, n := c.Leaf(), c.Count()
	c.Set(leaf, Key{}, count)
	c.InsertAfter(old, Key{}, n)
}

// openEnd returns size more bytes at one end of the cursor's leaf, or of another there
// that the cursor is moved to, or nil if they do not fit; what the leaf has to spare is
// given back then.
func (l *ListView) openEnd(c *Cursor, size int, front bool) []byte {
	leaf := l.tree.Leaf(c.Leaf())
	if plainSize(leaf) > 0 {
		return nil
	}
	begin, end := listFirst(leaf), len(leaf)
	need := end - begin + size
	if need > listLeafMax {
		if size > listLeafMax/2 || !l.seal(c, front) {
			return nil
		}
		need = len(l.run(c.Leaf())) + size
	}
	if !l.fits(c.Leaf(), size, front) {
		l.move(c, l.spare(need)+size, front)
	}
	return l.extend(c.Leaf(), size, front)
}

// open makes the old bytes at a place in the run of the cursor's leaf as many as
// fresh says, and returns them, or nil if the leaf is too small or would be too
// large. A change that shortens the leaf does not fail.
func (l *ListView) open(c *Cursor, at, old, fresh int) []byte {
	t := &l.tree
	ref := c.Leaf()
	leaf := t.Leaf(ref)
	begin, end := listFirst(leaf), len(leaf)
	at += begin
	more := fresh - old
	fitsFront, fitsBack := begin-more >= listLeafHeader, end+more <= l.room(ref)
	switch {
	case end-begin+more > listLeafMax || !fitsFront && !fitsBack:
		return nil
	case fitsFront && (at-begin < end-at-old || !fitsBack):
		copy(leaf[begin-more:], leaf[begin:at])
		setListFirst(leaf, begin-more)
		return leaf[at-more : at-more+fresh]
	}
	if more > 0 {
		t.setUsed(ref, end+more)
		leaf = t.Leaf(ref)
	}
	copy(leaf[at+fresh:], leaf[at+old:end])
	t.setUsed(ref, end+more)
	return leaf[at : at+fresh]
}

// replace puts e in the place of old entries, one or none, from the one with the
// given number in the cursor's leaf on.
func (l *ListView) replace(c *Cursor, number, old int, e Element) {
	l.unfold(c)
	t := &l.tree
	run, count := l.run(c.Leaf()), c.Count()
	at := entryAt(run, count, number)
	end, size := at, e.entrySize()
	if old > 0 {
		end += entryLen(run[at:])
	}
	if l.room(c.Leaf()) <= listLeafRoom {
		hole := l.open(c, at, end-at, size)
		if need := len(run) - (end - at) + size; hole == nil && need <= listLeafMax {
			l.move(c, l.spare(need)+max(size-(end-at), 0), false)
			hole = l.open(c, at, end-at, size)
		}
		if hole != nil {
			e.putEntry(hole)
			c.add(1 - old)
			return
		}
	}
	if number+old == 0 {
		// Between two leaves: the one before may have room.
		if prev := *c; prev.Prev() {
			if hole := l.openEnd(&prev, size, false); hole != nil {
				e.putEntry(hole)
				prev.add(1)
				return
			}
		}
		l.insertBefore(c, l.newLeaf(nil, &e, nil, l.spare(size), false), 1)
		return
	}
	// The leaf becomes up to three.
	leaf := c.Leaf()
	type piece struct {
		ref   ds.Ref
		count int
	}
	var pieces [3]piece
	n := 0
	add := func(before []byte, e *Element, behind []byte, count int) {
		if count > 0 {
			pieces[n] = piece{l.newLeaf(before, e, behind, 0, false), count}
			n++
		}
	}
	left, right := run[:at], run[end:]
	lefts, rights := number, count-number-old
	switch {
	case size > listLeafMax/2:
		add(left, nil, nil, lefts)
		add(nil, &e, nil, 1)
		add(right, nil, nil, rights)
	case len(left) >= len(right):
		add(left, nil, nil, lefts)
		add(nil, &e, right, 1+rights)
	default:
		add(left, &e, nil, lefts+1)
		add(right, nil, nil, rights)
	}
	c.Set(pieces[0].ref, Key{}, pieces[0].count)
	for _, p := range pieces[1:n] {
		c.InsertAfter(p.ref, Key{}, p.count)
	}
	t.FreeLeaf(leaf)
}

// tidy gives back what the cursor's leaf does not need any more: it joins the leaf
// with a neighbour, or moves it. The cursor is no longer valid.
func (l *ListView) tidy(c *Cursor) {
	run := l.run(c.Leaf())
	if len(run) < listLeafMax/4 {
		left, right := *c, *c
		if left.Prev() && l.join(&left, c) || right.Next() && l.join(c, &right) {
			return
		}
	}
	if 2*len(run) < l.room(c.Leaf()) && l.room(c.Leaf()) > listRoomMin {
		l.move(c, len(run)/8, false)
	}
}

// join makes one leaf of two neighbours, unless it would be too full.
func (l *ListView) join(left, right *Cursor) bool {
	if l.leafRun(left.Leaf()).size > 0 || l.leafRun(right.Leaf()).size > 0 {
		return false // a plain leaf is full
	}
	a, b := l.run(left.Leaf()), l.run(right.Leaf())
	if len(a)+len(b) > listLeafMax*3/4 {
		return false
	}
	old := left.Leaf()
	left.Set(l.newLeaf(a, nil, b, 0, false), Key{}, left.Count()+right.Count())
	l.tree.FreeLeaf(old)
	l.drop(right)
	return true
}

// filterEntries takes up to limit entries that equal e out of a run. It returns how long
// the rest is and how many entries have gone.
func filterEntries(run []byte, e Element, limit int) (kept, gone int) {
	var short [64]byte
	needle := e.AppendPacked(short[:0])
	from := 0 // what was not copied yet
	for at := 0; at < len(run) && gone < limit; {
		n := entryLen(run[at:])
		if entryIs(run[at:], needle) {
			kept += copy(run[kept:], run[from:at])
			from = at + n
			gone++
		}
		at += n
	}
	kept += copy(run[kept:], run[from:])
	return kept, gone
}

// limit is up to which size and which length a list is packed; a size of 0 stands for none.
func (l *ListView) limit() (bytes, count int) {
	size := l.limits.ListListpackSize
	if size >= 0 {
		return 0, max(size, 1)
	}
	return 4096 << (min(-size, 5) - 1), 0
}

// listSafeBytes is what Redis allows a node that is limited by its length.
const listSafeBytes = 8192

// expect prepares a list for elements that are about to be added, of which Redis
// sees the bytes of their texts; as entries they are longer. A packed list becomes
// a tree when they are too much for it.
func (l *ListView) expect(count, texts, entries int) {
	if !l.packed {
		return
	}
	bytes, most := l.limit()
	total := l.Len() + count
	if most == 0 {
		most = listCountMax
	} else {
		bytes = listSafeBytes
	}
	root := l.home.Root()
	content := len(root) - listFirst(root[2:])
	if total > min(most, listCountMax) || listpackHeader+content+texts > bytes || content+entries > listOverdraft*bytes {
		l.spread()
	}
}

// spread makes a packed list a tree.
func (l *ListView) spread() {
	root := l.home.Root()
	run := root[listFirst(root[2:]):]
	for len(run) > 0 {
		n, count := 0, 0
		for n < len(run) {
			size := entryLen(run[n:])
			if n > 0 && n+size > listLeafMax {
				break
			}
			n += size
			count++
		}
		l.tree.Append(l.newLeaf(run[:n], nil, nil, 0, false), Key{}, count)
		run = run[n:]
	}
	l.home.Resize(TreeStateBytes)
	l.home.SetEncoding(Quicklist)
	l.packed = false
	l.save()
}

// shrink makes a tree a packed list again when it is half as large as it might be,
// so that it does not go to and fro.
func (l *ListView) shrink() {
	if l.packed || l.tree.depth != 1 {
		return // more than one level of nodes: far too large
	}
	bytes, count := l.limit()
	if count > 0 {
		if l.tree.Len() > count/2 {
			return
		}
		bytes = listSafeBytes
	} else {
		bytes /= 2
	}
	// Leaves are a quarter full on average, those at the ends excepted.
	if l.tree.bytes > 4*bytes+2*listLeafRoom || l.tree.Len() > listCountMax {
		return
	}
	content := 0
	for c := l.tree.First(); ; {
		content += l.leafRun(c.Leaf()).entriesBytes(c.Count())
		if content+listpackHeader > bytes {
			return
		}
		if !c.Next() {
			break
		}
	}
	total := l.tree.Len()
	root := make([]byte, listRootHeader, listRootHeader+content)
	binary.LittleEndian.PutUint16(root, uint16(total))
	setListFirst(root[2:], listRootHeader)
	l.pieces(0, total, false, func(r listRun) bool {
		root = r.appendEntries(root)
		return true
	})
	l.tree.FreeSome(total)
	copy(l.home.Resize(len(root)), root)
	l.home.SetEncoding(Listpack)
	l.packed = true
}
