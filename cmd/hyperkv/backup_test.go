package main

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/internal/testkit"
	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
	snapshots "hyperkv/persist/snapshot"
)

// succeeds runs the binary and returns what it says.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	out, code := run(t, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d\n%s", args, code, out)
	}
	return out
}

// fails runs the binary, which has to fail for a reason.
func fails(t *testing.T, reason string, args ...string) string {
	t.Helper()
	out, code := run(t, args...)
	if code != 1 || !strings.Contains(out, reason) || strings.Contains(out, "goroutine ") {
		t.Fatalf("%q: exit code %d, and not because of %q\n%s", args, code, reason, out)
	}
	return out
}

// gone wants that there is nothing of a name, nor anything that begins with it.
func gone(t *testing.T, path string) {
	t.Helper()
	if names := files(t, filepath.Dir(path), filepath.Base(path)+"*"); len(names) > 0 {
		t.Errorf("there is %q", names)
	}
}

// varied gives a server keys of all types, some with deadlines.
func varied(t *testing.T, c *testkit.Conn) {
	t.Helper()
	rewrite(t, c, 500, "a")
	for _, line := range []string{
		"SET volatile x EX 1000", "RPUSH list a b c", "SADD set a b 1", "HSET hash f v g w", "HEXPIRE hash 1000 FIELDS 1 f",
		"ZADD zset 1 a 2.5 b", "XADD stream 1-1 f v", "XGROUP CREATE stream group 0", "SELECT 3", "SET elsewhere y", "SELECT 0",
	} {
		if v, err := c.Do(strings.Fields(line)...); err != nil || v.Err() != nil {
			t.Fatalf("%s: %v %v", line, v, err)
		}
	}
}

// datasetDigest is that of all a server has.
func datasetDigest(t *testing.T, c *testkit.Conn) string {
	t.Helper()
	return ask(t, c, "DEBUG", "DIGEST")
}

// restored starts a server with a number of shards on what is restored of a backup.
func restored(t *testing.T, from string, shards int) *testkit.Conn {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	out := succeeds(t, "restore", from, dir)
	if !strings.HasSuffix(out, "start it with: hyperkv serve --data-dir "+dir+"\n") {
		t.Errorf("restore says %s", out)
	}
	s := startDurable(t, dir, "everysec", shards, "--enable-debug-command", "yes")
	return dial(t, s.Network, s.Addr)
}

// A backup of a running server that nobody writes to is what it has, on any number of
// shards; and so is one of the directory when the server was killed, log included.
func TestBackup(t *testing.T) {
	dir, dest := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := startDurable(t, dir, "everysec", 2, "--enable-debug-command", "yes")
	c := dial(t, s.Network, s.Addr)
	varied(t, c)
	want := datasetDigest(t, c)
	if out := succeeds(t, "backup", dir, dest); !strings.Contains(out, dest+": 507 keys in snapshot 1, ") ||
		!strings.Contains(out, " in 3 files; all checksums and contents are right") {
		t.Errorf("backup says %s", out)
	}
	checks(t, 0, dest, false, "a start would load snapshot 1 (507 keys); there is no log to repeat")
	for _, shards := range []int{2, 1, 5} {
		if got := datasetDigest(t, restored(t, dest, shards)); got != want {
			t.Errorf("on %d shards the digest is %s, and was %s", shards, got, want)
		}
	}
	rewrite(t, c, 100, "b") // which only the log has
	want = datasetDigest(t, c)
	kill(t, s)
	fails(t, dest+" is not empty", "backup", dir, dest)
	dest += "2"
	if out := succeeds(t, "backup", dir, dest); !strings.Contains(out, dest+": 507 keys in snapshot 1, 100 effects of the log, ") {
		t.Errorf("backup says %s", out)
	}
	for _, shards := range []int{2, 3} {
		if got := datasetDigest(t, restored(t, dest, shards)); got != want {
			t.Errorf("with the log, on %d shards, the digest is %s, and was %s", shards, got, want)
		}
	}
	// A backup is a data directory by itself, and what happens there does not reach back.
	other := startDurable(t, dest, "everysec", 2, "--enable-debug-command", "yes")
	c = dial(t, other.Network, other.Addr)
	expect(t, c, "OK", "SET", "only", "here")
	expect(t, c, "OK", "SAVE")
	other.Stop()
	s = startDurable(t, dir, "everysec", 2, "--enable-debug-command", "yes")
	if got := datasetDigest(t, dial(t, s.Network, s.Addr)); got != want {
		t.Errorf("the original has %s, and had %s", got, want)
	}
}

// A backup that is taken while clients write is a state between the moments before and
// after, and transactions over several shards are in it whole or not at all.
func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := startDurable(t, dir, "everysec", 2)
	c := dial(t, s.Network, s.Addr)
	varied(t, c)
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		other, err := testkit.Dial(s.Network, s.Addr)
		if err != nil {
			return
		}
		defer other.Close()
		for {
			select {
			case <-stop:
				return
			default:
			}
			load(t, other, 400, func(i int) []string {
				pair := "pair:" + strconv.Itoa(i/4%10)
				return [][]string{{"MULTI"}, {"INCR", pair + ":left"}, {"INCR", pair + ":right"}, {"EXEC"}}[i%4]
			})
		}
	}()
	count := func(c *testkit.Conn, key string) int {
		t.Helper()
		v, err := c.Do("GET", key)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(v.Text())
		return n
	}
	apart := 0
	for round := range 4 {
		dest := filepath.Join(t.TempDir(), "backup")
		before := count(c, "pair:0:left")
		if round == 2 { // one is under way already
			expect(t, c, "Background saving started", "BGSAVE")
		}
		succeeds(t, "backup", dir, dest)
		after := count(c, "pair:0:left")
		from := restored(t, dest, 1+round)
		for i := range 10 {
			pair := "pair:" + strconv.Itoa(i)
			left, right := count(from, pair+":left"), count(from, pair+":right")
			if left != right {
				t.Errorf("%s: %d on one side, %d on the other", pair, left, right)
			}
			if i == 0 && (left < before || left > after) {
				t.Errorf("it was %d before and %d after, and is %d", before, after, left)
			}
		}
		apart += after - before
	}
	close(stop)
	<-done
	if apart < 20 {
		t.Errorf("only %d writes while backups were taken, which proves little", apart)
	}
}

// A snapshot that is replaced while it is copied is given up for the next one.
func TestBackupOfReplacedSnapshot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snapshots")
	store, err := snapshots.Open(snapshots.Options{Disk: disk.OS{}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	const shards = 20
	replace := func() {
		w, err := store.Begin(shards)
		if err == nil {
			_, err = w.Commit("a test", 0, &snapshots.Position{Identity: "x", Generation: 1})
		}
		if err == nil {
			_, err = store.Keep(1)
		}
		if err != nil {
			t.Error(err)
		}
	}
	replace()
	// Every attempt that fails has met one replacement, so no copy has to give up.
	replacements, done := make(chan bool, newestAttempts/2), make(chan bool)
	go func() {
		defer close(done)
		for range replacements {
			replace()
		}
	}()
	to := filepath.Join(t.TempDir(), "copy")
	for i := range 100 {
		for range cap(replacements) - len(replacements) {
			replacements <- true
		}
		c := copying{ctx: t.Context(), link: i%2 == 0}
		if err := c.newest(dir, to, 0); err != nil {
			t.Fatal(err)
		}
		all, damaged, err := snapshots.List(disk.OS{}, to)
		if err != nil || len(damaged) > 0 || len(all) != 1 || all[0].Journal != nil || all[0].Shards != shards {
			t.Fatalf("%v %v %v", all, damaged, err)
		}
		for shard := range shards {
			if err := snapshots.Read(disk.OS{}, to, &all[0], shard, func([]byte, int, int64) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if names := files(t, to, "*"); len(names) != shards+1 {
			t.Fatalf("there is %q", names)
		}
	}
	close(replacements)
	<-done
	if store, err = snapshots.Open(snapshots.Options{Disk: disk.OS{}, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	c := copying{ctx: t.Context()}
	if err := c.newest(dir, to, 1<<40); err == nil || !strings.Contains(err.Error(), "and not to "+dir) {
		t.Errorf("an old snapshot was taken: %v", err)
	}
}

// A server that is loading is waited for, and so is a snapshot that is being taken, before
// another one is asked for; and nobody waits longer than is wanted.
func TestBackupWaitsForSnapshot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan int, 10)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		saves := 0
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if lines.Text() != "SAVE" {
				continue
			}
			switch saves++; saves {
			case 1:
				_, _ = conn.Write([]byte("-LOADING Redis is loading the dataset in memory\r\n"))
			case 2:
				_, _ = conn.Write([]byte("-ERR Background save already in progress\r\n"))
			case 3:
				_, _ = conn.Write([]byte("+OK\r\n"))
			case 4:
				_, _ = conn.Write([]byte("-ERR\r\n"))
			}
			asked <- saves
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := dialRemote(ctx, "tcp", l.Addr().String(), "", time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	c := copying{ctx: ctx}
	f := func(want string) {
		t.Helper()
		if err := c.save(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := c.save(r); err != nil {
		t.Error(err)
	}
	f(`SAVE was answered with "-ERR": the server's log says more`)
	go func() {
		for n := range asked {
			if n == 5 {
				cancel()
			}
		}
	}()
	f("context canceled")
}

// A backup of a server that is still loading has all that there is to load.
func TestBackupWhileLoading(t *testing.T) {
	dir, dest := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := startDurable(t, dir, "no", 2)
	const keys = 300_000
	load(t, dial(t, s.Network, s.Addr), keys, func(i int) []string { return []string{"SET", "key:" + strconv.Itoa(i), "value"} })
	kill(t, s)
	port := strconv.Itoa(testkit.FreePort(t))
	cmd := exec.Command(testkit.Binary(t), "serve", "--port", port, "--metrics-port", "0", "--data-dir", dir, "--worker-threads", "2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var c *testkit.Conn
	eventually(t, "it listens", func() (listens bool) {
		var err error
		c, err = testkit.Dial("tcp", "127.0.0.1:"+port)
		return err == nil
	})
	defer c.Close()
	expect(t, c, "(error) LOADING Redis is loading the dataset in memory", "PING")
	succeeds(t, "backup", dir, dest)
	expect(t, restored(t, dest, 3), "(integer) "+strconv.Itoa(keys), "DBSIZE")
}

// A server with a password wants it, on whichever way it comes; and the server that answers
// has to be the one that uses the directory.
func TestBackupPassword(t *testing.T) {
	dir, dest := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := startDurable(t, dir, "everysec", 2, "--auth-password", "hunter2")
	c := dial(t, s.Network, s.Addr)
	expect(t, c, "OK", "AUTH", "hunter2") // which a server that is still loading answers as well
	eventually(t, "it has loaded", func() bool { return ask(t, c, "PING") == "PONG" })
	rewrite(t, c, 100, "a")
	fails(t, "the server wants a password: use --password or HYPERKV_AUTH_PASSWORD", "backup", dir, dest)
	fails(t, `AUTH was answered with "-WRONGPASS`, "backup", dir, dest, "--password", "hunter3")
	gone(t, dest)
	succeeds(t, "backup", dir, dest, "--password", "hunter2")
	succeeds(t, "backup", dir, dest+"2", "--config", write(t, "auth_password: hunter2\n"))
	t.Setenv("HYPERKV_AUTH_PASSWORD", "hunter2")
	succeeds(t, "backup", dir, dest+"3")
	t.Setenv("HYPERKV_AUTH_PASSWORD", "")
	if text, err := os.ReadFile(filepath.Join(dir, datadir.LockName)); err != nil || strings.Contains(string(text), "hunter") {
		t.Errorf("%s %v", text, err)
	}

	other := t.TempDir()
	lock, err := take(other, "serve")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	h := *datadir.ReadHolder(dir)
	h.RunID = strings.Repeat("0", 40)
	if err := lock.Say(h); err != nil {
		t.Fatal(err)
	}
	fails(t, "another server answers there", "backup", other, dest+"4", "--password", "hunter2")
	// And a tool that uses the directory is no server.
	if err := lock.Say(datadir.Holder{PID: 1, Command: "check"}); err != nil {
		t.Fatal(err)
	}
	fails(t, "another process uses it (hyperkv check, pid 1)", "backup", other, dest+"4")
	gone(t, dest+"4")
}

// A server that has only a unix socket is reached as well, wherever it was started.
func TestBackupUnixSocket(t *testing.T) {
	home, err := os.MkdirTemp("", "hkv") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, testkit.Binary(t), "serve", "--port", "0", "--unixsocket", "s", "--metrics-port", "0", "--data-dir", "data")
	cmd.Dir = home
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { stop(); _ = cmd.Wait() }()
	eventually(t, "the socket", func() bool { return testkit.Ping("unix", filepath.Join(home, "s"), time.Second) == nil })
	c := dial(t, "unix", filepath.Join(home, "s"))
	rewrite(t, c, 100, "a")
	dest := filepath.Join(home, "backup")
	succeeds(t, "backup", filepath.Join(home, "data"), dest)
	if got := rounds(t, restored(t, dest, 3), 100); got["a"] != 100 {
		t.Errorf("%v", got)
	}
}
