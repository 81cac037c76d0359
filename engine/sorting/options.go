package sorting

import (
	"hyperkv/resp"
)

// options are the words behind the key.
type options struct {
	descending, alpha bool
	// offset and count are those of LIMIT; a count below 0 is all.
	offset, count int64
	by            *pattern
	// unsorted says that what BY names is no pattern, by which elements could differ.
	unsorted bool
	get      []pattern
	// store is where in the arguments the destination is, 0 if there is none.
	store int
}

// parse reads the arguments of SORT, or of SORT_RO, which does not store.
func parse(args [][]byte, readOnly bool) (o options, err error) {
	o.count = -1
	for i := 2; i < len(args); i++ {
		left := len(args) - i - 1
		switch {
		case resp.WordIs(args[i], "ASC"):
			o.descending = false
		case resp.WordIs(args[i], "DESC"):
			o.descending = true
		case resp.WordIs(args[i], "ALPHA"):
			o.alpha = true
		case resp.WordIs(args[i], "LIMIT") && left >= 2:
			var ok bool
			if o.offset, ok = resp.ParseInt(args[i+1]); !ok {
				return o, resp.ErrNotInteger
			}
			if o.count, ok = resp.ParseInt(args[i+2]); !ok {
				return o, resp.ErrNotInteger
			}
			i += 2
		case resp.WordIs(args[i], "STORE") && left >= 1 && !readOnly:
			i++
			o.store = i
		case resp.WordIs(args[i], "BY") && left >= 1:
			i++
			by := parsePattern(args[i])
			o.by = &by
			// A later pattern does not take back that an earlier word was none.
			o.unsorted = o.unsorted || !by.named
		case resp.WordIs(args[i], "GET") && left >= 1:
			i++
			o.get = append(o.get, parsePattern(args[i]))
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// leadsElsewhere says that the arguments lead to keys that they do not name.
func leadsElsewhere(args [][]byte) bool {
	o, err := parse(args, false)
	if err != nil {
		return false // which the handler finds, too
	}
	if o.by != nil && o.by.named {
		return true
	}
	for i := range o.get {
		if o.get[i].named {
			return true
		}
	}
	return false
}

// findKeys finds the key and the destination.
func findKeys(args [][]byte) ([]int, error) {
	if o, err := parse(args, false); err == nil && o.store > 0 {
		return []int{1, o.store}, nil
	}
	return []int{1}, nil
}

// limits are the first place that is wanted of so many, and how many are.
func (o *options) limits(length int) (first, count int) {
	n := int64(length)
	start := min(max(o.offset, 0), n)
	count = int(n - start)
	if o.count >= 0 {
		count = int(min(o.count, n-start))
	}
	return int(start), count
}
