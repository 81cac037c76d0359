package shard

import "hyperkv/shard/keyspace"

// A SCAN cursor on the wire is one decimal number for the whole keyspace:
//
//	63   62 ........ 48   47 ................. 0
//	 0   shard's index    cursor of its database
//
// Shards are visited in ascending order. 0 is both the start, which is the start
// of shard 0, and the end.
const (
	cursorBits     = 48
	cursorMask     = 1<<cursorBits - 1
	cursorShardMax = 1<<15 - 1
)

// EncodeCursor returns the cursor that continues at position inner of a shard.
func EncodeCursor(shard int, inner uint64) uint64 {
	return uint64(shard)<<cursorBits | inner&cursorMask
}

// DecodeCursor returns where a cursor continues. The shard may be one that does
// not exist: cursors come from clients, and may be older than the process.
func DecodeCursor(cursor uint64) (shard int, inner uint64) {
	return int(cursor >> cursorBits), cursor & cursorMask
}

// NextCursor returns the cursor that follows when a shard's database has
// answered inner, which is 0 when it has been visited completely.
func NextCursor(shard int, inner uint64, shards int) uint64 {
	switch {
	case inner != 0:
		return EncodeCursor(shard, inner)
	case shard+1 < shards && shard < cursorShardMax:
		return EncodeCursor(shard+1, 0)
	default:
		return 0
	}
}

// CursorShard returns the index of the shard that a cursor is to be sent to. A
// cursor beyond the last shard goes to the first one, where the scan ends.
func CursorShard(cursor uint64, shards int) int {
	if shard, _ := DecodeCursor(cursor); shard < shards {
		return shard
	}
	return 0
}

// ParseCursor reads a cursor as Redis 7.4 does: decimal, unsigned, 64 bits.
func ParseCursor(b []byte) (cursor uint64, ok bool) {
	if len(b) > 0 && b[0] == '+' {
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || cursor > (1<<64-1-d)/10 {
			return 0, false
		}
		cursor = cursor*10 + d
	}
	return cursor, true
}

// ScanAll is Scan with the keys whose time has come as well, so that SCAN can
// remove what it passes; visit is told which they are, and must not mutate.
func (d DB) ScanAll(s *Shard, cursor uint64, visit func(e keyspace.Entry, expired bool)) uint64 {
	db := s.databases[d.Number]
	if db == nil {
		return 0
	}
	return db.Scan(cursor, func(e keyspace.Entry) {
		at := e.Deadline()
		visit(e, at != 0 && at <= d.call.Now)
	})
}
