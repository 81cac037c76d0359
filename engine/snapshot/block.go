package snapshot

import (
	"errors"
	"fmt"

	"hyperkv/internal/rdb"
	"hyperkv/shard"
)

// A BlockError says that a block is not one that was taken: it cannot be read, or holds
// what does not belong there.
type BlockError struct{ err error }

func (e *BlockError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *BlockError) Unwrap() error { return e.err }

// CheckBlock reads a block of so many keys that a shard has taken when there were so many,
// as a Loader does, and keeps nothing of it.
func CheckBlock(block []byte, keys, index, shards int) error {
	there, err := each(block, func(body *rdb.Body, key *rdb.Key) error {
		if shard.IndexAmong(shard.RouteHash(key.Name, shard.Hash(key.Name)), shards) != index {
			return strange(key, index)
		}
		return wrong(key, body.Value(key.Type, rdb.Nothing{}))
	})
	if err != nil {
		return err
	}
	return counted(there, keys)
}

// each calls visit for each key of a block, which reads the key's value, and says how many
// there are.
func each(block []byte, visit func(body *rdb.Body, key *rdb.Key) error) (keys int, err error) {
	body := rdb.Body{Reader: rdb.NewBytesReader(block)}
	for {
		key, err := body.Next()
		if err != nil {
			return keys, unreadable(err)
		}
		if key == nil {
			return keys, nil
		}
		if err := visit(&body, key); err != nil {
			return keys, err
		}
		keys++
	}
}

// counted holds how many keys a block has against how many it should have.
func counted(keys, want int) error {
	if keys != want {
		return &BlockError{fmt.Errorf("there are %d keys in a block that should have %d", keys, want)}
	}
	return nil
}

// strange is the error about a key that another shard should have taken.
func strange(key *rdb.Key, index int) error {
	return &BlockError{fmt.Errorf("the key %.64q is not one of shard %d", key.Name, index)}
}

// wrong is the error about a value, nil if there is none.
func wrong(key *rdb.Key, err error) error {
	if err == nil {
		return nil
	}
	return unreadable(fmt.Errorf("the key %.64q: %w", key.Name, err))
}

// unreadable makes an error of reading one about the block; but what a newer version may
// have written is not wrong.
func unreadable(err error) error {
	if errors.Is(err, rdb.ErrUnsupported) {
		return err
	}
	return &BlockError{err}
}
