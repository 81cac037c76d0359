package difftest

import "strconv"

// HyperLogLogs are the commands that estimate cardinalities. Any key may come to
// hold a sketch that other commands have broken; several elements are added only
// to keys that nothing else writes to, because when a broken one refuses the second
// element, Redis has already added the first.
var HyperLogLogs = Family{"hyperloglogs", []string{
	"3*PFADD sketch element...",
	"6*PFADD sketch (element element element element element element element element)...",
	"6*PFADD key element",
	"PFADD key",
	"4*PFCOUNT key",
	"2*PFCOUNT sketch",
	"2*PFCOUNT (key|sketch)...",
	"3*PFMERGE key (key|sketch)...",
	"PFMERGE sketch sketch...",
	"PFMERGE key",
	"2*PFDEBUG (DECODE|ENCODING|TODENSE|GETREG|word) (key|sketch)",
	"2*GET (key|sketch)",
	"DEL sketch",
}}

// element is one of so many that registers fill.
func element(g *generator) string {
	if g.rand.IntN(8) == 0 {
		return value(g)
	}
	return "element:" + strconv.Itoa(g.rand.IntN(5000))
}
