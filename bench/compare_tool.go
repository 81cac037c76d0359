package bench

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ToolCase is one redis-benchmark test on every server: a second opinion on
// the generator of this package.
type ToolCase struct {
	Op       string       `json:"op"`
	Pipeline int          `json:"pipeline"`
	Figures  []ToolFigure `json:"figures"`
}

// ToolFigure holds the medians of redis-benchmark's rounds on one server.
type ToolFigure struct {
	Server       string      `json:"server"`
	Rate         float64     `json:"requests_per_second"`
	P50          float64     `json:"p50_us"`
	P99          float64     `json:"p99_us"`
	ServerMicros float64     `json:"server_cpu_us_per_request"`
	Rounds       []ToolRound `json:"rounds"`
}

// ToolRound is one run of redis-benchmark.
type ToolRound struct {
	Requests     int64   `json:"requests"`
	Rate         float64 `json:"requests_per_second"`
	P50          float64 `json:"p50_us"`
	P99          float64 `json:"p99_us"`
	Max          float64 `json:"max_us"`
	ServerMicros float64 `json:"server_cpu_us_per_request"`
}

func compareTool(ctx context.Context, plan Plan, r *Comparison) error {
	if plan.Tool == "" {
		r.Notes = append(r.Notes, "redis-benchmark was not found, so its table is missing.")
		return nil
	}
	var cases []ToolCase
	for _, pipeline := range []int{100, 16, 1} {
		for _, op := range []string{"get", "set"} {
			c := ToolCase{Op: op, Pipeline: pipeline}
			for _, s := range plan.servers() {
				c.Figures = append(c.Figures, ToolFigure{Server: s.Name})
			}
			cases = append(cases, c)
		}
	}
	// The tool counts requests and not time. The first round begins with a
	// guess; later ones know the speed.
	requests := make([]int64, len(cases))
	for i, c := range cases {
		requests[i] = int64(plan.Duration.Seconds() * map[int]float64{1: 80_000, 16: 500_000, 100: 700_000}[c.Pipeline])
	}
	for round := range plan.Rounds {
		if err := toolRound(ctx, plan, cases, requests, round); err != nil {
			return err
		}
	}
	for i := range cases {
		for j := range cases[i].Figures {
			cases[i].Figures[j].reduce()
		}
	}
	r.Tool = cases
	return nil
}

func toolRound(ctx context.Context, plan Plan, cases []ToolCase, requests []int64, round int) error {
	f, err := startFleet(ctx, plan.servers())
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
			result, err := runTool(ctx, plan, p, *c, max(requests[i], 1000))
			if err != nil {
				return fmt.Errorf("redis-benchmark %s on %s: %w", c.Op, p.server.Name, err)
			}
			plan.Progress("round %d/%d  redis-benchmark %s -P %-4d %-28s %10.0f/s  server %.2f µs/request",
				round+1, plan.Rounds, c.Op, c.Pipeline, p.server.Name, result.Rate, result.ServerMicros)
			for j := range c.Figures {
				if c.Figures[j].Server == p.server.Name {
					c.Figures[j].Rounds = append(c.Figures[j].Rounds, result)
				}
			}
		}
	}
	return nil
}

func runTool(ctx context.Context, plan Plan, p *process, c ToolCase, requests int64) (ToolRound, error) {
	_, port, err := net.SplitHostPort(p.target.Address)
	if err != nil {
		return ToolRound{}, err
	}
	before, cpuErr := processCPU(p.pid)
	text, err := output(ctx, exec.Command(plan.Tool, "-h", "127.0.0.1", "-p", port,
		"-c", strconv.Itoa(plan.Connections), "-n", strconv.FormatInt(requests, 10), "-P", strconv.Itoa(c.Pipeline),
		"-r", strconv.FormatUint(plan.Keys, 10), "-d", strconv.Itoa(compareValueBytes), "-t", c.Op, "--csv"))
	if err != nil {
		return ToolRound{}, err
	}
	result, err := parseToolCSV(text)
	if err != nil {
		return ToolRound{}, err
	}
	result.Requests = requests
	if after, err := processCPU(p.pid); err == nil && cpuErr == nil {
		result.ServerMicros = float64((after - before).Nanoseconds()) / 1000 / float64(requests)
	}
	return result, nil
}

// parseToolCSV reads the header and the one line of redis-benchmark --csv.
func parseToolCSV(text []byte) (ToolRound, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 {
		return ToolRound{}, fmt.Errorf("unexpected output: %.200s", text)
	}
	var r ToolRound
	for i, name := range rows[0] {
		if i >= len(rows[1]) {
			break
		}
		value, err := strconv.ParseFloat(rows[1][i], 64)
		if err != nil {
			continue
		}
		switch name {
		case "rps":
			r.Rate = value
		case "p50_latency_ms":
			r.P50 = value * 1000
		case "p99_latency_ms":
			r.P99 = value * 1000
		case "max_latency_ms":
			r.Max = value * 1000
		}
	}
	if r.Rate == 0 {
		return ToolRound{}, fmt.Errorf("unexpected output: %.200s", text)
	}
	return r, nil
}

// toolTimeout bounds one run of a tool.
const toolTimeout = 10 * time.Minute

// output runs a child to its end and returns what it printed; it is killed
// when the context ends.
func output(ctx context.Context, command *exec.Cmd) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	var stdout bytes.Buffer
	stderr := &tail{}
	command.Stdout, command.Stderr = &stdout, stderr
	dieWithParent(command)
	if err := launch(command); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { command.Process.Kill() })
	defer stop()
	if err := command.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func (f *ToolFigure) reduce() {
	of := func(get func(ToolRound) float64) float64 {
		values := make([]float64, len(f.Rounds))
		for i, r := range f.Rounds {
			values[i] = get(r)
		}
		return median(values)
	}
	f.Rate = of(func(r ToolRound) float64 { return r.Rate })
	f.P50 = of(func(r ToolRound) float64 { return r.P50 })
	f.P99 = of(func(r ToolRound) float64 { return r.P99 })
	f.ServerMicros = of(func(r ToolRound) float64 { return r.ServerMicros })
}
