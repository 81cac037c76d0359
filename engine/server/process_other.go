//go:build !linux

package server

import "runtime/metrics"

const multiplexer = "kqueue"

// residentBytes is what the Go runtime has from the system; the arenas add to it.
func residentBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(sample[0].Value.Uint64())
}

// cpuSeconds is the CPU time that the Go runtime has accounted for.
func cpuSeconds() (user, system float64) {
	sample := []metrics.Sample{{Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64 {
		return 0, 0
	}
	return sample[0].Value.Float64(), 0
}

func systemMemory() int64 { return 0 }

func systemName() string { return genericSystemName() }
