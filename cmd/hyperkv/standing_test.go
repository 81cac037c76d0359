package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hyperkv/persist/datadir"
	"hyperkv/persist/disk"
)

// stop ends a server as an operator does, who sends a signal or the words of a SHUTDOWN.
func (n *node) stop(t *testing.T, words ...string) {
	t.Helper()
	if len(words) > 0 {
		_ = n.c.Send(words...)
	} else if err := n.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if state, err := n.Wait(20 * time.Second); err != nil || state.ExitCode() != 0 {
		t.Fatalf("%v %v\n%s", state, err, lastLines(n.Log(), 20))
	}
}

// longBacklog has room for whatever the traffic of a test does while somebody is away.
var longBacklog = []string{"--repl-backlog-size", "67108864"}

// startReplica starts a replica of what a proxy leads to.
func startReplica(t *testing.T, kind string, link *proxy, flags ...string) *node {
	t.Helper()
	host, port, _ := net.SplitHostPort(link.addr())
	flags = append(flags, longBacklog...)
	if kind == "redis" {
		return startNode(t, kind, append([]string{"--replicaof", host, port}, flags...)...)
	}
	return startNode(t, kind, append([]string{"--replicaof", host + " " + port}, flags...)...)
}

// A primary that was stopped and started goes on with its replicas where they were, also when
// clients write until the end, and when keys expire meanwhile.
func TestRestartedPrimary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	primary := startNode(t, "hyperkv2", "--data-dir", dir)
	link := startProxy(t, primary.Addr)
	replicas := []*node{startReplica(t, "hyperkv3", link), startReplica(t, "redis", link)}
	for i, life := range []struct {
		kind string
		end  []string
	}{{"hyperkv3", nil}, {"hyperkv3", []string{"SHUTDOWN"}}, {"hyperkv1", []string{"SHUTDOWN", "SAVE"}}, {"hyperkv2", nil}} {
		eventually(t, "both are online", func() bool { return strings.Count(primary.do(t, "INFO", "replication"), "state=online") == 2 })
		primary.do(t, "SET", "soon", "gone", "PX", "400")
		primary.do(t, "SELECT", "7")
		primary.do(t, "SET", "life", strconv.Itoa(i), "PX", "100000000")
		primary.do(t, "HSET", "hash", "a", "b", "soon", "gone")
		traffic := startTraffic(t, primary.Addr, 2)
		time.Sleep(200 * time.Millisecond)
		primary.stop(t, life.end...)
		traffic.end()
		if _, err := os.Stat(filepath.Join(dir, standingName)); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			time.Sleep(400 * time.Millisecond)
		}
		primary = startNode(t, life.kind, "--data-dir", dir)
		if _, err := os.Stat(filepath.Join(dir, standingName)); err == nil {
			t.Error("it is still there after the start")
		}
		link.target.Store(&primary.Addr)
		for _, replica := range replicas {
			eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
		}
		primary.do(t, "SET", "again", strconv.Itoa(i))
		equal(t, append([]*node{primary}, replicas...)...)
		if full, partial := primary.number(t, "sync_full"), primary.number(t, "sync_partial_ok"); full != 0 || partial < 2 {
			t.Errorf("life %d: %d full syncs and %d partial ones\n%s", i, full, partial, lastLines(primary.Log(), 20))
		}
		for _, n := range append([]*node{primary}, replicas...) {
			n.do(t, "SELECT", "0")
			if value := n.do(t, "GET", "again"); value != strconv.Itoa(i) {
				t.Errorf("life %d: %s has %q", i, n.Addr, value)
			}
		}
	}
}

// A replica that was stopped and started asks for what it has missed, whoever its primary is;
// what it has expires only when the primary says so.
func TestRestartedReplica(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"redis", "hyperkv2"} {
		primary, dir := startNode(t, kind, longBacklog...), t.TempDir()
		link := startProxy(t, primary.Addr)
		replica := startReplica(t, "hyperkv3", link, "--data-dir", dir)
		below := startProxy(t, replica.Addr)
		sub := startReplica(t, "hyperkv1", below)
		for i, words := range [][]string{nil, {"SHUTDOWN"}, {"SHUTDOWN", "NOW"}} {
			up := func(n *node) {
				t.Helper()
				eventually(t, "the link is up", func() bool { return n.info(t, "master_link_status") == "up" })
			}
			up(replica)
			up(sub)
			traffic := startTraffic(t, primary.Addr, 2)
			time.Sleep(200 * time.Millisecond)
			primary.do(t, "SET", "kept", "yes", "PX", "300")
			primary.do(t, "WAIT", "1", "1000")
			replica.stop(t, words...)
			primary.do(t, "PERSIST", "kept")
			traffic.end()
			time.Sleep(400 * time.Millisecond)
			replica = startReplica(t, "hyperkv"+strconv.Itoa(3-i), link, "--data-dir", dir)
			below.target.Store(&replica.Addr)
			up(replica)
			primary.do(t, "SET", "again", strconv.Itoa(i))
			equal(t, primary, replica, sub)
			if n := primary.number(t, "sync_full"); n != 1 {
				t.Errorf("%s: %d full syncs after %d lives\n%s", kind, n, i+1, lastLines(replica.Log(), 20))
			}
			if n := replica.number(t, "sync_full"); n != 0 && len(words) < 2 { // with NOW, its replica is not waited for
				t.Errorf("%s: %d full syncs of its replica after %d lives\n%s", kind, n, i+1, lastLines(replica.Log(), 20))
			}
		}
		// It may as well come back as a primary, and its old one follow it.
		replica.stop(t)
		alone := startNode(t, "hyperkv2", "--data-dir", dir)
		primary.follow(t, alone.Addr)
		eventually(t, "the link is up", func() bool { return primary.info(t, "master_link_status") == "up" })
		alone.do(t, "SET", "again", "alone")
		equal(t, alone, primary)
	}
}

// Many keys whose time comes while a server is stopped are removed by the primary alone, and
// on its replicas by what it says: nobody else does it in the first moments of a life.
func TestRestartedExpiry(t *testing.T) {
	t.Parallel()
	const keys = 20_000
	dirs := []string{t.TempDir(), t.TempDir()}
	primary := startNode(t, "hyperkv2", "--data-dir", dirs[0])
	link := startProxy(t, primary.Addr)
	replica := startReplica(t, "hyperkv2", link, "--data-dir", dirs[1])
	all := func(words ...string) {
		t.Helper()
		for i := range keys {
			if err := primary.c.Send(append([]string{words[0], "key" + strconv.Itoa(i)}, words[1:]...)...); err != nil {
				t.Fatal(err)
			}
		}
		for range keys {
			if _, err := primary.c.Receive(20 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
	}
	up := func() {
		t.Helper()
		eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
	}
	up()
	soon := func() (deadline time.Time, millis string) {
		deadline = time.Now().Add(4 * time.Second)
		return deadline, strconv.FormatInt(deadline.UnixMilli(), 10)
	}
	deadline, millis := soon()
	all("SET", "value", "PXAT", millis)
	primary.do(t, "WAIT", "1", "0")
	replica.stop(t)
	all("PERSIST")
	time.Sleep(time.Until(deadline))
	replica = startReplica(t, "hyperkv3", link, "--data-dir", dirs[1])
	up()
	equal(t, primary, replica)
	if n := replica.do(t, "DBSIZE"); n != strconv.Itoa(keys) {
		t.Errorf("the replica has %s keys", n)
	}
	deadline, millis = soon()
	all("PEXPIREAT", millis)
	primary.stop(t)
	time.Sleep(time.Until(deadline))
	primary = startNode(t, "hyperkv3", "--data-dir", dirs[0])
	link.target.Store(&primary.Addr)
	up()
	equal(t, primary, replica)
	eventually(t, "all are gone", func() bool { return primary.do(t, "DBSIZE") == "0" && replica.do(t, "DBSIZE") == "0" })
	if n := primary.number(t, "sync_full"); n != 0 {
		t.Errorf("%d full syncs", n)
	}
}

// A replica that does not answer keeps nobody from stopping, and SHUTDOWN NOW waits for none.
func TestStopWithoutReplica(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{nil, {"SHUTDOWN", "NOW"}} {
		primary := startNode(t, "hyperkv2")
		replica := startReplica(t, "hyperkv1", startProxy(t, primary.Addr))
		eventually(t, "it is online", func() bool { return strings.Contains(primary.info(t, "slave0"), "state=online") })
		if err := syscall.Kill(replica.PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		primary.do(t, "SET", "a", "b")
		began := time.Now()
		primary.stop(t, words...)
		if took := time.Since(began); took > 10*time.Second || words != nil && took > 2*time.Second {
			t.Errorf("%q: it took %v", words, took)
		}
		if err := syscall.Kill(replica.PID, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a log, lives in which nothing is written need no snapshot at their end.
func TestRestartedUnchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	primary := startNode(t, "hyperkv2", "--data-dir", dir, "--aof-enabled=false")
	link := startProxy(t, primary.Addr)
	replica := startReplica(t, "hyperkv1", link)
	eventually(t, "it is online", func() bool { return strings.Contains(primary.info(t, "slave0"), "state=online") })
	primary.do(t, "SET", "a", "b")
	for life := range 3 {
		primary.stop(t)
		primary = startNode(t, "hyperkv2", "--data-dir", dir, "--aof-enabled=false")
		link.target.Store(&primary.Addr)
		eventually(t, "it is online", func() bool { return strings.Contains(primary.info(t, "slave0"), "state=online") })
		equal(t, primary, replica)
		if full := primary.number(t, "sync_full"); full != 0 {
			t.Errorf("life %d: %d full syncs\n%s", life, full, primary.Log())
		}
	}
}

// Without certainty a replica gets everything anew.
func TestRestartedOtherwise(t *testing.T) {
	t.Parallel()
	copied := func(t *testing.T, from, to string) {
		t.Helper()
		if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	inMemory := []string{"--aof-enabled=false", "--snapshot-enabled=false"}
	noLog := []string{"--aof-enabled=false"}
	for name, c := range map[string]struct {
		flags []string // of the primary
		// end ends it; the standing that it has left is given to what comes between.
		end     func(t *testing.T, n *node)
		between func(t *testing.T, dir string)
		partial bool
	}{
		"killed":                 {end: func(t *testing.T, n *node) { kill(t, n.Server) }},
		"stopped":                {end: func(t *testing.T, n *node) { n.stop(t) }, partial: true},
		"a snapshot at the end":  {flags: noLog, end: func(t *testing.T, n *node) { n.stop(t, "SHUTDOWN") }, partial: true},
		"a snapshot by a signal": {flags: noLog, end: func(t *testing.T, n *node) { n.stop(t) }, partial: true},
		"an older snapshot": {flags: noLog, end: func(t *testing.T, n *node) {
			n.do(t, "SAVE")
			n.do(t, "SET", "more", "yes")
			n.stop(t, "SHUTDOWN", "NOSAVE")
		}},
		"a snapshot of that": {flags: noLog, end: func(t *testing.T, n *node) {
			n.do(t, "SAVE")
			n.stop(t, "SHUTDOWN", "NOSAVE")
		}, partial: true},
		"in memory": {flags: inMemory, end: func(t *testing.T, n *node) { n.stop(t) }},
		"killed later": {
			end: func(t *testing.T, n *node) { n.stop(t) },
			between: func(t *testing.T, dir string) {
				n := startNode(t, "hyperkv2", "--data-dir", dir)
				n.do(t, "SET", "more", "yes")
				kill(t, n.Server)
			},
		},
		"an older HyperKV": { // which does not know of the file
			end: func(t *testing.T, n *node) { n.stop(t) },
			between: func(t *testing.T, dir string) {
				copied(t, filepath.Join(dir, standingName), filepath.Join(dir, "aside"))
				n := startNode(t, "hyperkv2", "--data-dir", dir)
				n.do(t, "DEL", "more")
				n.stop(t)
				if err := os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, standingName)); err != nil {
					t.Fatal(err)
				}
			},
		},
		"another dataset": {
			end: func(t *testing.T, n *node) { n.stop(t) },
			between: func(t *testing.T, dir string) {
				other := t.TempDir()
				n := startNode(t, "hyperkv2", "--data-dir", other)
				n.do(t, "SET", "other", "yes")
				n.stop(t)
				for _, folder := range []string{datadir.Journal, datadir.Snapshots} {
					if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
						t.Fatal(err)
					}
				}
				copied(t, filepath.Join(other, datadir.Journal), dir)
			},
		},
		"a copy that is whole": {
			end: func(t *testing.T, n *node) { n.stop(t) },
			between: func(t *testing.T, dir string) {
				copied(t, dir, dir+"-copy")
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(dir+"-copy", dir); err != nil {
					t.Fatal(err)
				}
			},
			partial: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			primary := startNode(t, "hyperkv2", append([]string{"--data-dir", dir}, c.flags...)...)
			link := startProxy(t, primary.Addr)
			replica := startReplica(t, "hyperkv1", link)
			eventually(t, "it is online", func() bool { return strings.Contains(primary.info(t, "slave0"), "state=online") })
			primary.do(t, "SET", "a", "b")
			primary.do(t, "WAIT", "1", "0")
			c.end(t, primary)
			link.closed.Store(true)
			if c.between != nil {
				c.between(t, dir)
			}
			primary = startNode(t, "hyperkv2", append([]string{"--data-dir", dir}, c.flags...)...)
			link.target.Store(&primary.Addr)
			link.closed.Store(false)
			eventually(t, "the link is up", func() bool { return replica.info(t, "master_link_status") == "up" })
			primary.do(t, "SET", "c", "d")
			equal(t, primary, replica)
			if full := primary.number(t, "sync_full"); (full == 0) != c.partial {
				t.Errorf("%d full syncs\n%s", full, primary.Log())
			}
		})
	}
}

// A backup does not take the place in the history along, and only what a stop has written is
// believed.
func TestStandingFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, standingName)
	if s, err := takeStanding(disk.OS{}, dir); s != nil || err != nil {
		t.Errorf("in an empty directory: %v %v", s, err)
	}
	now, err := filesOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	good := `{"version":1,"history":"` + strings.Repeat("ab", 20) + `","position":7,"database":-1,"files":"` + now + `"}`
	for text, want := range map[string]bool{
		good: true, "": false, good[:len(good)-1]: false, "null": false, "[]": false, "{}": false,
		strings.Replace(good, `:1,`, `:2,`, 1):              false,
		strings.Replace(good, `"abab`, `"ab`, 1):            false,
		strings.Replace(good, `"abab`, `"xyab`, 1):          false,
		strings.Replace(good, `:7,`, `:-7,`, 1):             false,
		strings.Replace(good, `:-1,`, `:-2,`, 1):            false,
		strings.Replace(good, now, now[1:]+"0", 1) + " ":    false,
		good + strings.Repeat(" ", standingMax) + "garbage": true, // what is behind is not read
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := takeStanding(disk.OS{}, dir)
		if (s != nil) != want || (err == nil) != want {
			t.Errorf("%.200q: %+v %v", text, s, err)
		}
		if _, err := os.Stat(name); err == nil {
			t.Errorf("%.200q is still there", text)
		}
	}
}
