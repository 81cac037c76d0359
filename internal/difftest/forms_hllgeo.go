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

// Geo are the commands on places. Most lie near a few centers, so that searches
// find some of them.
var Geo = Family{"geo", []string{
	"8*GEOADD key [NX|XX] [CH] (longitude latitude place)...",
	"2*GEOADD key (NX|XX|CH)... (longitude latitude place)...",
	"3*GEOPOS key place...",
	"3*GEOHASH key place...",
	"4*GEODIST key place place [unit]",
	"GEODIST key place place unit unit",
	"4*GEORADIUS key longitude latitude radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [ASC|DESC]",
	"2*GEORADIUS key longitude latitude radius unit [WITHDIST] [COUNT count [ANY]] [ASC|DESC] [STORE key|STOREDIST key]",
	"2*GEORADIUS_RO key longitude latitude radius unit [WITHDIST] [ASC|DESC] [STORE key]",
	"3*GEORADIUSBYMEMBER key place radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [ASC|DESC] [STORE key]",
	"GEORADIUSBYMEMBER_RO key place radius unit [WITHDIST] [ASC|DESC]",
	"6*GEOSEARCH key (FROMMEMBER place|FROMLONLAT longitude latitude) (BYRADIUS radius unit|BYBOX radius radius unit) [WITHCOORD] [WITHDIST] [WITHHASH] [ASC|DESC]",
	"GEOSEARCH key (FROMMEMBER place|FROMLONLAT longitude latitude|BYRADIUS radius unit|BYBOX radius radius unit|COUNT count|ANY|ASC|DESC|WITHDIST|STOREDIST|word)...",
	"4*GEOSEARCHSTORE key key (FROMMEMBER place|FROMLONLAT longitude latitude) (BYRADIUS radius unit|BYBOX radius radius unit) [ASC|DESC] [WITHDIST]",
}}

// degrees are those of a place near one of a few centers, or an awkward number.
func degrees(g *generator, centers []float64, awkward []string) string {
	if g.rand.IntN(12) == 0 {
		return pick(g, awkward)
	}
	spread := []float64{0.01, 1, 10}[g.rand.IntN(3)]
	return strconv.FormatFloat(centers[g.rand.IntN(len(centers))]+g.rand.NormFloat64()*spread, 'f', g.rand.IntN(10), 64)
}

func longitude(g *generator) string {
	return degrees(g, []float64{13.4, 15, -75, 179.9}, []string{"180", "-180", "0", "-0", "180.0001", "-500", "1e3", "nan", "inf", "x", "", "-179.99999"})
}

func latitude(g *generator) string {
	return degrees(g, []float64{38.1, 37.5, -60, 80}, []string{"85.05112878", "-85.05112878", "85.0511287800001", "90", "0", "-0", "nan", "-inf", "x", "", "-84.9"})
}

// radius is how far a search goes, or how wide.
func radius(g *generator) string {
	if g.rand.IntN(15) == 0 {
		return pick(g, []string{"0", "-1", "x", "", "nan", "inf", "1e300", "-0", "1e-300", "5e7"})
	}
	return strconv.FormatFloat(g.rand.ExpFloat64()*[]float64{1, 300, 3000}[g.rand.IntN(3)], 'f', g.rand.IntN(5), 64)
}

var (
	places = []string{"a", "b", "c", "d", "Palermo", "Catania", "12", "-7", "", "x\x00y", "e", "f", "g", "h"}
	units  = []string{"m", "km", "km", "km", "ft", "mi", "KM", "Mi", "x", ""}
)
