package config

import (
	"math"
	"time"
)

// Sections of the documentation.
const (
	secListen  = "Listening and connections"
	secAccess  = "Access"
	secEngine  = "Shards and memory"
	secExpiry  = "Expiry and eviction"
	secPersist = "Persistence"
	secCluster = "Cluster and replication"
	secTLS     = "TLS"
	secLogs    = "Logs and process"
	secAdmin   = "Metrics and profiling"
	secObserve = "Slow log and latency"
	secTypes   = "Encodings of data types"
	secRedis   = "Other parameters of Redis"
)

var sections = []string{secListen, secAccess, secEngine, secExpiry, secPersist, secCluster, secTLS, secLogs, secAdmin, secObserve, secTypes, secRedis}

var (
	seconds      = duration{unit: time.Second, grain: time.Second, max: math.MaxInt32}
	milliseconds = duration{unit: time.Millisecond, grain: time.Millisecond, max: math.MaxInt64}
	fineSeconds  = duration{unit: time.Second, grain: time.Millisecond, max: math.MaxInt32 * 1000}
	portNumber   = integer{max: math.MaxUint16}
	guard        = choice{words: []string{"no", "yes", "local"}, loose: map[string]string{
		"true": "yes", "on": "yes", "1": "yes", "false": "no", "off": "no", "0": "no"}}
)

// evictionPolicies: Redis' list, then what only HyperKV has. The short names
// of the shipped file mean the policies over all keys.
var evictionPolicies = choice{
	words: []string{"volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
		"allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"},
	silent: []string{"allkeys-arc", "volatile-arc"},
	same:   map[string]string{"lru": "allkeys-lru", "lfu": "allkeys-lfu", "arc": "allkeys-arc", "random": "allkeys-random"},
}

var logLevels = choice{
	words:  []string{"debug", "verbose", "notice", "warning", "nothing"},
	silent: []string{"error"},
	loose:  map[string]string{"info": "notice", "warn": "warning", "trace": "debug"},
}

// ownKeys are the settings that act, and the ones the shipped file names.
func ownKeys() []Key {
	return []Key{
		{Name: "host", Redis: "bind", Section: secListen, Default: "127.0.0.1", syntax: addresses{},
			field:   func(c *Config) any { return &c.Host },
			Fixed:   "Failed to bind to specified addresses. Listeners do not change while the server runs: set host and restart.",
			Meaning: "Addresses to accept clients on, separated by spaces. `*` is every interface; an address with `-` in front may be missing on this machine."},
		{Name: "port", Section: secListen, Redis: "port", Default: "6379", syntax: portNumber,
			field:   func(c *Config) any { return &c.Port },
			Fixed:   "Unable to listen on this port. Listeners do not change while the server runs: set port and restart.",
			Meaning: "TCP port for clients. 0 turns TCP off."},
		{Name: "unixsocket", Section: secListen, Redis: "unixsocket", Immutable: true, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.UnixSocket },
			Meaning: "Path of a Unix socket for clients. Empty turns it off."},
		{Name: "unixsocketperm", Section: secListen, Redis: "unixsocketperm", Default: "0", Immutable: true, syntax: octal{max: 0o777},
			field:   func(c *Config) any { return &c.UnixSocketPerm },
			Meaning: "Mode of the Unix socket, in octal. 0 leaves it to the umask."},
		{Name: "tcp_backlog", Section: secListen, Redis: "tcp-backlog", Default: "511", Immutable: true, syntax: integer{max: math.MaxInt32},
			field:   func(c *Config) any { return &c.TCPBacklog },
			Meaning: "Connections the kernel may hold back until they are accepted; the system's own limit applies too."},
		{Name: "tcp_keepalive", Section: secListen, Redis: "tcp-keepalive", Default: "300", syntax: seconds,
			field:   func(c *Config) any { return &c.TCPKeepalive },
			Meaning: "Interval of TCP keepalive probes. 0 turns them off."},
		{Name: "timeout", Section: secListen, Redis: "timeout", Default: "0", syntax: seconds,
			field:   func(c *Config) any { return &c.Timeout },
			Meaning: "Idle time after which a client is disconnected. 0 never does."},
		{Name: "max_connections", Section: secListen, Redis: "maxclients", Default: "10000", syntax: integer{min: 1, max: math.MaxUint32},
			field:   func(c *Config) any { return &c.MaxConnections },
			Meaning: "Clients connected at the same time. The limit of open files is raised to fit, or this number is lowered with a message."},
		{Name: "proto_max_bulk_len", Section: secListen, Redis: "proto-max-bulk-len", Default: "536870912", syntax: size{min: 1 << 20, max: math.MaxInt64},
			field:   func(c *Config) any { return &c.ProtoMaxBulkLen },
			Meaning: "Largest single argument, and largest string value."},
		{Name: "client_query_buffer_limit", Section: secListen, Redis: "client-query-buffer-limit", Default: "1073741824", syntax: size{min: 1 << 20, max: math.MaxInt64},
			field:   func(c *Config) any { return &c.ClientQueryBufferLimit },
			Meaning: "Input of one client that may wait unparsed; above it the client is disconnected."},
		{Name: "client_output_buffer_limit", Section: secListen, Redis: "client-output-buffer-limit", syntax: outputLimits{},
			Default: "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
			field:   func(c *Config) any { return &c.ClientOutputBufferLimit },
			Meaning: "Replies that may wait for one client, per class (`normal`, `replica`, `pubsub`): hard limit, soft limit, and the seconds it may stay above the soft one. 0 is no limit."},

		{Name: "auth_password", Section: secAccess, Redis: "requirepass", Secret: true, Sensitive: true, syntax: text{},
			field:   func(c *Config) any { return &c.AuthPassword },
			Meaning: "Password of the default user. Empty lets everybody in who can connect."},
		{Name: "enable_debug_command", Section: secAccess, Redis: "enable-debug-command", Default: "no", Immutable: true, syntax: guard,
			field:   func(c *Config) any { return &c.EnableDebugCommand },
			Meaning: "Who may use DEBUG: nobody (`no`), everybody (`yes`), or clients of this machine (`local`)."},
		{Name: "enable_protected_configs", Section: secAccess, Redis: "enable-protected-configs", Default: "no", Immutable: true, syntax: guard,
			field:   func(c *Config) any { return &c.EnableProtectedConfigs },
			Meaning: "Who may change protected parameters (dir, dbfilename) with CONFIG SET: `no`, `yes` or `local`."},
		{Name: "enable_module_command", Section: secAccess, Redis: "enable-module-command", Default: "no", Immutable: true, Effect: Stored, syntax: guard,
			field:   func(c *Config) any { return &c.EnableModuleCommand },
			Meaning: "Who may use MODULE. HyperKV loads no modules."},
		{Name: "protected_mode", Section: secAccess, Redis: "protected-mode", Default: "no", syntax: yesNo{}, Effect: Unavailable,
			Missing: "protected mode is not available in this version (listen on 127.0.0.1 or set auth_password)",
			Meaning: "Refuse clients from other machines while no password is set."},

		{Name: "worker_threads", Section: secEngine, Also: "shards", Default: "0", Immutable: true, syntax: integer{max: 1024},
			field:   func(c *Config) any { return &c.WorkerThreads },
			Meaning: "Number of shards, each with its own event loop. 0 is one per core."},
		{Name: "shard_inline", Section: secEngine, Default: "yes", Immutable: true, syntax: yesNo{},
			field:   func(c *Config) any { return &c.ShardInline },
			Meaning: "Let an event loop run a batch for another shard itself when that shard is idle. With `no` every such batch goes through the shard's mailbox."},
		{Name: "databases", Section: secEngine, Redis: "databases", Default: "16", Immutable: true, syntax: integer{min: 1, max: 1 << 16},
			field:   func(c *Config) any { return &c.Databases },
			Meaning: "Number of databases for SELECT."},
		{Name: "max_memory", Section: secEngine, Redis: "maxmemory", Default: "0", syntax: size{max: math.MaxInt64},
			field:   func(c *Config) any { return &c.MaxMemory },
			Meaning: "Memory for the dataset. When it is used up, writes that need more are refused. 0 is no limit."},
		{Name: "lazyfree_lazy_user_del", Section: secEngine, Redis: "lazyfree-lazy-user-del", Default: "no", Effect: Stored, syntax: yesNo{},
			Meaning: "Make DEL free memory in the background, as UNLINK does."},
		{Name: "lazyfree_lazy_user_flush", Section: secEngine, Redis: "lazyfree-lazy-user-flush", Default: "no", Effect: Stored, syntax: yesNo{},
			Meaning: "Make FLUSHDB and FLUSHALL without an option free memory in the background."},
		{Name: "lazyfree_lazy_server_del", Section: secEngine, Redis: "lazyfree-lazy-server-del", Default: "yes", syntax: yesNo{},
			Meaning: "Tell log and replicas UNLINK, and not DEL, of keys that a command has removed as a consequence. Here, memory is freed in slices in any case."},
		{Name: "lazyfree_lazy_expire", Section: secEngine, Redis: "lazyfree-lazy-expire", Default: "yes", syntax: yesNo{},
			Meaning: "Tell log and replicas UNLINK, and not DEL, of keys that have expired. Here, memory is freed in slices in any case."},
		{Name: "lazyfree_lazy_eviction", Section: secEngine, Redis: "lazyfree-lazy-eviction", Default: "no", Effect: Stored, syntax: yesNo{},
			Meaning: "Free values of evicted keys in the background."},

		{Name: "ttl_check_interval", Section: secExpiry, Default: "1", syntax: duration{unit: time.Second, grain: time.Millisecond, min: 1, max: 3600_000},
			field: func(c *Config) any { return &c.TTLCheckInterval }, Immutable: true,
			Meaning: "Longest time between two looks at the expiry order. Expiry itself is exact: a timer is set for the earliest deadline."},
		{Name: "max_keys_per_ttl_check", Section: secExpiry, Default: "100", syntax: integer{min: 1, max: 1_000_000},
			field: func(c *Config) any { return &c.MaxKeysPerTTLCheck }, Immutable: true,
			Meaning: "Keys that one slice of expiry removes before it looks at the clock again."},
		{Name: "eviction_policy", Section: secExpiry, Redis: "maxmemory-policy", Default: "noeviction", syntax: evictionPolicies, Effect: Unavailable,
			Missing: "eviction is not available in this version: only noeviction is",
			field:   func(c *Config) any { return &c.EvictionPolicy },
			Meaning: "Which keys make room when max_memory is used up. `noeviction` refuses the write instead."},
		{Name: "memory_usage_threshold", Section: secExpiry, Default: "0.85", syntax: fraction{}, Effect: Stored,
			field:   func(c *Config) any { return &c.MemoryUsageThreshold },
			Meaning: "Part of max_memory above which background eviction starts."},
		{Name: "eviction_batch_size", Section: secExpiry, Default: "10", syntax: integer{min: 1, max: 1_000_000}, Effect: Stored,
			field:   func(c *Config) any { return &c.EvictionBatchSize },
			Meaning: "Keys that one slice of eviction removes."},

		{Name: "storage_backend", Section: secPersist, Default: "memory", Immutable: true, syntax: choice{words: []string{"memory", "rocksdb", "lmdb"}}, Effect: Unavailable,
			Missing: "only the memory backend is available in this version",
			field:   func(c *Config) any { return &c.StorageBackend },
			Meaning: "Where values live."},
		{Name: "data_dir", Section: secPersist, Redis: "dir", Default: "./data", Protected: true, DenyLoading: true, syntax: directory{},
			field:   func(c *Config) any { return &c.DataDir },
			Meaning: "Directory of everything the server keeps on disk."},
		{Name: "aof_enabled", Section: secPersist, Redis: "appendonly", Default: "yes", DenyLoading: true, syntax: yesNo{},
			field:   func(c *Config) any { return &c.AOFEnabled },
			Meaning: "Keep a log of all writes since the last snapshot in data_dir/journal, and recover from it. Switched on while the server runs, it counts once the snapshot is written that this begins."},
		{Name: "aof_fsync_policy", Section: secPersist, Redis: "appendfsync", Default: "everysec",
			syntax:  choice{words: []string{"everysec", "always", "no"}},
			field:   func(c *Config) any { return &c.AOFFsyncPolicy },
			Meaning: "When the log reaches the disk: before the reply (`always`), once a second, or when the system likes (`no`). Before a reply it has always left the process."},
		{Name: "snapshot_enabled", Section: secPersist, Default: "yes", syntax: yesNo{},
			field:   func(c *Config) any { return &c.SnapshotEnabled },
			Meaning: "Write snapshots of the dataset to data_dir/snapshots: every snapshot_interval, when `save` says so, and when the log has grown by auto_aof_rewrite_percentage. SAVE and BGSAVE work in any case."},
		{Name: "snapshot_interval", Section: secPersist, Default: "3600", syntax: fineSeconds,
			field:   func(c *Config) any { return &c.SnapshotInterval },
			Meaning: "Time between two snapshots of a dataset that changes. 0 for never."},
		{Name: "snapshot_keep", Section: secPersist, Default: "2", syntax: integer{min: 1, max: 1000},
			Meaning: "How many snapshots are kept, and the log since the oldest of them. When the newest is damaged, the server starts from the one before."},
		{Name: "snapshot_compression", Section: secPersist, Redis: "rdbcompression", Default: "yes", syntax: yesNo{},
			Meaning: "Compress snapshots, with zstd at its fastest level."},
		{Name: "save", Section: secPersist, Redis: "save", syntax: savePoints{},
			Meaning: "More reasons for a snapshot, in Redis' form: pairs of seconds and changes. With any of them, or without a log, one is also written when the server stops."},
		{Name: "stop_writes_on_bgsave_error", Section: secPersist, Redis: "stop-writes-on-bgsave-error", Default: "yes", syntax: yesNo{},
			Meaning: "Refuse writes after a snapshot has failed, until one succeeds, where only snapshots keep the data: without a log, or with `save`."},
		{Name: "auto_aof_rewrite_percentage", Section: secPersist, Redis: "auto-aof-rewrite-percentage", Default: "100", syntax: integer{max: math.MaxInt32},
			Meaning: "Growth of the log since the last snapshot, in percent of that snapshot, that begins the next. 0 for never."},
		{Name: "auto_aof_rewrite_min_size", Section: secPersist, Redis: "auto-aof-rewrite-min-size", Default: "64mb", syntax: size{max: math.MaxInt64},
			Meaning: "Growth of the log below which that does not matter."},

		{Name: "node_id", Section: secCluster, Default: "hyperkv-node-1", Immutable: true, syntax: text{check: notEmpty("node_id")},
			field:   func(c *Config) any { return &c.NodeID },
			Meaning: "Name of this node in INFO and metrics."},
		{Name: "cluster_name", Section: secCluster, Default: "hyperkv-cluster", Immutable: true, Effect: Stored, syntax: text{},
			field:   func(c *Config) any { return &c.ClusterName },
			Meaning: "Name of the cluster this node belongs to."},
		{Name: "enable_clustering", Section: secCluster, Redis: "cluster-enabled", Default: "no", Immutable: true, syntax: yesNo{}, Effect: Unavailable,
			Missing: "clustering is not available in this version",
			field:   func(c *Config) any { return &c.EnableClustering },
			Meaning: "Share the key space with other nodes."},
		{Name: "enable_replication", Section: secCluster, Default: "no", Immutable: true, syntax: yesNo{}, Effect: Unavailable,
			Missing: "replication is not available in this version",
			field:   func(c *Config) any { return &c.EnableReplication },
			Meaning: "Keep copies of the data on other nodes."},
		{Name: "replication_factor", Section: secCluster, Default: "3", Immutable: true, Effect: Stored, syntax: integer{min: 1, max: 99},
			field:   func(c *Config) any { return &c.ReplicationFactor },
			Meaning: "Number of nodes that hold each key, with replication."},
		{Name: "replicaof", Section: secCluster, Redis: "replicaof slaveof", Immutable: true, syntax: upstream{},
			Meaning: "Host and port of the server to copy, a Redis or a HyperKV. REPLICAOF changes it while the server runs."},

		{Name: "enable_tls", Section: secTLS, Default: "no", Immutable: true, syntax: yesNo{}, Effect: Unavailable,
			Missing: "TLS is not available in this version",
			field:   func(c *Config) any { return &c.EnableTLS },
			Meaning: "Encrypt client connections."},
		{Name: "tls_cert", Section: secTLS, Redis: "tls-cert-file", Reload: true, Effect: Stored, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.TLSCert },
			Meaning: "Certificate of the server, PEM."},
		{Name: "tls_key", Section: secTLS, Redis: "tls-key-file", Reload: true, Effect: Stored, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.TLSKey },
			Meaning: "Private key of the certificate, PEM."},
		{Name: "tls_ca", Section: secTLS, Redis: "tls-ca-cert-file", Reload: true, Effect: Stored, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.TLSCA },
			Meaning: "Certificates that sign those of clients, PEM."},

		{Name: "log_level", Section: secLogs, Redis: "loglevel", Default: "notice", syntax: logLevels,
			field:   func(c *Config) any { return &c.LogLevel },
			Meaning: "Least important messages to log. `info` and `warn` are understood too; case does not matter."},
		{Name: "log_file", Section: secLogs, Redis: "logfile", Immutable: true, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.LogFile },
			Meaning: "File to log to, reopened on SIGHUP. Empty is standard error."},
		{Name: "log_format", Section: secLogs, Default: "text", Immutable: true, syntax: choice{words: []string{"text", "json"}},
			field:   func(c *Config) any { return &c.LogFormat },
			Meaning: "Form of log lines."},
		{Name: "pid_file", Section: secLogs, Redis: "pidfile", Immutable: true, syntax: text{what: "a path"},
			field:   func(c *Config) any { return &c.PIDFile },
			Meaning: "File to keep the process id in while the server runs."},
		{Name: "shutdown_timeout", Section: secLogs, Redis: "shutdown-timeout", Default: "10", syntax: seconds,
			field:   func(c *Config) any { return &c.ShutdownTimeout },
			Meaning: "Longest time that stopping may take to wait for replicas and to drain connections."},
		{Name: "daemonize", Section: secLogs, Redis: "daemonize", Also: "daemon", Default: "no", Immutable: true, syntax: yesNo{}, Effect: Unavailable,
			Missing: DaemonRefused,
			Meaning: "Not supported: the server stays in the foreground, for systemd or another supervisor to run."},

		{Name: "enable_metrics", Section: secAdmin, Default: "yes", Immutable: true, syntax: yesNo{},
			field:   func(c *Config) any { return &c.EnableMetrics },
			Meaning: "Serve /metrics, /livez, /readyz and /startupz over HTTP."},
		{Name: "metrics_host", Section: secAdmin, Default: "127.0.0.1", Immutable: true, syntax: text{what: "an address"},
			field:   func(c *Config) any { return &c.MetricsHost },
			Meaning: "Address of the HTTP port."},
		{Name: "metrics_port", Section: secAdmin, Default: "8080", Immutable: true, syntax: portNumber,
			field:   func(c *Config) any { return &c.MetricsPort },
			Meaning: "The HTTP port. 0 turns it off."},
		{Name: "enable_profiling", Section: secAdmin, Default: "no", Immutable: true, syntax: yesNo{},
			field:   func(c *Config) any { return &c.EnableProfiling },
			Meaning: "Serve /debug/pprof/ on the HTTP port."},

		{Name: "slowlog_log_slower_than", Section: secObserve, Redis: "slowlog-log-slower-than", Default: "10000",
			syntax:  duration{unit: time.Microsecond, grain: time.Microsecond, min: -1, max: math.MaxInt64},
			field:   func(c *Config) any { return &c.SlowlogLogSlowerThan },
			Meaning: "Commands that run at least this long are kept in SLOWLOG. 0 keeps all."},
		{Name: "slowlog_max_len", Section: secObserve, Redis: "slowlog-max-len", Default: "128", syntax: integer{max: math.MaxInt64},
			field:   func(c *Config) any { return &c.SlowlogMaxLen },
			Meaning: "Entries that SLOWLOG keeps."},
		{Name: "latency_tracking", Section: secObserve, Redis: "latency-tracking", Default: "yes", syntax: yesNo{},
			field:   func(c *Config) any { return &c.LatencyTracking },
			Meaning: "Keep a latency histogram per command."},
		{Name: "latency_tracking_info_percentiles", Section: secObserve, Redis: "latency-tracking-info-percentiles", Default: "50 99 99.9", syntax: percentiles{},
			field:   func(c *Config) any { return &c.LatencyTrackingInfoPercentiles },
			Meaning: "Percentiles that INFO latencystats shows."},
		{Name: "latency_monitor_threshold", Section: secObserve, Redis: "latency-monitor-threshold", Default: "0", Effect: Stored, syntax: milliseconds,
			field:   func(c *Config) any { return &c.LatencyMonitorThreshold },
			Meaning: "Events at least this slow are kept for LATENCY. 0 keeps none."},
		{Name: "busy_reply_threshold", Section: secObserve, Redis: "busy-reply-threshold lua-time-limit", Default: "5000", Effect: Stored, syntax: milliseconds,
			field:   func(c *Config) any { return &c.BusyReplyThreshold },
			Meaning: "Run time of a script after which other clients are told BUSY."},
	}
}

// DaemonRefused is the answer to every way of asking for a daemon.
const DaemonRefused = "HyperKV does not put itself into the background: let systemd run it (Type=notify), or another supervisor"
