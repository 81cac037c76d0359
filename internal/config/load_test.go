package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// source writes a configuration file and returns its path.
func source(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hyperkv.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// commandLine parses arguments as main does.
func commandLine(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs)
	if err := fs.Parse(JoinSwitches(args)); err != nil {
		t.Fatal(err)
	}
	return fs
}

func load(t testing.TB, o Options) *Config {
	t.Helper()
	c, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mistakes loads what must fail and returns the lines without the directory.
func mistakes(t testing.TB, o Options) []string {
	t.Helper()
	_, err := Load(o)
	var list Mistakes
	if !errors.As(err, &list) {
		t.Fatalf("want mistakes, got %v", err)
	}
	text := strings.ReplaceAll(err.Error(), filepath.Dir(o.File)+string(filepath.Separator), "")
	return strings.Split(text, "\n")
}

func TestLaterSourcesWin(t *testing.T) {
	file := source(t, "port: 1\ntimeout: 1\ndatabases: 4\nnode_id: file\n")
	env := []string{"HYPERKV_TIMEOUT=2", "HYPERKV_DATABASES=5", "HYPERKV_NODE_ID=env", "PATH=/bin"}
	c := load(t, Options{File: file, Environ: env, Flags: commandLine(t, "--databases", "6", "--node-id=flag"),
		Settings: map[string]string{"node-id": "program"}})
	if c.Port != 1 || c.Timeout != 2*time.Second || c.Databases != 6 || c.NodeID != "program" || c.TCPBacklog != 511 {
		t.Errorf("got %d %v %d %q %d", c.Port, c.Timeout, c.Databases, c.NodeID, c.TCPBacklog)
	}
	for name, want := range map[string]string{
		"port": file + ":1", "timeout": "HYPERKV_TIMEOUT", "databases": "--databases", "node_id": "node-id", "tcp_backlog": "default",
	} {
		if got := c.Origin(name).String(); got != want {
			t.Errorf("origin of %s: %q, want %q", name, got, want)
		}
	}
}

// A flag that was not given must not put its default over the file.
func TestOnlyGivenFlagsCount(t *testing.T) {
	c := load(t, Options{File: source(t, "enable_metrics: no\nport: 7000\n"), Flags: commandLine(t)})
	if c.EnableMetrics || c.Port != 7000 {
		t.Errorf("got %v %d", c.EnableMetrics, c.Port)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	file := source(t, `# every line but one is wrong
port: 99999
prot: 1
max_memory: 2x
enable_clustering: true
storage_backend: "rocksdb"
eviction_policy: lru
enable-debug-command: maybe
port: 3
servers:
  host: x
auth_password: ${NOPE}
maxmemory: 1gb
timeout: 1.5s
node_id: fine
worker_threads: [1, [2]]
databases:
tcp_backlog: ${
auth_password_file: /nonexistent/secret
`)
	got := mistakes(t, Options{File: file,
		Environ: []string{"HYPERKV_PRT=1", "HYPERKV_HZ=x", "HYPERKV_CONFIG=elsewhere"},
		Flags:   commandLine(t, "--shard-inline=perhaps", "--enable-tls", "--daemon")})
	want := []string{
		`hyperkv.yaml:2: port: want a whole number from 0 to 65535, not "99999"`,
		`hyperkv.yaml:3: prot: unknown setting; did you mean port?`,
		`hyperkv.yaml:4: max_memory: want a size such as 64mb or 2GiB, or a percentage of the machine's memory, not "2x"`,
		`hyperkv.yaml:5: enable_clustering: clustering is not available in this version; remove the setting or set it to no`,
		`hyperkv.yaml:6: storage_backend: only the memory backend is available in this version; remove the setting or set it to memory`,
		`hyperkv.yaml:7: eviction_policy: eviction is not available in this version: only noeviction is; remove the setting or set it to noeviction`,
		`hyperkv.yaml:8: enable-debug-command: want one of no, yes, local, not "maybe"`,
		`hyperkv.yaml:9: port: given twice, first as hyperkv.yaml:2`,
		`hyperkv.yaml:10: servers: unknown setting`,
		`hyperkv.yaml:12: auth_password: the variable NOPE is not set (${NOPE:-value} gives a default)`,
		`hyperkv.yaml:13: maxmemory: given twice, first as hyperkv.yaml:4`,
		`hyperkv.yaml:14: timeout: want whole seconds, not "1.5s"`,
		`hyperkv.yaml:16: worker_threads: want a list of plain values`,
		`hyperkv.yaml:17: databases: want a whole number from 1 to 65536, not ""`,
		`hyperkv.yaml:18: tcp_backlog: ${ without a closing } (write $${ for the characters themselves)`,
		`hyperkv.yaml:19: auth_password_file: given twice, first as hyperkv.yaml:12`,
		`HYPERKV_PRT: unknown setting; did you mean HYPERKV_PORT?`,
		`HYPERKV_HZ: want a whole number, at least 0, not "x"`,
		`--shard-inline: want yes or no, not "perhaps"`,
		`--enable-tls: TLS is not available in this version; remove the setting or set it to no`,
		`--daemon: ` + DaemonRefused + `; remove the setting or set it to no`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := mistakes(t, Options{File: source(t, text)}); len(got) != 1 || got[0] != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
	f("- port\n", `hyperkv.yaml:1: the file must consist of lines "name: value"`)
	f("port\n", `hyperkv.yaml:1: the file must consist of lines "name: value"`)
	f("{[1]: 2}\n", `hyperkv.yaml:1: a setting has a name; this is a list`)
	f("port: {a: 1}\n", `hyperkv.yaml:1: port: want a value, not a group of settings`)
	f(strings.Repeat("#", fileBytesMax+1), `hyperkv.yaml: the configuration file is larger than 1048576 bytes`)

	dir := t.TempDir()
	missing := filepath.Join(dir, "hyperkv.yaml")
	if got := mistakes(t, Options{File: missing}); got[0] != "hyperkv.yaml: the configuration file does not exist" {
		t.Errorf("missing file: %q", got)
	}
	if got := mistakes(t, Options{File: dir}); !strings.HasSuffix(got[0], "the configuration file is a directory") {
		t.Errorf("directory: %q", got)
	}
	if got := mistakes(t, Options{File: source(t, "a: [1\nb: 2\n")}); !strings.HasPrefix(got[0], "hyperkv.yaml:") {
		t.Errorf("syntax: %q", got)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "null\n"} {
		load(t, Options{File: source(t, empty)})
	}
}

func TestEnvironment(t *testing.T) {
	f := func(variable string, want string) {
		t.Helper()
		_, err := Load(Options{Environ: []string{variable}})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q", variable, got)
		}
	}
	f("HYPERKV_SHARDS=3", "")
	f("HYPERKV_ENABLE_DEBUG_COMMAND=yes", "")
	f("HYPERKV_MAXMEMORY=2gb", "")
	f("HYPERKV_SHRADS=3", "HYPERKV_SHRADS: unknown setting; did you mean HYPERKV_SHARDS?")
	f("HYPERKV_XYZZYXYZZY=3", "HYPERKV_XYZZYXYZZY: unknown setting")
	// Kubernetes sets these beside a Service called hyperkv.
	f("HYPERKV_PORT=tcp://10.0.0.1:6379", "")
	f("HYPERKV_PORT_6379_TCP_ADDR=10.0.0.1", "")
	f("HYPERKV_SERVICE_HOST=10.0.0.1", "")
	f("HYPERKV_SERVICE_PORT_REDIS=6379", "")
}

func TestExpansion(t *testing.T) {
	lookup := environment([]string{"A=1", "EMPTY=", "A=2"})
	f := func(text, want, wantErr string) {
		t.Helper()
		got, err := expand(text, lookup)
		if err != nil && wantErr == "" || err == nil && wantErr != "" || got != want || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	f("plain $A $ {A}", "plain $A $ {A}", "")
	f("${A}", "2", "") // the last one counts, as for a shell
	f("a${A}b${A}c", "a2b2c", "")
	f("${NO:-x}", "x", "")
	f("${EMPTY:-x}", "x", "")
	f("${EMPTY}", "", "")
	f("${NO:-}", "", "")
	f("${NO:-a:-b}", "a:-b", "")
	f("$${A}", "${A}", "")
	f("x$${A}${A}", "x${A}2", "")
	f("${NO}", "", "NO is not set")
	f("${A", "", "without a closing }")
	f("${}", "", "not the name")
	f("${1A}", "", "not the name")
}

func TestSecretsFromFiles(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Config{
		"file":        load(t, Options{File: source(t, "auth_password_file: "+secret+"\n")}),
		"environment": load(t, Options{Environ: []string{"HYPERKV_AUTH_PASSWORD_FILE=" + secret}}),
		"flag":        load(t, Options{Flags: commandLine(t, "--auth-password-file", secret)}),
		"redis name":  load(t, Options{File: source(t, "requirepass_file: "+secret+"\n")}),
		"over a file": load(t, Options{File: source(t, "auth_password: x\n"), Environ: []string{"HYPERKV_AUTH_PASSWORD_FILE=" + secret}}),
	} {
		if c.AuthPassword != "s3cret word" {
			t.Errorf("%s: %q", name, c.AuthPassword)
		}
		if strings.Contains(c.Show(true, true), "s3cret") {
			t.Errorf("%s: the secret is shown", name)
		}
	}
	if got := mistakes(t, Options{File: source(t, "auth_password_file: /nonexistent/x\n")}); !strings.Contains(got[0], "no such file") {
		t.Errorf("missing: %q", got)
	}
	// A mistake in a secret must not show it.
	if _, err := FromMap(map[string]string{"auth_password": "hidden\x00"}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotAvailable(t *testing.T) {
	refused := map[string]string{
		"enable_clustering": "yes", "cluster-enabled": "yes", "enable_replication": "true",
		"storage_backend": "lmdb", "enable_tls": "true",
		"tls_port": "6380", "eviction_policy": "allkeys-lfu", "maxmemory-policy": "volatile-ttl", "daemonize": "yes",
		"protected_mode": "yes", "aclfile": "users.acl", "activedefrag": "yes", "syslog-enabled": "yes",
	}
	for name, on := range refused {
		_, err := FromMap(map[string]string{name: on})
		var list Mistakes
		if !errors.As(err, &list) || len(list) != 1 || strings.Contains(err.Error(), "want ") {
			t.Errorf("%s: %v", name, err)
		}
		k := Lookup(name)
		if _, err := FromMap(map[string]string{name: k.Default}); err != nil {
			t.Errorf("%s off: %v", name, err)
		}
	}
	for _, policy := range []string{"lru", "lfu", "arc", "random", "volatile-lru", "volatile-lfu", "volatile-arc", "allkeys-arc"} {
		if _, err := FromMap(map[string]string{"eviction_policy": policy}); err == nil || !strings.Contains(err.Error(), "not available") {
			t.Errorf("%s: %v", policy, err)
		}
	}
	// What only matters to such a feature is taken, with a remark.
	c, err := FromMap(map[string]string{"cluster_name": "c", "memory_usage_threshold": "0.5"})
	if err != nil || len(c.Warnings) != 2 {
		t.Errorf("%v %q", err, c.Warnings)
	}
}

func TestDisablingFlags(t *testing.T) {
	file := source(t, "aof_enabled: yes\nsnapshot_enabled: yes\n")
	c := load(t, Options{File: file, Flags: commandLine(t, "--disable-aof", "--disable-snapshots")})
	if c.AOFEnabled || c.SnapshotEnabled {
		t.Error("still on")
	}
	if c := load(t, Options{Flags: commandLine(t, "--disable-aof=no")}); !c.AOFEnabled {
		t.Error("still off")
	}
	if c := load(t, Options{File: source(t, "snapshot_enabled: no\n"), Flags: commandLine(t, "--disable-snapshots=no")}); !c.SnapshotEnabled {
		t.Error("still off")
	}
}

func TestFlagsOfTheIssue(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs)
	for _, name := range strings.Fields("host port node-id data-dir max-memory max-connections eviction-policy storage-backend " +
		"enable-clustering enable-replication disable-aof disable-snapshots auth-password enable-tls tls-cert tls-key tls-ca " +
		"log-level log-file log-format enable-profiling pid-file daemon enable-debug-command maxmemory shards") {
		if fs.Lookup(name) == nil {
			t.Errorf("--%s is missing", name)
		}
	}
	if fs.ShorthandLookup("p").Name != "port" {
		t.Error("-p is not --port")
	}
}

func TestSwitchesTakeTheNextWord(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := strings.Join(JoinSwitches(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
	f("serve --appendonly no --port 1", "serve --appendonly=no --port 1")
	f("--enable-debug-command local", "--enable-debug-command=local")
	f("--enable-debug-command --port 1", "--enable-debug-command --port 1")
	f("--enable-tls serve", "--enable-tls serve")
	f("--port 1", "--port 1")
	f("--shard-inline=no yes", "--shard-inline=no yes")
	f("bench -- --appendonly no", "bench -- --appendonly no")
	f("--appendonly", "--appendonly")
}

func TestSuggestions(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := Suggest(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	f("prot", "port")
	f("max-memroy", "max_memory")
	f("maxmemroy", "maxmemory")
	f("worker_thread", "worker_threads")
	f("enable_clusterin", "enable_clustering")
	f("auth_passwd", "auth_password")
	f("auth_password_fil", "auth_password_file")
	f("profiling", "enable_profiling")
	f("zzzzzzzzzz", "")
	f(strings.Repeat("a", 1000), "")
}

func TestFields(t *testing.T) {
	c := load(t, Options{
		Memory: func() (int64, error) { return 1000 << 20, nil },
		Settings: map[string]string{
			"host": "* -::1 10.0.0.1", "unixsocketperm": "0770", "max_memory": "80%", "memory_usage_threshold": "90%",
			"ttl_check_interval": "0.25", "slowlog_log_slower_than": "10ms", "client_output_buffer_limit": "replica 1gb 5mb 10",
			"latency_tracking_info_percentiles": "50 99.95", "log_level": "INFO", "snapshot_interval": "1.5h", "busy_reply_threshold": "2s",
			"port": "0", "data_dir": "/x", "shards": "7",
		}})
	limits := Default().ClientOutputBufferLimit
	limits.Replica = OutputLimit{1 << 30, 5 << 20, 10 * time.Second}
	got := []any{c.ListenHosts(), c.UnixSocketPerm, c.MaxMemory, c.MemoryUsageThreshold, c.TTLCheckInterval, c.SlowlogLogSlowerThan,
		c.ClientOutputBufferLimit, c.LatencyTrackingInfoPercentiles, c.LogLevel, c.SnapshotInterval, c.BusyReplyThreshold, c.Port, c.WorkerThreads}
	want := []any{[]ListenHost{{"", false}, {"::1", true}, {"10.0.0.1", false}}, 0o770, int64(800 << 20), 0.9, 250 * time.Millisecond, 10 * time.Millisecond,
		limits, []float64{50, 99.95}, "notice", 90 * time.Minute, 2 * time.Second, 0, 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if err := c.Adjust("max_connections", "99", "limit of files"); err != nil || c.MaxConnections != 99 || c.Origin("maxclients").String() != "limit of files" {
		t.Errorf("adjust: %v %d", err, c.MaxConnections)
	}
	if c.Adjust("max_connections", "0", "") == nil || c.Adjust("nope", "0", "") == nil {
		t.Error("adjust takes anything")
	}
}

func TestDefaults(t *testing.T) {
	c := Default()
	if c.Host != "127.0.0.1" || c.Port != 6379 || c.MaxMemory != 0 || c.StorageBackend != "memory" || c.EvictionPolicy != "noeviction" ||
		!c.AOFEnabled || !c.SnapshotEnabled || c.MetricsHost != "127.0.0.1" || c.MetricsPort != 8080 || !c.ShardInline || c.DataDir != "./data" ||
		c.MaxConnections != 10000 || c.AuthPassword != "" || len(c.Warnings) != 0 {
		t.Errorf("%+v", *c)
	}
}

func TestPercentageWithoutKnownMemory(t *testing.T) {
	o := Options{Settings: map[string]string{"max_memory": "50%"}, Memory: func() (int64, error) { return 0, errors.New("no idea") }}
	if got := mistakes(t, o); !strings.Contains(got[0], "give a size instead") {
		t.Errorf("got %q", got)
	}
	if total, err := TotalMemory(); err == nil && total < 1<<20 {
		t.Errorf("this machine has %d bytes?", total)
	}
}

// The shipped file must start as it is.
func TestShippedFile(t *testing.T) {
	c := load(t, Options{File: filepath.Join("..", "..", "deploy", "hyperkv.yaml")})
	if c.Host != "0.0.0.0" || c.MaxMemory != 1<<30 || c.WorkerThreads != 4 || c.LogFile != "/var/log/hyperkv/hyperkv.log" || c.TTLCheckInterval != time.Second {
		t.Errorf("%+v", c)
	}
	// What the "#!" lines promise to refuse is refused.
	text, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	promised := 0
	for _, line := range strings.Split(string(text), "\n") {
		if later, ok := strings.CutPrefix(line, "#! "); ok {
			promised++
			if got := mistakes(t, Options{File: source(t, later+"\n")}); len(got) != 1 || !strings.Contains(got[0], "available") {
				t.Errorf("%s: %q", later, got)
			}
		}
	}
	if promised == 0 {
		t.Error("the file names nothing that comes later")
	}
}

// Reading a file never panics, whatever is in it.
func FuzzFile(f *testing.F) {
	f.Add("port: 1\nhost: [a, b]\nauth_password: \"x${A:-b}\"\n")
	f.Add("? [a]\n: b\n<<: *x\n&a b: *a\n")
	f.Add("a: &a [*a]\nport: *a\n")
	f.Add("port: !!binary aGVsbG8=\nmax_memory: 10%\nclient_output_buffer_limit: normal 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := &loader{Options: Options{Memory: func() (int64, error) { return 1 << 30, nil }}, origins: map[*Key]Origin{}, seen: map[*Key]Origin{},
			lookup: environment(nil)}
		if _, err := (yamlFile{l}).Unmarshal([]byte(text)); err != nil {
			t.Fatal(err)
		}
		for _, m := range l.mistakes {
			if strings.ContainsAny(m.String(), "\r\n") {
				t.Fatalf("two lines: %q", m)
			}
		}
	})
}
