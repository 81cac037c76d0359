package object

// An entry of a list is a packed element with its length behind it, so that a
// list can be walked from either end:
//
//	packed element │ its length: 7 bits a byte, all but the first with the top bit set
//
// It is as long as an entry of Redis' listpack, which is what the sizes in
// list-max-listpack-size are about.

// lengthBytes is how many bytes the length of a packed element takes.
func lengthBytes(packed int) int {
	switch {
	case packed < 1<<7:
		return 1
	case packed < 1<<14:
		return 2
	case packed < 1<<21:
		return 3
	case packed < 1<<28:
		return 4
	}
	return 5
}

// entrySize is how many bytes the element takes as an entry.
func (e Element) entrySize() int {
	packed := e.PackedSize()
	return packed + lengthBytes(packed)
}

// putEntry writes the element as an entry to p, which is exactly as long.
func (e Element) putEntry(p []byte) {
	packed := e.Pack(p)
	n := packed
	for i := len(p) - 1; i > packed; i-- {
		p[i] = byte(n) | 0x80
		n >>= 7
	}
	p[packed] = byte(n)
}

// entryLen is the length of the entry at the start of p.
func entryLen(p []byte) int {
	if n := p[0] - pack6BitText; n < pack13BitInt-pack6BitText {
		return 2 + int(n)
	}
	return otherEntryLen(p)
}

// otherEntryLen is entryLen for all but short texts, kept apart so that it can be
// inlined.
func otherEntryLen(p []byte) int {
	packed := PackedLen(p)
	return packed + lengthBytes(packed)
}

// entryIs tells whether the entry at the start of p has the given packed element:
// equal ones are packed alike, and the first bytes say how long they are.
func entryIs(p, packed []byte) bool {
	return p[0] == packed[0] && len(p) >= len(packed) && string(p[:len(packed)]) == string(packed)
}

// entryBefore is where the entry begins that ends at end.
func entryBefore(p []byte, end int) int {
	end--
	b := p[end]
	n, shift := int(b&0x7f), 7
	for b >= 0x80 {
		end--
		b = p[end]
		n |= int(b&0x7f) << shift
		shift += 7
	}
	return end - n
}

// entryAt is where the entry with the given number begins in a run of count
// entries; the number after the last is the end.
func entryAt(run []byte, count, number int) (at int) {
	if number <= count/2 {
		for range number {
			at += entryLen(run[at:])
		}
		return at
	}
	at = len(run)
	for range count - number {
		at = entryBefore(run, at)
	}
	return at
}
