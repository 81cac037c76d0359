package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
)

// A dataset that changes is saved again and again, and one that does not is not.
func TestSnapshotInterval(t *testing.T) {
	s := startDurable(t, t.TempDir(), "no", 2, "--snapshot-interval", "1")
	c := dial(t, s.Network, s.Addr)
	for _, want := range []string{"1", "2"} {
		fill(t, c, 10, want)
		until(t, "the interval", func() bool { return info(t, c, "rdb_saves") == want })
	}
	time.Sleep(2500 * time.Millisecond)
	if n := info(t, c, "rdb_saves"); n != "2" {
		t.Errorf("%s snapshots, and nothing had changed since the second", n)
	}
}

// While one client waits for SAVE, others go on, and what they write then is not in the
// snapshot but in the log.
func TestSaveStopsNobody(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2, "--snapshot-compression", "no")
	c, other := dial(t, s.Network, s.Addr), dial(t, s.Network, s.Addr)
	bulky(t, c, 5000)
	saved := make(chan error)
	go func() {
		_, err := c.Do("SAVE")
		saved <- err
	}()
	until(t, "the snapshot", func() bool { return info(t, other, "rdb_bgsave_in_progress") == "1" })
	writes, longest := 0, time.Duration(0)
	for open := true; open; {
		began := time.Now()
		expect(t, other, "OK", "SET", "meanwhile", "x")
		longest = max(longest, time.Since(began))
		writes++
		select {
		case err := <-saved:
			if err != nil {
				t.Fatal(err)
			}
			open = false
		default:
		}
	}
	if writes < 20 {
		t.Errorf("only %d writes while the snapshot was taken, the longest of %v", writes, longest)
	}
	kill(t, s)
	checks(t, 0, dir, false, "a start would load snapshot 1 (5000 keys)")
	s = startDurable(t, dir, "everysec", 2)
	expect(t, dial(t, s.Network, s.Addr), "(integer) 5001", "DBSIZE")
}

// With a log a server that stops takes no snapshot, unless there are points of save: the log
// has it all.
func TestStopWithLog(t *testing.T) {
	dir := t.TempDir()
	stop := func(how func(s *testkit.Server, c *testkit.Conn), round string, more ...string) {
		t.Helper()
		s := startDurable(t, dir, "everysec", 2, more...)
		c := dial(t, s.Network, s.Addr)
		fill(t, c, 100, round)
		how(s, c)
		if _, err := s.Wait(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	signal := func(s *testkit.Server, _ *testkit.Conn) { _ = s.Signal(syscall.SIGTERM) }
	shutdown := func(_ *testkit.Server, c *testkit.Conn) { _ = c.Send("SHUTDOWN") }
	stop(signal, "a")
	stop(shutdown, "b")
	if names := files(t, dir, "snapshots/*.json"); len(names) > 0 {
		t.Errorf("there is %q", names)
	}
	checks(t, 0, dir, false, "a start would repeat 200 effects of the log, from its beginning on")
	stop(signal, "c", "--save", "3600 1")
	stop(shutdown, "d", "--save", "3600 1")
	if names := files(t, dir, "snapshots/*.json"); len(names) != 2 {
		t.Errorf("there is %q", strings.Join(names, " "))
	}
	checks(t, 0, dir, false, "a start would load snapshot 2 (100 keys), and repeat 0 effects")
}
