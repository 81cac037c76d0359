package keyspace

import (
	"encoding/binary"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// A Value is the value of a key that holds a collection, seen from inside: it is
// the object.Home of the collection. The root stands in the record, behind the
// time at which the first member expires, if one does; everything else is in the
// database's arena of nodes.
//
// It follows its record when that moves, so it stays valid while other keys
// change; not when its own key is deleted or overwritten.
type Value struct {
	db    *DB
	hash  uint64
	entry Entry
}

// memberBytes is the room for the earliest deadline of a member, before the root.
const memberBytes = 8

// Value returns the collection of e, which must be one; hash is that of its key.
func (d *DB) Value(hash uint64, e Entry) Value { return Value{d, hash, e} }

// Entry is the key's entry.
func (v *Value) Entry() Entry { return v.entry }

// Type is what the key holds.
func (v *Value) Type() object.Type { return v.entry.r.typ() }

// Encoding is how it is represented.
func (v *Value) Encoding() object.Encoding { return v.entry.r.encoding() }

// SetEncoding changes it.
func (v *Value) SetEncoding(e object.Encoding) { v.entry.r.setKind(v.entry.r.typ(), e) }

// Nodes is where the collection keeps what does not fit the root.
func (v *Value) Nodes() *ds.Arena { return &v.db.nodes }

// Root returns the bytes of the root, borrowed until Resize.
func (v *Value) Root() []byte {
	offset, length := v.entry.r.valueAt()
	return v.entry.r.bytes(offset, length)[v.prefix():]
}

func (v *Value) prefix() int {
	if v.entry.r.flags()&flagMembers != 0 {
		return memberBytes
	}
	return 0
}

// Resize makes the root n bytes long and returns it: what was there is kept as
// far as it fits, what is new is zero.
func (v *Value) Resize(n int) []byte {
	prefix := v.prefix()
	var value []byte
	v.entry, value = v.db.resize(v.hash, v.entry, prefix+n)
	return value[prefix:]
}

// MemberDeadline is when the first member expires, in Unix milliseconds, or 0.
func (v *Value) MemberDeadline() int64 { return v.entry.r.memberDeadline() }

// SetMemberDeadline says when the first member expires; 0 for never. Slices of
// the root are no longer valid.
func (v *Value) SetMemberDeadline(at int64) {
	before := v.MemberDeadline()
	if at == before {
		return
	}
	d, r := v.db, v.entry.r
	if before != 0 {
		d.members.remove(before, v.entry.ref)
	}
	offset, length := r.valueAt()
	switch {
	case before == 0:
		var value []byte
		v.entry, value = d.resize(v.hash, v.entry, length+memberBytes)
		copy(value[memberBytes:], value[:length])
		r = v.entry.r
		*r.byteAt(1) |= flagMembers
		offset, _ = r.valueAt()
	case at == 0:
		value := r.bytes(offset, length)
		copy(value, value[memberBytes:])
		*r.byteAt(1) &^= flagMembers
		v.entry, _ = d.resize(v.hash, v.entry, length-memberBytes)
		return
	}
	binary.LittleEndian.PutUint64(r.bytes(offset, memberBytes), uint64(at))
	d.members.insert(at, v.entry.ref, &d.records)
}

// memberDeadline is when the first member of a collection expires, or 0.
func (r record) memberDeadline() int64 {
	if r.flags()&flagMembers == 0 || r.typ() == object.String {
		return 0
	}
	offset, _ := r.valueAt()
	return int64(binary.LittleEndian.Uint64(r.bytes(offset, memberBytes)))
}

// PutValue sets key to a collection with the given root, which is copied. Nothing
// of an earlier value remains. Otherwise it is like PutBytes.
func (d *DB) PutValue(hash uint64, key []byte, t object.Type, e object.Encoding, root []byte, deadline int64, access uint32) Value {
	c := content{bytes: root, typ: t, encoding: e}
	return Value{d, hash, d.put(hash, key, &c, deadline, access)}
}

// CopyValue sets key to a copy of the collection that from is, of this database
// or another.
func (d *DB) CopyValue(hash uint64, key []byte, from Value, deadline int64, access uint32) Value {
	at := from.MemberDeadline()
	v := d.PutValue(hash, key, from.Type(), from.Encoding(), from.Root(), deadline, access)
	object.Copied(v.Type(), v.Encoding(), v.Root(), v.Nodes(), from.Nodes())
	v.SetMemberDeadline(at)
	return v
}

// MoveValue is CopyValue for a collection of this database that its old key is to
// lose: nothing is copied but the root. The caller deletes the old key, which is
// left with a value that holds nothing.
func (d *DB) MoveValue(hash uint64, key []byte, from *Value, deadline int64, access uint32) Value {
	invariant.Assert(from.db == d, "a value moved between databases")
	at := from.MemberDeadline()
	from.SetMemberDeadline(0)
	root := append([]byte(nil), from.Root()...)
	t, e := from.Type(), from.Encoding()
	from.entry.r.setKind(object.String, object.Raw) // an empty shell
	v := d.PutValue(hash, key, t, e, root, deadline, access)
	v.SetMemberDeadline(at)
	return v
}

// FreezeCopy copies the collection, for one who reads it while it goes on changing. The copy
// has to be given to Discard.
func (v *Value) FreezeCopy() object.Home { return object.FreezeCopy(v, v.Type()) }

// Discard frees a copy that FreezeCopy has made, by and by.
func (d *DB) Discard(t object.Type, copy object.Home) {
	if remains, any := object.Release(t, copy.Encoding(), copy.Root(), &d.nodes); any {
		d.remains = append(d.remains, remains)
	}
}

// release frees what the collection of e keeps outside its record, or, if that is
// much, leaves it to Sweep.
func (d *DB) release(e Entry) {
	if at := e.r.memberDeadline(); at != 0 {
		d.members.remove(at, e.ref)
	}
	v := Value{db: d, entry: e}
	if remains, any := object.Release(v.Type(), v.Encoding(), v.Root(), &d.nodes); any && remains.Free(releaseLeaves) {
		d.remains = append(d.remains, remains)
	}
	*e.r.byteAt(1) &^= flagMembers
	e.r.setKind(object.String, object.Raw)
}

// releaseLeaves is how much of a collection is freed with its key, as many as
// Redis frees without its lazy thread.
const releaseLeaves = 64

// Sweep frees up to budget leaves of large collections that were deleted, and
// tells whether there are more.
func (d *DB) Sweep(budget int) (more bool) {
	for len(d.remains) > 0 && budget > 0 {
		last := len(d.remains) - 1
		r := d.remains[last]
		d.remains = d.remains[:last]
		if r.Free(min(budget, releaseLeaves)) {
			d.remains = append(d.remains, r)
		}
		budget -= releaseLeaves
	}
	return len(d.remains) > 0
}

// Unswept is how many deleted collections Sweep has still to free.
func (d *DB) Unswept() int { return len(d.remains) }

// NextMemberDeadline is NextDeadline for the members of collections.
func (d *DB) NextMemberDeadline() (at int64, ok bool) { return d.members.lowest, d.members.count > 0 }

// NextMemberDue returns the collection whose member expires first if that is not
// after now, or the zero Entry. The caller removes the members that are due.
func (d *DB) NextMemberDue(now int64) Entry {
	ref := d.members.due(now, &d.records)
	if ref == 0 {
		return Entry{}
	}
	return Entry{d, record{d.records.At(ref)}, ref}
}

// WithMembers is how many collections have members that expire.
func (d *DB) WithMembers() int { return d.members.count }
