package familykit

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"hyperkv/engine"
	"hyperkv/internal/clock"
	"hyperkv/internal/testkit"
	"hyperkv/shard"
)

// Options says how Handlers are built. The zero value is one shard that goes by the
// machine's clock and keeps no record.
type Options struct {
	Shards int         // 0: one
	Clock  clock.Clock // nil: the machine's
	// Record keeps what the handlers tell the outside world, for Take.
	Record bool
}

// Handlers are the commands of some families on shards of their own, without a
// server around them. As a testkit.Target they open Clients. Safe for concurrent use.
type Handlers struct {
	Set   *shard.Set
	Table *engine.Table

	name string

	mu   sync.Mutex
	told Record // guarded by mu, because what expires is told by other goroutines
}

// NewHandlers builds Handlers that end with the test.
func NewHandlers(t testing.TB, o Options, families ...engine.Family) *Handlers {
	t.Helper()
	table, err := engine.NewTable(families...)
	if err != nil {
		t.Fatal(err)
	}
	shards := max(o.Shards, 1)
	h := &Handlers{Table: table, name: "handlers on " + strconv.Itoa(shards)}
	var hooks shard.Hooks
	if o.Record {
		hooks = shard.Hooks{Effects: h.effects, Event: h.event}
	}
	h.Set = shard.NewSet(shard.Options{
		Shards: shards, Databases: 16, Commands: len(table.All()), Seed: 1, Inline: true,
		Clock: o.Clock, Hooks: hooks,
	})
	t.Cleanup(h.Set.Close)
	return h
}

// Name implements testkit.Target.
func (h *Handlers) Name() string { return h.name }

// Dial implements testkit.Target.
func (h *Handlers) Dial(t testing.TB) testkit.Client { return h.Client(t) }

// Record is what handlers have told the outside world.
type Record struct {
	// Effects are commands as one would type them, and Events the letter of their
	// class, their name and their key: "$ set key".
	Effects, Events []string
	// All are both in the order in which they were told, each behind the number of
	// its database: "0! $ set key", then "0> SET key value".
	All []string
}

// Take returns what was told since it was last called. There is nothing to take
// without Options.Record.
func (h *Handlers) Take() Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	h.told = Record{}
	return told
}

func (h *Handlers) effects(_ []*shard.Shard, effects []shard.Effect) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range effects {
		words := make([]string, len(e.Args))
		for i, arg := range e.Args {
			words[i] = string(arg)
		}
		line := testkit.Quote(words...)
		h.told.Effects = append(h.told.Effects, line)
		h.told.All = append(h.told.All, fmt.Sprintf("%d> %s", e.Database, line))
	}
}

func (h *Handlers) event(_ *shard.Shard, database int, class shard.EventClass, name string, key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := fmt.Sprintf("%c %s %s", class, name, key)
	h.told.Events = append(h.told.Events, line)
	h.told.All = append(h.told.All, fmt.Sprintf("%d! %s", database, line))
}
