package object

import (
	"encoding/binary"

	"hyperkv/resp"
)

// A HashView is a hash: it maps fields to values, each of which may have a deadline.
//
//	Listpack    count │ field, value, field, value …            in the order they came
//	ListpackEx  count │ when, field, value, when, field …       the same, some with deadlines
//	Hashtable   a dict
//
// The count is a varint, and when is a byte 0, or a byte 1 and a deadline of 6
// bytes. A field whose deadline has come is there until somebody removes it, and
// counts in Len; for everything else it is gone.
//
// It is valid until its home changes by other means. Owned by the shard's turn.
type HashView struct {
	home   Home
	limits *Limits
	now    int64
	dict   dict // if the encoding is Hashtable
}

// EmptyHash is the encoding and the root of a hash without fields.
func EmptyHash(*Limits) (Encoding, []byte) { return Listpack, emptyHash[:] }

var emptyHash [1]byte

// PackHash packs fields and their values, which follow each other in pairs, as the
// root of a new hash of the encoding of EmptyHash. ok is false when the hash will
// not be a packed one, or a field stands there twice.
func PackHash(l *Limits, pairs [][]byte) (root []byte, ok bool) {
	count := len(pairs) / 2
	if count > l.HashListpackEntries || count > packAtOnceMax {
		return nil, false
	}
	size := binary.MaxVarintLen16
	for _, text := range pairs {
		if len(text) > l.HashListpackValue {
			return nil, false
		}
		size += len(text) + 5
	}
	if size > packedBytesMax {
		return nil, false
	}
	root = binary.AppendUvarint(make([]byte, 0, size), uint64(count))
	p := packedHash{first: len(root)}
	for i := 0; i < len(pairs); i += 2 {
		field := ElementOf(pairs[i])
		p.root = root
		if _, twice := p.find(field); twice {
			return nil, false
		}
		root = ElementOf(pairs[i+1]).AppendPacked(field.AppendPacked(root))
	}
	return root, true
}

// packAtOnceMax bounds the fields of PackHash, which compares each with all before.
const packAtOnceMax = 64

// HashOf is the hash whose home is h, at the time now in Unix milliseconds.
func HashOf(h Home, l *Limits, now int64) HashView {
	hash := HashView{home: h, limits: l, now: now}
	if h.Encoding() == Hashtable {
		hash.dict = loadDict(h, true)
	}
	return hash
}

func (h *HashView) large() bool { return h.dict.home != nil }

// Len is how many fields there are, those included whose deadline has come.
func (h *HashView) Len() int {
	if h.large() {
		return h.dict.len()
	}
	count, _ := h.count()
	return count
}

// Expired tells whether there are fields whose deadline has come.
func (h *HashView) Expired() bool {
	at := h.home.MemberDeadline()
	return at != 0 && at <= h.now
}

func (h *HashView) gone(deadline int64) bool { return deadline != 0 && deadline <= h.now }

// Get finds a field. A field whose deadline has come is not found, but its
// deadline is returned. The value is borrowed.
func (h *HashView) Get(field []byte) (value Element, deadline int64, ok bool) {
	value, deadline, ok = h.find(field)
	if !ok || h.gone(deadline) {
		return Element{}, deadline, false
	}
	return value, deadline, true
}

func (h *HashView) find(field []byte) (value Element, deadline int64, ok bool) {
	if h.large() {
		return h.dict.get(field)
	}
	p := h.packed()
	at, ok := p.find(ElementOf(field))
	if !ok {
		return Element{}, 0, false
	}
	_, value, deadline, _ = p.entry(at)
	return value, deadline, true
}

// Set gives a field a value and a deadline, 0 for never, and tells whether there
// was no such field.
func (h *HashView) Set(field, value []byte, deadline int64) (created bool) {
	h.home.Change()
	if !h.large() {
		if created, ok := h.setPacked(field, value, deadline); ok {
			return created
		}
		h.convert()
	}
	created = !h.dict.put(field, value, deadline)
	h.dict.save()
	return created
}

// setPacked is Set for a packed hash. ok is false when it must become a large one.
func (h *HashView) setPacked(field, value []byte, deadline int64) (created, ok bool) {
	if len(field) > h.limits.HashListpackValue || len(value) > h.limits.HashListpackValue {
		return false, false
	}
	if deadline != 0 {
		h.makeRoomForDeadlines()
	}
	p := h.packed()
	f, v := ElementOf(field), ElementOf(value)
	at, found := p.find(f)
	old, size := 0, p.size(f, v, deadline)
	if found {
		old = p.len(at)
	} else if count, _ := h.count(); count >= h.limits.HashListpackEntries {
		return false, false
	}
	if len(p.root)+size > packedBytesMax {
		return false, false
	}
	if !found {
		at += h.setCount(1)
	}
	gap := h.splice(at, old, size)
	p.pack(gap, f, v, deadline)
	h.noteDeadline()
	return !found, true
}

// Expire gives a field that is there another deadline, 0 for never.
func (h *HashView) Expire(field []byte, deadline int64) {
	h.home.Change()
	if h.large() {
		h.dict.expire(field, deadline)
		h.dict.save()
		return
	}
	if deadline != 0 {
		h.makeRoomForDeadlines()
	}
	p := h.packed()
	at, found := p.find(ElementOf(field))
	if !found || !p.deadlines {
		return
	}
	old, size := whenBytes(p.root[at:]), 1
	if deadline != 0 {
		size += deadlineBytes
	}
	gap := h.splice(at, old, size)
	putWhen(gap, deadline)
	h.noteDeadline()
}

// Delete removes a field, also one whose deadline has come, and tells whether it
// was there.
func (h *HashView) Delete(field []byte) bool {
	if h.large() {
		c := Cursor{tree: &h.dict.members}
		at, found := h.dict.find(memberHash(field), ElementOf(field), &c)
		if found {
			h.home.Change()
			h.dict.cut(&c, at)
			h.dict.save()
		}
		return found
	}
	p := h.packed()
	at, found := p.find(ElementOf(field))
	if !found {
		return false
	}
	h.home.Change()
	h.cut(at)
	h.noteDeadline()
	return true
}

// cut takes the entry at an offset out of a packed hash.
func (h *HashView) cut(at int) {
	_, _, _, size := h.packed().entry(at)
	h.splice(at, size, 0)
	h.setCount(-1)
}

// Each visits all fields whose deadline has not come, until visit says false.
// What it is given is borrowed.
func (h *HashView) Each(visit func(field, value Element, deadline int64) bool) {
	if h.large() {
		h.dict.each(func(field, value Element, deadline int64) bool {
			return h.gone(deadline) || visit(field, value, deadline)
		})
		return
	}
	p := h.packed()
	for at := p.first; at < len(p.root); {
		field, value, deadline, size := p.entry(at)
		if !h.gone(deadline) && !visit(field, value, deadline) {
			return
		}
		at += size
	}
}

// Reply answers all fields whose deadline has not come, or their values, or each
// field and its value, one string after the other, and returns how many fields
// there were.
func (h *HashView) Reply(w *resp.Writer, fields, values bool) (n int) {
	if h.large() {
		return h.dict.reply(w, h.now, fields, values)
	}
	p := h.packed()
	for rest := p.root[p.first:]; len(rest) > 0; {
		alive := true
		if p.deadlines {
			alive = rest[0] == 0 || deadlineAt(rest[1:]) > h.now
			rest = rest[whenBytes(rest):]
		}
		rest = rest[replyPacked(w, rest, alive && fields):]
		rest = rest[replyPacked(w, rest, alive && values):]
		if alive {
			n++
		}
	}
	return n
}

// At is the field of the given rank, from 0, in an order that stays until the
// hash changes; also if its deadline has come. It is borrowed.
func (h *HashView) At(rank int) (field, value Element, deadline int64) {
	if h.large() {
		return h.dict.at(rank)
	}
	p := h.packed()
	at := p.first
	for ; rank > 0; rank-- {
		at += p.len(at)
	}
	field, value, deadline, _ = p.entry(at)
	return field, value, deadline
}

// Scan visits about count fields from a cursor on and returns the cursor of the
// rest, 0 at the end; a packed hash is visited all at once. Fields whose deadline
// has come count, but are not visited.
func (h *HashView) Scan(cursor uint64, count int, visit func(field, value Element)) (next uint64) {
	if !h.large() {
		h.Each(func(field, value Element, _ int64) bool {
			visit(field, value)
			return true
		})
		return 0
	}
	return h.dict.scan(cursor, count, func(field, value Element, deadline int64) {
		if !h.gone(deadline) {
			visit(field, value)
		}
	})
}

// convert makes a packed hash a dict.
func (h *HashView) convert() {
	p := h.packed()
	p.root = append([]byte(nil), p.root...)
	d := newDict(h.home, true)
	var name, text [20]byte
	for at := p.first; at < len(p.root); {
		field, value, deadline, size := p.entry(at)
		d.put(field.Bytes(name[:]), value.Bytes(text[:]), deadline)
		at += size
	}
	d.save()
	h.dict = d
}

// makeRoomForDeadlines gives a packed hash without deadlines the layout with them.
func (h *HashView) makeRoomForDeadlines() {
	if h.home.Encoding() == ListpackEx {
		return
	}
	p := h.packed()
	count, _ := h.count()
	p.root = append([]byte(nil), p.root...)
	root := h.home.Resize(len(p.root) + count)
	h.home.SetEncoding(ListpackEx)
	to := copy(root, p.root[:p.first])
	for at := p.first; at < len(p.root); {
		size := p.len(at)
		root[to] = 0
		to += 1 + copy(root[to+1:], p.root[at:at+size])
		at += size
	}
}

// noteDeadline tells the home of a packed hash when the first field expires.
func (h *HashView) noteDeadline() {
	p := h.packed()
	if !p.deadlines {
		return
	}
	var first int64
	for at := p.first; at < len(p.root); at += p.len(at) {
		if p.root[at] == 0 {
			continue
		}
		if deadline := deadlineAt(p.root[at+1:]); first == 0 || deadline < first {
			first = deadline
		}
	}
	h.home.SetMemberDeadline(first)
}

// count reads the number of fields of a packed hash, and how long the number is.
func (h *HashView) count() (count, size int) {
	n, size := binary.Uvarint(h.home.Root())
	return int(n), size
}

// setCount changes the number of fields of a packed hash, and returns by how much
// everything behind it has moved.
func (h *HashView) setCount(by int) (moved int) {
	count, size := h.count()
	var digits [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(digits[:], uint64(count+by))
	if n != size {
		h.splice(0, size, n)
	}
	copy(h.home.Root(), digits[:n])
	return n - size
}

// splice replaces old bytes of the root by as many as fresh says, and returns
// those, to be written by the caller.
func (h *HashView) splice(at, old, fresh int) []byte {
	root := h.home.Root()
	used := len(root)
	if fresh < old {
		copy(root[at+fresh:], root[at+old:])
	}
	if fresh != old {
		root = h.home.Resize(used - old + fresh)
	}
	if fresh > old {
		copy(root[at+fresh:], root[at+old:used])
	}
	return root[at : at+fresh]
}

// A packedHash is the root of a hash that is not a dict, borrowed.
type packedHash struct {
	root      []byte
	first     int // where the entries begin
	deadlines bool
}

func (h *HashView) packed() packedHash {
	_, first := h.count()
	return packedHash{root: h.home.Root(), first: first, deadlines: h.home.Encoding() == ListpackEx}
}

// find returns where the entry of a field is, or the end.
func (p packedHash) find(field Element) (at int, ok bool) {
	for at = p.first; at < len(p.root); {
		n := at
		if p.deadlines {
			n += whenBytes(p.root[n:])
		}
		if field.PackedIs(p.root[n:]) {
			return at, true
		}
		n += packedLen(p.root[n:])
		at = n + packedLen(p.root[n:])
	}
	return at, false
}

// entry reads the entry at an offset.
func (p packedHash) entry(at int) (field, value Element, deadline int64, size int) {
	n := at
	if p.deadlines {
		if p.root[n] != 0 {
			deadline = deadlineAt(p.root[n+1:])
		}
		n += whenBytes(p.root[n:])
	}
	field, size = Unpack(p.root[n:])
	n += size
	value, size = Unpack(p.root[n:])
	return field, value, deadline, n + size - at
}

// len is the size of the entry at an offset.
func (p packedHash) len(at int) int {
	n := at
	if p.deadlines {
		n += whenBytes(p.root[n:])
	}
	n += packedLen(p.root[n:])
	n += packedLen(p.root[n:])
	return n - at
}

// size is how long an entry will be.
func (p packedHash) size(field, value Element, deadline int64) int {
	n := field.PackedSize() + value.PackedSize()
	if p.deadlines {
		n++
	}
	if deadline != 0 {
		n += deadlineBytes
	}
	return n
}

// pack writes an entry.
func (p packedHash) pack(to []byte, field, value Element, deadline int64) {
	if p.deadlines {
		to = to[putWhen(to, deadline):]
	}
	value.Pack(to[field.Pack(to):])
}

// whenBytes is how long the when at the start of p is.
func whenBytes(p []byte) int { return 1 + int(p[0])*deadlineBytes }

func putWhen(p []byte, deadline int64) int {
	if deadline == 0 {
		p[0] = 0
		return 1
	}
	p[0] = 1
	putDeadline(p[1:], deadline)
	return 1 + deadlineBytes
}
