package object

import (
	"encoding/binary"
	"math"
	"strconv"

	"hyperkv/internal/invariant"
	"hyperkv/resp"
)

// A ListView is the elements of a list in their order. Small, its root holds them
// (listpack); large, a tree by position does (quicklist), whose keys are unused:
//
//	root  count 2 │ first 2 │ gap │ entries
//	leaf           first 2 │ gap │ entries │ room to spare
//	plain leaf     length 2 │ text, text …
//
// first is where the entries begin. In front of them is a gap, which an element
// that is popped leaves behind and an element that is pushed takes again, so that
// both ends are as cheap as each other. A leaf grows up to 4 KiB, at whichever end
// the elements come; an element that is too long for that has a leaf to itself. A leaf
// that is full and whose elements are texts of one length becomes a plain one, which
// has nothing but them; before it is changed it becomes an ordinary one again.
//
// It is a view: it is made for a command and forgotten with it. Owned by the
// shard's turn.
type ListView struct {
	home   Home
	limits *Limits
	packed bool
	tree   Tree // where the elements are unless packed; saved after each change
}

const (
	listRootHeader = 4
	listLeafHeader = 2

	listLeafRoom = 4096 - leafHeader
	listLeafMax  = listLeafRoom - listLeafHeader // bytes of entries, unless it is only one
	listRoomMin  = 512 - leafHeader              // what a leaf that will grow begins with

	listCountMax = math.MaxUint16 // of a packed list
	listGapMax   = 32 << 10       // of the gap in a root
	listGapMin   = 64             // a smaller one is not worth closing

	// A packed list may be longer than the limit, because Redis measures what is
	// pushed without its headers; but not longer than this many times.
	listOverdraft = 4

	// listpackHeader is what Redis' listpack has around its entries.
	listpackHeader = 7
)

var emptyListRoot = []byte{0, 0, listRootHeader, 0}

// EmptyList is the encoding and the root of a list that is about to be filled. The
// root is to be copied.
func EmptyList(*Limits) (Encoding, []byte) { return Listpack, emptyListRoot }

// ListOf is the list that lives in home.
func ListOf(home Home, l *Limits) ListView {
	list := ListView{home: home, limits: l, packed: home.Encoding() == Listpack}
	if list.packed {
		list.tree.arena = home.Nodes()
	} else {
		list.tree = LoadTree(home.Nodes(), home.Root())
	}
	return list
}

// Len is how many elements there are.
func (l *ListView) Len() int {
	if l.packed {
		return int(binary.LittleEndian.Uint16(l.home.Root()))
	}
	return l.tree.Len()
}

func (l *ListView) save() {
	if !l.packed {
		l.tree.Save(l.home.Root())
	}
}

// pieces visits the entries from one number up to another, piece by piece: as a
// few runs of whole entries, the last piece first if it goes back.
func (l *ListView) pieces(from, to int, back bool, visit func(r listRun) (more bool)) {
	invariant.Assert(from >= 0 && to <= l.Len(), "a range beyond a list")
	if from >= to {
		return
	}
	if l.packed {
		root := l.home.Root()
		visit(listRun{bytes: root[listFirst(root[2:]):]}.part(l.Len(), from, to))
		return
	}
	if back {
		c, at := l.tree.AtRank(to - 1)
		for left := to - from; ; at = c.Count() - 1 {
			r, n := l.leafRun(c.Leaf()), min(at+1, left)
			if left -= n; n < c.Count() {
				r = r.part(c.Count(), at+1-n, at+1)
			}
			if !visit(r) || left == 0 {
				return
			}
			c.Prev()
		}
	}
	c, at := l.tree.AtRank(from)
	for left := to - from; ; at = 0 {
		r, n := l.leafRun(c.Leaf()), min(c.Count()-at, left)
		if left -= n; n < c.Count() {
			r = r.part(c.Count(), at, at+n)
		}
		if !visit(r) || left == 0 {
			return
		}
		c.Next()
	}
}

// Index is the element with the given number, which must be one.
func (l *ListView) Index(number int) Element {
	var run []byte
	if l.packed {
		run = l.home.Root()[l.rootAt(number):]
	} else {
		c, at := l.tree.AtRank(number)
		r := l.leafRun(c.Leaf())
		if r.size > 0 {
			return Element{text: r.bytes[at*r.size : (at+1)*r.size]}
		}
		run = r.bytes[entryAt(r.bytes, c.Count(), at):]
	}
	e, _ := Unpack(run)
	return e
}

// Each visits the elements from one number up to another, that one excluded, until
// visit returns false.
func (l *ListView) Each(from, to int, visit func(e Element) (more bool)) {
	l.pieces(from, to, false, func(r listRun) bool {
		run := r.bytes
		if r.size > 0 {
			for ; len(run) > 0; run = run[r.size:] {
				if !visit(Element{text: run[:r.size:r.size]}) {
					return false
				}
			}
			return true
		}
		for at := 0; at < len(run); at += entryLen(run[at:]) {
			if e, _ := Unpack(run[at:]); !visit(e) {
				return false
			}
		}
		return true
	})
}

// Reply answers the same elements as an array; if it goes back, the last first.
func (l *ListView) Reply(w *resp.Writer, from, to int, back bool) {
	w.Array(max(to-from, 0))
	l.pieces(from, to, back, func(r listRun) bool {
		run := r.bytes
		if r.size > 0 {
			replyTexts(w, run, r.size, back)
			return true
		}
		if back {
			for end := len(run); end > 0; {
				end = entryBefore(run, end)
				e, _ := Unpack(run[end:])
				e.Reply(w)
			}
			return true
		}
		replyEntries(w, run)
		return true
	})
}

// replyTexts answers the texts of a plain run.
func replyTexts(w *resp.Writer, run []byte, size int, back bool) {
	var space [8]byte
	head := append(strconv.AppendInt(append(space[:0], '$'), int64(size), 10), '\r', '\n')
	buf := w.Buf
	for at := 0; at < len(run); at += size {
		from := at
		if back {
			from = len(run) - size - at
		}
		buf = append(buf, head...)
		buf = append(buf, run[from:from+size]...)
		buf = append(buf, '\r', '\n')
	}
	w.Buf = buf
}

// replyEntries answers a run of entries. Most texts are short; doing these here
// makes LRANGE faster by half.
func replyEntries(w *resp.Writer, run []byte) {
	buf := w.Buf
	for at := 0; at < len(run); {
		if b := run[at]; b >= pack6BitText && b < pack13BitInt {
			n := int(b & 0x3f)
			if n < 10 {
				buf = append(buf, '$', '0'+byte(n), '\r', '\n')
			} else {
				buf = append(buf, '$', '0'+byte(n/10), '0'+byte(n%10), '\r', '\n')
			}
			buf = append(buf, run[at+1:at+1+n]...)
			buf = append(buf, '\r', '\n')
			at += n + 2
			continue
		}
		e, size := Unpack(run[at:])
		w.Buf = buf
		e.Reply(w)
		buf = w.Buf
		at += size + lengthBytes(size)
	}
	w.Buf = buf
}

// Find visits the numbers of those elements from one number up to another that
// equal e, the last first if it goes back, until visit returns false.
func (l *ListView) Find(e Element, from, to int, back bool, visit func(number int) (more bool)) {
	var short [64]byte
	needle := e.AppendPacked(short[:0])
	if back {
		number := to
		l.pieces(from, to, true, func(r listRun) bool {
			run := r.bytes
			if r.size > 0 {
				for end := len(run); end > 0; end -= r.size {
					number--
					if e.isText(run[end-r.size:end]) && !visit(number) {
						return false
					}
				}
				return true
			}
			for end := len(run); end > 0; {
				end = entryBefore(run, end)
				number--
				if entryIs(run[end:], needle) && !visit(number) {
					return false
				}
			}
			return true
		})
		return
	}
	number := from
	l.pieces(from, to, false, func(r listRun) bool {
		run := r.bytes
		if r.size > 0 {
			for ; len(run) > 0; run = run[r.size:] {
				if e.isText(run[:r.size]) && !visit(number) {
					return false
				}
				number++
			}
			return true
		}
		for at := 0; at < len(run); at += entryLen(run[at:]) {
			if entryIs(run[at:], needle) && !visit(number) {
				return false
			}
			number++
		}
		return true
	})
}

// PushFront adds an element, which must not be borrowed from a list, before all others.
func (l *ListView) PushFront(e Element) { l.push(e, true) }

// PushBack adds the element behind all others.
func (l *ListView) PushBack(e Element) { l.push(e, false) }

func (l *ListView) push(e Element, front bool) {
	l.home.Change()
	l.expect(1, e.Len(), e.entrySize())
	l.put(e, front)
	l.save()
}

// Push adds several elements, one after the other.
func (l *ListView) Push(texts [][]byte, front bool) {
	l.home.Change()
	if l.packed {
		bytes, entries := 0, 0
		for _, text := range texts {
			bytes += len(text)
			entries += ElementOf(text).entrySize()
		}
		l.expect(len(texts), bytes, entries)
	}
	for _, text := range texts {
		l.put(ElementOf(text), front)
	}
	l.save()
}

// put adds an element that is expected.
func (l *ListView) put(e Element, front bool) {
	if l.packed {
		root := l.home.Root()
		at := len(root)
		if front {
			at = listFirst(root[2:])
		}
		e.putEntry(l.openRoot(at, 0, e.entrySize()))
		l.count(1)
		return
	}
	size := e.entrySize()
	if l.tree.depth == 0 {
		l.tree.Append(l.newLeaf(nil, &e, nil, listSpareMin(size), front), Key{}, 1)
		return
	}
	var end edge
	if ref := end.find(&l.tree, front); l.fits(ref, size, front) {
		e.putEntry(l.extend(ref, size, front))
		end.add(&l.tree, 1)
		return
	}
	c := l.tree.Last()
	if front {
		c = l.tree.First()
	}
	if hole := l.openEnd(&c, size, front); hole != nil {
		e.putEntry(hole)
		c.add(1)
		return
	}
	// It begins small: at such a boundary, an element may well go as it came.
	fresh := l.newLeaf(nil, &e, nil, listSpareMin(size), front)
	if front {
		l.insertBefore(&c, fresh, 1)
	} else {
		c.InsertAfter(fresh, Key{}, 1)
	}
}

// PopFront removes the first element, which Index may have shown before.
func (l *ListView) PopFront() { l.pop(true) }

// PopBack removes the last element.
func (l *ListView) PopBack() { l.pop(false) }

func (l *ListView) pop(front bool) {
	l.home.Change()
	if !l.packed {
		var end edge
		if ref := end.find(&l.tree, front); end.count(&l.tree) > 1 {
			if l.leafRun(ref).size > 0 {
				c := l.tree.Last()
				if front {
					c = l.tree.First()
				}
				l.unfold(&c)
				ref = c.Leaf()
			}
			l.cut(ref, front)
			end.add(&l.tree, -1)
			l.save()
			l.shrink()
			return
		}
	}
	if front {
		l.Remove(0, 1)
	} else {
		l.Remove(l.Len()-1, 1)
	}
}

// Insert puts an element before the one with the given number, or, if that is the
// length, behind all.
func (l *ListView) Insert(number int, e Element) {
	l.home.Change()
	l.expect(1, e.Len(), e.entrySize())
	switch count := l.Len(); {
	case number == 0:
		l.put(e, true)
	case number == count:
		l.put(e, false)
	case l.packed:
		e.putEntry(l.openRoot(l.rootAt(number), 0, e.entrySize()))
		l.count(1)
	default:
		c, at := l.tree.AtRank(number)
		l.replace(&c, at, 0, e)
	}
	l.save()
}

// Set replaces the element with the given number.
func (l *ListView) Set(number int, e Element) {
	l.home.Change()
	l.expect(1, e.Len(), e.entrySize())
	if l.packed {
		at := l.rootAt(number)
		e.putEntry(l.openRoot(at, entryLen(l.home.Root()[at:]), e.entrySize()))
		return
	}
	c, at := l.tree.AtRank(number)
	l.replace(&c, at, 1, e)
	l.save()
	l.shrink()
}

// Remove removes n elements from the one with the given number on.
func (l *ListView) Remove(from, n int) {
	if n <= 0 {
		return
	}
	count := l.Len()
	invariant.Assert(from >= 0 && from+n <= count, "a removal beyond a list")
	l.home.Change()
	if l.packed {
		at, end := l.rootAt(from), l.rootAt(from+n)
		l.openRoot(at, end-at, 0)
		l.count(-n)
		return
	}
	inside := from > 0 && from+n < count
	for n > 0 {
		c, at := l.tree.AtRank(from)
		k := min(n, c.Count()-at)
		n -= k
		if k == c.Count() {
			l.drop(&c)
			continue
		}
		l.unfold(&c)
		run := l.run(c.Leaf())
		begin, end := entryAt(run, c.Count(), at), entryAt(run, c.Count(), at+k)
		l.open(&c, begin, end-begin, 0)
		c.add(-k)
		if inside {
			l.tidy(&c)
		}
	}
	l.save()
	l.shrink()
}

// Trim removes all elements but those from one number up to another.
func (l *ListView) Trim(from, to int) {
	l.Remove(to, l.Len()-to)
	l.Remove(0, from)
}

// RemoveEqual removes up to limit of the elements that equal e, from the last one
// backwards if back, and returns how many.
func (l *ListView) RemoveEqual(e Element, limit int, back bool) (removed int) {
	from := -1 // all that match from here on go, up to the limit
	found := 0
	l.Find(e, 0, l.Len(), back, func(number int) bool {
		from = number
		found++
		return back && found < limit
	})
	if from < 0 {
		return 0
	}
	l.home.Change()
	if l.packed {
		root := l.home.Root()
		at := l.rootAt(from)
		kept, gone := filterEntries(root[at:], e, limit)
		l.home.Resize(at + kept)
		l.count(-gone)
		return gone
	}
	for removed < limit && from < l.tree.Len() {
		c, at := l.tree.AtRank(from)
		before := c.Rank()
		if r := l.leafRun(c.Leaf()); r.size > 0 {
			if !r.has(e, at) {
				from = before + c.Count()
				continue
			}
			l.unfold(&c)
		}
		run := l.run(c.Leaf())
		at = entryAt(run, c.Count(), at)
		kept, gone := filterEntries(run[at:], e, limit-removed)
		removed += gone
		from = before + c.Count() - gone
		switch {
		case gone == 0:
		case gone == c.Count():
			l.drop(&c)
		default:
			l.tree.setUsed(c.Leaf(), len(l.tree.Leaf(c.Leaf()))-(len(run)-at-kept))
			c.add(-gone)
			l.tidy(&c)
		}
	}
	l.save()
	l.shrink()
	return removed
}
