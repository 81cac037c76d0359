package hyperloglog

import "slices"

// A run is a number of neighbouring registers with the same value.
//
//	00nnnnnn            up to 64 zeros             ZERO
//	01nnnnnn nnnnnnnn   up to 16384 zeros          XZERO
//	1vvvvvnn            up to 4 of a value to 32   VAL
//
// Counts and values are written less one.
type run struct {
	value uint8
	count int
	bytes int
}

const (
	zeroMax      = 64
	valueRunMax  = 4
	sparseMax    = 32 // the largest value that a run can have
	longZeroMark = 0x40
	valueMark    = 0x80
	kindMask     = 0xc0
)

// firstRun reads the run that ops, not empty, begins with. Of a long one whose
// second byte is missing the missing bits are 0.
func firstRun(ops []byte) run {
	op := ops[0]
	switch {
	case op&valueMark != 0:
		return run{value: op>>2&0x1f + 1, count: int(op&3) + 1, bytes: 1}
	case op&kindMask == 0:
		return run{count: int(op) + 1, bytes: 1}
	}
	r := run{count: int(op&^kindMask)<<8 + 1, bytes: 1}
	if len(ops) > 1 {
		r.count += int(ops[1])
		r.bytes = 2
	}
	return r
}

func appendZeros(to []byte, count int) []byte {
	if count > zeroMax {
		return append(to, byte((count-1)>>8)|longZeroMark, byte(count-1))
	}
	return append(to, byte(count-1))
}

func appendValues(to []byte, value uint8, count int) []byte {
	return append(to, (value-1)<<2|uint8(count-1)|valueMark)
}

// appendRun appends count registers of a value, which may be none.
func appendRun(to []byte, value uint8, count int) []byte {
	switch {
	case count == 0:
		return to
	case value == 0:
		return appendZeros(to, count)
	}
	return appendValues(to, value, count)
}

// A writer raises registers of a sketch. It owns the bytes, so a sketch in the
// keyspace is copied before and replaced after.
type writer struct {
	sketch
	// sparseBytesMax is the size up to which the sketch stays sparse.
	sparseBytesMax int

	// Registers that come in ascending order are found from here on instead of
	// from the beginning: from is where the run of the register first begins, and
	// all registers up to done lie behind that run.
	from, first, done int
}

// outcome is what became of an attempt to raise a register.
type outcome uint8

const (
	unchanged outcome = iota
	changed
	corrupted
)

// raise makes the register at least the value. It is corrupted, and nothing has
// changed, if the runs do not say what the register holds.
func (w *writer) raise(register int, value uint8) outcome {
	if w.dense() {
		if w.register(register) >= value {
			return unchanged
		}
		w.setRegister(register, value)
		return changed
	}
	if value > sparseMax {
		return w.promote(register, value)
	}
	// at is where the run with the register begins, before where the one before
	// it does, and so on.
	at, first := headerBytes, 0
	if register > w.done {
		at, first = max(w.from, at), w.first
	}
	before, beforeFirst := -1, 0
	from, fromFirst := headerBytes, 0
	var r run
	for ; at < len(w.sketch); at += r.bytes {
		r = firstRun(w.sketch[at:])
		if register < first+r.count {
			break
		}
		if before >= 0 {
			from, fromFirst = before, beforeFirst
		}
		before, beforeFirst = at, first
		first += r.count
	}
	if at >= len(w.sketch) {
		return corrupted
	}
	if r.value >= value {
		return unchanged
	}
	if r.count == 1 && r.bytes == 1 {
		appendValues(w.sketch[at:at], value, 1)
	} else {
		var space [5]byte
		runs := appendRun(space[:0], r.value, register-first)
		runs = appendValues(runs, value, 1)
		runs = appendRun(runs, r.value, first+r.count-1-register)
		grows := len(runs) - r.bytes
		if grows > 0 && len(w.sketch)+grows > w.sparseBytesMax {
			return w.promote(register, value)
		}
		w.sketch = slices.Replace(w.sketch, at, at+r.bytes, runs...)
	}
	w.join(max(before, headerBytes))
	// What join has put together begins no earlier than the run before, so the
	// one before that is a safe place to go on from.
	w.from, w.first, w.done = from, fromFirst, register
	return changed
}

// joinMax is how many runs Redis looks at after a change.
const joinMax = 5

// join puts neighbouring runs of one value together, from the given one on.
func (w *writer) join(at int) {
	for range joinMax {
		if at >= len(w.sketch) {
			return
		}
		r := firstRun(w.sketch[at:])
		if r.value > 0 && at+1 < len(w.sketch) {
			if next := firstRun(w.sketch[at+1:]); next.value == r.value && r.count+next.count <= valueRunMax {
				w.sketch = slices.Delete(w.sketch, at, at+1)
				appendValues(w.sketch[at:at], r.value, r.count+next.count)
				continue // the result may join the next
			}
		}
		at += r.bytes
	}
}

// promote makes the sketch dense, because the register does not fit otherwise.
func (w *writer) promote(register int, value uint8) outcome {
	d, ok := w.densified()
	if !ok {
		return corrupted
	}
	w.sketch = d
	d.setRegister(register, value)
	return changed
}
