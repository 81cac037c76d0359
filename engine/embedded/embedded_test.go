package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hyperkv/engine"
	"hyperkv/resp"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir, os.Getenv(childPolicy)))
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, settings map[string]string) *KV {
	t.Helper()
	kv, err := Open(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kv.Close() })
	return kv
}

func shards(n int) map[string]string { return map[string]string{"worker_threads": strconv.Itoa(n)} }

func TestAPI(t *testing.T) {
	kv := open(t, shards(3))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(kv.Set("a", []byte("1")))
	must(kv.Set("binary\x00\xff", []byte{0, 0xff, '\r', '\n'}))
	must(kv.SetFor("b", []byte("2"), 1500*time.Microsecond*1000))
	value, found, err := kv.Get("binary\x00\xff")
	if string(value) != "\x00\xff\r\n" || !found || err != nil {
		t.Errorf("%q %v %v", value, found, err)
	}
	if value, found, err := kv.Get("nothing"); value != nil || found || err != nil {
		t.Errorf("%q %v %v", value, found, err)
	}
	if n, err := kv.Exists("a", "b", "nothing", "a"); n != 3 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if ttl, found, err := kv.TTL("b"); ttl <= time.Second || ttl > 1500*time.Millisecond || !found || err != nil {
		t.Errorf("%v %v %v", ttl, found, err)
	}
	if ok, err := kv.Persist("b"); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := kv.Persist("b"); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if ttl, found, err := kv.TTL("b"); ttl != NoExpiry || !found || err != nil {
		t.Errorf("%v %v %v", ttl, found, err)
	}
	if _, found, err := kv.TTL("nothing"); found || err != nil {
		t.Errorf("%v %v", found, err)
	}
	if ok, err := kv.Expire("nothing", time.Second); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	// Less than a millisecond is a millisecond, not nothing and not for ever.
	if ok, err := kv.Expire("b", time.Nanosecond); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if n, _ := kv.Exists("b"); n == 0 {
			break
		}
		if time.Since(start) > 5*time.Second {
			t.Fatal("it did not expire")
		}
	}
	if n, err := kv.Delete("a", "binary\x00\xff", "nothing"); n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	var failure resp.Error
	if _, err := kv.Do("NOSUCHCOMMAND"); !errors.As(err, &failure) {
		t.Errorf("%v", err)
	}
	if _, err := kv.Do("GET", "a", "b"); !errors.As(err, &failure) {
		t.Errorf("%v", err)
	}
}

func TestScan(t *testing.T) {
	kv := open(t, shards(7))
	keys := less(5000)
	for i := range keys {
		if err := kv.Set("key:"+strconv.Itoa(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	if err := kv.Scan("key:*", func(key string) bool { seen[key] = true; return true }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != keys {
		t.Errorf("%d keys of %d", len(seen), keys)
	}
	n := 0
	if err := kv.Scan("", func(string) bool { n++; return n < 10 }); err != nil || n != 10 {
		t.Errorf("%d keys, %v", n, err)
	}
	if err := kv.Scan("nothing*", func(key string) bool { t.Error(key); return true }); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	if _, err := Open(map[string]string{"max_memroy": "1gb"}); err == nil {
		t.Error("a misspelt setting was taken")
	}
	kv := open(t, map[string]string{"max_memory": "1mb", "worker_threads": "2"})
	var err error
	for i := 0; i < 100_000 && err == nil; i++ {
		err = kv.Set("key:"+strconv.Itoa(i), make([]byte, 100))
	}
	if err != resp.ErrOOM {
		t.Errorf("%v", err)
	}
	if _, _, err := kv.Get("key:0"); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestClose(t *testing.T) {
	kv := open(t, shards(2))
	c, err := kv.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Set("a", nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := kv.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := kv.Set("a", nil); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if _, err := kv.Client(); err != ErrClosed {
		t.Errorf("%v", err)
	}
	if _, err := c.Do("PING"); err != engine.ErrClosed {
		t.Errorf("%v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// Closing while others work is an error for them and nothing worse.
func TestCloseUnderLoad(t *testing.T) {
	for round := range 20 {
		kv := open(t, map[string]string{"worker_threads": "3", "shard_inline": strconv.FormatBool(round%2 == 0)})
		var workers sync.WaitGroup
		for w := range 4 {
			workers.Go(func() {
				for i := 0; ; i++ {
					key := strconv.Itoa(w*1000 + i%1000)
					err := kv.Set(key, []byte(key))
					if err == nil && i%7 == 0 {
						_, err = kv.Do("MGET", "1", "2", "3", "4", "5", key)
					}
					if err == ErrClosed {
						return
					}
					if err != nil {
						t.Errorf("%v", err)
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(round%5) * time.Millisecond)
		if err := kv.Close(); err != nil {
			t.Error(err)
		}
		workers.Wait()
	}
}

// A client that is killed, or ends its session, says so, and the store opens
// another for whoever comes next.
func TestKilled(t *testing.T) {
	kv := open(t, shards(2))
	c, err := kv.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	id, err := c.Do("CLIENT", "ID")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := kv.Do("CLIENT", "KILL", "ID", strconv.FormatInt(id.Int, 10)); err != nil || v.Int != 1 {
		t.Fatalf("%v %v", v, err)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		if _, err := c.Do("PING"); err == engine.ErrClosed {
			break
		}
		if time.Since(start) > 5*time.Second {
			t.Fatal("it still answers")
		}
	}
	if _, err := kv.Do("QUIT"); err != nil && err != ErrClosed {
		t.Errorf("%v", err)
	}
	if v, err := kv.Do("PING"); err != nil || v.Text() != "PONG" {
		t.Errorf("%v %v", v, err)
	}
}

// Many goroutines, some through the store and some through clients of their own:
// every write is seen, every transaction is whole.
func TestConcurrency(t *testing.T) {
	for _, inline := range []bool{true, false} {
		t.Run(fmt.Sprintf("inline=%v", inline), func(t *testing.T) {
			kv := open(t, map[string]string{"worker_threads": "5", "shard_inline": strconv.FormatBool(inline)})
			const workers, counters = 8, 10
			rounds := less(300)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					r := rand.New(rand.NewPCG(1, uint64(w)))
					c, err := kv.Client()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					for i := range rounds {
						own := fmt.Sprintf("own:%d:%d", w, i)
						if err := kv.Set(own, []byte(own)); err != nil {
							t.Error(err)
							return
						}
						if value, _, err := kv.Get(own); string(value) != own || err != nil {
							t.Errorf("%s: %q %v", own, value, err)
							return
						}
						from, to := r.IntN(counters), r.IntN(counters)
						for _, command := range [][]string{
							{"MULTI"}, {"INCRBY", "counter:" + strconv.Itoa(from), "1"},
							{"DECRBY", "counter:" + strconv.Itoa(to), "1"}, {"EXEC"},
						} {
							if v, err := c.Do(command...); err != nil || v.Err() != nil {
								t.Errorf("%v: %v %v", command, v, err)
								return
							}
						}
						args := []string{"MGET"}
						for n := range counters {
							args = append(args, "counter:"+strconv.Itoa(n))
						}
						v, err := kv.Do(args...)
						if err != nil {
							t.Error(err)
							return
						}
						sum := int64(0)
						for _, e := range v.Elems {
							if !e.Null {
								n, _ := strconv.ParseInt(string(e.Str), 10, 64)
								sum += n
							}
						}
						if sum != 0 {
							t.Errorf("half a transaction was seen: %v", v)
							return
						}
					}
				})
			}
			wg.Wait()
			v, err := kv.Do("DBSIZE")
			if err != nil || int(v.Int) < workers*rounds || int(v.Int) > workers*rounds+counters {
				t.Errorf("%v %v", v, err)
			}
		})
	}
}

// A command that waits for ever does not keep the store from closing.
func TestCloseWhileBlocked(t *testing.T) {
	kv := open(t, shards(2))
	blocked := make(chan error)
	go func() {
		_, err := kv.Do("WAIT", "1", "0")
		blocked <- err
	}()
	time.Sleep(50 * time.Millisecond)
	kv.Close()
	select {
	case err := <-blocked:
		if err != ErrClosed {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it still waits")
	}
}
