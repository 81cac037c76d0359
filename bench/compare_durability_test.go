package bench

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

func TestRandomDataCannotBeCompressed(t *testing.T) {
	squeezed := func(command string) float64 {
		op, err := Template(command, 1)
		if err != nil {
			t.Fatal(err)
		}
		r := rendererFor(t, Workload{Ops: []Op{op}, Keys: Keys{Count: 1000}, DataMin: 4001, DataMax: 4001})
		var requests []byte
		for range 100 {
			requests = r.render(requests, 0)
		}
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.BestCompression)
		w.Write(requests)
		w.Close()
		return float64(out.Len()) / float64(len(requests))
	}
	if left := squeezed("SET key __rand_data__"); left < 0.98 {
		t.Errorf("random data shrinks to %.2f", left)
	}
	if left := squeezed("SET key __data__"); left > 0.8 {
		t.Errorf("data from the pool shrinks to %.2f only: it could be used as well", left)
	}
}

func TestRandomDataIsRefusedWhereItCannotBe(t *testing.T) {
	op, err := Template("SET key __rand_data__", 1)
	if err != nil {
		t.Fatal(err)
	}
	inline := op
	inline.Inline = true
	for _, w := range []Workload{{Ops: []Op{op}, DataMin: 1, DataMax: 2}, {Ops: []Op{inline}}} {
		w = w.withDefaults()
		if _, err := newRenderer(w, newDataPool(w.DataMax, 1), 0); err == nil {
			t.Errorf("%+v was accepted", w)
		}
	}
}

// durabilityPlan keeps and loads a little data.
func durabilityPlan(t *testing.T, subject Server) Plan {
	plan := tinyPlan(t)
	plan.Subject, plan.Sections, plan.Dir = subject, []Section{SectionDurability}, t.TempDir()
	plan.Duration, plan.Warmup, plan.Rounds = 150*time.Millisecond, 20*time.Millisecond, 2
	plan.SnapshotKeys, plan.crashBytes = 20_000, 2<<20
	return plan
}

// The whole section with the real servers: every figure is there, and nothing else is left.
func TestDurabilityOfHyperKVAndRedis(t *testing.T) {
	plan := durabilityPlan(t, Server{Name: "HyperKV", Brand: HyperKV, Path: testkit.Binary(t)})
	var said strings.Builder
	plan.Progress = func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) }
	c, err := Compare(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	d := c.Durability
	if len(d.Log) != len(logCases) || len(d.Snapshots) != 2 || len(d.Recovery) != 2 || d.Keys != plan.SnapshotKeys {
		t.Fatalf("%d log cases, %d snapshots, %d recoveries of %d keys", len(d.Log), len(d.Snapshots), len(d.Recovery), d.Keys)
	}
	for _, row := range d.Log {
		for _, f := range row.Figures {
			if f.Rate == 0 || len(f.Rounds) != plan.Rounds {
				t.Errorf("%s on %s: %+v", row.Name, f.Server, f)
			}
		}
	}
	const payload = (compareKeyBytes + compareValueBytes) * 20_000
	for _, f := range d.Snapshots {
		if f.Offered == 0 || f.Beside == 0 || f.Quiet == 0 || f.Load == 0 || f.Seconds == 0 || len(f.Rounds) != plan.Rounds {
			t.Errorf("%+v", f)
		}
		// Nobody can store random values in less, and keys only to a degree.
		if f.Bytes < compareValueBytes*20_000 || f.Bytes > 1.5*payload || f.Plain < payload || f.Plain > 1.5*payload {
			t.Errorf("%s: a snapshot of %.0f bytes, %.0f uncompressed, of a payload of %d", f.Server, f.Bytes, f.Plain, payload)
		}
		looks, taken := 0, 0
		for i, r := range f.Rounds {
			looks, taken = looks+int(r.Looks), taken+len(r.Took)
			if r.Before == 0 || (r.Peak > 0) != (r.Looks > 0) || r.Fastest.Requests == 0 || (r.Plain > 0) != (i == 0) {
				t.Errorf("%s, round %d: %+v", f.Server, i, r)
			}
		}
		if looks == 0 || taken == 0 { // a round may be too short for so small a snapshot
			t.Errorf("%s: %d looks, %d taken", f.Server, looks, taken)
		}
	}
	for _, f := range d.Recovery {
		if f.Rate == 0 || len(f.Rounds) != plan.Rounds || f.Rounds[0].Operations != plan.SnapshotKeys || f.Rounds[0].LogBytes < payload {
			t.Errorf("%+v", f)
		}
		// What was reserved, some MiB, is not in it.
		if f.Crash.LogBytes < plan.crashBytes || f.Crash.LogBytes > 2*plan.crashBytes || f.Crash.Seconds == 0 || f.Crash.CPU == 0 {
			t.Errorf("%s was killed with a log of %d bytes: %+v", f.Server, f.Crash.LogBytes, f)
		}
	}
	measured := 0
	for _, b := range c.Bars {
		if b.Verdict != NotMeasured {
			measured++
		}
	}
	if measured != 8 {
		t.Errorf("%d bars were measured: %+v", measured, c.Bars)
	}
	if lines := strings.Count(said.String(), "\n"); lines != 2*(2*2+2+2)+2 {
		t.Errorf("%d lines of progress:\n%s", lines, said.String())
	}
	if left, _ := filepath.Glob(filepath.Join(plan.Dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	page := func(write func(*strings.Builder) error) string {
		var text strings.Builder
		if err := write(&text); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	for _, text := range []string{
		page(func(b *strings.Builder) error { return WriteComparison(b, c) }),
		page(func(b *strings.Builder) error { return WriteMarkdown(b, c, "", "") }),
		page(func(b *strings.Builder) error { return WriteComparisonHTML(b, c) }),
	} {
		for _, row := range []string{"SET, fsync everysec, pipeline 16", "SET, fsync always, pipeline 1",
			"What clients notice of snapshots of 20 K keys", "Room and time that snapshots of 20 K keys take", "Starts on a log of 20 K SETs, and after kill -9"} {
			if !strings.Contains(text, row) {
				t.Errorf("no %q in\n%s", row, text)
			}
		}
		if strings.Contains(text, plan.Dir) || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("a report that nobody should see:\n%s", text)
		}
	}
}

// A section that is interrupted in any of its parts leaves neither servers nor files.
func TestCancelledDurabilityLeavesNothing(t *testing.T) {
	for _, part := range []string{"fsync", "snapshot", "log of"} {
		plan := durabilityPlan(t, redisServer(t))
		ctx, cancel := context.WithCancel(t.Context())
		plan.Progress = func(format string, args ...any) {
			if strings.Contains(fmt.Sprintf(format, args...), part) {
				cancel()
			}
		}
		if _, err := Compare(ctx, plan); err == nil {
			t.Errorf("%s: no error", part)
		}
		if left, _ := filepath.Glob(filepath.Join(plan.Dir, "*")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", part, left)
		}
		cancel()
	}
}

func TestWithoutSnapshotKeysOnlyTheLogIsMeasured(t *testing.T) {
	plan := durabilityPlan(t, redisServer(t))
	plan.SnapshotKeys, plan.Rounds = 0, 1
	c, err := Compare(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Durability; len(d.Log) != 2 || d.Snapshots != nil || d.Recovery != nil {
		t.Errorf("%+v", d)
	}
}

// A server that was killed finds what it had written, and a directory that was given goes
// only with whoever gave it.
func TestSecondLife(t *testing.T) {
	s := redisServer(t)
	s.logPolicy = "always"
	dir := t.TempDir()
	p, err := startIn(t.Context(), s, dir, startTimeout)
	if err != nil {
		t.Fatal(err)
	}
	if err := durabilityPlan(t, s).withDefaults().write(t.Context(), p, 500, 500, 8); err != nil {
		t.Fatal(err)
	}
	p.kill()
	if !gone(p.pid) {
		t.Error("the server outlived kill")
	}
	if p, err = again(t.Context(), s, dir, 500); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if p, err = again(t.Context(), s, dir, 501); err == nil || !strings.Contains(err.Error(), "has 500 keys after its start") {
		t.Errorf("a key was missing: %v", err)
		p.stop()
	}
	if size, err := logBytes(s, dir); err != nil || size < 500*(compareKeyBytes+8) {
		t.Errorf("a log of %d bytes, %v", size, err)
	}
	if _, err := snapshotBytes(s, dir); !errors.Is(err, errNoFiles) {
		t.Errorf("there is no snapshot: %v", err)
	}
}

// The first PONG counts, and a server that is loading is not connected to again and again.
func TestGreetWaitsUntilTheDataIsLoaded(t *testing.T) {
	var pings, connections atomic.Int64
	loading := &toy{answer: func(request []byte) (string, bool) {
		switch {
		case !bytes.Contains(request, []byte("PING")):
			return "$0\r\n\r\n", false
		case pings.Add(1) < 4:
			return "-LOADING Redis is loading the dataset in memory\r\n", false
		}
		return "+PONG\r\n", false
	}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go loading.serve(c)
		}
	}()
	p := &process{
		target: Target{Network: "tcp", Address: l.Addr().String()}, output: &tail{}, exited: make(chan struct{}), pid: os.Getpid(),
	}
	began := time.Now()
	if err := p.greet(t.Context(), began, time.Minute); err != nil || pings.Load() != 4 || connections.Load() != 1 {
		t.Errorf("%d PINGs over %d connections, %v", pings.Load(), connections.Load(), err)
	}
	if p.startup <= 3*pollMin || p.startup > time.Since(began) {
		t.Errorf("started in %v", p.startup)
	}
	pings.Store(-1 << 40)
	if err := p.greet(t.Context(), time.Now(), 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "LOADING") {
		t.Errorf("error %v", err)
	}
}

func TestSnapshotThatFailsIsAnError(t *testing.T) {
	info := func(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }
	var polls atomic.Int64
	p := &process{target: newToy(t, func(request []byte) (string, bool) {
		switch {
		case bytes.Contains(request, []byte("BGSAVE")):
			return "+Background saving started\r\n", false
		case polls.Add(1) < 3:
			return info("rdb_bgsave_in_progress:1\r\nrdb_last_bgsave_status:ok\r\n"), false
		}
		return info("rdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:err\r\n"), false
	})}
	if _, err := p.snapshot(t.Context()); err == nil || polls.Load() != 3 {
		t.Errorf("%d polls, error %v", polls.Load(), err)
	}
}

func TestWaitsForTheLogThatIsHeldBack(t *testing.T) {
	var polls atomic.Int64
	p := &process{target: newToy(t, func([]byte) (string, bool) {
		if polls.Add(1) < 3 {
			return "$20\r\naof_buffer_length:77\r\n", false
		}
		return "$19\r\naof_buffer_length:0\r\n", false
	})}
	if err := p.written(t.Context()); err != nil || polls.Load() != 3 {
		t.Errorf("%d polls, %v", polls.Load(), err)
	}
}

func TestWrittenBytes(t *testing.T) {
	f := func(want int64, parts ...[]byte) {
		t.Helper()
		name := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(name, bytes.Join(parts, nil), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := writtenBytes(name); err != nil || got != want {
			t.Errorf("%d, %v, want %d", got, err, want)
		}
	}
	zeros := make([]byte, 600<<10)
	f(0)
	f(0, zeros)
	f(3, []byte("abc"))
	f(3, []byte("abc"), zeros)
	f(int64(len(zeros))+1, zeros, []byte("x"), zeros)
	f(3, []byte("a\x00c"), make([]byte, 256<<10-3))
	if _, err := writtenBytes(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there has a size")
	}
}
