package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func ok([]byte) (string, bool) { return "+OK\r\n", false }

func TestClosedLoopCountsEveryReply(t *testing.T) {
	var seen atomic.Int64
	target := newToy(t, func([]byte) (string, bool) { seen.Add(1); return "$3\r\nabc\r\n", false })
	w := tiny("get")
	w.Requests, w.Threads = 1001, 3 // not divisible by anything
	r, err := Run(t.Context(), target, w)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 1001 || seen.Load() != 1001 || r.Latency.Count != 1001 || r.Errors != 0 {
		t.Errorf("%d requests, server saw %d, histogram %d, %d errors", r.Requests, seen.Load(), r.Latency.Count, r.Errors)
	}
	if r.BytesIn != 1001*9 {
		t.Errorf("%d bytes received", r.BytesIn)
	}
}

func TestTimeBoundsARun(t *testing.T) {
	target := newToy(t, ok)
	w := tiny("set")
	w.Requests, w.Duration, w.Warmup = 0, 300*time.Millisecond, 100*time.Millisecond
	begin := time.Now()
	r, err := Run(t.Context(), target, w)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 400*time.Millisecond || took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if r.Requests == 0 || r.Seconds < 0.3 || len(r.Series) < 2 {
		t.Errorf("%d requests in %.3f s, %d samples", r.Requests, r.Seconds, len(r.Series))
	}
}

// A stall of the server must show in the latency of every request that was due
// during it, although none of them could be sent.
func TestOpenLoopDoesNotHideAStall(t *testing.T) {
	const stall = 300 * time.Millisecond
	var once sync.Once
	var gate sync.RWMutex
	begin := time.Now()
	target := newToy(t, func([]byte) (string, bool) {
		if time.Since(begin) > 300*time.Millisecond {
			once.Do(func() {
				gate.Lock()
				time.Sleep(stall)
				gate.Unlock()
			})
		}
		gate.RLock()
		defer gate.RUnlock()
		return "+OK\r\n", false
	})
	w := Workload{Ops: []Op{mustOp("set", 1)}, Connections: 2, Pipeline: 1, Rate: 1000, Duration: time.Second}
	r, err := Run(t.Context(), target, w)
	if err != nil {
		t.Fatal(err)
	}
	if r.Unsent != 0 || math.Abs(float64(r.Latency.Count)-1000) > 5 {
		t.Errorf("%d latencies, %d unsent, want 1000 and 0", r.Latency.Count, r.Unsent)
	}
	if low := float64(stall.Microseconds()) * 0.9; r.Latency.Max < low {
		t.Errorf("slowest reply %.0f µs, want at least %.0f", r.Latency.Max, low)
	}
	// About 300 of 1000 requests were due during the stall. They waited between
	// 300 ms and nothing, so the p90 lies near two thirds of the stall.
	if r.Latency.P90 < 120_000 {
		t.Errorf("p90 %.0f µs: the stall is hidden", r.Latency.P90)
	}
	if math.Abs(r.Rate-1000) > 50 {
		t.Errorf("rate %.0f", r.Rate)
	}
}

// What was due and never got out is said, and its waiting enters the latency.
func TestOpenLoopReportsWhatItCouldNotSend(t *testing.T) {
	target := newToy(t, func([]byte) (string, bool) {
		time.Sleep(10 * time.Millisecond)
		return "+OK\r\n", false
	})
	w := Workload{Ops: []Op{mustOp("get", 70), mustOp("set", 30)}, Connections: 1, Pipeline: 1, Rate: 1000, Duration: 500 * time.Millisecond}
	r, err := Run(t.Context(), target, w)
	if err != nil {
		t.Fatal(err)
	}
	if r.Unsent < 300 || r.Unsent+r.Requests < 495 || r.Unsent+r.Requests > 505 {
		t.Errorf("%d unsent, %d answered", r.Unsent, r.Requests)
	}
	if r.Latency.P50 < 100_000 {
		t.Errorf("p50 %.0f µs", r.Latency.P50)
	}
	notes := strings.Join(runNotes([]Result{r}), "\n")
	if !strings.Contains(notes, "the rate was not reached") {
		t.Errorf("notes: %s", notes)
	}
}

func TestOpenLoopBoundedByRequests(t *testing.T) {
	w := tiny("set")
	w.Requests, w.Rate, w.Threads = 500, 5000, 2
	r, err := Run(t.Context(), newToy(t, ok), w)
	if err != nil || r.Requests != 500 {
		t.Errorf("%d requests, %v", r.Requests, err)
	}
}

func TestMixedLatenciesGoToTheirOps(t *testing.T) {
	target := newToy(t, func(request []byte) (string, bool) {
		if strings.Contains(string(request), "GET") {
			return "$-1\r\n", false
		}
		return "+OK\r\n", false
	})
	for _, rate := range []float64{0, 20_000} {
		w := Workload{Ops: []Op{mustOp("get", 3), mustOp("set", 1)}, Connections: 3, Pipeline: 7, Requests: 4000, Rate: rate}
		r, err := Run(t.Context(), target, w)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Ops) != 2 || r.Ops[0].Count+r.Ops[1].Count != 4000 || r.Ops[0].Count < 2800 || r.Ops[0].Count > 3200 {
			t.Errorf("rate %v: %+v", rate, r.Ops)
		}
	}
}

func TestErrorRepliesAreCountedAndNamed(t *testing.T) {
	var n atomic.Int64
	target := newToy(t, func([]byte) (string, bool) {
		switch i := n.Add(1); {
		case i%10 == 0:
			return "-OOM command not allowed when used memory > 'maxmemory'.\r\n", false
		case i%100 == 1:
			return "!5\r\nERR x\r\n", false
		}
		return "+OK\r\n", false
	})
	r, err := Run(t.Context(), target, tiny("set"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 1000 || r.Errors != 110 || len(r.ErrorTexts) != 2 || r.ErrorTexts[0].Count != 100 || r.ErrorTexts[1].Text != "ERR x" {
		t.Errorf("%d requests, %d errors, %+v", r.Requests, r.Errors, r.ErrorTexts)
	}
	var text strings.Builder
	if err := WriteText(&text, []Result{r}); err != nil || !strings.Contains(text.String(), `100 × error reply "OOM command`) {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestErrorTextsAreBounded(t *testing.T) {
	var n atomic.Int64
	target := newToy(t, func([]byte) (string, bool) { return fmt.Sprintf("-ERR %d\r\n", n.Add(1)), false })
	r, err := Run(t.Context(), target, tiny("set"))
	if err != nil || r.Errors != 1000 || len(r.ErrorTexts) != errorTextsMax+1 {
		t.Errorf("%d errors, %d texts, %v", r.Errors, len(r.ErrorTexts), err)
	}
}

func TestPushesAreNotReplies(t *testing.T) {
	target := newToy(t, func([]byte) (string, bool) { return ">2\r\n+invalidate\r\n*0\r\n+OK\r\n", false })
	r, err := Run(t.Context(), target, tiny("set"))
	if err != nil || r.Requests != 1000 {
		t.Errorf("%d requests, %v", r.Requests, err)
	}
}

func TestLongRepliesInPieces(t *testing.T) {
	reply := "*2\r\n$100000\r\n" + strings.Repeat("x", 100_000) + "\r\n*100\r\n" + strings.Repeat("$1\r\ny\r\n", 100)
	target := newToy(t, func([]byte) (string, bool) { return reply, false })
	w := tiny("get")
	w.Requests = 200
	r, err := Run(t.Context(), target, w)
	if err != nil || r.Requests != 200 || r.BytesIn != int64(200*len(reply)) {
		t.Errorf("%d requests, %d bytes, %v", r.Requests, r.BytesIn, err)
	}
}

func TestLostConnectionIsAnError(t *testing.T) {
	var n atomic.Int64
	target := newToy(t, func([]byte) (string, bool) { return "+OK\r\n", n.Add(1) == 500 })
	w := tiny("set")
	w.Requests = 100_000
	_, err := Run(t.Context(), target, w)
	if err == nil || !strings.Contains(err.Error(), "connection ") {
		t.Errorf("error %v", err)
	}
}

func TestSilenceIsAnError(t *testing.T) {
	var n atomic.Int64
	target := newToy(t, func([]byte) (string, bool) {
		if n.Add(1) > 100 {
			return "", false
		}
		return "+OK\r\n", false
	})
	w := tiny("set")
	w.Timeout = 200 * time.Millisecond
	_, err := Run(t.Context(), target, w)
	if err == nil || !strings.Contains(err.Error(), "no reply for") {
		t.Errorf("error %v", err)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	f := func(reply, want string) {
		t.Helper()
		target := newToy(t, func([]byte) (string, bool) { return reply, false })
		if _, err := Run(t.Context(), target, tiny("set")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reply %q: error %v, want %q", reply, err, want)
		}
	}
	f("hello there\r\n", "unreadable reply")
	f("+OK\r\n+OK\r\n", "replies to")
}

func TestRefusedConnectionIsAnError(t *testing.T) {
	if _, err := Run(t.Context(), Target{Network: "tcp", Address: "127.0.0.1:1"}, tiny("set")); err == nil {
		t.Error("no error")
	}
}

func TestCancelEndsARun(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	w := tiny("set")
	w.Requests, w.Duration = 0, time.Minute
	if _, err := Run(ctx, newToy(t, ok), w); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestBuiltinsAgainstRedis(t *testing.T) {
	s := redisServer(t)
	socket := filepath.Join(t.TempDir(), "s")
	s.Args = []string{"--unixsocket", socket}
	p, err := start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	c, err := p.control(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.do("CONFIG", "SET", "requirepass", "secret"); err != nil {
		t.Fatal(err)
	}
	targets := []Target{
		{Network: "tcp", Address: p.target.Address, Password: "secret", Protocol: 3, DB: 5},
		{Network: "unix", Address: socket, Username: "default", Password: "secret", Protocol: 2},
	}
	for _, target := range targets {
		for name := range builtins {
			r, err := Run(t.Context(), target, tiny(name))
			if err != nil || r.Requests != 1000 || r.Errors != 0 {
				t.Errorf("%s %s: %d requests, %d errors %+v, %v", target.Network, name, r.Requests, r.Errors, r.ErrorTexts, err)
			}
		}
		if r, err := Run(t.Context(), target, tiny("ping_inline")); err != nil || r.Requests != 1000 || r.Errors != 0 {
			t.Errorf("ping_inline: %+v, %v", r.ErrorTexts, err)
		}
	}
	if fields, err := c.info("keyspace"); err != nil || !strings.HasPrefix(fields["db5"], "keys=") {
		t.Errorf("INFO keyspace: %v, %v", fields, err)
	}
	if _, err := Run(t.Context(), Target{Network: "tcp", Address: p.target.Address, Password: "wrong"}, tiny("get")); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("wrong password: %v", err)
	}
}

// The generator must not allocate per request: a collector running beside the
// load would be measured with it.
func TestRunsDoNotAllocatePerRequest(t *testing.T) {
	p, err := start(t.Context(), redisServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	mallocs := func(requests int64) uint64 {
		w := Workload{Ops: []Op{mustOp("get", 1), mustOp("set", 1)}, Pipeline: 16, Requests: requests, Keys: Keys{Count: 1000}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Run(t.Context(), p.target, w); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	few, many := mallocs(1000), mallocs(200_000)
	if many > few+2000 {
		t.Errorf("1000 requests: %d allocations, 200000 requests: %d", few, many)
	}
}
