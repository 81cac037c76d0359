package rdb

import (
	"hash/maphash"
	"slices"
)

// A Checker checks payloads, one after the other. It belongs to one goroutine.
type Checker struct {
	r *Reader
	c checker
}

// NewChecker makes one.
func NewChecker() *Checker { return &Checker{NewBytesReader(nil), checker{seed: maphash.MakeSeed()}} }

// hashesKept bounds how many hashes a Checker keeps room for.
const hashesKept = 1 << 16

// Check reads the value without keeping anything and says what is wrong with it,
// duplicates included. What it lets pass can be visited without an error.
func (k *Checker) Check(p Payload) error {
	c := &k.c
	c.suspects, c.texts = nil, nil
	if c.hashes = c.hashes[:0]; cap(c.hashes) > hashesKept {
		c.hashes = nil
	}
	if err := k.visit(p); err != nil {
		return err
	}
	if c.suspects = repeated(c.hashes); len(c.suspects) == 0 {
		return nil
	}
	// Two hashes are the same: two elements may be.
	c.texts = map[string]bool{}
	return k.visit(p)
}

func (k *Checker) visit(p Payload) error { return k.Visit(p, &k.c) }

// Visit is Payload.Visit.
func (k *Checker) Visit(p Payload, v Visitor) error {
	k.r.Reset(p.body)
	err := k.r.Value(p.Type, v)
	k.r.Reset(nil)
	return err
}

// A checker looks for duplicates. It remembers a hash of each element, and only
// when some are equal, in a second reading, the texts of those.
type checker struct {
	seed     maphash.Seed
	hashes   []uint64
	suspects []uint64        // sorted
	texts    map[string]bool // of the suspects
	// Names of groups, and of the consumers of one, are few.
	groups, consumers map[string]bool
}

// repeated returns what hashes has more than once, sorted.
func repeated(hashes []uint64) (more []uint64) {
	slices.Sort(hashes)
	for i := 1; i < len(hashes); i++ {
		if hashes[i] == hashes[i-1] {
			more = append(more, hashes[i])
		}
	}
	return more
}

func (c *checker) unique(text []byte) error {
	hash := maphash.Bytes(c.seed, text)
	if c.texts == nil {
		c.hashes = append(c.hashes, hash)
		return nil
	}
	if _, suspect := slices.BinarySearch(c.suspects, hash); !suspect {
		return nil
	}
	return once(c.texts, text)
}

func once(seen map[string]bool, text []byte) error {
	if seen[string(text)] {
		return ErrDuplicate
	}
	seen[string(text)] = true
	return nil
}

func (c *checker) String([]byte) error                       { return nil }
func (c *checker) ListElement([]byte) error                  { return nil }
func (c *checker) SetMember(member []byte, _ int64) error    { return c.unique(member) }
func (c *checker) ZSetMember(member []byte, _ float64) error { return c.unique(member) }
func (c *checker) HashField(field, _ []byte, _ int64) error  { return c.unique(field) }
func (c *checker) StreamEntry(_ StreamID, _ [][]byte) error  { return nil }
func (c *checker) StreamPending(StreamPending) error         { return nil }
func (c *checker) StreamConsumer(consumer StreamConsumer) error {
	return once(c.consumers, consumer.Name)
}

func (c *checker) StreamState(StreamState) error {
	c.groups = map[string]bool{}
	return nil
}

func (c *checker) StreamGroup(group StreamGroup) error {
	c.consumers = map[string]bool{}
	return once(c.groups, group.Name)
}
