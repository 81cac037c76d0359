package main

import (
	"runtime/debug"
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
// what the server has done.
func rest(stop <-chan struct{}, work func() uint64, free func()) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	var last uint64
	var freed time.Time
	idle, worked := 0, false
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
			if idle++; worked && idle >= restAfter && now.Sub(freed) >= restPause {
				free()
				freed, worked = now, false
			}
		}
	}
}

// freeHeap collects what is dead and returns all free pages.
func freeHeap() { debug.FreeOSMemory() }
