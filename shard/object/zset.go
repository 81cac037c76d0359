package object

import (
	"encoding/binary"
	"math"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
	"hyperkv/shard/ds"
)

// A ZSetView is a sorted set: members that are each there once, ordered by score
// and, where scores are equal, by their bytes.
//
// A small one is packed into the root, in order:
//
//	members 2 │ (packed member, packed score) …
//
// A large one is two trees. The first has the order, and with it the ranks; the
// second finds the scores that a member may have, by its hash, and the first
// tells which of them it has:
//
//	by score:   (score 8 │ packed member) …   in order
//	by member:  (hash 4 │ score 8) …          in the order of the numbers
//
// Every range, whether by rank, by score or by text, is one of ranks here, because
// the tree by score counts. Zero has one sign.
//
// It is the view of one command: while it is used, nothing else changes the
// collection. Owned by the shard's turn.
type ZSetView struct {
	home   Home
	limits *Limits

	expected int // how many members are about to be added at once

	// Of a large one; see save.
	byScore, byMember Tree
}

const (
	zsetHeader = 2
	// zsetPackedMax is what the header can count.
	zsetPackedMax = math.MaxUint16
)

// EmptyZSet is the root of a sorted set that is about to get its first member.
func EmptyZSet(l *Limits) (e Encoding, root []byte) { return ZSetFor(l, 1, 0) }

// ZSetFor is the root of a sorted set that is about to get a number of members,
// of which one has the given length.
func ZSetFor(l *Limits, members, length int) (e Encoding, root []byte) {
	if members > l.ZSetListpackEntries || members > zsetPackedMax || length > l.ZSetListpackValue {
		return Skiplist, make([]byte, 2*TreeStateBytes)
	}
	return Listpack, make([]byte, zsetHeader)
}

// ZSetOf is the sorted set that lives in h.
func ZSetOf(h Home, l *Limits) ZSetView {
	z := ZSetView{home: h, limits: l}
	if z.large() {
		root := h.Root()
		z.byScore = LoadTree(h.Nodes(), root)
		z.byMember = LoadTree(h.Nodes(), root[TreeStateBytes:])
	}
	return z
}

func (z *ZSetView) large() bool { return z.home.Encoding() == Skiplist }

// save stores the states of the trees in the root.
func (z *ZSetView) save() {
	root := z.home.Root()
	z.byScore.Save(root)
	z.byMember.Save(root[TreeStateBytes:])
}

// Len is how many members there are.
func (z *ZSetView) Len() int {
	if z.large() {
		return z.byScore.Len()
	}
	return int(binary.LittleEndian.Uint16(z.home.Root()))
}

// Score returns the score of a member.
func (z *ZSetView) Score(member []byte) (score float64, ok bool) {
	if z.large() {
		p, ok := z.find(member)
		if !ok {
			return 0, false
		}
		return p.score(), true
	}
	p, ok := z.findPacked(ElementOf(member))
	return p.score, ok
}

// Rank returns how many members come before a member, and its score.
func (z *ZSetView) Rank(member []byte) (rank int, score float64, ok bool) {
	if !z.large() {
		p, ok := z.findPacked(ElementOf(member))
		return p.index, p.score, ok
	}
	p, ok := z.find(member)
	if !ok {
		return 0, 0, false
	}
	return p.leaf.Rank() + p.index, p.score(), true
}

// Add inserts a member, or changes its score, which is not NaN. It returns the
// score that the member had.
func (z *ZSetView) Add(member []byte, score float64) (was float64, existed bool) {
	score += 0 // -0 is 0
	invariant.Assert(score == score, "a score that is no number")
	if z.large() {
		return z.add(member, score)
	}
	e := ElementOf(member)
	p, existed := z.findPacked(e)
	switch {
	case existed && p.score == score:
		return score, true
	case existed:
		z.home.Change()
		z.cutPacked(p.at, p.size, 1)
	case z.fitsPacked(len(member)):
		z.home.Change()
	default:
		z.home.Change()
		z.enlarge()
		return z.add(member, score)
	}
	z.insertPacked(e, score)
	return p.score, existed
}

// Expect says that a number of members are about to be added at once: if those
// alone are too many for a packed sorted set, the first one makes it a large one.
func (z *ZSetView) Expect(members int) { z.expected = members }

// Remove removes a member and tells whether it was there.
func (z *ZSetView) Remove(member []byte) bool {
	if !z.large() {
		p, ok := z.findPacked(ElementOf(member))
		if ok {
			z.home.Change()
			z.cutPacked(p.at, p.size, 1)
		}
		return ok
	}
	p, ok := z.find(member)
	if !ok {
		return false
	}
	z.home.Change()
	z.byMember.cut(&p.entry, p.entryAt, memberItem, 1, &zsetByMember)
	z.byScore.cut(&p.leaf, p.at, p.size, 1, &zsetByScore)
	z.save()
	return true
}

// RemoveRange removes the members with the ranks from to to.
func (z *ZSetView) RemoveRange(from, to int) {
	if from > to {
		return
	}
	z.home.Change()
	if !z.large() {
		at, end := z.packedAt(from), z.packedAt(to+1)
		z.cutPacked(at, end-at, to+1-from)
		return
	}
	var scratch [20]byte
	for left := to + 1 - from; left > 0; {
		c, offset := z.byScore.AtRank(from)
		leaf := z.byScore.Leaf(c.Leaf())
		at := 0
		for range offset {
			at += scoredLen(leaf[at:])
		}
		end, count := at, min(left, c.Count()-offset)
		for range count {
			member, size := Unpack(leaf[end+scoreBytes:])
			z.byMember.forget(memberHash(member.Bytes(scratch[:0])), scoredBits(leaf[end:]))
			end += scoreBytes + size
		}
		z.byScore.cut(&c, at, end-at, count, &zsetByScore)
		left -= count
	}
	z.save()
}

// Range visits the members with the ranks from to to, in order or in reverse,
// until visit returns false. visit must not change anything.
func (z *ZSetView) Range(from, to int, reverse bool, visit func(member Element, score float64) bool) {
	if from > to {
		return
	}
	if !z.large() {
		pairs := z.home.Root()[:z.packedAt(to+1)]
		visitItems(pairs[z.packedAt(from):], pairAt, reverse, to+1-from, visit)
		return
	}
	left := to + 1 - from
	if !reverse {
		for c, offset := z.byScore.AtRank(from); ; offset = 0 {
			leaf := z.byScore.Leaf(c.Leaf())
			for range offset {
				leaf = leaf[scoredLen(leaf):]
			}
			count := min(left, c.Count()-offset)
			left -= count
			if !visitItems(leaf, scoredAt, false, count, visit) || left == 0 || !c.Next() {
				return
			}
		}
	}
	for c, offset := z.byScore.AtRank(to); ; offset = c.Count() - 1 {
		leaf := z.byScore.Leaf(c.Leaf())
		first := max(0, offset+1-left)
		for range first {
			leaf = leaf[scoredLen(leaf):]
		}
		count := offset + 1 - first
		left -= count
		if !visitItems(leaf, scoredAt, true, count, visit) || left == 0 || !c.Prev() {
			return
		}
	}
}

// visitItems visits the first count items of p, each of which is read by read,
// and returns false when a visit did.
func visitItems(p []byte, read func(p []byte) (Element, float64, int), reverse bool, count int,
	visit func(member Element, score float64) bool) bool {
	if !reverse {
		for range count {
			member, score, size := read(p)
			if !visit(member, score) {
				return false
			}
			p = p[size:]
		}
		return true
	}
	var space [128]uint32
	places := space[:0]
	for at := uint32(0); len(places) < count; {
		places = append(places, at)
		_, _, size := read(p[at:])
		at += uint32(size)
	}
	for i := len(places) - 1; i >= 0; i-- {
		if member, score, _ := read(p[places[i]:]); !visit(member, score) {
			return false
		}
	}
	return true
}

// Reply answers the members of some ranks in their order, without scores: what
// most who read a range want, in one walk.
func (z *ZSetView) Reply(w *resp.Writer, from, to int) {
	if from > to || !z.large() {
		z.Range(from, to, false, func(member Element, _ float64) bool {
			member.Reply(w)
			return true
		})
		return
	}
	left := to + 1 - from
	for c, offset := z.byScore.AtRank(from); ; offset = 0 {
		leaf := z.byScore.Leaf(c.Leaf())
		for range offset {
			leaf = leaf[scoredLen(leaf):]
		}
		for range min(left, c.Count()-offset) {
			member, size := Unpack(leaf[scoreBytes:])
			member.Reply(w)
			leaf = leaf[scoreBytes+size:]
			left--
		}
		if left == 0 || !c.Next() {
			return
		}
	}
}

// A ScoreRange is all scores between two, which belong to it unless they are
// open ends.
type ScoreRange struct {
	Min, Max         float64
	MinOpen, MaxOpen bool
}

// RanksByScore returns the first and the last rank of the members whose scores
// are in r; from > to when there are none.
func (z *ZSetView) RanksByScore(r ScoreRange) (from, to int) {
	return z.before(r.Min, r.MinOpen), z.before(r.Max, !r.MaxOpen) - 1
}

// RangeByScore is Range for the members whose scores are in r.
func (z *ZSetView) RangeByScore(r ScoreRange, reverse bool, visit func(member Element, score float64) bool) {
	from, to := z.RanksByScore(r)
	z.Range(from, to, reverse, visit)
}

// before is how many scores are below the given one, or, inclusively, not above it.
func (z *ZSetView) before(score float64, inclusive bool) (rank int) {
	bits := orderedBits(score + 0)
	if inclusive {
		bits++ // the next number
	}
	if !z.large() {
		z.eachPacked(func(_ Element, score float64) bool {
			if orderedBits(score) >= bits {
				return false
			}
			rank++
			return true
		})
		return rank
	}
	if z.byScore.Len() == 0 {
		return 0
	}
	c, _, index := z.seekScore(bits)
	return c.Rank() + index
}

// A LexBound is one end of a range of texts.
type LexBound struct {
	// Infinite is -1 for what is before and 1 for what is behind every text, and
	// 0 for Text.
	Infinite int
	Text     []byte
	Open     bool
}

// RanksByLex returns the first and the last rank of the members between two
// texts; from > to when there are none. It means something when all scores are
// equal.
func (z *ZSetView) RanksByLex(low, high LexBound) (from, to int) {
	return z.beforeText(low, low.Open), z.beforeText(high, !high.Open) - 1
}

// beforeText is how many members come before a text, or, inclusively, not behind it.
func (z *ZSetView) beforeText(b LexBound, inclusive bool) (rank int) {
	switch {
	case b.Infinite < 0:
		return 0
	case b.Infinite > 0:
		return z.Len()
	}
	text := ElementOf(b.Text)
	below := func(member Element) bool {
		order := member.Compare(text)
		return order < 0 || inclusive && order == 0
	}
	if !z.large() {
		z.eachPacked(func(member Element, _ float64) bool {
			if !below(member) {
				return false
			}
			rank++
			return true
		})
		return rank
	}
	if z.byScore.Len() == 0 {
		return 0
	}
	first := z.byScore.First()
	c := z.byScore.Seek(Key{first.Key().Hi, prefixOf(b.Text)}, func(leaf ds.Ref) int {
		if member, _ := Unpack(z.byScore.Leaf(leaf)[scoreBytes:]); below(member) {
			return -1
		}
		return 1
	})
	for leaf := z.byScore.Leaf(c.Leaf()); len(leaf) > 0; rank++ {
		member, _, size := scoredAt(leaf)
		if !below(member) {
			break
		}
		leaf = leaf[size:]
	}
	return c.Rank() + rank
}

// The packed form.

// A pairPlace is where a member stands among packed pairs.
type pairPlace struct {
	at, size, index int
	score           float64
}

// findPacked finds a member.
func (z *ZSetView) findPacked(e Element) (p pairPlace, ok bool) {
	root := z.home.Root()
	for at := zsetHeader; at < len(root); p.index++ {
		member := PackedLen(root[at:])
		if e.PackedIs(root[at:]) {
			score, size := unpackScore(root[at+member:])
			p.at, p.size, p.score = at, member+size, score
			return p, true
		}
		at += member + packedScoreLen(root[at+member:])
	}
	return pairPlace{}, false
}

// packedAt is where the pair of the given rank begins, or the end.
func (z *ZSetView) packedAt(rank int) int {
	root := z.home.Root()
	at := zsetHeader
	for range rank {
		at += PackedLen(root[at:])
		at += packedScoreLen(root[at:])
	}
	return at
}

func (z *ZSetView) eachPacked(visit func(member Element, score float64) bool) {
	for pairs := z.home.Root()[zsetHeader:]; len(pairs) > 0; {
		member, score, size := pairAt(pairs)
		if !visit(member, score) {
			return
		}
		pairs = pairs[size:]
	}
}

// fitsPacked tells whether one more member of the given length leaves a packed
// sorted set within its limits.
func (z *ZSetView) fitsPacked(length int) bool {
	n := max(z.Len()+1, z.expected)
	return n <= z.limits.ZSetListpackEntries && n <= zsetPackedMax && length <= z.limits.ZSetListpackValue
}

func (z *ZSetView) countPacked(delta int) {
	root := z.home.Root()
	binary.LittleEndian.PutUint16(root, uint16(int(binary.LittleEndian.Uint16(root))+delta))
}

// cutPacked takes a number of pairs out.
func (z *ZSetView) cutPacked(at, size, count int) {
	root := z.home.Root()
	copy(root[at:], root[at+size:])
	z.home.Resize(len(root) - size)
	z.countPacked(-count)
}

// insertPacked puts a member that is not there into its place.
func (z *ZSetView) insertPacked(e Element, score float64) {
	root := z.home.Root()
	at := zsetHeader
	for at < len(root) {
		member, other, size := pairAt(root[at:])
		if other > score || other == score && member.Compare(e) > 0 {
			break
		}
		at += size
	}
	var space [packedScoreMax]byte
	packed := appendScore(space[:0], score)
	used, size := len(root), e.PackedSize()+len(packed)
	root = z.home.Resize(used + size)
	copy(root[at+size:], root[at:used])
	copy(root[at+e.Pack(root[at:]):], packed)
	z.countPacked(1)
}

// pairAt reads the packed pair at the start of p.
func pairAt(p []byte) (member Element, score float64, size int) {
	member, size = Unpack(p)
	score, n := unpackScore(p[size:])
	return member, score, size + n
}

// A packed score is a packed integer, if it is one, or one of these, whose first
// bytes no packed element has:
//
//	11110101 8 bytes                 any number
//	11110110 4 bytes                 one that is the same in single precision
//	11110111 integer … 11111010 …    a packed integer divided by 10 … 10000
//	11111011 7 bytes … 11111110 …    one from 2⁻¹⁶ to below 2⁴⁸
//
// The 7 bytes of the last are its mantissa and, above that, four bits of its
// exponent, which counts from -16; the first byte tells the other two.
const (
	packScore64    = 0xf5
	packScore32    = 0xf6
	packScorePoint = 0xf6 // plus the number of decimals
	packScore56    = 0xfb // plus a part of the exponent

	mantissaBits  = 52
	exponentFirst = 1023 - 16 // as the bits of a number have it
	exponentCount = 64

	scoreDecimalsMax = 4
	packedScoreMax   = 9
)

var powersOfTen = [scoreDecimalsMax + 1]float64{1, 10, 100, 1000, 10000}

// appendScore appends the shortest packed form of a score to dst.
func appendScore(dst []byte, f float64) []byte {
	if f > -1<<62 && f < 1<<62 && f == float64(int64(f)) {
		return IntElement(int64(f)).AppendPacked(dst)
	}
	if f > -1<<17 && f < 1<<17 { // times 10000 it is an integer of 32 bits
		for decimals := 1; decimals <= scoreDecimalsMax; decimals++ {
			n := math.RoundToEven(f * powersOfTen[decimals])
			if n/powersOfTen[decimals] == f {
				return IntElement(int64(n)).AppendPacked(append(dst, byte(packScorePoint+decimals)))
			}
		}
	}
	if single := float32(f); float64(single) == f {
		return binary.LittleEndian.AppendUint32(append(dst, packScore32), math.Float32bits(single))
	}
	bits := math.Float64bits(f)
	if exponent := bits>>mantissaBits - exponentFirst; exponent < exponentCount {
		seven := exponent<<mantissaBits | bits&(1<<mantissaBits-1)
		dst = append(dst, byte(packScore56+exponent>>4))
		return append(dst, byte(seven), byte(seven>>8), byte(seven>>16), byte(seven>>24),
			byte(seven>>32), byte(seven>>40), byte(seven>>48))
	}
	return binary.LittleEndian.AppendUint64(append(dst, packScore64), bits)
}

// unpackScore reads the packed score at the start of p.
func unpackScore(p []byte) (f float64, size int) {
	switch b := p[0]; {
	case b < packScore64:
		e, size := Unpack(p)
		return float64(e.n), size
	case b == packScore64:
		return math.Float64frombits(binary.LittleEndian.Uint64(p[1:])), 9
	case b == packScore32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(p[1:]))), 5
	case b >= packScore56:
		seven := uint64(binary.LittleEndian.Uint32(p[1:])) | uint64(binary.LittleEndian.Uint32(p[4:]))>>8<<32
		return math.Float64frombits(seven + uint64(b-packScore56)<<56 + exponentFirst<<mantissaBits), 8
	default:
		e, size := Unpack(p[1:])
		return float64(e.n) / powersOfTen[b-packScorePoint], 1 + size
	}
}

// packedScoreLen is the size of the packed score at the start of p.
func packedScoreLen(p []byte) int {
	switch b := p[0]; {
	case b < packScore64:
		return PackedLen(p)
	case b == packScore64:
		return 9
	case b == packScore32:
		return 5
	case b >= packScore56:
		return 8
	default:
		return 1 + PackedLen(p[1:])
	}
}

// orderedBits turns a score into a number with the same order.
func orderedBits(f float64) uint64 {
	bits := math.Float64bits(f)
	return bits ^ (uint64(int64(bits)>>63) | 1<<63)
}

// scoreOfBits is the inverse of orderedBits.
func scoreOfBits(bits uint64) float64 {
	return math.Float64frombits(bits ^ (uint64(int64(^bits)>>63) | 1<<63))
}
