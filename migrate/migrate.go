package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hyperkv/internal/rdb"
)

// A Source shows a dataset.
type Source interface {
	// Copy shows everything to t, and returns the first error of either.
	Copy(ctx context.Context, t Target) error
}

// A Target takes a dataset. It belongs to one goroutine.
type Target interface {
	// Key takes a key with its value, as it stands behind the key in an RDB file. Both are
	// borrowed. An error may concern a key from before.
	Key(k *rdb.Key, raw []byte) error
	// Library takes the source of a library of functions.
	Library(source []byte) error
	// End returns when everything has arrived. After an error of any method it is not called.
	End() error
}

// CopyRDB shows an RDB file to t; nothing may stand behind it.
func CopyRDB(ctx context.Context, src io.Reader, t Target) error {
	f, err := rdb.OpenFile(src)
	if err != nil {
		return err
	}
	f.Function = t.Library
	for ctx.Err() == nil {
		k, err := f.Next()
		if err != nil {
			return err
		}
		if k == nil {
			return nothingBehind(f)
		}
		raw, err := f.Raw()
		if err != nil {
			return fmt.Errorf("the key %.64q: %w", k.Name, err)
		}
		if empty(k.Type, raw) {
			continue
		}
		if err := t.Key(k, raw); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// emptyBytesMax is how long a value may be that holds nothing.
const emptyBytesMax = 64

// empty says that a value holds nothing. Some versions of Redis have written such keys, and
// all pass over them when they load.
func empty(t rdb.Type, raw []byte) bool {
	return len(raw) <= emptyBytesMax && t.Kind() != rdb.String && errors.Is(rdb.RawPayload(t, raw).Visit(rdb.Nothing{}), rdb.ErrEmpty)
}

func nothingBehind(f *rdb.File) error {
	var one [1]byte
	switch _, err := io.ReadFull(f.Rest(), one[:]); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("something stands behind the end of the RDB file, from byte %d on", f.Offset())
	default:
		return err
	}
}

// Nowhere is a Target that lets everything go, for those who only want to know whether a
// Source is whole.
type Nowhere struct{}

// Key implements Target.
func (Nowhere) Key(*rdb.Key, []byte) error { return nil }

// Library implements Target.
func (Nowhere) Library([]byte) error { return nil }

// End implements Target.
func (Nowhere) End() error { return nil }
