package journal

import (
	"encoding/binary"
	"errors"
	"math"

	"hyperkv/persist/wal"
)

// Kinds of records.
const (
	// kindUnit is a unit of one shard: effects.
	kindUnit = wal.KindFirst + iota
	// kindShared is a unit of several: number 8 │ how many shards │ (shard │ LSN) … │ effects.
	// The LSNs are those that the unit has in the logs of all its shards.
	kindShared
	// kindCopy stands in the commit log only: see there.
	kindCopy
)

// Effects are written as
//
//	how many │ (database │ how many arguments │ (length │ argument) …) …
//
// with all numbers as varints.

// An Effect is one command of a unit. Args are borrowed.
type Effect struct {
	Database int
	Args     [][]byte
}

func appendEffect(dst []byte, database int, args [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(database))
	dst = binary.AppendUvarint(dst, uint64(len(args)))
	for _, arg := range args {
		dst = binary.AppendUvarint(dst, uint64(len(arg)))
		dst = append(dst, arg...)
	}
	return dst
}

// place is where a unit of several shards is in the log of one.
type place struct {
	log int
	lsn uint64
}

func appendShared(dst []byte, number uint64, places []place) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.AppendUvarint(dst, uint64(len(places)))
	for _, p := range places {
		dst = binary.AppendUvarint(dst, uint64(p.log))
		dst = binary.AppendUvarint(dst, p.lsn)
	}
	return dst
}

// errFormat is about a record whose checksum is right and whose content is not what
// this version writes.
var errFormat = errors.New("a record of the journal is not in a format that this HyperKV knows")

// decoder reads a payload. Once bad, it reads zeros.
type decoder struct {
	p   []byte
	bad bool
}

// number reads a varint that is at most max.
func (d *decoder) number(max uint64) int {
	n, size := binary.Uvarint(d.p)
	if size <= 0 || n > max {
		d.bad = true
		d.p = nil
		return 0
	}
	d.p = d.p[size:]
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.number(uint64(len(d.p)))
	if n > len(d.p) {
		d.bad = true
		return nil
	}
	b := d.p[:n:n]
	d.p = d.p[n:]
	return b
}

// effects reads the effects of a unit into the given ones, which are reused.
func (d *decoder) effects(into []Effect) ([]Effect, error) {
	// Nothing takes less than a byte, so no number is greater than what is left.
	count := d.number(uint64(len(d.p)))
	into = into[:0]
	for i := 0; i < count && !d.bad; i++ {
		if cap(into) > len(into) {
			into = into[:len(into)+1]
		} else {
			into = append(into, Effect{})
		}
		e := &into[len(into)-1]
		e.Database = d.number(1 << 20)
		args := d.number(uint64(len(d.p)))
		e.Args = e.Args[:0]
		for j := 0; j < args && !d.bad; j++ {
			e.Args = append(e.Args, d.bytes())
		}
	}
	if d.bad || len(d.p) > 0 {
		return nil, errFormat
	}
	return into, nil
}

// shared reads what stands before the effects of a unit of several shards.
func (d *decoder) shared(into []place) (number uint64, places []place, err error) {
	if len(d.p) < 8 {
		return 0, nil, errFormat
	}
	number = binary.LittleEndian.Uint64(d.p)
	d.p = d.p[8:]
	count := d.number(uint64(len(d.p)))
	places = into[:0]
	for i := 0; i < count && !d.bad; i++ {
		places = append(places, place{d.number(shardsMax), uint64(d.number(math.MaxInt64))})
	}
	if d.bad || len(places) < 2 {
		return 0, nil, errFormat
	}
	return number, places, nil
}
