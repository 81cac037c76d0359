package bench

import (
	"context"
	"fmt"
	"time"
)

// Promise is one line of a profile: at this rate the server must answer this
// fast.
type Promise struct {
	Name      string  `json:"name"`
	Rate      float64 `json:"required_rate"`
	P99Micros float64 `json:"required_p99_us"`
	ops       []Op
}

// seedProfile holds the figures the product was announced with.
func seedProfile() []Promise {
	return []Promise{
		{"SET", 100_000, 1000, []Op{mustOp("set", 1)}},
		{"GET", 200_000, 500, []Op{mustOp("get", 1)}},
		{"70 % GET, 30 % SET", 150_000, 1000, []Op{mustOp("get", 70), mustOp("set", 30)}},
	}
}

// ProfileResult is how a promise was kept.
type ProfileResult struct {
	Promise
	// Offered is the open-loop run at the required rate: it decides. Fastest
	// is a closed-loop run that shows how much more there is.
	Offered Result  `json:"offered"`
	Fastest Result  `json:"fastest"`
	Verdict Verdict `json:"verdict"`
}

const (
	// profilePipeline is the most requests in flight per connection: a service
	// at these rates talks through pipelining clients.
	profilePipeline = 16
	// headroom is offered beyond the required rate, so that rounding at the
	// edges of the window cannot fail a server that kept up.
	headroom = 1.01
)

// Profile runs the seed profile. The rate is offered in an open loop, so a p99
// that is met is met by every request that was due and not only by those a
// slow server let through.
func Profile(ctx context.Context, target Target, plan Plan) ([]ProfileResult, error) {
	plan = plan.withDefaults()
	filling := plan.workload("fill", mustOp("set", 1), fillPipeline)
	filling.Requests, filling.Duration, filling.Warmup, filling.Keys.Pattern = int64(plan.Keys), 0, 0, Sequential
	if _, err := Run(ctx, target, filling); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	var results []ProfileResult
	for _, promise := range seedProfile() {
		w := plan.workload(promise.Name, Op{}, profilePipeline)
		w.Ops = promise.ops
		fastest, err := Run(ctx, target, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", promise.Name, err)
		}
		w.Rate = promise.Rate * headroom
		offered, err := Run(ctx, target, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", promise.Name, err)
		}
		kept := offered.Errors == 0 && offered.Unsent == 0 && offered.Rate >= promise.Rate && offered.Latency.P99 < promise.P99Micros
		results = append(results, ProfileResult{promise, offered, fastest, verdict(kept)})
		plan.Progress("%-20s %.0f/s offered: p99 %.3f ms; fastest %.0f/s", promise.Name, w.Rate, offered.Latency.P99/1000, fastest.Rate)
	}
	return results, nil
}

// ProfileOwn starts a server of its own for the profile.
func ProfileOwn(ctx context.Context, plan Plan) ([]ProfileResult, error) {
	p, err := start(ctx, plan.Subject)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	return Profile(ctx, p.target, plan)
}

// Fill writes every key of the workload's keyspace once, so that reads find
// something.
func Fill(ctx context.Context, target Target, w Workload) error {
	w.Name, w.Ops = "fill", []Op{mustOp("set", 1)}
	w.Rate, w.Warmup, w.Duration = 0, 0, time.Duration(0)
	w.Keys = w.Keys.withDefaults()
	w.Keys.Pattern, w.Requests = Sequential, int64(w.Keys.Count)
	w.Pipeline = max(w.Pipeline, fillPipeline)
	result, err := Run(ctx, target, w)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if result.Errors > 0 {
		return fmt.Errorf("fill: %w", replyError(result.ErrorTexts[0].Text))
	}
	return nil
}

// MemoryOnly weighs the servers and measures nothing else.
func MemoryOnly(ctx context.Context, plan Plan) (*Comparison, error) {
	plan.Sections = []Section{SectionMemory}
	return Compare(ctx, plan)
}
