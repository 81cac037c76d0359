// Package geo holds the commands on places.
//
// Places are members of an ordinary sorted set; the score of each is its geohash, a
// number of 52 bits that halves the world 26 times from west to east and 26 times
// from south to north. What is near on the ground is mostly near in the order, so a
// search looks through a few ranges of scores, at most nine cells around its
// center, and measures what it finds.
//
//	geo.go     the table; GEOADD GEODIST GEOHASH GEOPOS
//	search.go  GEOSEARCH, GEORADIUS and their kin
//	hash.go    cells of the world, scores
//	shape.go   circles, rectangles and polygons; which cells they reach
//	trig.go    sine and cosine to the last digit
//
// Scores, distances and the order of unsorted results are those of Redis, digit for
// digit. All arithmetic is written so that no machine may fuse or reorder it: what
// a replica computes from the same command is the same.
//
// Start with cell in hash.go.
package geo
