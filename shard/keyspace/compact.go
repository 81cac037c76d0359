package keyspace

import "hyperkv/shard/ds"

// Compact moves at most budget records or index segments out of sparse slabs,
// so that the slabs can be given back to the system. It returns true if another
// call would find more to do. Entries become invalid. A move costs one to two
// microseconds, most of it cache misses.
func (d *DB) Compact(budget int) (more bool) {
	if d.nodes.Stats().Objects == 0 {
		d.nodes.Compact(1, nil) // gives back what it keeps for the next collection
	}
	for range 4 {
		switch d.cursor {
		case 0:
			more = d.records.Compact(budget, d.moveRecord)
		case 1:
			more = d.index.arena.Compact(budget, d.index.move)
		case 2:
			more = d.deadlines.arena.Compact(budget, func(ref ds.Ref) { d.deadlines.move(ref, &d.records) })
		case 3:
			if d.crowd != nil {
				more = d.crowd.arena.Compact(budget, d.crowd.move)
			}
		}
		if more {
			return true
		}
		d.cursor = (d.cursor + 1) % 4
	}
	d.check()
	return false
}

// moveRecord gives a record another slot.
func (d *DB) moveRecord(ref ds.Ref) {
	from := d.entry(ref)
	size := from.r.size()
	to := d.entry(d.records.Alloc(size))
	copy(to.r.bytes(0, size), from.r.bytes(0, size))
	at := from.r.deadline()
	d.succeed(from.r.hash(), from, to, at, at)
}
