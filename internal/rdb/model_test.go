package rdb

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A model is a value as the tests think of it.
type model struct {
	kind    Kind
	texts   []string // a string; elements; members; fields and values in turn
	scores  []float64
	times   []int64 // deadlines of fields
	entries []modelEntry
	state   StreamState
	groups  []modelGroup
}

type modelEntry struct {
	id     StreamID
	fields []string
}

type modelGroup struct {
	name      string
	last      StreamID
	read      int64
	consumers []modelConsumer
	pending   []StreamPending
}

type modelConsumer struct {
	name         string
	seen, active int64
}

// A collector is the Visitor that makes a model of what it is shown.
type collector struct{ model }

func (c *collector) String(text []byte) error {
	c.kind, c.texts = String, append(c.texts, string(text))
	return nil
}

func (c *collector) ListElement(text []byte) error {
	c.kind, c.texts = List, append(c.texts, string(text))
	return nil
}

func (c *collector) SetMember(member []byte, deadline int64) error {
	c.kind, c.texts = Set, append(c.texts, string(member))
	if deadline != 0 {
		c.times = append(c.times, deadline)
	}
	return nil
}

func (c *collector) ZSetMember(member []byte, score float64) error {
	c.kind, c.texts, c.scores = ZSet, append(c.texts, string(member)), append(c.scores, score)
	return nil
}

func (c *collector) HashField(field, value []byte, deadline int64) error {
	c.kind, c.texts, c.times = Hash, append(c.texts, string(field), string(value)), append(c.times, deadline)
	return nil
}

func (c *collector) StreamEntry(id StreamID, fields [][]byte) error {
	e := modelEntry{id: id}
	for _, text := range fields {
		e.fields = append(e.fields, string(text))
	}
	c.entries = append(c.entries, e)
	return nil
}

func (c *collector) StreamState(s StreamState) error {
	c.kind, c.state = Stream, s
	return nil
}

func (c *collector) StreamGroup(g StreamGroup) error {
	c.groups = append(c.groups, modelGroup{name: string(g.Name), last: g.Last, read: g.Read})
	return nil
}

func (c *collector) StreamConsumer(s StreamConsumer) error {
	g := &c.groups[len(c.groups)-1]
	g.consumers = append(g.consumers, modelConsumer{string(s.Name), s.Seen, s.Active})
	return nil
}

func (c *collector) StreamPending(p StreamPending) error {
	g := &c.groups[len(c.groups)-1]
	g.pending = append(g.pending, p)
	return nil
}

func (m model) String() string {
	return fmt.Sprintf("%d %q %v %v %+v %+v %+v", m.kind, m.texts, m.scores, m.times, m.entries, m.state, m.groups)
}

// read reads a payload into a model.
func read(payload []byte) (model, error) {
	p, err := OpenPayload(payload)
	if err != nil {
		return model{}, err
	}
	var c collector
	r := NewBytesReader(p.body)
	err = r.Value(p.Type, &c)
	if err == nil && r.Offset() != int64(len(p.body)) {
		err = fmt.Errorf("%d bytes of %d were read", r.Offset(), len(p.body))
	}
	return c.model, err
}

func check(payload []byte) error {
	p, err := OpenPayload(payload)
	if err == nil {
		err = NewChecker().Check(p)
	}
	return err
}

// write writes a model with the Writer.
func write(w *Writer, m model) {
	switch m.kind {
	case String:
		w.Type(TypeString)
		w.Text([]byte(m.texts[0]))
	case List:
		l := w.List()
		for _, text := range m.texts {
			l.Count(len(text))
		}
		for _, text := range m.texts {
			l.Element([]byte(text))
		}
		l.End()
	case Set:
		if ints, ok := ascending(m.texts); ok {
			w.Intset(ints)
			return
		}
		writeTexts(w, TypeSet, m)
	case ZSet:
		if len(m.texts) <= 128 {
			w.Type(TypeZSetListpack)
			var l Listpack
			l.Reset()
			for i, text := range m.texts {
				l.Text([]byte(text))
				l.Score(m.scores[i])
			}
			w.Packed(&l)
			return
		}
		w.Type(TypeZSet2)
		w.Length(uint64(len(m.texts)))
		for i, text := range m.texts {
			w.Text([]byte(text))
			w.Double(m.scores[i])
		}
	case Hash:
		writeHash(w, m)
	case Stream:
		writeStream(w, m)
	}
}

func writeTexts(w *Writer, t Type, m model) {
	w.Type(t)
	w.Length(uint64(len(m.texts)))
	for _, text := range m.texts {
		w.Text([]byte(text))
	}
}

func writeHash(w *Writer, m model) {
	first := int64(math.MaxInt64)
	for _, at := range m.times {
		if at != 0 {
			first = min(first, at)
		}
	}
	switch {
	case first != math.MaxInt64:
		w.Type(TypeHashMetadata)
		w.Millis(first)
		w.Length(uint64(len(m.times)))
		for i, at := range m.times {
			w.FieldDeadline(first, at)
			w.Text([]byte(m.texts[2*i]))
			w.Text([]byte(m.texts[2*i+1]))
		}
	case len(m.times) <= 128:
		w.Type(TypeHashListpack)
		var l Listpack
		l.Reset()
		for _, text := range m.texts {
			l.Text([]byte(text))
		}
		w.Packed(&l)
	default:
		w.Type(TypeHash)
		w.Length(uint64(len(m.times)))
		for _, text := range m.texts {
			w.Text([]byte(text))
		}
	}
}

func writeStream(w *Writer, m model) {
	s := w.Stream()
	fields := func(e modelEntry) (all [][]byte) {
		for _, text := range e.fields {
			all = append(all, []byte(text))
		}
		return all
	}
	for _, e := range m.entries {
		s.Count(fields(e))
	}
	for _, e := range m.entries {
		s.Entry(e.id, fields(e))
	}
	s.State(m.state, len(m.groups))
	for _, g := range m.groups {
		var consumers []StreamConsumer
		for _, c := range g.consumers {
			consumers = append(consumers, StreamConsumer{[]byte(c.name), c.seen, c.active})
		}
		s.Group(StreamGroup{[]byte(g.name), g.last, g.read}, consumers, g.pending)
	}
}

func ascending(texts []string) (all []int64, ok bool) {
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != text || i > 0 && n <= all[i-1] {
			return nil, false
		}
		all = append(all, n)
	}
	return all, len(all) > 0
}

// randomText is a text of any kind that is treated in a way of its own somewhere.
func randomText(r *rand.Rand) string {
	switch r.IntN(9) {
	case 0:
		return ""
	case 1:
		return strconv.FormatInt(int64(r.Uint64())>>r.IntN(64), 10)
	case 2:
		edges := []int64{0, 127, 128, -1, -128, -129, 4095, 4096, -4096, -4097, 32767, 32768, -32768, -32769,
			1<<23 - 1, 1 << 23, -1 << 23, -1<<23 - 1, math.MaxInt32, math.MaxInt32 + 1, math.MinInt32, math.MinInt32 - 1,
			math.MaxInt64, math.MinInt64, 12, 13}
		return strconv.FormatInt(edges[r.IntN(len(edges))], 10)
	case 3:
		return []string{"+1", "01", "-0", " 1", "1 ", "9223372036854775808", "1.5", "nan", "\x00", "-"}[r.IntN(10)]
	case 4:
		return strings.Repeat("abc", r.IntN(200))
	case 5:
		n := []int{5, 20, 21, 62, 63, 64, 65, 127, 128, 4095, 4096, 16383, 16384}[r.IntN(9+r.IntN(5))]
		return randomBytes(r, n)
	case 6:
		return strings.Repeat(randomBytes(r, 1+r.IntN(40)), r.IntN(20))
	default:
		return randomBytes(r, r.IntN(12))
	}
}

func randomBytes(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func randomModel(r *rand.Rand) model {
	m := model{kind: Kind(1 + r.IntN(6))}
	count := 1 + r.IntN(1<<r.IntN(9))
	switch m.kind {
	case String:
		m.texts = []string{randomText(r)}
	case List:
		for range count {
			m.texts = append(m.texts, randomText(r))
		}
		if r.IntN(4) == 0 {
			m.texts[r.IntN(count)] = strings.Repeat("x", 20_000)
		}
	case Set:
		if r.IntN(3) == 0 {
			n, spread := -int64(r.Uint64()>>(1+r.IntN(63))), uint(r.IntN(40))
			for range count {
				m.texts = append(m.texts, strconv.FormatInt(n, 10))
				n += 1 + r.Int64N(1<<spread)
			}
			break
		}
		m.texts = distinct(r, count)
	case ZSet:
		m.texts = distinct(r, count)
		for range m.texts {
			m.scores = append(m.scores, []float64{0, 1, -1, 0.1, 1e300, -1e-300, math.Inf(1), math.Inf(-1), 1 << 52, 1 << 53, 1 << 60,
				math.MaxFloat64, math.SmallestNonzeroFloat64, r.NormFloat64()}[r.IntN(14)])
		}
	case Hash:
		withTimes := r.IntN(2) == 0
		for _, text := range distinct(r, count) {
			m.texts = append(m.texts, text, randomText(r))
			at := int64(0)
			if withTimes && r.IntN(2) == 0 {
				at = 1 + r.Int64N(deadlineMax)
			}
			m.times = append(m.times, at)
		}
	case Stream:
		randomStream(r, &m, r.IntN(1<<r.IntN(10)))
	}
	return m
}

func distinct(r *rand.Rand, count int) (all []string) {
	seen := map[string]bool{}
	for range count {
		if text := randomText(r); !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}

func randomStream(r *rand.Rand, m *model, count int) {
	id := StreamID{Ms: r.Uint64N(3), Seq: 1}
	names := []string{"a", "b", "12", ""}
	for range count {
		e := modelEntry{id: id}
		for range 1 + r.IntN(3) {
			name := names[0]
			if r.IntN(8) == 0 {
				name = names[r.IntN(4)]
			}
			e.fields = append(e.fields, name, randomText(r))
		}
		m.entries = append(m.entries, e)
		if r.IntN(2) == 0 {
			id.Seq += 1 + r.Uint64N(5)
		} else {
			id = StreamID{id.Ms + 1 + r.Uint64N(1<<r.IntN(40)), r.Uint64N(4)}
		}
	}
	m.state = StreamState{Last: id, MaxDeleted: StreamID{r.Uint64N(9), r.Uint64N(9)}, Added: int64(count) + r.Int64N(5)}
	for i := range r.IntN(3) {
		g := modelGroup{name: fmt.Sprint("group", i), last: id, read: r.Int64N(100) - 1}
		for j := range r.IntN(4) {
			g.consumers = append(g.consumers, modelConsumer{fmt.Sprint(j), 1_700_000_000_000 + r.Int64N(1000), -1})
		}
		if len(g.consumers) > 0 {
			for k := range r.IntN(200) {
				g.pending = append(g.pending, StreamPending{StreamID{uint64(k), r.Uint64N(9)}, r.IntN(len(g.consumers)), r.Int64N(1000), r.Int64N(9)})
			}
		}
		m.groups = append(m.groups, g)
	}
}

// The forms that the Writer does not write, because they are those of old versions.

// ziplistOf packs texts as Redis 2 to 6 did; integers in each of their forms.
func ziplistOf(texts ...string) []byte {
	b := make([]byte, ziplistHeader)
	last, previous := 0, 0
	for _, text := range texts {
		last = len(b)
		if previous < ziplistBigPrevious {
			b = append(b, byte(previous))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, ziplistBigPrevious), uint32(previous))
		}
		n, ok := parseInt([]byte(text))
		switch {
		case ok && n >= 0 && n <= 12:
			b = append(b, ziplistSmallInt+byte(n))
		case ok && n == int64(int8(n)):
			b = append(b, ziplist8BitInt, byte(n))
		case ok && n == int64(int16(n)):
			b = append(b, ziplist16BitInt, byte(n), byte(n>>8))
		case ok && n >= -1<<23 && n < 1<<23:
			b = append(b, ziplist24BitInt, byte(n), byte(n>>8), byte(n>>16))
		case ok && n == int64(int32(n)):
			b = binary.LittleEndian.AppendUint32(append(b, ziplist32BitInt), uint32(n))
		case ok:
			b = binary.LittleEndian.AppendUint64(append(b, ziplist64BitInt), uint64(n))
		case len(text) < 1<<6:
			b = append(append(b, byte(len(text))), text...)
		case len(text) < 1<<14:
			b = append(append(b, ziplist14BitText|byte(len(text)>>8), byte(len(text))), text...)
		default:
			b = append(binary.BigEndian.AppendUint32(append(b, ziplist32BitText), uint32(len(text))), text...)
		}
		previous = len(b) - last
	}
	if last == 0 {
		last = ziplistHeader
	}
	b = append(b, packedEnd)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], uint32(last))
	binary.LittleEndian.PutUint16(b[8:], uint16(len(texts)))
	return b
}

// zipmapOf packs fields and values as Redis 2.4 did, with some bytes unused.
func zipmapOf(texts ...string) []byte {
	b := []byte{byte(min(len(texts)/2, zipmapCountUnknown))}
	for i, text := range texts {
		if len(text) < zipmapBigLength {
			b = append(b, byte(len(text)))
		} else {
			b = binary.LittleEndian.AppendUint32(append(b, zipmapBigLength), uint32(len(text)))
		}
		if i%2 == 1 {
			b = append(append(append(b, 3), text...), "xyz"...)
		} else {
			b = append(b, text...)
		}
	}
	return append(b, packedEnd)
}

func listpackOf(texts ...string) *Listpack {
	l := &Listpack{}
	l.Reset()
	for _, text := range texts {
		l.Text([]byte(text))
	}
	return l
}

// payload makes a payload of a value that write adds to.
func payload(t Type, write func(w *Writer)) []byte {
	w := NewWriter(nil, Version)
	w.Type(t)
	write(w)
	return w.Payload()
}

func blobPayload(t Type, blob []byte) []byte {
	return payload(t, func(w *Writer) { w.blob(blob) })
}

func packedPayload(t Type, texts ...string) []byte {
	return payload(t, func(w *Writer) { w.Packed(listpackOf(texts...)) })
}
