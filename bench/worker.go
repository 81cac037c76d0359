package bench

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"hyperkv/resp"
)

// worker is one thread of the generator: an epoll set, its connections, and
// everything they count. Nothing in it is shared while it runs.
type worker struct {
	*round
	*renderer
	poll  *poller
	conns []*conn
	buf   []byte // replies are read here, behind the rest of an incomplete one

	quota int64 // requests still to be sent; -1 when time bounds the run
	// The open loop sends request number issued at start + issued × gap.
	gap    float64
	start  int64
	issued int64
	cursor int // the connection whose turn it is
	// holdUntil is when a pipelining open loop may send again.
	holdUntil int64

	outstanding int
	lastReply   int64
	interval    int64

	// What was measured.
	recorders         []recorder // one per op
	counts            []int64    // scratch: replies per op of one read
	slots             []slot
	replies, unsent   int64
	bytesIn, bytesOut int64
	errors            int64
	errorTexts        map[string]int64
	busy, wanted      float64
	measuring         bool
	cpuFrom           threadTimes
	cpuAt             int64
}

// slot is one interval of the run.
type slot struct{ replies, latest int64 }

const (
	readBytesMin = 64 << 10
	readBytesMax = 1 << 30 // a longer reply ends the run
	// waitMax bounds one wait, so that a stop is noticed.
	waitMax = 50 * time.Millisecond
	// drainTimeout bounds the wait for the replies outstanding at the end.
	drainTimeout = 10 * time.Second
	// backlogGrace is how long after its end an open loop goes on sending what
	// was due before.
	backlogGrace = int64(500 * time.Millisecond)
	// gather is how long a pipelining open loop collects due requests into a
	// burst, as pipelining clients do. The wait is part of their latency.
	gather        = int64(50 * time.Microsecond)
	errorTextsMax = 20
	slotsMax      = 100_000
)

var errStopped = errors.New("stopped")

func newWorker(r *round, part int) (*worker, error) {
	w := r.workload
	renderer, err := newRenderer(w, r.pool, part)
	if err != nil {
		return nil, err
	}
	poll, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	wk := &worker{
		round: r, renderer: renderer, poll: poll, buf: make([]byte, readBytesMin),
		quota: -1, errorTexts: map[string]int64{}, counts: make([]int64, len(w.Ops)),
		// A tenth of a second per sample, or longer for a long run.
		interval: int64(max(100*time.Millisecond, w.Duration/600)),
	}
	if w.Requests > 0 {
		// Cut like the keyspace: Count sequential requests visit each key once.
		wk.quota = int64(share(uint64(w.Requests), part+1, w.Threads) - share(uint64(w.Requests), part, w.Threads))
	}
	if w.Rate > 0 {
		wk.gap = 1e9 * float64(w.Threads) / w.Rate
		wk.start = int64(wk.gap * float64(part) / float64(w.Threads))
	}
	for range w.Ops {
		wk.recorders = append(wk.recorders, newRecorder())
	}
	wk.slots = make([]slot, 0, 1024)
	return wk, nil
}

func (w *worker) adopt(c *conn) error {
	if err := w.poll.add(c.fd, len(w.conns)); err != nil {
		return err
	}
	if len(w.workload.Ops) > 1 {
		c.kinds = make([]uint8, w.workload.Pipeline)
	}
	if w.gap > 0 {
		c.due = make([]int64, w.workload.Pipeline)
	}
	w.conns = append(w.conns, c)
	return nil
}

func (w *worker) close() {
	for _, c := range w.conns {
		c.close()
	}
	w.poll.close()
}

// run drives the connections until the run's bound is reached and every reply
// is in.
func (w *worker) run() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A fault here must reach the caller, who has child processes to end.
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("generator: %v", fault)
		}
	}()
	sharpTimers()
	w.cpuFrom, w.cpuAt = readThreadTimes(), w.now()
	w.measuring = w.measureFrom == 0
	defer w.account()

	now := w.now()
	w.lastReply = now
	if w.gap == 0 {
		for _, c := range w.conns {
			if err := w.burst(c, now); err != nil {
				return err
			}
		}
	}
	for {
		if w.gap > 0 {
			if err := w.sendDue(w.now()); err != nil {
				return err
			}
		}
		if w.outstanding == 0 && w.finished(w.now()) && !w.backlog() {
			return nil
		}
		n, err := w.poll.wait(w.patience())
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for i := range n {
			index, readable, writable := w.poll.ready(i)
			c := w.conns[index]
			if writable && c.sent < len(c.out) {
				if err := w.flush(c); err != nil {
					return err
				}
			}
			if readable {
				if err := w.receive(c); err != nil {
					return err
				}
			}
		}
		if err := w.checkHealth(); err != nil {
			return err
		}
	}
}

// finished says that nothing more will be sent.
func (w *worker) finished(now int64) bool {
	if w.quota >= 0 {
		return w.quota == 0
	}
	return now >= w.until
}

// backlog says that an open loop still owes requests that were due in time.
func (w *worker) backlog() bool {
	return w.gap > 0 && w.until > 0 && w.dueAt(w.issued) < w.until
}

// patience is how long the next wait may last.
func (w *worker) patience() time.Duration {
	wait := waitMax
	if w.gap > 0 && w.outstanding < len(w.conns)*w.workload.Pipeline {
		wait = min(wait, max(0, time.Duration(max(w.dueAt(w.issued), w.holdUntil)-w.now())))
	}
	if w.until > 0 && w.outstanding == 0 {
		wait = min(wait, max(0, time.Duration(w.until-w.now())))
	}
	return wait
}

// checkHealth ends a run that was stopped or whose server fell silent.
func (w *worker) checkHealth() error {
	if w.stop.Load() {
		return errStopped
	}
	now := w.now()
	if w.outstanding == 0 {
		return nil
	}
	silence := time.Duration(now - w.lastReply)
	if silence > w.workload.Timeout {
		return fmt.Errorf("no reply for %v with %d requests outstanding", silence.Round(time.Millisecond), w.outstanding)
	}
	if w.until > 0 && time.Duration(now-w.until) > drainTimeout && silence > drainTimeout {
		return fmt.Errorf("%d requests still unanswered %v after the end", w.outstanding, drainTimeout)
	}
	return nil
}

// burst sends the next pipeline of a closed-loop connection.
func (w *worker) burst(c *conn, now int64) error {
	n := w.workload.Pipeline
	if w.quota >= 0 {
		n = int(min(int64(n), w.quota))
		w.quota -= int64(n)
	} else if now >= w.until {
		return nil
	}
	if n == 0 {
		return nil
	}
	out := c.out[:0]
	if c.kinds == nil {
		for range n {
			out = w.render(out, 0)
		}
	} else {
		c.head = 0
		for i := range n {
			op := w.choose()
			c.kinds[i] = uint8(op)
			out = w.render(out, op)
		}
	}
	c.out, c.sent = out, 0
	c.pending = n
	c.sentAt = now
	w.outstanding += n
	return w.flush(c)
}

func (w *worker) flush(c *conn) error {
	n, err := c.flush()
	if w.measuring {
		w.bytesOut += int64(n)
	}
	return err
}

// dueAt is the intended start of open-loop request i.
func (w *worker) dueAt(i int64) int64 { return w.start + int64(float64(i)*w.gap) }

// sendDue sends what an open loop owes at this time. What is due at once goes
// to one connection, as a burst, until its window is full; the next time
// begins with the next connection. So a generator that comes late makes up for
// it with fewer system calls. A request that finds no room keeps its due time,
// which follows from its number, so a stall costs no memory.
func (w *worker) sendDue(now int64) error {
	if w.until > 0 && now >= w.until+backlogGrace {
		w.abandon(now)
	}
	if now < w.holdUntil {
		return nil
	}
	limit := w.workload.Pipeline
	if limit > 1 {
		w.holdUntil = now + gather
	}
	for visited := 0; visited < len(w.conns) && w.owes(now); visited++ {
		c := w.conns[w.cursor]
		if w.cursor++; w.cursor == len(w.conns) {
			w.cursor = 0
		}
		if c.pending >= limit {
			continue
		}
		for c.pending < limit && w.owes(now) {
			at := c.head + c.pending
			if at >= limit {
				at -= limit
			}
			c.due[at] = w.dueAt(w.issued)
			op := 0
			if c.kinds != nil {
				op = w.choose()
				c.kinds[at] = uint8(op)
			}
			c.out = w.render(c.out, op)
			c.pending++
			w.outstanding++
			w.issued++
			if w.quota > 0 {
				w.quota--
			}
		}
		if err := w.flush(c); err != nil {
			return err
		}
	}
	return nil
}

// owes says that an open loop's next request is due.
func (w *worker) owes(now int64) bool {
	due := w.dueAt(w.issued)
	return due <= now && !w.finished(due)
}

// abandon counts what was due before the end and did not get out even within
// the grace after it. Each of these
// requests has waited at least until now, and the histogram must know.
func (w *worker) abandon(now int64) {
	for ; w.dueAt(w.issued) < w.until; w.issued++ {
		if due := w.dueAt(w.issued); due >= w.measureFrom {
			w.recorders[0].record(now-due, 1)
			w.unsent++
		}
	}
}

// receive reads what has arrived on a connection and accounts for the replies.
func (w *worker) receive(c *conn) error {
	for {
		room := len(w.buf) - len(c.rest)
		if room < len(w.buf)/2 && len(c.rest) > 0 {
			if len(w.buf) >= readBytesMax {
				return c.lost(errors.New("reply too long"))
			}
			w.buf = make([]byte, 2*len(w.buf))
			room = len(w.buf) - len(c.rest)
		}
		filled := copy(w.buf, c.rest)
		n, err := rawRead(c.fd, w.buf[filled:])
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return c.lost(err)
		case n == 0:
			return c.lost(nil)
		}
		if err := w.replied(c, w.buf[:filled+n], n); err != nil {
			return err
		}
		if n < room { // the socket is empty: the next arrival is a new edge
			return nil
		}
	}
}

// replied walks over the replies in data, of which the last fresh bytes are
// new, records them, and lets a closed loop go on.
func (w *worker) replied(c *conn, data []byte, fresh int) error {
	now := w.now()
	if !w.measuring && now >= w.measureFrom {
		w.measuring = true
		w.cpuFrom, w.cpuAt = readThreadTimes(), now
	}
	pos, count, errorCount := 0, 0, int64(0)
	for pos < len(data) {
		n, err := resp.SkipValue(data[pos:])
		if err != nil {
			return c.lost(fmt.Errorf("unreadable reply: %w", err))
		}
		if n == 0 {
			break
		}
		switch data[pos] {
		case '>': // a push belongs to no request
			pos += n
			continue
		case '-', '!':
			errorCount++
			w.noteError(data[pos : pos+n])
		}
		pos += n
		count++
	}
	c.rest = append(c.rest[:0], data[pos:]...)
	if count > c.pending {
		return c.lost(fmt.Errorf("%d replies to %d requests", count, c.pending))
	}
	if w.measuring {
		w.bytesIn += int64(fresh)
	}
	if count == 0 {
		return nil
	}
	w.lastReply = now
	if w.measuring {
		w.replies += int64(count)
		w.errors += errorCount
	}
	w.record(c, count, now)
	c.pending -= count
	w.outstanding -= count
	if c.pending == 0 && w.gap == 0 {
		return w.burst(c, now)
	}
	return nil
}

// record enters the first count outstanding requests of c into the histograms.
func (w *worker) record(c *conn, count int, now int64) {
	slowest := int64(0)
	switch {
	case w.gap > 0:
		for range count {
			op := 0
			if c.kinds != nil {
				op = int(c.kinds[c.head])
			}
			due := c.due[c.head]
			if due >= w.measureFrom {
				w.recorders[op].record(now-due, 1)
				slowest = max(slowest, now-due)
			}
			if c.head++; c.head == len(c.due) {
				c.head = 0
			}
		}
	case !w.measuring:
		c.head += count
	case c.kinds == nil:
		slowest = now - c.sentAt
		w.recorders[0].record(slowest, int64(count))
	default:
		slowest = now - c.sentAt
		clear(w.counts)
		for _, op := range c.kinds[c.head : c.head+count] {
			w.counts[op]++
		}
		c.head += count
		for op, n := range w.counts {
			if n > 0 {
				w.recorders[op].record(slowest, n)
			}
		}
	}
	if !w.measuring {
		return
	}
	i := int((now - w.measureFrom) / w.interval)
	for len(w.slots) <= i && len(w.slots) < slotsMax {
		w.slots = append(w.slots, slot{})
	}
	if i < len(w.slots) {
		w.slots[i].replies += int64(count)
		w.slots[i].latest = max(w.slots[i].latest, slowest)
	}
}

func (w *worker) noteError(reply []byte) {
	if !w.measuring {
		return
	}
	text := errorText(reply)
	if _, known := w.errorTexts[text]; !known && len(w.errorTexts) >= errorTextsMax {
		text = "(other errors)"
	}
	w.errorTexts[text]++
}

// account notes how busy this thread was while it measured.
func (w *worker) account() {
	elapsed := float64(w.now() - w.cpuAt)
	if elapsed <= 0 {
		return
	}
	times := readThreadTimes()
	w.busy = float64(times.cpu-w.cpuFrom.cpu) / elapsed
	w.wanted = w.busy + float64(times.queued-w.cpuFrom.queued)/elapsed
}
