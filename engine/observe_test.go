package engine

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMonitors(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	watching, p := connect(t, e), connect(t, e)
	watching.ask("+OK\r\n", "MONITOR")
	if !watching.session.Info().Monitor {
		t.Error("CLIENT LIST does not show the monitor")
	}
	var want strings.Builder
	for i := range 200 {
		p.send("SET", "k", fmt.Sprint(i))
		fmt.Fprintf(&want, "\"SET\" \"k\" \"%d\"\r\n", i)
		if i%10 == 0 {
			p.feed(transaction([]string{"MGET", "a", "\r\n"}, []string{"NAME", "x"}))
			want.WriteString("\"MULTI\"\r\n\"MGET\" \"a\" \"\\r\\n\"\r\n\"NAME\" \"x\"\r\n\"exec\"\r\n")
		}
	}
	stamp := regexp.MustCompile(`\+\d+\.\d{6} \[0 127\.0\.0\.1:1\] `)
	watching.wait("the feed", func() bool { return strings.HasSuffix(string(watching.out), "\"SET\" \"k\" \"199\"\r\n") })
	if got := stamp.ReplaceAllString(watching.take(), ""); got != want.String() {
		t.Errorf("got  %s\nwant %s", clip([]byte(got)), clip([]byte(want.String())))
	}
	// A monitor that waits for a reply of its own gets the lines behind it.
	release := busy(t, e, 0)
	watching.send("GET", keyOn(e, 0, 0))
	p.send("ECHO", "x")
	release()
	watching.wait("its reply", func() bool { return strings.Contains(string(watching.out), "ECHO") })
	if got := stamp.ReplaceAllString(watching.take(), ""); !strings.Contains(got, "$-1\r\n") {
		t.Errorf("%q", got)
	}
	watching.session.Closed(nil)
	p.send("ECHO", "y")
	p.settle()
	watching.settle()
	if e.Monitors.any() || len(watching.out) != 0 {
		t.Errorf("a monitor is left; output %q", watching.out)
	}
}

func TestSlowlog(t *testing.T) {
	e := newEngine(t, Options{}, onShards(3))
	set(t, e, "slowlog-log-slower-than", "0")
	set(t, e, "slowlog-max-len", "10")
	p := connect(t, e)
	for i := range 1000 {
		p.ask("$-1\r\n", "GET", fmt.Sprint("k", i))
	}
	entries := e.Slowlog.Get(-1)
	if len(entries) != 10 || e.Slowlog.Len() != 10 || cap(e.Slowlog.entries) > 64 {
		t.Fatalf("%d entries, room for %d", len(entries), cap(e.Slowlog.entries))
	}
	for i, entry := range entries {
		if string(entry.Args[1]) != fmt.Sprint("k", 999-i) || entry.ID != int64(999-i) || entry.Addr != "127.0.0.1:1" {
			t.Errorf("%d: %+v", i, entry)
		}
	}
	if got := e.Slowlog.Get(3); len(got) != 3 || got[2].ID != 997 {
		t.Errorf("%+v", got)
	}
	// What is kept of a command is bounded.
	args := append([]string{"MGET", strings.Repeat("x", 200)}, strings.Split(strings.Repeat("a ", 99)+"a", " ")...)
	p.send(args...)
	kept := e.Slowlog.Get(1)[0].Args
	if len(kept) != slowArgsMax || string(kept[31]) != "... (71 more arguments)" || string(kept[1][slowArgBytesMax:]) != "... (72 more bytes)" {
		t.Errorf("%d arguments: %q", len(kept), kept)
	}
	// A command that ran in parts is one entry, with all its arguments.
	p.wait("the reply", func() bool { return p.session.pipeline.empty() })
	e.Slowlog.Reset()
	release := busy(t, e, 1)
	p.send("HAS", "a")
	release()
	p.take()
	p.expect("*0\r\n")
	if got := e.Slowlog.Get(-1); len(got) != 1 || string(bytes.Join(got[0].Args, []byte(" "))) != "HAS a" {
		t.Errorf("%+v", got)
	}
	p.ask("$1\r\nx\r\n", "HERE", "x")
	if got := e.Slowlog.Get(1)[0]; string(got.Args[0]) != "HERE" {
		t.Errorf("%+v", got)
	}
	set(t, e, "slowlog-max-len", "0")
	p.ask("$-1\r\n", "GET", "a")
	if n := e.Slowlog.Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
	set(t, e, "slowlog-log-slower-than", "-1")
	set(t, e, "slowlog-max-len", "10")
	p.ask("$-1\r\n", "GET", "a")
	if n := e.Slowlog.Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

// Every command is counted once, however many shards it takes.
func TestCommandsAreCountedOnce(t *testing.T) {
	e := newEngine(t, Options{}, onShards(5))
	p := connect(t, e)
	keys := strings.Split(strings.Repeat("a b c d e f g h ", 20)+"z", " ")
	many := append([]string{"MGET"}, keys...)
	for _, held := range []bool{false, true} {
		release := func() {}
		if held {
			release = busy(t, e, 3)
		}
		p.send(many...)
		p.send("DBSIZE")
		p.send("ALLFAIL")
		p.send("HAS", "a")
		p.send("GET", "a")
		p.send("FAIL", "a")
		p.send("GET")
		p.send("HEREFAIL")
		release()
		p.wait("the replies", func() bool { return p.session.pipeline.empty() && p.session.hold == holdNone })
	}
	f := func(name string, calls, failed, rejected uint64) {
		t.Helper()
		st := e.CommandStats(e.Table.Find(name).id)
		if st.Calls != calls || st.Failed != failed || st.Rejected != rejected {
			t.Errorf("%s: %d calls, %d failed, %d rejected; want %d, %d, %d", name, st.Calls, st.Failed, st.Rejected, calls, failed, rejected)
		}
		var sum uint64
		for _, n := range st.Latency {
			sum += n
		}
		if sum != calls {
			t.Errorf("%s: %d latencies", name, sum)
		}
	}
	check := func() {
		t.Helper()
		f("mget", 2, 0, 0)
		f("dbsize", 2, 0, 0)
		f("allfail", 2, 2, 0)
		f("has", 2, 0, 0)
		f("get", 2, 0, 2)
		f("fail", 2, 2, 0)
		f("herefail", 2, 2, 0)
		stats := e.Stats()
		if stats.Errors["TOY"] != 4 || stats.Errors["WRONGTYPE"] != 2 || stats.Errors["ERR"] != 2 {
			t.Errorf("errors %v", stats.Errors)
		}
	}
	check()
	if n := e.Calls(); n != 14 {
		t.Errorf("%d calls", n)
	}
	p.session.Closed(nil)
	p.session.loop.Close() // the counts of a loop outlive it
	check()
	var metrics bytes.Buffer
	e.WriteMetrics(&metrics)
	for _, line := range []string{
		`hyperkv_commands_total{cmd="mget"} 2`, `hyperkv_command_errors_total{cmd="fail",kind="failed"} 2`,
		`hyperkv_command_errors_total{cmd="get",kind="rejected"} 2`, `hyperkv_error_replies_total{prefix="TOY"} 4`,
		`hyperkv_command_duration_seconds_count{cmd="mget"} 2`, `hyperkv_command_duration_seconds_bucket{cmd="mget",le="+Inf"} 2`,
		`hyperkv_connected_clients 0`, `hyperkv_up 1`,
	} {
		if !strings.Contains(metrics.String(), line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
	q := connect(t, e)
	q.ask("+OK\r\n", "RESETSTAT")
	f("mget", 0, 0, 0)
	f("herefail", 0, 0, 0)
	f("resetstat", 1, 0, 0)
	if stats := e.Stats(); len(stats.Errors) != 0 || stats.Hits+stats.Misses != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestHitsAndSizes(t *testing.T) {
	e := newEngine(t, Options{}, onShards(4))
	p := connect(t, e)
	for i := range 100 {
		p.ask("+OK\r\n", "SET", fmt.Sprint(i), "v")
	}
	p.send("GET", "1")
	p.send("GET", "nobody")
	p.send("MGET", "1", "2", "nobody")
	p.take()
	p.ask("+OK\r\n", "SELECT", "1")
	stats := e.Stats()
	if stats.Hits != 3 || stats.Misses != 2 || stats.Databases[0].Keys != 100 || stats.Databases[1].Keys != 0 || e.Shards.Bytes() == 0 {
		t.Errorf("%d hits, %d misses, %+v", stats.Hits, stats.Misses, stats.Databases[:2])
	}
	p.ask("+OK\r\n", "SWAPDB", "0", "1")
	p.ask(":100\r\n", "DBSIZE")
	if stats := e.Stats(); stats.Databases[1].Keys != 100 || stats.Databases[0].Keys != 0 {
		t.Errorf("after SWAPDB: %+v", stats.Databases[:2])
	}
	p.ask("+OK\r\n", "FLUSHDB")
	if stats := e.Stats(); stats.Databases[1].Keys != 0 || stats.Databases[1].Bytes != 0 {
		t.Errorf("after FLUSHDB: %+v", stats.Databases[:2])
	}
}

func TestMaxClients(t *testing.T) {
	e := newEngine(t, Options{}, onShards(1))
	set(t, e, "maxclients", "2")
	a, _ := connect(t, e), connect(t, e)
	if _, err := e.NewClient(); err == nil || err.Error() != "ERR max number of clients reached" {
		t.Errorf("the third client gets %v", err)
	}
	a.session.Closed(nil)
	a.session.Closed(nil)
	c, err := e.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Clients(); len(got) != 2 || e.Client(c.session.ID()) != c.session || got[0].ID() > got[1].ID() {
		t.Errorf("%v", got)
	}
	c.Close()
}

func TestClient(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	c, err := e.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Do("SET", "a", "1"); err != nil || v.Text() != "OK" {
		t.Fatal(v, err)
	}
	if _, err := c.Do("REPLY", "off"); !errors.Is(err, ErrNoReply) {
		t.Errorf("got %v", err)
	}
	if v, err := c.Do("REPLY", "on"); err != nil || v.Text() != "OK" {
		t.Error(v, err)
	}
	// One that waits is let go by Close.
	result := make(chan error)
	go func() {
		_, err := c.DoBytes([]byte("WAIT"), []byte("1"), []byte("0"))
		result <- err
	}()
	for e.BlockedCount() == 0 {
		runtime.Gosched()
	}
	c.Close()
	select {
	case err := <-result:
		if !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Close does not end a command that waits")
	}
	if _, err := c.Do("GET", "a"); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	c.Close()
	quiet(t, e)
}

// Close waits for a transaction that the shards still have, so that the session
// leaves nothing behind.
func TestClientClosedDuringExec(t *testing.T) {
	e := newEngine(t, Options{}, onShards(2))
	c, err := e.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"MONITOR"}, {"MULTI"}, {"SET", keyOn(e, 0, 0), "v"}} {
		if v, err := c.Do(args...); err != nil {
			t.Fatal(v, err)
		}
	}
	release := busy(t, e, 0)
	result := make(chan error)
	go func() {
		_, err := c.Do("EXEC")
		result <- err
	}()
	for c.session.Info().Command != "exec" {
		runtime.Gosched()
	}
	closed := make(chan struct{})
	go func() { c.Close(); close(closed) }()
	time.Sleep(20 * time.Millisecond)
	release()
	<-closed
	if err := <-result; err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	quiet(t, e)
}

// Clients on several loops use the same shards at the same time: nothing is lost,
// and transactions are atomic. The race detector looks on.
func TestStress(t *testing.T) {
	for _, processors := range []int{1, 2, 8} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			e := newEngine(t, Options{}, onShards(4))
			var clients sync.WaitGroup
			rounds := 400
			if testing.Short() {
				rounds = 100
			}
			for id := range 6 {
				clients.Go(func() {
					c, err := e.NewClient()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					own := fmt.Sprint("own", id)
					for i := range rounds {
						value := fmt.Sprint(id, ":", i)
						do := func(args ...string) string {
							v, err := c.Do(args...)
							if err != nil {
								t.Error(args, err)
							}
							return v.String()
						}
						do("SET", own, value)
						do("MSET", "x", value, "y", value, "z", value)
						if got := do("GET", own); got != "\""+value+"\"" {
							t.Errorf("got %s, want %s", got, value)
						}
						do("MULTI")
						do("MGET", "x", "y", "z")
						do("NAME", own)
						do("SET", own, value)
						v, err := c.Do("EXEC")
						if err != nil || len(v.Elems) != 3 {
							t.Error(v, err)
							return
						}
						if seen := v.Elems[0].Elems; seen[0].Text() != seen[1].Text() || seen[1].Text() != seen[2].Text() {
							t.Errorf("MSET is not atomic: %v", seen)
						}
						switch i % 8 {
						case 0:
							do("HAS", "x")
						case 1:
							do("LGET", "x")
						case 2:
							do("DBSIZE")
						case 3:
							do("WATCH", "nobody")
						case 4:
							do("UNWATCH")
						case 5:
							e.Stats()
							e.WriteMetrics(&bytes.Buffer{})
							for _, s := range e.Clients() {
								s.Info()
							}
						}
					}
				})
			}
			clients.Wait()
			quiet(t, e)
			for name, want := range map[string]int{"exec": 6 * rounds, "mset": 6 * rounds, "set": 12 * rounds, "name": 6 * rounds} {
				if st := e.CommandStats(e.Table.Find(name).id); int(st.Calls) != want {
					t.Errorf("%s was counted %d times, not %d", name, st.Calls, want)
				}
			}
		}()
	}
}
