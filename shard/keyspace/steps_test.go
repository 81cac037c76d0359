package keyspace

import (
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// BenchmarkSteps reports how long single steps take of filling a database, of
// letting its keys expire, and of compacting what is left. The maximum is the
// scheduler's on any machine that does other things too; idle-p9999 is what the
// same clock sees when nothing is done.
func BenchmarkSteps(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, keys := range []int{1 << 20, 1 << 22} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			for range b.N {
				d := New()
				var buf [16]byte
				steps := func(name string, n int, step func(i int)) {
					took := make([]time.Duration, n)
					for i := range n {
						start := time.Now()
						step(i)
						took[i] = time.Since(start)
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[n-1-n/1000])/1000, name+"-p999-µs")
					b.ReportMetric(float64(took[n-1-n/10000])/1000, name+"-p9999-µs")
				}
				steps("insert", keys, func(i int) {
					key := benchKey(&buf, uint64(i))
					d.PutBytes(Hash(key), key, benchValue, 1000+int64(i*7919%keys)/1000, 0)
				})
				steps("expire", keys*3/4, func(i int) {
					e := d.NextDue(1 << 40)
					d.Delete(e.Hash(), e)
				})
				steps("compact", 10_000, func(i int) { d.Compact(32) })
				steps("idle", keys, func(i int) { benchKey(&buf, uint64(i)) })
				d.Close()
			}
		})
	}
}
