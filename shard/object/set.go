package object

import (
	"bytes"
	"encoding/binary"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard/ds"
)

// A SetView is a set of strings, in one of three forms:
//
//	intset      integers in ascending order: see intset
//	listpack    count │ packed member │ packed member …   in the order they came
//	hashtable   members in the order of their hashes: see dict
//
// Only members of a dict expire. One that has is not there any more for whoever
// looks, though it keeps its place until it is removed.
//
// It is the view of one command. Owned by the shard's turn.
type SetView struct {
	home   Home
	limits *Limits
	now    int64
	dict   dict // of a hashtable
	// expected is how many members the command is going to add, if it knows.
	expected int
	// live are the ranks of those that have not expired, if some have; see ranked.
	live []int32
}

// SetOf is the set in a home, as it is now.
func SetOf(h Home, l *Limits, now int64) SetView {
	s := SetView{home: h, limits: l, now: now}
	if h.Encoding() == Hashtable {
		s.dict = loadDict(h, false)
	}
	return s
}

// EmptySet is how a set begins whose first member is the given one: the encoding
// and the root to create it with.
func EmptySet(l *Limits, first Element) (Encoding, []byte) { return emptySet(l, first, 1) }

// emptySet chooses the form by what the command brings, before anybody knows how
// many different members that is: so Redis does it, and OBJECT ENCODING shows it.
func emptySet(l *Limits, first Element, count int) (Encoding, []byte) {
	switch {
	case first.isInt && count <= l.SetIntsetEntries:
		return Intset, []byte{2}
	case count <= l.SetListpackEntries:
		return Listpack, []byte{0}
	}
	return Hashtable, make([]byte, treesOf(Set, Hashtable)*TreeStateBytes)
}

// NewSet is how a set of several members begins: the root holds those that it can
// as long as it is packed, and the others are still to be added.
func NewSet(l *Limits, members [][]byte) (e Encoding, root []byte, others [][]byte) {
	e, root = emptySet(l, ElementOf(members[0]), len(members))
	if e == Hashtable {
		return e, root, members
	}
	d := draft{encoding: e, root: append(make([]byte, 0, draftBytes), root...)}
	s := SetView{home: &d, limits: l}
	for i, member := range members {
		if s.outgrows(ElementOf(member)) {
			return d.encoding, d.root, members[i:]
		}
		s.Add(member)
	}
	return d.encoding, d.root, nil
}

// A draft is the home of a set that is still being put together, and packed.
type draft struct {
	encoding Encoding
	root     []byte
}

const draftBytes = 128

func (d *draft) Change()                   {}
func (d *draft) Encoding() Encoding        { return d.encoding }
func (d *draft) SetEncoding(e Encoding)    { d.encoding = e }
func (d *draft) Root() []byte              { return d.root }
func (d *draft) Nodes() *ds.Arena          { return nil }
func (d *draft) MemberDeadline() int64     { return 0 }
func (d *draft) SetMemberDeadline(_ int64) {}

func (d *draft) Resize(n int) []byte {
	if n > cap(d.root) {
		d.root = append(make([]byte, 0, 2*n), d.root...)
	}
	d.root = d.root[:n]
	return d.root
}

// Expect says how many members are about to be added, new or not.
func (s *SetView) Expect(members int) { s.expected = members }

// Len is how many members there are.
func (s *SetView) Len() int {
	switch s.home.Encoding() {
	case Intset:
		return intset(s.home.Root()).len()
	case Listpack:
		return packedCount(s.home.Root())
	}
	return s.dict.len() - s.expired()
}

// expired is how many members have expired and are still in their places.
func (s *SetView) expired() int {
	d := &s.dict
	if at := d.earliest(); at == 0 || at > s.now {
		return 0
	}
	next := Key{Hi: uint64(s.now) + 1}
	c := d.deadlines.Seek(next, nil)
	at, _ := searchDue(d.deadlines.Leaf(c.Leaf()), next)
	return c.Rank() + at/dueBytes
}

// gone tells whether a member with the given deadline has expired.
func (s *SetView) gone(deadline int64) bool { return deadline != 0 && deadline <= s.now }

// Has tells whether member is one of the set's.
func (s *SetView) Has(member []byte) bool {
	_, ok := s.Deadline(member)
	return ok
}

// Deadline is when a member expires, in Unix milliseconds, 0 for never.
func (s *SetView) Deadline(member []byte) (at int64, ok bool) {
	switch s.home.Encoding() {
	case Intset:
		if e := ElementOf(member); e.isInt {
			_, ok = intset(s.home.Root()).find(e.n)
		}
		return 0, ok
	case Listpack:
		_, ok = findPacked(s.home.Root(), ElementOf(member))
		return 0, ok
	}
	_, at, ok = s.dict.get(member)
	return at, ok && !s.gone(at)
}

// Add makes member one of the set, if it is not, and tells whether that was so.
func (s *SetView) Add(member []byte) (added bool) {
	e := ElementOf(member)
	switch s.home.Encoding() {
	case Intset:
		rank, found := 0, false
		if e.isInt {
			rank, found = intset(s.home.Root()).find(e.n)
		}
		if found {
			return false
		}
		s.home.Change()
		if !s.outgrows(e) {
			insertInt(s.home, rank, e.n)
			return true
		}
		if !s.becomesListpack(e) {
			s.spread()
			break
		}
		s.listInts()
		appendPacked(s.home, e)
		return true
	case Listpack:
		if _, found := findPacked(s.home.Root(), e); found {
			return false
		}
		s.home.Change()
		if !s.outgrows(e) {
			appendPacked(s.home, e)
			return true
		}
		s.spread()
	default:
		return s.addLarge(member, e)
	}
	s.dict.put(member, nil, 0)
	s.changed()
	return true
}

// addLarge is Add to a dict: one way down the tree tells whether the member is
// there, and where it goes if not.
func (s *SetView) addLarge(member []byte, e Element) (added bool) {
	d := &s.dict
	it := dictItem{hash: memberHash(member), member: e}
	c := Cursor{tree: &d.members}
	at, found := d.find(it.hash, e, &c)
	if found {
		old, _ := d.unpack(d.members.Leaf(c.Leaf())[at:])
		if !s.gone(old.deadline) {
			return false
		}
	}
	s.home.Change()
	if found || d.len() == 0 {
		d.put(member, nil, 0)
	} else {
		d.replace(&c, at, 0, &it)
	}
	s.changed()
	return true
}

// AddUntil makes member one of the set until a time, 0 for forever, and tells
// whether it was not there before.
func (s *SetView) AddUntil(member []byte, deadline int64) (added bool) {
	at, found := s.Deadline(member)
	if found && at == deadline {
		return false
	}
	if !found && deadline == 0 {
		return s.Add(member)
	}
	s.home.Change()
	if s.home.Encoding() != Hashtable {
		s.spread()
	}
	s.dict.put(member, nil, deadline)
	s.changed()
	return !found
}

// outgrows tells whether the set, which is packed, has to take another form to
// have a new member.
func (s *SetView) outgrows(e Element) bool {
	root := s.home.Root()
	if s.home.Encoding() == Intset {
		limit := s.limits.SetIntsetEntries
		return !e.isInt || intset(root).len() >= limit || s.expected > limit
	}
	limit := s.limits.SetListpackEntries
	return packedCount(root) >= limit || s.expected > limit ||
		e.Len() > s.limits.SetListpackValue || len(root)+e.PackedSize() > packedBytesMax
}

// becomesListpack tells whether the intset can have a new member that is no
// integer as a listpack.
func (s *SetView) becomesListpack(e Element) bool {
	ints := intset(s.home.Root())
	count, longest := ints.len(), e.Len()
	if e.isInt || s.expected > s.limits.SetIntsetEntries {
		return false
	}
	if count > 0 {
		longest = max(longest, decimalLen(ints.at(0)), decimalLen(ints.at(count-1)))
	}
	return count < s.limits.SetListpackEntries && longest <= s.limits.SetListpackValue
}

// listInts makes the intset a listpack.
func (s *SetView) listInts() {
	ints := intset(s.home.Root())
	count := ints.len()
	packed := binary.AppendUvarint(make([]byte, 0, draftBytes), uint64(count))
	for i := range count {
		packed = IntElement(ints.at(i)).AppendPacked(packed)
	}
	s.home.SetEncoding(Listpack)
	copy(s.home.Resize(len(packed)), packed)
}

// spread makes the packed set a dict.
func (s *SetView) spread() {
	old := setRoot{encoding: s.home.Encoding(), root: bytes.Clone(s.home.Root())}
	s.dict = newDict(s.home, false)
	var digits [20]byte
	old.each(func(e Element) bool {
		s.dict.put(e.Bytes(digits[:]), nil, 0)
		return true
	})
	s.changed()
}

// changed keeps what the dict has become.
func (s *SetView) changed() {
	s.dict.save()
	s.live = nil
}

// Remove takes member out of the set, if it is there, and tells whether it was.
// Whoever takes the last one drops the key.
func (s *SetView) Remove(member []byte) (removed bool) {
	switch s.home.Encoding() {
	case Intset:
		e := ElementOf(member)
		if !e.isInt {
			return false
		}
		rank, found := intset(s.home.Root()).find(e.n)
		if found {
			s.home.Change()
			removeInt(s.home, rank)
		}
		return found
	case Listpack:
		at, found := findPacked(s.home.Root(), ElementOf(member))
		if found {
			s.home.Change()
			cutPacked(s.home, at)
		}
		return found
	}
	d := &s.dict
	c := Cursor{tree: &d.members}
	at, found := d.find(memberHash(member), ElementOf(member), &c)
	if !found {
		return false
	}
	if old, _ := d.unpack(d.members.Leaf(c.Leaf())[at:]); s.gone(old.deadline) {
		return false
	}
	s.home.Change()
	d.cut(&c, at)
	s.changed()
	return true
}

// Each visits the members, borrowed, until visit says false.
func (s *SetView) Each(visit func(e Element) bool) {
	if s.home.Encoding() != Hashtable {
		r := setRoot{s.home.Encoding(), s.home.Root()}
		r.each(visit)
		return
	}
	s.dict.each(func(member, _ Element, deadline int64) bool {
		return s.gone(deadline) || visit(member)
	})
}

// EachUntil visits the members, borrowed, each with when it expires, in Unix
// milliseconds, 0 for never. It ends when visit says false.
func (s *SetView) EachUntil(visit func(e Element, deadline int64) bool) {
	if s.home.Encoding() != Hashtable {
		s.Each(func(e Element) bool { return visit(e, 0) })
		return
	}
	s.dict.each(func(member, _ Element, deadline int64) bool {
		return s.gone(deadline) || visit(member, deadline)
	})
}

// Reply answers all members.
func (s *SetView) Reply(w *resp.Writer) {
	switch s.home.Encoding() {
	case Intset:
		ints := intset(s.home.Root())
		for i := range ints.len() {
			w.BulkInt(ints.at(i))
		}
	case Listpack:
		for p := packedMembers(s.home.Root()); len(p) > 0; {
			p = p[replyPacked(w, p, true):]
		}
	default:
		s.dict.reply(w, s.now, true, false)
	}
}

// Scan visits about count members from a cursor on, 0 for the start, and returns
// the cursor for the next ones, 0 at the end. A packed set is visited at once.
func (s *SetView) Scan(cursor uint64, count int, visit func(e Element)) (next uint64) {
	if s.home.Encoding() != Hashtable {
		s.Each(func(e Element) bool {
			visit(e)
			return true
		})
		return 0
	}
	return s.dict.scan(cursor, count, func(member, _ Element, deadline int64) {
		if !s.gone(deadline) {
			visit(member)
		}
	})
}

// At is the member of the given rank in the order of Each, borrowed. The rank must
// be below Len.
func (s *SetView) At(rank int) Element {
	switch s.home.Encoding() {
	case Intset:
		return IntElement(intset(s.home.Root()).at(rank))
	case Listpack:
		p := packedMembers(s.home.Root())
		for ; rank > 0; rank-- {
			p = p[PackedLen(p):]
		}
		e, _ := Unpack(p)
		return e
	}
	member, _, _ := s.dict.at(s.ranked(rank))
	return member
}

// ranked is the place in the dict of the member with a rank among those that have
// not expired.
func (s *SetView) ranked(rank int) int {
	if s.live == nil {
		if s.expired() == 0 {
			return rank
		}
		place := int32(0)
		s.dict.each(func(_, _ Element, deadline int64) bool {
			if !s.gone(deadline) {
				s.live = append(s.live, place)
			}
			place++
			return true
		})
	}
	return int(s.live[rank])
}

// EachAt visits the members of the given ranks, which ascend.
func (s *SetView) EachAt(ranks []int, visit func(e Element)) {
	if s.home.Encoding() == Intset || len(ranks) < s.Len()/eachAtShare {
		for _, rank := range ranks {
			visit(s.At(rank))
		}
		return
	}
	rank := 0
	s.Each(func(e Element) bool {
		if len(ranks) == 0 {
			return false
		}
		if rank == ranks[0] {
			visit(e)
			ranks = ranks[1:]
		}
		rank++
		return true
	})
}

// eachAtShare is which part of a set is quicker found by going through it than
// one by one.
const eachAtShare = 16

// TakeAt visits the member of the given rank and takes it out.
func (s *SetView) TakeAt(rank int, visit func(e Element)) {
	if s.home.Encoding() != Hashtable || s.expired() > 0 {
		visit(s.At(rank))
		s.RemoveAt([]int{rank})
		return
	}
	d := &s.dict
	c, at := d.place(rank)
	it, _ := d.unpack(d.members.Leaf(c.Leaf())[at:])
	visit(it.member)
	s.home.Change()
	d.cut(&c, at)
	s.changed()
}

// RemoveAt takes out the members of the given ranks, which ascend; at least one.
func (s *SetView) RemoveAt(ranks []int) {
	s.home.Change()
	switch s.home.Encoding() {
	case Intset:
		ints := intset(s.home.Root())
		kept := 0
		for i := range ints.len() {
			if len(ranks) > 0 && ranks[0] == i {
				ranks = ranks[1:]
				continue
			}
			ints.put(kept, ints.at(i))
			kept++
		}
		s.home.Resize(intsetHeader + kept*ints.width())
	case Listpack:
		all := packedMembers(s.home.Root())
		kept := make([]byte, 0, len(all))
		count := 0
		for i := 0; len(all) > 0; i++ {
			size := PackedLen(all)
			if len(ranks) > 0 && ranks[0] == i {
				ranks = ranks[1:]
			} else {
				kept = append(kept, all[:size]...)
				count++
			}
			all = all[size:]
		}
		head := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), uint64(count))
		root := s.home.Resize(len(head) + len(kept))
		copy(root[copy(root, head):], kept)
	default:
		places := ranks
		if s.expired() > 0 {
			places = make([]int, len(ranks))
			for i, rank := range ranks {
				places[i] = s.ranked(rank)
			}
		}
		s.dict.removeAt(places)
		s.changed()
	}
}

// The members of a packed set are behind their number, which is a varint.

func packedCount(root []byte) int {
	n, _ := binary.Uvarint(root)
	return int(n)
}

func packedMembers(root []byte) []byte {
	_, size := binary.Uvarint(root)
	return root[size:]
}

// findPacked returns where in a root a member is.
func findPacked(root []byte, e Element) (at int, ok bool) {
	_, at = binary.Uvarint(root)
	for at < len(root) {
		if e.PackedIs(root[at:]) {
			return at, true
		}
		at += packedLen(root[at:])
	}
	return 0, false
}

// appendPacked adds a member at the end of a root.
func appendPacked(h Home, e Element) {
	old := len(h.Root())
	root := h.Resize(old + e.PackedSize())
	e.Pack(root[old:])
	recountPacked(h, packedCount(root)+1)
}

// cutPacked takes the member at an offset out of a root.
func cutPacked(h Home, at int) {
	root := h.Root()
	size := PackedLen(root[at:])
	count := packedCount(root) - 1
	copy(root[at:], root[at+size:])
	h.Resize(len(root) - size)
	recountPacked(h, count)
}

// recountPacked changes the number of members, which may take another number of
// bytes than before.
func recountPacked(h Home, count int) {
	var head [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(head[:], uint64(count))
	root := h.Root()
	_, old := binary.Uvarint(root)
	if size > old {
		n := len(root)
		root = h.Resize(n + size - old)
		copy(root[size:], root[old:n])
	} else if size < old {
		copy(root[size:], root[old:])
		root = h.Resize(len(root) - old + size)
	}
	copy(root, head[:size])
}

// A setRoot is the content of a packed set.
type setRoot struct {
	encoding Encoding
	root     []byte
}

// each visits the members until visit says false.
func (r setRoot) each(visit func(e Element) bool) {
	if r.encoding == Intset {
		ints := intset(r.root)
		for i := range ints.len() {
			if !visit(IntElement(ints.at(i))) {
				return
			}
		}
		return
	}
	for p := packedMembers(r.root); len(p) > 0; {
		e, size := Unpack(p)
		if !visit(e) {
			return
		}
		p = p[size:]
	}
}

// check panics on a broken invariant; for tests.
func (s *SetView) check() {
	root := s.home.Root()
	switch s.home.Encoding() {
	case Intset:
		ints := intset(root)
		invariant.Assert((len(root)-intsetHeader)%ints.width() == 0, "an intset is cut off")
		for i := 1; i < ints.len(); i++ {
			invariant.Assert(ints.at(i-1) < ints.at(i), "integers out of order")
		}
	case Listpack:
		count := 0
		for p := packedMembers(root); len(p) > 0; p = p[PackedLen(p):] {
			count++
		}
		invariant.Assert(count == packedCount(root), "a packed set counts wrongly")
	case Hashtable:
		s.dict.check()
	default:
		panic("invariant violated: a set with an unknown encoding")
	}
}
