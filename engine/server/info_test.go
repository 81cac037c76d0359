package server

import (
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

func do(t testing.TB, c *engine.Client, line string) resp.Value {
	t.Helper()
	v, err := c.Do(strings.Fields(line)...)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

// Sections come in the order of Redis, each once, whatever was asked for.
func TestInfoSections(t *testing.T) {
	c := connect(t, testEngine(t, map[string]string{"worker_threads": "3"}))
	f := func(command string, want ...string) {
		t.Helper()
		var got []string
		text := do(t, c, command).Text()
		for line := range strings.SplitSeq(text, "\r\n") {
			if title, ok := strings.CutPrefix(line, "# "); ok {
				got = append(got, title)
			} else if line != "" && !strings.Contains(line, ":") {
				t.Errorf("%s: line %q has no name", command, line)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	preset := strings.Fields("Server Clients Memory Persistence Stats Replication CPU Modules Errorstats Cluster Keyspace HyperKV")
	all := strings.Fields("Server Clients Memory Persistence Threads Stats Replication CPU Modules Commandstats Errorstats Latencystats Cluster Keyspace HyperKV")
	f("INFO", preset...)
	f("INFO default", preset...)
	f("INFO all", all...)
	f("INFO everything", all...)
	f("INFO cpu all", all...)
	f("INFO cpu DEFAULT server", preset...)
	f("INFO memory SERVER server", "Server", "Memory")
	f("INFO nonesuch")
	f("INFO nonesuch cpu", "CPU")
	f("INFO default commandstats", strings.Fields("Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Cluster Keyspace HyperKV")...)
}

// Names that clients and exporters look for.
func TestInfoFields(t *testing.T) {
	c := connect(t, testEngine(t, map[string]string{"worker_threads": "2"}))
	for range 20 {
		do(t, c, "SET key value")
	}
	do(t, c, "SET key")
	time.Sleep(10 * time.Millisecond) // the loops publish when they rest
	values := make(map[string]string)
	for line := range strings.SplitSeq(do(t, c, "INFO everything").Text(), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			if _, twice := values[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			values[name] = value
		}
	}
	for _, name := range strings.Fields(`redis_version redis_mode os arch_bits process_id run_id tcp_port uptime_in_seconds hz
		configured_hz executable config_file connected_clients maxclients blocked_clients tracking_clients pubsub_clients
		watching_clients client_recent_max_input_buffer client_recent_max_output_buffer used_memory used_memory_human
		used_memory_rss used_memory_peak used_memory_overhead used_memory_startup used_memory_dataset used_memory_lua
		total_system_memory maxmemory maxmemory_policy mem_fragmentation_ratio mem_clients_normal mem_aof_buffer
		mem_replication_backlog mem_allocator lazyfree_pending_objects loading rdb_changes_since_last_save
		rdb_bgsave_in_progress rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec
		rdb_current_bgsave_time_sec aof_enabled aof_rewrite_in_progress aof_last_bgrewrite_status aof_last_write_status
		total_connections_received total_commands_processed instantaneous_ops_per_sec total_net_input_bytes
		total_net_output_bytes instantaneous_input_kbps rejected_connections sync_full sync_partial_ok sync_partial_err
		expired_keys expired_subkeys expired_stale_perc evicted_keys evicted_clients keyspace_hits keyspace_misses
		pubsub_channels pubsub_patterns pubsubshard_channels latest_fork_usec total_forks tracking_total_keys
		total_error_replies acl_access_denied_auth client_output_buffer_limit_disconnections role connected_slaves
		master_failover_state master_replid master_repl_offset repl_backlog_size used_cpu_sys used_cpu_user
		cluster_enabled server_name hyperkv_version shards gc_cpu_fraction gc_cpu_seconds heap_objects heap_bytes gc_cycles
		expire_lag_p50_msec expire_lag_p99_msec expire_lag_max_msec`) {
		if _, ok := values[name]; !ok {
			t.Errorf("INFO has no %s", name)
		}
	}
	f := func(name, want string) {
		t.Helper()
		if got := values[name]; !strings.HasPrefix(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	f("redis_version", engine.RedisVersion)
	f("server_name", "hyperkv")
	f("mem_allocator", "hyperkv-arena")
	f("shards", "2")
	f("db0", "keys=1,expires=0,avg_ttl=0,subexpiry=0")
	f("cmdstat_set", "calls=20,usec=")
	if !strings.HasSuffix(values["cmdstat_set"], ",rejected_calls=1,failed_calls=0") {
		t.Errorf("cmdstat_set is %q", values["cmdstat_set"])
	}
	f("errorstat_ERR", "count=1")
	f("total_error_replies", "1")
	f("latency_percentiles_usec_set", "p50=")
}

// INFO is asked for by every dashboard all the time.
func TestInfoIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip()
	}
	e := testEngine(t, map[string]string{"worker_threads": "8"})
	c := connect(t, e)
	do(t, c, "SET key value")
	best := time.Hour
	for range 50 {
		start := time.Now()
		infoText(e, []string{"everything"})
		best = min(best, time.Since(start))
	}
	t.Log("INFO everything took", best)
	// The promise is a millisecond; the rest is for the race detector.
	if best > 5*time.Millisecond {
		t.Errorf("INFO everything took %v", best)
	}
}

func TestHumanBytes(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := humanBytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	f(0, "0B")
	f(1023, "1023B")
	f(1024, "1.00K")
	f(916512, "895.03K")
	f(25276510208, "23.54G")
	f(1<<60, "1024.00P")
}

func TestPercentileBucket(t *testing.T) {
	f := func(percent float64, want int, counts ...uint64) {
		t.Helper()
		if got := percentileBucket(counts, percent); got != want {
			t.Errorf("%v of %v: got %d, want %d", percent, counts, got, want)
		}
	}
	f(50, -1)
	f(50, -1, 0, 0)
	f(0, 1, 0, 1, 1)
	f(50, 0, 1, 1)
	f(50, 1, 1, 1, 1)
	f(99, 2, 98, 0, 2)
	f(99, 0, 99, 0, 1)
	f(100, 2, 99, 0, 1)
}

func BenchmarkInfo(b *testing.B) {
	for _, sections := range []string{"default", "everything"} {
		b.Run(sections, func(b *testing.B) {
			e := testEngine(b, map[string]string{"worker_threads": "2"})
			c := connect(b, e)
			do(b, c, "SET key value")
			b.ReportAllocs()
			for b.Loop() {
				infoText(e, []string{sections})
			}
		})
	}
}
