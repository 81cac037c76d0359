package server

import (
	"fmt"
	"runtime/debug"
	"strings"

	"hyperkv/engine"
	"hyperkv/engine/keys"
	"hyperkv/shard"
)

var memory = engine.Command{
	Name: "MEMORY", Arity: -2,
	Summary: "Shows what memory is used for.",
	Since:   "4.0.0", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "DOCTOR", Arity: 2, Session: memoryDoctor,
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Says in words what is wrong with the use of memory.",
		Since:   "4.0.0", Complexity: "O(1)",
	}, {
		Name: "MALLOC-STATS", Arity: 2, Run: memoryMallocStats, Scope: engine.ScopeAll,
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Shows where in the arenas the dataset is.",
		Since:   "4.0.0", Complexity: "O(N) with the number of databases",
	}, {
		Name: "PURGE", Arity: 2, Session: memoryPurge, Tips: everyNodeOf("all_shards"),
		Summary: "Gives memory that is not in use back to the system.",
		Since:   "4.0.0", Complexity: "Depends on how much there is to give back",
	}, {
		Name: "STATS", Arity: 2, Session: memoryStats,
		Tips:    []string{"nondeterministic_output", "request_policy:all_shards", "response_policy:special"},
		Summary: "Answers what memory is used for, in numbers.",
		Since:   "4.0.0", Complexity: "O(1)",
	}, keys.MemoryUsage, helpRow("", "4.0.0")},
}

func everyNodeOf(policy string) []string {
	return []string{"request_policy:" + policy, "response_policy:all_succeeded"}
}

// MEMORY STATS
func memoryStats(c *engine.Context) error {
	r := newReport(c.Engine)
	m := r.memoryNumbers()
	w := c.Reply
	at, n := w.Deferred(), 0
	number := func(name string, value int64) {
		w.BulkString(name)
		w.Int(value)
		n++
	}
	fraction := func(name string, value float64) {
		w.BulkString(name)
		w.Double(value)
		n++
	}
	number("peak.allocated", m.peak)
	number("total.allocated", m.used)
	number("startup.allocated", m.startup)
	repl := r.e.ReplicationState()
	number("replication.backlog", repl.BacklogLength)
	number("clients.slaves", repl.BufferBytes)
	number("clients.normal", m.clients)
	number("cluster.links", 0)
	number("aof.buffer", 0)
	number("lua.caches", 0)
	number("functions.caches", 0)
	for i, db := range r.statistics().Databases {
		if db.Keys > 0 {
			w.BulkString(fmt.Sprintf("db.%d", i))
			w.Map(2)
			w.BulkString("bytes")
			w.Int(db.Bytes)
			w.BulkString("keys")
			w.Int(db.Keys)
			n++
		}
	}
	number("overhead.total", m.overhead)
	number("keys.count", m.keys)
	number("keys.bytes-per-key", int64(ratio(m.data, m.keys)))
	number("dataset.bytes", m.data)
	fraction("dataset.percentage", 100*ratio(m.data, max(m.used-m.startup, m.data)))
	fraction("peak.percentage", 100*ratio(m.used, m.peak))
	number("allocator.allocated", m.used)
	number("allocator.active", m.allocated)
	number("allocator.resident", m.resident)
	fraction("allocator-fragmentation.ratio", ratio(m.allocated, m.used))
	number("allocator-fragmentation.bytes", m.allocated-m.used)
	fraction("allocator-rss.ratio", ratio(m.resident, m.allocated))
	number("allocator-rss.bytes", m.resident-m.allocated)
	fraction("rss-overhead.ratio", 1)
	number("rss-overhead.bytes", 0)
	fraction("fragmentation", ratio(m.resident, m.used))
	number("fragmentation.bytes", m.resident-m.used)
	w.SetMap(at, n)
	return nil
}

// What MEMORY DOCTOR finds worth a word.
const (
	doctorBytesMin    = 5 << 20  // below it nothing is wrong
	doctorSlackMin    = 10 << 20 // fragmentation below it does not matter
	doctorClientBytes = 200 << 10
)

// MEMORY DOCTOR
func memoryDoctor(c *engine.Context) error {
	r := newReport(c.Engine)
	m := r.memoryNumbers()
	return c.Reply.Verbatim("txt", diagnosis(&m, c.Engine.ClientCount(), c.Engine.MaxMemory()))
}

func diagnosis(m *memoryNumbers, clients, maxMemory int64) string {
	if m.data < doctorBytesMin {
		return "There is next to no data here, and so nothing to say about the memory that it takes.\n"
	}
	var found []string
	if ratio(m.peak, m.used) > 1.5 {
		found = append(found, "Peak: the dataset was once more than half as large again as it is now. Arenas that have emptied were given "+
			"back; what is left of the difference is in arenas that are partly in use.")
	}
	if ratio(m.resident, m.used) > 1.4 && m.resident-m.used > doctorSlackMin {
		found = append(found, "Resident size: the process occupies more than 1.4 times what its data and its heap need. After many "+
			"deletions that is free space inside arenas, which new keys will use; MEMORY PURGE returns what the Go heap holds in reserve.")
	}
	if ratio(m.heap, m.used) > 0.5 && m.heap > doctorSlackMin {
		found = append(found, "Heap: more than half of the memory is not data but buffers, of clients above all. CLIENT LIST shows which.")
	}
	if clients > 0 && m.clients/clients > doctorClientBytes {
		found = append(found, "Clients: they hold more than 200K of buffers on average. Somebody reads slowly, or sends or asks for "+
			"very much at a time. CLIENT LIST shows who.")
	}
	if maxMemory > 0 && ratio(m.data, maxMemory) > 0.9 {
		found = append(found, "Limit: more than 90% of maxmemory are in use. At the limit, writes that need more memory are refused.")
	}
	if len(found) == 0 {
		return "Nothing is wrong with the use of memory.\n"
	}
	return "What could be better about the use of memory:\n\n * " + strings.Join(found, "\n\n * ") + "\n"
}

// MEMORY MALLOC-STATS
//
// The arenas belong to their shards, so it takes all turns for a moment.
func memoryMallocStats(c *shard.Call) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d shards\n", allocator, len(c.Shards()))
	fmt.Fprintf(&b, "%4s %12s %12s %12s %12s %12s %14s\n", "db", "index", "records", "slack", "large", "expiry", "address space")
	for db := range c.Databases() {
		u := c.DatabaseUsage(db)
		if u.Mapped == 0 {
			continue
		}
		fmt.Fprintf(&b, "%4d %12d %12d %12d %12d %12d %14d\n", db, u.Index, u.Records, u.Slack, u.Large, u.Expiry, u.Mapped)
	}
	heap := readRuntime()
	fmt.Fprintf(&b, "Go heap: %d bytes in %d objects, %d bytes in reserve\n", heap.heapBytes, heap.heapObjects, heap.heapIdle)
	return c.Reply.Verbatim("txt", b.String())
}

// MEMORY PURGE
//
// The collection that goes with it runs beside the event loops.
func memoryPurge(c *engine.Context) error {
	go debug.FreeOSMemory()
	return c.Reply.OK()
}
