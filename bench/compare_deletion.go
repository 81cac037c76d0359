package bench

import (
	"context"
	"fmt"
	"time"
)

// DeletionFigure is what other clients notice while a large collection is deleted:
// the slowest of their replies, and, for comparison, when nothing is deleted.
type DeletionFigure struct {
	Server   string  `json:"server"`
	Name     string  `json:"name"`
	Elements uint64  `json:"elements"`
	Slowest  float64 `json:"slowest_us"`
	P999     float64 `json:"p99_9_us"`
	Quiet    float64 `json:"slowest_us_without"`
	Took     float64 `json:"deletion_us"` // until its own reply
}

const (
	// deletionFactor is how many elements are deleted, in terms of Plan.Keys.
	deletionFactor = 5
	// deletionRate is how many requests per second the other clients make.
	deletionRate = 2000
	// deletionMax is how long any of them may wait.
	deletionMax = 5_000.0
)

var deletionCases = []struct{ name, command string }{
	{"set", "SADD victim __key__"},
	{"sorted set", "ZADD victim __int__ __key__"},
	{"hash", "HSET victim __field__ __data__"},
	{"list", "RPUSH victim __key__"},
}

// compareDeletion deletes large collections under the eyes of other clients.
func compareDeletion(ctx context.Context, plan Plan, r *Comparison) error {
	for _, s := range plan.servers() {
		p, err := start(ctx, s)
		if err != nil {
			return err
		}
		for _, c := range deletionCases {
			figure, err := deleteLarge(ctx, plan, p, c.name, c.command)
			if err != nil {
				p.stop()
				return err
			}
			plan.Progress("deletion  %-10s %-10s of %s: slowest reply %.1f ms (%.1f ms without)", s.Name, c.name,
				count(float64(figure.Elements)), figure.Slowest/1000, figure.Quiet/1000)
			r.Deletion = append(r.Deletion, figure)
		}
		p.stop()
	}
	return nil
}

func deleteLarge(ctx context.Context, plan Plan, p *process, name, command string) (DeletionFigure, error) {
	elements := plan.Keys * deletionFactor
	figure := DeletionFigure{Server: p.server.Name, Name: name, Elements: elements}
	if err := plan.prepare(ctx, p, setupStep{command, int64(elements)}); err != nil {
		return figure, err
	}
	if err := pause(ctx, plan.settle); err != nil {
		return figure, err
	}
	w := plan.workload("GET beside a deletion", mustOp("get", 1), 1)
	w.Rate, w.Connections = deletionRate, 10
	quiet, err := measure(ctx, p, w)
	if err != nil {
		return figure, err
	}
	c, err := p.control(ctx)
	if err != nil {
		return figure, err
	}
	defer c.close()
	deleted := make(chan error, 1)
	go func() {
		time.Sleep(w.Warmup + w.Duration/3)
		began := time.Now()
		_, err := c.do("DEL", "victim")
		figure.Took = float64(time.Since(began).Microseconds())
		deleted <- err
	}()
	result, err := measure(ctx, p, w)
	if deletion := <-deleted; err == nil && deletion != nil {
		err = fmt.Errorf("DEL on %s: %w", p.server.Name, deletion)
	}
	figure.Slowest, figure.P999, figure.Quiet = result.Latency.Max, result.Latency.P999, quiet.Latency.Max
	return figure, err
}

// judgeDeletion holds the slowest reply against its bar. What is as slow when
// nothing is deleted is not due to the deletion.
func judgeDeletion(figures []DeletionFigure, subject string) (bars []Bar) {
	for _, f := range figures {
		if f.Server != subject {
			continue
		}
		bars = append(bars, Bar{
			Measure:  fmt.Sprintf("deleting a %s of %s: slowest reply to others", f.Name, count(float64(f.Elements))),
			Target:   fmt.Sprintf("≤ %.0f ms", deletionMax/1000),
			Measured: fmt.Sprintf("%.1f ms (without: %.1f ms)", f.Slowest/1000, f.Quiet/1000),
			Verdict:  verdict(f.Slowest <= deletionMax || f.Slowest <= f.Quiet),
		})
	}
	return bars
}

func deletionTable(figures []DeletionFigure) table {
	t := table{
		title: "Deleting large collections",
		note: fmt.Sprintf("One client deletes with DEL while others send %d GETs per second in an open loop; their latency counts from the moment a request was due.",
			deletionRate),
		header: []string{"collection", "elements", "server", "slowest reply ms", "p99.9 ms", "slowest without ms", "DEL itself ms"},
	}
	for _, f := range figures {
		t.add(f.Name, count(float64(f.Elements)), f.Server, millis(f.Slowest), millis(f.P999), millis(f.Quiet), millis(f.Took))
	}
	return t
}
