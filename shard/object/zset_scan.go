package object

import (
	"cmp"
	"slices"

	"hyperkv/internal/invariant"
)

const (
	// scanTies is how many members of one score a scan looks through for one
	// that it knows only by its hash.
	scanTies = 64
	// scanParts is in how many calls at most a scan goes through a sorted set where
	// more members than that have the same score.
	scanParts = 64
)

// Scan visits about count members, and returns the cursor of the next ones, 0
// after the last. A member that is there from the first call to the last is
// visited, whatever its score becomes meanwhile: the order is that of the hashes,
// and the cursor is the next hash.
//
// The tree by member knows the score and not the text, so a member is looked for
// among those with its score. Where they are many, one call visits more members
// than it was asked for, so that going through the ties pays.
func (z *ZSetView) Scan(cursor uint64, count int, visit func(member Element, score float64)) (next uint64) {
	if !z.large() {
		z.eachPacked(func(member Element, score float64) bool {
			visit(member, score)
			return true
		})
		return 0
	}
	if z.Len() == 0 {
		return 0
	}
	found, next := z.scanHashes(cursor, count)
	if !z.resolve(found, scanTies, visit) {
		found, next = z.scanHashes(cursor, max(count, z.Len()/scanParts))
		z.resolve(found, z.Len(), visit)
	}
	return next
}

// scanHashes returns at least count items from a hash on, in the order of scores,
// and the hash to continue with, 0 for none.
func (z *ZSetView) scanHashes(from uint64, count int) (found []Key, next uint64) {
	c := z.byMember.Seek(Key{Hi: from}, nil)
	leaf := z.byMember.Leaf(c.Leaf())
	for at := searchMember(leaf, Key{Hi: from}); ; at += memberItem {
		if at == len(leaf) {
			if !c.Next() {
				break
			}
			leaf, at = z.byMember.Leaf(c.Leaf()), 0
		}
		k := memberKey(leaf[at:])
		if n := len(found); n >= count && found[n-1].Hi != k.Hi {
			next = k.Hi
			break
		}
		found = append(found, k)
	}
	slices.SortFunc(found, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Lo, b.Lo), cmp.Compare(a.Hi, b.Hi))
	})
	return found, next
}

// resolve visits the members that items by member, in the order of scores, stand
// for. If one has too many others of its score before it, more than ties, nothing
// is visited and resolve is false.
func (z *ZSetView) resolve(found []Key, ties int, visit func(member Element, score float64)) bool {
	members := make([]Element, 0, len(found))
	var scratch [20]byte
	for rest := found; len(rest) > 0; {
		bits := rest[0].Lo
		n := 1
		for n < len(rest) && rest[n].Lo == bits {
			n++
		}
		sought := rest[:n]
		rest = rest[n:]
		others := 0
		c, at, _ := z.seekScore(bits)
		leaf := z.byScore.Leaf(c.Leaf())
		for n > 0 {
			if at == len(leaf) {
				if !c.Next() {
					break
				}
				leaf, at = z.byScore.Leaf(c.Leaf()), 0
			}
			if scoredBits(leaf[at:]) != bits {
				break
			}
			member, size := Unpack(leaf[at+scoreBytes:])
			at += scoreBytes + size
			hash := uint64(memberHash(member.Bytes(scratch[:0])))
			if _, ok := slices.BinarySearchFunc(sought, hash, func(k Key, h uint64) int { return cmp.Compare(k.Hi, h) }); ok {
				members = append(members, member)
				n--
			} else if others++; others > ties {
				return false
			}
		}
		invariant.Assert(n == 0, "a member has no score")
	}
	for i, k := range found {
		visit(members[i], scoreOfBits(k.Lo))
	}
	return true
}
