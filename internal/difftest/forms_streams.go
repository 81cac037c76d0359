package difftest

import "strconv"

// Streams are the commands on streams. IDs are given, because those that a server
// makes are its clock's.
var Streams = Family{"streams", []string{
	"8*XADD stream newid (value value)...",
	"8*XADD stream newid F value G value",
	"3*XADD stream [NOMKSTREAM] (MAXLEN|MAXLEN =|MAXLEN ~) small newid F value",
	"XADD stream [NOMKSTREAM] (MINID|MINID =|MINID ~) streamid [LIMIT count] newid F value",
	"XADD stream (NOMKSTREAM|MAXLEN number|MINID streamid|LIMIT number|X|~)... newid value value",
	"2*XLEN stream",
	"4*DEL stream",
	"4*XRANGE stream idbound idbound [COUNT count]",
	"4*XREVRANGE stream idbound idbound [COUNT count]",
	"4*XREAD [COUNT count] [BLOCK 1] STREAMS stream streamid",
	"2*XREAD [COUNT count] STREAMS stream stream streamid (streamid|$)",
	"XREAD (COUNT count|BLOCK 1|NOACK|STREAMS)... stream streamid",
	"3*XDEL stream streamid...",
	"2*XTRIM stream (MAXLEN|MAXLEN =|MAXLEN ~) small [LIMIT count]",
	"2*XTRIM stream (MINID|MINID =|MINID ~) streamid [LIMIT count]",
	"XTRIM stream (MAXLEN number|MINID streamid|LIMIT number|word)...",
	"XSETID stream (99|99-1|word) [ENTRIESADDED number] [MAXDELETEDID streamid]",
	"4*XGROUP CREATE stream group (streamid|0|$) [MKSTREAM] [ENTRIESREAD number]",
	"2*XGROUP SETID stream group (streamid|$|idbound) [ENTRIESREAD number]",
	"XGROUP DESTROY stream group",
	"2*XGROUP CREATECONSUMER stream group consumer",
	"XGROUP DELCONSUMER stream group consumer",
	"XGROUP (CREATE|SETID|word) stream group streamid (word|MKSTREAM|ENTRIESREAD number)...",
	"8*XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS stream >",
	"4*XREADGROUP GROUP group consumer [COUNT count] STREAMS stream streamid",
	"2*XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS stream stream (>|streamid) >",
	"XREADGROUP (GROUP group consumer|COUNT count|NOACK|word)... STREAMS stream (>|$|streamid)",
	"4*XACK stream group streamid...",
	"2*XPENDING stream group",
	"6*XPENDING stream group idbound idbound count [consumer]",
	"XPENDING stream group IDLE (0|100000000|word) idbound idbound count [consumer]",
	"4*XCLAIM stream group consumer (0|100000000) streamid... [JUSTID] [FORCE] [RETRYCOUNT number] [LASTID streamid]",
	"2*XCLAIM stream group consumer 0 streamid... (TIME unixmillis|IDLE millis|FORCE|JUSTID|word)...",
	"4*XAUTOCLAIM stream group consumer (0|100000000) idbound [COUNT count] [JUSTID]",
	"4*XINFO STREAM stream",
	"4*XINFO GROUPS stream",
	"XINFO (STREAM|GROUPS|word) stream word",
	"XINFO CONSUMERS stream word",
}}

var (
	streamGroups    = []string{"g1", "g1", "g1", "g1", "g1", "g2", "", "a-group-whose-name-is-long"}
	streamConsumers = []string{"alice", "bob", "carol", "alice", "", "bob\x00\xff"}
	edgeIDs         = []string{
		"0", "0-0", "-", "+", "$", ">", "0-*", "", "x", "1-", "-1", "1-x", "1--1", "(1-1", "01-02", "+1-1", " 1-1", "1 -1",
		"18446744073709551615", "18446744073709551615-18446744073709551615", "18446744073709551616-0", "9223372036854775808-1",
		"1-18446744073709551615", "1-18446744073709551616", "18446744073709551615-*", "1-1\x00x",
	}
)

// streamKey is one of two keys as a rule, so that they come to hold something.
func streamKey(g *generator) string {
	if g.rand.IntN(6) == 0 {
		return pick(g, keys)
	}
	return pick(g, []string{"user:1", "{t}1"})
}

// IDs grow towards lastMillis, in which any number of entries has room.
const lastMillis = "50-"

// streamID is an ID that a stream may well have, or one at the edge.
func streamID(g *generator) string {
	switch g.rand.IntN(16) {
	case 0:
		return pick(g, edgeIDs)
	case 1:
		return strconv.Itoa(g.rand.IntN(60))
	case 2, 3, 4, 5, 6, 7:
		return lastMillis + strconv.Itoa(g.rand.IntN(30))
	}
	return strconv.Itoa(g.rand.IntN(50)) + "-" + strconv.Itoa(g.rand.IntN(4))
}

// newStreamID is an ID for the next entry.
func newStreamID(g *generator) string {
	switch g.rand.IntN(20) {
	case 0:
		return streamID(g)
	case 1, 2, 3:
		return strconv.Itoa(g.rand.IntN(50)) + "-*"
	case 4, 5, 6:
		return strconv.Itoa(g.rand.IntN(50)) + "-" + strconv.Itoa(1+g.rand.IntN(4))
	}
	return lastMillis + "*"
}

// streamBound is an end of an interval of IDs.
func streamBound(g *generator) string {
	switch g.rand.IntN(8) {
	case 0, 1:
		return "-"
	case 2, 3:
		return "+"
	case 4:
		return "(" + streamID(g)
	}
	return streamID(g)
}
