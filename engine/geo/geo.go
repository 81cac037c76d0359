package geo

import (
	"math"
	"strconv"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// Family is the table of the commands on places.
//
// Redis looks at the type of a key before it looks at the arguments of a search,
// and at the arguments of GEOADD before the type.
var Family = engine.Family{Name: "geo", Commands: []engine.Command{{
	Name: "GEOADD", Arity: -5, Run: geoadd,
	Member: 4, MemberStep: 3,
	Flags: engine.Write | engine.DenyOOM, Keys: engine.OneKey("RW update"),
	Summary: "Adds places to a sorted set, or moves them.",
	Since:   "3.2.0", Complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
	Syntax:  "key condition[NX | XX] change[CH] data(longitude:double latitude:double member) [(longitude latitude member) ...]",
	History: []string{"6.2.0: Added the `CH`, `NX` and `XX` options."},
}, {
	Name: "GEODIST", Arity: -4, Run: geodist,
	Member: 2, MemberStep: 1,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns the distance between two places.",
	Since:   "3.2.0", Complexity: "O(1)",
	Syntax: "key member1 member2 unit[M | KM | FT | MI]",
}, {
	Name: "GEOHASH", Arity: -2, Run: geohash,
	Member: 2, MemberStep: 1,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns places as geohashes of eleven letters.",
	Since:   "3.2.0", Complexity: "O(1) for each member requested.",
	Syntax: "key [member [member ...]]",
}, {
	Name: "GEOPOS", Arity: -2, Run: geopos,
	Member: 2, MemberStep: 1,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Returns places as longitudes and latitudes.",
	Since:   "3.2.0", Complexity: "O(1) for each member requested.",
	Syntax: "key [member [member ...]]",
}, {
	Name: "GEORADIUS", Arity: -6, Run: georadius, Find: radiusKeys,
	Flags: engine.Write | engine.DenyOOM | engine.MovableKeys, Keys: radiusSpecs(6),
	Summary: "Finds the places within a distance of a point, and may store them.",
	Since:   "3.2.0", Complexity: complexityOfRadius,
	Syntax:     "key longitude:double latitude:double " + syntaxOfRadius + syntaxOfStore,
	History:    historyOfRadius,
	Deprecated: "6.2.0", Replacement: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
}, {
	Name: "GEORADIUS_RO", Arity: -6, Run: georadiusRO,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Finds the places within a distance of a point.",
	Since:   "3.2.10", Complexity: complexityOfRadius,
	Syntax:     "key longitude:double latitude:double " + syntaxOfRadius,
	History:    historyOfRadius,
	Deprecated: "6.2.0", Replacement: "`GEOSEARCH` with the `BYRADIUS` argument",
}, {
	Name: "GEORADIUSBYMEMBER", Arity: -5, Run: georadiusbymember, Find: radiusKeys,
	Flags: engine.Write | engine.DenyOOM | engine.MovableKeys, Keys: radiusSpecs(5),
	Summary: "Finds the places within a distance of one of them, and may store them.",
	Since:   "3.2.0", Complexity: complexityOfRadius,
	Syntax:     "key member " + syntaxOfRadius + syntaxOfStore,
	History:    historyOfRadius,
	Deprecated: "6.2.0", Replacement: "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
}, {
	Name: "GEORADIUSBYMEMBER_RO", Arity: -5, Run: georadiusbymemberRO,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Finds the places within a distance of one of them.",
	Since:   "3.2.10", Complexity: complexityOfRadius,
	Syntax:     "key member " + syntaxOfRadius,
	History:    historyOfRadius,
	Deprecated: "6.2.0", Replacement: "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
}, {
	Name: "GEOSEARCH", Arity: -7, Run: geosearch,
	Flags: engine.Read, Keys: engine.OneKey("RO access"),
	Summary: "Finds the places inside a circle, a rectangle or a polygon.",
	Since:   "6.2.0", Complexity: complexityOfSearch,
	Syntax: "key " + syntaxOfSearch + " [WITHCOORD] [WITHDIST] [WITHHASH]",
	History: []string{
		"7.0.0: Added support for uppercase unit names.",
		"Valkey 9.0.0: Added support for the `BYPOLYGON` option.",
	},
}, {
	Name: "GEOSEARCHSTORE", Arity: -8, Run: geosearchstore,
	Flags: engine.Write | engine.DenyOOM,
	Keys: []engine.KeySpec{
		{Access: "OW update", First: 1, Step: 1},
		{Access: "RO access", First: 2, Step: 1},
	},
	Summary: "Stores the places inside a circle, a rectangle or a polygon as a sorted set.",
	Since:   "6.2.0", Complexity: complexityOfSearch,
	Syntax: "destination source " + syntaxOfSearch + " [STOREDIST]",
	History: []string{
		"7.0.0: Added support for uppercase unit names.",
		"Valkey 9.0.0: Added support for the `BYPOLYGON` option.",
	},
}}}

const (
	syntaxOfUnit   = "unit(M | KM | FT | MI)"
	syntaxOfOrder  = "order[ASC | DESC]"
	syntaxOfRadius = "radius:double " + syntaxOfUnit + " [WITHCOORD] [WITHDIST] [WITHHASH] " + syntaxOfCount + " " + syntaxOfOrder
	syntaxOfCount  = "count-block[COUNT count [ANY]]"
	syntaxOfStore  = " store[STORE storekey:key | STOREDIST storedistkey:key]"
	syntaxOfSearch = "search-type(radius-or-box(from(FROMMEMBER member | FROMLONLAT longitude:double latitude:double) " +
		"by(circle(BYRADIUS radius:double " + syntaxOfUnit + ") | box(BYBOX width:double height:double " + syntaxOfUnit + "))) | " +
		"polygon(BYPOLYGON num-vertices:integer vertices(longitude:double latitude:double) [(longitude latitude) ...])) " +
		syntaxOfOrder + " " + syntaxOfCount

	complexityOfRadius = "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area " +
		"delimited by center and radius and M is the number of items inside the index."
	complexityOfSearch = "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around " +
		"the shape provided as the filter and M is the number of items inside the shape"
)

var historyOfRadius = []string{
	"6.2.0: Added the `ANY` option for `COUNT`.",
	"7.0.0: Added support for uppercase unit names.",
}

const errUnit resp.Error = "ERR unsupported unit provided. please use M, KM, FT, MI"

// places opens the sorted set of a key that is read; there is none of an absent key.
func places(c *shard.Call, key []byte) (z object.ZSetView, there bool, err error) {
	v, err := c.DB.Open(key, object.ZSet)
	if err != nil || v == nil {
		return z, false, err
	}
	return object.ZSetOf(v, c.Limits()), true, nil
}

// pointArgs reads a longitude and a latitude.
func pointArgs(args [][]byte) (p point, err error) {
	lon, ok := resp.ParseFloat(args[0])
	if !ok {
		return p, resp.ErrNotFloat
	}
	lat, ok := resp.ParseFloat(args[1])
	if !ok {
		return p, resp.ErrNotFloat
	}
	if lon < -lonMax || lon > lonMax || lat < -latMax || lat > latMax {
		return p, resp.Error("ERR invalid longitude,latitude pair " + fixed(lon) + "," + fixed(lat))
	}
	return point{lon, lat}, nil
}

// fixed shows a number as C's %f does.
func fixed(f float64) string {
	if math.IsInf(f, 0) {
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+"))
	}
	return strconv.FormatFloat(f, 'f', 6, 64)
}

// unitArg reads a unit of length and returns how many meters it has.
func unitArg(arg []byte) (meters float64, err error) {
	switch strings.ToUpper(string(arg)) {
	case "M":
		return 1, nil
	case "KM":
		return 1000, nil
	case "FT":
		return 0.3048, nil
	case "MI":
		return 1609.34, nil
	}
	return 0, errUnit
}

// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]
func geoadd(c *shard.Call) error {
	var nx, xx, ch bool
	data := c.Args[2:]
options:
	for ; len(data) > 0; data = data[1:] {
		switch strings.ToUpper(string(data[0])) {
		case "NX":
			nx = true
		case "XX":
			xx = true
		case "CH":
			ch = true
		default:
			break options
		}
	}
	if len(data)%3 != 0 || len(data) == 0 || nx && xx {
		return resp.ErrSyntax
	}
	for i := 0; i < len(data); i += 3 {
		if _, err := pointArgs(data[i:]); err != nil {
			return err
		}
	}
	key := c.Args[1]
	v, err := c.DB.OpenForWrite(key, object.ZSet)
	if err != nil {
		return err
	}
	if v == nil {
		if xx {
			return c.Reply.Int(0)
		}
		e, root := object.ZSetFor(c.Limits(), len(data)/3, len(data[2]))
		v = c.DB.Create(key, object.ZSet, e, root, 0)
	}
	z := object.ZSetOf(v, c.Limits())
	added, moved := int64(0), int64(0)
	for ; len(data) > 0; data = data[3:] {
		p, _ := pointArgs(data)
		member := data[2]
		if nx || xx {
			if _, there := z.Score(member); there == nx {
				continue
			}
		}
		score := scoreOf(p)
		was, existed := z.Add(member, score)
		switch {
		case !existed:
			added++
		case was != score:
			moved++
		}
	}
	if added+moved > 0 {
		c.CountChanges(int(added + moved))
		c.Event(shard.EventZSet, "zadd", key)
	}
	if ch {
		return c.Reply.Int(added + moved)
	}
	return c.Reply.Int(added)
}

// GEODIST key member1 member2 [M | KM | FT | MI]
func geodist(c *shard.Call) error {
	unit := 1.0
	switch {
	case len(c.Args) == 5:
		var err error
		if unit, err = unitArg(c.Args[4]); err != nil {
			return err
		}
	case len(c.Args) > 5:
		return resp.ErrSyntax
	}
	z, there, err := places(c, c.Args[1])
	if err != nil {
		return err
	}
	if !there {
		return c.Reply.Null()
	}
	from, ok1 := z.Score(c.Args[2])
	to, ok2 := z.Score(c.Args[3])
	if !ok1 || !ok2 {
		return c.Reply.Null()
	}
	return replyDistance(c, distance(pointOf(from), pointOf(to))/unit)
}

// GEOHASH key [member ...]
func geohash(c *shard.Call) error {
	z, there, err := places(c, c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		score, ok := 0.0, false
		if there {
			score, ok = z.Score(member)
		}
		if !ok {
			c.Reply.Null()
			continue
		}
		var text [textLen]byte
		c.Reply.Bulk(appendText(text[:0], pointOf(score)))
	}
	return nil
}

// GEOPOS key [member ...]
func geopos(c *shard.Call) error {
	z, there, err := places(c, c.Args[1])
	if err != nil {
		return err
	}
	c.Reply.Array(len(c.Args) - 2)
	for _, member := range c.Args[2:] {
		score, ok := 0.0, false
		if there {
			score, ok = z.Score(member)
		}
		if !ok {
			c.Reply.NullArray()
			continue
		}
		replyPoint(c, pointOf(score))
	}
	return nil
}

// replyPoint answers a longitude and a latitude, with as many digits as Redis
// gives, which are more than there are.
func replyPoint(c *shard.Call, p point) {
	c.Reply.Array(2)
	for _, degrees := range [...]float64{p.lon, p.lat} {
		var space [32]byte
		text := strconv.AppendFloat(space[:0], degrees, 'f', 17, 64)
		end := len(text)
		for text[end-1] == '0' {
			end--
		}
		if text[end-1] == '.' {
			end--
		}
		text = text[:end]
		if string(text) == "-0" {
			text = text[1:]
		}
		c.Reply.HumanDouble(text)
	}
}

// replyDistance answers a distance with four digits behind the point.
func replyDistance(c *shard.Call, d float64) error {
	var space [32]byte
	n := int64(math.RoundToEven(d * 10000))
	text := strconv.AppendInt(space[:0], n/10000, 10)
	text = append(text, '.')
	for digit := int64(1000); digit > 0; digit /= 10 {
		text = append(text, '0'+byte(n/digit%10))
	}
	return c.Reply.Bulk(text)
}
