package bitmap

import (
	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
)

// Family is the table of the commands on bitmaps.
//
// A write that changes no bit and adds no byte is no change: nobody is told of
// it and nothing is logged.
var Family = engine.Family{Name: "bitmap", Commands: []engine.Command{{
	Name: "SETBIT", Arity: 4, Run: setbit,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW access update"),
	Summary: "Sets or clears one bit and returns what it was; the string grows as far as needed.",
	Since:   "2.2.0", Complexity: "O(1)", Syntax: "key offset value:integer",
}, {
	Name: "GETBIT", Arity: 3, Run: getbit,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Returns one bit.",
	Since:   "2.2.0", Complexity: "O(1)", Syntax: "key offset",
}, {
	Name: "BITCOUNT", Arity: -2, Run: bitcount,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Counts the bits that are set.",
	Since:   "2.6.0", Complexity: "O(N)",
	Syntax: "key range[start end-unit-block[end unit[BYTE | BIT]]]",
	History: []string{
		"7.0.0: Added the `BYTE|BIT` option.",
		"Valkey 8.0.0: `end` made optional; when called without argument the command reports the last BYTE.",
	},
}, {
	Name: "BITPOS", Arity: -3, Run: bitpos,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Finds the first bit that is set, or clear.",
	Since:   "2.8.7", Complexity: "O(N)",
	Syntax:  "key bit range[start end-unit-block[end unit[BYTE | BIT]]]",
	History: []string{"7.0.0: Added the `BYTE|BIT` option."},
}, {
	Name: "BITOP", Arity: -4, Run: bitop,
	Flags: engine.Write | engine.DenyOOM,
	Keys: []engine.KeySpec{
		{Access: "OW update", First: 2, Step: 1},
		{Access: "RO access", First: 3, Last: -1, Step: 1},
	},
	Summary: "Combines bitmaps bit by bit and stores the result.",
	Since:   "2.6.0", Complexity: "O(N)",
	Syntax:  "operation(AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) destkey key [key ...]",
	History: []string{"8.2.0: Added the `DIFF`, `DIFF1`, `ANDOR` and `ONE` operations."},
}, {
	Name: "BITFIELD", Arity: -2, Run: bitfield,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW update access variable_flags"),
	Summary: "Reads, writes and adds to integers of any width at any bit of a string.",
	Since:   "3.2.0", Complexity: "O(1) for each subcommand specified",
	Syntax: "key operation[(get-block(GET encoding offset) | write(overflow-block[OVERFLOW (WRAP | SAT | FAIL)] " +
		"write-operation(set-block(SET encoding offset value:integer) | incrby-block(INCRBY encoding offset increment)))) " +
		"[(get-block(GET encoding offset)) ...]]",
}, {
	Name: "BITFIELD_RO", Arity: -2, Run: bitfieldRO,
	Flags: engine.Read | engine.Fast, Keys: engine.OneKey("RO access"),
	Summary: "Reads integers of any width at any bit of a string.",
	Since:   "6.0.0", Complexity: "O(1) for each subcommand specified",
	Syntax: "key [get-block(GET encoding offset) [get-block(GET encoding offset) ...]]",
}}}

const errBit resp.Error = "ERR bit is not an integer or out of range"

// SETBIT key offset value
func setbit(c *shard.Call) error {
	key := c.Args[1]
	at, err := bitOffset(c.Args[2])
	if err != nil {
		return err
	}
	bit, ok := resp.ParseInt(c.Args[3])
	if !ok || bit&^1 != 0 {
		return errBit
	}
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	n := length(e)
	was := bitOf(text(e, digits[:0]), at)
	size := max(n, int(at>>3)+1)
	if size == n && was == bit {
		// Redis shows in OBJECT ENCODING that the string was about to be written.
		c.DB.MakeRaw(key, e)
		return c.Reply.Int(was)
	}
	b := c.DB.Resize(key, e, size)
	b[at>>3] = b[at>>3]&^(0x80>>(at&7)) | byte(bit)<<(7-at&7)
	c.Event(shard.EventString, "setbit", key)
	return c.Reply.Int(was)
}

// GETBIT key offset
func getbit(c *shard.Call) error {
	at, err := bitOffset(c.Args[2])
	if err != nil {
		return err
	}
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	return c.Reply.Int(bitOf(text(e, digits[:0]), at))
}

// bitRange is a range of bytes or bits as a client gives it.
type bitRange struct {
	start, end int64
	given      bool // start was
	ends       bool // end was
	inBits     bool
}

// parse reads "[start [end [BYTE | BIT]]]". Redis looks at the end before the
// unit in BITCOUNT and the other way round in BITPOS.
func (r *bitRange) parse(args [][]byte, endFirst bool) error {
	if len(args) == 0 {
		return nil
	}
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	var ok bool
	if r.start, ok = resp.ParseInt(args[0]); !ok {
		return resp.ErrNotInteger
	}
	r.given = true
	if len(args) == 1 {
		return nil
	}
	r.end, r.ends = resp.ParseInt(args[1])
	if !r.ends && endFirst {
		return resp.ErrNotInteger
	}
	if len(args) == 3 {
		r.inBits = resp.WordIs(args[2], "BIT")
		if !r.inBits && !resp.WordIs(args[2], "BYTE") {
			return resp.ErrSyntax
		}
	}
	if !r.ends {
		return resp.ErrNotInteger
	}
	return nil
}

// bits returns the first and last bit of the range in a string of n bytes; it
// is empty when first is beyond last.
func (r *bitRange) bits(n int) (first, last int64) {
	total := int64(n)
	if r.inBits {
		total <<= 3
	}
	first, last = r.start, total-1
	if r.ends {
		last = r.end
	}
	if first < 0 {
		first = max(first+total, 0)
	}
	if last < 0 && r.ends {
		last = max(last+total, 0)
	}
	last = min(last, total-1)
	if first > last {
		return 1, 0
	}
	if !r.inBits {
		first, last = first<<3, last<<3|7
	}
	return first, last
}

// BITCOUNT key [start [end [BYTE | BIT]]]
func bitcount(c *shard.Call) error {
	var r bitRange
	if err := r.parse(c.Args[2:], true); err != nil {
		return err
	}
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	b := text(e, digits[:0])
	if !r.given {
		return c.Reply.Int(countBits(b))
	}
	if r.ends && r.start < 0 && r.end < 0 && r.start > r.end {
		return c.Reply.Int(0)
	}
	first, last := r.bits(len(b))
	if first > last {
		return c.Reply.Int(0)
	}
	return c.Reply.Int(countRange(b, first, last))
}

const errBitPosBit resp.Error = "ERR The bit argument must be 1 or 0."

// BITPOS key bit [start [end [BYTE | BIT]]]
//
// Who looks for a clear bit and names no end finds one behind the string when
// there is none inside, because what lies beyond reads as 0.
func bitpos(c *shard.Call) error {
	bit, ok := resp.ParseInt(c.Args[2])
	if !ok {
		return resp.ErrNotInteger
	}
	if bit&^1 != 0 {
		return errBitPosBit
	}
	var r bitRange
	if err := r.parse(c.Args[3:], false); err != nil {
		return err
	}
	e, err := c.DB.String(c.Args[1])
	if err != nil {
		return err
	}
	if !e.Exists() {
		return c.Reply.Int(-bit) // all clear
	}
	var digits [intTextMax]byte
	b := text(e, digits[:0])
	first, last := r.bits(len(b))
	if first > last {
		return c.Reply.Int(-1)
	}
	at := findBit(b, bit, first, last)
	if at < 0 && bit == 0 && !r.ends {
		at = last + 1
	}
	return c.Reply.Int(at)
}
