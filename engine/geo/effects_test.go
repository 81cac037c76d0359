package geo_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"hyperkv/engine"
	"hyperkv/engine/embedded"
	"hyperkv/internal/clock"
	"hyperkv/internal/config"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// A recorder notes what a server says that it did. Safe for concurrent use.
type recorder struct {
	mu      sync.Mutex // effects come from whoever holds a shard
	effects []string
}

func (r *recorder) sink(_ []*shard.Shard, effects []shard.Effect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range effects {
		words := make([]string, len(e.Args))
		for i, arg := range e.Args {
			words[i] = string(bytes.Clone(arg))
		}
		r.effects = append(r.effects, testkit.Quote(words...))
	}
}

// take returns what was noted since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.effects
	r.effects = nil
	return all
}

func newServer(t testing.TB, shards int, r *recorder) *engine.Client {
	t.Helper()
	cfg, err := config.FromMap(map[string]string{"worker_threads": fmt.Sprint(shards)})
	if err != nil {
		t.Fatal(err)
	}
	o := engine.Options{Config: cfg, Families: embedded.Families(), Seed: 1, Clock: clock.NewManual(1_000_000)}
	if r != nil {
		o.Effects = r.sink
	}
	e, err := engine.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		e.Close()
	})
	return c
}

// What is recorded of a command, and nothing when nothing has changed.
func TestEffects(t *testing.T) {
	const base = "GEOADD k 13.361389 38.115556 Palermo 15.087269 37.502669 Catania"
	same := func(command string) []string { return []string{command} }
	for _, test := range []struct {
		command string
		effects []string
	}{
		{base, nil},
		{"GEOADD k NX 1 1 Palermo", nil},
		{"GEOADD k XX 1 1 Rome", nil},
		{"GEOADD none XX 1 1 Rome", nil},
		{"GEOADD k CH 1 1 Palermo", same("GEOADD k CH 1 1 Palermo")},
		{"GEOPOS k Palermo", nil},
		{"GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km", nil},
		{"GEORADIUS k 15 37 200 km", nil},
		{"GEORADIUS k 15 37 200 km STORE d", same("GEORADIUS k 15 37 200 km STORE d")},
		{"GEORADIUS k 0 0 1 m STORE d", nil},
		{"GEORADIUS k 0 0 1 m STORE k", same("GEORADIUS k 0 0 1 m STORE k")},
		{"GEOSEARCHSTORE d k FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST", same("GEOSEARCHSTORE d k FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST")},
		{"GEOSEARCHSTORE d none FROMLONLAT 15 37 BYRADIUS 200 km", nil},
		{"GEOSEARCHSTORE k none FROMLONLAT 15 37 BYRADIUS 200 km", same("GEOSEARCHSTORE k none FROMLONLAT 15 37 BYRADIUS 200 km")},
	} {
		for _, shards := range []int{1, 3} {
			r := &recorder{}
			c := newServer(t, shards, r)
			for _, line := range []string{base, test.command} {
				r.take()
				words, err := testkit.Split(line)
				if err != nil {
					t.Fatal(err)
				}
				if v, err := c.Do(words...); err != nil || v.Err() != nil {
					t.Fatalf("%s: %v %v", line, v, err)
				}
			}
			if have := r.take(); !slices.Equal(have, test.effects) {
				t.Errorf("%s: effects %q, want %q", test.command, have, test.effects)
			}
		}
	}
}
