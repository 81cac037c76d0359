package shard

import (
	"hyperkv/internal/glob"
	"hyperkv/resp"
)

const (
	// scanCount is how many elements a call of SCAN or its kin looks at unless
	// COUNT says.
	scanCount = 10
	// scanCountMax bounds what COUNT may say, for it holds up the shard: the rest
	// comes with the next call, as the contract of SCAN allows.
	scanCountMax = 1 << 17
)

// ScanOptions are what all commands of the kind of SCAN are asked for.
type ScanOptions struct {
	Count   int // at least 1
	matched bool
	pattern []byte
}

// ParseScan reads the options behind the cursor. own reads one that only some have,
// at the start of the words it is given, and returns how many words it took, 0 for
// an option that it does not know.
func ParseScan(args [][]byte, own func(args [][]byte) (used int, err error)) (o ScanOptions, err error) {
	o.Count = scanCount
	for len(args) > 0 {
		used := 2
		switch more := len(args) > 1; {
		case resp.WordIs(args[0], "COUNT") && more:
			n, ok := resp.ParseInt(args[1])
			if !ok {
				return o, resp.ErrNotInteger
			}
			if n < 1 {
				return o, resp.ErrSyntax
			}
			o.Count = int(min(n, scanCountMax))
		case resp.WordIs(args[0], "MATCH") && more:
			o.matched, o.pattern = !glob.IsAll(args[1]), args[1]
		default:
			if used, err = own(args); err != nil {
				return o, err
			}
			if used == 0 {
				return o, resp.ErrSyntax
			}
		}
		args = args[used:]
	}
	return o, nil
}

// Matched says whether there is a pattern that an element may fail.
func (o *ScanOptions) Matched() bool { return o.matched }

// Matches says whether an element with this text is wanted.
func (o *ScanOptions) Matches(text []byte) bool {
	return !o.matched || glob.Match(o.pattern, text)
}
