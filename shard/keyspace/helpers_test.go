package keyspace

import (
	"testing"
	"time"
)

// eventually waits for something that another goroutine is about to do.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not come about in five seconds")
}

// effort scales how much a test does.
func effort(n int) int {
	if underRace {
		return n / 10
	}
	return n
}
