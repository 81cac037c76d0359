package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hyperkv/bench"
)

// benchFlags are the flags of "hyperkv bench". Where redis-benchmark or
// memtier_benchmark has a flag of the same meaning, it has the same name here.
type benchFlags struct {
	host, socket, user, password string
	port, db                     int
	resp3                        bool

	tests, mix, ratio string
	commands          []string
	commandRatios     []int
	connections       int
	threads           int
	pipeline          int
	requests          int64
	testTime          time.Duration
	warmup            time.Duration
	timeout           time.Duration
	rate              float64
	dataSize          string
	dataSizeRange     string
	keyspace          uint64
	keyPattern        string
	keyPrefix         string
	keySize           int
	zipfExponent      float64
	keyMedian         float64
	keyStddev         float64
	seed              uint64
	fill              bool

	quiet, csv                 bool
	json, hgrm, html, out, raw string
	compare, memory, strict    bool
	profile, subject           string
	peers, sections            []string
	noPeers                    bool
	rounds                     int
	bigKeys                    uint64
	dir                        string
}

// newBenchCommand returns "hyperkv bench".
func newBenchCommand() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use:   "bench [flags]",
		Short: "Measure a server that speaks the Redis protocol, or compare several",
		Long: `Measure any server that speaks the Redis protocol, or compare HyperKV with its peers.

A closed loop (the default) sends the next burst when the replies to the last one
are in. With --rate requests are due at fixed times and latency counts from
there, so that a stalled server cannot hide its stalls.

Command templates may contain __key__, __data__, __rand_int__ (12 digits),
__field__ and __int__ (both show the number drawn last), and __rand_data__, as many
bytes as __data__, but random ones that nobody can compress.`,
		Example: `  hyperkv bench -t set,get -n 1000000 -P 16 -r 1000000
  hyperkv bench --mix get:70,set:30 --rate 100000 --test-time 30s --html report.html
  hyperkv bench --command 'HSET __key__ __field__ __data__' -r 100000
  hyperkv bench --compare --out bench/RESULTS.md --raw bench/results.json --html bench/report.html
  hyperkv bench --profile seed`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilInterrupted(cmd)
			defer stop()
			return f.run(ctx, cmd)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.Bool("help", false, "show this help") // without a short name: -h is the host, as in redis-benchmark
	flags.StringVarP(&f.host, "host", "h", "127.0.0.1", "server host")
	flags.IntVarP(&f.port, "port", "p", 6379, "server port")
	flags.StringVarP(&f.socket, "socket", "s", "", "server's unix socket; overrides host and port")
	flags.StringVarP(&f.password, "auth", "a", "", "password; REDISCLI_AUTH keeps it off the command line")
	flags.StringVar(&f.user, "user", "", "user name for the password")
	flags.IntVar(&f.db, "dbnum", 0, "database number")
	flags.BoolVarP(&f.resp3, "resp3", "3", false, "speak RESP3")

	flags.StringVarP(&f.tests, "tests", "t", "set,get", "tests to run one after the other")
	flags.StringVar(&f.mix, "mix", "", "one test that mixes commands, such as get:70,set:30")
	flags.StringVar(&f.ratio, "ratio", "", "one test with SET:GET in this ratio, such as 1:10")
	flags.StringArrayVar(&f.commands, "command", nil, "command template; several form a mix")
	flags.IntSliceVar(&f.commandRatios, "command-ratio", nil, "weights of the command templates, in their order")
	flags.IntVarP(&f.connections, "clients", "c", 50, "connections")
	flags.IntVar(&f.threads, "threads", 1, "generator threads")
	flags.IntVarP(&f.pipeline, "pipeline", "P", 1, "requests per burst; with --rate, most requests in flight per connection")
	flags.Int64VarP(&f.requests, "requests", "n", 100_000, "requests per test")
	flags.DurationVar(&f.testTime, "test-time", 0, "bound a test by time and not by requests; with --compare, the time of one run")
	flags.DurationVar(&f.warmup, "warmup", 0, "time before measuring begins")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "give up when no reply comes for so long")
	flags.Float64Var(&f.rate, "rate", 0, "open loop: requests per second, all connections together")
	flags.StringVarP(&f.dataSize, "data-size", "d", "32", "bytes of a value, or a range such as 10-100")
	flags.StringVar(&f.dataSizeRange, "data-size-range", "", "range of value sizes; overrides --data-size")
	flags.Uint64VarP(&f.keyspace, "keyspace", "r", 1_000_000, "number of keys")
	flags.StringVar(&f.keyPattern, "key-pattern", "uniform", "uniform, sequential, zipf or gaussian (or R, S, Z, G)")
	flags.StringVar(&f.keyPrefix, "key-prefix", "key:", "text before the key's number")
	flags.IntVar(&f.keySize, "key-size", 0, "bytes of a key; 0 means 16, or more if the keyspace needs it")
	flags.Float64Var(&f.zipfExponent, "key-zipf-exp", 0.99, "zipf: exponent")
	flags.Float64Var(&f.keyMedian, "key-median", 0, "gaussian: centre; 0 means the middle of the keyspace")
	flags.Float64Var(&f.keyStddev, "key-stddev", 0, "gaussian: standard deviation; 0 means a sixth of the keyspace")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the random numbers")
	flags.BoolVar(&f.fill, "fill", false, "write every key once before the first test")

	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print one line per test")
	flags.BoolVar(&f.csv, "csv", false, "print CSV")
	flags.StringVar(&f.json, "json", "", "write the results to this file as JSON")
	flags.StringVar(&f.html, "html", "", "write a report with charts to this file")
	flags.StringVar(&f.hgrm, "hgrm", "", "write the latency distribution to this file in HdrHistogram's format")

	flags.BoolVar(&f.compare, "compare", false, "start HyperKV and the peers found on PATH and compare them")
	flags.BoolVar(&f.memory, "memory", false, "compare resident memory per key only")
	flags.StringVar(&f.profile, "profile", "", "check a profile's promises; the one profile is \"seed\"")
	flags.StringVar(&f.subject, "subject", "", "executable to measure as the subject; default: this one")
	flags.StringSliceVar(&f.peers, "peers", nil, "peers' executables; default: redis-server and valkey-server, if found")
	flags.BoolVar(&f.noPeers, "no-peers", false, "compare with nobody")
	flags.StringSliceVar(&f.sections, "sections", nil, "parts of the comparison: "+joinSections())
	flags.IntVar(&f.rounds, "rounds", 3, "rounds of the comparison")
	flags.Uint64Var(&f.bigKeys, "big-keys", 10_000_000, "keys of the comparison's fill, and of its snapshots (5 million of them, unless this is given); 0 leaves both out")
	flags.StringVar(&f.dir, "dir", "", "where the compared servers keep their files; default: the system's temporary directory")
	flags.StringVar(&f.out, "out", "", "write the comparison to this file as Markdown")
	flags.StringVar(&f.raw, "raw", "", "write the comparison's raw data to this file as JSON")
	flags.BoolVar(&f.strict, "strict", false, "fail when a bar of the comparison is missed")
	cmd.MarkFlagsMutuallyExclusive("compare", "memory", "profile")
	cmd.MarkFlagsMutuallyExclusive("mix", "ratio", "command", "tests")
	cmd.MarkFlagsMutuallyExclusive("requests", "test-time")
	cmd.MarkFlagsMutuallyExclusive("peers", "no-peers")
	return cmd
}

func (f *benchFlags) run(ctx context.Context, cmd *cobra.Command) error {
	if err := writable(f.json, f.html, f.hgrm, f.out, f.raw); err != nil {
		return err
	}
	switch {
	case f.compare || f.memory:
		return f.runComparison(ctx, cmd)
	case f.profile != "":
		return f.runProfile(ctx, cmd)
	}
	return f.runTests(ctx, cmd)
}

// target returns the server that the flags name.
func (f *benchFlags) target() bench.Target {
	t := bench.Target{
		Network: "tcp", Address: net.JoinHostPort(f.host, strconv.Itoa(f.port)),
		Username: f.user, Password: f.password, DB: f.db,
	}
	if t.Password == "" {
		t.Password = os.Getenv("REDISCLI_AUTH")
	}
	if f.socket != "" {
		t.Network, t.Address = "unix", f.socket
	}
	if f.resp3 {
		t.Protocol = 3
	}
	return t
}

// workloads returns one workload per test.
func (f *benchFlags) workloads(cmd *cobra.Command) ([]bench.Workload, error) {
	pattern, err := bench.ParsePattern(f.keyPattern)
	if err != nil {
		return nil, err
	}
	size := f.dataSize
	if f.dataSizeRange != "" {
		size = f.dataSizeRange
	}
	low, high, err := bench.ParseRange(size)
	if err != nil {
		return nil, err
	}
	base := bench.Workload{
		Connections: f.connections, Pipeline: f.pipeline, Threads: f.threads,
		Requests: f.requests, Duration: f.testTime, Warmup: f.warmup, Rate: f.rate, Timeout: f.timeout,
		Keys: bench.Keys{
			Pattern: pattern, Count: f.keyspace, Prefix: f.keyPrefix, Size: f.keySize,
			Exponent: f.zipfExponent, Median: f.keyMedian, Stddev: f.keyStddev,
		},
		DataMin: low, DataMax: high, Seed: f.seed,
	}
	if f.testTime > 0 {
		base.Requests = 0
	}
	mixed := func(ops []bench.Op, err error) ([]bench.Workload, error) {
		base.Ops = ops
		return []bench.Workload{base}, err
	}
	switch {
	case len(f.commands) > 0:
		return mixed(f.templates())
	case f.mix != "":
		return mixed(bench.ParseMix(f.mix))
	case f.ratio != "":
		sets, gets, found := strings.Cut(f.ratio, ":")
		if !found {
			return nil, fmt.Errorf("--ratio %q is not SET:GET", f.ratio)
		}
		return mixed(bench.ParseMix("set:" + sets + ",get:" + gets))
	}
	var workloads []bench.Workload
	for name := range strings.SplitSeq(f.tests, ",") {
		op, err := bench.Builtin(name, 1)
		if err != nil {
			return nil, err
		}
		w := base
		w.Ops = []bench.Op{op}
		workloads = append(workloads, w)
	}
	return workloads, nil
}

func (f *benchFlags) templates() ([]bench.Op, error) {
	if n := len(f.commandRatios); n > 0 && n != len(f.commands) {
		return nil, fmt.Errorf("%d commands but %d command ratios", len(f.commands), n)
	}
	var ops []bench.Op
	for i, command := range f.commands {
		weight := 1
		if len(f.commandRatios) > 0 {
			weight = f.commandRatios[i]
		}
		op, err := bench.Template(command, weight)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func (f *benchFlags) runTests(ctx context.Context, cmd *cobra.Command) error {
	workloads, err := f.workloads(cmd)
	if err != nil {
		return err
	}
	target := f.target()
	if f.fill {
		if err := bench.Fill(ctx, target, workloads[0]); err != nil {
			return err
		}
	}
	var results []bench.Result
	for _, w := range workloads {
		result, err := bench.Run(ctx, target, w)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	out := cmd.OutOrStdout()
	switch {
	case f.csv:
		err = bench.WriteCSV(out, results)
	case f.quiet:
		err = bench.WriteQuiet(out, results)
	default:
		err = bench.WriteText(out, results)
	}
	environment := bench.ReadEnvironment()
	err = errors.Join(err,
		save(f.json, func(w io.Writer) error {
			return bench.WriteJSON(w, bench.Report{Environment: environment, Results: results})
		}),
		save(f.html, func(w io.Writer) error { return bench.WriteHTML(w, environment, results) }),
		save(f.hgrm, func(w io.Writer) error { return bench.WritePercentiles(w, results) }))
	if err != nil {
		return err
	}
	failed := int64(0)
	for _, r := range results {
		failed += r.Errors
	}
	if failed > 0 {
		return fmt.Errorf("%d error replies", failed)
	}
	return nil
}

// snapshotKeys is how many keys the comparison keeps and loads, unless it is told.
const snapshotKeys = 5_000_000

// plan returns the comparison that the flags ask for.
func (f *benchFlags) plan(cmd *cobra.Command) (bench.Plan, error) {
	subject := f.subject
	if subject == "" {
		own, err := os.Executable()
		if err != nil {
			return bench.Plan{}, err
		}
		subject = own
	}
	p := bench.Plan{
		Subject: bench.ServerAt(subject), Rounds: f.rounds, Duration: f.testTime, Warmup: f.warmup,
		Connections: f.connections, Threads: f.threads, Keys: f.keyspace, BigKeys: f.bigKeys, Tool: bench.ToolOnPath(),
		SnapshotKeys: snapshotKeys,
		Progress:     func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) },
	}
	if f.dir != "" { // the servers work elsewhere
		dir, err := filepath.Abs(f.dir)
		if err != nil {
			return bench.Plan{}, err
		}
		p.Dir = dir
	}
	if cmd.Flags().Changed("big-keys") {
		p.SnapshotKeys = f.bigKeys
	}
	if f.subject == "" { // this executable, whatever its file is called
		p.Subject.Name, p.Subject.Brand = "HyperKV", bench.HyperKV
	}
	for _, name := range f.sections {
		section := bench.Section(name)
		if !slices.Contains(bench.Sections, section) {
			return bench.Plan{}, fmt.Errorf("unknown section %q: %s", name, joinSections())
		}
		p.Sections = append(p.Sections, section)
	}
	switch {
	case f.noPeers:
	case len(f.peers) > 0:
		for _, peer := range f.peers {
			path, err := exec.LookPath(peer)
			if err != nil {
				return bench.Plan{}, err
			}
			p.Peers = append(p.Peers, bench.ServerAt(path))
		}
	default:
		p.Peers = bench.PeersOnPath()
	}
	return p, nil
}

func (f *benchFlags) runComparison(ctx context.Context, cmd *cobra.Command) error {
	plan, err := f.plan(cmd)
	if err != nil {
		return err
	}
	compare := bench.Compare
	if f.memory {
		compare = bench.MemoryOnly
	}
	c, err := compare(ctx, plan)
	if err != nil {
		return err
	}
	beside := func(path string) string {
		if path == "" || filepath.Dir(path) != filepath.Dir(f.out) {
			return ""
		}
		return filepath.Base(path)
	}
	raw := f.raw
	if raw == "" {
		raw = f.json
	}
	err = errors.Join(
		bench.WriteComparison(cmd.OutOrStdout(), c),
		save(f.out, func(w io.Writer) error { return bench.WriteMarkdown(w, c, beside(raw), beside(f.html)) }),
		save(raw, func(w io.Writer) error { return bench.WriteJSON(w, c) }),
		save(f.html, func(w io.Writer) error { return bench.WriteComparisonHTML(w, c) }))
	if err != nil {
		return err
	}
	missed := 0
	for _, bar := range c.Bars {
		if bar.Verdict == bench.Fail {
			missed++
		}
	}
	if f.strict && missed > 0 {
		return fmt.Errorf("%d bars missed", missed)
	}
	return nil
}

func (f *benchFlags) runProfile(ctx context.Context, cmd *cobra.Command) error {
	if f.profile != "seed" {
		return fmt.Errorf("unknown profile %q: the one profile is \"seed\"", f.profile)
	}
	plan, err := f.plan(cmd)
	if err != nil {
		return err
	}
	own := true
	for _, name := range []string{"host", "port", "socket"} {
		own = own && !cmd.Flags().Changed(name)
	}
	var results []bench.ProfileResult
	if own {
		results, err = bench.ProfileOwn(ctx, plan)
	} else {
		results, err = bench.Profile(ctx, f.target(), plan)
	}
	if err != nil {
		return err
	}
	environment := bench.ReadEnvironment()
	runs := make([]bench.Result, len(results))
	missed := 0
	for i, r := range results {
		runs[i] = r.Offered
		if r.Verdict != bench.Pass {
			missed++
		}
	}
	err = errors.Join(
		bench.WriteProfile(cmd.OutOrStdout(), environment, results),
		save(f.json, func(w io.Writer) error { return bench.WriteJSON(w, results) }),
		save(f.html, func(w io.Writer) error { return bench.WriteHTML(w, environment, runs) }))
	if err != nil {
		return err
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d promises missed", missed, len(results))
	}
	return nil
}

func joinSections() string {
	names := make([]string, len(bench.Sections))
	for i, s := range bench.Sections {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// writable finds out before a long run whether its result can be saved.
func writable(paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		_, missing := os.Stat(path)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		file.Close()
		if missing != nil {
			os.Remove(path)
		}
	}
	return nil
}

// save writes a file; an empty path writes nothing.
func save(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
