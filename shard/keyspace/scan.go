package keyspace

import (
	"unsafe"

	"hyperkv/shard/ds"
)

// A scan cursor is a point in the order (place, tag): everything before it has
// been visited.
//
//	44      43                     17 16        12 11            0
//	┌───────┬────────────────────────┬────────────┬──────────────┐
//	│ crowd │ place, first 27 bits   │ depth      │ tag          │
//	└───────┴────────────────────────┴────────────┴──────────────┘
//
// The depth is that of the segment that begins at the place. If it has become
// smaller, the segment was merged with others that may lie before the place or
// may not have been visited up to the tag, and is visited from its beginning.
// If it has become larger, the first part continues at the tag and the rest is
// visited in full. So whatever the index does meanwhile, what is there from
// start to end is visited, some of it twice.
const (
	cursorTagBits = tagBits
	cursorBits    = tagBits + depthBits + prefixBits
	cursorCrowd   = 1 << cursorBits
)

// Scan visits the entries of one bucket and returns the cursor for the next
// call; the first is given 0, and 0 is returned after the last. A key that
// exists from the first call to the last is visited at least once. Cursors take
// 45 bits; every value is accepted. visit must not mutate the DB.
func (d *DB) Scan(cursor uint64, visit func(Entry)) (next uint64) {
	if cursor&cursorCrowd == 0 {
		next = d.scan(&d.index, cursor, visit)
		if next != 0 || d.crowd == nil {
			return next
		}
		return cursorCrowd
	}
	if d.crowd == nil {
		return 0
	}
	if next = d.scan(d.crowd, cursor, visit); next != 0 {
		next |= cursorCrowd
	}
	return next
}

func (d *DB) scan(x *index, cursor uint64, visit func(Entry)) (next uint64) {
	if len(x.directory) == 0 {
		return 0
	}
	cursor &= cursorCrowd - 1
	tag := cursor & tagMask
	depth := int(cursor >> cursorTagBits & (1<<depthBits - 1))
	place := cursor >> (cursorTagBits + depthBits)
	s := x.atPlace(place)
	if s.depth() < depth {
		tag = 0
	}
	home := s.home(tag)
	if home+1 < s.buckets() {
		d.approach(s, home+1)
	}
	d.visitHome(s, home, visit)

	if home+1 < s.buckets() {
		return place<<(cursorTagBits+depthBits) | uint64(s.depth())<<cursorTagBits | s.firstTag(home+1)
	}
	place = uint64(s.header().place>>depthBits) + 1<<(prefixBits-s.depth())
	if place >= 1<<prefixBits {
		return 0
	}
	following := x.atPlace(place)
	return place<<(cursorTagBits+depthBits) | uint64(following.depth())<<cursorTagBits
}

// approachBytes is how much of a record approach asks for: the head, the key, and
// a short value.
const approachBytes = 64

// approach asks for the entries of a bucket that will be visited next, whose cache
// misses overlap then with what is done until then.
func (d *DB) approach(s segment, home int) {
	k := s.bucket(home)
	for i := range k.natives() {
		ds.Prefetch(unsafe.Pointer(d.records.At(k.refs[i])), approachBytes)
	}
}

// visitHome visits the entries that belong to a bucket, wherever they are.
func (d *DB) visitHome(s segment, home int, visit func(Entry)) {
	k := s.bucket(home)
	for i := range k.natives() {
		visit(d.entry(k.refs[i]))
	}
	if k.meta&lentFlag != 0 {
		next := s.bucket(s.after(home))
		for i := slotsPerBucket - next.guests(); i < slotsPerBucket; i++ {
			visit(d.entry(next.refs[i]))
		}
	}
	if k.meta&stashFlag != 0 {
		h := s.header()
		for i, ref := range &h.refs {
			if ref != 0 && int(h.homes[i]) == home {
				visit(d.entry(ref))
			}
		}
	}
}

func (d *DB) entry(ref ds.Ref) Entry { return Entry{d, record{d.records.At(ref)}, ref} }

// mix returns a random number from a seed, and advances the seed.
func mix(seed *uint64) uint64 {
	*seed += 0x9e3779b97f4a7c15
	z := *seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// randomTries bounds how often Random draws a slot that may turn out empty. A
// segment is at least about a third full, so that more are hardly ever needed.
const randomTries = 64

// Random returns some entry, each about equally likely, or the zero Entry if
// there is none. r is where the randomness comes from.
func (d *DB) Random(r uint64) Entry {
	if d.Len() == 0 {
		return Entry{}
	}
	x := d.either(&r)
	// A random hash finds a segment with the probability that keys do.
	for range randomTries {
		s := x.at(mix(&r))
		h := s.header()
		inBuckets := s.buckets() * slotsPerBucket
		n := int(mix(&r) >> 32 * uint64(inBuckets+stashSlots) >> 32)
		var ref ds.Ref
		if n < inBuckets {
			ref = s.bucket(n / slotsPerBucket).refs[n%slotsPerBucket]
		} else {
			ref = h.refs[n-inBuckets]
		}
		if ref != 0 {
			return d.entry(ref)
		}
	}
	var found Entry
	d.sample(x, r, 1, func(e Entry) { found = e })
	return found
}

// either chooses an index with the probability that keys are in it. There must
// be a key.
func (d *DB) either(seed *uint64) *index {
	if d.crowd != nil && int(mix(seed)%uint64(d.Len())) >= d.index.count {
		return d.crowd
	}
	return &d.index
}

// Sample visits n entries (fewer if there are fewer) that lie together, from a
// random bucket on. That is cheap and, as neighbours in the index have nothing
// else in common, as good as a random choice for eviction. visit must not
// mutate the DB.
func (d *DB) Sample(r uint64, n int, visit func(Entry)) {
	if d.Len() == 0 {
		return
	}
	x := d.either(&r)
	d.sample(x, r, min(n, x.count), visit)
	if rest := n - x.count; rest > 0 && d.crowd != nil {
		if x == d.crowd {
			x = &d.index
		} else {
			x = d.crowd
		}
		d.sample(x, r, min(rest, x.count), visit)
	}
}

func (d *DB) sample(x *index, r uint64, n int, visit func(Entry)) {
	if n <= 0 {
		return
	}
	place := spread(mix(&r)) >> (32 - prefixBits)
	s := x.atPlace(place)
	first, skip := s, s.home(mix(&r)&tagMask)
	count := func(e Entry) {
		if n > 0 {
			n--
			visit(e)
		}
	}
	for home := skip; ; {
		d.visitHome(s, home, count)
		if n <= 0 {
			return
		}
		if home++; s == first && home == skip {
			return // once around
		}
		if home < s.buckets() {
			continue
		}
		home = 0
		place = (uint64(s.header().place>>depthBits) + 1<<(prefixBits-s.depth())) & (1<<prefixBits - 1)
		s = x.atPlace(place)
		if s == first && skip == 0 {
			return
		}
	}
}
