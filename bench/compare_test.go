package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gone waits until a pid no longer exists.
func gone(pid int) bool {
	for range 200 {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestStartAndStop(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p, err := start(t.Context(), redisServer(t))
	if err != nil {
		t.Fatal(err)
	}
	if p.version == "" || p.startup <= 0 {
		t.Errorf("version %q, startup %v", p.version, p.startup)
	}
	if resident, err := processResident(p.pid); err != nil || resident < 1<<20 {
		t.Errorf("resident %d, %v", resident, err)
	}
	p.stop()
	p.stop()
	if !gone(p.pid) {
		t.Error("the server outlived stop")
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServerThatEndsAtOnceIsAnErrorWithItsWords(t *testing.T) {
	script := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no such option >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	_, err := start(t.Context(), ServerAt(script))
	if err == nil || !strings.Contains(err.Error(), "no such option") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A server that lives but does not answer must not outlive the failed start.
func TestServerThatNeverAnswersIsStopped(t *testing.T) {
	dir := t.TempDir()
	script, pidFile := filepath.Join(dir, "server"), filepath.Join(dir, "pid")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho $$ > "+pidFile+"\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := start(ctx, ServerAt(script)); err == nil {
		t.Fatal("no error")
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !gone(pid) {
		t.Errorf("process %d outlived the failed start (%v)", pid, err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestServerThatIgnoresSIGTERMIsKilled(t *testing.T) {
	p := &process{command: exec.Command("/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"), exited: make(chan struct{}), dir: t.TempDir(), patience: 200 * time.Millisecond}
	output := &tail{}
	p.command.Stdout = output
	dieWithParent(p.command)
	if err := launch(p.command); err != nil {
		t.Fatal(err)
	}
	go func() { p.command.Wait(); close(p.exited) }()
	for output.String() == "" {
		time.Sleep(time.Millisecond)
	}
	pid := p.command.Process.Pid
	p.stop()
	if !gone(pid) {
		t.Error("the process outlived stop")
	}
}

// tinyPlan compares a server with itself in a few seconds.
func tinyPlan(t *testing.T) Plan {
	s := redisServer(t)
	return Plan{
		Subject: s, Peers: []Server{s}, Rounds: 1, Duration: 60 * time.Millisecond, Warmup: 10 * time.Millisecond,
		Connections: 8, Keys: 2000, BigKeys: 5000, Tool: ToolOnPath(),
		settle: 10 * time.Millisecond, starts: 2,
	}
}

func TestCompareRedisWithItself(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := Compare(t.Context(), tinyPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Servers) != 2 || c.Servers[0].Name == c.Servers[1].Name || c.Servers[0].Version == "" {
		t.Errorf("servers %+v", c.Servers)
	}
	if len(c.Speed) != 7 || len(c.Memory) != len(memoryCases)+1 || len(c.Startup) != 2 || len(c.Fill) != 2 {
		t.Errorf("%d speed cases, %d memory rows, %d startups, %d fills", len(c.Speed), len(c.Memory), len(c.Startup), len(c.Fill))
	}
	for _, sc := range c.Speed {
		for _, f := range sc.Figures {
			if f.Rate == 0 || f.P99 == 0 || len(f.Rounds) != 1 {
				t.Errorf("%s on %s: %+v", sc.Name, f.Server, f)
			}
		}
	}
	for _, write := range []func(*strings.Builder) error{
		func(b *strings.Builder) error { return WriteComparison(b, c) },
		func(b *strings.Builder) error { return WriteMarkdown(b, c, "results.json", "report.html") },
		func(b *strings.Builder) error { return WriteComparisonHTML(b, c) },
		func(b *strings.Builder) error { return WriteJSON(b, c) },
	} {
		var text strings.Builder
		if err := write(&text); err != nil {
			t.Fatal(err)
		}
		host, _ := os.Hostname()
		for _, secret := range []string{os.TempDir(), c.Servers[0].Name + "/", "/usr/", "127.0.0.1:", "NaN", "Inf"} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("report contains %q", secret)
			}
		}
		if len(host) > 4 && strings.Contains(text.String(), host) {
			t.Error("report contains the host's name")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelledComparisonLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	plan := tinyPlan(t)
	plan.Duration = time.Minute
	plan.Sections = []Section{SectionSpeed}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Compare(ctx, plan); err == nil {
		t.Fatal("no error")
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMissingCommandIsARowWithoutFigure(t *testing.T) {
	plan := tinyPlan(t).withDefaults()
	figure, err := weigh(t.Context(), plan, plan.Peers[0], memoryCase{"vector", "NOSUCHCOMMAND __key__ __data__", 1, 32, 48, 0})
	if err != nil || figure.Supported {
		t.Errorf("%+v, %v", figure, err)
	}
	figure, err = weigh(t.Context(), plan, plan.Peers[0], memoryCase{"hash", "HSET __key__ __field__ __data__", 100, 32, 18 + 32, 0})
	if err != nil || !figure.Supported {
		t.Errorf("%+v, %v", figure, err)
	}
}

func TestProfileSpeaksOfEveryPromise(t *testing.T) {
	plan := tinyPlan(t)
	plan.Duration = 200 * time.Millisecond
	results, err := ProfileOwn(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Verdict != Pass && r.Verdict != Fail || r.Offered.OfferedRate < r.Promise.Rate {
			t.Errorf("%+v", r)
		}
	}
	var text strings.Builder
	if err := WriteProfile(&text, ReadEnvironment(), results); err != nil || !strings.Contains(text.String(), "Profile seed on ") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestBars(t *testing.T) {
	figures := func(ownRate, ownCPU, peerRate, peerCPU float64, saturated bool) []SpeedFigure {
		return []SpeedFigure{
			{Server: "HyperKV", Rate: ownRate, ServerMicros: ownCPU, Saturated: saturated},
			{Server: "Redis", Rate: peerRate, ServerMicros: peerCPU},
		}
	}
	c := &Comparison{
		Servers: []ServerInfo{{"HyperKV", ""}, {"Redis", ""}},
		Speed: []SpeedCase{
			{Op: "get", Pipeline: 100, Figures: figures(2000, 0.5, 1000, 1, false)},
			{Op: "set", Pipeline: 100, Figures: figures(1990, 0.51, 1000, 1, true)},
			{Op: "get", Pipeline: 16, Figures: figures(1100, 0.7, 1000, 1, true)},
			{Op: "set", Pipeline: 16, Figures: figures(1100, 0.8, 1000, 1, false)},
			{Op: "mset", Pipeline: 16, Figures: figures(1100, 0.8, 1000, 1, false)},
		},
		Shards: []SpeedCase{{Op: "get", Pipeline: 16, Figures: []SpeedFigure{
			{Server: shardVariant("1"), ServerMicros: 1}, {Server: shardVariant("8"), ServerMicros: 1.5}}}},
		Collections: []SpeedCase{
			{Name: "LPUSH, pipeline 16", Figures: figures(1500, 0.9, 1000, 1, false)},
			{Name: "RPOP, pipeline 16", Figures: figures(1300, 0.8, 1000, 1, false)},
			{Name: "LRANGE of 100, pipeline 1", Figures: figures(900, 0.9, 1000, 1, false)},
		},
		Deletion: []DeletionFigure{
			{Server: "HyperKV", Name: "set", Elements: 5_000_000, Slowest: 4_000, Quiet: 1_000},
			{Server: "HyperKV", Name: "list", Elements: 5_000_000, Slowest: 6_000, Quiet: 5_900},
			{Server: "Redis", Name: "set", Elements: 5_000_000, Slowest: 900_000, Quiet: 1_000},
		},
		Memory: []MemoryRow{
			{Name: memoryCases[0].name, Items: 1_000_000, Figures: []MemoryFigure{{Server: "HyperKV", Supported: true, Overhead: 20}}},
			{Name: "member in sorted sets of 20", Items: 1_000_000, Figures: []MemoryFigure{
				{Server: "HyperKV", Supported: true, Overhead: 1.6}, {Server: "Redis", Supported: true, Overhead: 1.4}}},
			{Name: "entry of one stream", Items: 1_000_000, Figures: []MemoryFigure{
				{Server: "HyperKV", Supported: true, Overhead: 3}, {Server: "Redis", Supported: true, Overhead: 4}}},
		},
		Durability: &Durability{
			Keys: 5_000_000,
			Log: []SpeedCase{
				{Name: logCases[0].name, Figures: figures(1000, 0.7, 1000, 1, false)},
				{Name: logCases[1].name, Figures: figures(1490, 0.1, 1000, 1, false)},
			},
			Snapshots: []SnapshotFigure{
				{Server: "HyperKV", Beside: 2_000, Quiet: 1_000, Growth: 0.11, Bytes: 200e6, Plain: 250e6, Load: 3e6, Rounds: []SnapshotRound{{Before: 100, Peak: 111}}},
				{Server: "Redis", Beside: 3_000, Quiet: 500, Growth: 0.2, Bytes: 240e6, Plain: 240e6, Load: 2e6, Rounds: []SnapshotRound{{}}},
			},
			Recovery: []RecoveryFigure{{Server: "HyperKV", Rate: 1.9e6}, {Server: "Redis", Rate: 1e6}},
		},
		Startup: []StartupFigure{{Server: "HyperKV", Millis: 101}},
		Fill: []FillFigure{{Server: "HyperKV", Keys: 10_000_000, Fill: Result{Latency: Latency{Max: 12_000}}, Rewrite: Result{Latency: Latency{Max: 15_000}},
			Collector: &Collector{CPUShare: 0.03, ObjectsEmpty: 1000, ObjectsFull: 1200}}},
	}
	var got []string
	for _, b := range judge(c) {
		got = append(got, fmt.Sprintf("%s: %s: %s", b.Measure, b.Measured, b.Verdict))
	}
	want := `GET, pipeline 100: speed: 2.00 ×: pass
GET, pipeline 100: server CPU per operation: 0.50 ×: pass
SET, pipeline 100: speed: 1.99 × (generator saturated): fail
SET, pipeline 100: server CPU per operation: 0.51 ×: fail
GET, pipeline 16: speed: 1.10 × (generator saturated): pass
GET, pipeline 16: server CPU per operation: 0.70 ×: pass
SET, pipeline 16: speed: 1.10 ×: fail
SET, pipeline 16: server CPU per operation: 0.80 ×: fail
GET, pipeline 1: speed: –: not measured
GET, pipeline 1: server CPU per operation: –: not measured
SET, pipeline 1: speed: –: not measured
SET, pipeline 1: server CPU per operation: –: not measured
GET, pipeline 16: CPU per operation at 8 shards ÷ at 1 shard: 1.50 (1.50 ÷ 1.00 µs): fail
SET, pipeline 16: CPU per operation at 8 shards ÷ at 1 shard: –: not measured
MSET of 10 keys, pipeline 16: server CPU per operation: 0.80 ×: pass
LPUSH, pipeline 16: 1.50 × speed, 0.90 × CPU: pass
RPOP, pipeline 16: 1.30 × speed, 0.80 × CPU: fail
LRANGE of 100, pipeline 1: 0.90 × speed, 0.90 × CPU: pass
deleting a set of 5 M: slowest reply to others: 4.0 ms (without: 1.0 ms): pass
deleting a list of 5 M: slowest reply to others: 6.0 ms (without: 5.9 ms): fail
memory over payload, 1 M × string, 32-byte value: 20.0 bytes: pass
memory over payload, 1 M × member in sorted sets of 20: 1.6 bytes (Redis 1.4): fail
memory over payload, 1 M × entry of one stream: 3.0 bytes (Redis 4.0): pass
SET, fsync everysec, pipeline 16: 1.00 × speed, 0.70 × CPU: pass
SET, fsync always, pipeline 1: 1.49 × speed, 0.10 × CPU: fail
snapshots of 5 M keys: p99.9 of GET meanwhile: 2.00 ×, 2.000 ms (without: 1.000 ms); Redis 3.000 ms (0.500 ms): pass
snapshots of 5 M keys: memory meanwhile: +11.0 %: fail
snapshots of 5 M keys: loading at the start: 1.50 × (3,000,000 keys/s): pass
snapshots of 5 M keys: size: 200,000,000 bytes (Redis 240,000,000): pass
snapshots of 5 M keys: size without compression: 250,000,000 bytes (Redis 240,000,000): fail
log of 5 M SETs: repeating it at the start: 1.90 × (1,900,000 operations/s): fail
10 M keys under mixed load: GC share of CPU: 3.00 %: fail
10 M keys: heap objects: 1.2 K, empty 1 K: pass
filling 10 M keys: slowest reply: 12.0 ms (writing the same keys again, without growth: 15.0 ms): pass
start to first PING, empty data directory: 101.0 ms: fail`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// Without a peer, or what the system tells of memory, nothing is passed and nothing failed.
func TestBarsOfDurabilityAlone(t *testing.T) {
	d := &Durability{
		Keys:      1000,
		Log:       []SpeedCase{{Name: logCases[0].name, Figures: []SpeedFigure{{Server: "Redis", Rate: 1, ServerMicros: 1}}}},
		Snapshots: []SnapshotFigure{{Server: "Redis", Beside: 3, Quiet: 1, Bytes: 1, Plain: 1, Load: 1, Rounds: []SnapshotRound{{}}}},
		Recovery:  []RecoveryFigure{{Server: "Redis", Rate: 1}},
	}
	got := ""
	for _, b := range judgeDurability(d, "Redis") {
		got += string(b.Verdict) + "; "
	}
	if want := "not measured; fail; " + strings.Repeat("not measured; ", 5); got != want {
		t.Errorf("got %s want %s", got, want)
	}
	if bars := judgeDurability(&Durability{}, "HyperKV"); bars != nil {
		t.Errorf("bars of nothing: %+v", bars)
	}
}

func TestMedian(t *testing.T) {
	f := func(want float64, values ...float64) {
		t.Helper()
		if got := median(values); got != want {
			t.Errorf("median(%v) = %v, want %v", values, got, want)
		}
	}
	f(0)
	f(3, 3)
	f(2, 3, 1, 2)
	f(2.5, 4, 1, 2, 3)
}

func TestToolCSV(t *testing.T) {
	r, err := parseToolCSV([]byte("\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n" +
		"\"GET\",\"89355.09\",\"0.359\",\"0.064\",\"0.327\",\"0.607\",\"0.903\",\"14.751\"\n"))
	if err != nil || r.Rate != 89355.09 || r.P50 != 327 || r.P99 != 903 || r.Max != 14751 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := parseToolCSV([]byte("WARNING\n")); err == nil {
		t.Error("nonsense was accepted")
	}
}
