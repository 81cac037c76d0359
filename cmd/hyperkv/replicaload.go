package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"hyperkv/engine"
	"hyperkv/internal/rdb"
)

// loadStream replaces the dataset by that of an RDB file. It is done as a primary would
// do it, key by key, so that it is recorded like everything else.
func loadStream(ctx context.Context, r *replicating, file io.Reader) error {
	e, a := r.engine, r.applier
	if err := a.Apply([]engine.Change{{Args: [][]byte{[]byte("FLUSHALL")}}}, func() {}); err != nil {
		return err
	}
	head := make([]byte, len("REDIS0000"))
	if _, err := io.ReadFull(file, head); err != nil {
		return err
	}
	if version, err := strconv.Atoi(string(head[5:])); err != nil || !bytes.HasPrefix(head, []byte("REDIS")) || version < 1 {
		return fmt.Errorf("the file begins with %q", head)
	}
	raw := &window{src: file}
	body := rdb.Body{Reader: rdb.NewReader(raw)}
	body.Function = func([]byte) error {
		r.log.Warn("a library of functions is left out")
		return nil
	}
	var payload []byte
	loaded := 0
	for {
		key, err := body.Next()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		from := body.Offset()
		if err := body.Value(key.Type, everything{}); errors.Is(err, rdb.ErrEmpty) {
			continue // some old servers have written those
		} else if err != nil {
			return fmt.Errorf("the key %.64q: %w", key.Name, err)
		}
		payload = append(payload[:0], byte(key.Type))
		payload = append(payload, raw.cut(from, body.Offset())...)
		payload = binary.LittleEndian.AppendUint16(payload, rdb.Version)
		payload = binary.LittleEndian.AppendUint64(payload, rdb.Checksum(0, payload))
		args := [][]byte{wordRestore, key.Name, strconv.AppendInt(nil, key.Deadline, 10), payload, wordReplace, wordAbsTTL}
		if key.Idle > 0 {
			args = append(args, wordIdleTime, strconv.AppendInt(nil, key.Idle, 10))
		}
		if err := a.Apply([]engine.Change{{Database: key.Database, Args: args}}, func() {}); err != nil {
			return fmt.Errorf("the key %.64q: %w", key.Name, err)
		}
		if loaded++; loaded%lookAfter == 0 {
			e.Loaded(body.Offset())
			host{r}.Commit()
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return ctx.Err()
}

// lookAfter is after how many keys it is looked at how things are.
const lookAfter = 128

var (
	wordRestore  = []byte("RESTORE")
	wordReplace  = []byte("REPLACE")
	wordAbsTTL   = []byte("ABSTTL")
	wordIdleTime = []byte("IDLETIME")
)

// window remembers what was read until it is not needed any more.
type window struct {
	src   io.Reader
	start int64
	bytes []byte
}

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	n, err := w.src.Read(p)
	w.bytes = append(w.bytes, p[:n]...)
	return n, err
}

// cut returns what was read from one offset to another, and forgets what is before the
// first.
func (w *window) cut(from, to int64) []byte {
	if drop := from - w.start; drop > int64(len(w.bytes))/2 {
		w.bytes = w.bytes[:copy(w.bytes, w.bytes[drop:])]
		w.start = from
	}
	return w.bytes[from-w.start : to-w.start]
}

// everything is an rdb.Visitor that reads a value for its length.
type everything struct{}

func (everything) String([]byte) error                      { return nil }
func (everything) ListElement([]byte) error                 { return nil }
func (everything) SetMember([]byte, int64) error            { return nil }
func (everything) ZSetMember([]byte, float64) error         { return nil }
func (everything) HashField(_, _ []byte, _ int64) error     { return nil }
func (everything) StreamEntry(rdb.StreamID, [][]byte) error { return nil }
func (everything) StreamState(rdb.StreamState) error        { return nil }
func (everything) StreamGroup(rdb.StreamGroup) error        { return nil }
func (everything) StreamConsumer(rdb.StreamConsumer) error  { return nil }
func (everything) StreamPending(rdb.StreamPending) error    { return nil }
