package geo

import "math"

const (
	earthRadius = 6372797.560856       // of WGS 84, the quadratic mean, in meters
	radian      = 0.017453292519943295 // π/180 in double precision
	mercatorMax = 20037726.37          // half of the equator on the map, in meters
)

// distance is the length of the shortest way between two points, in meters, by
// the haversine formula.
func distance(p, q point) float64 {
	v := sine((float64(q.lon*radian) - float64(p.lon*radian)) / 2)
	if v == 0 {
		return northward(p.lat, q.lat)
	}
	latP, latQ := float64(p.lat*radian), float64(q.lat*radian)
	u := sine((latQ - latP) / 2)
	a := float64(u*u) + float64(float64(cosine(latP)*cosine(latQ))*v)*v
	return 2 * earthRadius * arcSine(min(math.Sqrt(a), 1))
}

// northward is the distance between two points of one meridian.
func northward(p, q float64) float64 {
	return earthRadius * math.Abs(float64(q*radian)-float64(p*radian))
}

// A shape is what a search covers: a circle, a rectangle or a polygon.
type shape struct {
	kind   shapeKind
	center point
	unit   float64 // meters

	radius        float64 // of a circle, in units
	width, height float64 // of a rectangle, in units
	corners       []point // of a polygon

	// What gauge knows of the center, and of the radius or half the width.
	lat, sin, cos float64
	reach         zone
}

type shapeKind uint8

const (
	circle shapeKind = iota
	rectangle
	polygon
)

// contains says whether a point belongs to the shape, and, if that is wanted, how
// far it is from the center.
//
// A distance costs a few sines in double precision. Most points need none: gauge
// has shown them to be inside or outside.
func (s *shape) contains(p point, measure bool) (meters float64, ok bool) {
	switch s.kind {
	case circle:
		a, _, _ := s.gauge(p)
		if a > s.reach.out {
			return 0, false
		}
		if !measure && a < s.reach.in {
			return 0, true
		}
		meters = distance(s.center, p)
		return meters, !(meters > s.radius*s.unit)
	case rectangle:
		if northward(s.center.lat, p.lat) > s.height*s.unit/2 {
			return 0, false
		}
		_, v, cos := s.gauge(p)
		a := cos * cos * v * v // of the way along the point's own parallel
		if a > s.reach.out {
			return 0, false
		}
		if a >= s.reach.in && distance(p, point{s.center.lon, p.lat}) > s.width*s.unit/2 {
			return 0, false
		}
	case polygon:
		if !inside(s.corners, p) {
			return 0, false
		}
	}
	if measure {
		meters = distance(s.center, p)
	}
	return meters, true
}

// prepare has to come before contains.
func (s *shape) prepare() {
	s.lat = s.center.lat * radian
	s.sin, s.cos = math.Sincos(s.lat)
	switch s.kind {
	case circle:
		s.reach = zoneOf(s.radius * s.unit)
	case rectangle:
		s.reach = zoneOf(s.width * s.unit / 2)
	}
}

// narrow says that nobody asks for points that are farther away than some that
// were found.
func (s *shape) narrow(meters float64) {
	if s.kind == circle {
		s.reach.out = min(s.reach.out, zoneOf(meters).out)
	}
}

// A zone is a distance as the haversine of an angle, sin²(angle/2): a haversine
// below in is certainly nearer, one above out certainly farther.
type zone struct{ in, out float64 }

// gaugeError is far more than how wrong the haversines of gauge can be.
const gaugeError = 1e-9

func zoneOf(meters float64) zone {
	half := meters / (2 * earthRadius)
	if !(half < math.Pi/2) {
		return zone{1 - gaugeError, math.Inf(1)} // around the earth
	}
	h := math.Sin(half)
	h *= h
	return zone{h * (1 - gaugeError), h * (1 + gaugeError)}
}

// gauge returns about the haversine of the way from the center to a point, and its
// parts: the sine of half the way to the east, and the cosine of the latitude.
func (s *shape) gauge(p point) (a, v, cos float64) {
	u := roughSine((p.lat*radian - s.lat) / 2)
	v = roughSine((p.lon*radian - s.center.lon*radian) / 2)
	// cos(lat+2h) with sin h = u and cos h ≥ 0
	cos = s.cos*(1-2*u*u) - s.sin*2*u*math.Sqrt(1-u*u)
	return u*u + s.cos*cos*v*v, v, cos
}

// roughSine is sin x, with the first terms of its series for the small angles of
// most searches.
func roughSine(x float64) float64 {
	if math.Abs(x) > 0.25 {
		return math.Sin(x)
	}
	q := x * x
	return x * (1 - q*(1.0/6-q*(1.0/120-q*(1.0/5040-q*(1.0/362880)))))
}

// inside counts how many sides of a polygon a ray to the east crosses. The sides
// are straight on the map, and do not go around it.
func inside(corners []point, p point) bool {
	in := false
	last := corners[len(corners)-1]
	for _, corner := range corners {
		if (corner.lat > p.lat) != (last.lat > p.lat) &&
			p.lon < float64(float64((last.lon-corner.lon)*(p.lat-corner.lat))/(last.lat-corner.lat))+corner.lon {
			in = !in
		}
		last = corner
	}
	return in
}

// setCorners makes the shape a polygon. Its center is that of its corners in
// space, brought up to the ground.
func (s *shape) setCorners(corners []point) {
	s.kind, s.corners, s.unit = polygon, corners, 1
	var x, y, z float64
	for _, p := range corners {
		lon, lat := float64(p.lon*radian), float64(p.lat*radian)
		x += float64(earthRadius * cosine(lat) * cosine(lon))
		y += float64(earthRadius * cosine(lat) * sine(lon))
		z += float64(earthRadius * sine(lat))
	}
	n := float64(len(corners))
	x, y, z = x/n, y/n, z/n
	s.center = point{
		math.Atan2(y, x) / radian,
		math.Atan2(z, math.Sqrt(float64(x*x)+float64(y*y))) / radian,
	}
}

// bounds is a rectangle on the map that has the shape in it. Towards the poles the
// map grows wider, so the side nearer to a pole decides.
func (s *shape) bounds() area {
	if s.kind == polygon {
		b := area{min: s.corners[0], max: s.corners[0]}
		for _, p := range s.corners {
			b.min = point{min(b.min.lon, p.lon), min(b.min.lat, p.lat)}
			b.max = point{max(b.max.lon, p.lon), max(b.max.lat, p.lat)}
		}
		return b
	}
	width, height := s.radius, s.radius
	if s.kind == rectangle {
		width, height = s.width/2, s.height/2
	}
	north := s.unit * height / earthRadius / radian
	far := s.center.lat + north
	if s.center.lat < 0 {
		far = s.center.lat - north
	}
	east := s.unit * width / earthRadius / cosine(float64(far*radian)) / radian
	return area{
		min: point{s.center.lon - east, s.center.lat - north},
		max: point{s.center.lon + east, s.center.lat + north},
	}
}

// extent is how far the shape reaches from its center, in meters.
func (s *shape) extent(b area) float64 {
	switch s.kind {
	case circle:
		return s.radius * s.unit
	case rectangle:
		w, h := s.width/2, s.height/2
		return math.Sqrt(float64(w*w)+float64(h*h)) * s.unit
	}
	return max(
		distance(s.center, point{b.min.lon, b.max.lat}), distance(s.center, b.max),
		distance(s.center, b.min), distance(s.center, point{b.max.lon, b.min.lat}),
	)
}

// cells returns the cells to look through, in the order in which Redis does: the
// one with the center, and those of its neighbours that the shape may reach. They
// are as small as they can be without the shape reaching further.
func (s *shape) cells() (all [9]cell) {
	b := s.bounds()
	step := stepFor(s.extent(b), s.center.lat)
	own := cellOf(s.center, latMax, step)
	if step > 1 && s.outgrows(own, b) {
		step--
		own = cellOf(s.center, latMax, step)
	}
	a := own.area()
	// At step 1 the neighbours in opposite directions are the same.
	south := step < 2 || !(a.min.lat < b.min.lat)
	north := step < 2 || !(a.max.lat > b.max.lat)
	west := step < 2 || !(a.min.lon < b.min.lon)
	east := step < 2 || !(a.max.lon > b.max.lon)
	for i, look := range [...]struct {
		east, north int
		needed      bool
	}{
		{0, 0, true}, {0, 1, north}, {0, -1, south}, {1, 0, east}, {-1, 0, west},
		{1, 1, north && east}, {-1, 1, north && west}, {1, -1, south && east}, {-1, -1, south && west},
	} {
		if look.needed {
			all[i] = own.move(look.east, look.north)
		}
	}
	return all
}

// outgrows says that the neighbours of a cell do not cover a rectangle around it.
func (s *shape) outgrows(own cell, b area) bool {
	return own.move(0, 1).area().max.lat < b.max.lat || own.move(0, -1).area().min.lat > b.min.lat ||
		own.move(1, 0).area().max.lon < b.max.lon || own.move(-1, 0).area().min.lon > b.min.lon
}

// stepFor is a step at which a cell and its neighbours cover a circle, as a rule:
// a cell is about as large as the radius, or twice that nearer to the poles.
func stepFor(meters, lat float64) int {
	if meters == 0 {
		return stepMax
	}
	step := 1
	for ; meters < mercatorMax; step++ {
		meters *= 2
	}
	step -= 2
	if lat = math.Abs(lat); lat > 66 {
		step--
		if lat > 80 {
			step--
		}
	}
	return min(max(step, 1), stepMax)
}
