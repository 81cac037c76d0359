package testkit

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A kind is one of the workloads, and how much it must at least have done.
var kinds = []struct {
	name string
	run  func(Workload, context.Context) (Tally, error)
	torn time.Duration // patience with a broken server; Counter judges at the end only
}{
	{"Bank", Workload.Bank, 10 * time.Second},
	{"Counter", Workload.Counter, time.Second / 2},
	{"Visible", Workload.Visible, 10 * time.Second},
	{"Forward", Workload.Forward, 10 * time.Second},
	{"Linear", Workload.Linear, 10 * time.Second},
}

// TestHistories: a server that runs one command at a time passes.
func TestHistories(t *testing.T) {
	s := StartRedis(t)
	if s == nil {
		t.Skip("no redis-server")
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			w := Workload{Network: s.Network, Addr: s.Addr, Duration: time.Second / 2, Seed: 1}
			tally, err := kind.run(w, context.Background())
			t.Log(tally)
			if err != nil {
				t.Fatal(err)
			}
			if tally.Done < 50 || tally.Read < 1 {
				t.Error("too little was done to prove anything")
			}
		})
	}
}

// TestTornHistories: a server that takes transactions and commands over many keys
// apart is found out by each workload that is about them.
func TestTornHistories(t *testing.T) {
	s := StartRedis(t)
	if s == nil {
		t.Skip("no redis-server")
	}
	torn := newTearing(t, s.Addr)
	for _, kind := range kinds {
		if kind.name == "Forward" {
			continue // single keys stay right behind this proxy; see TestStaleReads
		}
		t.Run(kind.name, func(t *testing.T) {
			w := Workload{Network: "tcp", Addr: torn, Duration: kind.torn, Seed: 1}
			tally, err := kind.run(w, context.Background())
			if err == nil {
				t.Fatalf("passed: %v", tally)
			}
			if kind.name == "Linear" && !errors.Is(err, errNotLinearizable) {
				t.Error(err)
			}
			t.Logf("%v: %.300v", tally, err)
		})
	}
}

// TestStaleReads: a server that answers reads from an old state is found out.
func TestStaleReads(t *testing.T) {
	s := StartRedis(t)
	if s == nil {
		t.Skip("no redis-server")
	}
	w := Workload{Network: "tcp", Addr: newStale(t, s.Addr), Duration: 10 * time.Second, Seed: 1}
	if tally, err := w.Forward(context.Background()); err == nil {
		t.Errorf("Forward passed: %v", tally)
	}
	w.Addr = newStale(t, s.Addr)
	if tally, err := w.Linear(context.Background()); !errors.Is(err, errNotLinearizable) {
		t.Errorf("Linear: %v, %v", tally, err)
	}
}
