package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/difftest"
	"hyperkv/internal/testkit"
)

// info is a field of INFO.
func info(t testing.TB, c *testkit.Conn, field string) string {
	t.Helper()
	v, err := c.Do("INFO", "everything")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(v.Text(), "\r\n") {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return value
		}
	}
	t.Fatalf("INFO has no %s", field)
	return ""
}

// rewrite makes count keys, and gives them a value that tells which round it was.
func rewrite(t testing.TB, c *testkit.Conn, count int, round string) {
	t.Helper()
	load(t, c, count, func(i int) []string { return []string{"SET", "key:" + strconv.Itoa(i), round} })
}

// rounds are the values that rewrite has left, with how many keys have them.
func rounds(t testing.TB, c *testkit.Conn, count int) map[string]int {
	t.Helper()
	args := []string{"MGET"}
	for i := range count {
		args = append(args, "key:"+strconv.Itoa(i))
	}
	v, err := c.Do(args...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, e := range v.Elems {
		found[e.Text()]++
	}
	return found
}

func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What the commands answer, and what INFO says of it.
func TestSnapshotCommands(t *testing.T) {
	s := startDurable(t, t.TempDir(), "no", 2)
	c := dial(t, s.Network, s.Addr)
	rewrite(t, c, 1000, "a")
	if n := info(t, c, "rdb_changes_since_last_save"); n != "1000" {
		t.Errorf("%s changes", n)
	}
	before, _ := strconv.ParseInt(strings.TrimPrefix(ask(t, c, "LASTSAVE"), "(integer) "), 10, 64)
	expect(t, c, "OK", "SAVE")
	for field, want := range map[string]string{"rdb_changes_since_last_save": "0", "rdb_saves": "1", "rdb_last_bgsave_status": "ok",
		"rdb_bgsave_in_progress": "0", "current_save_keys_total": "1000", "current_save_keys_processed": "1000", "aof_rewrites": "0"} {
		if got := info(t, c, field); got != want {
			t.Errorf("after SAVE %s is %s, want %s", field, got, want)
		}
	}
	after, _ := strconv.ParseInt(strings.TrimPrefix(ask(t, c, "LASTSAVE"), "(integer) "), 10, 64)
	if after < before || after < time.Now().Unix()-5 {
		t.Errorf("LASTSAVE was %d and is %d", before, after)
	}
	expect(t, c, "Background saving started", "BGSAVE")
	eventually(t, "BGSAVE", func() bool { return info(t, c, "rdb_saves") == "2" })
	expect(t, c, "Background append only file rewriting started", "BGREWRITEAOF")
	eventually(t, "BGREWRITEAOF", func() bool { return info(t, c, "aof_rewrites") == "1" })
	if got := info(t, c, "aof_rewrite_in_progress"); got != "0" {
		t.Errorf("a rewrite is still in progress")
	}
	// In a transaction SAVE is refused, as in Redis, and BGSAVE is not.
	expect(t, c, "OK", "MULTI")
	expect(t, c, "QUEUED", "BGSAVE")
	expect(t, c, "(error) ERR Command not allowed inside a transaction", "SAVE")
	expect(t, c, "OK", "DISCARD")
	// While one is taken, a second is refused. A large dataset takes long enough to see it.
	rewrite(t, c, 200_000, "b")
	expect(t, c, "Background saving started", "BGSAVE")
	expect(t, c, "(error) ERR Background save already in progress", "BGSAVE")
	expect(t, c, "(error) ERR Background save already in progress", "SAVE")
	expect(t, c, "Background append only file rewriting scheduled", "BGREWRITEAOF")
	eventually(t, "what was scheduled", func() bool { return info(t, c, "aof_rewrites") == "2" })
}

// The log before the snapshots that are kept goes, and old snapshots with it.
func TestSnapshotsCutTheLog(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "no", 2, "--snapshot-keep", "2")
	c := dial(t, s.Network, s.Addr)
	for range 5 {
		load(t, c, 40_000, func(i int) []string { return []string{"SET", "key:" + strconv.Itoa(i%100), strings.Repeat("x", 500)} })
		expect(t, c, "OK", "SAVE")
	}
	if n := len(files(t, dir, "snapshots/*.json")); n != 2 {
		t.Errorf("%d snapshots are there, want 2", n)
	}
	for _, name := range files(t, dir, "journal/*/wal-*-00000000000000000001.log") {
		t.Errorf("%s is still there", name)
	}
	kill(t, s)
	s = startDurable(t, dir, "no", 3)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "(integer) 100", "DBSIZE")
	// Without any snapshot the log is not enough, and the server says so.
	kill(t, s)
	damaged := []string{damage(t, dir, "4"), damage(t, dir, "5")}
	out, errs, failed := hyperkv(t, "serve", "--data-dir", dir, "--port", "0", "--metrics-port", "0", "--worker-threads", "2")
	if !failed || !strings.Contains(errs, "records 1 to ") || !strings.Contains(errs, "are missing") ||
		!strings.Contains(errs, damaged[0]+" is damaged at byte") || !strings.Contains(errs, damaged[1]) {
		t.Errorf("it started: %q %q", out, errs)
	}
}

// A log that has grown enough begins a snapshot by itself, and so do the points of save.
func TestSnapshotSchedule(t *testing.T) {
	s := startDurable(t, t.TempDir(), "no", 2, "--auto-aof-rewrite-min-size", "1mb")
	c := dial(t, s.Network, s.Addr)
	load(t, c, 60_000, func(i int) []string { return []string{"SET", "key:" + strconv.Itoa(i%100), strings.Repeat("x", 500)} })
	eventually(t, "the log", func() bool { return info(t, c, "aof_rewrites") != "0" })
	s.Stop()

	s = startDurable(t, t.TempDir(), "no", 2)
	c = dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "CONFIG", "SET", "save", "1 5")
	rewrite(t, c, 4, "a")
	time.Sleep(2500 * time.Millisecond)
	if n := info(t, c, "rdb_saves"); n != "0" {
		t.Errorf("%s snapshots after four changes", n)
	}
	rewrite(t, c, 4, "b")
	eventually(t, "the save point", func() bool { return info(t, c, "rdb_saves") == "1" })
}

// When the newest snapshot is damaged, the one before and the log since then have it all.
func TestDamagedSnapshots(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2)
	c := dial(t, s.Network, s.Addr)
	for _, round := range []string{"a", "b", "c"} {
		rewrite(t, c, 1000, round)
		expect(t, c, "OK", "SAVE")
	}
	rewrite(t, c, 500, "d")
	kill(t, s)
	newest := damage(t, dir, "3")
	s = startDurable(t, dir, "everysec", 2)
	c = dial(t, s.Network, s.Addr)
	if got := rounds(t, c, 1000); got["d"] != 500 || got["c"] != 500 {
		t.Errorf("%v", got)
	}
	if !strings.Contains(s.Log(), newest) {
		t.Errorf("the log does not name %s:\n%s", newest, s.Log())
	}
	kill(t, s)
	damage(t, dir, "2")
	s = startDurable(t, dir, "everysec", 2) // so small a log is still there from its beginning
	c = dial(t, s.Network, s.Addr)
	if got := rounds(t, c, 1000); got["d"] != 500 || got["c"] != 500 {
		t.Errorf("from the log alone: %v", got)
	}
}

// damage changes a bit in the middle of a file of a snapshot, and returns its name.
func damage(t testing.TB, dir, number string) string {
	t.Helper()
	names := files(t, dir, "snapshots/snapshot-*"+number+"-0001.hks")
	if len(names) != 1 {
		t.Fatalf("the files are %q", files(t, dir, "snapshots/*"))
	}
	p, err := os.ReadFile(names[0])
	if err == nil {
		p[len(p)/2] ^= 1
		err = os.WriteFile(names[0], p, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return names[0]
}

// Without a log: what the last snapshot has, and all of it after an orderly end.
func TestSnapshotsAlone(t *testing.T) {
	dir := t.TempDir()
	start := func() (*testkit.Server, *testkit.Conn) {
		s := startDurable(t, dir, "no", 2, "--disable-aof")
		return s, dial(t, s.Network, s.Addr)
	}
	s, c := start()
	rewrite(t, c, 100, "a")
	expect(t, c, "OK", "SAVE")
	rewrite(t, c, 100, "b")
	kill(t, s)

	s, c = start()
	if got := rounds(t, c, 100); got["a"] != 100 {
		t.Errorf("after kill -9: %v", got)
	}
	rewrite(t, c, 100, "c")
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}

	s, c = start()
	if got := rounds(t, c, 100); got["c"] != 100 {
		t.Errorf("after SIGTERM: %v", got)
	}
	rewrite(t, c, 100, "d")
	end(t, s, c, "SHUTDOWN", "NOSAVE")
	s, c = start()
	if got := rounds(t, c, 100); got["c"] != 100 {
		t.Errorf("after SHUTDOWN NOSAVE: %v", got)
	}
	rewrite(t, c, 100, "e")
	end(t, s, c, "SHUTDOWN")
	s, c = start()
	if got := rounds(t, c, 100); got["e"] != 100 {
		t.Errorf("after SHUTDOWN: %v", got)
	}
	// A snapshot that cannot be written keeps the server from stopping.
	expect(t, c, "OK", "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	rewrite(t, c, 100, "f")
	blocked := filepath.Join(dir, "snapshots")
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "(error) ERR Errors trying to SHUTDOWN. Check logs.", "SHUTDOWN")
	if status := info(t, c, "rdb_last_bgsave_status"); status != "err" {
		t.Errorf("rdb_last_bgsave_status is %s", status)
	}
	rewrite(t, c, 100, "g") // writes go on
	end(t, s, c, "SHUTDOWN", "SAVE", "FORCE")
}

// While only snapshots keep the data and none can be written, writes are refused and reads
// served; when one can, writes are accepted again.
func TestWritesWithoutSnapshots(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "no", 2, "--disable-aof")
	c := dial(t, s.Network, s.Addr)
	rewrite(t, c, 10, "a")
	blocked := filepath.Join(dir, "snapshots")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, c, "(error) ERR", "SAVE")
	refused := func() bool {
		return strings.HasPrefix(ask(t, c, "SET", "a", "b"), "(error) MISCONF Redis is configured to save RDB snapshots")
	}
	eventually(t, "writes are refused", refused)
	expect(t, c, `"a"`, "GET", "key:1")
	expect(t, c, "OK", "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
	eventually(t, "writes are accepted by the setting", func() bool { return !refused() })
	expect(t, c, "OK", "CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
	eventually(t, "writes are refused again", refused)
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes are accepted", func() bool { return !refused() })
	if n := len(files(t, dir, "snapshots/*.json")); n != 1 {
		t.Errorf("%d snapshots", n)
	}
}

// end stops a server with a command, which gets no reply, and waits for its process.
func end(t testing.TB, s *testkit.Server, c *testkit.Conn, command ...string) {
	t.Helper()
	if v, err := c.Do(command...); err == nil {
		t.Fatalf("%q: %v", command, v)
	}
	if s == nil {
		return
	}
	if _, err := s.Wait(10 * time.Second); err != nil {
		t.Fatal(err)
	}
}

// The log is switched on and off while clients write; whenever the server is killed, what
// was written while it was on is there, and of the rest what the last snapshot had.
func TestSwitchTheLog(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2, "--disable-aof")
	c := dial(t, s.Network, s.Addr)
	on := func() {
		t.Helper()
		rewrites := info(t, c, "aof_rewrites")
		expect(t, c, "OK", "CONFIG", "SET", "appendonly", "yes")
		eventually(t, "the log", func() bool { return info(t, c, "aof_rewrites") != rewrites && info(t, c, "aof_enabled") == "1" })
	}
	off := func() {
		t.Helper()
		expect(t, c, "OK", "CONFIG", "SET", "appendonly", "no")
		eventually(t, "the end of the log", func() bool { return info(t, c, "aof_enabled") == "0" })
	}
	restart := func(want string, more ...string) {
		t.Helper()
		kill(t, s)
		s = startDurable(t, dir, "everysec", 2, more...)
		c = dial(t, s.Network, s.Addr)
		if got := rounds(t, c, 100); got[want] != 100 {
			t.Errorf("%v, want %s", got, want)
		}
	}
	rewrite(t, c, 100, "a")
	on()
	rewrite(t, c, 100, "b")
	restart("b")
	off()
	rewrite(t, c, 100, "c")
	restart("b", "--disable-aof") // c was in no log and in no snapshot
	rewrite(t, c, 100, "d")
	expect(t, c, "OK", "SAVE")
	restart("d") // and what was in the log before is not repeated on top of it
	rewrite(t, c, 100, "e")
	restart("e")
	for range 3 {
		off()
		rewrite(t, c, 100, "f")
		on()
		rewrite(t, c, 100, "g")
	}
	restart("g")
	if left := files(t, dir, "journal/0*"); len(left) > 3 {
		t.Errorf("old generations are still there: %q", left)
	}
	off()
	rewrite(t, c, 100, "h")
	for range 2 { // as many as are kept
		expect(t, c, "OK", "SAVE")
	}
	if left := files(t, dir, "journal/0*"); len(left) > 0 {
		t.Errorf("the log that is off is still there: %q", left)
	}
	restart("h", "--disable-aof")
	restart("h")
	rewrite(t, c, 100, "i")
	restart("i")
}

// Clients of any kind go on while snapshots are taken, and what they have written is
// there, whichever of snapshot and log has it.
func TestSnapshotsUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2, "--enable-debug-command", "yes")
	c := dial(t, s.Network, s.Addr)
	var digests []string
	for round := range 4 {
		done := make(chan bool)
		go func() {
			defer close(done)
			other, err := testkit.Dial(s.Network, s.Addr)
			if err != nil {
				return
			}
			defer other.Close()
			load(t, other, 20_000, func(i int) []string {
				key := strconv.Itoa(i * 7919 % 500)
				switch i % 6 {
				case 0:
					return []string{"RPUSH", "list:" + key, strconv.Itoa(i)}
				case 1:
					return []string{"HSET", "hash:" + key, strconv.Itoa(i), "v"}
				case 2:
					return []string{"ZADD", "zset:" + key, strconv.Itoa(i), strconv.Itoa(i % 50)}
				case 3:
					return []string{"SADD", "set", strconv.Itoa(i + round*20_000)}
				case 4:
					return []string{"XADD", "stream:" + key, "*", "n", strconv.Itoa(i)}
				}
				return []string{"SET", "string:" + key, strconv.Itoa(i), "EX", "1000"}
			})
		}()
		for open := true; open; {
			ask(t, c, "SAVE")
			select {
			case <-done:
				open = false
			default:
			}
		}
		digests = append(digests, ask(t, c, "DEBUG", "DIGEST"))
		kill(t, s)
		s = startDurable(t, dir, "everysec", 2+round%2, "--enable-debug-command", "yes")
		c = dial(t, s.Network, s.Addr)
		if got := ask(t, c, "DEBUG", "DIGEST"); got != digests[round] {
			t.Errorf("round %d: the digest was %s and is %s", round, digests[round], got)
		}
	}
	if slices.Sort(digests); len(slices.Compact(digests)) != 4 {
		t.Error("nothing changed")
	}
}

// DEBUG RELOAD and DEBUG LOADAOF leave the dataset as it was, whether a snapshot, the log or
// both hold it, also while other clients write.
func TestReloads(t *testing.T) {
	s := startDurable(t, t.TempDir(), "everysec", 2, "--enable-debug-command", "yes")
	c := dial(t, s.Network, s.Addr)
	steps, err := difftest.Steps(testkit.Seed(t), []difftest.Family{difftest.Strings, difftest.Lists, difftest.Hashes, difftest.Sets,
		difftest.ZSets, difftest.Streams, difftest.Generic, difftest.Expiry}, time.Now(), 2000)
	if err != nil {
		t.Fatal(err)
	}
	var digests []string
	for i, st := range steps {
		if _, err := c.Do(st.Args...); err != nil {
			t.Fatalf("%q: %v", st.Args, err)
		}
		time.Sleep(st.Fuse) // all other deadlines are far away
		if i%200 != 0 {
			continue
		}
		if i == 1000 {
			expect(t, c, "OK", "SAVE")
		}
		digest := ask(t, c, "DEBUG", "DIGEST")
		for _, how := range []string{"RELOAD", "LOADAOF"} {
			expect(t, c, "OK", "DEBUG", how)
			if got := ask(t, c, "DEBUG", "DIGEST"); got != digest {
				t.Fatalf("after %d commands and DEBUG %s the digest was %s and is %s", i, how, digest, got)
			}
		}
		digests = append(digests, digest)
	}
	if slices.Sort(digests); len(slices.Compact(digests)) < 5 {
		t.Error("hardly anything changed")
	}
	expect(t, c, "(error) ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.", "DEBUG", "RELOAD", "NOW")

	done := make(chan bool)
	go func() {
		defer close(done)
		other, err := testkit.Dial(s.Network, s.Addr)
		if err != nil {
			return
		}
		defer other.Close()
		load(t, other, 20_000, func(int) []string { return []string{"INCR", "counter"} })
	}()
	for open := true; open; {
		expect(t, c, "OK", "DEBUG", "RELOAD")
		expect(t, c, "OK", "DEBUG", "LOADAOF")
		select {
		case <-done:
			open = false
		default:
		}
	}
	expect(t, c, `"20000"`, "GET", "counter")
}

// WAITAOF answers once the log is synced, whatever the policy, and says what is wrong with it
// in Redis' words.
func TestWaitAOF(t *testing.T) {
	s := startDurable(t, t.TempDir(), "no", 2)
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "0", "0", "0") // nothing is to be synced
	expect(t, c, "OK", "SET", "a", "b")
	expect(t, c, "1) (integer) 0\n2) (integer) 0", "WAITAOF", "0", "0", "0")
	expect(t, c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "1", "0", "0")
	expect(t, c, "OK", "SET", "a", "c")
	began := time.Now()
	expect(t, c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "1", "1", "100")
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("a replica that is not there was waited for %v", took)
	}
	for _, line := range [][]string{{"2", "0", "0"}, {"-1", "0", "0"}, {"x", "0", "0"}} {
		expect(t, c, "(error) ERR value is out of range, must be between 0 and 1", append([]string{"WAITAOF"}, line...)...)
	}
	expect(t, c, "(error) ERR value is out of range, must be positive", "WAITAOF", "0", "-1", "0")
	expect(t, c, "(error) ERR timeout is negative", "WAITAOF", "0", "0", "-1")
	expect(t, c, "(error) ERR timeout is not an integer or out of range", "WAITAOF", "0", "0", "x")
	expect(t, c, "OK", "MULTI")
	expect(t, c, "QUEUED", "SET", "a", "d")
	expect(t, c, "QUEUED", "WAITAOF", "1", "0", "0")
	expect(t, c, "1) OK\n2) 1) (integer) 1\n   2) (integer) 0", "EXEC") // what was written before it is synced
	expect(t, c, "OK", "CONFIG", "SET", "appendonly", "no")
	eventually(t, "the end of the log", func() bool { return info(t, c, "aof_enabled") == "0" })
	expect(t, c, "(error) ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.", "WAITAOF", "1", "0", "0")
	expect(t, c, "1) (integer) 0\n2) (integer) 0", "WAITAOF", "0", "0", "0")
}

// What WAITAOF says of a log that is being switched on is true at once: a server that is killed
// then has all that there was, also what was there before the log.
func TestWaitAOFWhileTheLogIsSwitchedOn(t *testing.T) {
	dir := t.TempDir()
	off := []string{"--snapshot-enabled", "no", "--enable-debug-command", "yes"}
	s := startDurable(t, dir, "everysec", 2, append(off, "--aof-enabled", "no")...)
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "DEBUG", "POPULATE", "300000", "key", "100")
	expect(t, c, "OK", "CONFIG", "SET", "appendonly", "yes")
	for !strings.Contains(ask(t, c, "INFO", "persistence"), "aof_enabled:1") {
		time.Sleep(time.Millisecond)
	}
	expect(t, c, "OK", "SET", "last", "1")
	expect(t, c, "1) (integer) 1\n2) (integer) 0", "WAITAOF", "1", "0", "0")
	kill(t, s)
	s = startDurable(t, dir, "everysec", 2, append(off, "--aof-enabled", "yes")...)
	expect(t, dial(t, s.Network, s.Addr), "(integer) 300001", "DBSIZE")
}
