package object

import (
	"encoding/binary"
	"slices"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard/ds"
)

// A dict is the large form of hashes and sets: members, in hashes each with a
// value, any of which may have a deadline.
//
//	root: members 24 │ deadlines 24
//
//	members:   tree by (hash, text)      leaf: item, item, item …
//	deadlines: tree by (deadline, hash)  leaf: what 10 bytes, what …
//
//	item:  hash 4 │ deadline 6, if it has one │ packed member │ packed value, in hashes
//	what:  deadline 6 │ hash 4
//
// A member is found by its hash: down the tree, and then along one leaf of at
// most dictLeafMax bytes, whose items are passed over without being looked at.
// The order is that of hashes, and of texts among equal hashes, so whoever picks
// texts whose hashes are equal slows down nothing but the expiry of these: a
// deadline leads to the hash, and from there one looks for the member. It is also
// a fixed order of all possible members, which is what cursors of HSCAN and SSCAN,
// and the merging of sets, rest on.
//
// A dict is what the root says, loaded; save writes it back after changes. None
// of its methods tells the home that it changes. Owned by the shard's turn.
type dict struct {
	home      Home
	members   Tree
	deadlines Tree
	values    bool // members have values: it is a hash
}

const (
	// dictLeafMax is how many bytes the items of a leaf take at most; one item that
	// is longer has a leaf to itself.
	dictLeafMax    = 512 - leafHeader
	dictLeafLow    = dictLeafMax / 4 // a leaf with less is merged if it fits a neighbour
	dictLeafMerged = dictLeafMax * 3 / 4

	hashBytes     = 4
	deadlineBytes = 6
	dueBytes      = deadlineBytes + hashBytes

	// MemberDeadlineMax is the latest time at which a member can expire, in Unix
	// milliseconds.
	MemberDeadlineMax = 1<<46 - 1

	// expires is set in the hash of a stored item that has a deadline.
	expires = 1
)

// memberHash is the hash of a member by its text: the upper half of the hash of
// keys, less the bit that says in items that they expire.
func memberHash(text []byte) uint32 { return uint32(ds.Hash(text)>>32) &^ expires }

// newDict makes the home, whose old content the caller has taken out, an empty
// dict.
func newDict(h Home, values bool) dict {
	clear(h.Resize(2 * TreeStateBytes))
	h.SetEncoding(Hashtable)
	return loadDict(h, values)
}

// loadDict reads the state of the dict that is in the home.
func loadDict(h Home, values bool) dict {
	root, nodes := h.Root(), h.Nodes()
	return dict{
		home:      h,
		members:   LoadTree(nodes, root),
		deadlines: LoadTree(nodes, root[TreeStateBytes:]),
		values:    values,
	}
}

// save writes the state back to the home.
func (d *dict) save() {
	root := d.home.Root()
	d.members.Save(root)
	d.deadlines.Save(root[TreeStateBytes:])
	d.home.SetMemberDeadline(d.earliest())
}

// len is how many members there are, expired ones included.
func (d *dict) len() int { return d.members.count }

// earliest is when the first member expires, or 0.
func (d *dict) earliest() int64 {
	if d.deadlines.depth == 0 {
		return 0
	}
	return int64(d.deadlines.node(d.deadlines.root).entry(0).key.Hi)
}

// A dictItem is one member with what belongs to it.
type dictItem struct {
	hash          uint32
	deadline      int64 // 0 for never
	member, value Element
}

func (d *dict) size(it *dictItem) int {
	n := hashBytes + it.member.PackedSize()
	if it.deadline != 0 {
		n += deadlineBytes
	}
	if d.values {
		n += it.value.PackedSize()
	}
	return n
}

func (d *dict) pack(it *dictItem, p []byte) {
	word, n := it.hash, hashBytes
	if it.deadline != 0 {
		word |= expires
		putDeadline(p[n:], it.deadline)
		n += deadlineBytes
	}
	binary.LittleEndian.PutUint32(p, word)
	n += it.member.Pack(p[n:])
	if d.values {
		it.value.Pack(p[n:])
	}
}

// unpack reads the item at the start of p, borrowed, and returns its size.
func (d *dict) unpack(p []byte) (it dictItem, size int) {
	word := binary.LittleEndian.Uint32(p)
	it.hash, size = word&^expires, hashBytes
	if word&expires != 0 {
		it.deadline = deadlineAt(p[size:])
		size += deadlineBytes
	}
	var n int
	it.member, n = Unpack(p[size:])
	size += n
	if d.values {
		it.value, n = Unpack(p[size:])
		size += n
	}
	return it, size
}

// itemLen is the size of the item at the start of p.
func (d *dict) itemLen(p []byte) int {
	n := memberAt(p)
	n += packedLen(p[n:])
	if d.values {
		n += packedLen(p[n:])
	}
	return n
}

// memberAt is where in an item its member begins.
func memberAt(p []byte) int { return hashBytes + int(p[0]&expires)*deadlineBytes }

// packedLen is PackedLen with a short way for short texts.
func packedLen(p []byte) int {
	if b := p[0]; b >= pack6BitText && b < pack13BitInt {
		return 1 + int(b&0x3f)
	}
	return PackedLen(p)
}

func putDeadline(p []byte, at int64) {
	binary.LittleEndian.PutUint32(p, uint32(at))
	binary.LittleEndian.PutUint16(p[4:], uint16(at>>32))
}

func deadlineAt(p []byte) int64 {
	return int64(binary.LittleEndian.Uint32(p)) | int64(binary.LittleEndian.Uint16(p[4:]))<<32
}

// descend finds the leaf where a member is or would be, in a dict that is not
// empty, and points c, a cursor of the members, at it, if c is not nil.
func (d *dict) descend(hash uint32, member Element, c *Cursor) ds.Ref {
	t := &d.members
	target, within := uint64(hash), everyHash
	ref := t.root
	for level := range t.depth {
		all := t.node(ref).all()
		i := within.place(all, target)
		for i > 0 && all[i].key.Hi == target && d.beginsAfter(t.leftmost(all[i].child, level+1), member) {
			i--
		}
		if c != nil {
			c.path[level] = step{ref, i}
		}
		within.narrow(all, i)
		ref = all[i].child
	}
	return ref
}

// beginsAfter tells whether the first item of a leaf comes after a member with the
// same hash.
func (d *dict) beginsAfter(ref ds.Ref, member Element) bool {
	leaf := d.members.Leaf(ref)
	first, _ := Unpack(leaf[memberAt(leaf):])
	return first.Compare(member) > 0
}

// search looks for a member in a leaf: it returns where it is, or where it would
// have to be.
func (d *dict) search(leaf []byte, hash uint32, member Element) (at int, found bool) {
	for at < len(leaf) {
		p := leaf[at:]
		if h := binary.LittleEndian.Uint32(p) &^ expires; h >= hash {
			if h > hash {
				return at, false
			}
			p = p[memberAt(p):]
			if member.PackedIs(p) {
				return at, true
			}
			if other, _ := Unpack(p); other.Compare(member) > 0 {
				return at, false
			}
		}
		at += d.itemLen(leaf[at:])
	}
	return at, false
}

// find points the cursor at the leaf where a member is or would be, and says where
// in the leaf. The cursor of an empty dict stays as it is.
func (d *dict) find(hash uint32, member Element, c *Cursor) (at int, found bool) {
	if d.members.depth == 0 {
		return 0, false
	}
	return d.search(d.members.Leaf(d.descend(hash, member, c)), hash, member)
}

// get finds a member. The value is borrowed.
func (d *dict) get(member []byte) (value Element, deadline int64, ok bool) {
	if d.members.depth == 0 {
		return value, 0, false
	}
	hash, e := memberHash(member), ElementOf(member)
	leaf := d.members.Leaf(d.descend(hash, e, nil))
	at, ok := d.search(leaf, hash, e)
	if !ok {
		return value, 0, false
	}
	it, _ := d.unpack(leaf[at:])
	return it.value, it.deadline, true
}

// put gives a member a value, which sets ignore, and a deadline, 0 for never. It
// must not be given bytes borrowed from the dict.
func (d *dict) put(member, value []byte, deadline int64) (existed bool) {
	invariant.Assert(deadline >= 0 && deadline <= MemberDeadlineMax, "a deadline out of range")
	it := dictItem{hash: memberHash(member), deadline: deadline, member: ElementOf(member)}
	if d.values {
		it.value = ElementOf(value)
	}
	if d.members.depth == 0 {
		ref := d.members.NewLeaf(d.size(&it), 0)
		d.pack(&it, d.members.Leaf(ref))
		d.members.Append(ref, Key{Hi: uint64(it.hash)}, 1)
		d.noteDeadline(it.hash, 0, deadline)
		return false
	}
	c := Cursor{tree: &d.members}
	at, existed := d.find(it.hash, it.member, &c)
	old, before := 0, int64(0)
	if existed {
		p := d.members.Leaf(c.Leaf())[at:]
		old = d.itemLen(p)
		if p[0]&expires != 0 {
			before = deadlineAt(p[hashBytes:])
		}
	}
	d.replace(&c, at, old, &it)
	d.noteDeadline(it.hash, before, deadline)
	return existed
}

// expire gives a member that is there another deadline.
func (d *dict) expire(member []byte, deadline int64) {
	invariant.Assert(deadline >= 0 && deadline <= MemberDeadlineMax, "a deadline out of range")
	hash := memberHash(member)
	c := Cursor{tree: &d.members}
	at, found := d.find(hash, ElementOf(member), &c)
	invariant.Assert(found, "a deadline for a member that is not there")
	leaf := d.members.Leaf(c.Leaf())
	it, size := d.unpack(leaf[at:])
	before, old, fresh := it.deadline, 0, 0
	if before != 0 {
		old = deadlineBytes
	}
	if deadline != 0 {
		fresh = deadlineBytes
	}
	if total := len(leaf) - old + fresh; total <= dictLeafMax || c.Count() == 1 {
		ref, gap := d.members.Splice(c.Leaf(), at+hashBytes, old, fresh)
		c.Set(ref, c.Key(), c.Count())
		word := hash
		if deadline != 0 {
			putDeadline(gap, deadline)
			word |= expires
		}
		binary.LittleEndian.PutUint32(d.members.Leaf(ref)[at:], word)
	} else {
		// The leaf will be split, and the item has to survive that.
		var scratch [dictLeafMax]byte
		it, _ = d.unpack(scratch[:copy(scratch[:], leaf[at:at+size])])
		it.deadline = deadline
		d.replace(&c, at, size, &it)
	}
	d.noteDeadline(hash, before, deadline)
}

// replace puts an item in the place of old bytes, none or those of one item, of
// the cursor's leaf, which is split if it becomes too long.
func (d *dict) replace(c *Cursor, at, old int, it *dictItem) {
	t := &d.members
	leaf := t.Leaf(c.Leaf())
	size := d.size(it)
	count := c.Count()
	if old == 0 {
		count++
	}
	if old == size {
		d.pack(it, leaf[at:at+size])
		return
	}
	total := len(leaf) - old + size
	if total <= dictLeafMax || count == 1 {
		ref, gap := t.Splice(c.Leaf(), at, old, size)
		d.pack(it, gap)
		c.Set(ref, d.keyOf(t.Leaf(ref)), count)
		return
	}
	if size > dictLeafMax || len(leaf) > dictLeafMax {
		d.isolate(c, at, old, it)
		return
	}
	var scratch [2 * dictLeafMax]byte
	all := scratch[:total]
	copy(all, leaf[:at])
	d.pack(it, all[at:at+size])
	copy(all[at+size:], leaf[at+old:])
	cut, before := d.middle(all)
	if old == 0 && at == len(leaf) && isLast(c) {
		cut, before = at, count-1 // what is filled in order leaves full leaves behind
	}
	if cut > dictLeafMax || total-cut > dictLeafMax {
		d.isolate(c, at, old, it)
		return
	}
	// Both halves are made anew: the old leaf has much more room than either needs.
	left := t.NewLeaf(cut, 0)
	copy(t.Leaf(left), all)
	t.FreeLeaf(c.Leaf())
	c.Set(left, d.keyOf(all), before)
	right := t.NewLeaf(total-cut, 0)
	copy(t.Leaf(right), all[cut:])
	c.InsertAfter(right, d.keyOf(all[cut:]), count-before)
}

// isLast tells whether the cursor is at the last leaf.
func isLast(c *Cursor) bool {
	next := *c
	return !next.Next()
}

// isolate is replace for what does not fit into two leaves: the item gets one to
// itself, and so does what is on either side.
func (d *dict) isolate(c *Cursor, at, old int, it *dictItem) {
	t := &d.members
	ref := c.Leaf()
	leaf := t.Leaf(ref)
	after := leaf[at+old:]
	before, behind := d.countItems(leaf[:at]), d.countItems(after)

	own := t.NewLeaf(d.size(it), 0)
	d.pack(it, t.Leaf(own))
	var rest ds.Ref
	if behind > 0 {
		rest = t.NewLeaf(len(after), 0)
		copy(t.Leaf(rest), after)
	}
	if before > 0 {
		key := c.Key()
		ref, _ = t.Splice(ref, at, len(leaf)-at, 0)
		c.Set(ref, key, before)
		c.InsertAfter(own, Key{Hi: uint64(it.hash)}, 1)
	} else {
		t.FreeLeaf(ref)
		c.Set(own, Key{Hi: uint64(it.hash)}, 1)
	}
	if behind > 0 {
		c.InsertAfter(rest, d.keyOf(t.Leaf(rest)), behind)
	}
}

func (d *dict) countItems(p []byte) (n int) {
	for len(p) > 0 {
		p = p[d.itemLen(p):]
		n++
	}
	return n
}

// middle is the border between items that is next to the middle of a run of at
// least two, and how many items there are before it.
func (d *dict) middle(all []byte) (cut, before int) {
	for cut < len(all)/2 {
		n := d.itemLen(all[cut:])
		if before > 0 && cut+n-len(all)/2 > len(all)/2-cut {
			break
		}
		cut += n
		before++
	}
	return cut, before
}

// keyOf is the key of a leaf that begins with the item at the start of p.
func (d *dict) keyOf(p []byte) Key {
	return Key{Hi: uint64(binary.LittleEndian.Uint32(p) &^ expires)}
}

// remove takes a member out and tells whether it was there.
func (d *dict) remove(member []byte) bool {
	hash := memberHash(member)
	c := Cursor{tree: &d.members}
	at, found := d.find(hash, ElementOf(member), &c)
	if found {
		d.cut(&c, at)
	}
	return found
}

// cut takes the item at an offset out of the cursor's leaf. The cursor is no
// longer valid.
func (d *dict) cut(c *Cursor, at int) {
	it, size := d.unpack(d.members.Leaf(c.Leaf())[at:])
	shrink(&d.members, c, at, size, d.keyOf)
	d.noteDeadline(it.hash, it.deadline, 0)
}

// removeItem takes out a member that is there, and may be borrowed.
func (d *dict) removeItem(it *dictItem) {
	c := Cursor{tree: &d.members}
	at, found := d.find(it.hash, it.member, &c)
	invariant.Assert(found, "a member that is not there cannot be removed")
	d.cut(&c, at)
}

// shrink takes the bytes of one item out of a leaf, and the leaf out of the tree
// if it has no other, or joins it with a neighbour if it has become small. The
// cursor is no longer valid.
func shrink(t *Tree, c *Cursor, at, size int, keyOf func(leaf []byte) Key) {
	ref := c.Leaf()
	if c.Count() == 1 {
		t.FreeLeaf(ref)
		c.Remove()
		return
	}
	ref, _ = t.Splice(ref, at, size, 0)
	leaf := t.Leaf(ref)
	c.Set(ref, keyOf(leaf), c.Count()-1)
	if len(leaf) >= dictLeafLow {
		return
	}
	left, right := *c, *c
	switch {
	case right.Next() && len(leaf)+len(t.Leaf(right.Leaf())) <= dictLeafMerged:
		left = *c
	case left.Prev() && len(leaf)+len(t.Leaf(left.Leaf())) <= dictLeafMerged:
		right = *c
	default:
		return
	}
	from := t.Leaf(right.Leaf())
	used, count, more := len(t.Leaf(left.Leaf())), left.Count(), right.Count()
	key := left.Key()
	joined, gap := t.Splice(left.Leaf(), used, 0, len(from))
	copy(gap, from)
	t.FreeLeaf(right.Leaf())
	left.Set(joined, key, count+more)
	right.Remove()
}

// noteDeadline keeps the deadlines in step with a member whose deadline changes.
func (d *dict) noteDeadline(hash uint32, before, after int64) {
	if before == after {
		return
	}
	if before != 0 {
		c := d.deadlines.Seek(Key{uint64(before), uint64(hash)}, nil)
		at, found := searchDue(d.deadlines.Leaf(c.Leaf()), Key{uint64(before), uint64(hash)})
		invariant.Assert(found, "a member's deadline is not among the deadlines")
		shrink(&d.deadlines, &c, at, dueBytes, dueAt)
	}
	if after != 0 {
		d.addDeadline(Key{uint64(after), uint64(hash)})
	}
}

func (d *dict) addDeadline(due Key) {
	t := &d.deadlines
	if t.depth == 0 {
		ref := t.NewLeaf(dueBytes, 0)
		putDue(t.Leaf(ref), due)
		t.Append(ref, due, 1)
		return
	}
	c := t.Seek(due, nil)
	ref := c.Leaf()
	leaf := t.Leaf(ref)
	count := c.Count()
	at, _ := searchDue(leaf, due)
	if len(leaf)+dueBytes > dictLeafMax {
		if at == len(leaf) && isLast(&c) {
			// What comes in order leaves full leaves behind.
			fresh := t.NewLeaf(dueBytes, 0)
			putDue(t.Leaf(fresh), due)
			c.InsertAfter(fresh, due, 1)
			return
		}
		keep := count / 2
		rest := leaf[keep*dueBytes:]
		right := t.NewLeaf(len(rest), dueBytes)
		copy(t.Leaf(right), rest)
		ref, _ = t.Splice(ref, keep*dueBytes, len(rest), 0)
		c.Set(ref, dueAt(t.Leaf(ref)), keep)
		c.InsertAfter(right, dueAt(t.Leaf(right)), count-keep)
		d.addDeadline(due)
		return
	}
	ref, gap := t.Splice(ref, at, 0, dueBytes)
	putDue(gap, due)
	c.Set(ref, dueAt(t.Leaf(ref)), count+1)
}

func putDue(p []byte, due Key) {
	putDeadline(p, int64(due.Hi))
	binary.LittleEndian.PutUint32(p[deadlineBytes:], uint32(due.Lo))
}

// dueAt is the deadline and hash at the start of p.
func dueAt(p []byte) Key {
	return Key{uint64(deadlineAt(p)), uint64(binary.LittleEndian.Uint32(p[deadlineBytes:]))}
}

// searchDue finds the first place in a leaf of deadlines that is not before due.
func searchDue(leaf []byte, due Key) (at int, found bool) {
	low, high := 0, len(leaf)/dueBytes
	for low < high {
		middle := (low + high) / 2
		if dueAt(leaf[middle*dueBytes:]).Less(due) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	at = low * dueBytes
	return at, at < len(leaf) && dueAt(leaf[at:]) == due
}

// firstDue is a member that expires first, if that is not after now. The member
// is borrowed.
func (d *dict) firstDue(now int64) (it dictItem, ok bool) {
	if at := d.earliest(); at == 0 || at > now {
		return it, false
	}
	first := d.deadlines.First()
	due := dueAt(d.deadlines.Leaf(first.Leaf()))
	c := d.first()
	for c.seek(uint32(due.Lo)); c.valid() && c.hash() == uint32(due.Lo); c.next() {
		if it := c.item(); it.deadline == int64(due.Hi) {
			return it, true
		}
	}
	panic("invariant violated: a deadline without its member")
}

// at is the member of the given rank in the order of hashes, borrowed.
func (d *dict) at(rank int) (member, value Element, deadline int64) {
	c, at := d.place(rank)
	it, _ := d.unpack(d.members.Leaf(c.Leaf())[at:])
	return it.member, it.value, it.deadline
}

// place is where the member of the given rank is: its leaf, and its offset there.
func (d *dict) place(rank int) (c Cursor, at int) {
	c, offset := d.members.AtRank(rank)
	leaf := d.members.Leaf(c.Leaf())
	for ; offset > 0; offset-- {
		at += d.itemLen(leaf[at:])
	}
	return c, at
}

// each visits all members in the order of hashes until visit says false.
func (d *dict) each(visit func(member, value Element, deadline int64) bool) {
	if d.members.depth == 0 {
		return
	}
	for c := d.members.First(); ; {
		for p := d.members.Leaf(c.Leaf()); len(p) > 0; {
			it, size := d.unpack(p)
			if !visit(it.member, it.value, it.deadline) {
				return
			}
			p = p[size:]
		}
		if !c.Next() {
			return
		}
	}
}

// reply answers all members whose deadline is after now, or their values, or each
// member and its value, and returns how many members there were.
func (d *dict) reply(w *resp.Writer, now int64, members, values bool) (n int) {
	if d.members.depth == 0 {
		return 0
	}
	for c := d.members.First(); ; {
		for p := d.members.Leaf(c.Leaf()); len(p) > 0; {
			alive := p[0]&expires == 0 || deadlineAt(p[hashBytes:]) > now
			p = p[memberAt(p):]
			p = p[replyPacked(w, p, alive && members):]
			if d.values {
				p = p[replyPacked(w, p, alive && values):]
			}
			if alive {
				n++
			}
		}
		if !c.Next() {
			return n
		}
	}
}

// replyPacked answers the packed element at the start of p, if it is wanted, and
// returns its size.
func replyPacked(w *resp.Writer, p []byte, wanted bool) (size int) {
	if !wanted {
		return packedLen(p)
	}
	if b := p[0]; b >= pack6BitText && b < pack13BitInt {
		size = 1 + int(b&0x3f)
		w.Bulk(p[1:size])
		return size
	}
	e, size := Unpack(p)
	e.Reply(w)
	return size
}

// scan visits about count members from a cursor on, 0 for the start, and returns
// the cursor of the rest, 0 at the end. A cursor is a hash: what is there all
// the time is visited exactly once, whatever else comes and goes.
func (d *dict) scan(cursor uint64, count int, visit func(member, value Element, deadline int64)) (next uint64) {
	if cursor > 1<<32-1 {
		return 0
	}
	c := d.first()
	if cursor != 0 {
		c.seek(uint32(cursor))
	}
	last := uint32(0)
	for visited := 0; c.valid(); visited++ {
		it := c.item()
		// Members with equal hashes have one cursor, and are visited together.
		if visited >= count && it.hash != last {
			return uint64(it.hash)
		}
		visit(it.member, it.value, it.deadline)
		last = it.hash
		c.next()
	}
	return 0
}

// A dictCursor walks the members in the order of hashes. It is valid until the
// next change.
type dictCursor struct {
	dict *dict
	leaf Cursor
	rest []byte // of the leaf, from the current item on
}

// first is the cursor of the first member.
func (d *dict) first() dictCursor {
	c := dictCursor{dict: d}
	if d.members.depth > 0 {
		c.leaf = d.members.First()
		c.rest = d.members.Leaf(c.leaf.Leaf())
	}
	return c
}

// valid is false behind the last member.
func (c *dictCursor) valid() bool { return len(c.rest) > 0 }

// hash is the memberHash of the current member.
func (c *dictCursor) hash() uint32 { return binary.LittleEndian.Uint32(c.rest) &^ expires }

// member is the current member, borrowed.
func (c *dictCursor) member() Element {
	member, _ := Unpack(c.rest[memberAt(c.rest):])
	return member
}

// item is all about the current member, borrowed.
func (c *dictCursor) item() dictItem {
	it, _ := c.dict.unpack(c.rest)
	return it
}

// next moves to the next member.
func (c *dictCursor) next() {
	c.rest = c.rest[c.dict.itemLen(c.rest):]
	if len(c.rest) == 0 {
		c.nextLeaf()
	}
}

func (c *dictCursor) nextLeaf() {
	c.rest = nil
	if c.leaf.Next() {
		c.rest = c.dict.members.Leaf(c.leaf.Leaf())
	}
}

// seek moves forward to the first member whose hash is not below the given one.
// Short distances are walked.
func (c *dictCursor) seek(hash uint32) {
	if !c.valid() {
		return
	}
	for len(c.rest) > 0 {
		if c.hash() >= hash {
			return
		}
		c.rest = c.rest[c.dict.itemLen(c.rest):]
	}
	if c.nextLeaf(); !c.valid() || c.hash() >= hash {
		return
	}
	d := c.dict
	c.leaf = d.members.Seek(Key{Hi: uint64(hash)}, func(ds.Ref) int { return 1 })
	c.rest = d.members.Leaf(c.leaf.Leaf())
	for len(c.rest) > 0 && c.hash() < hash {
		c.rest = c.rest[d.itemLen(c.rest):]
	}
	if len(c.rest) == 0 {
		c.nextLeaf()
	}
}

// check walks the dict and panics on a broken invariant; for tests.
func (d *dict) check() {
	seen, last := 0, dictItem{}
	var dues []Key
	d.members.check(func(ref ds.Ref, key Key, count int) {
		p := d.members.Leaf(ref)
		invariant.Assert(len(p) <= dictLeafMax || count == 1, "a leaf is too long")
		invariant.Assert(d.countItems(p) == count, "a leaf counts wrongly")
		invariant.Assert(d.keyOf(p) == key, "a leaf has another key than its first item")
		for len(p) > 0 {
			it, size := d.unpack(p)
			invariant.Assert(it.hash == memberHash(it.member.Append(nil)), "an item has another hash than its member")
			invariant.Assert(seen == 0 || last.hash < it.hash || last.hash == it.hash && last.member.Compare(it.member) < 0, "items out of order")
			if it.deadline != 0 {
				dues = append(dues, Key{uint64(it.deadline), uint64(it.hash)})
			}
			last, p = it, p[size:]
			seen++
		}
	})
	slices.SortFunc(dues, func(a, b Key) int {
		if a.Less(b) {
			return -1
		} else if b.Less(a) {
			return 1
		}
		return 0
	})
	d.deadlines.check(func(ref ds.Ref, key Key, count int) {
		p := d.deadlines.Leaf(ref)
		invariant.Assert(len(p) == count*dueBytes && dueAt(p) == key, "a leaf of deadlines is wrong")
		for ; len(p) > 0; p = p[dueBytes:] {
			invariant.Assert(len(dues) > 0 && dues[0] == dueAt(p), "the deadlines are not those of the members")
			dues = dues[1:]
		}
	})
	invariant.Assert(len(dues) == 0, "a deadline is missing")
	invariant.Assert(d.home.MemberDeadline() == d.earliest(), "the home does not know the first deadline")
}
