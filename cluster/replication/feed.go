package replication

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync"
	"sync/atomic"

	"hyperkv/resp"
)

// A Feed is the stream of all that happens to the dataset, and the last part of it
// for replicas that come back. The bytes are in blocks, each of which leads to the next:
// a reader holds on to the block that it reads, so what it has not read stays, and what
// nobody needs goes.
//
//	backlog ──────────────►│
//	first ─► block ─► block ─► last          position: of the first byte that is to come
//	            ▲        ▲
//	          cursor   cursor
//
// Safe for concurrent use.
type Feed struct {
	// on says that effects are taken. It changes while nothing else happens.
	on atomic.Bool

	mu sync.Mutex
	// history names the stream. What lies before oldEnd was also the one called old,
	// as long as oldEnd is not negative.
	history, old string
	oldEnd       int64
	position     int64
	// relayed says that the stream is a primary's, to which nothing may be added here. It
	// changes while nothing else happens.
	relayed      bool
	first, last  *block // nil without a backlog
	backlogBytes int64
	database     int // that the stream is in, -1 when nobody knows
	scratch      []byte
	// changed is the position behind the last thing that has changed anything, asked
	// that behind the last question for acknowledgements.
	changed, asked int64
	// readers are woken when there is more.
	readers []*Replica
}

// block is a piece of the stream.
type block struct {
	start int64 // position of the first byte
	bytes []byte
	next  *block
}

const (
	// blockBytesMin and blockBytesMax are the room of a block, within which it is a
	// sixteenth of the backlog.
	blockBytesMin = 16 << 10
	blockBytesMax = 64 << 10
)

// noHistory is how Redis shows that there is no other history.
const noHistory = "0000000000000000000000000000000000000000"

// newHistory is a name that nobody else has.
func newHistory() string {
	var id [20]byte
	if _, err := rand.Read(id[:]); err != nil {
		panic("replication: no randomness: " + err.Error()) // the system is broken
	}
	return hex.EncodeToString(id[:])
}

func newFeed(history string, backlogBytes int64) *Feed {
	return &Feed{history: history, old: noHistory, oldEnd: -1, database: -1, backlogBytes: backlogBytes}
}

// Effect is something that has happened to the dataset.
type Effect struct {
	Database int
	Args     [][]byte
}

// Record adds what happened at once, if anybody listens. The caller holds the turns of
// the shards where it did. effect returns the effects one by one.
func (f *Feed) Record(count int, effect func(i int) (database int, args [][]byte)) {
	if !f.on.Load() || count == 0 {
		return
	}
	f.mu.Lock()
	b := f.scratch[:0]
	if count > 1 {
		b = append(b, "*1\r\n$5\r\nMULTI\r\n"...)
	}
	for i := range count {
		database, args := effect(i)
		if database != f.database {
			f.database = database
			b = appendSelect(b, database)
		}
		b = resp.AppendCommand(b, args...)
	}
	if count > 1 {
		b = append(b, "*1\r\n$4\r\nEXEC\r\n"...)
	}
	f.add(b)
	f.changed = f.position
	if cap(b) > blockBytesMax {
		b = nil
	}
	f.scratch = b
	f.mu.Unlock()
}

func appendSelect(b []byte, database int) []byte {
	digits := strconv.Itoa(database)
	b = append(b, "*2\r\n$6\r\nSELECT\r\n$"...)
	b = strconv.AppendInt(b, int64(len(digits)), 10)
	b = append(append(b, "\r\n"...), digits...)
	return append(b, "\r\n"...)
}

// Relay adds a piece of the primary's stream, behind which the stream is in the given
// database.
func (f *Feed) Relay(p []byte, database int) {
	f.mu.Lock()
	f.database = database
	f.add(p)
	f.changed = f.position
	f.mu.Unlock()
}

// add appends bytes. f.mu is held.
func (f *Feed) add(p []byte) {
	if f.last == nil {
		f.position += int64(len(p))
		return
	}
	for len(p) > 0 {
		room := cap(f.last.bytes) - len(f.last.bytes)
		if room == 0 {
			f.grow(f.room())
			continue
		}
		n := min(room, len(p))
		f.last.bytes = append(f.last.bytes, p[:n]...)
		f.position += int64(n)
		p = p[n:]
	}
	for _, r := range f.readers {
		r.wake()
	}
}

func (f *Feed) room() int {
	return int(min(max(f.backlogBytes/16, blockBytesMin), blockBytesMax))
}

// grow adds a block and lets go of those that the backlog does not need. f.mu is held.
func (f *Feed) grow(room int) {
	b := &block{start: f.position, bytes: make([]byte, 0, room)}
	f.last.next = b
	f.last = b
	f.trim()
	for _, r := range f.readers {
		r.link.Wake() // also those that do not read: they may have come to their limit
	}
}

func (f *Feed) trim() {
	for f.first.next != nil && f.position-f.first.next.start >= f.backlogBytes {
		f.first = f.first.next
	}
}

// open makes sure that there is a backlog. f.mu is held.
func (f *Feed) open() {
	if f.last == nil {
		f.first = &block{start: f.position, bytes: make([]byte, 0, f.room())}
		f.last = f.first
	}
}

// SetBacklog changes how much is kept for replicas that come back.
func (f *Feed) SetBacklog(bytes int64) {
	f.mu.Lock()
	f.backlogBytes = bytes
	if f.last != nil {
		f.trim()
	}
	f.mu.Unlock()
}

// Changed is the position that a replica has that knows of every change.
func (f *Feed) Changed() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// end is how long the stream is.
func (f *Feed) end() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position
}

// ask asks the replicas for acknowledgements, unless that was the last thing that was
// said.
func (f *Feed) ask() {
	f.mu.Lock()
	if f.last != nil && !f.relayed && f.asked != f.position {
		f.add([]byte("*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"))
		f.asked = f.position
	}
	f.mu.Unlock()
}

// ping lets the replicas know that the primary lives.
func (f *Feed) ping() {
	f.mu.Lock()
	if f.last != nil && !f.relayed {
		f.add([]byte("*1\r\n$4\r\nPING\r\n"))
	}
	f.mu.Unlock()
}

// A cursor is how far somebody has read. Guarded by the feed's mu.
type cursor struct {
	block    *block
	at       int
	position int64
}

// tail is a cursor at the end of the stream. f.mu is held.
func (f *Feed) tail() cursor {
	f.open()
	return cursor{block: f.last, at: len(f.last.bytes), position: f.position}
}

// seek is a cursor at a position that the backlog holds. f.mu is held.
func (f *Feed) seek(position int64) (c cursor, ok bool) {
	if f.first == nil || position < f.first.start || position > f.position {
		return c, false
	}
	for b := f.first; b != nil; b = b.next {
		if at := position - b.start; at <= int64(len(b.bytes)) {
			return cursor{block: b, at: int(at), position: position}, true
		}
	}
	return c, false
}

// next returns what comes at a cursor, at most n bytes, which stay as they are.
func (f *Feed) next(c *cursor, n int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.at == len(c.block.bytes) && c.block.next != nil {
		c.block, c.at = c.block.next, 0
	}
	p := c.block.bytes[c.at:]
	if len(p) > n {
		p = p[:n]
	}
	c.at += len(p)
	c.position += int64(len(p))
	return p
}

// rename gives the stream a new name from here on. What was so far keeps the old one,
// too. f.mu is held.
func (f *Feed) rename(history string) {
	f.old, f.oldEnd = f.history, f.position
	f.history = history
	f.database = -1
}

// begin begins the stream anew, as somebody else's that has come to a position.
func (f *Feed) begin(history string, position int64, database int) {
	f.mu.Lock()
	f.history, f.old, f.oldEnd = history, noHistory, -1
	f.position, f.changed, f.asked, f.database = position, position, 0, database
	f.first, f.last = nil, nil
	f.open()
	f.mu.Unlock()
}

// abandon begins the stream anew, as one that nobody has: the dataset is about to be something
// else, and who knows what if that is interrupted.
func (f *Feed) abandon() {
	f.begin(newHistory(), 0, -1)
	f.mu.Lock()
	f.first, f.last = nil, nil
	f.mu.Unlock()
}

// continued says whether somebody who has a history up to a position can go on with
// this stream. f.mu is held.
func (f *Feed) continued(history string, position int64) bool {
	return history == f.history || history == f.old && f.oldEnd >= 0 && position <= f.oldEnd
}
