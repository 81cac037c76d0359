package embedded

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/interchange"
	"hyperkv/internal/rdb"
)

// rdbText makes a file of strings.
func rdbText(t *testing.T, keys ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := rdb.NewFileWriter(&out, 10)
	w.SelectDB(0)
	for _, key := range keys {
		deadline := int64(0)
		if strings.HasPrefix(key, "old") {
			deadline = epoch - 1
		}
		w.Key([]byte(key), deadline)
		w.Type(rdb.TypeString)
		w.Text([]byte("value of " + key))
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestLoadOptions(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	l.Shards.ActiveExpiry.Store(false)
	c := l.client(t)
	defer c.Close()
	load := func(file []byte, o interchange.LoadOptions) (interchange.Loaded, error) {
		return interchange.Load(context.Background(), l.Engine, openRDB(t, bytes.NewReader(file)), o)
	}
	refused := func(file []byte, o interchange.LoadOptions, words ...string) {
		t.Helper()
		_, err := load(file, o)
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
	sum, err := load(rdbText(t, "a", "b", "old", "old2"), interchange.LoadOptions{})
	if err != nil || sum.Keys != 2 || sum.Expired != 2 {
		t.Errorf("%+v %v", sum, err)
	}
	refused(rdbText(t, "c", "b"), interchange.LoadOptions{}, `"b"`, "there already")
	refused(rdbText(t, "d", "d"), interchange.LoadOptions{}, `"d"`, "there already")
	mustDo(t, c, "DEL", "c")
	mustDo(t, c, "SET", "a", "another")
	sum, err = load(rdbText(t, "a", "old"), interchange.LoadOptions{Replace: true, KeepExpired: true})
	if err != nil || sum.Keys != 2 || sum.Expired != 0 {
		t.Errorf("%+v %v", sum, err)
	}
	if have := mustDo(t, c, "GET", "a").Text(); have != "value of a" {
		t.Errorf("a is %q", have)
	}
	if n := mustDo(t, c, "DBSIZE").Int; n != 4 { // a, b, d and one that has expired
		t.Errorf("%d keys", n)
	}
	var passed []string
	sum, err = load(rdbText(t, "x", "y", "z"), interchange.LoadOptions{Pass: func(k *rdb.Key, raw []byte) (bool, error) {
		passed = append(passed, string(k.Name)+string(raw))
		return string(k.Name) == "y", nil
	}})
	if err != nil || sum.Keys != 2 || strings.Join(passed, " ") != "x\nvalue of x y\nvalue of y z\nvalue of z" || mustDo(t, c, "EXISTS", "x", "y", "z").Int != 2 {
		t.Errorf("%+v %v %q", sum, err, passed)
	}
	refused(rdbText(t, "e"), interchange.LoadOptions{Pass: func(*rdb.Key, []byte) (bool, error) { return false, errors.New("no more") }}, "no more")

	value := func(database int, form rdb.Type, raw string) []byte {
		var out bytes.Buffer
		w := rdb.NewFileWriter(&out, 12)
		w.SelectDB(database)
		w.Key([]byte("key"), 0)
		if err := w.Value(form, []byte(raw)); err != nil {
			t.Fatal(err)
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	refused(value(16, rdb.TypeString, "\x01a"), interchange.LoadOptions{}, `"key"`, "database 16")
	refused(value(0, rdb.TypeSet, "\x02\x01a\x01a"), interchange.LoadOptions{}, `"key"`, "duplicate")
	refused(value(0, rdb.TypeHash, "\x02\x01a\x01b\x01a\x01c"), interchange.LoadOptions{}, `"key"`, "duplicate")
	refused(value(0, rdb.TypeZSet2, "\x01\x01a\x00\x00\x00\x00\x00\x00\xf8\x7f"), interchange.LoadOptions{}, `"key"`, "not a number")
	refused(value(0, rdb.TypeString, "\xc3\x01\x05x"), interchange.LoadOptions{}, `"key"`, "decompress")
	if sum, err := load(value(0, rdb.TypeList, "\x00"), interchange.LoadOptions{}); err != nil || sum.Empty != 1 || sum.Keys != 0 {
		t.Errorf("an empty list: %+v %v", sum, err)
	}
	// All fields have expired: nothing takes the place of what was there.
	mustDo(t, c, "SET", "key", "old")
	expired := "\x88\x13\x00\x00\x00\x00\x00\x00\x01\x01\x01f\x01v"
	if sum, err := load(value(0, rdb.TypeHashMetadata, expired), interchange.LoadOptions{Replace: true}); err != nil || sum.Expired != 1 || sum.Keys != 0 {
		t.Errorf("a hash that has expired: %+v %v", sum, err)
	}
	if n := mustDo(t, c, "EXISTS", "key").Int; n != 0 {
		t.Error("the old value is there")
	}
	// For who is told when they go, they are there.
	l.Shards.ExpiryHeld.Add(1)
	if sum, err := load(value(0, rdb.TypeHashMetadata, expired), interchange.LoadOptions{KeepExpired: true}); err != nil || sum.Keys != 1 || sum.Expired != 0 {
		t.Errorf("a hash that has expired and is kept: %+v %v", sum, err)
	}
	l.Shards.ExpiryHeld.Add(-1)
	damaged := rdbText(t, "m", "n")
	damaged[len(damaged)-1] ^= 1
	refused(damaged, interchange.LoadOptions{}, "checksum")
	ctx, stop := context.WithCancelCause(context.Background())
	stop(errors.New("stopped"))
	if _, err := interchange.Load(ctx, l.Engine, openRDB(t, bytes.NewReader(rdbText(t, "p"))), interchange.LoadOptions{}); err == nil || err.Error() != "stopped" {
		t.Error(err)
	}
}

// How long a key was not used is known afterwards.
func TestLoadIdle(t *testing.T) {
	var out bytes.Buffer
	w := rdb.NewFileWriter(&out, 10)
	w.SelectDB(0)
	w.Usage(1000, -1)
	w.Key([]byte("k"), epoch+1_000_000)
	w.Type(rdb.TypeString)
	w.Text([]byte("v"))
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	for _, keep := range []bool{false, true} {
		l := newLab(t, 1, epoch)
		defer l.Close()
		c := l.client(t)
		defer c.Close()
		if _, err := interchange.Load(context.Background(), l.Engine, openRDB(t, bytes.NewReader(out.Bytes())), interchange.LoadOptions{KeepExpired: keep}); err != nil {
			t.Fatal(err)
		}
		if n := mustDo(t, c, "OBJECT", "IDLETIME", "k").Int; n != 1000 {
			t.Errorf("idle for %d seconds", n)
		}
	}
}

// Files that are broken, and say that they have no checksum, are refused, or hold other data,
// which is whole: nothing of what a file says is believed.
func TestLoadMutants(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	refused, taken := 0, 0
	labs := []*lab{newLab(t, 2, epoch), newLab(t, 2, epoch), newLab(t, 1, epoch)}
	var clients []*engine.Client
	for _, l := range labs {
		defer l.Close()
		c := l.client(t)
		defer c.Close()
		clients = append(clients, c)
	}
	load := func(n int, file []byte) error {
		mustDo(t, clients[n], "FLUSHALL")
		f, err := rdb.OpenFile(bytes.NewReader(file))
		if err != nil {
			return err
		}
		_, err = interchange.Load(context.Background(), labs[n].Engine, f, interchange.LoadOptions{})
		return err
	}
	written := func(n int, compress bool) []byte {
		var out bytes.Buffer
		if _, err := interchange.Write(context.Background(), labs[n].Engine, &out, interchange.WriteOptions{Compress: compress}); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for i := range less(24) {
		c := clients[0]
		mustDo(t, c, "FLUSHALL")
		for n, kind := range []string{dumpKinds[i%len(dumpKinds)], digestKinds[i%len(digestKinds)], dumpKinds[(i+1)%len(dumpKinds)]} {
			for _, command := range digestRecipe(r, kind) {
				command[slices.Index(command, "key")] = kind + strconv.Itoa(n)
				mustDo(t, c, command...)
			}
		}
		mustDo(t, c, "HSET", "fields", "f", "v", "g", "w")
		mustDo(t, c, "HPEXPIREAT", "fields", "4000000000000", "FIELDS", "1", "f")
		file := written(0, i%2 == 0)
		begin := bytes.Index(file, []byte{0xfe}) // behind what the file says of itself
		for range 12 {
			b := bytes.Clone(file[:len(file)-8])
			for range 1 + r.IntN(3) {
				at := begin + r.IntN(len(b)-begin)
				switch r.IntN(3) {
				case 0:
					b[at] ^= 1 << r.IntN(8)
				case 1:
					b[at] = byte(r.Uint32())
				case 2:
					b = append(b[:at:at], b[min(len(b), at+1+r.IntN(3)):]...)
				}
			}
			if load(1, append(b, make([]byte, 8)...)) != nil {
				refused++
				continue
			}
			taken++
			want := datasetDigest(t, clients[1])
			if err := load(2, written(1, false)); err != nil {
				t.Fatal(err)
			}
			if have := datasetDigest(t, clients[2]); have != want {
				t.Fatalf("the digest is %s, want %s", have, want)
			}
		}
	}
	t.Logf("%d files were refused, %d taken", refused, taken)
	if taken < 5 || refused < 5 {
		t.Error("that proves little")
	}
}
