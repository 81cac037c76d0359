package bench

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// The placeholders of a command template. __key__ and __rand_int__ draw a new
// number each time they appear; __field__ and __int__ show the number drawn
// last, so that "HSET __key__ __field__ __data__" numbers its fields. A command
// with only these draws one number itself: "HSET hash __field__ __data__".
//
// __data__ is cut from one pool of printable bytes, which costs nothing and can be
// compressed to almost nothing. __rand_data__ is drawn byte by byte, for whoever
// measures what data takes on disk.
const (
	placeKey      = "__key__"
	placeData     = "__data__"
	placeRandData = "__rand_data__" // as many bytes as __data__
	placeRandom   = "__rand_int__"  // twelve digits, as redis-benchmark writes it
	placeField    = "__field__"     // "field:" and twelve digits
	placeInt      = "__int__"       // ten digits that do not begin with zero
)

var placeholders = []string{placeKey, placeData, placeRandData, placeRandom, placeField, placeInt}

const (
	randomDigits = 12
	fieldPrefix  = "field:"
	fieldBytes   = len(fieldPrefix) + randomDigits
	intDigits    = 10
	intBase      = 1_000_000_000 // makes every __int__ ten digits long
)

// template is a compiled command. Rendering copies images and patches the
// bytes that differ from request to request; only data of varying size splits
// a request into more than one image. Immutable once compiled.
type template struct {
	segments []segment
	draws    bool // a number is drawn before the command
}

// segment is a run of bytes of fixed size, then optionally data of varying size.
type segment struct {
	image    []byte
	patches  []patch
	variable bool
}

type patchKind uint8

const (
	patchKey      patchKind = iota // draws a number, shows number / ItemsPerKey
	patchRandom                    // draws a number, shows it
	patchField                     // shows the last number
	patchInt                       // shows intBase + the last number
	patchData                      // data of fixed size
	patchRandData                  // random bytes
)

// patch says which bytes of the image to overwrite. Digits are written from
// the end backwards and only as many as the largest number has; the zeros
// before them are part of the image.
type patch struct {
	kind  patchKind
	start int
	size  int
}

// compile turns an op into its template.
func compile(op Op, w Workload) (*template, error) {
	t := &template{}
	var current segment
	lit := func(text string) { current.image = append(current.image, text...) }
	digits := func(kind patchKind, width int) {
		significant := min(width, digitsOf(w.Keys.Count-1))
		if kind == patchInt {
			significant = width
		}
		lit(strings.Repeat("0", width))
		current.patches = append(current.patches, patch{kind, len(current.image) - significant, significant})
	}
	if w.Keys.Count > intBase*9 {
		for _, arg := range op.Args {
			if strings.Contains(arg, placeInt) {
				return nil, fmt.Errorf("%s holds ten digits, too few for %d keys", placeInt, w.Keys.Count)
			}
		}
	}
	if !op.Inline {
		lit("*" + strconv.Itoa(len(op.Args)) + "\r\n")
	}
	for i, arg := range op.Args {
		parts := splitPlaceholders(arg)
		if len(parts) == 1 && parts[0] == placeData && w.DataMin != w.DataMax {
			if op.Inline {
				return nil, fmt.Errorf("an inline command cannot carry data of varying size")
			}
			current.variable = true
			t.segments = append(t.segments, current)
			current = segment{}
			continue
		}
		if op.Inline {
			if i > 0 {
				lit(" ")
			}
		} else {
			size := 0
			for _, part := range parts {
				n, err := partSize(part, w)
				if err != nil {
					return nil, err
				}
				size += n
			}
			lit("$" + strconv.Itoa(size) + "\r\n")
		}
		for _, part := range parts {
			switch part {
			case placeKey:
				lit(w.Keys.Prefix)
				digits(patchKey, w.Keys.Size-len(w.Keys.Prefix))
			case placeRandom:
				digits(patchRandom, max(randomDigits, digitsOf(w.Keys.Count-1)))
			case placeField:
				lit(fieldPrefix)
				digits(patchField, max(randomDigits, digitsOf(w.Keys.Count-1)))
			case placeInt:
				digits(patchInt, intDigits)
			case placeData:
				current.patches = append(current.patches, patch{patchData, len(current.image), w.DataMax})
				current.image = append(current.image, make([]byte, w.DataMax)...)
			case placeRandData:
				if op.Inline {
					return nil, fmt.Errorf("an inline command cannot carry random bytes")
				}
				current.patches = append(current.patches, patch{patchRandData, len(current.image), w.DataMax})
				current.image = append(current.image, make([]byte, w.DataMax)...)
			default:
				lit(part)
			}
		}
		if !op.Inline {
			lit("\r\n")
		}
	}
	if op.Inline {
		lit("\r\n")
	}
	if len(current.image) > 0 {
		t.segments = append(t.segments, current)
	}
	shows := false
	for _, s := range t.segments {
		for _, p := range s.patches {
			switch p.kind {
			case patchKey, patchRandom:
				return t, nil
			case patchField, patchInt:
				shows = true
			}
		}
	}
	t.draws = shows
	return t, nil
}

func partSize(part string, w Workload) (int, error) {
	switch part {
	case placeKey:
		return w.Keys.Size, nil
	case placeRandom:
		return max(randomDigits, digitsOf(w.Keys.Count-1)), nil
	case placeField:
		return len(fieldPrefix) + max(randomDigits, digitsOf(w.Keys.Count-1)), nil
	case placeInt:
		return intDigits, nil
	case placeRandData:
		if w.DataMin != w.DataMax {
			return 0, fmt.Errorf("random data cannot vary in size")
		}
		return w.DataMax, nil
	case placeData:
		if w.DataMin != w.DataMax {
			return 0, fmt.Errorf("data of varying size must be an argument of its own")
		}
		return w.DataMax, nil
	}
	return len(part), nil
}

// splitPlaceholders cuts an argument into literal text and placeholders.
func splitPlaceholders(arg string) []string {
	var parts []string
	for arg != "" {
		at, found := len(arg), ""
		for _, place := range placeholders {
			if i := strings.Index(arg, place); i >= 0 && i < at {
				at, found = i, place
			}
		}
		if at > 0 {
			parts = append(parts, arg[:at])
		}
		if found != "" {
			parts = append(parts, found)
		}
		arg = arg[at+len(found):]
	}
	if len(parts) == 0 {
		parts = []string{""}
	}
	return parts
}

// dataPoolBytes is how far a value's start may wander in the pool, so that
// values differ without being generated.
const dataPoolBytes = 64 << 10

// newDataPool returns printable bytes, long enough for the largest value from
// any start.
func newDataPool(dataMax int, seed uint64) []byte {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
	rng := random{state: seed ^ 0x5851f42d4c957f2d}
	pool := make([]byte, dataPoolBytes+dataMax)
	for i := range pool {
		pool[i] = alphabet[rng.next()>>58]
	}
	return pool
}

// renderer appends requests to a buffer. Owned by one worker.
type renderer struct {
	templates []*template
	// bounds are cumulative weights: op i is chosen when the draw is below
	// bounds[i].
	bounds      []uint64
	keys        picker
	mix         random // apart from keys.rng: a mix must not disturb the key order
	pool        []byte // shared, read only
	dataMin     int
	dataMax     int
	itemsPerKey uint64
	last        uint64
}

func newRenderer(w Workload, pool []byte, part int) (*renderer, error) {
	r := &renderer{
		keys:    newPicker(w.Keys, w.Seed, part, w.Threads),
		mix:     random{state: w.Seed*31 + uint64(part)},
		pool:    pool,
		dataMin: w.DataMin, dataMax: w.DataMax,
		itemsPerKey: uint64(w.ItemsPerKey),
	}
	total := uint64(0)
	for _, op := range w.Ops {
		t, err := compile(op, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", op.Name, err)
		}
		r.templates = append(r.templates, t)
		total += uint64(op.Weight)
		r.bounds = append(r.bounds, total)
	}
	return r, nil
}

// choose picks the op of the next request.
func (r *renderer) choose() int {
	if len(r.bounds) == 1 {
		return 0
	}
	n := r.mix.below(r.bounds[len(r.bounds)-1])
	for i, bound := range r.bounds {
		if n < bound {
			return i
		}
	}
	return len(r.bounds) - 1
}

// render appends one request of the given op.
func (r *renderer) render(dst []byte, op int) []byte {
	segments := r.templates[op].segments
	if r.templates[op].draws {
		r.last = r.keys.next()
	}
	for i := range segments {
		s := &segments[i]
		base := len(dst)
		dst = append(dst, s.image...)
		for _, p := range s.patches {
			at := dst[base+p.start : base+p.start+p.size]
			switch p.kind {
			case patchKey:
				r.last = r.keys.next()
				number := r.last
				if r.itemsPerKey != 1 {
					number /= r.itemsPerKey
				}
				putDigits(at, number)
			case patchRandom:
				r.last = r.keys.next()
				putDigits(at, r.last)
			case patchField:
				putDigits(at, r.last)
			case patchInt:
				putDigits(at, intBase+r.last)
			case patchData:
				start := r.mix.next() % dataPoolBytes
				copy(at, r.pool[start:])
			case patchRandData:
				var word [8]byte
				for ; len(at) > 0; at = at[min(8, len(at)):] {
					binary.LittleEndian.PutUint64(word[:], r.mix.next())
					copy(at, word[:])
				}
			}
		}
		if s.variable {
			size := r.dataMin + int(r.mix.below(uint64(r.dataMax-r.dataMin+1)))
			dst = append(dst, '$')
			dst = strconv.AppendInt(dst, int64(size), 10)
			dst = append(dst, '\r', '\n')
			start := r.mix.next() % dataPoolBytes
			dst = append(dst, r.pool[start:start+uint64(size)]...)
			dst = append(dst, '\r', '\n')
		}
	}
	return dst
}

// putDigits writes n right-aligned over the whole of dst. Digits that do not
// fit are dropped; templates leave room for every number of the keyspace.
func putDigits(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		q := n / 10
		dst[i] = byte('0' + n - q*10)
		n = q
	}
}
