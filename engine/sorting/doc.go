// Package sorting is the family of SORT and SORT_RO, which are about lists, sets
// and sorted sets alike.
//
// What is sorted is copied out of its key first, because sorting by the values of
// other keys, or answering those, looks up keys, and a key that is found expired
// goes away: from then on nothing that was borrowed is still there.
//
// A pattern that names other keys may lead to any shard, so that such a call runs
// with the turns of all of them.
//
// Start with run in sort.go. What a pattern means is in pattern.go, and what the
// words behind the key mean in options.go.
package sorting
