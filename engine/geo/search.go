package geo

import (
	"cmp"
	"slices"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// A search is what GEOSEARCH, GEORADIUS and their kin are told.
type search struct {
	shape
	order order
	// count is how many places are wanted, 0 for all; any says that they need not
	// be the first of the order.
	count int64
	any   bool

	withCoord, withDist, withHash bool

	// store is the key that takes the result instead of the client, with the
	// distances for scores if so asked.
	store         []byte
	storeDistance bool
}

type order uint8

const (
	unordered order = iota
	ascending
	descending
)

// A form is what a command of the kind allows.
type form uint8

const (
	ofPoint  form = 1 << iota // GEORADIUS
	ofMember                  // GEORADIUSBYMEMBER
	readOnly                  // …_RO
	modern                    // GEOSEARCH
	storing                   // GEOSEARCHSTORE
)

const (
	errMember        resp.Error = "ERR could not decode requested zset member"
	errRadius        resp.Error = "ERR need numeric radius"
	errRadiusSign    resp.Error = "ERR radius cannot be negative"
	errWidth         resp.Error = "ERR need numeric width"
	errHeight        resp.Error = "ERR need numeric height"
	errBoxSign       resp.Error = "ERR height or width cannot be negative"
	errVertexCount   resp.Error = "ERR invalid number of vertices"
	errVertices      resp.Error = "ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"
	errCount         resp.Error = "ERR COUNT must be > 0"
	errAny           resp.Error = "ERR the ANY argument requires COUNT argument"
	errWithInRadius  resp.Error = "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
	errWithInStoring resp.Error = "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
)

// radiusKeys finds the keys of GEORADIUS and GEORADIUSBYMEMBER: of several that
// are to store the result, the last one does.
func radiusKeys(args [][]byte) ([]int, error) {
	keys := []int{1}
	for i := 5; i+1 < len(args); i++ {
		if word := strings.ToUpper(string(args[i])); word == "STORE" || word == "STOREDIST" {
			i++
			keys = append(keys[:1], i)
		}
	}
	return keys, nil
}

// radiusSpecs are the keys of these commands as far as key specifications go.
func radiusSpecs(options int) []engine.KeySpec {
	return []engine.KeySpec{
		{Access: "RO access", First: 1, Step: 1},
		{Access: "OW update", Keyword: "STORE", From: options, Step: 1},
		{Access: "OW update", Keyword: "STOREDIST", From: options, Step: 1},
	}
}

// GEORADIUS key longitude latitude radius unit [option ...]
func georadius(c *shard.Call) error { return find(c, 1, ofPoint) }

// GEORADIUS_RO key longitude latitude radius unit [option ...]
func georadiusRO(c *shard.Call) error { return find(c, 1, ofPoint|readOnly) }

// GEORADIUSBYMEMBER key member radius unit [option ...]
func georadiusbymember(c *shard.Call) error { return find(c, 1, ofMember) }

// GEORADIUSBYMEMBER_RO key member radius unit [option ...]
func georadiusbymemberRO(c *shard.Call) error { return find(c, 1, ofMember|readOnly) }

// GEOSEARCH key option ...
func geosearch(c *shard.Call) error { return find(c, 1, modern) }

// GEOSEARCHSTORE destination source option ...
func geosearchstore(c *shard.Call) error { return find(c, 2, modern|storing) }

// find is all of these commands, the key of the sorted set standing at a position.
func find(c *shard.Call, key int, f form) error {
	z, there, err := places(c, c.Args[key])
	if err != nil {
		return err
	}
	var index *object.ZSetView
	if there {
		index = &z
	}
	var s search
	if err := s.parse(c.Args, key+1, f, index); err != nil {
		return err
	}
	var found []ranked
	if there {
		found = s.run(index)
	}
	if s.store == nil {
		s.reply(c, found)
		return nil
	}
	event := "georadiusstore"
	if f&modern != 0 {
		event = "geosearchstore"
	}
	return s.keep(c, found, event)
}

// parse reads the arguments from at on. Without an index nothing that refers to it
// can be found, which is no error.
func (s *search) parse(args [][]byte, at int, f form, index *object.ZSetView) (err error) {
	name, options := args[0], args[at:]
	if f&storing != 0 {
		s.store = args[1]
	}
	switch {
	case f&ofPoint != 0:
		if s.center, err = pointArgs(options); err != nil {
			return err
		}
		if err = s.setCircle(options[2:]); err != nil {
			return err
		}
		options = options[4:]
	case f&ofMember != 0:
		if index != nil {
			if err = s.setMember(options[0], index); err != nil {
				return err
			}
			if err = s.setCircle(options[1:]); err != nil {
				return err
			}
		}
		options = options[3:]
	}
	var fromMember, fromPoint, byCircle, byBox, byPolygon bool
	for len(options) > 0 {
		word, rest := strings.ToUpper(string(options[0])), options[1:]
		options = rest
		switch {
		case word == "WITHDIST":
			s.withDist = true
		case word == "WITHHASH":
			s.withHash = true
		case word == "WITHCOORD":
			s.withCoord = true
		case word == "ANY":
			s.any = true
		case word == "ASC":
			s.order = ascending
		case word == "DESC":
			s.order = descending
		case word == "COUNT" && len(rest) >= 1:
			var ok bool
			if s.count, ok = resp.ParseInt(rest[0]); !ok {
				return resp.ErrNotInteger
			}
			if s.count <= 0 {
				return errCount
			}
			options = rest[1:]
		case (word == "STORE" || word == "STOREDIST") && len(rest) >= 1 && f&(readOnly|modern) == 0:
			s.store, s.storeDistance = rest[0], word == "STOREDIST"
			options = rest[1:]
		case word == "STOREDIST" && f&storing != 0:
			s.storeDistance = true
		case f&modern == 0:
			return resp.ErrSyntax
		case word == "FROMMEMBER" && len(rest) >= 1 && !fromPoint && !byPolygon:
			if index != nil {
				if err = s.setMember(rest[0], index); err != nil {
					return err
				}
			}
			fromMember, options = true, rest[1:]
		case word == "FROMLONLAT" && len(rest) >= 2 && !fromMember && !byPolygon:
			if s.center, err = pointArgs(rest); err != nil {
				return err
			}
			fromPoint, options = true, rest[2:]
		case word == "BYRADIUS" && len(rest) >= 2 && !byBox && !byPolygon:
			if err = s.setCircle(rest); err != nil {
				return err
			}
			byCircle, options = true, rest[2:]
		case word == "BYBOX" && len(rest) >= 3 && !byCircle && !byPolygon:
			if err = s.setBox(rest); err != nil {
				return err
			}
			byBox, options = true, rest[3:]
		case word == "BYPOLYGON" && len(rest) >= 2 && !byCircle && !byBox && !fromMember && !fromPoint:
			corners, err := cornerArgs(rest)
			if err != nil {
				return err
			}
			s.setCorners(corners)
			byPolygon, options = true, rest[1+2*len(corners):]
		default:
			return resp.ErrSyntax
		}
	}
	switch {
	case s.store != nil && (s.withDist || s.withHash || s.withCoord):
		if f&storing != 0 {
			return errWithInStoring
		}
		return errWithInRadius
	case f&modern != 0 && !fromMember && !fromPoint && !byPolygon:
		return resp.Error("ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + string(name))
	case f&modern != 0 && !byCircle && !byBox && !byPolygon:
		return resp.Error("ERR exactly one of BYRADIUS and BYBOX can be specified for " + string(name))
	case s.any && s.count == 0:
		return errAny
	}
	// The first few of no order are the nearest, unless any will do.
	if s.count > 0 && s.order == unordered && !s.any {
		s.order = ascending
	}
	return nil
}

func (s *search) setMember(member []byte, index *object.ZSetView) error {
	score, ok := index.Score(member)
	if !ok {
		return errMember
	}
	s.center = pointOf(score)
	return nil
}

// setCircle reads "radius unit".
func (s *search) setCircle(args [][]byte) (err error) {
	radius, ok := resp.ParseFloat(args[0])
	if !ok {
		return errRadius
	}
	if radius < 0 {
		return errRadiusSign
	}
	s.kind, s.radius = circle, radius
	s.unit, err = unitArg(args[1])
	return err
}

// setBox reads "width height unit".
func (s *search) setBox(args [][]byte) (err error) {
	width, ok := resp.ParseFloat(args[0])
	if !ok {
		return errWidth
	}
	height, ok := resp.ParseFloat(args[1])
	if !ok {
		return errHeight
	}
	if height < 0 || width < 0 {
		return errBoxSign
	}
	s.kind, s.width, s.height = rectangle, width, height
	s.unit, err = unitArg(args[2])
	return err
}

// cornerArgs reads "vertices longitude latitude ...".
func cornerArgs(args [][]byte) ([]point, error) {
	n, ok := resp.ParseInt(args[0])
	if !ok {
		return nil, errVertexCount
	}
	if n < 3 || n > int64(len(args)-1)/2 {
		return nil, errVertices
	}
	corners := make([]point, n)
	for i := range corners {
		var err error
		if corners[i], err = pointArgs(args[1+2*i:]); err != nil {
			return nil, err
		}
	}
	return corners, nil
}

// A place is a member that a search has found.
type place struct {
	member   object.Element // borrowed from the sorted set
	score    float64
	point    point
	distance float64 // from the center, in meters
}

// run returns the places that the search asks for, in the order that it asks for.
func (s *search) run(index *object.ZSetView) []ranked {
	found := nearest{order: s.order, max: int(s.count), any: s.any}
	measure := s.order != unordered || s.withDist || s.storeDistance
	s.prepare()
	last := cell{}
	for _, c := range s.cells() {
		// Neighbours around the world can be one and the same, and then follow
		// each other.
		if c == (cell{}) || c == last {
			continue
		}
		last = c
		from, to := c.scores()
		index.RangeByScore(object.ScoreRange{Min: from, Max: to, MaxOpen: true}, false,
			func(member object.Element, score float64) bool {
				p := pointOf(score)
				if meters, ok := s.contains(p, measure); ok && found.add(place{member, score, p, meters}) {
					s.narrow(found.worst())
				}
				return !found.enough()
			})
		if found.enough() {
			break
		}
	}
	return found.sorted()
}

// nearest collects places: all of them, or the first max of the order. Of places at
// the same distance the one that was found earlier comes first.
type nearest struct {
	order order
	max   int // 0: all
	any   bool
	found int
	// places is a heap once there are max of them: the root is the one that would
	// come last.
	places []ranked
}

// A ranked place knows how many were found before.
type ranked struct {
	place
	turn int
}

// compare says which of two places comes first in the order.
func (n *nearest) compare(a, b *ranked) int {
	by := cmp.Compare(a.distance, b.distance)
	switch n.order {
	case unordered:
		by = 0
	case descending:
		by = -by
	}
	if by == 0 {
		return a.turn - b.turn
	}
	return by
}

// enough says that no more places are wanted.
func (n *nearest) enough() bool { return n.any && len(n.places) == n.max }

// add takes a place if it may be one of the first. It is true when from now on
// places come in only by being nearer than the worst.
func (n *nearest) add(p place) (full bool) {
	r := ranked{p, n.found}
	n.found++
	switch {
	case n.max == 0 || len(n.places) < n.max:
		n.places = append(n.places, r)
		if len(n.places) == n.max {
			for i := n.max/2 - 1; i >= 0; i-- {
				n.sink(i)
			}
		}
	case n.compare(&r, &n.places[0]) < 0:
		n.places[0] = r
		n.sink(0)
	}
	return n.order == ascending && len(n.places) == n.max
}

// worst is how far the last of the places is.
func (n *nearest) worst() float64 { return n.places[0].distance }

// sink moves the place at i down to where it belongs in the heap.
func (n *nearest) sink(i int) {
	for {
		last := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(n.places); child++ {
			if n.compare(&n.places[last], &n.places[child]) < 0 {
				last = child
			}
		}
		if last == i {
			return
		}
		n.places[i], n.places[last] = n.places[last], n.places[i]
		i = last
	}
}

// sorted returns what was collected, in order.
func (n *nearest) sorted() []ranked {
	slices.SortFunc(n.places, func(a, b ranked) int { return n.compare(&a, &b) })
	return n.places
}

// reply answers the places that were found.
func (s *search) reply(c *shard.Call, found []ranked) {
	parts := 1
	for _, with := range [...]bool{s.withDist, s.withHash, s.withCoord} {
		if with {
			parts++
		}
	}
	c.Reply.Array(len(found))
	for i := range found {
		p := &found[i]
		if parts > 1 {
			c.Reply.Array(parts)
		}
		p.member.Reply(c.Reply)
		if s.withDist {
			replyDistance(c, p.distance/s.unit)
		}
		if s.withHash {
			c.Reply.Int(int64(p.score))
		}
		if s.withCoord {
			replyPoint(c, p.point)
		}
	}
}

// keep stores the places that were found in place of whatever the key held; if
// there are none the key goes.
func (s *search) keep(c *shard.Call, found []ranked, event string) error {
	if len(found) == 0 {
		if e := c.DB.LookupWrite(s.store); e.Exists() {
			c.DB.Delete(s.store, e)
			c.Event(shard.EventGeneric, "del", s.store)
		}
		return c.Reply.Int(0)
	}
	var result object.ZSetBuilder
	for i := range found {
		score := found[i].score
		if s.storeDistance {
			score = found[i].distance / s.unit
		}
		result.Add(found[i].member, score)
	}
	e, root := result.Root(c.Limits())
	result.Fill(c.DB.Create(s.store, object.ZSet, e, root, 0), c.Limits())
	c.CountChanges(len(found))
	c.Event(shard.EventZSet, event, s.store)
	return c.Reply.Int(int64(len(found)))
}
