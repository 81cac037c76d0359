package keyspace

import (
	"strconv"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// StringBytesMax is the longest string value or key.
const StringBytesMax = 512 << 20

// content is the value of a string on its way into a record.
type content struct {
	bytes    []byte
	n        int64
	width    int // of the integer n; 0: bytes count
	typ      object.Type
	encoding object.Encoding
}

func (c *content) tail() int {
	if c.width != 0 {
		return c.width
	}
	return varintBytes(len(c.bytes)) + len(c.bytes)
}

// write stores the value at its offset. The bytes go first and may overlap
// with where they go to.
func (c *content) write(r record, offset int) {
	if c.width != 0 {
		v := uint64(c.n)
		for i := range r.bytes(offset, c.width) {
			*r.byteAt(offset + i) = byte(v >> (8 * i))
		}
		return
	}
	copy(r.bytes(offset+varintBytes(len(c.bytes)), len(c.bytes)), c.bytes)
	r.putVarint(offset, len(c.bytes))
}

func (c *content) flags() uint8 {
	if c.width != 0 {
		return uint8(c.width-1) << intWidthAt
	}
	return 0
}

// PutBytes sets key to the bytes of value, as a string that is never taken for
// an integer, and returns its entry. deadline is in Unix milliseconds, 0 for
// none. Nothing of an earlier value remains. key and value may be borrowed from
// entries of this DB.
func (d *DB) PutBytes(hash uint64, key, value []byte, deadline int64, access uint32) Entry {
	invariant.Assert(len(key) <= StringBytesMax && len(value) <= StringBytesMax, "a string beyond 512 MiB")
	c := content{bytes: value, typ: object.String, encoding: object.Raw}
	if len(value) <= object.EmbstrBytesMax {
		c.encoding = object.Embstr
	}
	return d.put(hash, key, &c, deadline, access)
}

// PutInt sets key to an integer. Otherwise it is like PutBytes.
func (d *DB) PutInt(hash uint64, key []byte, n int64, deadline int64, access uint32) Entry {
	invariant.Assert(len(key) <= StringBytesMax, "a string beyond 512 MiB")
	c := content{n: n, width: intBytes(n), typ: object.String, encoding: object.Int}
	return d.put(hash, key, &c, deadline, access)
}

func (d *DB) put(hash uint64, key []byte, c *content, deadline int64, access uint32) Entry {
	form := shape{key: len(key), tail: c.tail()}.withField(deadline)
	size := form.size()
	e := d.Find(hash, key)
	if !e.Exists() {
		e = d.newRecord(key, c, form, deadline, access)
		d.enter(hash, e)
		if deadline != 0 {
			d.deadlines.insert(deadline, e.ref, &d.records)
		}
		return e
	}
	if e.r.typ() != object.String {
		d.release(e)
	}
	r, before := e.r, e.r.deadline()
	if r.flags()&flagsOptions == form.flags() && d.fits(e.ref, size) {
		was := r.size()
		if before != deadline && before != 0 {
			d.deadlines.remove(before, e.ref)
		}
		offset, length := r.keyAt()
		c.write(r, offset+length)
		r.setKind(c.typ, c.encoding)
		*r.byteAt(1) = form.flags() | c.flags() | d.cut
		r.setAccess(access)
		if form.field {
			r.setDeadline(deadline)
		}
		d.records.Resize(e.ref, was, size)
		if before != deadline && deadline != 0 {
			d.deadlines.insert(deadline, e.ref, &d.records)
		}
		return e
	}
	fresh := d.newRecord(key, c, form, deadline, access)
	d.succeed(hash, e, fresh, before, deadline)
	return fresh
}

func (s shape) flags() uint8 {
	if s.field {
		return flagDeadline
	}
	return 0
}

// newRecord makes a record that nothing refers to yet.
func (d *DB) newRecord(key []byte, c *content, form shape, deadline int64, access uint32) Entry {
	ref := d.records.Alloc(form.size())
	r := record{d.records.At(ref)}
	r.setKind(c.typ, c.encoding)
	*r.byteAt(1) = form.flags() | c.flags() | d.cut
	r.setAccess(access)
	offset := r.putVarint(fixedBytes, len(key))
	if form.field {
		r.setDeadline(deadline)
		offset += deadlineBytes
	}
	copy(r.bytes(offset, len(key)), key)
	c.write(r, offset+len(key))
	return Entry{d, r, ref}
}

// succeed puts a new record into the place of an old one and frees that.
func (d *DB) succeed(hash uint64, old, fresh Entry, before, deadline int64) {
	d.substitute(hash, old, fresh)
	if before != 0 {
		d.deadlines.remove(before, old.ref)
	}
	if deadline != 0 {
		d.deadlines.insert(deadline, fresh.ref, &d.records)
	}
	if at := old.r.memberDeadline(); at != 0 {
		d.members.remove(at, old.ref)
		d.members.insert(at, fresh.ref, &d.records)
	}
	d.records.Free(old.ref, old.r.size())
}

// fits tells whether a record of this size belongs where the one of ref is. A
// smaller class would waste nothing, so only the same class will do.
func (d *DB) fits(ref ds.Ref, size int) bool {
	room := d.records.Room(ref)
	if ds.IsLarge(ref) {
		return size > ds.SlotBytesMax && size <= room
	}
	return size <= ds.SlotBytesMax && ds.SlotBytes(size) == room
}

// Resize makes the value of a string n bytes long, raw, and returns its bytes
// to be written by the caller. What is dropped is cut from the end, what is
// added is zero. Growing a little again and again is cheap: the record moves
// once per size class, and large ones have room to spare that costs memory
// only when used.
func (d *DB) Resize(hash uint64, e Entry, n int) (Entry, []byte) {
	e, value := d.resize(hash, e, n)
	e.r.setKind(object.String, object.Raw)
	return e, value
}

// resize is Resize for a value of any type, which keeps its type and encoding
// unless it was an integer.
func (d *DB) resize(hash uint64, e Entry, n int) (Entry, []byte) {
	invariant.Assert(n >= 0 && n <= StringBytesMax, "a string beyond 512 MiB")
	r := e.r
	offset, length := r.keyAt()
	keyLength := length
	valueOffset := offset + keyLength
	var digits [20]byte
	var old []byte
	if r.isInt() {
		old = strconv.AppendInt(digits[:0], r.integer(), 10)
	} else {
		old = r.bytes(r.valueAt())
	}
	had := len(old)
	was := r.size()
	at := r.deadline()
	kind := *r.byteAt(0)
	var members uint8
	if r.isInt() {
		kind = byte(object.String) | byte(object.Raw)<<4
	} else {
		members = r.flags() & flagMembers
	}
	field := r.flags()&flagDeadline != 0
	form := shape{key: keyLength, tail: varintBytes(n) + n, field: field}
	size := form.size()
	if !field && size > ds.SlotBytesMax {
		form = form.withField(at)
		size = form.size()
	}

	stays := form.field == field && (d.fits(e.ref, size) || ds.IsLarge(e.ref) && size > ds.SlotBytesMax)
	if !stays {
		access := r.access()
		ref := d.records.AllocGrowing(size)
		fresh := Entry{d, record{d.records.At(ref)}, ref}
		fr := fresh.r
		*fr.byteAt(0) = kind
		*fr.byteAt(1) = form.flags() | members | d.cut
		fr.setAccess(access)
		offset := fr.putVarint(fixedBytes, keyLength)
		if form.field {
			fr.setDeadline(at)
			offset += deadlineBytes
		}
		copy(fr.bytes(offset, keyLength), r.key())
		offset = fr.putVarint(offset+keyLength, n)
		value := fr.bytes(offset, n)
		copy(value, old)
		if n > had {
			clear(value[had:])
		}
		d.succeed(hash, e, fresh, at, at)
		return fresh, value
	}

	isInt := r.isInt()
	start := valueOffset + varintBytes(n)
	if n < had && !isInt {
		// Shorten before the memory behind the new end goes.
		copy(r.bytes(start, n), old[:n])
		r.putVarint(valueOffset, n)
		d.records.Resize(e.ref, was, size)
	} else {
		d.records.Resize(e.ref, was, size)
		e.r = record{d.records.At(e.ref)}
		r = e.r
		if !isInt {
			old = r.bytes(valueOffset+varintBytes(had), had)
		}
		copy(r.bytes(start, n), old[:min(had, n)])
		r.putVarint(valueOffset, n)
	}
	*r.byteAt(0) = kind
	*r.byteAt(1) = form.flags() | members | d.cut
	value := r.bytes(start, n)
	if n > had {
		clear(value[had:])
	}
	return e, value
}

// SetDeadline changes when the key expires, in Unix milliseconds; 0 means never.
func (d *DB) SetDeadline(hash uint64, e Entry, at int64) Entry {
	r, before := e.r, e.r.deadline()
	if at == before {
		return e
	}
	if r.flags()&flagDeadline != 0 {
		if before != 0 {
			d.deadlines.remove(before, e.ref)
		}
		r.setDeadline(at)
		if at != 0 {
			d.deadlines.insert(at, e.ref, &d.records)
		}
		return e
	}
	// The field goes between the key's length and the key. Only records in
	// slots lack it, so what has to move is short.
	was := r.size()
	start := fixedBytes + varintBytes(len(r.key()))
	rest := was - start
	if size := was + deadlineBytes; d.fits(e.ref, size) {
		copy(r.bytes(start+deadlineBytes, rest), r.bytes(start, rest))
		*r.byteAt(1) |= flagDeadline
		r.setDeadline(at)
		d.records.Resize(e.ref, was, size)
		d.deadlines.insert(at, e.ref, &d.records)
		return e
	}
	ref := d.records.Alloc(was + deadlineBytes)
	fresh := Entry{d, record{d.records.At(ref)}, ref}
	copy(fresh.r.bytes(0, start), r.bytes(0, start))
	copy(fresh.r.bytes(start+deadlineBytes, rest), r.bytes(start, rest))
	*fresh.r.byteAt(1) |= flagDeadline
	fresh.r.setDeadline(at)
	d.succeed(hash, e, fresh, 0, at)
	return fresh
}

// Delete removes a key.
func (d *DB) Delete(hash uint64, e Entry) {
	if e.r.typ() != object.String {
		d.release(e)
	}
	if at := e.r.deadline(); at != 0 {
		d.deadlines.remove(at, e.ref)
	}
	d.leave(hash, e)
	d.records.Free(e.ref, e.r.size())
}

// NextDeadline returns a time before which nothing expires. It may be earlier
// than the earliest deadline; NextDue then finds nothing and corrects it.
func (d *DB) NextDeadline() (at int64, ok bool) {
	return d.deadlines.lowest, d.deadlines.count > 0
}

// NextDue returns the entry with the earliest deadline if that is not after
// now, or the zero Entry. The caller deletes it.
func (d *DB) NextDue(now int64) Entry {
	ref := d.deadlines.due(now, &d.records)
	if ref == 0 {
		return Entry{}
	}
	return Entry{d, record{d.records.At(ref)}, ref}
}
