package config

import (
	"errors"
	"math"
	"net/netip"
)

// redisKeys are Redis' parameters, and the ones Valkey added, that nothing in
// HyperKV reads (yet). Defaults, bounds and errors are Redis'.
func redisKeys() []Key {
	// A row is made by naming its syntax; the functions after it set what is
	// unusual about it.
	type option func(*Key)
	var (
		immutable   option = func(k *Key) { k.Immutable = true }
		protected   option = func(k *Key) { k.Protected = true }
		hidden      option = func(k *Key) { k.Hidden = true }
		sensitive   option = func(k *Key) { k.Sensitive = true }
		secret      option = func(k *Key) { k.Secret, k.Sensitive = true, true }
		denyLoading option = func(k *Key) { k.DenyLoading = true }
		reload      option = func(k *Key) { k.Reload = true }
		types       option = func(k *Key) { k.Section = secTypes }
		acts        option = func(k *Key) { k.Effect = Acts }
		tls         option = func(k *Key) { k.Section = secTLS }
	)
	missing := func(sentence string) option {
		return func(k *Key) { k.Effect, k.Missing = Unavailable, sentence }
	}
	var rows []Key
	add := func(names, preset string, s syntax, meaning string, options ...option) {
		k := Key{Redis: names, Default: preset, syntax: s, Meaning: meaning, Section: secRedis, Effect: Stored}
		k.Name = snake(k.Param())
		for _, o := range options {
			o(&k)
		}
		rows = append(rows, k)
	}
	flag := func(names, preset, meaning string, options ...option) {
		add(names, preset, yesNo{}, meaning, options...)
	}
	word := func(names, preset, meaning string, options ...option) {
		add(names, preset, text{}, meaning, options...)
	}
	num := func(names, preset string, low, high int64, meaning string, options ...option) {
		add(names, preset, integer{min: low, max: high}, meaning, options...)
	}
	mem := func(names, preset string, low, high int64, meaning string, options ...option) {
		add(names, preset, size{min: low, max: high}, meaning, options...)
	}
	oneOf := func(names, preset string, words []string, meaning string, options ...option) {
		add(names, preset, choice{words: words}, meaning, options...)
	}
	checked := func(names, preset string, check func(string) error, meaning string, options ...option) {
		add(names, preset, text{check: check}, meaning, options...)
	}
	const (
		maxInt  = math.MaxInt32
		minInt  = math.MinInt32
		maxUint = math.MaxUint32
		max64   = math.MaxInt64
	)

	// Encodings.
	num("hash-max-listpack-entries hash-max-ziplist-entries", "512", 0, max64, "Fields up to which a hash is kept packed.", types, acts)
	mem("hash-max-listpack-value hash-max-ziplist-value", "64", 0, max64, "Longest field or value of a packed hash.", types, acts)
	num("list-max-listpack-size list-max-ziplist-size", "-2", minInt, maxInt, "Elements, or size class when negative, of one node of a list.", types, acts)
	num("list-compress-depth", "0", 0, maxInt, "Nodes at each end of a list that are not compressed; 0 compresses none.", types)
	num("set-max-intset-entries", "512", 0, max64, "Members up to which a set of integers is kept packed.", types, acts)
	num("set-max-listpack-entries", "128", 0, max64, "Members up to which a set is kept packed.", types, acts)
	num("set-max-listpack-value", "64", 0, max64, "Longest member of a packed set.", types, acts)
	num("zset-max-listpack-entries zset-max-ziplist-entries", "128", 0, max64, "Members up to which a sorted set is kept packed.", types, acts)
	mem("zset-max-listpack-value zset-max-ziplist-value", "64", 0, max64, "Longest member of a packed sorted set.", types, acts)
	num("stream-node-max-entries", "100", 0, max64, "Entries of one node of a stream.", types, acts)
	mem("stream-node-max-bytes", "4096", 0, max64, "Bytes of one node of a stream.", types, acts)
	mem("hll-sparse-max-bytes", "3000", 0, max64, "Size up to which a HyperLogLog is kept sparse.", types, acts)

	// Memory and time.
	add("hz", "10", integer{max: maxInt, clampMin: 1, clampMax: 500}, "Background tasks per second in Redis. Reported by INFO.")
	flag("dynamic-hz", "yes", "Adapt hz to the number of clients.")
	num("active-expire-effort", "1", 1, 10, "Effort of Redis' expiry cycle; HyperKV's expiry is exact.")
	num("maxmemory-samples", "5", 1, maxInt, "Keys that Redis looks at for one eviction.")
	num("maxmemory-eviction-tenacity", "10", 0, 100, "Effort of Redis' eviction.")
	add("maxmemory-clients", "0", size{min: -100, max: max64, share: true}, "Memory for the buffers of all clients.")
	num("lfu-log-factor", "10", 0, maxInt, "How slowly LFU counters grow.")
	num("lfu-decay-time", "1", 0, maxInt, "Minutes after which LFU counters shrink.")
	flag("activerehashing", "yes", "Grow Redis' hash tables in the background.")
	flag("activedefrag", "no", "Defragment memory in the background.",
		missing("Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by default with the Redis source distribution"))
	num("active-defrag-cycle-min", "1", 1, 99, "Least share of CPU for defragmentation.")
	num("active-defrag-cycle-max", "25", 1, 99, "Largest share of CPU for defragmentation.")
	num("active-defrag-threshold-lower", "10", 0, 1000, "Fragmentation that starts defragmentation.")
	num("active-defrag-threshold-upper", "100", 0, 1000, "Fragmentation of largest effort.")
	mem("active-defrag-ignore-bytes", "104857600", 1, max64, "Fragmentation that is not worth it.")
	num("active-defrag-max-scan-fields", "1000", 1, max64, "Size from which a key is defragmented in steps.")
	flag("jemalloc-bg-thread", "yes", "Let jemalloc purge in the background.")
	num("tracking-table-max-keys", "1000000", 0, max64, "Keys that client tracking remembers.")
	num("io-threads", "1", 1, 128, "I/O threads of Redis; see worker_threads.", immutable)
	flag("io-threads-do-reads", "no", "Use I/O threads for reading too.", immutable, hidden)
	num("events-per-io-thread", "2", 0, maxInt, "Events for each I/O thread of Valkey.")
	num("prefetch-batch-max-size", "16", 0, 128, "Keys that Valkey prefetches together.")
	num("max-new-connections-per-cycle", "10", 1, 1000, "Connections accepted in one turn.")
	num("max-new-tls-connections-per-cycle", "1", 1, 1000, "TLS connections accepted in one turn.")
	flag("disable-thp", "yes", "Turn off transparent huge pages for the process.", immutable)

	// Process.
	oneOf("supervised", "no", []string{"upstart", "systemd", "auto", "no"}, "Supervisor to talk to. HyperKV finds systemd by itself.", immutable)
	flag("always-show-logo", "no", "Draw a logo at the start.", immutable)
	flag("set-proc-title", "yes", "Change the title of the process.", immutable)
	checked("proc-title-template", "{title} {listen-addr} {server-mode}", titleTemplate, "What the title of the process says.")
	flag("syslog-enabled", "no", "Log to syslog.", immutable, missing("logging to syslog is not available in this version"))
	word("syslog-ident", "redis", "Name in syslog.", immutable)
	oneOf("syslog-facility", "local0", []string{"user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}, "Facility of syslog.", immutable)
	flag("hide-user-data-from-log", "no", "Keep keys and values out of the log. HyperKV never logs them.")
	oneOf("log-timestamp-format", "legacy", []string{"legacy", "iso8601", "milliseconds"}, "Form of Valkey's timestamps in the log.")
	flag("crash-log-enabled", "yes", "Report crashes in the log.")
	flag("crash-memcheck-enabled", "yes", "Test the memory after a crash.")
	flag("use-exit-on-panic", "no", "Exit instead of aborting.", hidden)
	word("ignore-warnings", "", "Start-up warnings to leave out.")
	word("locale-collate", "", "Locale for sorting text.")
	shutdown := choices{words: []string{"save", "nosave", "now", "force"}, none: "default", check: func(chosen []string) error {
		if len(chosen) > 1 && chosen[0] == "save" && chosen[1] == "nosave" {
			return errors.New("shutdown options SAVE and NOSAVE can't be used simultaneously")
		}
		return nil
	}}
	add("shutdown-on-sigint", "default", shutdown, "How SIGINT shuts down. HyperKV drains and stops.")
	add("shutdown-on-sigterm", "default", shutdown, "How SIGTERM shuts down. HyperKV drains and stops.")
	add("oom-score-adj", "no", choice{words: []string{"no", "yes", "relative", "absolute"}, same: map[string]string{"relative": "yes"}}, "Set the kernel's out-of-memory score.")
	add("oom-score-adj-values", "0 200 800", oomScores{}, "Scores of a primary, a replica and a child process.")
	for _, thread := range []string{"server", "bio", "aof-rewrite", "bgsave"} {
		name := thread + "-cpulist"
		word(name+" "+snake(name), "", "CPUs for Redis' "+thread+" threads or processes.", immutable)
	}
	word("unixsocketgroup", "", "Group of the Unix socket.", immutable)
	word("bind-source-addr", "", "Address for outgoing connections.", acts)
	num("socket-mark-id", "0", 0, maxUint, "Mark on sockets, for packet filters.", immutable)
	num("watchdog-period", "0", 0, maxInt, "Interval of Redis' software watchdog.", hidden)
	flag("extended-redis-compatibility", "no", "Make Valkey name itself Redis.")
	word("availability-zone", "", "Zone that clients are told about.")
	flag("enable-debug-assert", "no", "Assertions for Redis' own tests.", hidden, immutable)
	word("debug-context", "", "Note for crash reports.", hidden)
	flag("lua-enable-deprecated-api", "no", "Old functions for scripts.", hidden, immutable)

	// Access and events.
	word("aclfile", "", "File of users.", immutable, missing("ACL files are not available in this version"))
	oneOf("acl-pubsub-default", "resetchannels", []string{"allchannels", "resetchannels"}, "Channels that new users may use.")
	num("acllog-max-len", "128", 0, max64, "Entries that ACL LOG keeps.")
	add("notify-keyspace-events", "", eventClasses{}, "Keyspace events to publish.")

	// Snapshots and the log.
	checked("dbfilename", "dump.rdb", baseName("dbfilename", "filename"), "Name of the snapshot file.", protected)
	flag("rdbchecksum", "yes", "End snapshots with a checksum.", immutable)
	flag("rdb-save-incremental-fsync", "yes", "Sync snapshots while writing.")
	flag("rdb-del-sync-files", "no", "Delete snapshot files used for replication.")
	num("rdb-key-save-delay", "0", minInt, maxInt, "Pause after each saved key, for Redis' own tests.", hidden)
	num("key-load-delay", "0", minInt, maxInt, "Pause after each loaded key, for Redis' own tests.", hidden)
	num("loading-process-events-interval-bytes", "2097152", 1024, maxInt, "Bytes loaded before clients are served again.", hidden)
	oneOf("sanitize-dump-payload", "no", []string{"no", "yes", "clients"}, "Check payloads of RESTORE thoroughly.")
	checked("appendfilename", "appendonly.aof", baseName("appendfilename", "filename"), "Name of Redis' log files.", immutable)
	checked("appenddirname", "appendonlydir", baseName("appenddirname", "dirname"), "Directory of Redis' log files.", immutable)
	flag("aof-use-rdb-preamble", "yes", "Start the log with a snapshot.")
	flag("aof-load-truncated", "yes", "Load a log that ends in the middle of a record.")
	flag("aof-timestamp-enabled", "no", "Write timestamps into the log.")
	flag("aof-rewrite-incremental-fsync", "yes", "Sync the log while rewriting it.")
	flag("aof-disable-auto-gc", "no", "Keep old log files.", hidden)
	flag("no-appendfsync-on-rewrite", "no", "Do not sync the log while it is rewritten.")

	// Replication.
	word("masterauth primaryauth", "", "Password for the server to copy.", secret, acts)
	word("masteruser primaryuser", "", "User for the server to copy.", sensitive, acts)
	flag("replica-serve-stale-data slave-serve-stale-data", "yes", "Answer clients while the link to the primary is down.", acts)
	flag("replica-read-only slave-read-only", "yes", "Refuse writes on a replica.", acts)
	flag("replica-lazy-flush slave-lazy-flush", "no", "Free the old dataset of a replica in the background.")
	flag("replica-ignore-maxmemory slave-ignore-maxmemory", "yes", "Leave eviction to the primary.")
	flag("replica-ignore-disk-write-errors", "no", "Let a replica go on when it cannot write to disk.")
	flag("replica-announced", "yes", "List this replica for Sentinel.", acts)
	word("replica-announce-ip slave-announce-ip", "", "Address that a replica tells its primary.", acts)
	num("replica-announce-port slave-announce-port", "0", 0, 65535, "Port that a replica tells its primary.", acts)
	num("replica-priority slave-priority", "100", 0, maxInt, "Rank of a replica for failover.", acts)
	num("min-replicas-to-write min-slaves-to-write", "0", 0, maxInt, "Replicas without which writes are refused.", acts)
	num("min-replicas-max-lag min-slaves-max-lag", "10", 0, maxInt, "Seconds of lag up to which a replica counts; 0 asks for no replicas.", acts)
	num("repl-ping-replica-period repl-ping-slave-period", "10", 1, maxInt, "Seconds between pings to replicas.", acts)
	num("repl-timeout", "60", 1, maxInt, "Seconds after which a silent link is broken.", acts)
	add("repl-backlog-size", "1048576", size{min: 1, max: max64, clampMin: 16 << 10}, "Size of the replication backlog.", acts)
	num("repl-backlog-ttl", "3600", 0, max64, "Seconds after which an unused backlog is freed.", acts)
	flag("repl-disable-tcp-nodelay", "no", "Send to replicas in larger packets.")
	flag("repl-diskless-sync", "yes", "Send snapshots to replicas without a file.", acts)
	num("repl-diskless-sync-delay", "5", 0, maxInt, "Seconds to wait for more replicas.", acts)
	num("repl-diskless-sync-max-replicas", "0", 0, maxInt, "Replicas that end the wait.", acts)
	oneOf("repl-diskless-load", "disabled", []string{"disabled", "on-empty-db", "swapdb"}, "Load snapshots without a file.", denyLoading)
	flag("dual-channel-replication-enabled", "no", "Valkey's replication over two connections.")
	oneOf("propagation-error-behavior", "ignore", []string{"ignore", "panic", "panic-on-replicas"}, "What a replica does about an error in its stream.")

	// Cluster.
	checked("cluster-config-file", "nodes.conf", notEmpty("cluster-config-file"), "File of the cluster's state.", immutable)
	num("cluster-node-timeout", "15000", 0, max64, "Milliseconds after which a silent node has failed.")
	num("cluster-ping-interval", "0", 0, max64, "Milliseconds between pings on the bus.", hidden)
	num("cluster-port", "0", 0, 65535, "Port of the cluster bus.", immutable)
	num("cluster-migration-barrier", "1", 0, maxInt, "Replicas a primary keeps.")
	num("cluster-replica-validity-factor cluster-slave-validity-factor", "10", 0, maxInt, "Age up to which a replica may take over.")
	flag("cluster-replica-no-failover cluster-slave-no-failover", "no", "Never take over by itself.")
	flag("cluster-require-full-coverage", "yes", "Refuse commands while a slot has no owner.")
	flag("cluster-allow-reads-when-down", "no", "Answer reads while the cluster is down.")
	flag("cluster-allow-pubsubshard-when-down", "yes", "Serve shard channels while the cluster is down.")
	flag("cluster-allow-replica-migration", "yes", "Let replicas move to primaries without one.")
	flag("cluster-slot-stats-enabled", "no", "Keep statistics per slot.")
	mem("cluster-link-sendbuf-limit", "0", 0, max64, "Bytes that may wait for one node.")
	num("cluster-blacklist-ttl", "60", 0, max64, "Seconds for which a forgotten node stays so.")
	oneOf("cluster-preferred-endpoint-type", "ip", []string{"ip", "hostname", "unknown-endpoint"}, "How nodes are named to clients.")
	word("cluster-announce-ip", "", "Address that other nodes are told.")
	checked("cluster-announce-client-ipv4", "", ipVersion("IPv4", netip.Addr.Is4), "IPv4 address that clients are told.")
	checked("cluster-announce-client-ipv6", "", ipVersion("IPv6", netip.Addr.Is6), "IPv6 address that clients are told.")
	checked("cluster-announce-hostname", "", hostname, "Host name that clients are told.")
	checked("cluster-announce-human-nodename", "", nodeName, "Name of the node in logs.")
	num("cluster-announce-port", "0", 0, 65535, "Port that other nodes are told.")
	num("cluster-announce-tls-port", "0", 0, 65535, "TLS port that other nodes are told.")
	num("cluster-announce-bus-port", "0", 0, 65535, "Bus port that other nodes are told.")

	// TLS.
	num("tls-port", "0", 0, 65535, "TLS port for clients.", tls, missing("TLS is not available in this version"))
	flag("tls-cluster", "no", "TLS on the cluster bus.", tls)
	flag("tls-replication", "no", "TLS to the primary.", tls)
	oneOf("tls-auth-clients", "yes", []string{"no", "yes", "optional"}, "Ask clients for a certificate.", tls)
	flag("tls-prefer-server-ciphers", "no", "Let the server choose the cipher.", tls)
	flag("tls-session-caching", "yes", "Allow sessions to be resumed.", tls)
	num("tls-session-cache-size", "20480", 0, maxInt, "Sessions to remember.", tls)
	num("tls-session-cache-timeout", "300", 0, maxInt, "Seconds to remember a session.", tls)
	word("tls-key-file-pass", "", "Password of tls_key.", tls, secret)
	word("tls-client-cert-file", "", "Certificate for outgoing connections, PEM.", tls, reload)
	word("tls-client-key-file", "", "Key of that certificate, PEM.", tls, reload)
	word("tls-client-key-file-pass", "", "Password of that key.", tls, secret)
	word("tls-dh-params-file", "", "Diffie-Hellman parameters.", tls, reload)
	word("tls-ca-cert-dir", "", "Directory of certificates that sign those of clients.", tls, reload)
	word("tls-protocols", "", "Versions of TLS to offer.", tls)
	word("tls-ciphers", "", "Ciphers up to TLS 1.2.", tls)
	word("tls-ciphersuites", "", "Ciphers of TLS 1.3.", tls)
	return rows
}
