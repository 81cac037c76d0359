package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// A collectionCase is one command on collections, at one pipeline. What it needs
// is brought about before it is measured, on every server the same way.
type collectionCase struct {
	name     string
	command  string
	pipeline int
	// requests is how many are sent; 0 sends for the plan's duration.
	requests int64
	// connections is 0 for the plan's.
	connections int
	// setup are commands sent once before, each as often as its number says.
	setup []setupStep
	either
}

// either is a bar on speed and one on CPU, as ratios to Redis; reaching one is enough,
// and 0 is no bar.
type either struct{ speedMin, cpuMax float64 }

// setupStep sends a command template so often, over the keyspace in order.
type setupStep struct {
	command string
	times   int64
}

// collectionRows is how many elements there are to read a hundred or more of.
const collectionRows = 1_000

// collectionCases are for as many elements as a comparison has keys: by default a
// million are pushed, popped or added, and set operations have a tenth of that in
// each operand.
func collectionCases(keys uint64) []collectionCase {
	pops, operand := int64(keys), max(int64(keys)/10, 1)
	changes := func(name, command string, setup ...setupStep) collectionCase {
		return collectionCase{name: name + ", pipeline 16", command: command, pipeline: 16, requests: pops,
			setup: setup, either: either{1.4, 0.7}}
	}
	reads := func(name, command string, setup ...setupStep) collectionCase {
		return collectionCase{name: name + ", pipeline 1", command: command, pipeline: 1, setup: setup, either: either{cpuMax: 0.9}}
	}
	whole := func(name, command string, setup ...setupStep) collectionCase {
		return collectionCase{name: name, command: command, pipeline: 1, connections: 1, requests: min(pops, 60), setup: setup, either: either{speedMin: 1}}
	}
	flush := setupStep{"FLUSHALL", 1}
	return []collectionCase{
		changes("LPUSH", "LPUSH list __data__", flush),
		changes("RPOP", "RPOP list"), // what LPUSH has left
		changes("SADD", "SADD set __key__", flush),
		changes("SPOP", "SPOP set"),
		changes("HSET", "HSET hash __field__ __data__", flush),
		changes("ZADD", "ZADD zset __int__ __key__", flush),
		changes("ZPOPMIN", "ZPOPMIN zset"),
		reads("LRANGE of 100", "LRANGE list 0 99", flush, setupStep{"RPUSH list __data__", collectionRows}),
		reads("LRANGE of 300", "LRANGE list 0 299"),
		reads("LRANGE of 600", "LRANGE list 0 599"),
		reads("HGETALL of 100", "HGETALL hash", flush, setupStep{"HSET hash __field__ __data__", 100}),
		reads("ZRANGE of 100", "ZRANGE zset 0 99", flush, setupStep{"ZADD zset __int__ __key__", collectionRows}),
		reads("SMEMBERS of 100", "SMEMBERS set", flush, setupStep{"SADD set __key__", 100}),
		{name: "XADD, pipeline 16", command: "XADD stream * field __data__", pipeline: 16, requests: pops,
			setup: []setupStep{flush, {"XGROUP CREATE stream group 0 MKSTREAM", 1}}, either: either{cpuMax: 0.7}},
		{name: "XREADGROUP, pipeline 16", command: "XREADGROUP GROUP group reader COUNT 1 STREAMS stream >", pipeline: 16,
			requests: max(pops/2, 1), either: either{cpuMax: 0.7}},
		whole("SINTER of two sets of 100,000", "SINTER left right", flush,
			setupStep{"SADD left __key__", operand}, setupStep{"SADD right __key__", operand}),
		whole("ZUNIONSTORE of two sorted sets of 100,000", "ZUNIONSTORE out 2 left right", flush,
			setupStep{"ZADD left __int__ __key__", operand}, setupStep{"ZADD right __int__ __key__", operand}),
	}
}

// compareCollections lets the servers take turns with commands on collections.
func compareCollections(ctx context.Context, plan Plan, r *Comparison) error {
	cases := collectionCases(plan.Keys)
	rows := make([]SpeedCase, len(cases))
	for i, c := range cases {
		rows[i] = SpeedCase{Name: c.name, Op: c.command, Pipeline: c.pipeline}
		for _, s := range plan.servers() {
			rows[i].Figures = append(rows[i].Figures, SpeedFigure{Server: s.Name})
		}
	}
	for round := range plan.Rounds {
		if err := collectionRound(ctx, plan, cases, rows, round); err != nil {
			return err
		}
	}
	for i := range rows {
		for j := range rows[i].Figures {
			rows[i].Figures[j].reduce()
		}
	}
	r.Collections = rows
	return nil
}

func collectionRound(ctx context.Context, plan Plan, cases []collectionCase, rows []SpeedCase, round int) error {
	f, err := startFleet(ctx, plan.servers())
	if err != nil {
		return err
	}
	defer f.stop()
	for i, c := range cases {
		for _, p := range f.turns(round + i) {
			for _, step := range c.setup {
				if err := plan.prepare(ctx, p, step); err != nil {
					return err
				}
			}
			op, err := Template(c.command, 1)
			if err != nil {
				return err
			}
			w := plan.workload(c.name, op, c.pipeline)
			if c.connections > 0 {
				w.Connections = c.connections
			}
			w.Keys.Pattern = Sequential
			if c.requests > 0 {
				w.Requests, w.Duration, w.Warmup = c.requests, 0, 0
				w.Keys.Count = uint64(c.requests)
			}
			result, err := measure(ctx, p, w)
			if err != nil {
				return err
			}
			plan.Progress("round %d/%d  %-44s %-10s %10.0f/s  p99 %.3f ms  server %.2f µs/request",
				round+1, plan.Rounds, c.name, p.server.Name, result.Rate, result.Latency.P99/1000, result.ServerMicros)
			result.Series = nil
			figure := rows[i].figure(p.server.Name)
			figure.Rounds = append(figure.Rounds, result)
		}
	}
	return nil
}

// prepare carries out a step of a case's setup.
func (plan Plan) prepare(ctx context.Context, p *process, step setupStep) error {
	op, err := Template(step.command, 1)
	if err != nil {
		return err
	}
	w := plan.workload(step.command, op, fillPipeline)
	w.Requests, w.Duration, w.Warmup = step.times, 0, 0
	w.Keys.Pattern, w.Keys.Count = Sequential, uint64(step.times)
	if step.times == 1 {
		w.Connections, w.Pipeline = 1, 1
	}
	_, err = measure(ctx, p, w)
	return err
}

// judgeCollections holds commands on collections against their bars.
func judgeCollections(rows []SpeedCase, subject string) (bars []Bar) {
	for _, c := range collectionCases(1_000_000) {
		for _, row := range rows {
			if row.Name == c.name {
				bars = append(bars, c.judge(row, subject))
			}
		}
	}
	return bars
}

// judge holds a row against the bars.
func (e either) judge(row SpeedCase, subject string) Bar {
	b := Bar{Measure: row.Name, Target: e.target(), Measured: "–", Verdict: NotMeasured}
	own, peer := row.figure(subject), row.figure(reference)
	if own != nil && peer != nil && own != peer && peer.Rate > 0 && peer.ServerMicros > 0 {
		speed, cpu := own.Rate/peer.Rate, own.ServerMicros/peer.ServerMicros
		b.Measured = fmt.Sprintf("%.2f × speed, %.2f × CPU", speed, cpu)
		b.Verdict = verdict(e.speedMin > 0 && speed >= e.speedMin || e.cpuMax > 0 && cpu <= e.cpuMax)
	}
	return b
}

// target is the bar in words.
func (e either) target() string {
	var words []string
	if e.speedMin > 0 {
		words = append(words, "≥ "+strconv.FormatFloat(e.speedMin, 'f', 1, 64)+" × Redis' speed")
	}
	if e.cpuMax > 0 {
		words = append(words, "≤ "+strconv.FormatFloat(e.cpuMax, 'f', 1, 64)+" × its CPU per operation")
	}
	return strings.Join(words, " or ")
}
