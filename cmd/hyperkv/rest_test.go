package main

import (
	"sync/atomic"
	"testing"
	"time"
)

// Reserves go back after work, once, and not while there is work.
func TestRest(t *testing.T) {
	var work, collections atomic.Uint64
	freed := make(chan time.Time, 10)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		rest(stop, work.Load, collections.Load, func() { freed <- time.Now() })
	}()
	began := time.Now()
	for time.Since(began) < 2*restAfter*restEvery {
		work.Add(2 * restWork)
		time.Sleep(10 * time.Millisecond)
	}
	busyUntil := time.Now()
	select {
	case at := <-freed:
		if at.Before(busyUntil) {
			t.Error("freed while there was work")
		}
	case <-time.After(10 * restAfter * restEvery):
		t.Fatal("not freed at rest")
	}
	select {
	case <-freed:
		t.Error("freed again without work in between")
	case <-time.After(2 * restAfter * restEvery):
	}
	collections.Add(1) // by a single large command
	select {
	case <-freed:
	case <-time.After(10 * restAfter * restEvery):
		t.Error("not freed after a collection")
	}
	close(stop)
	<-done
}
