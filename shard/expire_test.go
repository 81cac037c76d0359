//go:build linux

package shard

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hyperkv/internal/clock"
	"hyperkv/internal/invariant"
)

// A million keys with the same deadline go in slices that hold the shard for less
// than a millisecond of this thread's time, whatever else the machine does.
func TestExpirySlicesAreShort(t *testing.T) {
	keys := 1_000_000
	if testing.Short() || invariant.Enabled {
		keys = 100_000
	}
	now := clock.NewManual(1_000_000)
	set := newSet(Options{Shards: 1, Databases: 1, Commands: 1, Inline: true, Clock: now})
	s := set.Shards[0]
	s.turn.Store(turnHeld)
	call := s.Call()
	call.Now = now.NowMillis()
	for i := range keys {
		call.Begin(0, nil)
		call.DB.SetBytes(fmt.Appendf(nil, "key:%d", i), []byte("a value of thirty-two bytes, say"), 1_000_100)
	}
	now.Set(1_000_100)

	runtime.GC()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var longest, total time.Duration
	slices, long := 0, 0
	for next := int64(0); next != never; slices++ {
		began := threadTime(t)
		next = s.expireSlice()
		took := threadTime(t) - began
		longest, total = max(longest, took), total+took
		if took > time.Millisecond {
			long++
		}
	}
	t.Logf("%d keys in %d slices, %v in all, the longest %v", keys, slices, total, longest)
	if n := s.databases[0].Len(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	// The machine below this one may take time that is counted as ours.
	if (long > slices/200 || longest > 10*time.Millisecond) && !invariant.Enabled {
		t.Errorf("%d slices took more than 1 ms, the longest %v", long, longest)
	}
	s.databases[0].Close()
}

// threadTime is how long this thread has had a processor.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}
