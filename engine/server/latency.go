package server

import (
	"fmt"
	"strings"

	"hyperkv/engine"
	"hyperkv/resp"
)

var latencyTips = []string{"nondeterministic_output", "request_policy:all_nodes", "response_policy:special"}

var latency = engine.Command{
	Name: "LATENCY", Arity: -2,
	Summary: "Shows how long things take.",
	Since:   "2.8.13", Complexity: "Depends on the subcommand",
	Subcommands: []engine.Command{{
		Name: "DOCTOR", Arity: 2, Session: latencyDoctor, Flags: ofOperator, Tips: latencyTips,
		Summary: "Says in words what took long.",
		Since:   "2.8.13", Complexity: "O(1)",
	}, {
		Name: "GRAPH", Arity: 3, Session: latencyGraph, Flags: ofOperator, Tips: latencyTips,
		Summary: "Draws how long an event took over time.",
		Since:   "2.8.13", Complexity: "O(1)", Syntax: "event",
	}, {
		Name: "HISTOGRAM", Arity: -2, Session: latencyHistogram, Flags: ofOperator, Tips: latencyTips,
		Summary: "Answers how the durations of commands are distributed.",
		Since:   "7.0.0", Complexity: "O(N) with the number of commands", Syntax: "[command [command ...]]",
	}, {
		Name: "HISTORY", Arity: 3, Session: latencyHistory, Flags: ofOperator, Tips: latencyTips,
		Summary: "Answers when an event took how long.",
		Since:   "2.8.13", Complexity: "O(1)", Syntax: "event",
	}, {
		Name: "LATEST", Arity: 2, Session: latencyLatest, Flags: ofOperator, Tips: latencyTips,
		Summary: "Answers how long each event took last, and at most.",
		Since:   "2.8.13", Complexity: "O(1)",
	}, {
		Name: "RESET", Arity: -2, Session: latencyReset, Flags: ofOperator,
		Tips:    []string{"request_policy:all_nodes", "response_policy:agg_sum"},
		Summary: "Forgets what was noted about events.",
		Since:   "2.8.13", Complexity: "O(1)", Syntax: "[event [event ...]]",
	}, helpRow("", "2.8.13")},
}

// LATENCY LATEST
func latencyLatest(c *engine.Context) error {
	events := monitorOf(c.Engine).events()
	c.Reply.Array(len(events))
	for _, e := range events {
		last := e.samples[len(e.samples)-1]
		c.Reply.Array(4)
		c.Reply.BulkString(e.name)
		c.Reply.Int(last.second)
		c.Reply.Int(last.millis)
		c.Reply.Int(e.max)
	}
	return nil
}

// LATENCY HISTORY event
func latencyHistory(c *engine.Context) error {
	e, _ := monitorOf(c.Engine).event(string(c.Args[2]))
	c.Reply.Array(len(e.samples))
	for _, s := range e.samples {
		c.Reply.Array(2)
		c.Reply.Int(s.second)
		c.Reply.Int(s.millis)
	}
	return nil
}

// LATENCY RESET [event ...]
func latencyReset(c *engine.Context) error {
	names := make([]string, 0, len(c.Args)-2)
	for _, arg := range c.Args[2:] {
		names = append(names, string(arg))
	}
	return c.Reply.Int(int64(monitorOf(c.Engine).reset(names)))
}

// LATENCY GRAPH event
func latencyGraph(c *engine.Context) error {
	e, ok := monitorOf(c.Engine).event(string(c.Args[2]))
	if !ok {
		return resp.Error("ERR No samples available for event '" + string(c.Args[2]) + "'")
	}
	return c.Reply.Verbatim("txt", drawEvent(&e, c.Engine.NowMillis()/1000))
}

// LATENCY DOCTOR
func latencyDoctor(c *engine.Context) error {
	threshold := c.Engine.Params.Int("latency-monitor-threshold")
	return c.Reply.Verbatim("txt", latencyReport(monitorOf(c.Engine).events(), threshold))
}

func latencyReport(events []latencyEvent, threshold int64) string {
	if threshold == 0 && len(events) == 0 {
		return "Nobody looks at what takes long. CONFIG SET latency-monitor-threshold <milliseconds> makes the server note it.\n"
	}
	if len(events) == 0 {
		return "Nothing has taken longer than the threshold of the latency monitor.\n"
	}
	var b strings.Builder
	b.WriteString("What took longer than the threshold:\n\n")
	for i := range events {
		e := &events[i]
		var sum int64
		for _, s := range e.samples {
			sum += s.millis
		}
		mean := float64(sum) / float64(len(e.samples))
		fmt.Fprintf(&b, " * %s: %d samples, %.0f ms on average, %d ms at most. ", e.name, len(e.samples), mean, e.max)
		switch e.name {
		case eventCommand:
			b.WriteString("SLOWLOG GET shows which commands; KEYS, large ranges and scripts are the usual ones. Others wait for the shards that they hold.\n")
		case eventFastCommand:
			b.WriteString("Commands that take constant time should not take that long: the machine is short of CPU, or of memory and swaps.\n")
		case eventExpireCycle:
			b.WriteString("Keys were deleted that much after their time had come: too many expire at once, or the shards are busy.\n")
		}
	}
	return b.String()
}
