package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"hyperkv/internal/testkit"
)

func newParams(t testing.TB, settings map[string]string) *Params {
	t.Helper()
	c, err := FromMap(settings)
	if err != nil {
		t.Fatal(err)
	}
	return NewParams(c)
}

func get(t testing.TB, p *Params, name string) string {
	t.Helper()
	pairs := p.Get(name)
	if len(pairs) != 1 {
		t.Fatalf("CONFIG GET %s: %v", name, pairs)
	}
	return pairs[0].Value
}

// pairs makes "name value name value" with | between, because values have spaces.
func pairs(text string) []Pair {
	words := strings.Split(text, "|")
	var out []Pair
	for i := 0; i+1 < len(words); i += 2 {
		out = append(out, Pair{words[i], words[i+1]})
	}
	return out
}

func TestGet(t *testing.T) {
	p := newParams(t, nil)
	names := func(patterns ...string) string {
		var out []string
		for _, pair := range p.Get(patterns...) {
			out = append(out, pair.Name)
		}
		return strings.Join(out, " ")
	}
	f := func(want string, patterns ...string) {
		t.Helper()
		if got := names(patterns...); got != want {
			t.Errorf("%q: %s", patterns, got)
		}
	}
	f("maxmemory", "maxmemory")
	f("MAXMEMORY", "MAXMEMORY", "maxmemory")
	f("max_memory", "max_memory")
	f("max-memory", "max-memory")
	f("shard-inline", "SHARD_INLIN?")
	f("shard-inline", "shard[-_]inline")
	f("shards", "shards")
	f("worker-threads", "worker*")
	f("lua-time-limit", "lua*")
	f("replicaof slaveof", "*of")
	f("key-load-delay", "key-load-delay")
	f("", "key-load-dela?")
	f("", "no such")
	f("", "")
	f("bind port", "port", "bind", "por[a-z]")
	all := p.Get("*")
	if !slices.IsSortedFunc(all, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) }) || len(all) < 200 {
		t.Errorf("%d parameters, sorted?", len(all))
	}
	for _, hidden := range []string{"max-memory", "host", "key-load-delay", "watchdog-period"} {
		if slices.ContainsFunc(all, func(p Pair) bool { return p.Name == hidden }) {
			t.Errorf("* lists %s", hidden)
		}
	}
	if dir := get(t, p, "dir"); !filepath.IsAbs(dir) {
		t.Errorf("dir is %s", dir)
	}
}

// What a reference redis-server 7.0.15 answers to the same CONFIG SET.
func TestSetErrors(t *testing.T) {
	p := newParams(t, nil)
	f := func(set, want string) {
		t.Helper()
		got := ""
		if err := p.Set(pairs(set)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", set, got, want)
		}
	}
	failed := func(name, why string) string {
		return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why
	}
	f("maxclients|0", failed("maxclients", "argument must be between 1 and 4294967295 inclusive"))
	f("maxclients|-1", failed("maxclients", "argument must be between 1 and 4294967295 inclusive"))
	f("port|abc", failed("port", "argument couldn't be parsed into an integer"))
	f("port|70000", failed("port", "argument must be between 0 and 65535 inclusive"))
	f("maxmemory|1x", failed("maxmemory", "argument must be a memory value"))
	f("maxmemory|80%", failed("maxmemory", "argument must be a memory value"))
	f("maxmemory-clients|200%", failed("maxmemory-clients", "percentage argument must be less or equal to 100"))
	f("maxmemory-clients|x", failed("maxmemory-clients", "argument must be a memory or percent value"))
	f("activedefrag|yes", failed("activedefrag", "Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by default with the Redis source distribution"))
	f("slowlog-log-slower-than|-2", failed("slowlog-log-slower-than", "argument must be between -1 and 9223372036854775807 inclusive"))
	f("slowlog-log-slower-than|10ms", failed("slowlog-log-slower-than", "argument couldn't be parsed into an integer"))
	f("unixsocketperm|9", failed("unixsocketperm", "can't set immutable config"))
	f("DAEMONIZE|yes", failed("DAEMONIZE", "can't set immutable config"))
	f("repl-diskless-load|x", failed("repl-diskless-load", "argument(s) must be one of the following: disabled, on-empty-db, swapdb"))
	f("maxmemory-policy|x", failed("maxmemory-policy", "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction"))
	f("loglevel|info", failed("loglevel", "argument(s) must be one of the following: debug, verbose, notice, warning, nothing"))
	f("latency-tracking|true", failed("latency-tracking", "argument must be 'yes' or 'no'"))
	f("save|1", failed("save", "Invalid save parameters"))
	f("save|900 1  60 5", failed("save", "Invalid save parameters"))
	f("save|0 1", failed("save", "Invalid save parameters"))
	f("client-output-buffer-limit|foo 1 2 3", failed("client-output-buffer-limit", "Invalid client class specified in buffer limit configuration."))
	f("client-output-buffer-limit|normal 1 2", failed("client-output-buffer-limit", "Wrong number of arguments in buffer limit configuration."))
	f("client-output-buffer-limit|normal 1 2 x", failed("client-output-buffer-limit", "Error in hard, soft or soft_seconds setting in buffer limit configuration."))
	f("latency-tracking-info-percentiles|x", failed("latency-tracking-info-percentiles", "Invalid latency-tracking-info-percentiles parameters"))
	f("latency-tracking-info-percentiles|101", failed("latency-tracking-info-percentiles", "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"))
	f("notify-keyspace-events|xq", failed("notify-keyspace-events", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."))
	f("dir|/nonexist", failed("dir", "can't set protected config"))
	f("dbfilename|x", failed("dbfilename", "can't set protected config"))
	f("shutdown-on-sigterm|save nosave", failed("shutdown-on-sigterm", "shutdown options SAVE and NOSAVE can't be used simultaneously"))
	f("shutdown-on-sigterm|foo", failed("shutdown-on-sigterm", "argument(s) must be one of the following: default, save, nosave, now, force"))
	f("timeout|010", failed("timeout", "argument couldn't be parsed into an integer"))
	f("timeout|", failed("timeout", "argument couldn't be parsed into an integer"))
	f("oom-score-adj-values|1 2", failed("oom-score-adj-values", "wrong number of arguments"))
	f("HASH-MAX-ZIPLIST-VALUE|xx", failed("hash-max-ziplist-value", "argument must be a memory value"))
	f("proc-title-template|{x}", failed("proc-title-template", "template format is invalid or contains unknown variables"))
	f("bind|a b c d e f g h i j k l m n o p q", failed("bind", "Too many bind addresses specified."))
	f("cluster-announce-hostname|a_b", failed("cluster-announce-hostname", "Hostnames may only contain alphanumeric characters, hyphens or dots"))
	f("list-max-listpack-size|99999999999", failed("list-max-listpack-size", "argument must be between -2147483648 and 2147483647 inclusive"))
	f("maxmemory|1|MAXMEMORY|2", failed("MAXMEMORY", "duplicate parameter"))
	f("maxmemory|5|TIMEOUT|x", failed("timeout", "argument couldn't be parsed into an integer"))
	f("foo\r\nbar|1", "ERR Unknown option or number of arguments for CONFIG SET - 'foo  bar'")
	f("nope|1|daemonize|yes", "ERR Unknown option or number of arguments for CONFIG SET - 'nope'")
	f("daemonize|yes|nope|1", failed("daemonize", "can't set immutable config"))
	f("maxmemory-samples|0", failed("maxmemory-samples", "argument must be between 1 and 2147483647 inclusive"))

	// What this version does not have.
	f("maxmemory-policy|allkeys-lru", failed("maxmemory-policy", "eviction is not available in this version: only noeviction is"))
	f("eviction_policy|lru", failed("eviction_policy", "eviction is not available in this version: only noeviction is"))
	f("tls-port|1", failed("tls-port", "TLS is not available in this version"))
	// Listeners change only when somebody can change them.
	f("port|1", failed("port", Lookup("port").Fixed))
	f("port|6379|bind|127.0.0.1", "")
	// Ours that cannot change take the value they have, in any form.
	f("shard-inline|on|worker_threads|0", "")
	f("shard-inline|off", failed("shard-inline", "can't set immutable config"))
	f("metrics-port|x", failed("metrics-port", "argument couldn't be parsed into an integer"))
	if got := p.SetFrom(Caller{Loading: true}, pairs("appendonly|no")); got == nil || got.Error() != "LOADING Redis is loading the dataset in memory" {
		t.Errorf("loading: %v", got)
	}
	if got := p.SetFrom(Caller{Loading: true}, pairs("loglevel|debug")); got != nil {
		t.Errorf("loading: %v", got)
	}
}

func TestValuesAreNormalised(t *testing.T) {
	p := newParams(t, nil)
	f := func(name, value, want string) {
		t.Helper()
		if err := p.Set([]Pair{{name, value}}); err != nil {
			t.Errorf("%s %s: %v", name, value, err)
		} else if got := get(t, p, name); got != want {
			t.Errorf("%s %s: %s", name, value, got)
		}
	}
	f("maxmemory", "700mb", "734003200")
	f("maxmemory", "", "0")
	f("maxmemory-clients", "5%", "5%")
	f("maxmemory-clients", "1mb", "1048576")
	f("hz", "0", "1")
	f("hz", "9999", "500")
	f("client-output-buffer-limit", "replica 1mb 2 3", "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60")
	f("client-output-buffer-limit", "normal 1 2 3", "normal 1 2 3 slave 1048576 2 3 pubsub 33554432 8388608 60")
	f("latency-tracking-info-percentiles", "50 99.99 100.0", "50 99.99 100")
	f("latency-tracking-info-percentiles", "", "")
	f("shutdown-on-sigterm", "now NOSAVE", "nosave now")
	f("shutdown-on-sigterm", "default", "default")
	f("save", "3600 1 300 100", "3600 1 300 100")
	f("save", "", "")
	f("oom-score-adj", "relative", "yes")
	f("loglevel", "DEBUG", "debug")
	f("notify-keyspace-events", "KEA", "AKE")
	f("notify-keyspace-events", "KEAmn", "AKEm")
	f("notify-keyspace-events", "Kgn", "gnK")
	f("notify-keyspace-events", "Eg$lshzxetdn", "AE")
	f("requirepass", "x y", "x y")
	f("lua-time-limit", "7", "7")
	if get(t, p, "busy-reply-threshold") != "7" || p.Int("busy_reply_threshold") != 7 || p.Duration("busy-reply-threshold") != 7*time.Millisecond {
		t.Error("an alias is another parameter")
	}
	f("slowlog-log-slower-than", "-1", "-1")
	if n := p.Int64("slowlog-log-slower-than").Load(); n != -1 {
		t.Errorf("slowlog %d", n)
	}
	if got := p.OutputLimits().Normal; got != (OutputLimit{1, 2, 3 * time.Second}) {
		t.Errorf("limits %v", got)
	}
	if len(p.Percentiles()) != 0 || !p.Bool("latency-tracking") || !p.Sensitive("REQUIREPASS") || p.Sensitive("port") || p.String("port") != "6379" {
		t.Error("readers")
	}
	// Two names of one parameter: Redis lets the later one win.
	if err := p.Set(pairs("hash-max-listpack-entries|1|hash-max-ziplist-entries|2")); err != nil || p.Int("hash-max-listpack-entries") != 2 {
		t.Errorf("%v %d", err, p.Int("hash-max-listpack-entries"))
	}
}

func TestProtectedParameters(t *testing.T) {
	dir := t.TempDir()
	f := func(mode string, caller Caller, ok bool) {
		t.Helper()
		p := newParams(t, map[string]string{"enable_protected_configs": mode})
		if err := p.SetFrom(caller, []Pair{{"dir", dir}, {"dbfilename", "x.rdb"}}); (err == nil) != ok {
			t.Errorf("%s %v: %v", mode, caller, err)
		} else if ok && get(t, p, "dir") != dir {
			t.Errorf("dir is %s", get(t, p, "dir"))
		}
	}
	f("no", Caller{Local: true}, false)
	f("local", Caller{}, false)
	f("local", Caller{Local: true}, true)
	f("yes", Caller{}, true)
	p := newParams(t, map[string]string{"enable_protected_configs": "yes"})
	for value, want := range map[string]string{
		filepath.Join(dir, "none"): "No such file or directory", "": "dir can't be empty",
	} {
		if err := p.Set([]Pair{{"dir", value}}); err == nil || !strings.HasSuffix(err.Error(), " - "+want) {
			t.Errorf("dir %q: %v", value, err)
		}
	}
}

// The rules of the public suite's "CONFIG sanity": whatever CONFIG GET answers,
// CONFIG SET takes back, and nothing changes.
func TestEverythingReadCanBeWrittenBack(t *testing.T) {
	p := newParams(t, nil)
	before := p.Get("*")
	for _, pair := range before {
		k := Lookup(pair.Name)
		if k.Immutable && !k.ours() || k.Protected {
			continue
		}
		if err := p.Set([]Pair{pair}); err != nil {
			t.Errorf("%s: %v", pair.Name, err)
		}
	}
	if diff := cmp.Diff(before, p.Get("*")); diff != "" {
		t.Error(diff)
	}
}

func TestSetIsAllOrNothing(t *testing.T) {
	p := newParams(t, nil)
	before := p.Get("*")
	var calls []string
	for _, name := range []string{"maxmemory", "timeout", "client-query-buffer-limit"} {
		p.OnChange(name, func(v string) error {
			calls = append(calls, name+"="+v)
			return nil
		})
	}
	p.OnChange("port", func(v string) error {
		calls = append(calls, "port="+v)
		return errors.New("Unable to listen on this port. Check server logs.")
	})
	f := func(set, wantErr, wantCalls string) {
		t.Helper()
		calls = nil
		err := p.Set(pairs(set))
		if err == nil || !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %v", set, err)
		}
		if got := strings.Join(calls, " "); got != wantCalls {
			t.Errorf("%s: calls %s", set, got)
		}
		if diff := cmp.Diff(before, p.Get("*")); diff != "" {
			t.Errorf("%s: %s", set, diff)
		}
	}
	// A bad value: nobody is told anything.
	f("maxmemory|10000001|maxmemory-clients|200%|client-query-buffer-limit|invalid", "'maxmemory-clients'", "")
	// A refusal: those who were told are told the old value, last first.
	f("maxmemory|1|timeout|5|port|7|client-query-buffer-limit|10m", "'port') - Unable to listen on this port",
		"maxmemory=1 timeout=5 port=7 timeout=0 maxmemory=0")
	// Nothing new: nobody is told.
	calls = nil
	if err := p.Set(pairs("maxmemory|0|port|6379")); err != nil || len(calls) != 0 {
		t.Errorf("%v %q", err, calls)
	}
	// While a subscriber runs, the value is still the old one.
	p.OnChange("hz", func(v string) error {
		if v != "20" || get(t, p, "hz") != "10" || p.Int("hz") != 10 {
			t.Errorf("during: %s %s", v, get(t, p, "hz"))
		}
		return nil
	})
	if err := p.Set(pairs("hz|20")); err != nil || get(t, p, "hz") != "20" {
		t.Errorf("%v", err)
	}
}

// Readers and writers at once; pairs that are set together are never torn apart
// for whoever asks for the text of one.
func TestConcurrency(t *testing.T) {
	p := newParams(t, nil)
	p.OnChange("maxmemory", func(string) error { return nil })
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		writers.Go(func() {
			for n := range 200 {
				v := fmt.Sprint(n*4 + i + 1)
				if err := p.Set([]Pair{{"maxmemory", v}, {"timeout", v}}); err != nil {
					t.Error(err)
				}
			}
		})
		readers.Go(func() {
			limit := p.Int64("maxmemory")
			for {
				select {
				case <-stop:
					return
				default:
				}
				if n := limit.Load(); n < 0 || n > 1000 {
					t.Errorf("read %d", n)
				}
				p.Get("max*", "timeout")
				p.OutputLimits()
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if p.String("maxmemory") != p.String("timeout") {
		t.Errorf("%s and %s were set together", p.String("maxmemory"), p.String("timeout"))
	}
}

// The names that the public suites set or read.
func TestNamesOfTheSuites(t *testing.T) {
	for _, name := range strings.Fields(`acllog-max-len active-defrag-cycle-max active-defrag-ignore-bytes active-expire-effort
		aof-disable-auto-gc aof-load-truncated aof-use-rdb-preamble appendfsync appendonly auto-aof-rewrite-percentage bind
		busy-reply-threshold client-output-buffer-limit client-query-buffer-limit cluster-allow-reads-when-down cluster-enabled
		crash-log-enabled daemonize databases dbfilename debug-context dir dynamic-hz enable-debug-command enable-module-command
		enable-protected-configs extended-redis-compatibility hash-max-listpack-entries hash-max-listpack-value
		hash-max-ziplist-entries hash-max-ziplist-value hide-user-data-from-log hll-sparse-max-bytes hz io-threads key-load-delay
		latency-monitor-threshold latency-tracking latency-tracking-info-percentiles lazyfree-lazy-expire lazyfree-lazy-server-del
		lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time list-compress-depth list-max-listpack-size
		list-max-ziplist-size loading-process-events-interval-bytes locale-collate logfile loglevel lua-time-limit masterauth
		masteruser maxclients maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples
		min-replicas-max-lag min-replicas-to-write min-slaves-to-write notify-keyspace-events oom-score-adj oom-score-adj-values
		pidfile port primaryauth primaryuser proc-title-template proto-max-bulk-len rdb-key-save-delay repl-backlog-size
		repl-diskless-load repl-diskless-sync repl-diskless-sync-delay repl-ping-replica-period repl-ping-slave-period repl-timeout
		replica-announced replica-read-only replica-serve-stale-data replicaof requirepass sanitize-dump-payload save
		set-max-intset-entries set-max-listpack-entries set-max-listpack-value shutdown-on-sigint shutdown-on-sigterm
		slave-read-only slaveof slowlog-log-slower-than slowlog-max-len socket-mark-id stop-writes-on-bgsave-error
		stream-node-max-bytes stream-node-max-entries tcp-backlog tcp-keepalive timeout tls-client-key-file-pass tls-key-file-pass
		tls-port tracking-table-max-keys unixsocket watchdog-period zset-max-listpack-entries zset-max-listpack-value
		zset-max-ziplist-entries zset-max-ziplist-value`) {
		if Lookup(name) == nil {
			t.Errorf("%s is unknown", name)
		}
	}
}

// Every parameter of a real redis-server is known, and says the same where it
// does not depend on how the server was started.
func TestAgreesWithRedis(t *testing.T) {
	judge := testkit.StartRedis(t)
	if judge == nil {
		t.Skip("there is no redis-server to ask")
	}
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: judge.Addr})
	defer client.Close()
	theirs, err := client.ConfigGet(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	different := map[string]string{
		"dir": "set by the test", "port": "set by the test", "enable-debug-command": "set by the test",
		"always-show-logo":     "reported as it came out, not as it was set",
		"protected-mode":       "not available yet",
		"appendonly":           "data is kept unless told otherwise",
		"lazyfree-lazy-expire": "on since Valkey 8", "lazyfree-lazy-server-del": "on since Valkey 8",
		"aof-disable-auto-gc": "hidden since 7.2",
		"io-threads-do-reads": "gone since 8.0",
	}
	p := newParams(t, nil)
	ours := map[string]string{}
	for _, pair := range p.Get("*") {
		ours[pair.Name] = pair.Value
	}
	for name, want := range theirs {
		if _, ok := different[name]; ok {
			continue
		}
		if got, ok := ours[name]; !ok || got != want {
			t.Errorf("%s: Redis %q, we %q (%v)", name, want, got, ok)
		}
	}
	// And both take and refuse the same values.
	values := []string{"", "0", "1", "-1", "-2", "010", "+1", " 1", "1.5", "100", "70000", "99999999999", "1kb", "5%", "200%", "yes", "no", "NO", "true",
		"x", "x y", "1 2", "1 2 3", "900 1 60 5", "normal 0 0 0", "{title}", "a.b", "notice", "everysec", "default", "nosave", "KEA", "127.0.0.1", "::1", "clients", "local"}
	skip := []string{"port", "bind", "tls-port", "appendonly", "maxmemory-policy", "protected-mode", "activedefrag", "maxclients", "requirepass",
		"dir", "dbfilename", "loglevel", "replicaof", "slaveof", "supervised", "bind-source-addr", "oom-score-adj", "oom-score-adj-values",
		"stop-writes-on-bgsave-error", "cluster-announce-ip", "maxmemory"}
	for name := range theirs {
		if slices.Contains(skip, name) || strings.HasPrefix(name, "tls-") {
			continue
		}
		for _, value := range values {
			want := "OK"
			if err := client.ConfigSet(ctx, name, value).Err(); err != nil {
				want = err.Error()
			}
			got := "OK"
			if err := p.Set([]Pair{{name, value}}); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("CONFIG SET %s %q:\n Redis %s\n    we %s", name, value, want, got)
				continue
			}
			read, err := client.ConfigGet(ctx, name).Result()
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := different[name]; ok {
				continue
			}
			if now := get(t, p, name); now != read[name] {
				t.Errorf("CONFIG GET %s after %q: Redis %q, we %q", name, value, read[name], now)
			}
		}
	}
}

func TestDocs(t *testing.T) {
	for _, d := range newParams(t, nil).Docs() {
		if d.Name == "lua-time-limit" || d.Name == "" || d.Effect == "" || d.Type == "" {
			t.Errorf("%+v", d)
		}
		if d.Name == "busy-reply-threshold" && !slices.Equal(d.Aliases, []string{"lua-time-limit"}) {
			t.Errorf("%+v", d)
		}
		if d.Name == "worker-threads" && !slices.Equal(d.Aliases, []string{"shards"}) {
			t.Errorf("%+v", d)
		}
	}
}

// docs/configuration.md is what "hyperkv config docs" prints.
func TestReferenceIsUpToDate(t *testing.T) {
	written, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Reference(), string(written)); diff != "" {
		t.Errorf("docs/configuration.md is not what \"hyperkv config docs\" prints:\n%s", diff)
	}
}

// No argument of CONFIG GET or SET does harm, and a reply is one line.
func FuzzSet(f *testing.F) {
	for _, k := range Keys() {
		f.Add(k.Param(), k.Default)
	}
	f.Add("client-output-buffer-limit", "normal 1 2 3 slave")
	f.Add("maxmemory-clients", "99999999999999999999%")
	c := Default()
	f.Fuzz(func(t *testing.T, name, value string) {
		p := NewParams(c)
		if err := p.Set([]Pair{{name, value}}); err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("two lines: %q", err)
			}
			return
		}
		// What was accepted reads back as something that is accepted.
		k := Lookup(name)
		if k.Protected || k.Immutable && !k.ours() {
			return
		}
		if err := p.Set([]Pair{{name, *p.entries[k].text.Load()}}); err != nil {
			t.Fatalf("%s: %q was accepted, what became of it is not: %v", name, value, err)
		}
		p.Get(name, value)
	})
}

// What the server itself has changed is shown and written down, though no client may set it.
func TestNote(t *testing.T) {
	c, err := FromMap(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := NewParams(c)
	if p.Set([]Pair{{"replicaof", "host 1"}}) == nil {
		t.Error("a client may set it")
	}
	p.Note("replicaof", "host 1")
	p.Note("replicaof", "host one") // which means nothing
	if got := p.String("slaveof"); got != "host 1" {
		t.Errorf("it is %q", got)
	}
	p.Note("replicaof", "")
	if got := p.String("replicaof"); got != "" {
		t.Errorf("it is %q", got)
	}
}
