package streams

import (
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// addition is what XADD or XTRIM is told before the fields.
type addition struct {
	id        object.StreamID // with made, what of it is given
	idGiven   bool            // an ID other than *
	seqGiven  bool            // and not only its milliseconds
	noStream  bool            // NOMKSTREAM
	trims     bool
	trim      trimming
	refsGiven bool
}

const (
	errTrimBoth     resp.Error = "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
	errTrimMaxLen   resp.Error = "ERR The MAXLEN argument must be >= 0."
	errTrimLimit    resp.Error = "ERR The LIMIT argument must be >= 0."
	errLimitAlone   resp.Error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
	errLimitExact   resp.Error = "ERR syntax error, LIMIT cannot be used without the special ~ option"
	errTrimMissing  resp.Error = "ERR syntax error, XTRIM must be called with a trimming strategy"
	trimLimitBlocks            = 100
	trimLimitNone              = 10000
	trimLimitMax               = 1000000
)

// parse reads the options of XADD, up to the ID, or of XTRIM, and returns the
// position behind them: that of the ID.
func (a *addition) parse(c *shard.Call, adds bool) (at int, err error) {
	limitGiven := false
	args := c.Args
loop:
	for at = 2; at < len(args); at++ {
		more := len(args) - 1 - at
		switch arg := args[at]; {
		case adds && len(arg) == 1 && arg[0] == '*':
			break loop
		case (resp.WordIs(arg, "MAXLEN") || resp.WordIs(arg, "MINID")) && more > 0:
			if a.trims {
				return 0, errTrimBoth
			}
			a.trims = true
			a.trim.ByID = resp.WordIs(arg, "MINID")
			at++
			if how := args[at]; more >= 2 && len(how) == 1 && (how[0] == '~' || how[0] == '=') {
				a.trim.Approx = how[0] == '~'
				at++
			}
			if a.trim.ByID {
				if a.trim.MinID, err = parseID(args[at], 0); err != nil {
					return 0, err
				}
				break
			}
			n, ok := resp.ParseInt(args[at])
			if !ok {
				return 0, resp.ErrNotInteger
			}
			if n < 0 {
				return 0, errTrimMaxLen
			}
			a.trim.MaxLen = n
		case resp.WordIs(arg, "LIMIT") && more > 0:
			at++
			n, ok := resp.ParseInt(args[at])
			if !ok {
				return 0, resp.ErrNotInteger
			}
			if n < 0 {
				return 0, errTrimLimit
			}
			a.trim.Limit = n
			limitGiven = true
		case adds && resp.WordIs(arg, "NOMKSTREAM"):
			a.noStream = true
		case isReferences(arg):
			if a.refsGiven {
				return 0, resp.ErrSyntax
			}
			a.trim.References, a.refsGiven = parseReferences(arg)
		case adds:
			if a.id, a.seqGiven, err = parseNewID(arg); err != nil {
				return 0, err
			}
			a.idGiven = true
			break loop
		default:
			return 0, resp.ErrSyntax
		}
	}
	switch {
	case a.trim.Limit > 0 && !a.trims:
		return 0, errLimitAlone
	case !adds && !a.trims:
		return 0, errTrimMissing
	case limitGiven && !a.trim.Approx && c.Client != nil && c.Client.Primary:
		a.trim.Limit = 0 // Redis has made its ~ a = for us, with the outcome, and left the rest
	case limitGiven && !a.trim.Approx:
		return 0, errLimitExact
	case !limitGiven && a.trim.Approx:
		a.trim.Limit = int64(trimLimitBlocks * c.Limits().StreamNodeEntries)
		if a.trim.Limit <= 0 {
			a.trim.Limit = trimLimitNone
		}
		a.trim.Limit = min(a.trim.Limit, trimLimitMax)
	}
	return at, nil
}

func isReferences(arg []byte) bool {
	_, ok := parseReferences(arg)
	return ok
}

// parseReferences reads what is to become of references to deleted entries.
func parseReferences(arg []byte) (r object.References, ok bool) {
	switch {
	case resp.WordIs(arg, "KEEPREF"):
		return object.KeepReferences, true
	case resp.WordIs(arg, "DELREF"):
		return object.DeleteReferences, true
	case resp.WordIs(arg, "ACKED"):
		return object.KeepReferenced, true
	}
	return 0, false
}

var (
	wordMaxLen = []byte("MAXLEN")
	wordExact  = []byte("=")
	wordDelRef = []byte("DELREF")
	wordAcked  = []byte("ACKED")
)

// trimming is a trim, and how long it left the stream.
type trimming struct {
	object.StreamTrim
	left int
}

// trim trims the stream of the call's key, of which the caller's view is outdated
// then, and returns how many entries it took away.
func trim(c *shard.Call, s object.StreamView, t *trimming) (removed int) {
	if removed = s.Trim(&t.StreamTrim); removed > 0 {
		c.Event(shard.EventStream, "xtrim", c.Key())
	}
	t.left = s.Len()
	return removed
}

// effect appends the option that trims the stream exactly as far as it was. Both
// MAXLEN and MINID take entries from the front, so that the length says it all.
func (a *addition) effect(c *shard.Call, to [][]byte) [][]byte {
	to = append(to, wordMaxLen, wordExact, c.Int(int64(a.trim.left)))
	switch a.trim.References {
	case object.DeleteReferences:
		to = append(to, wordDelRef)
	case object.KeepReferenced:
		to = append(to, wordAcked)
	}
	return to
}

// nextID is the ID of the entry to be added behind the last one; ok is false if
// what was asked for is not behind it.
func (a *addition) nextID(last object.StreamID, now int64) (id object.StreamID, ok bool) {
	switch {
	case a.idGiven && a.seqGiven:
		id = a.id
	case a.idGiven && a.id.Ms != last.Ms:
		id = a.id
	case !a.idGiven && uint64(now) > last.Ms:
		id = object.StreamID{Ms: uint64(now)}
	default:
		if id, ok = last.Next(); !ok || a.idGiven && id.Ms != a.id.Ms {
			return id, false
		}
	}
	return id, last.Less(id)
}
