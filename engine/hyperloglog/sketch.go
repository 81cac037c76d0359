package hyperloglog

import (
	"encoding/binary"

	"hyperkv/resp"
	"hyperkv/shard/keyspace"
)

const (
	registerBits = 14
	registers    = 1 << registerBits
	// valueMax is what six bits hold. No element gives a register more than 51,
	// but bytes that somebody has made up may.
	valueMax = 63

	headerBytes = 16
	denseBytes  = headerBytes + registers*6/8

	encodingAt      = 4
	encodingDense   = 0
	encodingSparse  = 1
	cardinalityAt   = 8
	cardinalityFlag = 15   // the byte whose top bit
	stale           = 0x80 // says that the cardinality has to be computed
)

const (
	errNotSketch resp.Error = "WRONGTYPE Key is not a valid HyperLogLog string value."
	errCorrupted resp.Error = "INVALIDOBJ Corrupted HLL object detected"
)

// A sketch is the string of a HyperLogLog whose header makes sense.
type sketch []byte

// sketchOf returns the sketch that a string holds, borrowed.
func sketchOf(e keyspace.Entry) (sketch, error) {
	s := sketch(e.Bytes()) // nil for an integer
	if len(s) < headerBytes || string(s[:4]) != "HYLL" || s[encodingAt] > encodingSparse ||
		s[encodingAt] == encodingDense && len(s) != denseBytes {
		return nil, errNotSketch
	}
	return s, nil
}

// emptySketch appends a new sketch, which is sparse: one run of zeros.
func emptySketch(to []byte) sketch {
	s := append(to, "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	return appendZeros(s, registers)
}

func (s sketch) dense() bool { return s[encodingAt] == encodingDense }

// cached returns the cardinality that the header remembers.
func (s sketch) cached() (n int64, ok bool) {
	return int64(binary.LittleEndian.Uint64(s[cardinalityAt:])), s[cardinalityFlag]&stale == 0
}

func (s sketch) cache(n int64) { binary.LittleEndian.PutUint64(s[cardinalityAt:], uint64(n)) }

func (s sketch) forget() { s[cardinalityFlag] |= stale }

// register returns a register of a dense sketch.
func (s sketch) register(i int) uint8 {
	b := s[headerBytes+i*6/8:]
	shift := i * 6 % 8
	value := uint16(b[0])
	if shift > 2 { // the last register ends with its byte
		value |= uint16(b[1]) << 8
	}
	return uint8(value>>shift) & valueMax
}

// setRegister sets a register of a dense sketch.
func (s sketch) setRegister(i int, value uint8) {
	b := s[headerBytes+i*6/8:]
	shift := i * 6 % 8
	mask, bits := uint16(valueMax)<<shift, uint16(value)<<shift
	b[0] = b[0]&^byte(mask) | byte(bits)
	if shift > 2 {
		b[1] = b[1]&^byte(mask>>8) | byte(bits>>8)
	}
}

// A table holds all registers, a byte each.
type table [registers]uint8

// include raises the registers of the table to those of the sketch. It is false
// for a corrupted sketch.
func (t *table) include(s sketch) bool {
	if s.dense() {
		for i, packed := 0, s[headerBytes:]; i < registers; i, packed = i+4, packed[3:] {
			four := uint32(packed[0]) | uint32(packed[1])<<8 | uint32(packed[2])<<16
			t[i] = max(t[i], uint8(four&valueMax))
			t[i+1] = max(t[i+1], uint8(four>>6&valueMax))
			t[i+2] = max(t[i+2], uint8(four>>12&valueMax))
			t[i+3] = max(t[i+3], uint8(four>>18))
		}
		return true
	}
	at := 0
	for ops := s[headerBytes:]; len(ops) > 0; {
		r := firstRun(ops)
		ops = ops[r.bytes:]
		end := at + r.count
		if end > registers {
			return false
		}
		if r.value > 0 {
			for i := at; i < end; i++ {
				t[i] = max(t[i], r.value)
			}
		}
		at = end
	}
	return at == registers
}

// count adds the registers to a histogram.
func (t *table) count(h *histogram) {
	for _, value := range t {
		h[value&valueMax]++
	}
}

// pack writes the registers into a dense sketch.
func (t *table) pack(s sketch) {
	packed := s[headerBytes:]
	for i := 0; i < registers; i += 4 {
		four := uint32(t[i]) | uint32(t[i+1])<<6 | uint32(t[i+2])<<12 | uint32(t[i+3])<<18
		packed[0], packed[1], packed[2] = byte(four), byte(four>>8), byte(four>>16)
		packed = packed[3:]
	}
}

// denseOf returns a dense sketch with the registers of the table and what the
// header of s says of the cardinality.
func (t *table) denseOf(s sketch) sketch {
	d := make(sketch, denseBytes)
	copy(d, s[:headerBytes])
	d[encodingAt] = encodingDense
	t.pack(d)
	return d
}

// densified returns s in the dense encoding; it is false for a corrupted sketch.
func (s sketch) densified() (sketch, bool) {
	if s.dense() {
		return s, true
	}
	var t table
	if !t.include(s) {
		return nil, false
	}
	return t.denseOf(s), true
}

// cardinality computes how many distinct elements the sketch has seen; it is
// false for a corrupted sketch.
func (s sketch) cardinality() (n int64, ok bool) {
	var h histogram
	if s.dense() {
		for packed := s[headerBytes:]; len(packed) > 0; packed = packed[3:] {
			four := uint32(packed[0]) | uint32(packed[1])<<8 | uint32(packed[2])<<16
			h[four&valueMax]++
			h[four>>6&valueMax]++
			h[four>>12&valueMax]++
			h[four>>18]++
		}
		return h.estimate(), true
	}
	total := 0
	for ops := s[headerBytes:]; len(ops) > 0; {
		r := firstRun(ops)
		h[r.value] += r.count
		total += r.count
		ops = ops[r.bytes:]
	}
	if total != registers {
		return 0, false
	}
	return h.estimate(), true
}
