package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/engine/interchange"
	"hyperkv/internal/rdb"
	"hyperkv/internal/testkit"
)

// fill gives a server values of all kinds, in several databases; some keys expire, later.
func fill(t *testing.T, c doer, r *rand.Rand, rounds int) {
	t.Helper()
	for i := range rounds * len(digestKinds) {
		mustDo(t, c, "SELECT", strconv.Itoa([]int{0, 0, 1, 9, 15}[r.IntN(5)]))
		kind := digestKinds[i%len(digestKinds)]
		key := kind + strconv.Itoa(i)
		for _, command := range digestRecipe(r, kind) {
			command[slices.Index(command, "key")] = key
			mustDo(t, c, command...)
		}
		if r.IntN(3) == 0 {
			mustDo(t, c, "PEXPIREAT", key, "4000000000000")
		}
	}
	mustDo(t, c, "SELECT", "0")
}

// groups is all that the streams of a server know beside their entries, which digests leave
// out.
func groups(t *testing.T, c doer) (all []string) {
	t.Helper()
	for db := range 16 {
		mustDo(t, c, "SELECT", strconv.Itoa(db))
		var keys []string // what was answered is borrowed
		for _, e := range mustDo(t, c, "KEYS", "stream*").Elems {
			keys = append(keys, e.Text())
		}
		for _, key := range keys {
			all = append(all, fmt.Sprint(db, key, streamInfo(t, c, key)))
		}
	}
	mustDo(t, c, "SELECT", "0")
	slices.Sort(all)
	return all
}

// alike says that two servers have the same data.
func alike(t *testing.T, what string, have, want doer) {
	t.Helper()
	if h, w := datasetDigest(t, have), datasetDigest(t, want); h != w {
		t.Errorf("%s: the digest is %s, want %s", what, h, w)
	}
	if h, w := groups(t, have), groups(t, want); !slices.Equal(h, w) {
		t.Errorf("%s: groups are\n%.2000s\nwant\n%.2000s", what, strings.Join(h, "\n"), strings.Join(w, "\n"))
	}
}

// dialled is a client of a server that RESP2 is spoken with.
func dialled(t *testing.T, s *testkit.Server) *testkit.Conn {
	t.Helper()
	c, err := testkit.Dial(s.Network, s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (l *lab) resp2(t *testing.T) *engine.Client {
	t.Helper()
	c := l.client(t)
	mustDo(t, c, "HELLO", "2")
	return c
}

func openRDB(t *testing.T, src io.Reader) *rdb.File {
	t.Helper()
	f, err := rdb.OpenFile(src)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What Redis has saved is what we load, whatever it keeps values in.
func TestLoadOfRedis(t *testing.T) {
	for i, flags := range [][]string{
		{},
		{"--rdbcompression", "no", "--hash-max-listpack-entries", "0", "--zset-max-listpack-entries", "0", "--set-max-intset-entries", "0"},
		{"--list-compress-depth", "1", "--list-max-listpack-size", "5", "--rdbchecksum", "no", "--stream-node-max-entries", "3"},
		{"--hash-max-listpack-entries", "100000", "--hash-max-listpack-value", "100000", "--zset-max-listpack-entries", "100000",
			"--zset-max-listpack-value", "100000", "--set-max-intset-entries", "100000", "--maxmemory-policy", "allkeys-lfu", "--maxmemory", "2gb"},
	} {
		dir := t.TempDir()
		server := testkit.StartRedis(t, append([]string{"--dir", dir}, flags...)...)
		if server == nil {
			t.Skip("there is no redis-server to save something")
		}
		redis := dialled(t, server)
		fill(t, redis, rand.New(rand.NewPCG(uint64(i), 31)), 3)
		mustDo(t, redis, "DEBUG", "POPULATE", strconv.Itoa(less(50_000)), "many")
		mustDo(t, redis, "FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function() return 1 end)")
		mustDo(t, redis, "SAVE")
		file, err := os.ReadFile(filepath.Join(dir, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		for _, shards := range []int{1, 3} {
			l := newLab(t, shards, epoch)
			f := openRDB(t, bytes.NewReader(file))
			libraries := 0
			f.Function = func([]byte) error { libraries++; return nil }
			loaded, err := interchange.Load(context.Background(), l.Engine, f, interchange.LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			c := l.resp2(t)
			alike(t, fmt.Sprint(flags, shards), c, redis)
			if keys := dbsizes(t, c); loaded.Keys != keys || keys != dbsizes(t, redis) || loaded.Expired+loaded.Empty != 0 || libraries != 1 {
				t.Errorf("%+v of %d keys, %d libraries", loaded, keys, libraries)
			}
			if len(l.record.units) != 0 {
				t.Error("loading was recorded")
			}
			c.Close()
			l.Close()
		}
		redis.Close()
		server.Stop()
	}
}

func dbsizes(t *testing.T, c doer) (sum uint64) {
	t.Helper()
	for db := range 16 {
		mustDo(t, c, "SELECT", strconv.Itoa(db))
		sum += uint64(mustDo(t, c, "DBSIZE").Int)
	}
	mustDo(t, c, "SELECT", "0")
	return sum
}

// writeRDB writes the dataset of an engine into a file of a new directory.
func writeRDB(t *testing.T, e *engine.Engine, o interchange.WriteOptions) (dir string, w interchange.Written) {
	t.Helper()
	dir = t.TempDir()
	file, err := os.Create(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	w, err = interchange.Write(context.Background(), e, file, o)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return dir, w
}

func loadDir(t *testing.T, l *lab, dir string, o interchange.LoadOptions) interchange.Loaded {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	loaded, err := interchange.Load(context.Background(), l.Engine, openRDB(t, file), o)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// What we write is what Redis loads, and what we load again.
func TestWriteForRedis(t *testing.T) {
	for _, shards := range []int{1, 3} {
		for _, compress := range []bool{false, true} {
			l := newLab(t, shards, epoch)
			c := l.resp2(t)
			fill(t, c, rand.New(rand.NewPCG(uint64(shards), 32)), 3)
			mustDo(t, c, "DEBUG", "POPULATE", strconv.Itoa(less(50_000)), "many")
			// Members of sets become such that stay, and those that have expired are left out;
			// of keys that is up to who loads them.
			mustDo(t, c, "SADDEX", "timed", "1000", "a", "b")
			mustDo(t, c, "SADD", "timed", "c")
			mustDo(t, c, "SADDEX", "gone", "1", "a")
			mustDo(t, c, "SET", "gone too", "x", "PX", "1")
			mustDo(t, c, "HSET", "fields", "f", "v")
			mustDo(t, c, "HPEXPIRE", "fields", "1000", "FIELDS", "1", "f")
			mustDo(t, c, "HPERSIST", "fields", "FIELDS", "1", "f") // so that version 10 is enough
			l.Shards.ActiveExpiry.Store(false)
			l.clock.Advance(time.Second)
			keys := dbsizes(t, c) - 2
			dir, w := writeRDB(t, l.Engine, interchange.WriteOptions{
				Compress: compress, Functions: [][]byte{[]byte("#!lua name=lib\nredis.register_function('f', function() return 7 end)")},
				AtCut: func() [][2]string { return [][2]string{{"repl-offset", "77"}} },
			})
			if w.Keys != keys+1 || w.Version != 10 {
				t.Errorf("%d keys and version %d, want %d and 10", w.Keys, w.Version, keys+1)
			}
			mustDo(t, c, "SPERSIST", "timed", "MEMBERS", "2", "a", "b")
			mustDo(t, c, "DEL", "gone", "gone too")
			server := testkit.StartRedis(t, "--dir", dir)
			if server == nil {
				t.Skip("there is no redis-server to load something")
			}
			redis := dialled(t, server)
			alike(t, "Redis", redis, c)
			if n := mustDo(t, redis, "FCALL", "f", "0").Int; n != 7 {
				t.Errorf("the function answers %d", n)
			}
			other := newLab(t, 2, epoch+1000)
			if loaded := loadDir(t, other, dir, interchange.LoadOptions{}); loaded.Keys != keys || loaded.Expired != 1 {
				t.Errorf("%+v, want %d keys", loaded, keys)
			}
			o := other.resp2(t)
			alike(t, "here", o, c)
			if out, err := os.ReadFile(filepath.Join(dir, "dump.rdb")); err != nil || !bytes.Contains(out[:300], []byte("\x0brepl-offset\xc0M")) {
				t.Errorf("%.300q %v", out, err)
			}
			o.Close()
			c.Close()
			other.Close()
			l.Close()
			server.Stop()
		}
	}
}

// Fields that expire need a newer version, and nothing is lost of them.
func TestWriteFields(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	for i := range 500 {
		mustDo(t, c, "HSET", "hash"+strconv.Itoa(i%7), "f"+strconv.Itoa(i), "v")
		if i%3 == 0 {
			mustDo(t, c, "HPEXPIREAT", "hash"+strconv.Itoa(i%7), strconv.Itoa(epoch+1000+i), "FIELDS", "1", "f"+strconv.Itoa(i))
		}
	}
	for range 3 {
		mustDo(t, c, "RENAME", "hash1", "hash2")
		mustDo(t, c, "COPY", "hash2", "hash1")
	}
	mustDo(t, c, "DEL", "hash3")
	dir, w := writeRDB(t, l.Engine, interchange.WriteOptions{})
	if w.Version != 12 {
		t.Errorf("version %d", w.Version)
	}
	other := newLab(t, 2, epoch)
	defer other.Close()
	loadDir(t, other, dir, interchange.LoadOptions{})
	if have, want := withoutEncodings(other.dataset(t)), withoutEncodings(l.dataset(t)); !slices.Equal(have, want) {
		t.Errorf("loaded:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	// Some have expired when it is loaded; then all have, and the version is the usual one.
	late := newLab(t, 2, epoch+1250)
	defer late.Close()
	loadDir(t, late, dir, interchange.LoadOptions{})
	other.clock.Set(epoch + 1250)
	if have, want := withoutEncodings(late.dataset(t)), withoutEncodings(other.dataset(t)); !slices.Equal(have, want) {
		t.Errorf("loaded later:\n%s\nwant:\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	l.clock.Set(epoch + 10_000)
	l.dataset(t) // touches all of them
	if _, w := writeRDB(t, l.Engine, interchange.WriteOptions{}); w.Version != 10 {
		t.Errorf("without such fields: version %d", w.Version)
	}
}

// A file is that of one moment, and loading one disturbs nobody.
func TestInterchangeAmongWriters(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	writer := l.client(t)
	defer writer.Close()
	const keys = 3000
	put := func(value int) error {
		for from := 0; from < keys; from += 100 { // within one transaction
			args := []string{"MSET"}
			for i := from; i < from+100; i++ {
				args = append(args, "key"+strconv.Itoa(i), strconv.Itoa(value))
			}
			if _, err := writer.Do(args...); err != nil {
				return err
			}
		}
		return nil
	}
	all := func(value int) error {
		if _, err := writer.Do("MULTI"); err != nil {
			return err
		}
		if err := put(value); err != nil {
			return err
		}
		_, err := writer.Do("EXEC")
		return err
	}
	if err := all(-1); err != nil {
		t.Fatal(err)
	}
	stop := meanwhile(t, all)
	seen := map[string]bool{}
	for start := time.Now(); len(seen) < 5 && time.Since(start) < 20*time.Second; {
		var out bytes.Buffer
		w, err := interchange.Write(context.Background(), l.Engine, &out, interchange.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if w.Keys != keys {
			t.Errorf("%d keys", w.Keys)
		}
		other := newLab(t, 2, epoch)
		if _, err := interchange.Load(context.Background(), other.Engine, openRDB(t, &out), interchange.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		c := other.client(t)
		values := map[string]bool{}
		for i := range keys {
			values[mustDo(t, c, "GET", "key"+strconv.Itoa(i)).Text()] = true
		}
		if len(values) != 1 {
			t.Errorf("%d values at one moment", len(values))
		}
		for v := range values {
			seen[v] = true
		}
		c.Close()
		other.Close()
	}
	if len(seen) < 2 {
		t.Errorf("only %v were seen, which proves little", seen)
	}
	var out bytes.Buffer
	if _, err := interchange.Write(context.Background(), l.Engine, &out, interchange.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := interchange.Load(context.Background(), l.Engine, openRDB(t, &out), interchange.LoadOptions{Replace: true}); err != nil {
		t.Fatal(err)
	}
	stop()
}

// A destination that fails ends the writing, and the next one begins anew.
func TestWriteFails(t *testing.T) {
	l := newLab(t, 3, epoch)
	defer l.Close()
	c := l.client(t)
	defer c.Close()
	mustDo(t, c, "DEBUG", "POPULATE", "20000", "key", "100")
	full := errors.New("full")
	if _, err := interchange.Write(context.Background(), l.Engine, &brokenWriter{left: 300_000, err: full}, interchange.WriteOptions{}); !errors.Is(err, full) {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := interchange.Write(ctx, l.Engine, io.Discard, interchange.WriteOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if w, err := interchange.Write(context.Background(), l.Engine, io.Discard, interchange.WriteOptions{}); err != nil || w.Keys != 20_000 {
		t.Error(w, err)
	}
	// Nothing is a file, too.
	mustDo(t, c, "FLUSHALL")
	dir, _ := writeRDB(t, l.Engine, interchange.WriteOptions{AOFBase: true})
	if sum := loadDir(t, l, dir, interchange.LoadOptions{}); sum.Keys != 0 {
		t.Errorf("%+v", sum)
	}
}

type brokenWriter struct {
	left int
	err  error
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, w.err
	}
	return len(p), nil
}
