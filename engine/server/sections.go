package server

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"hyperkv/engine"
	"hyperkv/shard"
)

// build is what the Go tool noted about the program's source.
var build = sync.OnceValue(func() (b struct{ revision, dirty string }) {
	b.revision, b.dirty = strings.Repeat("0", 40), "0"
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range built.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) == 40:
			b.revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			b.dirty = "1"
		}
	}
	return b
})

func (r *report) server() {
	e := r.e
	uptime := time.Since(e.Started())
	executable, _ := os.Executable()
	supervised := "no"
	if os.Getenv("NOTIFY_SOCKET") != "" {
		supervised = "systemd"
	}
	r.text("redis_version", engine.RedisVersion)
	r.text("server_name", "hyperkv")
	r.text("hyperkv_version", engine.Version)
	r.text("redis_git_sha1", build().revision[:8])
	r.text("redis_git_dirty", build().dirty)
	r.text("redis_build_id", build().revision[8:24])
	r.text("redis_mode", "standalone")
	r.text("os", systemName())
	r.int("arch_bits", strconv.IntSize)
	r.text("monotonic_clock", "POSIX clock_gettime")
	r.text("multiplexing_api", multiplexer)
	r.text("atomicvar_api", "sync/atomic")
	r.text("gcc_version", "0.0.0")
	r.text("go_version", strings.TrimPrefix(runtime.Version(), "go"))
	r.int("process_id", int64(os.Getpid()))
	r.text("process_supervised", supervised)
	r.text("run_id", e.RunID())
	r.int("tcp_port", e.Params.Int("port"))
	r.int("server_time_usec", time.Now().UnixMicro())
	r.int("uptime_in_seconds", int64(uptime/time.Second))
	r.int("uptime_in_days", int64(uptime/(24*time.Hour)))
	r.int("hz", e.Params.Int("hz"))
	r.int("configured_hz", e.Params.Int("hz"))
	r.int("lru_clock", int64(shard.AccessClock(e.NowMillis())))
	r.text("executable", executable)
	r.text("config_file", e.Config().File)
	r.bool("io_threads_active", len(e.Shards.Shards) > 1)
}

func (r *report) clients() {
	e := r.e
	usage := r.clientUsage()
	r.int("connected_clients", e.ClientCount()-e.ReplicaCount())
	r.int("cluster_connections", 0)
	r.int("maxclients", e.Params.Int("maxclients"))
	r.int("client_recent_max_input_buffer", e.Totals.MaxInput.Load())
	r.int("client_recent_max_output_buffer", e.Totals.MaxOutput.Load())
	r.int("blocked_clients", e.BlockedCount())
	r.zeros("tracking_clients", "pubsub_clients")
	r.int("watching_clients", int64(usage.Watching))
	r.int("clients_in_timeout_table", e.BlockedCount())
	r.int("total_watched_keys", int64(usage.WatchedKeys))
	r.int("total_blocking_keys", r.statistics().WaitingKeys)
	r.int("total_blocking_keys_on_nokey", r.statistics().WaitingOnDeletion)
}

// memoryNumbers are the figures that INFO, MEMORY STATS and MEMORY DOCTOR share.
type memoryNumbers struct {
	data      int64 // the keyspace, exactly
	heap      int64 // objects in use on the Go heap
	heapFree  int64 // what the Go heap keeps for later
	used      int64 // data and heap
	peak      int64
	startup   int64
	resident  int64 // of the whole process
	overhead  int64 // used, but for data
	allocated int64 // data, and all of the Go heap that the system has lent
	clients   int64
	keys      int64
	volatile  int64
}

func (r *report) memoryNumbers() (m memoryNumbers) {
	e, heap := r.e, r.runtime()
	m.data = e.Shards.Bytes()
	// What is dead and not yet swept is in reserve, like what is free.
	m.heap = min(heap.heapLive, heap.heapBytes)
	m.heapFree = heap.heapIdle + heap.heapBytes - m.heap
	m.used = m.data + m.heap
	m.peak = max(m.used, e.Totals.PeakBytes.Load()+m.heap)
	m.startup = startupHeap
	m.overhead = m.used - m.data
	m.allocated = m.used + m.heapFree
	m.resident = max(residentBytes(), m.data)
	m.clients = r.clientUsage().Bytes
	for _, db := range r.statistics().Databases {
		m.keys += db.Keys
		m.volatile += db.Volatile
	}
	return m
}

func (r *report) memory() {
	e, m := r.e, r.memoryNumbers()
	r.bytes("used_memory", m.used)
	r.bytes("used_memory_rss", m.resident)
	r.bytes("used_memory_peak", m.peak)
	r.percent("used_memory_peak_perc", m.used, m.peak)
	r.int("used_memory_overhead", m.overhead)
	r.int("used_memory_startup", m.startup)
	r.int("used_memory_dataset", m.data)
	r.percent("used_memory_dataset_perc", m.data, max(m.used-m.startup, m.data))
	r.int("allocator_allocated", m.used)
	r.int("allocator_active", m.allocated)
	r.int("allocator_resident", m.resident)
	r.bytes("total_system_memory", systemMemory())
	r.bytes("used_memory_lua", 0)
	r.zeros("used_memory_vm_eval", "used_memory_scripts_eval", "number_of_cached_scripts", "number_of_functions",
		"number_of_libraries", "used_memory_vm_functions")
	r.bytes("used_memory_vm_total", 0)
	r.int("used_memory_functions", 0)
	r.bytes("used_memory_scripts", 0)
	r.bytes("maxmemory", e.MaxMemory())
	r.text("maxmemory_policy", e.Params.String("maxmemory-policy"))
	r.float("allocator_frag_ratio", ratio(m.allocated, m.used), 2)
	r.int("allocator_frag_bytes", m.allocated-m.used)
	r.float("allocator_rss_ratio", ratio(m.resident, m.allocated), 2)
	r.int("allocator_rss_bytes", m.resident-m.allocated)
	r.float("rss_overhead_ratio", 1, 2)
	r.int("rss_overhead_bytes", 0)
	r.float("mem_fragmentation_ratio", ratio(m.resident, m.used), 2)
	r.int("mem_fragmentation_bytes", m.resident-m.used)
	r.int("mem_not_counted_for_evict", m.heap)
	repl := e.ReplicationState()
	r.int("mem_replication_backlog", repl.BacklogLength)
	r.int("mem_total_replication_buffers", max(repl.BacklogLength, repl.BufferBytes))
	r.int("mem_clients_slaves", repl.BufferBytes)
	r.int("mem_clients_normal", m.clients)
	r.zeros("mem_cluster_links", "mem_aof_buffer")
	r.text("mem_allocator", allocator)
	r.zeros("active_defrag_running")
	r.int("lazyfree_pending_objects", int64(r.statistics().LazyPending))
	r.int("lazyfreed_objects", int64(r.statistics().LazyFreed))
}

// allocator is the name of what holds the dataset.
const allocator = "hyperkv-arena"

// persistence describes what keeps the data. Where Redis copies the process there is
// nothing to tell: copies of pages are zero.
func (r *report) persistence() {
	state, _ := r.e.DurabilityState()
	shots := &state.Snapshots
	running := func(reason engine.SnapshotReason) bool { return shots.Running && shots.Reason == reason }
	took := func(reason engine.SnapshotReason) int64 {
		if !running(reason) {
			return -1
		}
		return int64(time.Since(shots.Began).Seconds())
	}
	r.loading()
	r.zeros("current_cow_peak", "current_cow_size", "current_cow_size_age")
	r.text("current_fork_perc", "0.00")
	r.uint("current_save_keys_processed", shots.Keys)
	r.uint("current_save_keys_total", shots.KeysAtCut)
	r.uint("rdb_changes_since_last_save", r.statistics().Dirty-shots.Dirty)
	r.bool("rdb_bgsave_in_progress", running(engine.SnapshotSave))
	r.int("rdb_last_save_time", lastSaved(r.e).Unix())
	status := "ok"
	if shots.LastError != nil {
		status = "err"
	}
	r.text("rdb_last_bgsave_status", status)
	r.int("rdb_last_bgsave_time_sec", wholeSeconds(shots.LastTook))
	r.int("rdb_current_bgsave_time_sec", took(engine.SnapshotSave))
	r.uint("rdb_saves", shots.Count)
	r.zeros("rdb_last_cow_size", "rdb_last_load_keys_expired")
	r.uint("rdb_last_load_keys_loaded", shots.Loaded)
	r.bool("aof_enabled", state.Log)
	r.bool("aof_rewrite_in_progress", running(engine.SnapshotRewrite))
	r.bool("aof_rewrite_scheduled", shots.Scheduled)
	r.int("aof_last_rewrite_time_sec", wholeSeconds(shots.RewriteTook))
	r.int("aof_current_rewrite_time_sec", took(engine.SnapshotRewrite))
	r.text("aof_last_bgrewrite_status", status)
	r.uint("aof_rewrites", shots.Rewrites)
	r.zeros("aof_rewrites_consecutive_failures")
	if state.Failed == nil {
		r.text("aof_last_write_status", "ok")
	} else {
		r.text("aof_last_write_status", "err")
	}
	if state.Log {
		r.int("aof_current_size", state.Bytes)
		r.int("aof_base_size", shots.LastBytes)
		r.uint("aof_delayed_fsync", state.Delayed)
	}
	r.zeros("aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size")
	r.loadingProgress()
}

// loading is how far a dataset has come that is being loaded, behind the rest of the
// section; whether one is comes first.
func (r *report) loading() {
	_, loading := r.e.Loading()
	r.bool("loading", loading)
	r.int("async_loading", 0)
}

func (r *report) loadingProgress() {
	s, loading := r.e.Loading()
	if !loading {
		return
	}
	r.int("loading_start_time", s.Since.Unix())
	r.int("loading_total_bytes", s.Total)
	r.int("loading_rdb_used_mem", 0)
	r.int("loading_loaded_bytes", s.Loaded)
	r.float("loading_loaded_perc", 100*ratio(s.Loaded, s.Total), 2)
	r.int("loading_eta_seconds", int64(s.Left(time.Now())/time.Second))
}

// wholeSeconds is a time in seconds, or -1 if there was none.
func wholeSeconds(d time.Duration) int64 {
	if d == 0 {
		return -1
	}
	return int64(d.Seconds())
}

// threads lists the event loops, as Redis 8 lists its I/O threads.
func (r *report) threads() {
	for i, s := range r.e.Shards.Shards {
		r.text("io_thread_"+strconv.Itoa(i), "commands="+strconv.FormatUint(s.CommandCounter().Calls(), 10))
	}
}

func (r *report) stats() {
	e, t, stats := r.e, &r.e.Totals, r.statistics()
	commands, inRate, outRate := e.Rates()
	received, sent := e.Traffic()
	var errors uint64
	for _, n := range stats.Errors {
		errors += n
	}
	r.uint("total_connections_received", t.ConnectionsReceived.Load())
	r.uint("total_commands_processed", e.Calls())
	r.int("instantaneous_ops_per_sec", int64(commands))
	r.uint("total_net_input_bytes", received)
	r.uint("total_net_output_bytes", sent)
	repl := e.ReplicationState()
	r.uint("total_net_repl_input_bytes", repl.BytesIn)
	r.uint("total_net_repl_output_bytes", repl.BytesOut)
	r.float("instantaneous_input_kbps", inRate/1024, 2)
	r.float("instantaneous_output_kbps", outRate/1024, 2)
	r.text("instantaneous_input_repl_kbps", "0.00")
	r.text("instantaneous_output_repl_kbps", "0.00")
	r.uint("rejected_connections", t.ConnectionsRejected.Load())
	r.uint("sync_full", repl.FullSyncs)
	r.uint("sync_partial_ok", repl.PartialSyncs)
	r.uint("sync_partial_err", repl.RefusedPartial)
	r.uint("expired_subkeys", stats.ExpiredMembers)
	r.uint("expired_keys", stats.Expired)
	r.text("expired_stale_perc", "0.00")
	r.zeros("expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds", "evicted_keys")
	r.uint("evicted_clients", t.EvictedClients.Load())
	r.zeros("evicted_scripts", "total_eviction_exceeded_time", "current_eviction_exceeded_time")
	r.uint("keyspace_hits", stats.Hits)
	r.uint("keyspace_misses", stats.Misses)
	r.zeros("pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec", "total_forks",
		"migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses",
		"active_defrag_key_hits", "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time",
		"tracking_total_keys", "tracking_total_items", "tracking_total_prefixes")
	r.uint("unexpected_error_replies", repl.LeftOut)
	r.uint("total_error_replies", errors)
	r.zeros("dump_payload_sanitizations")
	r.uint("client_query_buffer_limit_disconnections", t.InputLimitClosed.Load())
	r.uint("client_output_buffer_limit_disconnections", t.OutputLimitClosed.Load())
	r.uint("acl_access_denied_auth", t.AuthFailures.Load())
	r.zeros("acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel")
}

func (r *report) cpu() {
	user, system := cpuSeconds()
	r.float("used_cpu_sys", system, 6)
	r.float("used_cpu_user", user, 6)
	r.text("used_cpu_sys_children", "0.000000")
	r.text("used_cpu_user_children", "0.000000")
}

func (r *report) modules() {}

func (r *report) cluster() { r.int("cluster_enabled", 0) }

// each calls visit for every command and subcommand that was ever asked for. The
// statistics are borrowed until visit returns.
func (r *report) each(visit func(c *engine.Command, s *shard.CommandStats)) {
	s := new(shard.CommandStats)
	for _, c := range byName(r.e.Table) {
		if *s = r.e.CommandStats(c.ID()); s.Calls > 0 || s.Failed > 0 || s.Rejected > 0 {
			visit(c, s)
		}
	}
}

// byName lists commands by name, each followed by its subcommands.
func byName(t *engine.Table) []*engine.Command {
	all := make([]*engine.Command, 0, len(t.All()))
	for _, c := range t.Commands() {
		all = append(all, c)
		for i := range c.Subcommands {
			all = append(all, &c.Subcommands[i])
		}
	}
	return all
}

func (r *report) commandStats() {
	r.each(func(c *engine.Command, s *shard.CommandStats) {
		each := 0.0
		if s.Calls > 0 {
			each = float64(s.Nanos) / 1000 / float64(s.Calls)
		}
		fmt.Fprintf(r, "cmdstat_%s:calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d\r\n",
			c.FullName(), s.Calls, s.Nanos/1000, each, s.Rejected, s.Failed)
	})
}

func (r *report) errorStats() {
	errors := r.statistics().Errors
	prefixes := make([]string, 0, len(errors))
	for prefix := range errors {
		prefixes = append(prefixes, prefix)
	}
	sort.Strings(prefixes)
	for _, prefix := range prefixes {
		r.text("errorstat_"+prefix, "count="+strconv.FormatUint(errors[prefix], 10))
	}
}

func (r *report) latencyStats() {
	if !r.e.Params.Bool("latency-tracking") {
		return
	}
	percentiles := r.e.Params.Percentiles()
	r.each(func(c *engine.Command, s *shard.CommandStats) {
		if s.Calls == 0 {
			return
		}
		parts := make([]string, len(percentiles))
		for i, p := range percentiles {
			nanos := latencyPercentile(s, p)
			parts[i] = "p" + strconv.FormatFloat(p, 'f', -1, 64) + "=" + strconv.FormatFloat(float64(nanos)/1000, 'f', 3, 64)
		}
		r.text("latency_percentiles_usec_"+c.FullName(), strings.Join(parts, ","))
	})
}

func (r *report) keyspace() {
	for i, db := range r.statistics().Databases {
		if db.Keys > 0 {
			fmt.Fprintf(r, "db%d:keys=%d,expires=%d,avg_ttl=%d,subexpiry=%d\r\n", i, db.Keys, db.Volatile, db.AverageTTL(), db.WithMembers)
		}
	}
}
