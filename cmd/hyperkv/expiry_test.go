package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"hyperkv/internal/invariant"
	"hyperkv/internal/testkit"
	"hyperkv/resp"
)

// A million keys that expire at the same moment are gone soon, and nobody who asks
// meanwhile waits for them.
func TestExpiryStampede(t *testing.T) {
	keys, stall, gone := 1_000_000, 10*time.Millisecond, 5*time.Second
	if testing.Short() || raceEnabled || invariant.Enabled {
		keys, stall, gone = 100_000, 250*time.Millisecond, 20*time.Second
	}
	if os.Getenv("HYPERKV_TEST_STRICT") == "" {
		// The machine may be busy with other tests: what is asked for here is that the
		// work is cut up at all.
		stall = max(stall, 100*time.Millisecond)
	}
	s := open(t, testkit.ServerOptions{Shards: 2, Inline: true})
	addr := s.net.Addr()[0]
	loader, pinger := dial(t, "tcp", addr), dial(t, "tcp", addr)
	var deadline time.Time
	for budget := 5 * time.Second; ; budget *= 2 { // a busy machine needs longer to load
		deadline = time.Now().Add(budget).Truncate(time.Millisecond)
		at := strconv.FormatInt(deadline.UnixMilli(), 10)
		load(t, loader, keys, func(i int) []string {
			return []string{"SET", "volatile:" + strconv.Itoa(i), "value-of-some-32-bytes-and-no-more", "PXAT", at}
		})
		if time.Until(deadline) > 200*time.Millisecond {
			break
		}
		if budget > time.Minute {
			t.Fatal("loading takes too long")
		}
	}
	expired := s.engine.Stats().Expired
	if n := ask(t, loader, "DBSIZE"); n != "(integer) "+strconv.Itoa(keys) {
		t.Fatalf("%s keys", n)
	}
	baseline := worstPing(t, pinger, time.Until(deadline.Add(-20*time.Millisecond)))
	var worst, took time.Duration
	for took == 0 {
		worst = max(worst, worstPing(t, pinger, time.Millisecond))
		if left := keysLeft(s); left == 0 && time.Now().After(deadline) {
			took = time.Since(deadline)
		} else if time.Since(deadline) > gone {
			t.Fatalf("%d of %d keys are left %v after their time", left, keys, time.Since(deadline))
		}
	}
	stats := s.engine.Stats()
	slice := time.Duration(s.engine.Shards.LongestExpirySlice())
	t.Logf("%d keys were gone %v after their time; the slowest PING took %v (%v before); mean lag %v ms, the worst below %v; the longest slice %v",
		keys, took, worst, baseline, float64(stats.LagSumMillis)/float64(max(stats.Expired, 1)), worstLag(stats.Lag[:]), slice)
	if n := stats.Expired - expired; n != uint64(keys) {
		t.Errorf("%d keys are counted as expired", n)
	}
	if worst > stall {
		t.Errorf("a PING took %v", worst)
	}
}

func keysLeft(s *server) (n int64) {
	for _, db := range s.engine.Stats().Databases {
		n += db.Keys
	}
	return n
}

// worstLag is the end of the last bucket in use: bucket i holds what is below 2^i ms.
func worstLag(buckets []uint64) time.Duration {
	for i := len(buckets) - 1; i >= 0; i-- {
		if buckets[i] > 0 {
			return time.Millisecond << i
		}
	}
	return 0
}

// worstPing asks until the time is over and returns the longest wait.
func worstPing(t *testing.T, c *testkit.Conn, d time.Duration) (worst time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); ; {
		began := time.Now()
		// GET, because PING needs no shard.
		if _, err := c.Do("GET", "somebody-else's-key"); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(began))
		if time.Now().After(end) {
			return worst
		}
	}
}

// load sends n commands in a pipeline and wants OK to each.
func load(t testing.TB, c *testkit.Conn, n int, command func(i int) []string) {
	t.Helper()
	const depth = 500
	var batch []byte
	for from := 0; from < n; from += depth {
		count := min(depth, n-from)
		batch = batch[:0]
		for i := range count {
			batch = resp.AppendCommandString(batch, command(from+i)...)
		}
		if err := c.Write(batch); err != nil {
			t.Fatal(err)
		}
		for range count {
			if v, err := c.Receive(10 * time.Second); err != nil || v.Err() != nil {
				t.Fatalf("%v, %v", v, err)
			}
		}
	}
}
