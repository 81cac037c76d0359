package keyspace

import (
	"hyperkv/internal/invariant"
	"hyperkv/shard/ds"
	"hyperkv/shard/object"
)

// check walks the whole DB and panics where its parts disagree. It costs as
// much as reading every key; tests call it, and only builds with the tag
// `invariants` walk.
func (d *DB) check() {
	if !invariant.Enabled {
		return
	}
	d.checkAlways()
}

// checkNodes takes all collections out of a DB that is about to be closed, and
// panics if anything of them is left.
func (d *DB) checkNodes() {
	if !invariant.Enabled {
		return
	}
	for cursor, first := uint64(0), true; first || cursor != 0; first = false {
		cursor = d.Scan(cursor, func(e Entry) {
			if e.r.typ() != object.String {
				d.release(e)
			}
		})
	}
	for d.Sweep(1 << 20) {
	}
	invariant.Assert(d.nodes.Stats().Objects == 0, "nodes that no collection refers to")
	invariant.Assert(d.members.count == 0, "deadlines of members that no collection has")
}

func (d *DB) checkAlways() {
	entries, volatile, timed, requested := 0, 0, 0, int64(0)
	for _, x := range []*index{&d.index, d.crowd} {
		if x != nil {
			d.checkIndex(x, &volatile, &timed, &requested)
			entries += x.count
		}
	}
	records := d.records.Stats()
	invariant.Assert(records.Objects == int64(entries), "records that no entry refers to")
	invariant.Assert(records.Requested == requested, "the arena's count of record bytes is wrong")
	invariant.Assert(volatile == d.deadlines.count, "volatile keys are missing from the order of deadlines")
	invariant.Assert(timed == d.timed, "hashes whose fields expire are counted wrongly")
	d.deadlines.check(&d.records)
	d.members.check(&d.records)
	d.records.Check()
	d.nodes.Check()
	d.deadlines.arena.Check()
	d.members.arena.Check()
}

func (d *DB) checkIndex(x *index, volatile, timed *int, requested *int64) {
	entries := 0
	invariant.Assert(len(x.rejected) == 0, "rejected entries that nobody took")
	for i := 0; i < len(x.directory); {
		s := x.entry(uint64(i))
		h := s.header()
		first, n := x.span(s)
		invariant.Assert(first == i && int(h.place&(1<<depthBits-1)) == s.depth(), "a segment is not at its place")
		for j := range n {
			invariant.Assert(x.entry(uint64(i+j)) == s, "directory entries of one segment differ")
		}
		i += n
		invariant.Assert(x.arena.Live(h.self), "a segment that was freed")
		found := 0
		for home := range s.buckets() {
			k := s.bucket(home)
			invariant.Assert(k.natives()+k.guests() <= slotsPerBucket, "a bucket with more entries than slots")
			for slot := range slotsPerBucket {
				want := slot < k.natives() || slot >= slotsPerBucket-k.guests()
				invariant.Assert(k.refs[slot] != 0 == want, "a slot contradicts its bucket's counts")
				if want {
					owner := home
					if slot >= k.natives() {
						owner = s.before(home)
					}
					hash := x.hash(record{d.records.At(k.refs[slot])})
					invariant.Assert(s.home(hash&tagMask) == owner && k.prints[slot] == uint8(hash), "an entry in a wrong bucket")
				}
			}
			next := s.bucket(s.after(home))
			invariant.Assert(k.meta&lentFlag != 0 == (next.guests() > 0), "a bucket forgot its guests")
			d.visitHome(s, home, func(e Entry) {
				found++
				invariant.Assert(d.records.Live(e.ref), "an entry for a freed record")
				hash := x.hash(e.r)
				invariant.Assert(s.home(hash&tagMask) == home, "an entry in a foreign bucket")
				invariant.Assert(int(spread(hash)>>(x.shift&63)) >= first && int(spread(hash)>>(x.shift&63)) < first+n, "an entry in a foreign segment")
				invariant.Assert(d.Find(e.Hash(), e.Key()).ref == e.ref, "a key that is not found")
				*requested += int64(e.r.size())
				if ds.IsLarge(e.ref) {
					*requested -= int64(e.r.size())
				}
				if e.Deadline() != 0 {
					*volatile++
				}
				if e.r.typ() == object.Hash && e.r.memberDeadline() != 0 {
					*timed++
				}
			})
		}
		invariant.Assert(found == int(h.count), "a segment counts wrongly")
		entries += found
	}
	invariant.Assert(entries == x.count, "the index counts wrongly")
	x.arena.Check()
}

func (t *deadlines) check(records *ds.Arena) {
	count, blocks := 0, int64(0)
	var low fence
	have := false
	// below is the highest key so far: everything behind a fence is beyond it.
	below := fence{}
	for i, f := range t.top {
		blocks++
		fences := t.node(f.below)
		invariant.Assert(len(fences) > 0, "an empty node")
		for j, g := range fences {
			blocks++
			leaf := t.leaf(g.below)
			invariant.Assert(len(leaf) > 0, "an empty leaf")
			top := below
			previous := fence{}
			for k, ref := range leaf {
				invariant.Assert(records.Live(ref), "a deadline of a freed record")
				key := fence{at: t.of(record{records.At(ref)}), tie: ref}
				invariant.Assert(key.at != 0, "a persistent record among the deadlines")
				if i+j > 0 {
					invariant.Assert(!key.less(g) && !key.less(f) || j == 0 && !key.less(f), "a deadline before its fence")
					invariant.Assert(!have || below.less(key), "leaves overlap")
				} else if t.sorted && k > 0 {
					invariant.Assert(key.less(previous), "the first leaf is out of order")
				}
				previous = key
				if k == 0 && !have || top.less(key) {
					top = key
				}
				if count == 0 || key.less(low) {
					low = key
				}
				invariant.Assert(!t.highest.less(key), "a deadline beyond the highest")
				count++
			}
			below, have = top, true
		}
	}
	invariant.Assert(count == t.count, "the deadlines count wrongly")
	invariant.Assert(count == 0 || t.lowest <= low.at, "a deadline before the lowest")
	invariant.Assert(blocks == t.arena.Stats().Objects, "blocks that nothing refers to")
}
