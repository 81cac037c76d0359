package server

import (
	"fmt"

	"hyperkv/shard"
)

// hyperKV is the section about what other servers do not have.
func (r *report) hyperKV() {
	shards := r.e.Shards.Shards
	r.text("node_id", r.e.Config().NodeID)
	r.int("shards", int64(len(shards)))
	for _, s := range shards {
		var stats shard.Stats
		s.Stats(&stats)
		var keys, bytes int64
		for _, db := range stats.Databases {
			keys += db.Keys
			bytes += db.Bytes
		}
		fmt.Fprintf(r, "shard_%d:keys=%d,bytes=%d,ops=%d,hits=%d,misses=%d,expired=%d\r\n",
			s.Index, keys, bytes, s.CommandCounter().Calls(), stats.Hits, stats.Misses, stats.Expired)
	}
	heap := r.runtime()
	r.float("gc_cpu_fraction", heap.gcFraction, 6)
	r.float("gc_cpu_seconds", heap.gcSeconds, 6)
	r.uint("gc_cycles", heap.gcCycles)
	r.uint("heap_objects", heap.heapObjects)
	r.int("heap_bytes", heap.heapBytes)
	r.int("heap_idle_bytes", heap.heapIdle)
	r.uint("goroutines", heap.goroutines)
	r.int("arena_bytes", r.e.Shards.Bytes())
	stats := r.statistics()
	r.int("expire_lag_p50_msec", lagPercentile(stats, 50))
	r.int("expire_lag_p99_msec", lagPercentile(stats, 99))
	r.int("expire_lag_max_msec", lagPercentile(stats, 100))
	r.bool("active_expiry", r.e.Shards.ActiveExpiry.Load())
	r.int("slowlog_entries", int64(r.e.Slowlog.Len()))
	actions, left := r.e.PauseInfo()
	r.text("paused_actions", actions)
	r.int("paused_msec_left", max(left.Milliseconds(), 0))
}

// lagPercentile is the lag in milliseconds that so many percent of the expired
// keys did not exceed, as exactly as the buckets tell: rounded up to the end of
// the bucket, which is a power of two less one.
func lagPercentile(stats *shard.Stats, percent float64) int64 {
	b := percentileBucket(stats.Lag[:], percent)
	if b < 0 {
		return 0
	}
	return 1<<b - 1
}

// latencyPercentile is the time in nanoseconds that so many percent of the calls
// did not exceed, rounded up to the end of its bucket.
func latencyPercentile(s *shard.CommandStats, percent float64) int64 {
	b := percentileBucket(s.Latency[:], percent)
	if b < 0 {
		return 0
	}
	return shard.LatencyBucketEnd(b)
}

// percentileBucket is the bucket that the given percentile falls into, -1 when
// nothing was counted.
func percentileBucket[N uint32 | uint64](counts []N, percent float64) int {
	var total uint64
	for _, n := range counts {
		total += uint64(n)
	}
	if total == 0 {
		return -1
	}
	// The rank is rounded up: the 50th percentile of three values is the second.
	rank := uint64(percent / 100 * float64(total))
	if float64(rank) < percent/100*float64(total) {
		rank++
	}
	rank = min(max(rank, 1), total)
	var seen uint64
	for b, n := range counts {
		if seen += uint64(n); seen >= rank {
			return b
		}
	}
	return len(counts) - 1
}
