package embedded

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"hyperkv/internal/invariant"
)

// less is n, or a tenth of it where every step checks its invariants.
func less(n int) int {
	if invariant.Enabled {
		return n / 10
	}
	return n
}

// settles waits until the memory that the shards report is what a test expects:
// flushing may go on behind the reply, and so may giving memory back.
func (kv *KV) settles(t *testing.T, what string, ok func(bytes int64) bool) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		bytes := kv.engine.Shards.Bytes()
		if ok(bytes) {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%s: %d bytes", what, bytes)
		}
	}
}

func isZero(bytes int64) bool { return bytes == 0 }

// Whatever was done, once the data is gone its memory is, too.
func TestMemoryReturns(t *testing.T) {
	fill := func(t *testing.T, kv *KV) {
		t.Helper()
		r := rand.New(rand.NewPCG(1, 2))
		c, err := kv.Client()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range less(20_000) {
			key := "key:" + strconv.Itoa(r.IntN(8000))
			var args []string
			switch r.IntN(12) {
			case 0:
				args = []string{"SELECT", strconv.Itoa(r.IntN(3))}
			case 1:
				args = []string{"APPEND", key, strings.Repeat("a", r.IntN(3000))}
			case 2:
				args = []string{"SETRANGE", key, strconv.Itoa(r.IntN(100_000)), "x"}
			case 3:
				args = []string{"DEL", key}
			case 4:
				args = []string{"PEXPIRE", key, strconv.Itoa(1 + r.IntN(100_000))}
			case 5:
				args = []string{"RENAME", key, "key:" + strconv.Itoa(r.IntN(8000))}
			case 6:
				args = []string{"COPY", key, "copy:" + strconv.Itoa(i)}
			case 7:
				args = []string{"MOVE", key, strconv.Itoa(r.IntN(3))}
			default:
				args = []string{"SET", key, strings.Repeat("v", r.IntN(200))}
			}
			if _, err := c.Do(args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, empty := range map[string]func(t *testing.T, kv *KV){
		"FLUSHALL":       func(t *testing.T, kv *KV) { kv.Do("FLUSHALL") },
		"FLUSHALL ASYNC": func(t *testing.T, kv *KV) { kv.Do("FLUSHALL", "ASYNC") },
		"MULTI": func(t *testing.T, kv *KV) {
			c, err := kv.Client()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, command := range []string{"MULTI", "SWAPDB 0 7", "FLUSHALL", "SWAPDB 7 3", "EXEC"} {
				if _, err := c.Do(strings.Fields(command)...); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			kv := open(t, shards(3))
			kv.settles(t, "at the start", isZero)
			fill(t, kv)
			kv.settles(t, "when full", func(bytes int64) bool { return bytes > 1<<18 })
			empty(t, kv)
			kv.settles(t, "afterwards", isZero)
			if v, err := kv.Do("DBSIZE"); err != nil || v.Int != 0 {
				t.Errorf("%v %v", v, err)
			}
			fill(t, kv) // and again, in what was given back
		})
	}
}

// Key by key, or by time, the memory shrinks to nothing without a flush.
func TestMemoryShrinks(t *testing.T) {
	keys := less(100_000)
	for name, remove := range map[string]func(t *testing.T, kv *KV){
		"by DEL": func(t *testing.T, kv *KV) {
			var batch []string
			for i := range keys {
				if batch = append(batch, fmt.Sprintf("key:%d", i)); len(batch) == 100 {
					if n, err := kv.Delete(batch...); n != 100 || err != nil {
						t.Fatal(n, err)
					}
					batch = batch[:0]
				}
			}
		},
		"by expiry": func(t *testing.T, kv *KV) {
			for i := range keys {
				if ok, err := kv.Expire(fmt.Sprintf("key:%d", i), time.Duration(i%100)*time.Millisecond); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			kv := open(t, shards(3))
			for i := range keys {
				if err := kv.Set(fmt.Sprintf("key:%d", i), make([]byte, i%300)); err != nil {
					t.Fatal(err)
				}
			}
			full := kv.engine.Shards.Bytes()
			remove(t, kv)
			kv.settles(t, fmt.Sprintf("of %d bytes", full), isZero)
			if v, err := kv.Do("DBSIZE"); err != nil || v.Int != 0 {
				t.Errorf("%v %v", v, err)
			}
		})
	}
}
