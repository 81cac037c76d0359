package keyspace

import (
	"hash/maphash"
	"math/bits"

	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
)

// Hash is the hash under which a DB files a key. The caller hands it in, so
// that routing and the index share one computation, but the index computes it
// again when a segment splits: any other function would lose keys.
func Hash(key []byte) uint64 { return ds.Hash(key) }

// secretSeed makes secretHash a function that nobody outside can predict.
var secretSeed = maphash.MakeSeed()

func secretHash(key []byte) uint64 { return maphash.Bytes(secretSeed, key) }

// hash returns the hash under which this index files a record.
func (x *index) hash(r record) uint64 {
	if x.secret {
		return secretHash(r.key())
	}
	return r.hash()
}

// How the bits of a hash are used:
//
//	63                            32 31     …     12 11             0
//	┌──────────────────────────────┬────────────────┬───────────────┐
//	│ place in the directory       │ (shard router) │ tag           │
//	└──────────────────────────────┴────────────────┴───────────────┘
//
// The tag chooses the bucket (tag × buckets / 2¹²) and its low byte is the
// fingerprint. As a bucket of a segment with at least 16 of them covers no more
// than 256 tags, bucket and fingerprint together give the tag back: such a
// segment is grown, shrunk and merged without reading a single record. Only a
// split needs one more bit, and reads the keys.
const (
	tagBits = 12
	tagMask = 1<<tagBits - 1

	prefixBits = 27 // deepest directory
	depthBits  = 5
)

// spread maps the place of a hash from [0, 2³²) to itself so that the keys are
// about twice as dense at one end as at the other, and logarithmically in
// between. So at any moment segments of every fill exist, in the same
// proportions: they do not all split within the same few inserts, the space
// the index takes per key does not swing as the dataset grows, and what one
// size of segment frees another reuses.
func spread(hash uint64) uint64 {
	const slope, bend = 2819645612, 1475321683 // 0.6565 and 0.3435 in units of 2⁻³²
	u := hash >> 32
	return u * (slope + u*bend>>32) >> 32
}

// An index finds the record of a key: segmented extendible hashing.
//
//	directory (by the first bits of the place)      segment, one allocation
//	┌───┐                                    ┌────────┬────┬────┬────┬─ … ─┬────┐
//	│ 0 │──────────────────────────────────► │ header │ b0 │ b1 │ b2 │     │ bn │
//	│ 1 │──────────► another segment         │ +stash │    │    │    │     │    │
//	│ 2 │──┐                                 └────────┴────┴────┴────┴─ … ─┴────┘
//	│ 3 │──┴───────► segment of depth 1: fewer bits, more entries
//	└───┘
//
// A key lives in its bucket, or as a guest in the next one, or in the eight
// places of the stash. When none is free the segment grows by a few buckets,
// and a segment of the largest size splits in two. So each step moves a few
// hundred entries and none depends on how many keys there are, except that the
// directory doubles now and then, by and by.
//
// Keys whose hashes agree in all bits that matter find no place here, however
// often their segment splits. Nobody has them by chance, but xxhash is easily
// inverted; such keys go to a second index under a secret hash (crowd.go).
//
// Owned by the shard's turn.
type index struct {
	arena ds.Arena // segments

	// secret: keys are filed under secretHash instead of Hash.
	secret bool
	// rejected collects entries that found no place when a segment was rebuilt.
	// The DB takes them over before its operation ends.
	rejected []ds.Ref

	directory []uint64              // see directory.go
	former    []uint64              // the directory before it doubled, until all is carried over
	carried   int                   // words of former
	shift     uint                  // 32 - depth of the directory
	depths    [prefixBits + 1]int32 // segments by depth
	segments  int
	count     int
	expected  int    // keys that the DB has or will have, at least; beyond count
	touched   uint64 // keeps the compiler from dropping reads that warm the cache
}

// header begins every segment.
type header struct {
	self   ds.Ref             // of the segment
	count  uint32             // entries
	place  uint32             // first place of the segment (27 bits), then its depth (5 bits)
	_      uint32             // room for the version of a snapshot
	refs   [stashSlots]ds.Ref // 0: free
	prints [stashSlots]uint8
	homes  [stashSlots]uint8
}

const (
	stashSlots  = 8
	bucketBytes = 64

	// A segment takes (buckets + 1) lines, which makes the sizes from 12 lines
	// on exact size classes of the arena.
	bucketsMax = 31
	bucketsMin = 2

	// exactBuckets is from where on bucket and fingerprint give the tag.
	exactBuckets = 16
)

// segmentSizes lists the buckets of a segment as it grows. More steps would
// fill segments better and move entries more often.
var segmentSizes = [...]int{2, 5, 8, 11, 17, 21, 25, 31}

// sizeFor returns the smallest segment that holds n entries with ease.
func sizeFor(n int) int {
	for _, size := range segmentSizes {
		if n*100 <= size*slotsPerBucket*fillPercent(size) {
			return size
		}
	}
	return bucketsMax
}

// fillPercent is how full a segment is built: small ones overflow earlier.
func fillPercent(size int) int {
	if size < exactBuckets {
		return 70
	}
	return 84
}

func sizeAfter(size int) int {
	for _, s := range segmentSizes {
		if s > size {
			return s
		}
	}
	return 0
}

// A segment is a directory entry, taken apart on use.
type segment uint64

func (s segment) address() uintptr { return uintptr(s >> 16) }
func (s segment) depth() int       { return int(s >> 8 & 0xff) }
func (s segment) buckets() int     { return int(s & 0xff) }
func (s segment) header() *header  { return (*header)(ds.Pointer(s.address())) }

func (s segment) bucket(i int) *bucket {
	invariant.Assert(uint(i) < uint(s.buckets()), "bucket beyond its segment")
	return (*bucket)(ds.Pointer(s.address() + uintptr(bucketBytes*(i+1))))
}

// home returns the bucket that a tag belongs to.
func (s segment) home(tag uint64) int { return int(tag * uint64(s&0xff) >> tagBits) }

func (s segment) after(i int) int {
	if i++; i == s.buckets() {
		return 0
	}
	return i
}

func (s segment) before(i int) int {
	if i == 0 {
		return s.buckets() - 1
	}
	return i - 1
}

// tagOf returns the tag of an entry from its home bucket and its print. The
// segment must have at least exactBuckets.
func (s segment) tagOf(home int, print uint8) uint64 {
	first := s.firstTag(home)
	return first + uint64(print-uint8(first))
}

// firstTag returns the lowest tag whose home is the bucket.
func (s segment) firstTag(home int) uint64 {
	n := uint64(s.buckets())
	return (uint64(home)<<tagBits + n - 1) / n
}

// bytes returns what the index occupies.
func (x *index) bytes() int64 {
	return x.arena.Bytes() + int64(len(x.directory)+len(x.former))*8
}

// put finds a place for an entry, or returns false.
func (s segment) put(tag uint64, ref ds.Ref) bool {
	i := s.home(tag)
	print := uint8(tag)
	home := s.bucket(i)
	if !home.full() {
		home.addNative(print, ref)
		return true
	}
	j := s.after(i)
	next := s.bucket(j)
	if !next.full() {
		next.addGuest(print, ref)
		home.meta |= lentFlag
		return true
	}
	// A guest of this bucket may find room at home by now.
	if g := home.guests(); g > 0 {
		if previous := s.bucket(s.before(i)); !previous.full() {
			slot := slotsPerBucket - g
			previous.addNative(home.prints[slot], home.refs[slot])
			home.drop(slot)
			if g == 1 {
				previous.meta &^= lentFlag
			}
			home.addNative(print, ref)
			return true
		}
	}
	// A native of the next bucket may move on by one.
	if n := next.natives(); n > 0 && s.buckets() > 2 {
		if third := s.bucket(s.after(j)); !third.full() {
			third.addGuest(next.prints[n-1], next.refs[n-1])
			next.drop(n - 1)
			next.meta |= lentFlag
			next.addGuest(print, ref)
			home.meta |= lentFlag
			return true
		}
	}
	h := s.header()
	for k, r := range &h.refs {
		if r == 0 {
			h.refs[k], h.prints[k], h.homes[k] = ref, print, uint8(i)
			home.meta |= stashFlag
			return true
		}
	}
	return false
}

// putAll puts items until one finds no place, and returns how many it put.
func (s segment) putAll(items []item) int {
	for i, it := range items {
		// Nearly all go to their home bucket.
		if k := s.bucket(s.home(it.tag())); !k.full() {
			k.addNative(uint8(it.tag()), it.ref())
		} else if !s.put(it.tag(), it.ref()) {
			return i
		}
	}
	return len(items)
}

// insert adds an entry that is not there yet, or returns false if there is no
// place for it.
func (x *index) insert(hash uint64, ref ds.Ref, records *ds.Arena) bool {
	if len(x.directory) == 0 {
		x.directory = ds.NewWords(1)
		x.shift = 32
		x.install(x.build(nil, 0, 0, bucketsMin))
	}
	if x.former != nil {
		x.carry()
	}
	for {
		s := x.at(hash)
		if s.put(hash&tagMask, ref) {
			s.header().count++
			x.count++
			return true
		}
		if !x.enlarge(s, records) {
			return false
		}
	}
}

// enlarge makes room in a full segment, or returns false if that is in vain.
func (x *index) enlarge(s segment, records *ds.Arena) bool {
	var room [itemsMax]item
	if size := sizeAfter(s.buckets()); size != 0 {
		x.rebuild(s, x.gather(s, room[:0], records), size)
		return true
	}
	if s.depth() >= x.depthMax() {
		return false
	}
	x.split(s, x.gather(s, room[:0], records), records)
	return true
}

// slackBits is by how much the directory may be deeper than random hashes need it.
const slackBits = 10

// depthMax bounds the directory by what is to be in it. Were every segment split as often
// as the deepest one, there would be as many segments as the directory has words. Random
// hashes come close to that, whatever their order in the end. On the way there keys that
// come in the order of their hashes, as from a scan or a snapshot of another database, need
// at once the depth that all of them will. Keys whose hashes collide need any depth: for
// them each key pays at most for a few words of directory.
func (x *index) depthMax() int {
	keys := max(x.count, x.expected)
	return min(prefixBits, bits.Len(uint(keys/(bucketsMax*slotsPerBucket)))+slackBits)
}

// An item is an entry on its way from one segment to another: tag << 32 | Ref.
type item uint64

func newItem(ref ds.Ref, tag uint64) item { return item(tag<<32 | uint64(ref)) }

func (it item) ref() ds.Ref { return ds.Ref(it) }
func (it item) tag() uint64 { return uint64(it >> 32) }

// itemsMax is how many entries a segment can hold.
const itemsMax = bucketsMax*slotsPerBucket + stashSlots

// gather appends all entries of a segment.
func (x *index) gather(s segment, items []item, records *ds.Arena) []item {
	if s.buckets() < exactBuckets {
		return x.gatherSmall(s, items, records)
	}
	before := len(items)
	first, owner := s.firstTag(s.buckets()-1), uint64(0) // of the bucket before
	for i := range s.buckets() {
		k := s.bucket(i)
		first, owner = s.firstTag(i), first
		for j := range k.natives() {
			items = append(items, newItem(k.refs[j], first+uint64(k.prints[j]-uint8(first))))
		}
		for j := slotsPerBucket - k.guests(); j < slotsPerBucket; j++ {
			items = append(items, newItem(k.refs[j], owner+uint64(k.prints[j]-uint8(owner))))
		}
	}
	h := s.header()
	for j, ref := range &h.refs {
		if ref != 0 {
			items = append(items, newItem(ref, s.tagOf(int(h.homes[j]), h.prints[j])))
		}
	}
	invariant.Assert(len(items)-before == int(h.count), "a segment's count differs from its entries")
	return items
}

// gatherSmall is gather for a segment whose tags are only in its records.
func (x *index) gatherSmall(s segment, items []item, records *ds.Arena) []item {
	add := func(ref ds.Ref) {
		if ref != 0 {
			items = append(items, newItem(ref, x.hash(record{records.At(ref)})&tagMask))
		}
	}
	for i := range s.buckets() {
		for _, ref := range &s.bucket(i).refs {
			add(ref)
		}
	}
	h := s.header()
	for _, ref := range &h.refs {
		add(ref)
	}
	return items
}

// build makes a segment of at least size buckets for the items.
func (x *index) build(items []item, place uint32, depth, size int) segment {
	for {
		ref := x.arena.Alloc(bucketBytes * (size + 1))
		p := x.arena.At(ref)
		clear((*[bucketBytes * (bucketsMax + 1)]byte)(p)[:bucketBytes*(size+1)])
		s := segment(uint64(uintptr(p))<<16 | uint64(depth)<<8 | uint64(size))
		h := s.header()
		*h = header{self: ref, count: uint32(len(items)), place: place<<depthBits | uint32(depth)}
		done := s.putAll(items)
		if done == len(items) {
			return s
		}
		if next := sizeAfter(size); next != 0 {
			x.arena.Free(ref, bucketBytes*(size+1))
			size = next
			continue
		}
		for _, it := range items[done:] {
			if !s.put(it.tag(), it.ref()) {
				x.rejected = append(x.rejected, it.ref())
				h.count--
				x.count--
			}
		}
		return s
	}
}

// install puts a segment into the directory entries of its place.
func (x *index) install(s segment) {
	x.point(s)
	x.depths[s.depth()]++
	x.segments++
}

// discard frees a segment, after its entries have moved elsewhere.
func (x *index) discard(s segment) {
	x.depths[s.depth()]--
	x.segments--
	x.arena.Free(s.header().self, bucketBytes*(s.buckets()+1))
}

// rebuild replaces a segment by one of another size.
func (x *index) rebuild(s segment, items []item, size int) {
	place := s.header().place >> depthBits
	fresh := x.build(items, place, s.depth(), size)
	x.discard(s)
	x.install(fresh)
}

// split replaces a segment by two of the next depth.
func (x *index) split(s segment, items []item, records *ds.Arena) {
	depth := s.depth()
	if depth == x.directoryDepth() {
		x.double()
	}
	place := s.header().place >> depthBits
	twin := place | 1<<(prefixBits-1-depth)
	// The keys lie all over memory: touch a few before reading them, so that
	// their cache misses overlap.
	const ahead = 24
	var sink uint64
	low := 0
	for i := range items {
		if i%ahead == 0 {
			for _, it := range items[i:min(i+ahead, len(items))] {
				sink += record{records.At(it.ref())}.head()
			}
		}
		bit := spread(x.hash(record{records.At(items[i].ref())})) >> (31 - depth) & 1
		if bit == 0 {
			items[low], items[i] = items[i], items[low]
			low++
		}
	}
	x.touched = sink
	if low == 0 {
		x.narrow(s, twin, place)
		return
	}
	if low == len(items) {
		x.narrow(s, place, twin)
		return
	}
	left := x.build(items[:low], place, depth+1, sizeFor(low))
	right := x.build(items[low:], twin, depth+1, sizeFor(len(items)-low))
	x.discard(s)
	x.install(left)
	x.install(right)
}

// narrow is split for a segment whose entries all belong into one half of its place: they
// stay where they are.
func (x *index) narrow(s segment, place, empty uint32) {
	depth := s.depth() + 1
	s.header().place = place<<depthBits | uint32(depth)
	x.depths[s.depth()]--
	x.segments--
	x.install(s&^0xff00 | segment(depth<<8))
	x.install(x.build(nil, empty, depth, bucketsMin))
}

// locate returns the bucket and the slot of an entry. A nil bucket means that
// the slot is one of the stash; a negative slot, that there is no such entry.
func (x *index) locate(s segment, hash uint64, ref ds.Ref) (*bucket, int) {
	i := s.home(hash & tagMask)
	k := s.bucket(i)
	if slot := k.slotOf(ref); slot >= 0 {
		return k, slot
	}
	if k.meta&lentFlag != 0 {
		next := s.bucket(s.after(i))
		if slot := next.slotOf(ref); slot >= 0 {
			return next, slot
		}
	}
	if k.meta&stashFlag != 0 {
		for slot, r := range &s.header().refs {
			if r == ref {
				return nil, slot
			}
		}
	}
	return nil, -1
}

// replace changes the Ref of an entry, or returns false if it is not here.
func (x *index) replace(hash uint64, from, to ds.Ref) bool {
	s := x.at(hash)
	k, slot := x.locate(s, hash, from)
	switch {
	case k != nil:
		k.refs[slot] = to
	case slot >= 0:
		s.header().refs[slot] = to
	}
	return slot >= 0
}

// remove deletes an entry, or returns false if it is not here.
func (x *index) remove(hash uint64, ref ds.Ref, records *ds.Arena) bool {
	s := x.at(hash)
	h := s.header()
	home := s.home(hash & tagMask)
	k, slot := x.locate(s, hash, ref)
	switch {
	case slot < 0:
		return false
	case k == nil:
		h.refs[slot] = 0
		x.clearStashFlag(s, home)
	default:
		k.drop(slot)
		if owner := s.bucket(home); k != owner && k.guests() == 0 {
			owner.meta &^= lentFlag
		}
	}
	h.count--
	x.count--
	if int(h.count)*sparseFactor < s.buckets()*slotsPerBucket {
		x.reduce(s, records)
	}
	return true
}

// clearStashFlag clears the flag of a bucket that has nothing in the stash any
// more.
func (x *index) clearStashFlag(s segment, home int) {
	h := s.header()
	for k, ref := range &h.refs {
		if ref != 0 && int(h.homes[k]) == home {
			return
		}
	}
	s.bucket(home).meta &^= stashFlag
}

// sparseFactor says when a segment is reduced: when fewer than one slot in so
// many (of its buckets) is used. Far enough from how full segments are built
// that none is rebuilt back and forth.
const (
	sparseFactor = 2
	mergePercent = 66
)

// reduce shrinks a sparse segment, or merges it with its other half.
func (x *index) reduce(s segment, records *ds.Arena) {
	h := s.header()
	if x.count == 0 {
		x.close()
		return
	}
	var room [itemsMax]item
	if s.depth() > 0 {
		place := h.place >> depthBits
		twin := place ^ 1<<(prefixBits-s.depth())
		other := x.atPlace(uint64(twin))
		sum := int(h.count + other.header().count)
		if other.depth() == s.depth() && sum*100 <= bucketsMax*slotsPerBucket*mergePercent {
			items := x.gather(other, x.gather(s, room[:0], records), records)
			fresh := x.build(items, min(place, twin), s.depth()-1, sizeFor(sum))
			x.discard(s)
			x.discard(other)
			x.install(fresh)
			x.halve()
			return
		}
	}
	if size := sizeFor(int(h.count)); size < s.buckets() {
		x.rebuild(s, x.gather(s, room[:0], records), size)
	}
}

func (x *index) close() {
	x.arena.Close()
	ds.FreeWords(x.directory)
	ds.FreeWords(x.former)
	*x = index{secret: x.secret}
}

// move gives a segment another place in the arena.
func (x *index) move(ref ds.Ref) {
	h := (*header)(x.arena.At(ref))
	s := x.atPlace(uint64(h.place >> depthBits))
	invariant.Assert(s.header() == h, "the directory disagrees with a segment about its place")
	n := bucketBytes * (s.buckets() + 1)
	to := x.arena.Alloc(n)
	p := x.arena.At(to)
	copy((*[bucketBytes * (bucketsMax + 1)]byte)(p)[:n], (*[bucketBytes * (bucketsMax + 1)]byte)(x.arena.At(ref))[:n])
	fresh := segment(uint64(uintptr(p))<<16 | uint64(s)&0xffff)
	fresh.header().self = to
	x.point(fresh)
	x.arena.Free(ref, n)
}
