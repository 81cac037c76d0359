package server

import (
	"strings"
	"testing"
	"time"

	"hyperkv/resp"
	"hyperkv/shard"
)

// What the monitor makes of counters is what the longest call took, to within
// its bucket; exactly if it was alone.
func TestSlowest(t *testing.T) {
	f := func(durations []time.Duration, low, high time.Duration) {
		t.Helper()
		counter := shard.NewCommandCounter(1)
		counter.Ran(0, int64(time.Minute)) // before
		counter.Publish()
		var before, now shard.CommandStats
		counter.Read(0, &before)
		for _, d := range durations {
			counter.Ran(0, int64(d))
		}
		counter.Publish()
		counter.Read(0, &now)
		if got := time.Duration(slowest(&now, &before)); got < low || got > high {
			t.Errorf("%v: got %v, want %v to %v", durations, got, low, high)
		}
	}
	const ms = time.Millisecond
	f(nil, 0, 0)
	f([]time.Duration{300 * ms}, 300*ms, 300*ms)
	f([]time.Duration{300 * ms, time.Microsecond, 2 * time.Microsecond}, 300*ms, 301*ms)
	f([]time.Duration{100 * ms, 300 * ms}, 300*ms, 340*ms)
	f([]time.Duration{300 * ms, 290 * ms}, 268*ms, 340*ms)
	f([]time.Duration{100}, 100, 100)
}

func TestLatest(t *testing.T) {
	var before, now [shard.LagBuckets]uint64
	f := func(total, want int64) {
		t.Helper()
		if got := latest(now, before, total); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	f(0, 0)
	now[5]++ // 16 to 31 ms
	f(20, 20)
	now[1]++
	f(21, 21)
	now[5]++
	f(60, 31)
}

func TestLatencyMonitor(t *testing.T) {
	m := &latencyMonitor{noted: make(map[string]*latencyEvent)}
	m.note("command", 1, 10)
	m.note("command", 1, 30)
	m.note("command", 1, 20)
	m.note("command", 2, 5)
	m.note("fast-command", 2, 7)
	e, ok := m.event("command")
	if !ok || e.max != 30 || len(e.samples) != 2 || e.samples[0] != (latencySample{1, 30}) || e.samples[1] != (latencySample{2, 5}) {
		t.Errorf("got %+v", e)
	}
	for i := range int64(300) {
		m.note("expire-cycle", i, i)
	}
	if e, _ := m.event("expire-cycle"); len(e.samples) != samplesMax || e.samples[0].second != 300-samplesMax {
		t.Errorf("%d samples are left", len(e.samples))
	}
	if _, ok := m.event("nonesuch"); ok {
		t.Error("an event from nowhere")
	}
	report := latencyReport(m.events(), 10)
	for _, word := range []string{"command: 2 samples", "fast-command: 1 samples, 7 ms", "expire-cycle"} {
		if !strings.Contains(report, word) {
			t.Errorf("%q is not in %s", word, report)
		}
	}
	if n := m.reset([]string{"command", "nonesuch"}); n != 1 {
		t.Errorf("reset %d", n)
	}
	if n := m.reset(nil); n != 2 {
		t.Errorf("reset %d", n)
	}
	if got := latencyReport(nil, 0); !strings.Contains(got, "CONFIG SET") {
		t.Error(got)
	}
	if got := latencyReport(nil, 10); !strings.Contains(got, "Nothing") {
		t.Error(got)
	}
}

// The threshold may come from the configuration, and go and come again.
func TestLatencyThreshold(t *testing.T) {
	e := testEngine(t, map[string]string{"latency_monitor_threshold": "20", "enable_debug_command": "yes"})
	c := connect(t, e)
	slow := func() int {
		do(t, c, "LATENCY RESET")
		do(t, c, "DEBUG SLEEP 0.05")
		time.Sleep(3 * watchEvery)
		return len(do(t, c, "LATENCY HISTORY command").Elems)
	}
	if slow() == 0 {
		t.Error("the sleep was not noticed")
	}
	do(t, c, "CONFIG SET latency-monitor-threshold 0")
	if slow() != 0 {
		t.Error("the sleep was noticed without a threshold")
	}
	time.Sleep(3 * watchEvery)
	do(t, c, "CONFIG SET latency-monitor-threshold 20")
	if slow() == 0 {
		t.Error("the sleep was not noticed any more")
	}
}

func TestDrawEvent(t *testing.T) {
	e := latencyEvent{name: "command", max: 90, samples: []latencySample{{0, 50}, {3600, 10}, {3660, 20}, {3690, 50}, {3700, 30}}}
	want := strings.Join([]string{
		"command - high 50 ms, low 10 ms (all time high 90 ms)",
		strings.Repeat("-", graphColumns),
		"#  # ",
		"|  | ",
		"|  |#",
		"|_#||",
		"",
		"11413",
		"hm33s",
		"  ss ",
		"",
	}, "\n")
	if got := drawEvent(&e, 3703); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	alone := latencyEvent{name: "x", max: 1, samples: []latencySample{{1, 1}}}
	if got := drawEvent(&alone, 0); !strings.HasSuffix(got, "\n_\n\n0\ns\n") {
		t.Errorf("got\n%s", got)
	}
	long := latencyEvent{name: "x"}
	for i := range int64(samplesMax) {
		long.samples = append(long.samples, latencySample{i, i})
	}
	for line := range strings.SplitSeq(drawEvent(&long, 100000), "\n") {
		if len(line) > graphColumns {
			t.Errorf("line of %d columns", len(line))
		}
	}
}

func TestWriteHistogram(t *testing.T) {
	var s shard.CommandStats
	for _, nanos := range []int64{100, 1000, 1100, 15_000, 2_000_000} {
		s.Calls++
		s.Latency[shard.LatencyBucket(nanos)]++
	}
	w := resp.Writer{Proto: 3}
	writeHistogram(&w, &s)
	v, _, err := resp.ReadValue(w.Buf)
	if err != nil {
		t.Fatal(err)
	}
	// Up to 1, 2, 16 and 2113 microseconds.
	want := []int64{1, 2, 2, 3, 16, 4, 2113, 5}
	got := v.Elems[3].Elems
	if len(got) != len(want) {
		t.Fatalf("got %s", v)
	}
	for i := range want {
		if got[i].Int != want[i] {
			t.Errorf("got %s", v)
		}
	}
}
