package geo

// A point is a place on the earth, in degrees.
type point struct{ lon, lat float64 }

// The places that have a geohash. As in Redis, the poles have none: these are the
// bounds of the web's map projection.
const (
	lonMax = 180.0
	latMax = 85.05112878
)

// stepMax is how often the world is cut in half, in each direction, for a score.
const stepMax = 26

// A cell is one of the 4^step parts of the world: its number has a bit of the
// longitude and a bit of the latitude for each cut, in turn. The zero cell is none.
type cell struct {
	bits uint64
	step int
}

// cellOf returns the cell of a point when the world reaches up to a latitude.
func cellOf(p point, north float64, step int) cell {
	scale := float64(uint64(1) << step)
	x := float64((p.lon+lonMax)/(2*lonMax)) * scale
	y := float64((p.lat+north)/(north+north)) * scale
	return cell{interleave(uint32(uint64(y)), uint32(uint64(x))), step}
}

// An area is what a cell covers.
type area struct{ min, max point }

func (c cell) area() area {
	y, x := separate(c.bits)
	scale := float64(uint64(1) << c.step)
	// Beyond the last number comes the first, as in C.
	edge := func(i uint32, max float64) float64 { return -max + float64(float64(i)/scale*(max+max)) }
	return area{
		min: point{edge(x, lonMax), edge(y, latMax)},
		max: point{edge(x+1, lonMax), edge(y+1, latMax)},
	}
}

// center is the point that stands for a cell.
func (c cell) center() point {
	a := c.area()
	return point{
		min(max((a.min.lon+a.max.lon)/2, -lonMax), lonMax),
		min(max((a.min.lat+a.max.lat)/2, -latMax), latMax),
	}
}

const (
	evenBits = 0x5555555555555555 // of the latitude
	oddBits  = 0xaaaaaaaaaaaaaaaa // of the longitude
)

// move returns the cell that lies so many cells to the east and to the north,
// each -1, 0 or 1, around the world if need be.
func (c cell) move(east, north int) cell {
	shift := 64 - 2*c.step
	// Adding to one coordinate carries over the bits of the other when those are
	// all 1, and borrows when they are all 0.
	add := func(bits, others uint64, by int) uint64 {
		gaps := others >> shift
		switch {
		case by > 0:
			bits += gaps + 1
		case by < 0:
			bits = bits | gaps - (gaps + 1)
		}
		return bits
	}
	x, y := c.bits&oddBits, c.bits&evenBits
	if east != 0 {
		x = add(x, evenBits, east) & (oddBits >> shift)
	}
	if north != 0 {
		y = add(y, oddBits, north) & (evenBits >> shift)
	}
	return cell{x | y, c.step}
}

// scores are the first score in the cell, and the first behind it.
func (c cell) scores() (from, to float64) {
	shift := 2 * (stepMax - c.step)
	return float64(c.bits << shift), float64((c.bits + 1) << shift)
}

// scoreOf is the score of a member at a point.
func scoreOf(p point) float64 { return float64(cellOf(p, latMax, stepMax).bits) }

// pointOf is where a member with a score is. Any number is a score; what none of
// the commands here has stored is some place all the same, the same as in Redis on
// the machines that it mostly runs on.
func pointOf(score float64) point { return cell{scoreBits(score), stepMax}.center() }

// scoreBits turns a score into an integer the way the compilers of C do.
func scoreBits(score float64) uint64 {
	const half = 1 << 63
	switch {
	case score >= 2*half:
		return 0
	case score >= half:
		return uint64(int64(score-half)) ^ half
	case score < -half:
		return half
	}
	return uint64(int64(score))
}

// interleave puts the bits of two numbers in turn, beginning with one of even.
func interleave(even, odd uint32) uint64 { return spread(even) | spread(odd)<<1 }

// separate is the inverse of interleave.
func separate(bits uint64) (even, odd uint32) { return gather(bits), gather(bits >> 1) }

// spread puts a 0 between all bits.
func spread(n uint32) uint64 {
	x := uint64(n)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	x = (x | x<<2) & 0x3333333333333333
	return (x | x<<1) & evenBits
}

// gather takes every other bit.
func gather(x uint64) uint32 {
	x &= evenBits
	x = (x | x>>1) & 0x3333333333333333
	x = (x | x>>2) & 0x0f0f0f0f0f0f0f0f
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16)
}

// textLen is the length of a geohash as the rest of the world writes it.
const textLen = 11

// appendText appends the geohash of a point in its common form: five bits a
// letter, of a world that reaches up to the poles. Our 52 bits make ten letters;
// the last one is always 0.
func appendText(to []byte, p point) []byte {
	const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
	bits := cellOf(p, 90, stepMax).bits
	for i := 1; i < textLen; i++ {
		to = append(to, alphabet[bits>>(2*stepMax-5*i)&0x1f])
	}
	return append(to, alphabet[0])
}
