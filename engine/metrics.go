package engine

import (
	"fmt"
	"io"
	"math"
	"sort"
	"time"

	"hyperkv/shard"
)

// WriteMetrics writes what the engine counts in the text format of Prometheus.
// It reads published counters only and never waits for a shard. Safe for
// concurrent use.
func (e *Engine) WriteMetrics(w io.Writer) {
	m := metricsWriter{w: w}
	m.family("hyperkv_up", "gauge", "Whether the server is up.")
	m.value("hyperkv_up", "", 1)
	m.family("hyperkv_build_info", "gauge", "The version of the server.")
	m.value("hyperkv_build_info", fmt.Sprintf("version=%q,redis_version=%q,node=%q", Version, RedisVersion, e.config.NodeID), 1)
	m.family("hyperkv_uptime_seconds", "gauge", "How long the server has been running.")
	m.value("hyperkv_uptime_seconds", "", time.Since(e.started).Seconds())

	m.single("hyperkv_connected_clients", "gauge", "Clients that are connected.", float64(e.ClientCount()))
	m.single("hyperkv_blocked_clients", "gauge", "Clients that wait in a blocking command or a pause.", float64(e.BlockedCount()))
	t := &e.Totals
	in, out := e.Traffic()
	m.single("hyperkv_connections_total", "counter", "Connections accepted or refused.", float64(t.ConnectionsReceived.Load()))
	m.single("hyperkv_rejected_connections_total", "counter", "Connections refused because of maxclients.", float64(t.ConnectionsRejected.Load()))
	m.single("hyperkv_net_input_bytes_total", "counter", "Bytes read from clients.", float64(in))
	m.single("hyperkv_net_output_bytes_total", "counter", "Bytes written to clients.", float64(out))
	m.single("hyperkv_output_limit_disconnections_total", "counter", "Clients closed because they left too much unread.", float64(t.OutputLimitClosed.Load()))
	m.single("hyperkv_input_limit_disconnections_total", "counter", "Clients closed because they sent too much at once.", float64(t.InputLimitClosed.Load()))

	stats := e.Stats()
	m.single("hyperkv_keyspace_hits_total", "counter", "Reads that found their key.", float64(stats.Hits))
	m.single("hyperkv_keyspace_misses_total", "counter", "Reads that did not find their key.", float64(stats.Misses))
	m.family("hyperkv_expired_total", "counter", "Keys, and members of collections, removed because their time had come.")
	m.value("hyperkv_expired_total", `kind="key"`, float64(stats.Expired))
	m.value("hyperkv_expired_total", `kind="member"`, float64(stats.ExpiredMembers))
	m.lag(&stats)
	m.errors(stats.Errors)
	m.databases(stats.Databases)
	m.single("hyperkv_memory_max_bytes", "gauge", "The limit on memory, 0 for none.", float64(e.limits.maxMemory.Load()))
	m.single("hyperkv_slowlog_length", "gauge", "Entries in the slow log.", float64(e.Slowlog.Len()))
	m.shards(e)
	m.commands(e)
}

// metricsWriter renders metrics; an error of the writer ends up with the reader.
type metricsWriter struct{ w io.Writer }

func (m metricsWriter) family(name, kind, help string) {
	fmt.Fprintf(m.w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (m metricsWriter) value(name, labels string, v float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(m.w, "%s%s %v\n", name, labels, v)
}

func (m metricsWriter) single(name, kind, help string, v float64) {
	m.family(name, kind, help)
	m.value(name, "", v)
}

func (m metricsWriter) lag(stats *shard.Stats) {
	const name = "hyperkv_expire_lag_seconds"
	m.family(name, "histogram", "How long after its deadline a key was removed.")
	var count uint64
	for i, n := range stats.Lag {
		count += n
		le := "+Inf"
		if i < shard.LagBuckets-1 {
			le = fmt.Sprint(math.Ldexp(1, i) / 1000)
		}
		m.value(name+"_bucket", fmt.Sprintf("le=%q", le), float64(count))
	}
	m.value(name+"_sum", "", float64(stats.LagSumMillis)/1000)
	m.value(name+"_count", "", float64(count))
}

func (m metricsWriter) errors(errors map[string]uint64) {
	prefixes := make([]string, 0, len(errors))
	for prefix := range errors {
		prefixes = append(prefixes, prefix)
	}
	sort.Strings(prefixes)
	m.family("hyperkv_error_replies_total", "counter", "Error replies by their prefix.")
	for _, prefix := range prefixes {
		m.value("hyperkv_error_replies_total", fmt.Sprintf("prefix=%q", prefix), float64(errors[prefix]))
	}
}

func (m metricsWriter) databases(databases []shard.DatabaseStats) {
	m.family("hyperkv_db_keys", "gauge", "Keys by database.")
	var bytes int64
	for i, db := range databases {
		bytes += db.Bytes
		if db.Keys > 0 || i == 0 {
			m.value("hyperkv_db_keys", fmt.Sprintf(`db="%d"`, i), float64(db.Keys))
		}
	}
	m.family("hyperkv_db_keys_expiring", "gauge", "Keys with an expiry by database.")
	for i, db := range databases {
		if db.Keys > 0 || i == 0 {
			m.value("hyperkv_db_keys_expiring", fmt.Sprintf(`db="%d"`, i), float64(db.Volatile))
		}
	}
	m.family("hyperkv_memory_used_bytes", "gauge", "Memory in use by class.")
	m.value("hyperkv_memory_used_bytes", `class="keyspace"`, float64(bytes))
}

func (m metricsWriter) shards(e *Engine) {
	m.family("hyperkv_shard_commands_total", "counter", "Commands run by shard.")
	for _, s := range e.Shards.Shards {
		m.value("hyperkv_shard_commands_total", fmt.Sprintf(`shard="%d"`, s.Index), float64(s.CommandCounter().Calls()))
	}
	m.family("hyperkv_shard_keys", "gauge", "Keys by shard.")
	for _, s := range e.Shards.Shards {
		var stats shard.Stats
		s.Stats(&stats)
		var keys int64
		for _, db := range stats.Databases {
			keys += db.Keys
		}
		m.value("hyperkv_shard_keys", fmt.Sprintf(`shard="%d"`, s.Index), float64(keys))
	}
}

// commands writes the counters and latencies of every command that has run.
func (m metricsWriter) commands(e *Engine) {
	type row struct {
		name  string
		stats shard.CommandStats
	}
	var rows []row
	for _, c := range e.Table.all {
		if st := e.CommandStats(c.id); st.Calls > 0 || st.Rejected > 0 || st.Failed > 0 {
			rows = append(rows, row{c.fullName, st})
		}
	}
	m.family("hyperkv_commands_total", "counter", "Commands run.")
	for _, r := range rows {
		m.value("hyperkv_commands_total", fmt.Sprintf("cmd=%q", r.name), float64(r.stats.Calls))
	}
	m.family("hyperkv_command_errors_total", "counter", "Commands that failed or were refused.")
	for _, r := range rows {
		m.value("hyperkv_command_errors_total", fmt.Sprintf(`cmd=%q,kind="failed"`, r.name), float64(r.stats.Failed))
		m.value("hyperkv_command_errors_total", fmt.Sprintf(`cmd=%q,kind="rejected"`, r.name), float64(r.stats.Rejected))
	}
	const name = "hyperkv_command_duration_seconds"
	m.family(name, "histogram", "Time spent in a command.")
	for _, r := range rows {
		var count uint64
		for b := range r.stats.Latency {
			count += uint64(r.stats.Latency[b])
			// One bucket per octave is enough for a board.
			if b%4 == 0 && b < shard.LatencyBuckets-1 {
				m.value(name+"_bucket", fmt.Sprintf(`cmd=%q,le="%v"`, r.name, float64(shard.LatencyBucketEnd(b))/1e9), float64(count))
			}
		}
		m.value(name+"_bucket", fmt.Sprintf(`cmd=%q,le="+Inf"`, r.name), float64(count))
		m.value(name+"_sum", fmt.Sprintf("cmd=%q", r.name), float64(r.stats.Nanos)/1e9)
		m.value(name+"_count", fmt.Sprintf("cmd=%q", r.name), float64(count))
	}
}
