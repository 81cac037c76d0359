package difftest

import "strconv"

// Sorting are SORT and SORT_RO, on keys of their own: Redis 7.0 refuses numbers
// after one that was out of range anywhere (see newer), and compares texts up to
// their first zero byte only. What is stored must therefore not depend on numbers.
var Sorting = Family{"sorting", []string{
	"5*RPUSH sortlist sortable...",
	"LPOP sortlist",
	"4*SADD sortset sortable...",
	"SREM sortset sortable",
	"4*ZADD sortzset (0|1|2|-5) sortable",
	"4*SET weight sortable",
	"DEL weight",
	"3*HSET weighthash (F|G) sortable",
	"4*SORT (sortlist|sortset|sortzset) [LIMIT index index] [ASC|DESC]",
	"4*SORT (sortlist|sortset|sortzset) ALPHA [LIMIT index index] [ASC|DESC]",
	"2*SORT_RO (sortlist|sortset|sortzset) [ALPHA] [LIMIT index index] [DESC]",
	"4*SORT (sortlist|sortset|sortzset) BY W_* [LIMIT index index] [DESC] [GET #] [GET W_*]",
	"3*SORT (sortlist|sortset|sortzset) BY H_*->F [LIMIT index index] [DESC] [GET H_*->G]",
	"2*SORT sortlist BY W_* ALPHA [DESC] [GET H_*->F]",
	"3*SORT (sortlist|sortzset) BY NOSORT [LIMIT index index] [DESC] [GET H_*] [GET #] [GET word]",
	"2*SORT (sortlist|sortset|sortzset) ALPHA [LIMIT index index] [DESC] [GET W_*] [GET #] STORE sortlist",
	"SORT (sortlist|sortset|sortzset) BY NOSORT [LIMIT index index] STORE sortlist",
	"SORT (sortlist|weight) ALPHA (BY word|LIMIT number index|GET word|ASC|DESC|word)...",
	"SORT_RO sortlist STORE sortlist",
	"SORT (weight|weighthash)",
}}

// sortable is an element to sort, or what elements are sorted by.
func sortable(g *generator) string {
	switch g.rand.IntN(12) {
	case 0:
		return pick(g, []string{"", " 7", "0x1f", "inf", "-inf", "1e3", ".5", "5.", "-0", "+3", "007", "3.0", "1 ", "abc", "-"})
	case 1:
		return strconv.FormatFloat(float64(g.rand.IntN(80)-40)/4, 'f', -1, 64) // all versions print these alike
	}
	return strconv.Itoa(g.rand.IntN(20) - 5)
}
