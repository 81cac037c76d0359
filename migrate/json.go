package migrate

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"hyperkv/internal/rdb"
)

// JSON is a Target that writes a line for each key, an object of
//
//	database    number
//	key         text
//	type        "string", "list", "set", "zset", "hash" or "stream"
//	expires_at  when the key expires, in milliseconds since 1970; missing if it does not
//	idle        for how many seconds it was not used; missing if that is not known
//	frequency   how often it was used, as OBJECT FREQ; missing if that is not known
//	value       text │ [text, …] │ [member, …] │ [[member, score], …] │ [[field, value], …] │ object
//
// and one for each library: {"library": text}. A text is a string, or {"base64": string} if
// it is not UTF-8. A score is a number, or "inf" or "-inf". A field that expires is [field,
// value, expires_at], and such a member of a set [member, expires_at]. A stream is
//
//	{"entries": [[id, [field, value, …]], …], "last_id": id, "max_deleted_id": id,
//	 "entries_added": number, "groups": [{"name": text, "last_id": id, "entries_read": number,
//	   "consumers": [{"name": text, "seen_at": millis, "active_at": millis}, …],
//	   "pending": [[id, consumer, delivered_at, deliveries], …]}, …]}
//
// where consumer is the place of one in consumers, entries_read is missing if it is not known,
// and active_at if the consumer never got anything.
type JSON struct {
	out  *bufio.Writer
	line lineWriter
}

// NewJSON writes to out.
func NewJSON(out io.Writer) *JSON {
	t := &JSON{out: bufio.NewWriterSize(out, writeBytes)}
	t.line.out = t.out
	return t
}

var typeNames = map[rdb.Kind]string{
	rdb.String: "string", rdb.List: "list", rdb.Set: "set", rdb.ZSet: "zset", rdb.Hash: "hash", rdb.Stream: "stream",
}

// Key implements Target.
func (t *JSON) Key(k *rdb.Key, raw []byte) error {
	l := &t.line
	l.reset(k.Type)
	l.plain(`{"database":`)
	l.number(int64(k.Database))
	l.plain(`,"key":`)
	l.text(k.Name)
	l.plain(`,"type":"` + typeNames[l.kind] + `"`)
	if k.Deadline != 0 {
		l.plain(`,"expires_at":`)
		l.number(k.Deadline)
	}
	if k.Idle >= 0 {
		l.plain(`,"idle":`)
		l.number(k.Idle)
	}
	if k.Frequency >= 0 {
		l.plain(`,"frequency":`)
		l.number(int64(k.Frequency))
	}
	l.plain(`,"value":`)
	if err := rdb.RawPayload(k.Type, raw).Visit(l); err != nil {
		return fmt.Errorf("the key %.64q: %w", k.Name, err)
	}
	l.end()
	l.plain("}\n")
	return l.err
}

// Library implements Target.
func (t *JSON) Library(source []byte) error {
	t.line.plain(`{"library":`)
	t.line.text(source)
	t.line.plain("}\n")
	return t.line.err
}

// End implements Target.
func (t *JSON) End() error { return t.out.Flush() }

// lineWriter is the rdb.Visitor that writes a value as JSON.
type lineWriter struct {
	out     *bufio.Writer
	err     error // of out, the first
	scratch []byte

	kind  rdb.Kind
	count int // of elements so far
	// groups are those of a stream so far, and inner what was written of the part of one
	// that is open.
	groups, inner int
	open          groupPart
}

// A groupPart is the list of a group that is being written.
type groupPart int

const (
	noGroup groupPart = iota
	ofConsumers
	ofPending
)

func (l *lineWriter) reset(t rdb.Type) {
	l.kind, l.count, l.groups, l.open = t.Kind(), 0, 0, noGroup
}

func (l *lineWriter) plain(s string) {
	if _, err := l.out.WriteString(s); err != nil && l.err == nil {
		l.err = err
	}
}

func (l *lineWriter) write(b []byte) {
	if _, err := l.out.Write(b); err != nil && l.err == nil {
		l.err = err
	}
}

func (l *lineWriter) number(n int64) {
	l.scratch = strconv.AppendInt(l.scratch[:0], n, 10)
	l.write(l.scratch)
}

// text writes a text.
func (l *lineWriter) text(b []byte) {
	if !utf8.Valid(b) {
		l.plain(`{"base64":"`)
		l.scratch = base64.StdEncoding.AppendEncode(l.scratch[:0], b)
		l.write(l.scratch)
		l.plain(`"}`)
		return
	}
	l.scratch = appendJSON(l.scratch[:0], b)
	l.write(l.scratch)
}

// appendJSON appends UTF-8 as a JSON string.
func appendJSON(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// element begins the next element.
func (l *lineWriter) element(first, next string) {
	if l.count == 0 {
		l.plain(first)
	} else {
		l.plain(next)
	}
	l.count++
}

func (l *lineWriter) end() {
	switch l.kind {
	case rdb.String:
	case rdb.Stream:
		l.endGroup()
		if l.groups == 0 {
			l.plain("[")
		}
		l.plain("]}")
	default:
		l.plain("]")
	}
}

func (l *lineWriter) String(text []byte) error {
	l.text(text)
	return l.err
}

func (l *lineWriter) ListElement(text []byte) error {
	l.element("[", ",")
	l.text(text)
	return l.err
}

func (l *lineWriter) SetMember(member []byte, deadline int64) error {
	if deadline == 0 {
		return l.ListElement(member)
	}
	l.element("[[", ",[")
	l.text(member)
	l.plain(",")
	l.number(deadline)
	l.plain("]")
	return l.err
}

func (l *lineWriter) ZSetMember(member []byte, score float64) error {
	l.element("[[", ",[")
	l.text(member)
	quote := ""
	if math.IsInf(score, 0) {
		quote = `"`
	}
	l.plain("," + quote)
	l.scratch = appendScore(l.scratch[:0], score)
	l.write(l.scratch)
	l.plain(quote + "]")
	return l.err
}

func (l *lineWriter) HashField(field, value []byte, deadline int64) error {
	l.element("[[", ",[")
	l.text(field)
	l.plain(",")
	l.text(value)
	if deadline != 0 {
		l.plain(",")
		l.number(deadline)
	}
	l.plain("]")
	return l.err
}

func (l *lineWriter) id(id rdb.StreamID) {
	l.scratch = append(l.scratch[:0], '"')
	l.scratch = strconv.AppendUint(l.scratch, id.Ms, 10)
	l.scratch = strconv.AppendUint(append(l.scratch, '-'), id.Seq, 10)
	l.write(append(l.scratch, '"'))
}

func (l *lineWriter) StreamEntry(id rdb.StreamID, fields [][]byte) error {
	l.element(`{"entries":[[`, ",[")
	l.id(id)
	for i, text := range fields {
		if i == 0 {
			l.plain(",[")
		} else {
			l.plain(",")
		}
		l.text(text)
	}
	l.plain("]]")
	return l.err
}

func (l *lineWriter) StreamState(s rdb.StreamState) error {
	if l.count == 0 {
		l.plain(`{"entries":[`)
	}
	l.plain(`],"last_id":`)
	l.id(s.Last)
	l.plain(`,"max_deleted_id":`)
	l.id(s.MaxDeleted)
	l.plain(`,"entries_added":`)
	l.number(s.Added)
	l.plain(`,"groups":`)
	return l.err
}

func (l *lineWriter) StreamGroup(g rdb.StreamGroup) error {
	l.endGroup()
	begin := `,{"name":`
	if l.groups == 0 {
		begin = `[{"name":`
	}
	l.groups, l.inner, l.open = l.groups+1, 0, ofConsumers
	l.plain(begin)
	l.text(g.Name)
	l.plain(`,"last_id":`)
	l.id(g.Last)
	if g.Read >= 0 {
		l.plain(`,"entries_read":`)
		l.number(g.Read)
	}
	l.plain(`,"consumers":[`)
	return l.err
}

// comma stands before all but the first of an open list.
func (l *lineWriter) comma() {
	if l.inner > 0 {
		l.plain(",")
	}
	l.inner++
}

func (l *lineWriter) StreamConsumer(c rdb.StreamConsumer) error {
	l.comma()
	l.plain(`{"name":`)
	l.text(c.Name)
	l.plain(`,"seen_at":`)
	l.number(c.Seen)
	if c.Active >= 0 {
		l.plain(`,"active_at":`)
		l.number(c.Active)
	}
	l.plain("}")
	return l.err
}

func (l *lineWriter) StreamPending(p rdb.StreamPending) error {
	if l.open == ofConsumers {
		l.plain(`],"pending":[`)
		l.inner, l.open = 0, ofPending
	}
	l.comma()
	l.plain("[")
	l.id(p.ID)
	for _, n := range []int64{int64(p.Consumer), p.Delivered, p.Count} {
		l.plain(",")
		l.number(n)
	}
	l.plain("]")
	return l.err
}

func (l *lineWriter) endGroup() {
	switch l.open {
	case ofConsumers:
		l.plain(`],"pending":[]}`)
	case ofPending:
		l.plain("]}")
	}
	l.open = noGroup
}
