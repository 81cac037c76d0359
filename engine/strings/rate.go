package strings

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/keyspace"
)

// The two rate limiters.
//
// INCREX counts in a window: the bound is the limit, and the time to live that the
// first call gives the key is the window. CL.THROTTLE knows no windows: it keeps
// the moment at which a client that had come at an even pace would be due, and
// lets it be early by a burst. Both record what became of the key, never the time
// that it was asked.

// counting is what INCREX is told.
type counting struct {
	float              bool
	by, low, high      []byte // as sent; nil when not given
	saturate, onlyOnce bool
	expiry             expiry
	time               []byte
}

const (
	errENX           resp.Error = "ERR ENX flag requires an expiration"
	errBounds        resp.Error = "ERR LBOUND can't be greater than UBOUND"
	errByInfinity    resp.Error = "ERR BYFLOAT increment cannot be Infinity"
	errValueInfinity resp.Error = "ERR value cannot be Infinity"
	errAppliedInt    resp.Error = "ERR applied increment would overflow"
	errAppliedFloat  resp.Error = "ERR applied increment would be Infinity"
	errExpireIncrEx  resp.Error = "ERR invalid expire time in 'increx' command"
)

// parse reads the options, each of which may come once.
func (o *counting) parse(args [][]byte) error {
	for i := 0; i < len(args); i++ {
		var value *[]byte
		switch word := args[i]; {
		case resp.WordIs(word, "SATURATE") && !o.saturate:
			o.saturate = true
		case resp.WordIs(word, "ENX") && !o.onlyOnce:
			o.onlyOnce = true
		case resp.WordIs(word, "BYINT") && o.by == nil:
			value = &o.by
		case resp.WordIs(word, "BYFLOAT") && o.by == nil:
			o.float = true
			value = &o.by
		case resp.WordIs(word, "LBOUND") && o.low == nil:
			value = &o.low
		case resp.WordIs(word, "UBOUND") && o.high == nil:
			value = &o.high
		default:
			x := expiryNamed(word)
			if o.expiry != clearExpiry || x == clearExpiry || x == keepExpiry {
				return resp.ErrSyntax
			}
			if o.expiry = x; x.timed() {
				value = &o.time
			}
		}
		if value != nil {
			if i++; i == len(args) {
				return resp.ErrSyntax
			}
			*value = args[i]
		}
	}
	switch {
	case o.onlyOnce && o.expiry == persistExpiry:
		return resp.ErrSyntax
	case o.onlyOnce && o.expiry == clearExpiry:
		return errENX
	}
	return nil
}

// numbers reads the increment and the bounds, as far as they were given.
func numbers[T any](o *counting, parse func(arg []byte) (T, bool), kind string, by, low, high *T) error {
	for _, n := range [...]struct {
		arg  []byte
		name string
		to   *T
	}{{o.by, "Increment", by}, {o.low, "LBOUND", low}, {o.high, "UBOUND", high}} {
		if n.arg == nil {
			continue
		}
		value, ok := parse(n.arg)
		if !ok {
			return resp.Error("ERR " + n.name + " is not " + kind)
		}
		*n.to = value
	}
	return nil
}

// INCREX key [BYFLOAT increment | BYINT increment] [LBOUND lowerbound]
// [UBOUND upperbound] [SATURATE] [expiration] [ENX]
//
// It answers the new value and by how much that is more. A sum out of bounds
// changes nothing, or is moved to the bound that it has crossed.
func increx(c *shard.Call) error {
	var o counting
	if err := o.parse(c.Args[2:]); err != nil {
		return err
	}
	if o.float {
		return increxFloat(c, &o)
	}
	return increxInt(c, &o)
}

func increxInt(c *shard.Call, o *counting) error {
	by, low, high := int64(1), int64(math.MinInt64), int64(math.MaxInt64)
	if err := numbers(o, resp.ParseInt, "an integer or out of range", &by, &low, &high); err != nil {
		return err
	}
	if low > high {
		return errBounds
	}
	e, at, err := o.open(c)
	if err != nil {
		return err
	}
	was := int64(0)
	if e.Exists() {
		var ok bool
		if was, ok = e.Int(); !ok {
			if was, ok = resp.ParseInt(e.Bytes()); !ok {
				return resp.ErrNotInteger
			}
		}
	}
	over := by > 0 && was > math.MaxInt64-by
	under := by < 0 && was < math.MinInt64-by
	sum := was + by
	if over || under || sum < low || sum > high {
		if !o.saturate {
			c.Reply.Array(2)
			c.Reply.Int(was)
			return c.Reply.Int(0)
		}
		if over || !under && sum > high {
			sum = high
		} else {
			sum = low
		}
	}
	applied := sum - was
	if (applied < 0) != (sum < was) {
		return errAppliedInt
	}
	c.Reply.Array(2)
	c.Reply.Int(sum)
	c.Reply.Int(applied)
	o.settle(c, e, at, c.Int(sum), "incrby", func(deadline int64) { c.DB.SetInt(c.Args[1], sum, deadline) })
	return nil
}

func increxFloat(c *shard.Call, o *counting) error {
	var by resp.LongDouble
	high := resp.LongDoubleMax()
	low := high.Negative()
	if err := numbers(o, resp.ParseLongDouble, "a valid float", &by, &low, &high); err != nil {
		return err
	}
	if by.IsInf() {
		return errByInfinity
	}
	if low.Cmp(&high) > 0 {
		return errBounds
	}
	e, at, err := o.open(c)
	if err != nil {
		return err
	}
	var digits [intTextMax]byte
	value := append(digits[:0], '0')
	if e.Exists() {
		value = text(e, digits[:0])
	}
	was, ok := resp.ParseLongDouble(value)
	if !ok {
		return resp.ErrNotFloat
	}
	if was.IsInf() {
		return errValueInfinity
	}
	sum := was.Plus(&by)
	if sum.IsInf() || sum.Cmp(&low) < 0 || sum.Cmp(&high) > 0 {
		if !o.saturate {
			c.Reply.Array(2)
			c.Reply.HumanDouble(was.AppendHuman(nil))
			return c.Reply.HumanDouble([]byte("0"))
		}
		if sum.IsInf() && by.Sign() > 0 || !sum.IsInf() && sum.Cmp(&high) > 0 {
			sum = high
		} else {
			sum = low
		}
	}
	back := was.Negative()
	applied := sum.Plus(&back)
	if applied.IsInf() {
		return errAppliedFloat
	}
	result := sum.AppendHuman(nil)
	c.Reply.Array(2)
	c.Reply.HumanDouble(result)
	c.Reply.HumanDouble(applied.AppendHuman(nil))
	// A whole number is kept as such, as it is by whoever applies the effect.
	o.settle(c, e, at, result, "incrbyfloat", func(deadline int64) { c.DB.Set(c.Args[1], result, deadline) })
	return nil
}

// open finds the counter, and when it is to expire if a time was given.
func (o *counting) open(c *shard.Call) (e keyspace.Entry, at int64, err error) {
	if o.expiry.timed() {
		if at, err = deadline(o.time, o.expiry, c.Clock, errExpireIncrEx); err != nil {
			return e, 0, err
		}
	}
	e, err = c.DB.StringForWrite(c.Args[1])
	return e, at, err
}

// settle gives the counter its value and its time to live. set does the first, and
// event is its name.
func (o *counting) settle(c *shard.Call, e keyspace.Entry, at int64, value []byte, event string, set func(deadline int64)) {
	key, had := c.Args[1], int64(0)
	if e.Exists() {
		had = e.Deadline()
	}
	switch {
	case !o.expiry.timed() && o.expiry != persistExpiry, o.onlyOnce && had != 0:
		set(had)
		c.Event(shard.EventString, event, key)
		if had != 0 {
			c.Effect(wordSet, key, value, wordKeepTTL)
		} else {
			c.Effect(wordSet, key, value)
		}
	case o.expiry == persistExpiry:
		set(0)
		c.Event(shard.EventString, event, key)
		if had != 0 {
			c.Event(shard.EventGeneric, "persist", key)
		}
		c.Effect(wordSet, key, value)
	case at <= c.Now:
		if e.Exists() {
			expire(c, key, e)
		}
	default:
		set(at)
		c.Event(shard.EventString, event, key)
		c.Event(shard.EventGeneric, "expire", key)
		c.Effect(wordSet, key, value, wordPXAT, c.Int(at))
	}
}

const nanosPerMilli, nanosPerSecond = int64(1e6), int64(1e9)

var (
	errArityThrottle            = resp.WrongArity("cl.throttle")
	errZeroRate      resp.Error = "ERR Zero rates are not supported"
)

// CL.THROTTLE key max-burst count period [quantity]
//
// The generic cell rate algorithm of redis-cell, with its replies: whether the
// client is limited, how many calls it has at most and how many are left, after
// how many seconds it may come again (-1: now, or never with so large a quantity),
// and after how many all of them are back.
//
// The key holds the theoretical arrival time in nanoseconds since the epoch, as
// that of redis-cell does, and is gone when it has come.
func throttle(c *shard.Call) error {
	if len(c.Args) > 6 {
		return errArityThrottle
	}
	quantity := int64(1)
	var burst, count, period int64
	for i, to := range []*int64{&burst, &count, &period, &quantity} {
		if 2+i == len(c.Args) {
			break
		}
		var ok bool
		if *to, ok = resp.ParseInt(c.Args[2+i]); !ok {
			return resp.ErrNotInteger
		}
		if *to < 0 {
			return resp.ErrNotPositive
		}
	}
	if count == 0 || period == 0 {
		return errZeroRate
	}
	if period > math.MaxInt64/nanosPerSecond {
		return resp.ErrValueRange
	}
	now := c.Clock * nanosPerMilli
	interval := period * nanosPerSecond / count
	if interval == 0 {
		return errZeroRate
	}
	// Nothing below leaves the range of an int64 if neither of these does.
	room := (math.MaxInt64 - now) / 2 / interval
	if burst >= room || quantity > room {
		return resp.ErrValueRange
	}
	tolerance, increment := interval*(burst+1), interval*quantity

	key := c.Args[1]
	e, err := c.DB.StringForWrite(key)
	if err != nil {
		return err
	}
	due := now // when the client would come at an even pace
	if e.Exists() {
		stored, ok := e.Int()
		if !ok {
			return resp.ErrNotInteger
		}
		if stored > math.MaxInt64-increment {
			return resp.ErrValueRange
		}
		due = max(due, stored)
	}
	limited, retry := int64(0), -nanosPerSecond
	if early := due + increment - tolerance - now; early > 0 {
		limited = 1
		if increment <= tolerance {
			retry = early
		}
	} else if increment > 0 {
		due += increment
		// The part of a millisecond counts: until it is over the key is needed.
		at := (due + nanosPerMilli - 1) / nanosPerMilli
		value := c.Int(due)
		setUntil(c, key, value, at)
		c.Effect(wordSet, key, value, wordPXAT, c.Int(at))
	}
	c.Reply.Array(5)
	c.Reply.Int(limited)
	c.Reply.Int(burst + 1)
	c.Reply.Int(max((tolerance-(due-now))/interval, 0))
	c.Reply.Int(wholeSeconds(retry))
	return c.Reply.Int(wholeSeconds(due - now))
}

// wholeSeconds rounds up, so that nobody comes back too early.
func wholeSeconds(nanos int64) int64 {
	seconds := nanos / nanosPerSecond
	if nanos%nanosPerSecond >= nanosPerMilli {
		seconds++
	}
	return seconds
}
