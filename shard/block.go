package shard

import (
	"errors"
	"math"

	"hyperkv/resp"
	"hyperkv/shard/object"
)

// A Wait is what a blocking command waits for when it found nothing to do.
type Wait struct {
	// Keys are those of which any may end the wait, borrowed until Block returns.
	Keys [][]byte
	// Type is what a key must hold to end it.
	Type object.Type
	// Deletion ends the wait also when a key is deleted or becomes something else.
	Deletion bool
	// Args is the command to run again when a key is ready, nil for the one that
	// was sent. It says the same then as now: "$" has become an ID.
	Args [][]byte
	// Until is when to give up, in milliseconds since the epoch; 0 for never.
	Until int64
	// TimedOut writes the reply of a wait that is given up, or that may not begin.
	TimedOut func(w *resp.Writer) error
	// Refused, if set, writes the reply of a wait that may not begin.
	Refused func(w *resp.Writer) error
}

// Block ends a command that has to wait: its handler returns what Block returns. The command
// runs again, from its beginning, whenever one of the keys may have become ready;
// it may then block again, and keeps its place among those who wait. Where
// waiting is not possible, as inside MULTI, the reply is that of a time-out, unless
// the Wait says otherwise.
//
// Nothing may have been replied before, and nothing changed but what Effect has named.
func (c *Call) Block(w Wait) error {
	if c.wait == nil {
		if w.Refused != nil {
			return w.Refused(c.Reply)
		}
		return w.TimedOut(c.Reply)
	}
	*c.wait = w
	return errBlocked
}

// errBlocked is what the handler of a command that has to wait returns.
var errBlocked = errors.New("the command waits")

// BlockUntil reads a time-out in seconds, as Redis' blocking commands take it,
// and returns when it ends for Wait.Until: 0 for never.
func (c *Call) BlockUntil(seconds []byte) (until int64, err error) {
	s, ok := resp.ParseFloat(seconds)
	switch {
	case !ok:
		return 0, resp.ErrTimeoutNotFloat
	case s < 0:
		return 0, resp.ErrTimeoutNegative
	}
	millis := math.Ceil(s * 1000)
	switch {
	case millis >= math.MaxInt64-float64(c.Clock):
		return 0, resp.ErrTimeoutRange
	case millis == 0:
		return 0, nil
	}
	return c.Clock + int64(millis), nil
}
