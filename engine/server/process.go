package server

import (
	"runtime"
	"runtime/metrics"
)

// runtimeStats is what the Go runtime counts. Reading it stops nobody.
type runtimeStats struct {
	heapBytes   int64 // objects, live or not yet swept
	heapLive    int64 // objects that the last collection found in use
	heapIdle    int64 // lent by the system and not holding objects
	heapObjects uint64
	gcCycles    uint64
	gcSeconds   float64 // CPU time of the collector
	gcFraction  float64 // its share of all CPU time that was there
	goroutines  uint64
}

var runtimeNames = []string{
	"/memory/classes/heap/objects:bytes",
	"/memory/classes/heap/unused:bytes",
	"/memory/classes/heap/free:bytes",
	"/gc/heap/objects:objects",
	"/gc/cycles/total:gc-cycles",
	"/cpu/classes/gc/total:cpu-seconds",
	"/cpu/classes/total:cpu-seconds",
	"/sched/goroutines:goroutines",
	"/gc/heap/live:bytes",
}

func readRuntime() *runtimeStats {
	samples := make([]metrics.Sample, len(runtimeNames))
	for i, name := range runtimeNames {
		samples[i].Name = name
	}
	metrics.Read(samples)
	count := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a name that this runtime does not know
		}
		return samples[i].Value.Uint64()
	}
	seconds := func(i int) float64 {
		if samples[i].Value.Kind() != metrics.KindFloat64 {
			return 0
		}
		return samples[i].Value.Float64()
	}
	s := &runtimeStats{
		heapBytes:   int64(count(0)),
		heapIdle:    int64(count(1) + count(2)),
		heapObjects: count(3),
		gcCycles:    count(4),
		gcSeconds:   seconds(5),
		goroutines:  count(7),
		heapLive:    int64(count(8)),
	}
	if s.heapLive == 0 { // nothing was collected yet
		s.heapLive = s.heapBytes
	}
	if total := seconds(6); total > 0 {
		s.gcFraction = s.gcSeconds / total
	}
	return s
}

// startupHeap is what the Go heap held before there was a server.
var startupHeap = readRuntime().heapBytes

// genericSystemName is what is known of the system without asking it.
func genericSystemName() string { return runtime.GOOS + " " + runtime.GOARCH }
