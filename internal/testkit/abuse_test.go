package testkit

import (
	"context"
	"testing"
	"time"
)

func TestAbuse(t *testing.T) {
	// Redis keeps what nobody reads unless it is told how much is too much.
	s := StartRedis(t, "--client-output-buffer-limit", "normal 8mb 4mb 5")
	if s == nil {
		t.Skip("no redis-server")
	}
	a := Abuse{Network: s.Network, Addr: s.Addr, PID: s.PID, Duration: time.Second / 2, Connections: 1000, Seed: 1}
	for _, kind := range abuses {
		t.Run(kind.name, func(t *testing.T) {
			toll, err := kind.run(a, context.Background())
			t.Log(toll)
			if err != nil {
				t.Fatalf("%v\n%s", err, s.Log())
			}
			if toll.Connections == 0 || toll.Served == 0 {
				t.Error("nothing was proved")
			}
		})
	}
}

// TestAbuseIsNoticed: a server that keeps everything, or stops, is found out.
func TestAbuseIsNoticed(t *testing.T) {
	s := StartRedis(t) // keeps everything for readers that never read
	if s == nil {
		t.Skip("no redis-server")
	}
	a := Abuse{Network: s.Network, Addr: s.Addr, PID: s.PID, MemoryMax: 64 << 20, LatencyMax: 300 * time.Millisecond}
	if toll, err := a.DeafReaders(context.Background()); err == nil {
		t.Errorf("a server without an output limit passed: %v", toll)
	}
	s.Stop()
	if toll, err := a.RandomBytes(context.Background()); err == nil {
		t.Errorf("a server that has ended passed: %v", toll)
	}
}
