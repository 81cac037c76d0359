package streams

import (
	"hyperkv/resp"
	"hyperkv/shard"
	"hyperkv/shard/object"
)

// streamKeys finds the keys of XREAD and XREADGROUP; there are none when the
// handler is to say what is wrong.
func streamKeys(args [][]byte) (keys []int, err error) {
	for i := 1; i < len(args); i++ {
		switch arg := args[i]; {
		case resp.WordIs(arg, "BLOCK"), resp.WordIs(arg, "COUNT"):
			i++
		case resp.WordIs(arg, "GROUP"):
			i += 2
		case resp.WordIs(arg, "NOACK"):
		case resp.WordIs(arg, "STREAMS"):
			if n := len(args) - i - 1; n%2 == 0 {
				for at := range n / 2 {
					keys = append(keys, i+1+at)
				}
			}
			return keys, nil
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// waits says whether XREAD or XREADGROUP may have to wait.
func waits(args [][]byte) bool {
	for _, arg := range args[1:] {
		switch {
		case resp.WordIs(arg, "BLOCK"):
			return true
		case resp.WordIs(arg, "STREAMS"):
			return false
		}
	}
	return false
}

const (
	errUnbalancedRead  resp.Error = "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
	errUnbalancedGroup resp.Error = "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
	errGroupOption     resp.Error = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
	errNoAckOption     resp.Error = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
	errGroupMissing    resp.Error = "ERR Missing GROUP option for XREADGROUP"
	errNewestInGroup   resp.Error = "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set."
	errLastInGroup     resp.Error = "ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set."
	errNewAlone        resp.Error = "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)

// reading is what XREAD or XREADGROUP is asked for.
type reading struct {
	group, consumer []byte // nil for XREAD
	noAck           bool
	count           int64 // 0 for any number
	blocks          bool
	until           int64
	first           int // position of the first key
	streams         int
	few             [idsSpace]object.StreamID
	many            []object.StreamID // instead of few
}

// from is behind which ID the entries of a stream are asked for; the last ID for those
// that are new to a group.
func (r *reading) from(i int) *object.StreamID {
	if r.many != nil {
		return &r.many[i]
	}
	return &r.few[i]
}

func (r *reading) key(c *shard.Call, i int) []byte { return c.Args[r.first+i] }

func (r *reading) id(c *shard.Call, i int) []byte { return c.Args[r.first+r.streams+i] }

// parse reads everything but the IDs.
func (r *reading) parse(c *shard.Call, grouped bool) error {
	args := c.Args
	for i := 1; i < len(args) && r.first == 0; i++ {
		more := len(args) - i - 1
		switch arg := args[i]; {
		case resp.WordIs(arg, "BLOCK") && more > 0:
			i++
			n, err := resp.ParseTimeout(args[i], c.Clock)
			if err != nil {
				return err
			}
			r.blocks, r.until = true, 0
			if n > 0 {
				r.until = c.Clock + n
			}
		case resp.WordIs(arg, "COUNT") && more > 0:
			i++
			n, ok := resp.ParseInt(args[i])
			if !ok {
				return resp.ErrNotInteger
			}
			r.count = max(n, 0)
		case resp.WordIs(arg, "STREAMS") && more > 0:
			if more%2 != 0 {
				if grouped {
					return errUnbalancedGroup
				}
				return errUnbalancedRead
			}
			r.first, r.streams = i+1, more/2
		case resp.WordIs(arg, "GROUP") && more >= 2:
			if !grouped {
				return errGroupOption
			}
			r.group, r.consumer = args[i+1], args[i+2]
			i += 2
		case resp.WordIs(arg, "NOACK"):
			if !grouped {
				return errNoAckOption
			}
			r.noAck = true
		default:
			return resp.ErrSyntax
		}
	}
	switch {
	case r.first == 0:
		return resp.ErrSyntax
	case grouped && r.group == nil:
		return errGroupMissing
	}
	if r.streams > idsSpace {
		r.many = make([]object.StreamID, r.streams)
	}
	return nil
}

// replies is a reply of several streams, as it grows.
type replies struct {
	w     *resp.Writer
	at, n int
}

// begin begins the answer of a stream: its key, and its entries behind it.
func (r *replies) begin(key []byte) {
	if r.n == 0 {
		r.at = r.w.Deferred()
	}
	r.n++
	if r.w.Proto != 3 {
		r.w.Array(2)
	}
	r.w.Bulk(key)
}

// end completes the reply; false means that there is none.
func (r *replies) end() bool {
	switch {
	case r.n == 0:
		return false
	case r.w.Proto == 3:
		r.w.SetMap(r.at, r.n)
	default:
		r.w.SetArray(r.at, r.n)
	}
	return true
}

// XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]
func xread(c *shard.Call) error {
	var r reading
	if err := r.parse(c, false); err != nil {
		return err
	}
	waitsForNew := false
	for i := range r.streams {
		s, found, err := open(c, r.key(c, i))
		if err != nil {
			return err
		}
		switch id := r.id(c, i); string(text(id)) {
		case "$":
			waitsForNew = true
			if found {
				*r.from(i) = s.LastID()
			}
		case "+":
			if found && s.Len() > 0 {
				*r.from(i), _ = s.LastEntryID().Prev()
			}
		case ">":
			return errNewAlone
		default:
			if *r.from(i), err = parseID(id, 0); err != nil {
				return err
			}
		}
	}
	reply := replies{w: c.Reply}
	for i := range r.streams {
		key := r.key(c, i)
		s, found, _ := openForWrite(c, key) // it was read once
		if !found || s.Len() == 0 || !r.from(i).Less(s.LastEntryID()) {
			continue
		}
		reply.begin(key)
		from, _ := r.from(i).Next()
		at, n := c.Reply.Deferred(), int64(0)
		s.Range(from, object.MaxStreamID, func(e *object.StreamEntry) bool {
			replyEntry(c.Reply, e)
			n++
			return n != r.count
		})
		c.Reply.SetArray(at, int(n))
	}
	if reply.end() {
		return nil
	}
	if !r.blocks {
		return c.Reply.NullArray()
	}
	w := r.wait(c)
	if waitsForNew {
		// What is new has to be newer than what there is now.
		w.Args = append([][]byte(nil), c.Args...)
		for i := range r.streams {
			if string(text(r.id(c, i))) == "$" {
				w.Args[r.first+r.streams+i] = r.from(i).Append(nil)
			}
		}
	}
	return c.Block(w)
}

// wait is the wait for an entry in one of the streams.
func (r *reading) wait(c *shard.Call) shard.Wait {
	return shard.Wait{
		Keys: c.Args[r.first : r.first+r.streams], Type: object.Stream, Until: r.until,
		TimedOut: func(w *resp.Writer) error { return w.NullArray() },
	}
}

// XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK]
// STREAMS key [key ...] id [id ...]
//
// ">", which is the same as the last ID there can be, stands for what the group has
// not delivered yet; any other ID is about what is pending for the consumer. A consumer that is not there is made, unless it
// has to wait: then it is made when there is something for it. As in Redis each stream that is
// answered counts as one change, however much is delivered.
func xreadgroup(c *shard.Call) error {
	var r reading
	if err := r.parse(c, true); err != nil {
		return err
	}
	waits := r.blocks
	var s object.StreamView
	var g object.StreamGroup
	for i := range r.streams {
		key := r.key(c, i)
		var found bool
		var err error
		if s, found, err = open(c, key); err != nil {
			return err
		}
		if found {
			g, found = s.Group(r.group)
		}
		if !found {
			return noGroup("No such key '%s' or consumer group '%s' in XREADGROUP with GROUP option", key, r.group)
		}
		switch id := r.id(c, i); string(text(id)) {
		case "$":
			return errNewestInGroup
		case "+":
			return errLastInGroup
		case ">":
			*r.from(i) = object.MaxStreamID
		default:
			if *r.from(i), err = parseID(id, 0); err != nil {
				return err
			}
		}
		waits = waits && r.fresh(i) && !unread(&s, &g)
	}
	if waits {
		r.see(c)
		w := r.wait(c)
		w.Deletion = true
		return c.Block(w)
	}
	reply := replies{w: c.Reply}
	for i := range r.streams {
		key := r.key(c, i)
		if r.streams > 1 { // a single one is still open
			s, _, _ = openForWrite(c, key)
			g, _ = s.Group(r.group)
		}
		d := delivery{c: c, key: key, group: &g}
		d.to = consumerFor(c, key, &g, r.consumer)
		switch {
		case !r.fresh(i):
			reply.begin(key)
			r.history(&d, &s, *r.from(i))
			c.CountChanges(1)
		case unread(&s, &g):
			reply.begin(key)
			r.deliver(&d, &s)
			c.CountChanges(1)
		}
	}
	if reply.end() {
		return nil
	}
	return c.Reply.NullArray()
}

// fresh tells whether new entries are asked for, and not what is pending.
func (r *reading) fresh(i int) bool { return *r.from(i) == object.MaxStreamID }

// see notes that the consumer was seen waiting, and makes it one of the groups.
func (r *reading) see(c *shard.Call) {
	for i := range r.streams {
		s, _, _ := openForWrite(c, r.key(c, i))
		g, _ := s.Group(r.group)
		consumerFor(c, r.key(c, i), &g, r.consumer)
	}
}

// unread tells whether there are entries that a group has not read.
func unread(s *object.StreamView, g *object.StreamGroup) bool {
	return s.Len() > 0 && g.LastID().Less(s.LastEntryID())
}

// deliver answers what the group has not read, which becomes pending for the
// consumer unless it needs no acknowledgement.
func (r *reading) deliver(d *delivery, s *object.StreamView) {
	w := d.c.Reply
	at, n := w.Deferred(), int64(0)
	// Delivering changes only the group, never the entries.
	from, _ := d.group.LastID().Next()
	s.Range(from, object.MaxStreamID, func(e *object.StreamEntry) bool {
		d.group.Deliver(e.ID)
		replyEntry(w, e)
		if !r.noAck {
			d.add(e.ID, d.c.Clock, 1)
			d.to.SetActive(d.c.Clock)
		}
		n++
		return n != r.count
	})
	w.SetArray(at, int(n))
	d.flush()
	if !d.c.Recorded() {
		return
	}
	d.c.Effect(wordXGroup, wordSetID, d.key, r.group, idText(d.c, d.group.LastID()), wordEntriesRead, d.c.Int(d.group.Read()))
}

// history answers what is pending for the consumer, which counts as delivered once
// more; of entries that are gone only the ID is left.
func (r *reading) history(d *delivery, s *object.StreamView, after object.StreamID) {
	w := d.c.Reply
	at, n := w.Deferred(), int64(0)
	from, _ := after.Next()
	d.to.EachPending(from, func(p *object.StreamPending) bool {
		if !replyExisting(w, s, p.ID) {
			w.Array(2)
			replyID(w, p.ID)
			w.NullArray()
		} else {
			d.add(p.ID, d.c.Clock, p.Count+1)
		}
		n++
		return n != r.count
	})
	w.SetArray(at, int(n))
	d.flush()
}

// replyExisting answers an entry if it is there.
func replyExisting(w *resp.Writer, s *object.StreamView, id object.StreamID) (found bool) {
	s.Range(id, id, func(e *object.StreamEntry) bool {
		replyEntry(w, e)
		found = true
		return false
	})
	return found
}

// delivery makes entries pending for a consumer, and records them: those that
// follow one another with the same time and count in one XCLAIM.
type delivery struct {
	c     *shard.Call
	key   []byte
	group *object.StreamGroup
	to    object.StreamConsumer

	ids         [][]byte
	time, count int64
}

var (
	wordXClaim     = []byte("XCLAIM")
	wordZero       = []byte("0")
	wordTime       = []byte("TIME")
	wordRetryCount = []byte("RETRYCOUNT")
	wordForce      = []byte("FORCE")
	wordJustID     = []byte("JUSTID")
	wordLastID     = []byte("LASTID")
)

// claimIDsMax is how many IDs an XCLAIM records.
const claimIDsMax = 1000

// add makes an entry pending.
func (d *delivery) add(id object.StreamID, time, count int64) {
	d.group.AddPending(&object.StreamPending{ID: id, Consumer: d.to.Number(), Time: time, Count: count})
	if !d.c.Recorded() {
		return
	}
	if len(d.ids) == claimIDsMax || len(d.ids) > 0 && (time != d.time || count != d.count) {
		d.flush()
	}
	d.time, d.count = time, count
	d.ids = append(d.ids, idText(d.c, id))
}

// flush records what was added.
func (d *delivery) flush() {
	if len(d.ids) == 0 {
		return
	}
	effect := append(make([][]byte, 0, len(d.ids)+13), wordXClaim, d.key, d.group.Name(), d.to.Name(), wordZero)
	effect = append(effect, d.ids...)
	d.c.Effect(append(effect, wordTime, d.c.Int(d.time), wordRetryCount, d.c.Int(d.count), wordForce, wordJustID,
		wordLastID, idText(d.c, d.group.LastID()))...)
	d.ids = d.ids[:0]
}
