package snapshot

import (
	"errors"
	"strconv"
	"testing"

	"hyperkv/internal/rdb"
	"hyperkv/shard"
)

// block is one with a few keys of a shard among three, and how many they are.
func block(t *testing.T, index int) (text []byte, keys int) {
	t.Helper()
	w := rdb.NewPlainWriter(rdb.Version)
	w.SelectDB(3)
	for i := 0; keys < 5; i++ {
		name := []byte("key:" + strconv.Itoa(i))
		if shard.IndexAmong(shard.RouteHash(name, shard.Hash(name)), 3) != index {
			continue
		}
		w.Key(name, int64(i))
		if keys%2 == 0 {
			w.Type(rdb.TypeString)
			w.Text([]byte("value"))
		} else {
			w.Type(rdb.TypeSet)
			w.Length(2)
			w.Text([]byte("a"))
			w.Text([]byte("b"))
		}
		keys++
	}
	return w.Take(nil), keys
}

// A block has whole keys, as many as is said, that belong to its shard.
func TestCheckBlock(t *testing.T) {
	text, keys := block(t, 1)
	if err := CheckBlock(text, keys, 1, 3); err != nil {
		t.Fatal(err)
	}
	f := func(what string, err error) {
		t.Helper()
		var bad *BlockError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("one key more", CheckBlock(text, keys+1, 1, 3))
	f("one key less", CheckBlock(text, keys-1, 1, 3))
	f("another shard", CheckBlock(text, keys, 2, 3))
	f("other shards", CheckBlock(text, keys, 1, 4))
	for end := range text {
		f("it ends after "+strconv.Itoa(end), CheckBlock(text[:end], keys, 1, 3))
	}
	// What a newer version may have written is no damage.
	var bad *BlockError
	if err := CheckBlock([]byte{100, 1, 'k'}, 1, 0, 1); err == nil || errors.As(err, &bad) || !errors.Is(err, rdb.ErrUnsupported) {
		t.Errorf("an unknown type: %v", err)
	}
}

// No bytes make it panic.
func FuzzCheckBlock(f *testing.F) {
	w := rdb.NewPlainWriter(rdb.Version)
	w.Key([]byte("k"), 7)
	w.Type(rdb.TypeHash)
	w.Length(1)
	w.Text([]byte("f"))
	w.Text([]byte("v"))
	f.Add(w.Take(nil), 1)
	f.Fuzz(func(t *testing.T, p []byte, keys int) { _ = CheckBlock(p, keys, 0, 1) })
}
