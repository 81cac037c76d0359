package object

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// A SetMerge goes through several sets at once, all in one order, so that each
// step finds out what they have in common or apart by looking at where they are:
//
//	a:  ──●────●──●────────●──►        an order of all possible members: that of
//	b:  ────●──●─────●─────●──►        their hashes, or of integers by value when
//	c:  ──●────●───────────●──►        there is nothing but intsets
//
// Large sets are in the order of hashes as they are, and skip what another has not
// got; packed ones are sorted first. Nothing is collected in between, whatever the
// size of the result.
//
// It only reads, and is valid until the first change of any of its sets.
type SetMerge struct {
	sources []mergeSource
	byValue bool
	now     int64
}

// mergeSource is a set, without its home: that may be used for another meanwhile.
type mergeSource struct {
	setRoot
	dict dict
	size int
}

// MergeSets is a merge of so many sets.
func MergeSets(sets int) SetMerge {
	return SetMerge{sources: make([]mergeSource, 0, sets), byValue: true}
}

// Add adds a set to those that are merged.
func (m *SetMerge) Add(s *SetView) {
	source := mergeSource{setRoot: setRoot{s.home.Encoding(), s.home.Root()}, dict: s.dict, size: s.Len()}
	m.byValue = m.byValue && source.encoding == Intset
	m.now = s.now
	m.sources = append(m.sources, source)
}

// Visit is told a member, borrowed, and its hash, if that is the order of the merge.
// It returns false when it has seen enough.
type Visit func(e Element, hash uint32) bool

// Intersect visits the members that all sets have.
func (m *SetMerge) Intersect(visit Visit) {
	if len(m.sources) == 0 {
		return
	}
	slices.SortStableFunc(m.sources, func(a, b mergeSource) int { return cmp.Compare(a.size, b.size) })
	cursors := m.cursors()
	// The smallest set leads: it names a member, and the others look for it. Who has
	// not got it names what comes next.
	lead := &cursors[0]
next:
	for lead.valid {
		for i := 1; i < len(cursors); i++ {
			other := &cursors[i]
			switch order := other.follow(lead); {
			case !other.valid:
				return
			case order > 0:
				lead.follow(other)
				continue next
			}
		}
		if !visit(lead.member(), uint32(lead.key)) {
			return
		}
		lead.next()
	}
}

// Subtract visits the members that the first set has and no other.
func (m *SetMerge) Subtract(visit Visit) {
	if len(m.sources) == 0 {
		return
	}
	cursors := m.cursors()
	first, others := &cursors[0], cursors[1:]
next:
	for ; first.valid; first.next() {
		for i := range others {
			if others[i].valid && others[i].follow(first) == 0 && others[i].valid {
				continue next
			}
		}
		if !visit(first.member(), uint32(first.key)) {
			return
		}
	}
}

// Unite visits the members that any set has.
func (m *SetMerge) Unite(visit Visit) {
	cursors := m.cursors()
	heap := make(cursorHeap, 0, len(cursors))
	for i := range cursors {
		if cursors[i].valid {
			heap = append(heap, &cursors[i])
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		heap.sink(i)
	}
	for len(heap) > 0 {
		least := heap[0]
		member, key := least.member(), least.key
		if !visit(member, uint32(key)) {
			return
		}
		// Whoever else has it comes up next.
		for len(heap) > 0 && heap[0].key == key && heap[0].member().Is(member) {
			if heap[0].next(); !heap[0].valid {
				last := len(heap) - 1
				heap[0] = heap[last]
				heap = heap[:last]
			}
			heap.sink(0)
		}
	}
}

// cursorHeap has the cursor that is least far on at its root.
type cursorHeap []*setCursor

func (h cursorHeap) sink(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].compare(h[child]) < 0 {
			child++
		}
		if h[i].compare(h[child]) <= 0 {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// cursors are at the beginnings of the sets.
func (m *SetMerge) cursors() []setCursor {
	cursors := make([]setCursor, len(m.sources))
	for i := range cursors {
		c, source := &cursors[i], &m.sources[i]
		c.now = m.now
		switch {
		case source.encoding == Hashtable:
			c.large = source.dict.first()
			c.isLarge = true
		case m.byValue:
			c.ints = source.root
		default:
			c.items = make([]hashedMember, 0, source.size)
			var digits [20]byte
			source.each(func(e Element) bool {
				c.items = append(c.items, hashedMember{e, memberHash(e.Bytes(digits[:]))})
				return true
			})
			slices.SortFunc(c.items, hashedMember.compare)
		}
		c.load()
	}
	return cursors
}

// A hashedMember is one with its place in the order of hashes.
type hashedMember struct {
	Element
	hash uint32
}

func (a hashedMember) compare(b hashedMember) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return a.Element.Compare(b.Element)
}

// A setCursor walks one set in the order of the merge.
type setCursor struct {
	// One of these, the last two from position at on.
	large   dictCursor
	isLarge bool
	items   []hashedMember
	ints    intset
	at      int
	now     int64

	// The current member is there, and this is its place in the order of the merge.
	// Different members have different keys unless their hashes are equal.
	valid bool
	key   uint64
}

// valueKey puts integers into the order of keys.
func valueKey(n int64) uint64 { return uint64(n) ^ 1<<63 }

// load finds out about the current member. It does not look at its text, which
// is not needed as long as keys differ.
func (c *setCursor) load() {
	switch {
	case c.isLarge:
		for c.valid = c.large.valid(); c.valid; c.valid = c.large.valid() {
			p := c.large.rest
			if word := binary.LittleEndian.Uint32(p); word&expires == 0 || deadlineAt(p[hashBytes:]) > c.now {
				c.key = uint64(word &^ expires)
				return
			}
			c.large.next()
		}
	case c.ints != nil:
		if c.valid = c.at < c.ints.len(); c.valid {
			c.key = valueKey(c.ints.at(c.at))
		}
	default:
		if c.valid = c.at < len(c.items); c.valid {
			c.key = uint64(c.items[c.at].hash)
		}
	}
}

// member is the current member, borrowed.
func (c *setCursor) member() Element {
	switch {
	case c.isLarge:
		return c.large.member()
	case c.ints != nil:
		return IntElement(c.ints.at(c.at))
	}
	return c.items[c.at].Element
}

// packed is the current member of a dict as it is packed. Equal members are packed
// equally.
func (c *setCursor) packed() []byte {
	p := c.large.rest[memberAt(c.large.rest):]
	return p[:packedLen(p)]
}

// next moves to the next member.
func (c *setCursor) next() {
	if c.isLarge {
		c.large.next()
	} else {
		c.at++
	}
	c.load()
}

// compare orders cursors by their members.
func (c *setCursor) compare(other *setCursor) int {
	if c.key != other.key {
		return cmp.Compare(c.key, other.key)
	}
	if c.isLarge && other.isLarge && string(c.packed()) == string(other.packed()) {
		return 0
	}
	a, b := c.member(), other.member()
	if a.Is(b) {
		return 0
	}
	return a.Compare(b)
}

// follow moves forward to the first member that is not before that of another
// cursor, and compares with it; it may leave the cursor invalid.
func (c *setCursor) follow(other *setCursor) int {
	if c.valid && c.key < other.key {
		c.seek(other.key)
	}
	for c.valid {
		if order := c.compare(other); order >= 0 {
			return order
		}
		c.next()
	}
	return 0
}

// walkMax is how many members are passed one by one before looking further on.
const walkMax = 8

// seek moves forward to the first member whose key is not below the given one.
func (c *setCursor) seek(key uint64) {
	if c.isLarge {
		// Most often it is in the same leaf. The last item of that is left to the dict.
		p := c.large.rest
		for uint64(binary.LittleEndian.Uint32(p)&^expires) < key {
			at := memberAt(p)
			at += packedLen(p[at:])
			if at == len(p) {
				break
			}
			p = p[at:]
		}
		c.large.rest = p
		c.large.seek(uint32(key))
		c.load()
		return
	}
	for range walkMax {
		if c.next(); !c.valid || c.key >= key {
			return
		}
	}
	rest := len(c.items)
	if c.ints != nil {
		rest = c.ints.len()
	}
	low, high := c.at, rest
	for low < high {
		c.at = int(uint(low+high) / 2)
		if c.load(); c.key < key {
			low = c.at + 1
		} else {
			high = c.at
		}
	}
	c.at = low
	c.load()
}

// A SetResult collects the members of a set that is to be made, in the order of a
// merge: without duplicates.
type SetResult struct {
	limits  *Limits
	byValue bool
	chunks  [][]byte // of items, as in a dict: hash 4 │ packed member
	count   int
	longest int // text
	ints    bool
}

// The members are kept in chunks, because one piece would have to be copied again
// and again while it grows.
const (
	chunkFirst = 1 << 10
	chunkMax   = 64 << 10
)

// NewSetResult collects what a merge visits.
func NewSetResult(l *Limits, m *SetMerge) SetResult {
	return SetResult{limits: l, byValue: m.byValue, ints: true}
}

// Add is a Visit.
func (r *SetResult) Add(e Element, hash uint32) bool {
	size := hashBytes + e.PackedSize()
	last := len(r.chunks) - 1
	if last < 0 || cap(r.chunks[last])-len(r.chunks[last]) < size {
		room := chunkFirst
		if last >= 0 {
			room = min(2*cap(r.chunks[last]), chunkMax)
		}
		r.chunks = append(r.chunks, make([]byte, 0, max(room, size)))
		last++
	}
	chunk := binary.LittleEndian.AppendUint32(r.chunks[last], hash)
	r.chunks[last] = e.AppendPacked(chunk)
	r.count++
	r.ints = r.ints && e.isInt
	r.longest = max(r.longest, e.Len())
	return true
}

// Len is how many members there are.
func (r *SetResult) Len() int { return r.count }

// each visits the members, and the items that they are kept as.
func (r *SetResult) each(visit func(e Element, item []byte)) {
	for _, p := range r.chunks {
		for len(p) > 0 {
			e, size := Unpack(p[hashBytes:])
			size += hashBytes
			visit(e, p[:size])
			p = p[size:]
		}
	}
}

// Root is the set's encoding and the root to create it with. If that is a
// hashtable, it is still to be filled.
func (r *SetResult) Root() (e Encoding, root []byte) {
	switch {
	case r.ints && r.count <= r.limits.SetIntsetEntries:
		return Intset, r.intset()
	case !r.ints && r.count <= r.limits.SetListpackEntries && r.longest <= r.limits.SetListpackValue:
		return Listpack, r.listpack()
	}
	return Hashtable, make([]byte, treesOf(Set, Hashtable)*TreeStateBytes)
}

func (r *SetResult) intset() []byte {
	all := make([]int64, 0, r.count)
	width := intWidth(0)
	r.each(func(e Element, _ []byte) {
		all = append(all, e.n)
		width = max(width, intWidth(e.n))
	})
	slices.Sort(all)
	s := make(intset, intsetHeader+len(all)*width)
	s[0] = byte(width)
	for i, n := range all {
		s.put(i, n)
	}
	return s
}

func (r *SetResult) listpack() []byte {
	root := make([]byte, 0, len(r.chunks)*chunkFirst)
	root = binary.AppendUvarint(root, uint64(r.count))
	r.each(func(_ Element, item []byte) { root = append(root, item[hashBytes:]...) })
	return root
}

// Fill completes a set that was created with Root in the given home.
func (r *SetResult) Fill(h Home) {
	if h.Encoding() != Hashtable {
		return
	}
	d := loadDict(h, false)
	if r.byValue {
		var digits [20]byte
		r.each(func(e Element, _ []byte) { d.put(e.Bytes(digits[:]), nil, 0) })
	} else {
		b := dictBuilder{dict: &d}
		r.each(func(_ Element, item []byte) { b.add(item) })
		b.flush()
	}
	d.save()
}
