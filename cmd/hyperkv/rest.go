package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	restEvery = 200 * time.Millisecond
	// restAfter is how many looks in a row must find no work worth the name, which is
	// less than restWork.
	restAfter = 3
	restWork  = 20
	// restPause is the least time between two times that memory is given back.
	restPause = time.Second
)

// rest gives the reserves of the Go heap back to the system whenever the server
// has come to rest after work: what clients have needed for their bursts is
// then not held beside the data. It ends when stop is closed. work counts
// what the server has done, and collections how often its heap was collected: a single
// command may leave a great deal.
func rest(stop <-chan struct{}, work, collections func() uint64, free func()) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	var last uint64
	var freed time.Time
	idle, worked, collected := 0, false, collections()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			done := work()
			busy := done-last >= restWork
			last = done
			if busy {
				idle, worked = 0, true
				continue
			}
			if idle++; idle < restAfter || now.Sub(freed) < restPause {
				continue
			}
			if worked || collections() != collected {
				free()
				freed, worked, collected = now, false, collections()
			}
		}
	}
}

// heapCollections is how often the heap was collected.
func heapCollections() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample[:])
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0 // a name that this runtime does not know
	}
	return sample[0].Value.Uint64()
}

// freeHeap collects what is dead and returns all free pages.
func freeHeap() { debug.FreeOSMemory() }
