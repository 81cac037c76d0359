package keyspace

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"
)

// threadNanos returns the processor time of this thread: what a step costs,
// without what the scheduler of a busy machine adds.
func threadNanos() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// BenchmarkSteps reports the longest single steps of filling a database, of
// letting all its keys expire, and of emptying and compacting one.
func BenchmarkSteps(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, keys := range []int{1 << 20, 1 << 22} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			for range b.N {
				d := New()
				var buf [16]byte
				steps := func(name string, n int, step func(i int)) {
					longest, slow, all := int64(0), 0, threadNanos()
					before := all
					for i := range n {
						step(i)
						now := threadNanos()
						if took := now - before; took > 100_000 {
							slow++
							longest = max(longest, took)
						} else {
							longest = max(longest, took)
						}
						before = now
					}
					b.ReportMetric(float64(longest)/1000, name+"-max-µs")
					b.ReportMetric(float64(slow), name+"-over-100µs")
					b.ReportMetric(float64(before-all)/float64(n), name+"-ns")
				}
				steps("insert", keys, func(i int) {
					key := benchKey(&buf, uint64(i))
					d.PutBytes(Hash(key), key, benchValue, 1000+int64(i*7919%keys)/1000, 0)
				})
				steps("expire", keys*3/4, func(i int) {
					e := d.NextDue(1 << 40)
					d.Delete(e.Hash(), e)
				})
				steps("compact", 1000, func(i int) { d.Compact(100) })
				d.Close()
			}
		})
	}
}
