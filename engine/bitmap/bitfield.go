package bitmap

import (
	"bytes"
	"encoding/binary"
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
)

// An overflow says what becomes of a number that its field cannot hold.
type overflow uint8

const (
	wrap     overflow = iota // the bits that fit
	saturate                 // the nearest number that fits
	fail                     // nothing is written, the reply is null
)

// A field is an integer in a string of bits.
type field struct {
	offset int64 // of its first and most significant bit
	width  uint  // in bits: 1 to 64, unsigned at most 63
	signed bool
}

// last is the number of the field's last bit.
func (f field) last() int64 { return f.offset + int64(f.width) - 1 }

// step is one operation of a BITFIELD command.
type step struct {
	field
	kind     stepKind
	value    int64 // to set or to add
	overflow overflow
}

type stepKind uint8

const (
	stepGet stepKind = iota
	stepSet
	stepAdd
)

const (
	errFieldType resp.Error = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
	errOverflow  resp.Error = "ERR Invalid OVERFLOW type specified"
	errReadOnly  resp.Error = "ERR BITFIELD_RO only supports the GET subcommand"
)

// BITFIELD key [GET encoding offset | [OVERFLOW ...] SET ... | INCRBY ... ...]
func bitfield(c *shard.Call) error {
	var space [8]step
	steps, writes, err := parseSteps(c.Args[2:], space[:0])
	if err != nil {
		return err
	}
	if writes {
		return writeFields(c, steps)
	}
	return readFields(c, steps)
}

// BITFIELD_RO key [GET encoding offset ...]
func bitfieldRO(c *shard.Call) error {
	var space [8]step
	steps, writes, err := parseSteps(c.Args[2:], space[:0])
	if err != nil {
		return err
	}
	if writes {
		return errReadOnly
	}
	return readFields(c, steps)
}

// parseSteps appends the operations to steps. OVERFLOW holds for those behind it.
func parseSteps(args [][]byte, steps []step) (_ []step, writes bool, err error) {
	mode := wrap
	for len(args) > 0 {
		s := step{overflow: mode}
		used := 4
		switch name := args[0]; {
		case resp.WordIs(name, "GET") && len(args) >= 3:
			used = 3
		case resp.WordIs(name, "SET") && len(args) >= 4:
			s.kind = stepSet
		case resp.WordIs(name, "INCRBY") && len(args) >= 4:
			s.kind = stepAdd
		case resp.WordIs(name, "OVERFLOW") && len(args) >= 2:
			switch {
			case resp.WordIs(args[1], "WRAP"):
				mode = wrap
			case resp.WordIs(args[1], "SAT"):
				mode = saturate
			case resp.WordIs(args[1], "FAIL"):
				mode = fail
			default:
				return nil, false, errOverflow
			}
			args = args[2:]
			continue
		default:
			return nil, false, resp.ErrSyntax
		}
		if s.field, err = parseField(args[1], args[2]); err != nil {
			return nil, false, err
		}
		if s.kind != stepGet {
			writes = true
			if s.last()>>3 >= BytesMax {
				return nil, false, resp.ErrBitOffset
			}
			var ok bool
			if s.value, ok = resp.ParseInt(args[3]); !ok {
				return nil, false, resp.ErrNotInteger
			}
		}
		steps = append(steps, s)
		args = args[used:]
	}
	return steps, writes, nil
}

// parseField reads an encoding such as i16 or u8, and an offset in bits or, as
// #3, in fields of that width.
func parseField(encoding, offset []byte) (f field, err error) {
	if zero := bytes.IndexByte(encoding, 0); zero >= 0 {
		encoding = encoding[:zero] // Redis reads it as a C string
	}
	if len(encoding) == 0 || encoding[0] != 'i' && encoding[0] != 'u' {
		return f, errFieldType
	}
	f.signed = encoding[0] == 'i'
	widthMax := int64(63)
	if f.signed {
		widthMax = 64
	}
	width, ok := resp.ParseInt(encoding[1:])
	if !ok || width < 1 || width > widthMax {
		return f, errFieldType
	}
	f.width = uint(width)
	if len(offset) == 0 || offset[0] != '#' {
		f.offset, err = bitOffset(offset)
		return f, err
	}
	n, ok := resp.ParseInt(offset[1:])
	if !ok || n < 0 || n > math.MaxInt64/width || n*width>>3 >= BytesMax {
		return f, resp.ErrBitOffset
	}
	f.offset = n * width
	return f, nil
}

func readFields(c *shard.Call, steps []step) error {
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	b := text(e, digits[:0])
	c.Reply.Array(len(steps))
	for i := range steps {
		c.Reply.Int(steps[i].get(b))
	}
	return nil
}

// writeFields runs steps of which some write. The string first grows to the last
// bit that any of them may write. Otherwise it becomes writable with the first
// bit that changes, so that a command without effect is no change.
func writeFields(c *shard.Call, steps []step) error {
	key := c.Args[1]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	n := length(e)
	size := n
	for i := range steps {
		if s := &steps[i]; s.kind != stepGet {
			size = max(size, int(s.last()>>3)+1)
		}
	}
	grows := size > n
	writable := grows
	var digits [intTextMax]byte
	var b []byte
	if grows {
		b = c.DB.Resize(key, e, size)
	} else {
		b = text(e, digits[:0])
	}
	changed := 0
	c.Reply.Array(len(steps))
	for i := range steps {
		s := &steps[i]
		was := s.get(b)
		if s.kind == stepGet {
			c.Reply.Int(was)
			continue
		}
		now, reply, ok := s.result(was)
		if !ok {
			c.Reply.Null()
			continue
		}
		c.Reply.Int(reply)
		if now != was {
			if !writable {
				b = c.DB.Resize(key, e, size)
				writable = true
			}
			s.put(b, now)
		}
		if grows || now != was {
			changed++
		}
	}
	if !writable {
		c.DB.MakeRaw(key, e) // as in SETBIT
	}
	c.CountChanges(changed)
	if changed > 0 {
		c.Event(shard.EventString, "setbit", key)
	}
	return nil
}

// result is what a writing step makes of the field's value, and what it replies;
// not ok when it fails for overflow.
func (s *step) result(was int64) (now, reply int64, ok bool) {
	var fits bool
	if s.kind == stepSet {
		now, fits = s.sum(s.value, 0, s.overflow)
		reply = was
	} else {
		now, fits = s.sum(was, s.value, s.overflow)
		reply = now
	}
	return now, reply, fits || s.overflow != fail
}

// sum adds two numbers into the field, and says whether the sum fitted. For an
// unsigned field a is taken as unsigned, so that a negative number to set is one
// that is far too large.
func (f field) sum(a, b int64, o overflow) (n int64, fits bool) {
	low, high := f.limits()
	var over, under bool
	if f.signed {
		// high-a may itself run over when a number to set is near the smallest
		// there is. Then Redis calls it too large, so it is too large here.
		over = a > high || f.width < 64 && b > high-a || a >= 0 && b > high-a
		under = !over && (a < low || b < 0 && a < low-b)
	} else {
		over = uint64(a) > uint64(high) || b > 0 && b > high-a
		under = !over && b < 0 && b < -a
	}
	switch {
	case over && o == saturate:
		return high, false
	case under && o == saturate:
		return low, false
	}
	return f.cut(a + b), !over && !under
}

// limits returns the smallest and the largest number that the field can hold.
func (f field) limits() (low, high int64) {
	if f.signed {
		high = math.MaxInt64 >> (64 - f.width)
		return -high - 1, high
	}
	return 0, math.MaxInt64 >> (63 - f.width)
}

// cut keeps the bits that fit into the field.
func (f field) cut(n int64) int64 {
	unused := 64 - f.width
	if f.signed {
		return n << unused >> unused
	}
	return int64(uint64(n) << unused >> unused)
}

// get reads the field; what lies beyond b is 0.
//
// A field may touch nine bytes: eight make a word, shifted up to where the field
// starts, and the ninth fills in from below.
func (f field) get(b []byte) int64 {
	var near [9]byte
	if at := f.offset >> 3; at < int64(len(b)) {
		copy(near[:], b[at:])
	}
	shift := uint(f.offset & 7)
	n := binary.BigEndian.Uint64(near[:])<<shift | uint64(near[8])>>(8-shift)
	unused := 64 - f.width
	if f.signed {
		return int64(n) >> unused
	}
	return int64(n >> unused)
}

// put writes the field, which lies within b.
func (f field) put(b []byte, value int64) {
	b = b[f.offset>>3:]
	var near [9]byte
	touched := copy(near[:], b)
	shift := uint(f.offset & 7)
	unused := 64 - f.width
	mask := uint64(math.MaxUint64) << unused
	bits := uint64(value) << unused
	word := binary.BigEndian.Uint64(near[:])
	binary.BigEndian.PutUint64(near[:], word&^(mask>>shift)|bits>>shift)
	near[8] = near[8]&^byte(mask<<(8-shift)) | byte(bits<<(8-shift))
	copy(b, near[:touched])
}
