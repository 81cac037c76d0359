package streams

import (
	"math"

	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
func xpending(c *shard.Call) error {
	args := c.Args
	if n := len(args); n != 3 && (n < 6 || n > 9) {
		return resp.ErrSyntax
	}
	var q pendingQuery
	if len(args) > 3 {
		if err := q.parse(args[3:]); err != nil {
			return err
		}
	}
	s, found, err := open(c, c.Key())
	if err != nil {
		return err
	}
	var g object.StreamGroup
	if found {
		g, found = s.Group(args[2])
	}
	if !found {
		return noGroup("No such key '%s' or consumer group '%s'", c.Key(), args[2])
	}
	if len(args) == 3 {
		return replyPendingSummary(c.Reply, &g)
	}
	return q.reply(c, &g)
}

// pendingQuery is what XPENDING is asked for.
type pendingQuery struct {
	minIdle, count int64
	from, to       object.StreamID
	consumer       []byte // nil for all
}

func (q *pendingQuery) parse(args [][]byte) (err error) {
	ok := true
	if resp.WordIs(args[0], "IDLE") {
		if q.minIdle, ok = resp.ParseInt(args[1]); !ok {
			return resp.ErrNotInteger
		}
		if len(args) < 5 {
			return resp.ErrSyntax
		}
		args = args[2:]
	}
	if q.count, ok = resp.ParseInt(args[2]); !ok {
		return resp.ErrNotInteger
	}
	if q.from, err = parseStart(args[0]); err != nil {
		return err
	}
	if q.to, err = parseEnd(args[1]); err != nil {
		return err
	}
	if len(args) > 3 {
		q.consumer = args[3]
	}
	return nil
}

// reply answers what is pending, one by one.
func (q *pendingQuery) reply(c *shard.Call, g *object.StreamGroup) error {
	each := g.EachPending
	if q.consumer != nil {
		consumer, found := g.Consumer(q.consumer)
		if !found {
			return c.Reply.Array(0)
		}
		each = consumer.EachPending
	}
	w := c.Reply
	at, n := w.Deferred(), int64(0)
	if q.count > 0 {
		each(q.from, func(p *object.StreamPending) bool {
			if q.to.Less(p.ID) {
				return false
			}
			idle := c.Clock - p.Time
			if q.minIdle != 0 && idle < q.minIdle {
				return true
			}
			w.Array(4)
			replyID(w, p.ID)
			w.Bulk(g.ConsumerOf(p).Name())
			w.Int(max(idle, 0))
			w.Int(p.Count)
			n++
			return n < q.count
		})
	}
	w.SetArray(at, int(n))
	return nil
}

// replyPendingSummary answers how much is pending, from where to where, and for whom.
func replyPendingSummary(w *resp.Writer, g *object.StreamGroup) error {
	w.Array(4)
	w.Int(int64(g.Pending()))
	if g.Pending() == 0 {
		w.Null()
		w.Null()
		return w.NullArray()
	}
	first, _ := g.NextPending(object.StreamID{})
	replyID(w, first.ID)
	replyID(w, g.LastPending())
	at, n := w.Deferred(), 0
	g.EachConsumer(func(consumer object.StreamConsumer) bool {
		if pending := consumer.Pending(); pending > 0 {
			w.Array(2)
			w.Bulk(consumer.Name())
			w.BulkInt(int64(pending))
			n++
		}
		return true
	})
	w.SetArray(at, n)
	return nil
}

const (
	errMinIdleClaim     resp.Error = "ERR Invalid min-idle-time argument for XCLAIM"
	errIdleClaim        resp.Error = "ERR Invalid IDLE option argument for XCLAIM"
	errTimeClaim        resp.Error = "ERR Invalid TIME option argument for XCLAIM"
	errRetryCountClaim  resp.Error = "ERR Invalid RETRYCOUNT option argument for XCLAIM"
	errMinIdleAutoClaim resp.Error = "ERR Invalid min-idle-time argument for XAUTOCLAIM"
	errCountAutoClaim   resp.Error = "ERR COUNT must be > 0"
)

// openClaim is the group in which something is claimed.
func openClaim(c *shard.Call, s *object.StreamView) (g object.StreamGroup, err error) {
	var found bool
	if *s, found, err = openForWrite(c, c.Key()); err != nil {
		return g, err
	}
	if found {
		g, found = s.Group(c.Args[2])
	}
	if !found {
		return g, noGroup("No such key '%s' or consumer group '%s'", c.Key(), c.Args[2])
	}
	return g, nil
}

// claim is what XCLAIM is told behind the IDs.
type claim struct {
	minIdle int64
	time    int64 // of the delivery
	retries int64 // below 0: one more than there were, if entries are answered
	force   bool
	justID  bool
	last    object.StreamID
}

// parse reads the options from a position on.
func (o *claim) parse(c *shard.Call, i int) (err error) {
	args := c.Args
	o.time, o.retries = -1, -1
	recorded := false
	for ; i < len(args); i++ {
		more := i+1 < len(args)
		ok := true
		switch arg := args[i]; {
		case resp.WordIs(arg, "FORCE"):
			o.force = true
		case resp.WordIs(arg, "JUSTID"):
			o.justID = true
		case resp.WordIs(arg, "IDLE") && more:
			i++
			if o.time, ok = resp.ParseInt(args[i]); !ok {
				return errIdleClaim
			}
			o.time = c.Clock - o.time
		case resp.WordIs(arg, "TIME") && more:
			i++
			if o.time, ok = resp.ParseInt(args[i]); !ok {
				return errTimeClaim
			}
		case resp.WordIs(arg, "RETRYCOUNT") && more:
			i++
			if o.retries, ok = resp.ParseInt(args[i]); !ok {
				return errRetryCountClaim
			}
		case resp.WordIs(arg, "LASTID") && more:
			i++
			if o.last, err = parseID(args[i], 0); err != nil {
				return err
			}
			recorded = true
		default:
			return resp.Error("ERR Unrecognized XCLAIM option '" + string(text(arg)) + "'")
		}
	}
	// Clients reckon with clocks of their own: a time that cannot be is now. Only
	// what a server has recorded, as LASTID shows, is not compared with this clock.
	if o.time < 0 || o.time > c.Clock && !recorded {
		o.time = c.Clock
	}
	return nil
}

// XCLAIM key group consumer min-idle-time id [id ...] [options]
func xclaim(c *shard.Call) error {
	var s object.StreamView
	g, err := openClaim(c, &s)
	if err != nil {
		return err
	}
	var o claim
	minIdle, ok := resp.ParseInt(c.Args[4])
	if !ok {
		return errMinIdleClaim
	}
	var ids []object.StreamID
	at := 5
	for ; at < len(c.Args); at++ {
		id, err := parseID(c.Args[at], 0)
		if err != nil {
			break // an option, then
		}
		ids = append(ids, id)
	}
	if err := o.parse(c, at); err != nil {
		return err
	}
	moved := g.LastID().Less(o.last)
	if moved {
		g.SetRead(o.last, g.Read())
	}
	d := newClaims(c, &g, max(minIdle, 0))
	w := c.Reply
	reply, n := w.Deferred(), 0
	for _, id := range ids {
		p, pending := g.FindPending(id)
		if !s.Has(id) {
			if pending {
				d.drop(id)
			}
			continue
		}
		if !pending && !o.force || pending && !d.idle(&p) {
			continue
		}
		count := p.Count
		switch {
		case o.retries >= 0:
			count = o.retries
		case !pending:
			count = 1 // as it was when it was made, whoever claims it first
			if !o.justID {
				count++
			}
		case !o.justID:
			count++
		}
		d.take(&s, id, o.time, count, o.justID)
		n++
	}
	w.SetArray(reply, n)
	d.flush()
	if moved && d.changes == 0 {
		d.changes++
	}
	c.CountChanges(d.changes)
	if moved && !d.claimed {
		c.Effect(wordXGroup, wordSetID, c.Key(), g.Name(), idText(c, g.LastID()), wordEntriesRead, c.Int(g.Read()))
	}
	return nil
}

// claims is what a consumer claims, and what turns out to be deleted on the way.
type claims struct {
	delivery
	minIdle int64
	claimed bool
	changes int // entries claimed, or found to be deleted
}

func newClaims(c *shard.Call, g *object.StreamGroup, minIdle int64) *claims {
	d := &claims{minIdle: minIdle}
	d.c, d.key, d.group = c, c.Key(), g
	d.to = consumerFor(c, c.Key(), g, c.Args[3])
	return d
}

// idle tells whether something has been pending for long enough.
func (d *claims) idle(p *object.StreamPending) bool {
	return d.minIdle == 0 || d.c.Clock-p.Time >= d.minIdle
}

var wordXAck = []byte("XACK")

// drop takes an entry that is gone off what is pending.
func (d *claims) drop(id object.StreamID) {
	d.group.RemovePending(id)
	d.changes++
	d.c.Effect(wordXAck, d.key, d.group.Name(), idText(d.c, id))
}

// take claims an entry and answers it.
func (d *claims) take(s *object.StreamView, id object.StreamID, time, count int64, justID bool) {
	d.add(id, time, count)
	d.to.SetActive(d.c.Clock)
	d.claimed = true
	d.changes++
	if justID {
		replyID(d.c.Reply, id)
		return
	}
	replyExisting(d.c.Reply, s, id)
}

const (
	autoClaimCount = 100
	// autoClaimTries is how many that are pending are looked at for each that may
	// be claimed.
	autoClaimTries = 10
	autoClaimMax   = math.MaxInt64 / 16
)

// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
func xautoclaim(c *shard.Call) error {
	minIdle, ok := resp.ParseInt(c.Args[4])
	if !ok {
		return errMinIdleAutoClaim
	}
	from, err := parseStart(c.Args[5])
	if err != nil {
		return err
	}
	count, justID := int64(autoClaimCount), false
	for i := 6; i < len(c.Args); i++ {
		switch {
		case resp.WordIs(c.Args[i], "COUNT") && i+1 < len(c.Args):
			i++
			n, ok := resp.ParseInt(c.Args[i])
			if !ok || n < 1 || n > autoClaimMax {
				return errCountAutoClaim
			}
			count = n
		case resp.WordIs(c.Args[i], "JUSTID"):
			justID = true
		default:
			return resp.ErrSyntax
		}
	}
	var s object.StreamView
	g, err := openClaim(c, &s)
	if err != nil {
		return err
	}
	d := newClaims(c, &g, max(minIdle, 0))
	w := c.Reply
	w.Array(3)
	place := w.Deferred() // of the ID to go on from, which is known at the end
	n, more := 0, true
	var gone []object.StreamID
	for tries := count * autoClaimTries; tries > 0 && count > 0; tries-- {
		p, found := g.NextPending(from)
		if !found {
			break
		}
		from, more = p.ID.Next()
		switch {
		case !s.Has(p.ID):
			d.drop(p.ID)
			gone = append(gone, p.ID)
			count--
		case d.idle(&p):
			again := p.Count
			if !justID {
				again++
			}
			d.take(&s, p.ID, c.Clock, again, justID)
			n++
			count--
		}
		if !more {
			break
		}
	}
	w.SetArray(place, n)
	next := object.StreamID{}
	if more {
		if p, found := g.NextPending(from); found {
			next = p.ID
		}
	}
	insertID(w, place, next)
	w.Array(len(gone))
	for _, id := range gone {
		replyID(w, id)
	}
	d.flush()
	c.CountChanges(d.changes)
	return nil
}

// insertID puts an ID into a reply, at a place where it was deferred.
func insertID(w *resp.Writer, place int, id object.StreamID) {
	end := len(w.Buf)
	replyID(w, id)
	size := len(w.Buf) - end
	var space [idTextBytes + 8]byte
	text := append(space[:0], w.Buf[end:]...)
	copy(w.Buf[place+size:], w.Buf[place:end])
	copy(w.Buf[place:], text)
}
