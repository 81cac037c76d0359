package strings

import (
	"bytes"
	"math"

	"hyperkv/resp"
	"hyperkv/shard/keyspace"
	"hyperkv/shard/object"
)

// options is what may follow the key and value of SET and its relatives.
type options struct {
	when   condition
	match  []byte // what a comparing condition compares with
	expiry expiry
	time   []byte // the argument of expiry, when it has one
	get    bool
}

// condition says when a command goes ahead.
type condition uint8

const (
	always condition = iota
	ifAbsent
	ifPresent
	ifEqual
	ifNotEqual
	ifDigestEqual
	ifDigestNotEqual
)

// expiry says what becomes of the key's time to live.
type expiry uint8

const (
	clearExpiry   expiry = iota // none was said: SET clears it, GETEX leaves it
	inSeconds                   // EX
	inMillis                    // PX
	atSeconds                   // EXAT
	atMillis                    // PXAT
	keepExpiry                  // KEEPTTL
	persistExpiry               // PERSIST
)

// timed says whether a time was given.
func (x expiry) timed() bool { return x >= inSeconds && x <= atMillis }

// grammar says which options a command knows.
type grammar uint8

const (
	forSet grammar = iota
	forGet
	forMany // MSETEX
)

// parse reads options. One that excludes an earlier one is a syntax error; the
// same one again is not, and its last argument counts.
func (o *options) parse(args [][]byte, g grammar) error {
	for i := 0; i < len(args); i++ {
		word := args[i]
		more := i+1 < len(args)
		if g != forGet {
			if when, compares := conditionNamed(word); when != always && (!compares || g == forSet) {
				if o.when != always && o.when != when || compares && !more {
					return resp.ErrSyntax
				}
				o.when = when
				if compares {
					i++
					o.match = args[i]
				}
				continue
			}
			if g == forSet && resp.WordIs(word, "GET") {
				o.get = true
				continue
			}
		}
		x := expiryNamed(word)
		switch {
		case x == clearExpiry,
			x == keepExpiry && g == forGet,
			x == persistExpiry && g != forGet,
			o.expiry != clearExpiry && o.expiry != x,
			x.timed() && !more:
			return resp.ErrSyntax
		}
		o.expiry = x
		if x.timed() {
			i++
			o.time = args[i]
		}
	}
	return nil
}

// conditionNamed returns the condition that a word names, always if none, and
// whether an argument to compare with follows.
func conditionNamed(word []byte) (when condition, compares bool) {
	switch {
	case resp.WordIs(word, "NX"):
		return ifAbsent, false
	case resp.WordIs(word, "XX"):
		return ifPresent, false
	}
	when = comparisonNamed(word)
	return when, when != always
}

func comparisonNamed(word []byte) condition {
	switch {
	case resp.WordIs(word, "IFEQ"):
		return ifEqual
	case resp.WordIs(word, "IFNE"):
		return ifNotEqual
	case resp.WordIs(word, "IFDEQ"):
		return ifDigestEqual
	case resp.WordIs(word, "IFDNE"):
		return ifDigestNotEqual
	}
	return always
}

func expiryNamed(word []byte) expiry {
	switch {
	case resp.WordIs(word, "EX"):
		return inSeconds
	case resp.WordIs(word, "PX"):
		return inMillis
	case resp.WordIs(word, "EXAT"):
		return atSeconds
	case resp.WordIs(word, "PXAT"):
		return atMillis
	case resp.WordIs(word, "KEEPTTL"):
		return keepExpiry
	case resp.WordIs(word, "PERSIST"):
		return persistExpiry
	}
	return clearExpiry
}

// deadline is the time given, in milliseconds since the epoch; 0 when none was.
// invalid is the command's answer to a time that is no future.
func (o *options) deadline(now int64, invalid resp.Error) (int64, error) {
	if !o.expiry.timed() {
		return 0, nil
	}
	return deadline(o.time, o.expiry, now, invalid)
}

func deadline(arg []byte, unit expiry, now int64, invalid resp.Error) (int64, error) {
	t, ok := resp.ParseInt(arg)
	if !ok {
		return 0, resp.ErrNotInteger
	}
	if t <= 0 {
		return 0, invalid
	}
	if unit == inSeconds || unit == atSeconds {
		if t > math.MaxInt64/1000 {
			return 0, invalid
		}
		t *= 1000
	}
	if unit == inSeconds || unit == inMillis {
		if t > math.MaxInt64-now {
			return 0, invalid
		}
		t += now
	}
	return t, nil
}

// met says whether the condition holds for what the key has. Only a string can
// be compared.
func (o *options) met(e keyspace.Entry) (bool, error) {
	switch o.when {
	case always:
		return true, nil
	case ifAbsent:
		return !e.Exists(), nil
	case ifPresent:
		return e.Exists(), nil
	}
	if !e.Exists() {
		return o.when == ifNotEqual || o.when == ifDigestNotEqual, nil
	}
	if e.Type() != object.String {
		return false, resp.ErrWrongType
	}
	return compare(e, o.when, o.match)
}

// compare decides a comparing condition for a string that is there.
func compare(e keyspace.Entry, when condition, match []byte) (bool, error) {
	var digits [intTextMax]byte
	value := text(e, digits[:0])
	switch when {
	case ifEqual:
		return bytes.Equal(value, match), nil
	case ifNotEqual:
		return !bytes.Equal(value, match), nil
	}
	if len(match) != digestTextBytes {
		return false, errDigestLength
	}
	equal := digestIs(value, match)
	return equal == (when == ifDigestEqual), nil
}
