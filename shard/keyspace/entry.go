package keyspace

import (
	"strconv"

	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// An Entry is a handle to a live record; the zero Entry means that there is no
// such key. It is valid until the next mutation of its DB, as is every slice
// that its methods return: those are borrowed from the arena.
type Entry struct {
	db  *DB
	r   record
	ref ds.Ref
}

// Exists tells whether the entry is that of a key.
func (e Entry) Exists() bool { return e.ref != 0 }

// Key returns the key, borrowed.
func (e Entry) Key() []byte { return e.r.key() }

// Hash returns Hash(Key()).
func (e Entry) Hash() uint64 { return e.r.hash() }

// Type returns the type of the value, None for the zero Entry.
func (e Entry) Type() object.Type {
	if e.ref == 0 {
		return object.None
	}
	return e.r.typ()
}

// Encoding returns how the value is represented.
func (e Entry) Encoding() object.Encoding { return e.r.encoding() }

// IsString says that the value is a string, and not a collection.
func (e Entry) IsString() bool { return e.r.typ() == object.String }

// Deadline returns when the key expires, in Unix milliseconds, or 0 for never.
func (e Entry) Deadline() int64 { return e.r.deadline() }

// Access returns the 24 bits that eviction keeps per key.
func (e Entry) Access() uint32 { return e.r.access() }

// SetAccess stores the low 24 bits of v. It does not count as a mutation:
// entries and borrowed slices stay valid.
func (e Entry) SetAccess(v uint32) { e.r.setAccess(v) }

// Int returns the value if it is stored as an integer.
func (e Entry) Int() (int64, bool) {
	if !e.r.isInt() {
		return 0, false
	}
	return e.r.integer(), true
}

// Bytes returns the value of a string that is not stored as an integer,
// borrowed, and nil for one that is.
func (e Entry) Bytes() []byte {
	if e.r.isInt() {
		return nil
	}
	return e.r.bytes(e.r.valueAt())
}

// StringLen returns the length of a string value in its text form.
func (e Entry) StringLen() int {
	if e.r.isInt() {
		return object.IntElement(e.r.integer()).Len()
	}
	_, length := e.r.valueAt()
	return length
}

// AppendString appends a string value in its text form to dst.
func (e Entry) AppendString(dst []byte) []byte {
	if e.r.isInt() {
		return strconv.AppendInt(dst, e.r.integer(), 10)
	}
	return append(dst, e.r.bytes(e.r.valueAt())...)
}

// MemoryBytes returns what the key costs: its record and its share of the index
// and of the order of deadlines.
func (e Entry) MemoryBytes() int {
	d := e.db
	n := d.records.Occupied(e.ref) + int(d.indexBytes()/int64(d.Len()))
	if e.r.deadline() != 0 {
		n += int(d.deadlines.bytes() / int64(d.deadlines.count))
	}
	if e.r.typ() != object.String {
		v := d.Value(0, e)
		n += object.NodeBytes(v.Type(), v.Encoding(), v.Root(), v.Nodes())
	}
	return n
}
