package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
		rewrite(t, c, 10, want)
		eventually(t, "the interval", func() bool { return info(t, c, "rdb_saves") == want })
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
	eventually(t, "the snapshot's cut", func() bool { return info(t, other, "current_save_keys_total") == "5000" })
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
		rewrite(t, c, 100, round)
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

// A snapshot that cannot be written is tried again later, and stops nobody; a server that is
// told to stop by a signal does so, and its exit code tells.
func TestFailedSnapshots(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "snapshots")
	s := startDurable(t, dir, "no", 2, "--disable-aof", "--snapshot-interval", "1", "--stop-writes-on-bgsave-error=no")
	c := dial(t, s.Network, s.Addr)
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rewrite(t, c, 100, "a")
	eventually(t, "the failure", func() bool { return info(t, c, "rdb_last_bgsave_status") == "err" })
	began := time.Now()
	expect(t, c, "(error) ERR", "SAVE")
	rewrite(t, c, 100, "b")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another try", func() bool { return info(t, c, "rdb_saves") == "1" })
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("it was tried again after %v", took)
	}
	rewrite(t, c, 100, "c")
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if state, err := s.Wait(10 * time.Second); err != nil || state.ExitCode() != 1 {
		t.Errorf("%v %v\n%s", state, err, s.Log())
	}
}

// What is reserved of the disk by a server without data is what the page says.
func TestReservedRoom(t *testing.T) {
	dir := t.TempDir()
	startDurable(t, dir, "everysec", 2)
	var room int64
	eventually(t, "the segments ahead", func() bool {
		room = 0
		for _, name := range files(t, dir, "*/*/*") {
			if info, err := os.Stat(name); err == nil {
				room += info.Size()
			}
		}
		return room >= 24<<20
	})
	if room != 24<<20 || !strings.Contains(read(t, "../../docs/durability.md"), "takes 12 MiB per shard") {
		t.Errorf("two shards take %s", bytesText(room))
	}
}

// With aof_fsync_policy always, a server that cannot keep its promise ends, and nothing that
// it has acknowledged is missing.
func TestAlwaysStops(t *testing.T) {
	dir := ownDisk(t, "24m")
	s := startDurable(t, dir, "always", 1)
	c := dial(t, s.Network, s.Addr)
	value, acked := strings.Repeat("x", 64<<10), 0
	for ; acked < 1000; acked++ {
		if v, err := c.Do("SET", "key"+strconv.Itoa(acked), value); err != nil || v.Text() != "OK" {
			break
		}
	}
	if state, err := s.Wait(10 * time.Second); err != nil || state.ExitCode() != 1 {
		t.Fatalf("after %d writes: %v %v\n%s", acked, state, err, s.Log())
	}
	if !strings.Contains(s.Log(), "stopping at once: aof_fsync_policy is always") {
		t.Errorf("the log says\n%s", s.Log())
	}
	if out, err := exec.Command("mount", "-o", "remount,size=64m", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	s = startDurable(t, dir, "always", 1)
	c = dial(t, s.Network, s.Addr)
	for i := range acked {
		expect(t, c, "(integer) 65536", "STRLEN", "key"+strconv.Itoa(i))
	}
	if acked < 50 {
		t.Errorf("only %d writes were acknowledged", acked)
	}
}
