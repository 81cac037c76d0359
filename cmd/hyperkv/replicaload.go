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
	body := rdb.Body{Reader: rdb.NewReader(file)}
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
		raw, err := body.Raw()
		if err == nil {
			err = rdb.RawPayload(key.Type, raw).Visit(rdb.Nothing{})
		}
		if errors.Is(err, rdb.ErrEmpty) {
			continue // some old servers have written those
		}
		if err != nil {
			return fmt.Errorf("the key %.64q: %w", key.Name, err)
		}
		payload = append(append(payload[:0], byte(key.Type)), raw...)
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
