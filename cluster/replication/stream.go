package replication

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"hyperkv/resp"
)

// stream is what of the primary's stream was read and not done yet: what stands between
// MULTI and EXEC.
type stream struct {
	open     bool
	raw      []byte
	unit     []Effect
	database int // that it is in
}

// streamLimits are those of a primary's commands: it has checked them.
var streamLimits = resp.Limits{BulkBytesMax: math.MaxInt32, ArgsMax: 1 << 24, InlineBytesMax: 64 << 10}

// follow does what the primary does until the connection breaks.
func (l *link) follow() error {
	var (
		parser resp.Parser
		args   [][]byte
		s      stream
		err    error
	)
	for {
		for l.at < len(l.buf) {
			var used int
			args, used, err = parser.Next(l.buf[l.at:], &streamLimits, args[:0])
			if err != nil {
				return err
			}
			if used == 0 {
				break
			}
			raw := l.buf[l.at : l.at+used]
			if err := l.take(&s, args, raw); err != nil {
				return err
			}
			l.at += used
		}
		l.node.o.Host.Commit()
		if err := l.fill(parser.Need()); err != nil {
			return err
		}
	}
}

// take does one command of the stream, of which raw are the bytes.
func (l *link) take(s *stream, args [][]byte, raw []byte) error {
	name := []byte(nil)
	if len(args) > 0 {
		name = args[0]
	}
	switch {
	case resp.WordIs(name, "SELECT") && len(args) == 2:
		n, err := strconv.Atoi(string(args[1]))
		if err != nil || n < 0 || int64(n) >= l.node.o.Settings.Int("databases") {
			return fmt.Errorf("the primary uses database %.20q, which does not exist here", args[1])
		}
		if s.open {
			s.database = n // if EXEC comes
		} else {
			l.database = n
		}
	case resp.WordIs(name, "MULTI"):
		s.open, s.database = true, l.database
		s.raw, s.unit = s.raw[:0], s.unit[:0]
	case resp.WordIs(name, "EXEC"):
		s.raw = append(s.raw, raw...)
		if s.open {
			l.database = s.database
		}
		s.open = false
		if len(s.unit) == 0 {
			l.relay(s.raw)
			return nil
		}
		l.apply(s.unit, s.raw)
		clear(s.unit)
		return nil
	case len(args) == 0, resp.WordIs(name, "PING"):
	case resp.WordIs(name, "REPLCONF"):
		if len(args) > 1 && resp.WordIs(args[1], "GETACK") {
			l.acknowledge()
		}
	case s.open:
		clone := make([][]byte, len(args))
		for i, arg := range args {
			clone[i] = bytes.Clone(arg)
		}
		s.unit = append(s.unit, Effect{s.database, clone})
	default:
		l.apply([]Effect{{l.database, args}}, raw)
		return nil
	}
	if s.open {
		s.raw = append(s.raw, raw...)
		return nil
	}
	l.relay(raw)
	return nil
}

// relay passes bytes on that change nothing.
func (l *link) relay(raw []byte) {
	l.node.feed.Relay(raw, l.database)
	l.applied.Add(int64(len(raw)))
}

// apply does something and passes it on.
func (l *link) apply(unit []Effect, raw []byte) {
	if err := l.node.o.Host.Apply(unit, func() { l.relay(raw) }); err != nil {
		l.node.complain(err)
	}
}

// complainEvery is how often it is said that something of the stream could not be done.
const complainEvery = time.Second

func (n *Node) complain(err error) {
	n.leftOut.Add(1)
	if now := time.Now().UnixNano(); now-n.complained.Load() > int64(complainEvery) {
		n.complained.Store(now)
		n.log.Error("a command of the primary was left out", "err", err, "so_far", n.leftOut.Load())
	}
}
