package netio

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// Loops that share a processor take turns of some reads, not of the scheduler's
// ten milliseconds.
func TestCrowdedLoopsTakeTurns(t *testing.T) {
	const perConn, readBytes = 64 << 10, 1 << 10
	var mu sync.Mutex
	var order []int // the loop of each read
	backend := &toy{feed: func(s *toySession, data []byte) {
		for began := time.Now(); time.Since(began) < 100*time.Microsecond; {
		}
		mu.Lock()
		order = append(order, s.index)
		mu.Unlock()
	}}
	s := serve(t, backend, Options{Loops: 2, ReadBufferBytes: readBytes})
	var conns []net.Conn
	for range 8 {
		conns = append(conns, dial(t, s))
	}
	eventually(t, "all connections open", func() bool { return backend.opened.Load() == 8 })
	release := make(chan struct{})
	for i := range 2 {
		if err := s.Execute(i, func() { <-release }); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns {
		if _, err := c.Write(make([]byte, perConn)); err != nil {
			t.Fatal(err)
		}
	}
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	s.ShareProcessors(1, 2)
	close(release)
	eventually(t, "half of the reads", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) >= len(conns)*perConn/readBytes/2
	})
	mu.Lock()
	defer mu.Unlock()
	var turns []int // how many reads in a row
	for i, run := 1, 1; i < len(order); i++ {
		if order[i] == order[i-1] {
			run++
			continue
		}
		turns = append(turns, run)
		run = 1
	}
	if slices.Sort(turns); len(turns) < 4 || turns[len(turns)/2] > 4*readsPerTurn {
		t.Errorf("reads in a row: %v", turns)
	}
}
