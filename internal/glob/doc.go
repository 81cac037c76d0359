// Package glob matches bytes against the patterns of Redis.
//
//	?        any one byte
//	*        any bytes, none included
//	[abc]    one byte of a class; [a-z] a range, whichever end comes first; [^a] any other byte
//	\x       the byte x itself, inside a class as well
//
// It is the dialect of KEYS, SCAN, PSUBSCRIBE, CONFIG GET and the ACL, with its
// corners as they are: an open class ends where the pattern ends, a lone
// backslash at the end stands for itself, bytes in a range are compared as
// signed numbers, nothing but the empty pattern matches the empty string, and a
// pattern of more than a thousand stars matches nothing.
// (Where Redis lets "*" match everything, it looks at the pattern before it
// matches; so must the caller.)
//
// Everything between two stars has a fixed length, so the earliest place where
// a piece fits is as good as any later one. Matching therefore remembers one
// star only, and the cost is bounded by the product of the two lengths, whatever
// the pattern. Nothing is allocated.
package glob
