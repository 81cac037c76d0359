package migrate

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"hyperkv/internal/rdb"
	"hyperkv/resp"
)

// A commander is the rdb.Visitor that makes the commands which build a value: few for a
// small one, and of a large one several with some elements each.
type commander struct {
	// emit is handed a command as a client sends it, which is borrowed.
	emit func(command []byte) error

	key       []byte
	form      rdb.Type
	batch     batch
	deadlines []timed // of the members or fields in the batch
	entries   uint64  // of a stream, so far
	group     []byte
	consumers [][]byte
}

// A timed is a field or member that expires.
type timed struct {
	name     []byte
	deadline int64
}

// The most elements and bytes of one command.
const (
	batchElementsMax = 500
	batchBytesMax    = 64 << 10
)

// value makes the commands that build a key which is not there yet.
func (c *commander) value(k *rdb.Key, raw []byte) error {
	c.key, c.form = k.Name, k.Type
	c.entries, c.group, c.consumers, c.deadlines = 0, nil, nil, c.deadlines[:0]
	c.batch.reset()
	err := rdb.RawPayload(k.Type, raw).Visit(c)
	if err == nil {
		err = c.flush()
	}
	if err == nil && k.Deadline != 0 {
		err = c.command("PEXPIREAT", c.key, number(k.Deadline))
	}
	return err
}

func number(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// command emits a command that is not collected.
func (c *commander) command(name string, args ...[]byte) error {
	c.batch.begin(name, args...)
	err := c.emit(c.batch.end())
	c.batch.reset()
	return err
}

// add adds elements to the command of that name for the key.
func (c *commander) add(name string, elements ...[]byte) error {
	if c.batch.count == 0 {
		c.batch.begin(name, c.key)
	}
	for _, e := range elements {
		c.batch.add(e)
	}
	if c.batch.count > batchElementsMax || len(c.batch.body) > batchBytesMax {
		return c.flush()
	}
	return nil
}

// flush emits what was collected, and the deadlines of what is in it.
func (c *commander) flush() error {
	if c.batch.count == 0 {
		return nil
	}
	err := c.emit(c.batch.end())
	c.batch.reset()
	word, command := []byte("FIELDS"), "HPEXPIREAT"
	if c.form.Kind() == rdb.Set {
		word, command = []byte("MEMBERS"), "SPEXPIREAT"
	}
	for i := 0; err == nil && i < len(c.deadlines); {
		n := i + 1 // neighbours often have the same
		for n < len(c.deadlines) && c.deadlines[n].deadline == c.deadlines[i].deadline {
			n++
		}
		args := [][]byte{c.key, number(c.deadlines[i].deadline), word, number(int64(n - i))}
		for _, t := range c.deadlines[i:n] {
			args = append(args, t.name)
		}
		err = c.command(command, args...)
		i = n
	}
	c.deadlines = c.deadlines[:0]
	return err
}

func (c *commander) String(text []byte) error { return c.command("SET", c.key, text) }

func (c *commander) ListElement(text []byte) error { return c.add("RPUSH", text) }

func (c *commander) SetMember(member []byte, deadline int64) error {
	c.until(member, deadline)
	return c.add("SADD", member)
}

func (c *commander) until(name []byte, deadline int64) {
	if deadline != 0 {
		c.deadlines = append(c.deadlines, timed{bytes.Clone(name), deadline})
	}
}

func (c *commander) ZSetMember(member []byte, score float64) error {
	var digits [32]byte
	return c.add("ZADD", appendScore(digits[:0], score), member)
}

func appendScore(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, score, 'g', -1, 64)
}

func (c *commander) HashField(field, value []byte, deadline int64) error {
	c.until(field, deadline)
	return c.add("HSET", field, value)
}

func (c *commander) StreamEntry(id rdb.StreamID, fields [][]byte) error {
	c.entries++
	return c.command("XADD", append([][]byte{c.key, streamID(id)}, fields...)...)
}

func streamID(id rdb.StreamID) []byte { return fmt.Appendf(nil, "%d-%d", id.Ms, id.Seq) }

// StreamState makes a stream also of one without entries: by one that goes at once.
func (c *commander) StreamState(s rdb.StreamState) error {
	if c.entries == 0 {
		err := c.command("XADD", c.key, []byte("MAXLEN"), []byte("0"), []byte("0-1"), []byte("f"), []byte("v"))
		if err != nil {
			return err
		}
	}
	return c.command("XSETID", c.key, streamID(s.Last), []byte("ENTRIESADDED"), number(s.Added), []byte("MAXDELETEDID"), streamID(s.MaxDeleted))
}

func (c *commander) StreamGroup(g rdb.StreamGroup) error {
	c.group, c.consumers = bytes.Clone(g.Name), c.consumers[:0]
	args := [][]byte{[]byte("CREATE"), c.key, c.group, streamID(g.Last)}
	if c.form != rdb.TypeStream {
		args = append(args, []byte("ENTRIESREAD"), number(g.Read))
	}
	return c.command("XGROUP", args...)
}

func (c *commander) StreamConsumer(s rdb.StreamConsumer) error {
	c.consumers = append(c.consumers, bytes.Clone(s.Name))
	return c.command("XGROUP", []byte("CREATECONSUMER"), c.key, c.group, s.Name)
}

// StreamPending has no effect if the entry is gone: no command could make it pending.
func (c *commander) StreamPending(p rdb.StreamPending) error {
	return c.command("XCLAIM", c.key, c.group, c.consumers[p.Consumer], []byte("0"), streamID(p.ID),
		[]byte("TIME"), number(p.Delivered), []byte("RETRYCOUNT"), number(p.Count), []byte("FORCE"), []byte("JUSTID"))
}

// A batch is a command on its way: its body, and as soon as that is whole, all of it.
type batch struct {
	body  []byte
	count int // of words
	whole []byte
}

func (b *batch) reset() {
	if cap(b.body) > writeBytes {
		b.body = nil
	}
	if cap(b.whole) > writeBytes {
		b.whole = nil
	}
	b.body, b.count = b.body[:0], 0
}

func (b *batch) begin(name string, args ...[]byte) {
	b.add([]byte(name))
	for _, arg := range args {
		b.add(arg)
	}
}

func (b *batch) add(arg []byte) {
	b.count++
	b.body = append(strconv.AppendInt(append(b.body, '$'), int64(len(arg)), 10), '\r', '\n')
	b.body = append(append(b.body, arg...), '\r', '\n')
}

func (b *batch) end() []byte {
	b.whole = append(strconv.AppendInt(append(b.whole[:0], '*'), int64(b.count), 10), '\r', '\n')
	b.whole = append(b.whole, b.body...)
	return b.whole
}

// encode is a command as a client sends it.
func encode(args ...[]byte) []byte { return resp.AppendCommand(nil, args...) }
