package server

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"hyperkv/engine"
	"hyperkv/resp"
)

func TestShutdown(t *testing.T) {
	f := func(command string, want string) {
		t.Helper()
		e := testEngine(t, nil)
		c := connect(t, e)
		v, err := c.Do(strings.Fields(command)...)
		if want != "" {
			if got := v.Text(); err != nil || got != want {
				t.Errorf("%s: got %q, %v", command, got, err)
			}
			return
		}
		if err != engine.ErrNoReply {
			t.Errorf("%s: got %v, %v", command, v, err)
		}
		select {
		case <-e.ShutdownRequested():
		case <-time.After(time.Second):
			t.Errorf("%s: the server goes on", command)
		}
	}
	f("SHUTDOWN", "")
	f("shutdown nosave now force", "")
	f("SHUTDOWN SAVE FORCE", "")
	f("SHUTDOWN SAVE", "ERR SHUTDOWN SAVE needs snapshots, which are not available in this version of HyperKV")
	f("SHUTDOWN NOW ABORT", "ERR syntax error")
}

func TestMonitorInsideExec(t *testing.T) {
	c := connect(t, testEngine(t, nil))
	do(t, c, "MULTI")
	do(t, c, "MONITOR")
	if got := do(t, c, "EXEC").Elems[0].Text(); !strings.Contains(got, "DENY BLOCKING") {
		t.Errorf("got %q", got)
	}
}

// Nothing of DEBUG works unless it was allowed, not even its help.
func TestDebugIsProtected(t *testing.T) {
	c := connect(t, testEngine(t, nil))
	for i := range debugging.Subcommands {
		sub := &debugging.Subcommands[i]
		args := []string{"DEBUG", sub.Name}
		for len(args) < max(sub.Arity, -sub.Arity) {
			args = append(args, "1")
		}
		if got := do(t, c, strings.Join(args, " ")).Text(); !strings.HasPrefix(got, "ERR DEBUG command not allowed.") {
			t.Errorf("%q: got %q", args, got)
		}
	}
}

func TestRedactConfigSet(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		var args [][]byte
		for _, word := range strings.Fields(line) {
			args = append(args, []byte(word))
		}
		got := ""
		for _, arg := range redactConfigSet(args) {
			got += string(arg) + " "
		}
		if got != want+" " {
			t.Errorf("%s: got %s", line, got)
		}
		if string(args[len(args)-1]) != line[strings.LastIndex(line, " ")+1:] {
			t.Errorf("%s: the arguments were changed", line)
		}
	}
	f("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 1")
	f("CONFIG SET requirepass secret", "CONFIG SET requirepass (redacted)")
	f("CONFIG SET RequirePass a maxmemory 1 masterauth b", "CONFIG SET RequirePass (redacted) maxmemory 1 masterauth (redacted)")
	f("CONFIG SET maxmemory 1 requirepass", "CONFIG SET maxmemory 1 requirepass")
	f("CONFIG SET nonesuch x", "CONFIG SET nonesuch x")
}

func TestDiagnosis(t *testing.T) {
	f := func(m memoryNumbers, clients, limit int64, want string) {
		t.Helper()
		if got := diagnosis(&m, clients, limit); !strings.Contains(got, want) {
			t.Errorf("%+v: got %q", m, got)
		}
	}
	const mb = 1 << 20
	f(memoryNumbers{}, 0, 0, "next to no data")
	f(memoryNumbers{data: 100 * mb, used: 101 * mb, peak: 101 * mb, resident: 110 * mb}, 1, 0, "Nothing is wrong")
	f(memoryNumbers{data: 100 * mb, used: 101 * mb, peak: 200 * mb}, 1, 0, "Peak:")
	f(memoryNumbers{data: 100 * mb, used: 101 * mb, resident: 200 * mb}, 1, 0, "Resident size:")
	f(memoryNumbers{data: 10 * mb, used: 110 * mb, heap: 100 * mb}, 1, 0, "Heap:")
	f(memoryNumbers{data: 100 * mb, used: 101 * mb, clients: mb}, 2, 0, "Clients:")
	f(memoryNumbers{data: 100 * mb, used: 101 * mb}, 1, 105*mb, "Limit:")
}

func TestMemoryStats(t *testing.T) {
	c := connect(t, testEngine(t, nil))
	do(t, c, "SET key value")
	v := do(t, c, "MEMORY STATS")
	if v.Kind != resp.KindMap {
		t.Fatalf("got %s", v)
	}
	names := map[string]resp.Value{}
	for i := 0; i < len(v.Elems); i += 2 {
		names[v.Elems[i].Text()] = v.Elems[i+1]
	}
	if n := names["keys.count"].Int; n != 1 {
		t.Errorf("keys.count is %d", n)
	}
	if db := names["db.0"]; len(db.Elems) != 4 {
		t.Errorf("db.0 is %s", db)
	}
	if stats := do(t, c, "MEMORY MALLOC-STATS").Text(); !strings.HasPrefix(stats, allocator) || !strings.Contains(stats, "\n   0 ") {
		t.Errorf("got %s", stats)
	}
}

// Whatever chance brings, the drawing stays within its frame.
func TestDrawShards(t *testing.T) {
	for n := 1; n <= lolwutShardsMax; n += 7 {
		random := rand.New(rand.NewPCG(uint64(n), 1))
		lines := strings.Split(strings.TrimSuffix(drawShards(n, random), "\n"), "\n")
		width := len([]rune(lines[0]))
		for _, line := range lines {
			if len([]rune(line)) != width || width > lolwutWidth/2 {
				t.Fatalf("%d shards: a line of %d characters", n, len([]rune(line)))
			}
		}
	}
	c := connect(t, testEngine(t, nil))
	if got := do(t, c, "LOLWUT").Text(); !strings.HasSuffix(got, "HyperKV ver. "+engine.Version+"\n") {
		t.Errorf("got %q", got)
	}
}
