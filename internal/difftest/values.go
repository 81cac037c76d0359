package difftest

import (
	"math"
	"strconv"
)

// Every value below that could be taken for a length or an offset is either small
// or beyond what any server accepts: half a gigabyte of zeros proves nothing.

// classes are the kinds of values that forms name.
var classes map[string]class

func init() { // breaks the cycle classes → generator → forms → classes
	classes = map[string]class{
		"key":         key,
		"value":       value,
		"element":     element,
		"item":        item,
		"place":       func(g *generator) string { return pick(g, places) },
		"longitude":   longitude,
		"latitude":    latitude,
		"radius":      radius,
		"unit":        func(g *generator) string { return pick(g, units) },
		"sketch":      func(g *generator) string { return "sketch:" + pick(g, bits[:2]) },
		"word":        func(g *generator) string { return pick(g, words) },
		"number":      number,
		"member":      member,
		"float":       float,
		"small":       func(g *generator) string { return pick(g, []string{"0", "1", "2", "3", "-1", "x"}) },
		"index":       index,
		"rank":        func(g *generator) string { return pick(g, ranks) },
		"maxlen":      func(g *generator) string { return pick(g, maxLens) },
		"offset":      offset,
		"bit":         func(g *generator) string { return pick(g, bits) },
		"bitoffset":   bitOffset,
		"bittype":     bitType,
		"fieldoffset": fieldOffset,
		"field":       field,
		"seconds":     seconds,
		"millis":      millis,
		"unix":        unix,
		"unixmillis":  unixMillis,
		"db":          func(g *generator) string { return pick(g, dbs) },
		"pattern":     func(g *generator) string { return pick(g, patterns) },
		"count":       func(g *generator) string { return pick(g, counts) },
		"type":        func(g *generator) string { return pick(g, types) },
		"payload":     func(g *generator) string { return pick(g, payloads) },
		"restorettl":  restoreTTL,
		"sortable":    sortable,
		"sortlist":    func(g *generator) string { return pick(g, []string{"sort:list", "sort:{t}list"}) },
		"sortset":     func(g *generator) string { return pick(g, []string{"sort:set", "sort:{t}set"}) },
		"sortzset":    func(g *generator) string { return pick(g, []string{"sort:zset", "sort:{t}zset"}) },
		"weight":      func(g *generator) string { return "W_" + sortable(g) },
		"weighthash":  func(g *generator) string { return "H_" + sortable(g) },
		"protocol":    func(g *generator) string { return pick(g, protocols) },
		"stream":      streamKey,
		"streamid":    streamID,
		"newid":       newStreamID,
		"idbound":     streamBound,
		"group":       func(g *generator) string { return pick(g, streamGroups) },
		"consumer":    func(g *generator) string { return pick(g, streamConsumers) },
		"score":       score,
		"bound":       bound,
		"textbound":   func(g *generator) string { return pick(g, textBounds) },
	}
}

// key is mostly one of the family's own.
func key(g *generator) string {
	if len(g.own) > 0 && g.rand.IntN(10) > 0 {
		return pick(g, g.own)
	}
	return pick(g, keys)
}

// keys are few, lie on different shards, share tags, and are awkward.
var keys = []string{
	"a", "b", "c", "d", "user:1", "user:2", "{t}1", "{t}2", "", "bin\x00\xff\r\n", "schlüssel",
	"a-key-that-is-longer-than-any-that-could-be-kept-inside-a-bucket-of-the-index-itself",
}

var words = []string{
	"", "x", "abc", "GET", "nosuchcommand", "0", "-1", "1.5", "name", "na me", "\x00", "ON\r\n", "*",
}

var edgeNumbers = []string{
	"0", "1", "-1", "2", "9", "10", "-10", "99", "127", "128", "255", "256",
	"9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809",
	"9223372036854775806", "4611686018427387904", "18446744073709551615", "18446744073709551616",
	"00", "01", "+1", "-0", " 1", "1 ", "1.0", "1e3", "0x10", "", "abc", "1\x00", "nan", "inf",
}

var edgeFloats = []string{
	"0", "-0", "1", "-1", "0.1", "0.2", "3.0e3", "5.0e-3", "1e17", "1e-17", "1.5", "10.25", "-2.75",
	"99999999999999999999", "0.00000000000000001", "3.14159265358979323846", "1e308", "-1e308", "1e5000",
	"inf", "-inf", "+inf", "nan", "abc", "", " 1", "1 ", ".5", "5.", "0x1p3", "1e", "--1",
}

var edgeTimes = []string{
	"0", "-1", "-1000", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
	"9223372036854775", "9223372036854776", "", "abc", "1.5", " 1000000", "0x7fffffff",
}

var (
	bits       = []string{"0", "1", "0", "1", "0", "1", "2", "-1", "x", ""}
	bitTypes   = []string{"u1", "i1", "u8", "i8", "i8", "u4", "i5", "u16", "i16", "u32", "i33", "u63", "i64"}
	noBitTypes = []string{"u64", "i65", "u0", "i0", "x8", "u", "", "8", "u8 ", "U8", "i-1", "i08"}
	dbs        = []string{"0", "0", "0", "1", "1", "1", "2", "3", "15", "16", "-1", "x", "", "9223372036854775808"}
	patterns   = []string{"*", "*", "a*", "?", "user:[12]", "[^a]*", "\\*", "{t}*", "", "*1", "[a-c]", "[", "a**b", "nosuch"}
	counts     = []string{"1", "2", "10", "1000", "0", "-1", "x"}
	ranks      = []string{"1", "1", "2", "3", "-1", "-1", "-2", "9", "0", "9223372036854775807", "-9223372036854775808", "x"}
	maxLens    = []string{"1", "2", "3", "5", "0", "1000", "9223372036854775807", "-1", "x"}
	types      = []string{"string", "list", "STRING", "nosuch", ""}
	textBounds = []string{"-", "+", "", "b", "+x", "-\x00", "]a"} // what lies between texts is undefined unless all scores are equal
	protocols  = []string{"2", "3", "1", "4", "x", "", "-3"}
)

func pick(g *generator, from []string) string { return from[g.rand.IntN(len(from))] }

// value is what a key may hold: numbers at their limits, text around the sizes at
// which its encoding changes, and bytes that need quoting.
func value(g *generator) string {
	switch g.rand.IntN(10) {
	case 0, 1, 2:
		return number(g)
	case 3:
		return float(g)
	case 4:
		return text(g, 43+g.rand.IntN(4)) // embedded strings end at 44 bytes
	case 5:
		return text(g, pickInt(g, []int{0, 1, 7, 8, 9, 11, 20, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 1000, 2000}))
	case 6:
		return pick(g, []string{"", "\x00", "\x00\x00\x00", "\xff\xff", "\xff\x0f\xf0", "\r\n", "\"'\\", "ünï", "$-1\r\n"})
	default:
		return text(g, g.rand.IntN(12))
	}
}

// item is one of few, so that a list has some twice; a few are long enough to
// make it a large one.
func item(g *generator) string {
	switch g.rand.IntN(12) {
	case 0:
		return pick(g, []string{"", "-1", "127", "128", "-4097", "70000", "01", "1.0", "\x00"})
	case 1:
		return text(g, pickInt(g, []int{62, 63, 64, 126, 127, 600, 3000, 4095, 4096, 9000}))
	default:
		return pick(g, []string{"a", "b", "c", "d", "1", "2"})
	}
}

// member is one of few, so that collections have some in common.
func member(g *generator) string {
	switch g.rand.IntN(10) {
	case 0:
		return pick(g, []string{"", "\x00", "01", "-0", "1.0", "-1", "70000", "-5000000000", "member\r\n"})
	case 1:
		return text(g, 60+g.rand.IntN(10)) // members of packed collections have up to 64 bytes
	case 2, 3, 4:
		return text(g, 1+g.rand.IntN(3))
	default:
		return strconv.Itoa(g.rand.IntN(24))
	}
}

func text(g *generator, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abc"[g.rand.IntN(3)] // few letters, so that LCS finds something
	}
	return string(b)
}

func number(g *generator) string {
	switch g.rand.IntN(4) {
	case 0:
		return pick(g, edgeNumbers)
	case 1:
		return strconv.FormatInt(int64(g.rand.Uint64()), 10)
	default:
		return strconv.Itoa(g.rand.IntN(400) - 200)
	}
}

func float(g *generator) string {
	switch g.rand.IntN(3) {
	case 0:
		return pick(g, edgeFloats)
	case 1:
		return strconv.FormatFloat(math.Round(g.rand.NormFloat64()*1e4)/100, 'f', -1, 64)
	default:
		return strconv.FormatFloat(g.rand.NormFloat64()*1e3, 'f', g.rand.IntN(12), 64)
	}
}

// score is mostly one of few numbers, so that there are ties.
func score(g *generator) string {
	switch g.rand.IntN(16) {
	case 0:
		return float(g)
	case 1:
		return strconv.Itoa(int(g.rand.Int32()))
	case 2, 3:
		return strconv.FormatFloat(float64(g.rand.IntN(80)-40)/8, 'f', -1, 64)
	default:
		return strconv.Itoa(g.rand.IntN(12) - 4)
	}
}

// bound is an end of a range of scores.
func bound(g *generator) string {
	switch g.rand.IntN(12) {
	case 0:
		return pick(g, []string{"", "(", " 1", "1 ", "(x", "nan", "1e5000", "(-1e5000", "1e-5000", "1\x002", "((1", "infinity"})
	case 1, 2:
		return "-inf"
	case 3, 4:
		return "+inf"
	case 5, 6, 7:
		return "(" + strconv.Itoa(g.rand.IntN(12)-4)
	default:
		return strconv.Itoa(g.rand.IntN(12) - 4)
	}
}

func index(g *generator) string {
	switch g.rand.IntN(8) {
	case 0:
		return pick(g, edgeNumbers)
	default:
		return strconv.Itoa(g.rand.IntN(40) - 20)
	}
}

func bitType(g *generator) string {
	if g.rand.IntN(12) == 0 {
		return pick(g, noBitTypes)
	}
	return pick(g, bitTypes)
}

func offset(g *generator) string {
	switch g.rand.IntN(10) {
	case 0:
		return pick(g, []string{"-1", "536870912", "536870913", "4294967296", "9223372036854775807", "", "x"})
	case 1:
		return strconv.Itoa(g.rand.IntN(3000))
	default:
		return strconv.Itoa(g.rand.IntN(40))
	}
}

func bitOffset(g *generator) string {
	switch g.rand.IntN(10) {
	case 0:
		return pick(g, []string{"-1", "4294967296", "4294967297", "9223372036854775807", "", "x", "#1"})
	case 1:
		return strconv.Itoa(g.rand.IntN(20000))
	default:
		return strconv.Itoa(g.rand.IntN(100))
	}
}

func fieldOffset(g *generator) string {
	if g.rand.IntN(4) == 0 {
		return "#" + strconv.Itoa(g.rand.IntN(20))
	}
	return bitOffset(g)
}

// Times to live are far away and never twice the same, because "greater than the
// present one" depends on the millisecond when they are. A few are so near that
// the executor waits for them; see fuse.

func seconds(g *generator) string {
	if g.rand.IntN(5) == 0 {
		return pick(g, edgeTimes)
	}
	return strconv.FormatInt(far(g), 10)
}

func millis(g *generator) string {
	switch g.rand.IntN(12) {
	case 0, 1:
		return pick(g, edgeTimes)
	case 2:
		return strconv.Itoa(1 + g.rand.IntN(int(fuseMax.Milliseconds())))
	default:
		return strconv.FormatInt(far(g)*1000+g.rand.Int64N(1000), 10)
	}
}

func unix(g *generator) string {
	switch g.rand.IntN(5) {
	case 0:
		return pick(g, edgeTimes)
	case 1:
		return strconv.FormatInt(g.base-far(g), 10)
	default:
		return strconv.FormatInt(g.base+far(g), 10)
	}
}

func unixMillis(g *generator) string {
	switch g.rand.IntN(5) {
	case 0:
		return pick(g, edgeTimes)
	case 1:
		return strconv.FormatInt((g.base-far(g))*1000, 10)
	default:
		return strconv.FormatInt((g.base+far(g))*1000+g.rand.Int64N(1000), 10)
	}
}

// far is a distance in seconds that no run reaches.
func far(g *generator) int64 { return 10_000 + g.rand.Int64N(100_000_000) }

func pickInt(g *generator, from []int) int { return from[g.rand.IntN(len(from))] }
