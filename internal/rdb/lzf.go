package rdb

// LZF, the compression of texts in RDB:
//
//	000LLLLL …                     L+1 bytes as they are
//	LLLOOOOO OOOOOOOO              L+2 bytes from O+1 bytes back, L in 1..6
//	111OOOOO LLLLLLLL OOOOOOOO     the same, L counted from 7
const (
	lzfLiteralMax  = 1 << 5
	lzfDistanceMax = 1 << 13
	lzfMatchMin    = 3
	lzfMatchMax    = 2 + 7 + 255
	// lzfRatioMax is more than a byte can expand to: three make lzfMatchMax.
	lzfRatioMax = lzfMatchMax/3 + 1

	lzfTableBits = 13
)

// lzfTable remembers where three bytes were seen last, by their hash: 1 + the
// place. It has to be zero at the start of each text.
type lzfTable [1 << lzfTableBits]uint32

// lzfCompress appends the compressed text to dst if it is shorter than most.
func lzfCompress(dst, text []byte, most int, table *lzfTable) (out []byte, ok bool) {
	start := len(dst)
	clear(table[:])
	literals := 0 // of the run before i that is not yet written
	i := 0
	for i+lzfMatchMin <= len(text) {
		if len(dst)-start+literals >= most {
			return dst[:start], false
		}
		three := uint32(text[i]) | uint32(text[i+1])<<8 | uint32(text[i+2])<<16
		slot := &table[three*2654435761>>(32-lzfTableBits)]
		candidate := int(*slot) - 1
		*slot = uint32(i + 1)
		if candidate < 0 || i-candidate > lzfDistanceMax ||
			text[candidate] != text[i] || text[candidate+1] != text[i+1] || text[candidate+2] != text[i+2] {
			literals++
			i++
			continue
		}
		length := lzfMatchMin
		for length < lzfMatchMax && i+length < len(text) && text[candidate+length] == text[i+length] {
			length++
		}
		dst = lzfLiterals(dst, text[i-literals:i])
		literals = 0
		distance, code := i-candidate-1, length-2
		if code < 7 {
			dst = append(dst, byte(code<<5|distance>>8), byte(distance))
		} else {
			dst = append(dst, byte(7<<5|distance>>8), byte(code-7), byte(distance))
		}
		i += length
	}
	dst = lzfLiterals(dst, text[i-literals:])
	if len(dst)-start >= most {
		return dst[:start], false
	}
	return dst, true
}

func lzfLiterals(dst, run []byte) []byte {
	for len(run) > 0 {
		n := min(len(run), lzfLiteralMax)
		dst = append(append(dst, byte(n-1)), run[:n]...)
		run = run[n:]
	}
	return dst
}

// lzfExpand appends what compressed stands for to dst, if it is n bytes.
func lzfExpand(dst, compressed []byte, n int) (out []byte, ok bool) {
	start := len(dst)
	for i := 0; i < len(compressed); {
		control := int(compressed[i])
		i++
		if control < lzfLiteralMax {
			run := control + 1
			if run > len(compressed)-i || len(dst)-start+run > n {
				return nil, false
			}
			dst = append(dst, compressed[i:i+run]...)
			i += run
			continue
		}
		length := control >> 5
		if length == 7 {
			if i == len(compressed) {
				return nil, false
			}
			length += int(compressed[i])
			i++
		}
		length += 2
		if i == len(compressed) {
			return nil, false
		}
		from := len(dst) - (control&0x1f<<8 | int(compressed[i])) - 1
		i++
		if from < start || len(dst)-start+length > n {
			return nil, false
		}
		for length > 0 { // more at each turn, if it reads what it writes
			n := min(length, len(dst)-from)
			dst = append(dst, dst[from:from+n]...)
			length -= n
		}
	}
	return dst, len(dst)-start == n
}
