package hashes

import (
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// A hash is the hash under the first key, in the hands of a handler.
type hash struct {
	object.HashView // valid if home is not nil
	c               *shard.Call
	home            *shard.Collection // nil: there is no such key
	// gone are fields that were looked for and found past their deadline.
	gone [][]byte
}

// open finds the hash that a command reads.
func open(c *shard.Call) (h hash, err error) {
	v, err := c.DB.Open(c.Key(), object.Hash)
	return hashIn(c, v), err
}

// openForWrite finds the hash that a command may change.
func openForWrite(c *shard.Call) (h hash, err error) {
	v, err := c.DB.OpenForWrite(c.Key(), object.Hash)
	return hashIn(c, v), err
}

func hashIn(c *shard.Call, v *shard.Collection) (h hash) {
	h.c = c
	h.use(v)
	return h
}

func (h *hash) use(v *shard.Collection) {
	h.home = v
	if v != nil {
		h.HashView = object.HashOf(v, h.c.Limits(), h.c.Now)
	}
}

// exists tells whether there is such a key.
func (h *hash) exists() bool { return h.home != nil }

// create makes the key, if it is not there.
func (h *hash) create() {
	if h.home == nil {
		encoding, root := object.EmptyHash(h.c.Limits())
		h.use(h.c.DB.Create(h.c.Key(), object.Hash, encoding, root, 0))
	}
}

// setPairs sets fields to the values that follow them, lets none of them expire,
// and returns how many were not there.
func (h *hash) setPairs(pairs [][]byte) (created int64) {
	if h.home == nil && len(pairs) > 2 {
		if root, ok := object.PackHash(h.c.Limits(), pairs); ok {
			encoding, _ := object.EmptyHash(h.c.Limits())
			h.use(h.c.DB.Create(h.c.Key(), object.Hash, encoding, root, 0))
			return int64(len(pairs) / 2)
		}
	}
	h.create()
	for i := 0; i < len(pairs); i += 2 {
		if h.Set(pairs[i], pairs[i+1], 0) {
			created++
		}
	}
	return created
}

// get looks for a field. The value is borrowed until the hash changes, which
// settle may do.
func (h *hash) get(field []byte) (value object.Element, deadline int64, ok bool) {
	if h.home == nil {
		return value, 0, false
	}
	value, deadline, ok = h.Get(field)
	if !ok && deadline != 0 {
		h.gone = append(h.gone, field)
		deadline = 0
	}
	return value, deadline, ok
}

// settle removes the fields that get has found past their deadline, and maybe the
// key with them.
func (h *hash) settle() {
	if len(h.gone) == 0 {
		return
	}
	if h.c.DB.ExpireMembers(h.home, h.gone...) {
		h.use(nil)
	} else {
		h.use(h.home)
	}
	h.gone = nil
}

// expireDue removes all fields past their deadline, and maybe the key with them.
func (h *hash) expireDue() {
	if h.home == nil {
		return
	}
	if h.c.DB.ExpireDueMembers(h.home) {
		h.use(nil)
	} else {
		h.use(h.home)
	}
}

// remove takes a field out, if it is there. Who has removed what there was to
// remove calls dropIfEmpty.
func (h *hash) remove(field []byte) bool { return h.home != nil && h.Delete(field) }

// dropIfEmpty removes the key if it has no fields any more, and says so.
func (h *hash) dropIfEmpty() {
	if h.home != nil && h.Len() == 0 {
		h.c.DB.Drop(h.home)
		h.use(nil)
		h.c.Event(shard.EventGeneric, "del", h.c.Key())
	}
}
