package embedded

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"hyperkv/resp"
)

// Producers and consumers over lists and sorted sets on all shards, with time-outs
// and CLIENT UNBLOCK: every element is delivered once or still there, and those of
// one producer arrive from one key in their order.
func TestBlockingCommandsUnderLoad(t *testing.T) {
	const producers, consumers, each = 3, 6, 400
	for _, settings := range []map[string]string{
		{"worker_threads": "1"}, {"worker_threads": "3"}, {"worker_threads": "7"}, {"worker_threads": "3", "shard_inline": "no"},
	} {
		t.Run(fmt.Sprint(settings), func(t *testing.T) {
			kv, err := Open(settings)
			if err != nil {
				t.Fatal(err)
			}
			defer kv.Close()
			lists := []string{"q0", "q1", "q2", "q3", "q4"}
			zsets := []string{"z0", "z1", "z2"}
			var mu sync.Mutex
			got := make(map[string]int)
			var making, taking sync.WaitGroup
			stop := make(chan struct{})
			for p := range producers {
				making.Go(func() {
					r := rand.New(rand.NewPCG(uint64(p), 1))
					c, err := kv.Client()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					for i := 0; i < each; i++ {
						element := fmt.Sprintf("%d-%d", p, i)
						var args []string
						switch r.IntN(4) {
						case 0:
							args = []string{"ZADD", zsets[r.IntN(len(zsets))], strconv.Itoa(i), element}
						case 1: // several at once, made visible by a transaction
							c.Do("MULTI")
							c.Do("RPUSH", lists[r.IntN(len(lists))], element)
							i++
							c.Do("RPUSH", lists[r.IntN(len(lists))], fmt.Sprintf("%d-%d", p, i))
							args = []string{"EXEC"}
						case 2: // into place
							tmp := "tmp" + strconv.Itoa(p)
							c.Do("RPUSH", tmp, element)
							args = []string{"LMOVE", tmp, lists[r.IntN(len(lists))], "LEFT", "RIGHT"}
						default:
							args = []string{"RPUSH", lists[r.IntN(len(lists))], element}
						}
						if v, err := c.Do(args...); err != nil || v.Kind == resp.KindError {
							t.Errorf("%v: %v %v", args, v, err)
							return
						}
					}
				})
			}
			for n := range consumers {
				taking.Go(func() {
					r := rand.New(rand.NewPCG(uint64(n), 2))
					c, err := kv.Client()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					id, _ := c.Do("CLIENT", "ID")
					last := make(map[string]int) // by key and producer
					take := func(key, element string) {
						producer, number, _ := strings.Cut(element, "-")
						i, _ := strconv.Atoi(number)
						at := key + " " + producer
						if before, seen := last[at]; seen && before >= i && key[0] == 'q' {
							t.Errorf("%s: %s after %d", key, element, before)
						}
						last[at] = i
						mu.Lock()
						got[element]++
						mu.Unlock()
					}
					for {
						select {
						case <-stop:
							return
						default:
						}
						timeout := "0.0" + strconv.Itoa(1+r.IntN(9))
						if r.IntN(4) == 0 {
							time.AfterFunc(time.Duration(r.IntN(4000))*time.Microsecond, func() {
								kv.Do("CLIENT", "UNBLOCK", strconv.FormatInt(id.Int, 10))
							})
						}
						own := "own" + strconv.Itoa(n)
						q := r.Perm(len(lists))
						var args []string
						switch r.IntN(4) {
						case 0:
							args = []string{"BLPOP", lists[q[0]], lists[q[1]], lists[q[2]], timeout}
						case 1:
							args = []string{"BLMPOP", timeout, "2", lists[q[0]], lists[q[1]], "LEFT", "COUNT", "3"}
						case 2:
							args = []string{"BLMOVE", lists[q[0]], own, "LEFT", "RIGHT", timeout}
						case 3:
							args = []string{"BZPOPMIN", zsets[r.IntN(3)], zsets[r.IntN(3)], timeout}
						}
						v, err := c.Do(args...)
						switch {
						case err != nil || v.Kind == resp.KindError:
							t.Errorf("%v: %v %v", args, v, err)
							return
						case v.Null:
						case args[0] == "BLMOVE":
							moved, _ := c.Do("LPOP", own)
							if string(moved.Str) != string(v.Str) {
								t.Errorf("moved %s, found %s", v.Str, moved.Str)
							}
							take(lists[q[0]], string(v.Str))
						case args[0] == "BLMPOP":
							for _, e := range v.Elems[1].Elems {
								take(string(v.Elems[0].Str), string(e.Str))
							}
						default:
							take(string(v.Elems[0].Str), string(v.Elems[1].Str))
						}
					}
				})
			}
			making.Wait()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				left, err := kv.Exists(append(append([]string(nil), lists...), zsets...)...)
				if err != nil || left == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Errorf("%d keys are not taken from", left)
					break
				}
			}
			close(stop)
			taking.Wait()
			for p := range producers {
				for i := range each {
					if n := got[fmt.Sprintf("%d-%d", p, i)]; n != 1 {
						t.Errorf("%d-%d was delivered %d times", p, i, n)
					}
				}
			}
			if v, err := kv.Do("DBSIZE"); err != nil || v.Int != 0 {
				t.Errorf("%v keys are left, %v", v, err)
			}
		})
	}
}
