package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestHyperKVHistories puts the workloads to the real binary in the arrangements in
// which transactions cross shards differently.
func TestHyperKVHistories(t *testing.T) {
	for _, opts := range []ServerOptions{{Shards: 1, Inline: true}, {Shards: 2, Inline: true}, {Shards: 2}, {Shards: 7, Inline: true}, {Shards: 7}} {
		t.Run(fmt.Sprintf("%dshards,inline=%v", opts.Shards, opts.Inline), func(t *testing.T) {
			network, addr := BinaryStarter(t, opts)
			for _, kind := range kinds {
				t.Run(kind.name, func(t *testing.T) {
					w := Workload{Network: network, Addr: addr, Duration: time.Second / 2, Seed: 1}
					tally, err := kind.run(w, context.Background())
					t.Log(tally)
					if err != nil {
						t.Fatal(err)
					}
				})
			}
		})
	}
}

// TestHyperKVAbuse: the real binary survives what clients can do to it.
func TestHyperKVAbuse(t *testing.T) {
	s := StartBinary(t, "--worker-threads", "3")
	a := Abuse{Network: s.Network, Addr: s.Addr, PID: s.PID, Duration: time.Second / 2, Connections: 1000, Seed: 1}
	if raceEnabled {
		a.MemoryMax = 512 << 20 // the race detector keeps a shadow of all memory
	}
	for _, kind := range abuses {
		t.Run(kind.name, func(t *testing.T) {
			a := a
			if kind.name == "one byte each" && !testing.Short() {
				a.Connections = 9_900 // max_connections is 10,000
			}
			toll, err := kind.run(a, context.Background())
			t.Log(toll)
			if err != nil {
				t.Fatalf("%v\n%s", err, s.Log())
			}
		})
	}
}
