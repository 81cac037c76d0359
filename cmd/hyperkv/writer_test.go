package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// writer is a client that knows what it was promised. Each kind of write has a
// counter: how often it was sent, and how often the reply came. Owned by one goroutine.
type writer struct {
	name        string
	sent, acked [writerKinds]int
	queue       queue
	bag         bag
	brief       brief
	deadline    deadline
	wrong       error // a reply that cannot be
}

const (
	writeIncr = iota
	writePush
	writeHash
	writeScore
	writeEntry
	writeTransaction // over two shards, as a rule
	writeSeveral
	writeOffer // at the end of a queue
	writeTake  // from its beginning
	writePut   // into a bag
	writeDraw  // chance says what
	writeBrief // a counter that may have ended
	writeEnd   // of that counter, soon
	writeDeadline
	writeFleeting // a key that does not stay
	writerKinds
)

// command is the n-th write of a kind.
func (w *writer) command(kind, n int) []string {
	number := strconv.Itoa(n)
	switch kind {
	case writeIncr:
		return []string{"INCR", w.name + ":counter"}
	case writePush:
		return []string{"RPUSH", w.name + ":list", number}
	case writeHash:
		return []string{"HINCRBY", w.name + ":hash", "field", "1"}
	case writeScore:
		return []string{"ZINCRBY", w.name + ":zset", "1", "member"}
	case writeEntry:
		return []string{"XADD", w.name + ":stream", "*", "n", number}
	case writeSeveral:
		return []string{"MSET", w.name + ":left", number, w.name + ":right", number}
	case writeOffer:
		return []string{"RPUSH", w.name + ":queue", number}
	case writeTake:
		return []string{"LPOP", w.name + ":queue"}
	case writePut:
		return []string{"SADD", w.name + ":bag", number}
	case writeDraw:
		return []string{"SPOP", w.name + ":bag"}
	case writeBrief:
		return []string{"INCR", w.name + ":brief"}
	case writeEnd:
		return []string{"PEXPIRE", w.name + ":brief", "2"}
	case writeDeadline:
		return []string{"EXPIRE", w.name + ":mortal", strconv.FormatInt(int64(lifetime(n)/time.Second), 10)}
	case writeFleeting:
		return []string{"SET", w.name + ":fleeting", number, "PX", strconv.FormatInt(fleetingFor.Milliseconds(), 10)}
	}
	return []string{"EXEC"}
}

const fleetingFor = 20 * time.Millisecond

// write sends bursts until the connection breaks, or a write is refused.
func (w *writer) write(c *testkit.Conn, seed uint64) {
	defer func() { w.deadline.ended = time.Now() }()
	if _, err := c.Do("SETNX", w.name+":mortal", "x"); err != nil {
		return
	}
	r := rand.New(rand.NewPCG(seed, 3))
	for {
		var burst []int
		for range 1 + r.IntN(8) {
			kind := r.IntN(writerKinds)
			if kind == writeTransaction {
				for _, line := range [][]string{{"MULTI"}, {"INCR", w.name + ":from"}, {"INCR", w.name + ":to"}} {
					if c.Send(line...) != nil {
						return
					}
				}
			}
			w.sent[kind]++
			w.note(kind, w.sent[kind])
			if c.Send(w.command(kind, w.sent[kind])...) != nil {
				return
			}
			burst = append(burst, kind)
		}
		for _, kind := range burst {
			var v resp.Value
			replies := 1
			if kind == writeTransaction {
				replies = 4
			}
			for range replies {
				var err error
				if v, err = c.Receive(10 * time.Second); err != nil || v.Err() != nil {
					return
				}
			}
			w.acked[kind]++
			if err := w.learn(kind, v); err != nil {
				w.wrong = fmt.Errorf("%s: %w", w.name, err)
				return
			}
		}
	}
}

// note keeps that a write is under way.
func (w *writer) note(kind, n int) {
	switch kind {
	case writeOffer:
		w.queue.offers = append(w.queue.offers, n)
	case writeTake:
		w.queue.takes++
	case writePut:
		w.bag.puts = append(w.bag.puts, n)
	case writeDraw:
		w.bag.draws++
	case writeBrief:
		w.brief.incrs++
	case writeEnd:
		w.brief.ends++
	}
}

// learn keeps what a reply says.
func (w *writer) learn(kind int, v resp.Value) error {
	switch kind {
	case writeOffer:
		w.queue.there = append(w.queue.there, w.queue.offers[0])
		w.queue.offers = w.queue.offers[1:]
	case writeTake:
		return w.queue.taken(v)
	case writePut:
		w.bag.there = append(w.bag.there, w.bag.puts[0])
		w.bag.puts = w.bag.puts[1:]
	case writeDraw:
		return w.bag.drawn(v)
	case writeBrief:
		return w.brief.counted(int(v.Int))
	case writeEnd:
		w.brief.ends--
		w.brief.ending = w.brief.ending || v.Int == 1
	}
	return nil
}

// queue is a list from which the oldest number is taken.
type queue struct {
	there  []int
	offers []int // sent, in this order
	takes  int   // sent
}

func (q *queue) taken(v resp.Value) error {
	q.takes--
	if got, there := numbers(v), q.there; len(there) > 0 {
		q.there = there[1:]
		if !slices.Equal(got, there[:1]) {
			return fmt.Errorf("%v was taken from the queue %v", got, there)
		}
	} else if len(got) > 0 {
		return fmt.Errorf("%v was taken from an empty queue", got)
	}
	return nil
}

// recovered holds what is there against what may be.
func (q *queue) recovered(got []int) error {
	all := slices.Concat(q.there, q.offers)
	from := len(q.there) // if it is empty
	if len(got) > 0 {
		from = max(slices.Index(all, got[0]), 0)
	}
	if end := from + len(got); end < len(q.there) || end > len(all) || from > q.takes || !slices.Equal(got, all[from:end]) {
		return fmt.Errorf("the queue is %v, and was %v when %v were offered and %d taken", got, q.there, q.offers, q.takes)
	}
	*q = queue{there: got}
	return nil
}

// bag is a set from which any number is taken.
type bag struct {
	there []int
	puts  []int // sent, in this order
	draws int   // sent
}

func (b *bag) drawn(v resp.Value) error {
	b.draws--
	got := numbers(v)
	if len(got) == 0 && len(b.there) == 0 {
		return nil
	}
	for i, n := range b.there {
		if len(got) == 1 && got[0] == n {
			b.there = slices.Delete(b.there, i, i+1)
			return nil
		}
	}
	return fmt.Errorf("%v was drawn from the bag %v", got, b.there)
}

func (b *bag) recovered(got []int) error {
	missing := 0
	for _, n := range b.there {
		if !slices.Contains(got, n) {
			missing++
		}
	}
	for _, n := range got {
		if !slices.Contains(b.there, n) && !slices.Contains(b.puts, n) {
			return fmt.Errorf("the bag holds %d, which was drawn from it", n)
		}
	}
	if missing > b.draws {
		return fmt.Errorf("the bag is %v, and was %v when %v were put and %d drawn", got, b.there, b.puts, b.draws)
	}
	*b = bag{there: got}
	return nil
}

// brief is a counter that ends now and then, and begins anew.
type brief struct {
	value       int
	ending      bool // it has a deadline, as far as is known
	incrs, ends int  // sent
}

func (b *brief) counted(value int) error {
	b.incrs--
	if value == b.value+1 {
		b.value = value
		return nil
	}
	if value != 1 || !b.ending {
		return fmt.Errorf("a counter went from %d to %d", b.value, value)
	}
	b.value, b.ending = 1, false
	return nil
}

func (b *brief) recovered(got int) error {
	// With a deadline, or one under way, it may have ended.
	if ended := got <= b.incrs && (b.ending || b.ends > 0); !ended && (got < b.value || got > b.value+b.incrs) {
		return fmt.Errorf("a counter is %d, and was %d when %d more were sent", got, b.value, b.incrs)
	}
	*b = brief{value: got}
	return nil
}

// deadline is that of a key, which each write makes later.
type deadline struct {
	began, ended time.Time // the first life, and the last
}

// lifetime is what the n-th write says; lives last less than the steps.
func lifetime(n int) time.Duration { return time.Duration(1_000_000+10_000*n) * time.Second }

// recovered says which write a deadline comes from.
func (d *deadline) recovered(at time.Time) (n int, err error) {
	if at.IsZero() {
		return 0, nil
	}
	n = int((at.Sub(d.began) - lifetime(0)) / (lifetime(1) - lifetime(0)))
	written := at.Add(-lifetime(n))
	if written.Before(d.began.Add(-time.Millisecond)) || written.After(d.ended) {
		return n, fmt.Errorf("a deadline was set at %v, and the lives before this one went from %v to %v", written, d.began, d.ended)
	}
	return n, nil
}

// numbers are those of a reply.
func numbers(v resp.Value) (all []int) {
	for _, e := range v.Elems {
		all = append(all, numbers(e)...)
	}
	if n, err := strconv.Atoi(v.Text()); err == nil {
		all = append(all, n)
	}
	return all
}

// check holds what is there against what was promised, and starts anew from that.
func (w *writer) check(t *testing.T, c *testkit.Conn) {
	t.Helper()
	if w.wrong != nil {
		t.Error(w.wrong)
	}
	do := func(line ...string) []int {
		t.Helper()
		v, err := c.Do(line...)
		if err != nil || v.Err() != nil {
			t.Fatalf("%q: %v %v", line, v, err)
		}
		return numbers(v)
	}
	number := func(line ...string) int {
		t.Helper()
		if all := do(line...); len(all) > 0 {
			return all[0]
		}
		return 0
	}
	within := func(what string, kind, n int) {
		t.Helper()
		if n < w.acked[kind] || n > w.sent[kind] {
			t.Errorf("%s %s: %d, of %d that were acknowledged and %d that were sent", w.name, what, n, w.acked[kind], w.sent[kind])
		}
		w.acked[kind], w.sent[kind] = n, n
	}
	holds := func(err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", w.name, err)
		}
	}
	within("counter", writeIncr, number("GET", w.name+":counter"))
	within("hash", writeHash, number("HGET", w.name+":hash", "field"))
	within("sorted set", writeScore, number("ZSCORE", w.name+":zset", "member"))
	within("stream", writeEntry, number("XLEN", w.name+":stream"))
	within("list", writePush, number("LLEN", w.name+":list"))
	if n := w.acked[writePush]; n > 0 && number("LINDEX", w.name+":list", "-1") != n {
		t.Errorf("%s list: the last of %d elements is %d", w.name, n, number("LINDEX", w.name+":list", "-1"))
	}
	within("transaction", writeTransaction, number("GET", w.name+":from"))
	if from, to := w.acked[writeTransaction], number("GET", w.name+":to"); from != to {
		t.Errorf("%s transaction: %d on one side, %d on the other", w.name, from, to)
	}
	within("MSET", writeSeveral, number("GET", w.name+":left"))
	if left, right := w.acked[writeSeveral], number("GET", w.name+":right"); left != right {
		t.Errorf("%s MSET: %d on one side, %d on the other", w.name, left, right)
	}
	holds(w.queue.recovered(do("LRANGE", w.name+":queue", "0", "-1")))
	holds(w.bag.recovered(do("SMEMBERS", w.name+":bag")))
	do("PERSIST", w.name+":brief")
	holds(w.brief.recovered(number("GET", w.name+":brief")))
	time.Sleep(time.Until(w.deadline.ended.Add(fleetingFor + time.Millisecond)))
	if number("EXISTS", w.name+":fleeting") != 0 {
		t.Errorf("%s: a key has come back after its deadline", w.name)
	}
	at := time.Time{}
	if millis := number("PEXPIRETIME", w.name+":mortal"); millis > 0 {
		at = time.UnixMilli(int64(millis))
	}
	n, err := w.deadline.recovered(at)
	holds(err)
	within("deadline", writeDeadline, n)
}
