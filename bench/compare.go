package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"
)

// Section is a part of the comparison that can be asked for alone.
type Section string

const (
	SectionSpeed       Section = "speed"
	SectionTool        Section = "redis-benchmark"
	SectionShards      Section = "shards"
	SectionCollections Section = "collections"
	SectionDeletion    Section = "deletion"
	SectionMemory      Section = "memory"
	SectionDurability  Section = "durability"
	SectionStartup     Section = "startup"
	SectionFill        Section = "fill"
)

// Sections lists all of them in the order they run.
var Sections = []Section{SectionSpeed, SectionTool, SectionShards, SectionCollections, SectionDeletion, SectionMemory, SectionDurability, SectionStartup, SectionFill}

// Plan says what a comparison does.
type Plan struct {
	Subject     Server
	Peers       []Server
	Sections    []Section
	Rounds      int
	Duration    time.Duration // one case on one server in one round
	Warmup      time.Duration
	Connections int
	Threads     int
	Keys        uint64
	BigKeys     uint64 // the fill section; 0 leaves it out
	// SnapshotKeys is how many keys the durability section keeps and loads; 0 leaves that out.
	SnapshotKeys uint64
	// Dir is where the servers' directories are made; empty is os.TempDir.
	Dir string
	// Tool is redis-benchmark's executable; empty leaves its section out.
	Tool string
	// Progress is told what is happening; nil is silent.
	Progress func(format string, args ...any)

	// settle is the time a server gets to finish what follows a fill (tables
	// still moving, buffers of closed connections) before it is weighed.
	settle time.Duration
	starts int // per server, to learn its start-up time
	// crashBytes is how much log there is when a server is killed.
	crashBytes int64
}

func (p Plan) withDefaults() Plan {
	if len(p.Sections) == 0 {
		p.Sections = Sections
	}
	if p.Rounds == 0 {
		p.Rounds = 3
	}
	if p.Duration == 0 {
		p.Duration = 3 * time.Second
	}
	if p.Warmup == 0 {
		p.Warmup = p.Duration / 6
	}
	if p.Connections == 0 {
		p.Connections = 50
	}
	if p.Threads == 0 {
		p.Threads = 1
	}
	if p.Keys == 0 {
		p.Keys = 1_000_000
	}
	if p.settle == 0 {
		p.settle = time.Second
	}
	if p.starts == 0 {
		p.starts = 9
	}
	if p.crashBytes == 0 {
		p.crashBytes = crashLogBytes
	}
	if p.Dir != "" {
		p.Subject.Dir = p.Dir
		p.Peers = slices.Clone(p.Peers)
		for i := range p.Peers {
			p.Peers[i].Dir = p.Dir
		}
	}
	if p.Progress == nil {
		p.Progress = func(string, ...any) {}
	}
	for _, peer := range p.Peers {
		if peer.Name == p.Subject.Name { // a server held against itself
			p.Subject.Name += " (subject)"
			break
		}
	}
	return p
}

func (p Plan) servers() []Server { return append([]Server{p.Subject}, p.Peers...) }

// ToolOnPath finds redis-benchmark; empty when this machine has none.
func ToolOnPath() string {
	path, err := exec.LookPath("redis-benchmark")
	if err != nil {
		return ""
	}
	return path
}

// Comparison is everything a comparison measured.
type Comparison struct {
	Date        string           `json:"date"`
	Environment Environment      `json:"environment"`
	Settings    Settings         `json:"settings"`
	Servers     []ServerInfo     `json:"servers"`
	Speed       []SpeedCase      `json:"speed,omitempty"`
	Tool        []ToolCase       `json:"redis_benchmark,omitempty"`
	Shards      []SpeedCase      `json:"shards,omitempty"`
	Collections []SpeedCase      `json:"collections,omitempty"`
	Deletion    []DeletionFigure `json:"deletion,omitempty"`
	Memory      []MemoryRow      `json:"memory,omitempty"`
	Durability  *Durability      `json:"durability,omitempty"`
	Startup     []StartupFigure  `json:"startup,omitempty"`
	Fill        []FillFigure     `json:"fill,omitempty"`
	Bars        []Bar            `json:"bars"`
	Notes       []string         `json:"notes,omitempty"`
}

// speedCases are all cases whose figure is a speed.
func (c *Comparison) speedCases() [][]SpeedCase {
	all := [][]SpeedCase{c.Speed, c.Shards, c.Collections}
	if c.Durability != nil {
		all = append(all, c.Durability.Log)
	}
	return all
}

// Settings are the parameters of a comparison.
type Settings struct {
	Rounds        int     `json:"rounds"`
	SecondsPerRun float64 `json:"seconds_per_run"`
	WarmupSeconds float64 `json:"warmup_seconds"`
	Connections   int     `json:"connections"`
	Threads       int     `json:"generator_threads"`
	Keys          uint64  `json:"keys"`
	KeyBytes      int     `json:"key_bytes"`
	ValueBytes    int     `json:"value_bytes"`
	BigKeys       uint64  `json:"big_keys"`
	SnapshotKeys  uint64  `json:"snapshot_keys"`
}

// ServerInfo names a server of the comparison.
type ServerInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

const (
	compareKeyBytes   = 16
	compareValueBytes = 32
)

// Compare starts the servers, lets them take turns, and judges what it
// measured. Every server it started is gone when it returns.
func Compare(ctx context.Context, plan Plan) (*Comparison, error) {
	plan = plan.withDefaults()
	if plan.Subject.Path == "" {
		return nil, errNoServers
	}
	r := &Comparison{
		Date:        time.Now().UTC().Format("2006-01-02 15:04 MST"),
		Environment: ReadEnvironment(),
		Settings: Settings{
			Rounds: plan.Rounds, SecondsPerRun: plan.Duration.Seconds(), WarmupSeconds: plan.Warmup.Seconds(),
			Connections: plan.Connections, Threads: plan.Threads, Keys: plan.Keys,
			KeyBytes: compareKeyBytes, ValueBytes: compareValueBytes, BigKeys: plan.BigKeys, SnapshotKeys: plan.SnapshotKeys,
		},
	}
	servers, err := identify(ctx, plan.servers())
	if err != nil {
		return nil, err
	}
	r.Servers = servers
	for _, section := range Sections {
		if !slices.Contains(plan.Sections, section) {
			continue
		}
		var err error
		switch section {
		case SectionSpeed:
			err = compareSpeed(ctx, plan, r)
		case SectionTool:
			err = compareTool(ctx, plan, r)
		case SectionShards:
			err = compareShards(ctx, plan, r)
		case SectionCollections:
			err = compareCollections(ctx, plan, r)
		case SectionDeletion:
			err = compareDeletion(ctx, plan, r)
		case SectionMemory:
			err = compareMemory(ctx, plan, r)
		case SectionDurability:
			err = compareDurability(ctx, plan, r)
		case SectionStartup:
			err = compareStartup(ctx, plan, r)
		case SectionFill:
			err = compareFill(ctx, plan, r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", section, err)
		}
	}
	r.Bars = judge(r)
	return r, nil
}

// identify starts each server once to learn its version.
func identify(ctx context.Context, servers []Server) ([]ServerInfo, error) {
	var infos []ServerInfo
	for _, s := range servers {
		p, err := start(ctx, s)
		if err != nil {
			return nil, err
		}
		infos = append(infos, ServerInfo{s.Name, p.version})
		p.stop()
	}
	return infos, nil
}

// SpeedCase is one command at one pipeline, on every server.
type SpeedCase struct {
	Name     string        `json:"name"`
	Op       string        `json:"op"`
	Pipeline int           `json:"pipeline"`
	Figures  []SpeedFigure `json:"figures"`
}

// SpeedFigure holds the medians of one server's rounds.
type SpeedFigure struct {
	Server       string   `json:"server"`
	Rate         float64  `json:"requests_per_second"`
	ServerMicros float64  `json:"server_cpu_us_per_request"`
	P50          float64  `json:"p50_us"`
	P99          float64  `json:"p99_us"`
	P999         float64  `json:"p99_9_us"`
	Max          float64  `json:"max_us"`
	Busy         float64  `json:"generator_busy"`
	Saturated    bool     `json:"generator_saturated"` // in most rounds
	Foreign      float64  `json:"foreign_cpu_share"`   // the most of any round
	Rounds       []Result `json:"rounds"`
}

func (c SpeedCase) figure(server string) *SpeedFigure {
	for i := range c.Figures {
		if c.Figures[i].Server == server {
			return &c.Figures[i]
		}
	}
	return nil
}

func speedCases() []SpeedCase {
	var cases []SpeedCase
	for _, pipeline := range []int{100, 16, 1} {
		for _, op := range []string{"get", "set"} {
			cases = append(cases, SpeedCase{Op: op, Pipeline: pipeline})
		}
	}
	cases = append(cases, SpeedCase{Op: "mset", Pipeline: 16})
	return named(cases)
}

func named(cases []SpeedCase) []SpeedCase {
	titles := map[string]string{"get": "GET", "set": "SET", "mset": "MSET of 10 keys"}
	for i, c := range cases {
		cases[i].Name = fmt.Sprintf("%s, pipeline %d", titles[c.Op], c.Pipeline)
	}
	return cases
}

func compareSpeed(ctx context.Context, plan Plan, r *Comparison) error {
	var err error
	r.Speed, err = takeTurns(ctx, plan, plan.servers(), speedCases())
	return err
}

// compareShards asks what a request costs when eight shards share the work
// instead of one.
func compareShards(ctx context.Context, plan Plan, r *Comparison) error {
	if plan.Subject.Brand != HyperKV {
		r.Notes = append(r.Notes, "CPU at 1 and 8 shards needs HyperKV as the subject.")
		return nil
	}
	var variants []Server
	for _, shards := range []string{"1", "8"} {
		s := plan.Subject
		s.Name = shardVariant(shards)
		s.Args = append(slices.Clone(s.Args), "--worker-threads", shards)
		variants = append(variants, s)
	}
	var err error
	r.Shards, err = takeTurns(ctx, plan, variants, named([]SpeedCase{{Op: "get", Pipeline: 16}, {Op: "set", Pipeline: 16}}))
	return err
}

func shardVariant(shards string) string { return "HyperKV, worker_threads " + shards }

// takeTurns runs the cases on freshly started and filled servers, round by
// round. Within a round a case visits all servers before the next case begins,
// so that whatever else the machine does falls on all of them.
func takeTurns(ctx context.Context, plan Plan, servers []Server, cases []SpeedCase) ([]SpeedCase, error) {
	for i := range cases {
		for _, s := range servers {
			cases[i].Figures = append(cases[i].Figures, SpeedFigure{Server: s.Name})
		}
	}
	for round := range plan.Rounds {
		if err := takeRound(ctx, plan, servers, cases, round); err != nil {
			return nil, err
		}
	}
	for i := range cases {
		for j := range cases[i].Figures {
			cases[i].Figures[j].reduce()
		}
	}
	return cases, nil
}

func takeRound(ctx context.Context, plan Plan, servers []Server, cases []SpeedCase, round int) error {
	f, err := startFleet(ctx, servers)
	if err != nil {
		return err
	}
	defer f.stop()
	for _, p := range f {
		if _, err := fill(ctx, plan, p, plan.Keys); err != nil {
			return err
		}
	}
	for i := range cases {
		c := &cases[i]
		for _, p := range f.turns(round + i) {
			result, err := measure(ctx, p, plan.workload(c.Name, mustOp(c.Op, 1), c.Pipeline))
			if err != nil {
				return err
			}
			plan.Progress("round %d/%d  %-24s %-28s %10.0f/s  p99 %.3f ms  server %.2f µs/request",
				round+1, plan.Rounds, c.Name, p.server.Name, result.Rate, result.Latency.P99/1000, result.ServerMicros)
			figure := c.figure(p.server.Name)
			result.Series = nil // a few seconds, told by the medians
			figure.Rounds = append(figure.Rounds, result)
		}
	}
	return nil
}

// workload is the common load of all cases.
func (p Plan) workload(name string, op Op, pipeline int) Workload {
	return Workload{
		Name: name, Ops: []Op{op}, Pipeline: pipeline,
		Connections: p.Connections, Threads: p.Threads, Duration: p.Duration, Warmup: p.Warmup,
		Keys:    Keys{Count: p.Keys, Size: compareKeyBytes},
		DataMin: compareValueBytes, DataMax: compareValueBytes,
	}
}

// fillPipeline keeps few enough requests in flight that the slowest reply of a
// fill tells about the server and not about its queue.
const fillPipeline = 16

// fill writes each key of the keyspace once.
func fill(ctx context.Context, plan Plan, p *process, keys uint64) (Result, error) {
	w := plan.workload("fill", mustOp("set", 1), fillPipeline)
	w.Keys.Count, w.Keys.Pattern = keys, Sequential
	w.Requests, w.Duration, w.Warmup = int64(keys), 0, 0
	return measure(ctx, p, w)
}

// measure runs a workload on a server and reads the server's CPU time over the
// measured window. Figures that contain error replies would compare nothing,
// so they are refused.
func measure(ctx context.Context, p *process, w Workload) (Result, error) {
	var from, to snapshot
	result, err := run(ctx, p.target, w, probe{
		begin: func() { from = takeSnapshot(p.pid) },
		end:   func() { to = takeSnapshot(p.pid) },
	})
	if err != nil {
		return Result{}, fmt.Errorf("%s on %s: %w", w.Name, p.server.Name, err)
	}
	if result.Errors > 0 {
		return Result{}, fmt.Errorf("%s on %s: %w", w.Name, p.server.Name, replyError(result.ErrorTexts[0].Text))
	}
	if from.err == nil && to.err == nil && result.Requests > 0 {
		result.ServerMicros = float64((to.server - from.server).Nanoseconds()) / 1000 / float64(result.Requests)
		result.Foreign = from.foreign(to)
	}
	return result, nil
}

// snapshot is a reading of the CPU clocks at an edge of the measured window.
type snapshot struct {
	at          time.Time
	server, own time.Duration
	machine     machineTimes
	err         error
}

func takeSnapshot(pid int) snapshot {
	s := snapshot{at: time.Now(), machine: readMachineTimes()}
	var err error
	s.server, s.err = processCPU(pid)
	if s.own, err = processCPU(os.Getpid()); s.err == nil {
		s.err = err
	}
	return s
}

// foreign is the share of the machine's cores that neither the server nor the
// generator had: other processes and the hypervisor.
func (s snapshot) foreign(to snapshot) float64 {
	cores := to.at.Sub(s.at).Seconds() * float64(runtime.NumCPU())
	taken := (to.machine.busy - s.machine.busy) + (to.machine.stolen - s.machine.stolen) - (to.server - s.server) - (to.own - s.own)
	if cores <= 0 {
		return 0
	}
	return max(0, taken.Seconds()/cores)
}

// reduce takes the medians of the rounds.
func (f *SpeedFigure) reduce() {
	of := func(get func(Result) float64) float64 { return medianOf(f.Rounds, get) }
	f.Rate = of(func(r Result) float64 { return r.Rate })
	f.ServerMicros = of(func(r Result) float64 { return r.ServerMicros })
	f.P50 = of(func(r Result) float64 { return r.Latency.P50 })
	f.P99 = of(func(r Result) float64 { return r.Latency.P99 })
	f.P999 = of(func(r Result) float64 { return r.Latency.P999 })
	f.Max = of(func(r Result) float64 { return r.Latency.Max })
	f.Busy = of(func(r Result) float64 { return r.Generator.Busy })
	for _, r := range f.Rounds {
		f.Foreign = max(f.Foreign, r.Foreign)
	}
	f.Saturated = of(func(r Result) float64 { return r.Generator.Wanted }) >= saturation
}

// medianOf is the median of a figure of the rounds.
func medianOf[R any](rounds []R, get func(R) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = get(r)
	}
	return median(values)
}

// median returns the middle value, or the mean of the two middle ones.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
