package keys

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// relocate makes newKey of database to what key of database from is, and
// removes that one. The keys differ, or the databases do; key is there.
func relocate(c *shard.Call, from shard.DB, key []byte, to shard.DB, newKey []byte) {
	if e := from.Peek(key); e.Type() != object.String {
		from.MoveTo(from.OpenEntry(key, e), to, newKey, e.Deadline())
		return
	}
	duplicate(from, key, to, newKey)
	// The entry that was copied is no longer valid.
	from.Delete(key, from.Peek(key))
}

// duplicate makes newKey of database to what key of database from is: the same
// value in the same encoding, with the same deadline. Nothing remains of what
// newKey was. The keys differ, or the databases do; key is there.
//
// The value goes over without a copy in between: storing it may borrow from
// another record, even one of the same database.
func duplicate(from shard.DB, key []byte, to shard.DB, newKey []byte) keyspace.Entry {
	e := from.Peek(key)
	if e.Type() == object.String {
		return duplicateString(e, to, newKey)
	}
	return from.CopyTo(from.OpenEntry(key, e), to, newKey, e.Deadline())
}

func duplicateString(e keyspace.Entry, to shard.DB, newKey []byte) keyspace.Entry {
	deadline := e.Deadline()
	if n, ok := e.Int(); ok {
		return to.SetInt(newKey, n, deadline)
	}
	value := e.Bytes()
	length := len(value)
	isRaw := e.Encoding() == object.Raw
	fresh := to.SetBytes(newKey, value, deadline)
	if isRaw && length <= object.EmbstrBytesMax {
		// A string that was written into is called raw, however short it is.
		to.Resize(newKey, fresh, length)
		fresh = to.Peek(newKey)
	}
	invariant.Assert(fresh.StringLen() == length, "a value changed on its way")
	return fresh
}
